/* SPDX-License-Identifier: Apache-2.0 */
/* What the stub's files share. */
#ifndef VIREO_GDBSTUB_INTERNAL_H
#define VIREO_GDBSTUB_INTERNAL_H

#include "accel/accel.h"
#include "gdbstub/gdbstub.h"
#include "gdbstub/packet.h"
#include "gdbstub/registers.h"
#include "memory/memory.h"

/* One process, the machine; its threads are the vCPUs, from 1. */
#define GDB_PROCESS 1
#define GDB_BREAKPOINTS_MAX 1024

/* GDB's numbers of errors in replies: errno values. */
enum { GDB_E_PERM = 1, GDB_E_SRCH = 3, GDB_E_TOO_BIG = 7, GDB_E_FAULT = 14, GDB_E_INVAL = 22,
       GDB_E_NO_SPACE = 28 };

/* The type digit of Z and z packets. */
typedef enum GdbPointType {
    GDB_POINT_SOFTWARE, GDB_POINT_HARDWARE, GDB_POINT_WRITE, GDB_POINT_READ, GDB_POINT_ACCESS,
    GDB_POINT__MAX
} GdbPointType;

typedef struct GdbBreakpoint {
    GdbPointType type;
    uint64_t address;
    uint32_t length;
    bool patched;       /* an INT3 stands in memory for it */
    AddressSpace *as;   /* where */
    uint64_t physical;
    uint8_t original;
} GdbBreakpoint;

/* A watchpoint that a CPU hit while another one's stop was told. */
typedef struct GdbPending {
    unsigned cpu;
    GdbPointType type;
    uint64_t address;
} GdbPending;

/* Bits of sstep: how a step goes. */
enum { GDB_STEP_ENABLE = 1, GDB_STEP_NO_IRQ = 2 };

struct GdbStub {
    CharFrontend frontend;
    const GdbHost *host;
    GdbReceiver rx;
    GString *reply;         /* data being built */
    GString *last;          /* the last packet as it was sent, for retransmission */
    bool busy, connected;
    bool no_ack;

    bool multiprocess, swbreak, hwbreak; /* the peer understands these */
    GdbLayout layout;
    char *description;      /* target.xml */
    unsigned general_cpu, run_cpu; /* of Hg and Hc: indices */
    unsigned thread_cursor; /* of qsThreadInfo */
    bool physical;          /* memory packets take physical addresses */
    unsigned sstep;

    GArray *breakpoints;    /* GdbBreakpoint */
    GArray *points;         /* VCpuBreakpoint, as the CPUs have them */
    GArray *point_types;    /* GdbPointType of each */
    bool points_changed;
    GArray *pending;        /* GdbPending */

    bool resuming;          /* the machine starts on our behalf */
    bool waiting;           /* the peer waits to hear of a stop */
    bool stopped_by_us;
    char stop_reason[64];   /* of the last stop, for T packets: "" or "swbreak:;" and the like */
};

/* ---- stub.c ---- */

/* Send what is in stub->reply, and empty it. */
void gdb_send(GdbStub *stub);
void gdb_send_text(GdbStub *stub, const char *text);
void gdb_send_error(GdbStub *stub, unsigned number);

/* A CPU that exists, that one if possible; NULL: there is none. */
VCpu *gdb_cpu(unsigned index);
/* The highest index of a CPU, and one: what arrays by index need. */
unsigned gdb_cpu_slots(void);

/* ---- commands.c, query.c: data of a packet, NUL-terminated ---- */

void gdb_command(GdbStub *stub, const char *data, size_t len);
/* q, Q. False: unknown. */
bool gdb_query(GdbStub *stub, const char *data, size_t len);
/* vCont, vKill, ... False: unknown. */
bool gdb_verbose(GdbStub *stub, const char *data, size_t len);

/* ---- parse.c ---- */

/* Hexadecimal digits, at least one; moves *text behind them. False: none, or too many. */
bool gdb_parse_number(const char **text, uint64_t *value);
bool gdb_parse_char(const char **text, char c);

typedef struct GdbThread {
    bool all, any;
    unsigned cpu; /* if neither */
} GdbThread;

/* "p1.2", "p1", "2", "-1", "0". False: malformed, or no such CPU or process. */
bool gdb_parse_thread(const char **text, GdbThread *thread);
void gdb_put_thread(GdbStub *stub, unsigned cpu);

/* ---- run.c ---- */

typedef enum GdbAction { GDB_ACTION_HOLD, GDB_ACTION_CONTINUE, GDB_ACTION_STEP } GdbAction;

/* Tell the CPUs what they are to stop at, and forget held ones and steps. */
void gdb_run_all(GdbStub *stub);
/* Let CPUs go on, actions[index] each (count of them; others hold). Replies by itself, later. */
void gdb_resume(GdbStub *stub, const uint8_t *actions, unsigned count);
/* Put the T packet for the last stop into the reply. */
void gdb_put_stop(GdbStub *stub, GdbSignal signal);
/* The machine stopped: find out who and why. True: for something that the debugger asked for. */
bool gdb_note_stop(GdbStub *stub);

/* ---- breakpoints.c ---- */

/* 0 or one of GDB_E_*; -1: such cannot be set here. */
int gdb_breakpoint_add(GdbStub *stub, GdbPointType type, uint64_t address, uint64_t length);
int gdb_breakpoint_remove(GdbStub *stub, GdbPointType type, uint64_t address, uint64_t length);
void gdb_breakpoints_clear(GdbStub *stub);
bool gdb_breakpoint_exists(const GdbStub *stub, GdbPointType type, uint64_t address);
bool gdb_breakpoint_is_at(const GdbStub *stub, uint64_t address);
/* Anything that is patched into memory? */
bool gdb_breakpoints_patched(const GdbStub *stub);
/* Make the points that accelerators see. */
void gdb_breakpoints_publish(GdbStub *stub);

/* ---- memory.c ---- */

/* Without what the stub has patched. By stub->physical. False: something of it is not there. */
bool gdb_memory_read(GdbStub *stub, VCpu *cpu, uint64_t address, uint8_t *buf, size_t len);
bool gdb_memory_write(GdbStub *stub, VCpu *cpu, uint64_t address, const uint8_t *buf, size_t len);
/* The memory that a CPU sees. */
AddressSpace *gdb_address_space(VCpu *cpu);

#endif
