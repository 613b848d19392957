/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Far JMP and CALL: code segments, call gates, task gates and TSSs.
 */
#include "accel/emu/transfer.h"

/* ---- Code segments ---- */

void emu_read_code(EmuCpu *cpu, uint16_t selector, EmuDescriptor *code)
{
    if (emu_is_null(selector)) {
        emu_raise_gp(cpu);
    }
    emu_read_descriptor(cpu, selector, X86_GP, code);
}

uint64_t emu_check_ip(EmuCpu *cpu, const EmuDescriptor *code, uint64_t ip)
{
    if (emu_is_code64(cpu, code)) {
        if (!emu_is_canonical(cpu, ip)) {
            emu_raise_gp(cpu);
        }
        return ip;
    }
    if ((uint32_t)ip > code->limit) {
        emu_raise_gp(cpu);
    }
    return (uint32_t)ip;
}

void emu_set_code(EmuCpu *cpu, uint16_t selector, unsigned cpl, const EmuDescriptor *code,
                  uint64_t ip)
{
    emu_set_segment(cpu, X86_CS, (selector & ~3u) | cpl, code);
    cpu->rip = ip;
}

void emu_set_rflags(EmuCpu *cpu, uint64_t value, uint64_t mask)
{
    uint64_t flags = (emu_rflags(cpu) & ~mask) | (value & mask);

    if (mask & FLAG_ARITH) {
        emu_flags_set(cpu, flags);
    }
    /* Nobody else would clear RF behind the next instruction. */
    if ((flags & FLAG_RF) && !emu_debug_armed(cpu)) {
        flags &= ~(uint64_t)FLAG_RF;
    }
    cpu->rflags = (flags & ~(uint64_t)FLAG_ARITH) | FLAG_ONE;
}

/* In long mode L and D exclude each other. */
static bool size_refused(const EmuCpu *cpu, const EmuDescriptor *code)
{
    return emu_is_code64(cpu, code) && (code->attr & SEG_DB);
}

/* A code segment that JMP or CALL names without a gate: CPL stays. */
static void check_direct(EmuCpu *cpu, uint16_t selector, const EmuDescriptor *code)
{
    unsigned cpl = emu_cpl(cpu), dpl = emu_dpl(code);
    bool refused = emu_is_conforming(code) ? dpl > cpl : (selector & 3u) > cpl || dpl != cpl;

    if (refused || size_refused(cpu, code)) {
        emu_raise_selector(cpu, X86_GP, selector);
    }
    if (!(code->attr & SEG_P)) {
        emu_raise_selector(cpu, X86_NP, selector);
    }
}

/* ---- Gates ---- */

/* May a far pointer's selector use a gate or TSS? */
static void check_gate(EmuCpu *cpu, uint16_t selector, const EmuDescriptor *gate)
{
    unsigned dpl = emu_dpl(gate);

    if (dpl < emu_cpl(cpu) || dpl < (selector & 3u)) {
        emu_raise_selector(cpu, X86_GP, selector);
    }
}

static void check_gate_present(EmuCpu *cpu, uint16_t selector, const EmuDescriptor *gate)
{
    if (!(gate->attr & SEG_P)) {
        emu_raise_selector(cpu, X86_NP, selector);
    }
}

static bool is_call_gate(const EmuCpu *cpu, const EmuDescriptor *gate)
{
    unsigned type = emu_type(gate);

    return type == TYPE_CALL32 || (type == TYPE_CALL16 && !emu_in_long_mode(cpu));
}

/* Size of what a gate pushes, in bytes. */
static unsigned gate_size(const EmuCpu *cpu, const EmuDescriptor *gate)
{
    return emu_in_long_mode(cpu) ? 8 : gate->attr & 8 ? 4 : 2;
}

/* The code segment behind a call gate, but for privilege. */
static void read_gate_target(EmuCpu *cpu, uint16_t selector, const EmuDescriptor *gate,
                             EmuDescriptor *code)
{
    const unsigned extended_type = 0x1f00;

    check_gate(cpu, selector, gate);
    if (gate->high >> 32 & extended_type) {
        emu_raise_selector(cpu, X86_GP, selector);
    }
    check_gate_present(cpu, selector, gate);
    emu_read_code(cpu, gate->selector, code);
    if (!emu_is_code(code) || emu_dpl(code) > emu_cpl(cpu) ||
        (emu_in_long_mode(cpu) && (code->attr & (SEG_L | SEG_DB)) != SEG_L)) {
        emu_raise_selector(cpu, X86_GP, gate->selector);
    }
}

