/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hardware task switches (SDM vol. 3, chapter 7). Everything that can fault in the old task comes
 * before the first change; what then goes wrong with the new task's segments is the new task's
 * fault.
 */
#include "accel/emu/transfer.h"

#define TSS32_MIN_LIMIT 0x67u
#define TSS16_MIN_LIMIT 0x2bu
#define DR6_BT BIT(15)
#define DR7_LOCAL 0x155u /* L0 to L3 and LE */

/* Where the two kinds of TSS keep what; segments in the order ES, CS, SS, DS, FS, GS. */
typedef struct TssLayout {
    uint8_t word;         /* bytes of a general register */
    uint8_t ip, flags, regs, segs, ldt, segment_count, segment_step;
    uint8_t dynamic_end;  /* what a switch saves: ip up to here */
    uint8_t min_limit;
} TssLayout;

static const TssLayout layout32 = {
    .word = 4, .ip = 0x20, .flags = 0x24, .regs = 0x28, .segs = 0x48, .ldt = 0x60,
    .segment_count = 6, .segment_step = 4, .dynamic_end = 0x60, .min_limit = TSS32_MIN_LIMIT,
};
static const TssLayout layout16 = {
    .word = 2, .ip = 0x0e, .flags = 0x10, .regs = 0x12, .segs = 0x22, .ldt = 0x2a,
    .segment_count = 4, .segment_step = 2, .dynamic_end = 0x2a, .min_limit = TSS16_MIN_LIMIT,
};

typedef struct NewTask {
    uint32_t cr3, ip, flags;
    uint32_t regs[8];
    uint16_t segs[6];
    uint16_t ldt;
    bool trap;
} NewTask;

static const TssLayout *layout_of(uint32_t attr)
{
    return attr & 8 ? &layout32 : &layout16;
}

/* ---- TSSs in memory ---- */

static uint32_t read_field(EmuCpu *cpu, uint64_t base, unsigned offset, unsigned size)
{
    uint64_t linear = emu_table_address(cpu, base + offset);

    return size == 4 ? emu_implicit_read_u32(cpu, linear) : emu_implicit_read_u16(cpu, linear);
}

static void write_field(EmuCpu *cpu, uint64_t base, unsigned offset, uint32_t value, unsigned size)
{
    uint64_t linear = emu_table_address(cpu, base + offset);

    if (size == 4) {
        emu_implicit_write_u32(cpu, linear, value);
    } else {
        emu_implicit_write_u16(cpu, linear, value);
    }
}

static void read_task(EmuCpu *cpu, const EmuDescriptor *tss, NewTask *task)
{
    const TssLayout *layout = layout_of(tss->attr);

    *task = (NewTask) { 0 };
    if (layout == &layout32) {
        task->cr3 = read_field(cpu, tss->base, 0x1c, 4);
        task->trap = read_field(cpu, tss->base, 0x64, 2) & 1;
    }
    task->ip = read_field(cpu, tss->base, layout->ip, layout->word);
    task->flags = read_field(cpu, tss->base, layout->flags, layout->word);
    for (unsigned i = 0; i < 8; i++) {
        task->regs[i] = read_field(cpu, tss->base, layout->regs + i * layout->word, layout->word);
    }
    for (unsigned i = 0; i < layout->segment_count; i++) {
        task->segs[i] = read_field(cpu, tss->base, layout->segs + i * layout->segment_step, 2);
    }
    task->ldt = read_field(cpu, tss->base, layout->ldt, 2);
}

static void save_task(EmuCpu *cpu, const EmuTaskSwitch *change)
{
    const X86Segment *tr = &cpu->segs[X86_TR];
    const TssLayout *layout = layout_of(tr->attr);

    write_field(cpu, tr->base, layout->ip, change->rip, layout->word);
    write_field(cpu, tr->base, layout->flags, change->rflags, layout->word);
    for (unsigned i = 0; i < 8; i++) {
        write_field(cpu, tr->base, layout->regs + i * layout->word, cpu->regs[i], layout->word);
    }
    for (unsigned i = 0; i < layout->segment_count; i++) {
        write_field(cpu, tr->base, layout->segs + i * layout->segment_step, cpu->segs[i].selector,
                    2);
    }
}

