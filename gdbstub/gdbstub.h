/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lets a GDB debug the guest over a character device. Works with every accelerator whose
 * update_debug() exists; with others registers and memory can be looked at.
 *
 * While a GDB is connected and the machine is stopped, everything goes through it; the stub itself
 * knows nothing of run states and monitors but what GdbHost tells it. Main thread, VM lock held.
 */
#ifndef VIREO_GDBSTUB_GDBSTUB_H
#define VIREO_GDBSTUB_GDBSTUB_H

#include <glib.h>
#include <stdbool.h>

#include "chardev/chardev.h"

typedef struct GdbStub GdbStub;

/* Signals as GDB numbers them. */
typedef enum GdbSignal {
    GDB_SIGNAL_INT = 2,
    GDB_SIGNAL_QUIT = 3,
    GDB_SIGNAL_TRAP = 5,
    GDB_SIGNAL_ABRT = 6,
    GDB_SIGNAL_ALRM = 14,
    GDB_SIGNAL_STOP = 17,
} GdbSignal;

typedef struct GdbHost {
    bool (*is_running)(void);
    /* Both lead to gdb_stub_run_state() before they return. */
    void (*stop)(void);
    bool (*start)(GError **error);
    /* Why it is stopped. */
    GdbSignal (*stop_signal)(void);
    /* GDB's "kill": the machine is to end. */
    void (*quit)(void);
    /* A line for the human monitor; what it answers is the caller's. NULL: there is none. */
    char *(*monitor)(const char *line, unsigned cpu, GError **error);
} GdbHost;

/* host is borrowed; so is chr, whose frontend this becomes. */
GdbStub *gdb_stub_new(Chardev *chr, const GdbHost *host, GError **error);
/* exiting: the machine ends, which the peer is told; otherwise it goes on as when GDB detaches. */
void gdb_stub_free(GdbStub *stub, bool exiting);
/* A command of the peer's is being worked on: the stub cannot be freed now. */
bool gdb_stub_is_busy(const GdbStub *stub);
/* The machine is about to run, or has stopped. */
void gdb_stub_run_state(GdbStub *stub, bool running);

#endif