/* ---- Tasks ---- */

void emu_read_available_tss(EmuCpu *cpu, uint16_t selector, EmuDescriptor *tss)
{
    if (selector & 4) {
        emu_raise_selector(cpu, X86_GP, selector);
    }
    emu_read_descriptor(cpu, selector, X86_GP, tss);
    if (emu_type(tss) != TYPE_TSS16 && emu_type(tss) != TYPE_TSS32) {
        emu_raise_selector(cpu, X86_GP, selector);
    }
    if (!(tss->attr & SEG_P)) {
        emu_raise_selector(cpu, X86_NP, selector);
    }
}

/* True if the descriptor was a task's, and the task runs now. */
static bool switch_to(EmuCpu *cpu, uint16_t selector, const EmuDescriptor *descriptor,
                      EmuTaskCause cause)
{
    unsigned type = emu_type(descriptor);
    EmuTaskSwitch change = {
        .cause = cause,
        .selector = selector,
        .rip = emu_next_rip(cpu, cpu->op),
        .rflags = emu_rflags(cpu),
    };

    if (emu_in_long_mode(cpu) ||
        (type != TYPE_TASK_GATE && type != TYPE_TSS16 && type != TYPE_TSS32)) {
        return false;
    }
    check_gate(cpu, selector, descriptor);
    if (type == TYPE_TASK_GATE) {
        check_gate_present(cpu, selector, descriptor);
        change.selector = descriptor->selector;
    }
    emu_read_available_tss(cpu, change.selector, &change.tss);
    emu_task_switch(cpu, &change);
    return true;
}

/* ---- JMP ---- */

static void jump_real(EmuCpu *cpu, uint16_t selector, uint64_t ip)
{
    if (ip > cpu->segs[X86_CS].limit) {
        emu_raise_gp(cpu);
    }
    emu_load_segment_real(cpu, X86_CS, selector);
    cpu->rip = ip;
    emu_update_mode(cpu);
}

static void jump_gate(EmuCpu *cpu, uint16_t selector, const EmuDescriptor *gate)
{
    EmuDescriptor code;
    uint64_t ip;

    read_gate_target(cpu, selector, gate, &code);
    if (!emu_is_conforming(&code) && emu_dpl(&code) != emu_cpl(cpu)) {
        emu_raise_selector(cpu, X86_GP, gate->selector);
    }
    if (!(code.attr & SEG_P)) {
        emu_raise_selector(cpu, X86_NP, gate->selector);
    }
    ip = emu_check_ip(cpu, &code, gate->offset);
    emu_mark_accessed(cpu, &code);
    emu_set_code(cpu, gate->selector, emu_cpl(cpu), &code, ip);
    emu_update_mode(cpu);
}

static uint64_t truncate_ip(uint64_t offset, unsigned size)
{
    return size == 2 ? (uint16_t)offset : size == 4 ? (uint32_t)offset : offset;
}

void emu_far_jump(EmuCpu *cpu, uint16_t selector, uint64_t offset, unsigned size)
{
    uint64_t ip = truncate_ip(offset, size);
    EmuDescriptor target;

    if (emu_in_real_style(cpu)) {
        jump_real(cpu, selector, ip);
        return;
    }
    emu_read_code(cpu, selector, &target);
    if (emu_is_code(&target)) {
        check_direct(cpu, selector, &target);
        ip = emu_check_ip(cpu, &target, ip);
        emu_mark_accessed(cpu, &target);
        emu_set_code(cpu, selector, emu_cpl(cpu), &target, ip);
        emu_update_mode(cpu);
    } else if (is_call_gate(cpu, &target)) {
        jump_gate(cpu, selector, &target);
    } else if (!switch_to(cpu, selector, &target, EMU_TASK_JUMP)) {
        emu_raise_selector(cpu, X86_GP, selector);
    }
}

/* ---- CALL ---- */

/* Push the return address on the present stack. */
static void push_return(EmuCpu *cpu, EmuFrame *frame)
{
    emu_frame_push(frame, cpu->segs[X86_CS].selector);
    emu_frame_push(frame, emu_next_rip(cpu, cpu->op));
}

