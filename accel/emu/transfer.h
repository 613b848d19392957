/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What transfers of control between segments, privilege levels and tasks share: checks of code and
 * stack segments, and stack frames that are written whole or not at all.
 */
#ifndef VIREO_ACCEL_EMU_TRANSFER_H
#define VIREO_ACCEL_EMU_TRANSFER_H

#include "accel/emu/flags.h"
#include "accel/emu/segment.h"
#include "accel/emu/system.h"

/* Bits 0 to 3 of attr for system descriptors. */
enum {
    TYPE_TSS16 = 1, TYPE_LDT = 2, TYPE_TSS16_BUSY = 3, TYPE_CALL16 = 4, TYPE_TASK_GATE = 5,
    TYPE_INT16 = 6, TYPE_TRAP16 = 7, TYPE_TSS32 = 9, TYPE_TSS32_BUSY = 11, TYPE_CALL32 = 12,
    TYPE_INT32 = 14, TYPE_TRAP32 = 15,
    TYPE_BUSY = 2, /* the difference */
};

/* What software can set in RFLAGS at all. */
#define FLAG_WRITABLE (FLAG_ARITH | FLAG_TF | FLAG_IF | FLAG_DF | FLAG_IOPL | FLAG_NT | FLAG_RF | \
                       FLAG_AC | FLAG_VIF | FLAG_VIP | FLAG_ID)

static inline bool emu_in_long_mode(const EmuCpu *cpu)
{
    return cpu->mode & EMU_MODE_LONG;
}

/* Segments are paragraphs: real mode or v8086. */
static inline bool emu_in_real_style(const EmuCpu *cpu)
{
    return (cpu->mode & (EMU_MODE_PROT | EMU_MODE_VM86)) != EMU_MODE_PROT;
}

static inline unsigned emu_iopl(const EmuCpu *cpu)
{
    return cpu->rflags >> 12 & 3;
}

static inline bool emu_is_null(uint16_t selector)
{
    return (selector & ~3u) == 0;
}

static inline unsigned emu_dpl(const EmuDescriptor *descriptor)
{
    return descriptor->attr >> SEG_DPL_SHIFT & 3;
}

/* S and the four bits of type: code and data types have bit 4 set, system types not. */
static inline unsigned emu_type(const EmuDescriptor *descriptor)
{
    return descriptor->attr & 0x1f;
}

static inline bool emu_is_code(const EmuDescriptor *descriptor)
{
    return (descriptor->attr & (SEG_S | SEG_CODE)) == (SEG_S | SEG_CODE);
}

static inline bool emu_is_conforming(const EmuDescriptor *descriptor)
{
    return descriptor->attr & SEG_CONFORMING;
}

static inline bool emu_is_writable_data(const EmuDescriptor *descriptor)
{
    return (descriptor->attr & (SEG_S | SEG_CODE | SEG_WRITABLE)) == (SEG_S | SEG_WRITABLE);
}

/* In the current kind of mode (long or not). */
static inline bool emu_is_code64(const EmuCpu *cpu, const EmuDescriptor *descriptor)
{
    return emu_in_long_mode(cpu) && (descriptor->attr & SEG_L);
}

/* A linear address of a system table: 32 bits outside long mode. */
static inline uint64_t emu_table_address(const EmuCpu *cpu, uint64_t address)
{
    return emu_in_long_mode(cpu) ? address : (uint32_t)address;
}

/* Raise with a selector as error code; EXT is added while an event is being delivered. */
G_NORETURN void emu_raise_selector(EmuCpu *cpu, unsigned vector, uint16_t selector);
/* #GP(0), or #GP(EXT). */
G_NORETURN void emu_raise_gp(EmuCpu *cpu);

/* base, limit, attr and gate fields from raw and high. */
void emu_parse_descriptor(EmuDescriptor *descriptor);
/* Set and clear bits of a descriptor's access byte (bits 40..47), atomically where RAM allows. */
void emu_update_access_byte(EmuCpu *cpu, EmuDescriptor *descriptor, uint8_t set, uint8_t clear);
static inline void emu_mark_accessed(EmuCpu *cpu, EmuDescriptor *descriptor)
{
    if (!(descriptor->attr & SEG_ACCESSED)) {
        emu_update_access_byte(cpu, descriptor, SEG_ACCESSED, 0);
    }
}