/* ---- Segments of the new task: faults are its own ---- */

static void load_code(EmuCpu *cpu, uint16_t selector)
{
    unsigned cpl = selector & 3, dpl;
    EmuDescriptor code;

    if (emu_is_null(selector)) {
        emu_raise_selector(cpu, X86_TS, selector);
    }
    emu_read_descriptor(cpu, selector, X86_TS, &code);
    dpl = emu_dpl(&code);
    if (!emu_is_code(&code) || (emu_is_conforming(&code) ? dpl > cpl : dpl != cpl)) {
        emu_raise_selector(cpu, X86_TS, selector);
    }
    if (!(code.attr & SEG_P)) {
        emu_raise_selector(cpu, X86_NP, selector);
    }
    emu_mark_accessed(cpu, &code);
    emu_set_segment(cpu, X86_CS, selector, &code);
}

static void load_stack(EmuCpu *cpu, uint16_t selector, unsigned cpl)
{
    EmuDescriptor ss;

    if (emu_is_null(selector)) {
        emu_raise_selector(cpu, X86_TS, selector);
    }
    emu_read_descriptor(cpu, selector, X86_TS, &ss);
    if (!emu_is_writable_data(&ss) || emu_dpl(&ss) != cpl || (selector & 3u) != cpl) {
        emu_raise_selector(cpu, X86_TS, selector);
    }
    if (!(ss.attr & SEG_P)) {
        emu_raise_selector(cpu, X86_SS_FAULT, selector);
    }
    emu_mark_accessed(cpu, &ss);
    emu_set_segment(cpu, X86_SS, selector, &ss);
}

static void load_data(EmuCpu *cpu, unsigned seg, uint16_t selector, unsigned cpl)
{
    EmuDescriptor data;
    bool is_code, conforming;

    if (emu_is_null(selector)) {
        return;
    }
    emu_read_descriptor(cpu, selector, X86_TS, &data);
    is_code = data.attr & SEG_CODE;
    conforming = is_code && emu_is_conforming(&data);
    if (!(data.attr & SEG_S) || (is_code && !(data.attr & SEG_READABLE_CODE)) ||
        (!conforming && emu_dpl(&data) < MAX(cpl, selector & 3u))) {
        emu_raise_selector(cpu, X86_TS, selector);
    }
    if (!(data.attr & SEG_P)) {
        emu_raise_selector(cpu, X86_NP, selector);
    }
    emu_mark_accessed(cpu, &data);
    emu_set_segment(cpu, seg, selector, &data);
}

static void load_segments(EmuCpu *cpu, const NewTask *task)
{
    unsigned cpl = task->segs[X86_CS] & 3;

    emu_load_ldtr(cpu, task->ldt, X86_TS, X86_TS);
    if (cpu->rflags & FLAG_VM) {
        return;
    }
    load_code(cpu, task->segs[X86_CS]);
    load_stack(cpu, task->segs[X86_SS], cpl);
    load_data(cpu, X86_ES, task->segs[X86_ES], cpl);
    load_data(cpu, X86_DS, task->segs[X86_DS], cpl);
    load_data(cpu, X86_FS, task->segs[X86_FS], cpl);
    load_data(cpu, X86_GS, task->segs[X86_GS], cpl);
}

/* ---- The switch ---- */

/* Everything of the old task that may fault. */
static void check_switch(EmuCpu *cpu, const EmuTaskSwitch *change)
{
    const X86Segment *tr = &cpu->segs[X86_TR];
    const TssLayout *old = layout_of(tr->attr), *next = layout_of(change->tss.attr);

    if (change->tss.limit < next->min_limit) {
        emu_raise_selector(cpu, X86_TS, change->selector);
    }
    if ((tr->attr & SEG_UNUSABLE) || tr->limit + 1u < old->dynamic_end) {
        emu_raise_selector(cpu, X86_TS, tr->selector);
    }
    emu_implicit_probe_write(cpu, emu_table_address(cpu, tr->base + old->ip),
                             old->dynamic_end - old->ip);
    if (change->cause == EMU_TASK_CALL || change->cause == EMU_TASK_EVENT) {
        emu_implicit_probe_write(cpu, emu_table_address(cpu, change->tss.base), 2);
    }
}