static void call_real(EmuCpu *cpu, uint16_t selector, uint64_t ip, unsigned size)
{
    EmuStack stack;
    EmuFrame frame;

    emu_current_stack(cpu, false, &stack);
    emu_frame_init(&frame, &stack, emu_cpl(cpu), 0, size);
    push_return(cpu, &frame);
    emu_frame_check(cpu, &frame);
    if (ip > cpu->segs[X86_CS].limit) {
        emu_raise_gp(cpu);
    }
    emu_frame_write(cpu, &frame);
    emu_set_stack(cpu, &stack, frame.sp);
    emu_load_segment_real(cpu, X86_CS, selector);
    cpu->rip = ip;
    emu_update_mode(cpu);
}

/* CPL stays. `wide`: the words are pushed through RSP. */
static void call_same(EmuCpu *cpu, uint16_t selector, EmuDescriptor *code, uint64_t offset,
                      unsigned size, bool wide)
{
    EmuStack stack;
    EmuFrame frame;
    uint64_t ip;

    emu_current_stack(cpu, wide, &stack);
    emu_frame_init(&frame, &stack, emu_cpl(cpu), 0, size);
    push_return(cpu, &frame);
    emu_frame_check(cpu, &frame);
    ip = emu_check_ip(cpu, code, offset);
    emu_mark_accessed(cpu, code);
    emu_frame_write(cpu, &frame);
    emu_set_stack(cpu, &stack, frame.sp);
    emu_set_code(cpu, selector, emu_cpl(cpu), code, ip);
    emu_update_mode(cpu);
}

/* Parameters of a call gate: the lowest address is pushed last. */
static void copy_parameters(EmuCpu *cpu, EmuFrame *frame, unsigned count)
{
    EmuPops pops = { .sp = emu_stack_pointer(cpu), .size = frame->size };
    uint64_t words[31];

    for (unsigned i = 0; i < count; i++) {
        words[i] = emu_pop_word(cpu, &pops);
    }
    while (count > 0) {
        emu_frame_push(frame, words[--count]);
    }
}

static void call_inner(EmuCpu *cpu, const EmuDescriptor *gate, EmuDescriptor *code)
{
    unsigned level = emu_dpl(code);
    EmuStack stack;
    EmuFrame frame;
    uint64_t ip;

    emu_inner_stack(cpu, level, &stack);
    emu_frame_init(&frame, &stack, level, stack.wide ? 0 : stack.ss.selector,
                   gate_size(cpu, gate));
    emu_frame_push(&frame, cpu->segs[X86_SS].selector);
    emu_frame_push(&frame, cpu->regs[X86_RSP]);
    copy_parameters(cpu, &frame, emu_in_long_mode(cpu) ? 0 : gate->count);
    push_return(cpu, &frame);
    emu_frame_check(cpu, &frame);
    ip = emu_check_ip(cpu, code, gate->offset);
    emu_mark_accessed(cpu, code);
    if (!stack.wide) {
        emu_mark_accessed(cpu, &stack.descriptor);
    }
    emu_frame_write(cpu, &frame);
    emu_set_stack(cpu, &stack, frame.sp);
    emu_set_code(cpu, gate->selector, level, code, ip);
    emu_update_mode(cpu);
}

static void call_gate(EmuCpu *cpu, uint16_t selector, const EmuDescriptor *gate)
{
    EmuDescriptor code;

    read_gate_target(cpu, selector, gate, &code);
    if (!(code.attr & SEG_P)) {
        emu_raise_selector(cpu, X86_NP, gate->selector);
    }
    if (!emu_is_conforming(&code) && emu_dpl(&code) < emu_cpl(cpu)) {
        call_inner(cpu, gate, &code);
    } else {
        call_same(cpu, gate->selector, &code, gate->offset, gate_size(cpu, gate),
                  emu_in_long_mode(cpu));
    }
}

void emu_far_call(EmuCpu *cpu, uint16_t selector, uint64_t offset, unsigned size)
{
    uint64_t ip = truncate_ip(offset, size);
    EmuDescriptor target;

    if (emu_in_real_style(cpu)) {
        call_real(cpu, selector, ip, size);
        return;
    }
    emu_read_code(cpu, selector, &target);
    if (emu_is_code(&target)) {
        check_direct(cpu, selector, &target);
        call_same(cpu, selector, &target, ip, size, cpu->mode & EMU_MODE_CS64);
    } else if (is_call_gate(cpu, &target)) {
        call_gate(cpu, selector, &target);
    } else if (!switch_to(cpu, selector, &target, EMU_TASK_CALL)) {
        emu_raise_selector(cpu, X86_GP, selector);
    }
}