void emu_set_segment(EmuCpu *cpu, unsigned seg, uint16_t selector, const EmuDescriptor *descriptor);
/* No segment; SS keeps a privilege level. */
void emu_set_null_segment(EmuCpu *cpu, unsigned seg, uint16_t selector, unsigned dpl);
/* A segment of v8086 mode, whatever the mode is now. */
void emu_set_v86_segment(EmuCpu *cpu, unsigned seg, uint16_t selector);
/* LDTR from the GDT with all checks; `vector` if one fails, not_present if that is it. */
void emu_load_ldtr(EmuCpu *cpu, uint16_t selector, unsigned vector, unsigned not_present);

/* The descriptor that an instruction or gate wants as code; null and outside the table: #GP. */
void emu_read_code(EmuCpu *cpu, uint16_t selector, EmuDescriptor *code);
/* May the instruction pointer be used there? #GP(0) if not. Gives what RIP becomes. */
uint64_t emu_check_ip(EmuCpu *cpu, const EmuDescriptor *code, uint64_t ip);
/* Make it the code segment. SS or VM, from which CPL follows, are the caller's; so is the mode. */
void emu_set_code(EmuCpu *cpu, uint16_t selector, unsigned cpl, const EmuDescriptor *code,
                  uint64_t ip);
/* Flags as an instruction at cpu->rip finds them; the mode is the caller's. */
void emu_set_rflags(EmuCpu *cpu, uint64_t value, uint64_t mask);
/* Write SP, ESP or RSP by the SS and CS now loaded. */
void emu_set_stack_pointer(EmuCpu *cpu, uint64_t sp);
/* RSP as the current stack size truncates it. */
uint64_t emu_stack_pointer(const EmuCpu *cpu);

/*
 * The stack that the TSS has for an inner level: its segment, checked, and pointer. #TS, or #SS if
 * not present. In long mode ss is null with `level` as DPL.
 */
typedef struct EmuStack {
    X86Segment ss;
    EmuDescriptor descriptor; /* in legacy modes: to be marked as accessed */
    uint64_t sp;
    bool wide;                /* a 64-bit stack */
} EmuStack;
void emu_inner_stack(EmuCpu *cpu, unsigned level, EmuStack *stack);
/* The present one. wide: as a 64-bit handler uses it. */
void emu_current_stack(const EmuCpu *cpu, bool wide, EmuStack *stack);
/* An entry of the interrupt stack table, 1..7. */
uint64_t emu_tss_ist(EmuCpu *cpu, unsigned index);
/* Commit a stack that emu_inner_stack() gave. */
void emu_set_stack(EmuCpu *cpu, const EmuStack *stack, uint64_t sp);

/*
 * Words to be pushed. check raises every fault that pushing them in order could; then write cannot
 * fault.
 */
#define EMU_FRAME_MAX 40
typedef struct EmuFrame {
    const EmuStack *stack;
    unsigned level;        /* the privilege level that pushes */
    uint16_t selector;     /* error code of #SS */
    uint8_t size;          /* of a word */
    uint8_t count;
    void *host;            /* all of it, if it is plain RAM in one page */
    uint64_t sp;           /* after pushing */
    uint64_t words[EMU_FRAME_MAX];
    uint64_t linear[EMU_FRAME_MAX];
} EmuFrame;

static inline void emu_frame_init(EmuFrame *frame, const EmuStack *stack, unsigned level,
                                  uint16_t selector, unsigned size)
{
    frame->stack = stack;
    frame->level = level;
    frame->selector = selector;
    frame->size = size;
    frame->count = 0;
}

static inline void emu_frame_push(EmuFrame *frame, uint64_t word)
{
    frame->words[frame->count++] = word;
}

void emu_frame_check(EmuCpu *cpu, EmuFrame *frame);
void emu_frame_write(EmuCpu *cpu, EmuFrame *frame);

/* Read words of the present stack one after another; RSP stays until the caller sets it. */
typedef struct EmuPops {
    uint64_t sp;
    unsigned size;
} EmuPops;
uint64_t emu_pop_word(EmuCpu *cpu, EmuPops *pops);

/* After a return to an outer level: data segments that are too privileged become null. */
void emu_drop_inner_segments(EmuCpu *cpu);
/* Check the CS of a return (RETF, IRET), and the SS behind it if there is one. */
void emu_check_return_code(EmuCpu *cpu, uint16_t selector, EmuDescriptor *code);
void emu_check_return_stack(EmuCpu *cpu, uint16_t selector, unsigned cpl,
                            const EmuDescriptor *code, EmuDescriptor *ss);
/* Load both; ss as emu_check_return_stack() left it. */
void emu_set_return_stack(EmuCpu *cpu, uint16_t selector, const EmuDescriptor *ss);

/* The TSS that a task gate or a far pointer names, for an event or a CALL, JMP. */
void emu_read_available_tss(EmuCpu *cpu, uint16_t selector, EmuDescriptor *tss);

#endif