static void clear_busy(EmuCpu *cpu)
{
    const X86Segment *tr = &cpu->segs[X86_TR];
    EmuDescriptor old = {
        .address = emu_table_address(cpu, cpu->gdt.base + (tr->selector & ~7u)),
    };

    emu_update_access_byte(cpu, &old, 0, TYPE_BUSY);
}

/* Registers, with segments that have their selectors but nothing behind them yet. */
static void load_registers(EmuCpu *cpu, const NewTask *task)
{
    bool vm = task->flags & FLAG_VM;

    cpu->op = NULL;
    cpu->shadow = 0;
    cpu->rip = task->ip;
    emu_flags_set(cpu, task->flags);
    cpu->rflags = (task->flags & (FLAG_WRITABLE | FLAG_VM) & ~(uint64_t)FLAG_ARITH) | FLAG_ONE;
    for (unsigned i = 0; i < 8; i++) {
        cpu->regs[i] = task->regs[i];
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(task->segs); i++) {
        if (vm) {
            emu_set_v86_segment(cpu, i, task->segs[i]);
        } else {
            emu_set_null_segment(cpu, i, task->segs[i], i == X86_SS ? task->segs[X86_CS] & 3 : 0);
        }
    }
    emu_set_null_segment(cpu, X86_LDTR, task->ldt, 0);
    cpu->cr0 |= CR0_TS;
    if (cpu->dr[7] & DR7_LOCAL) {
        emu_write_dr(cpu, 7, cpu->dr[7] & ~(uint64_t)DR7_LOCAL);
    }
}

static void push_error(EmuCpu *cpu, const EmuTaskSwitch *change)
{
    EmuStack stack;
    EmuFrame frame;

    emu_current_stack(cpu, false, &stack);
    emu_frame_init(&frame, &stack, emu_cpl(cpu), 0, layout_of(change->tss.attr)->word);
    emu_frame_push(&frame, change->error);
    emu_frame_check(cpu, &frame);
    emu_frame_write(cpu, &frame);
    emu_set_stack(cpu, &stack, frame.sp);
}

static void debug_trap(EmuCpu *cpu)
{
    cpu->dr[6] |= DR6_BT;
    emu_deliver(cpu, X86_DB, EMU_EVENT_TRAP, false, 0);
}

/* Busy bits, link and TR: from here on the new task is the current one. */
static void exchange_tasks(EmuCpu *cpu, const EmuTaskSwitch *change, NewTask *task)
{
    bool nests = change->cause == EMU_TASK_CALL || change->cause == EMU_TASK_EVENT;
    EmuDescriptor tss = change->tss;
    uint16_t link = cpu->segs[X86_TR].selector;

    if (change->cause != EMU_TASK_IRET) {
        emu_update_access_byte(cpu, &tss, TYPE_BUSY, 0);
    }
    if (!nests) {
        clear_busy(cpu);
    }
    save_task(cpu, change);
    if (nests) {
        write_field(cpu, tss.base, 0, link, 2);
        task->flags |= FLAG_NT;
    }
    emu_set_segment(cpu, X86_TR, change->selector, &tss);
}

void emu_task_switch(EmuCpu *cpu, const EmuTaskSwitch *change)
{
    NewTask task;
    bool is32 = change->tss.attr & 8;

    check_switch(cpu, change);
    read_task(cpu, &change->tss, &task);
    exchange_tasks(cpu, change, &task);
    load_registers(cpu, &task);
    emu_update_mode(cpu);
    if (is32 && (cpu->cr0 & CR0_PG)) {
        emu_write_cr3(cpu, task.cr3);
    }
    load_segments(cpu, &task);
    emu_update_mode(cpu);
    if (change->has_error) {
        push_error(cpu, change);
    }
    if (task.ip > cpu->segs[X86_CS].limit) {
        emu_raise_gp(cpu);
    }
    if (task.trap) {
        debug_trap(cpu);
    }
}
