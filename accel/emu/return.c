/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Far RET and IRET.
 */
#include "accel/emu/transfer.h"

/* ---- What both check ---- */

void emu_check_return_code(EmuCpu *cpu, uint16_t selector, EmuDescriptor *code)
{
    unsigned rpl = selector & 3, dpl;

    emu_read_code(cpu, selector, code);
    dpl = emu_dpl(code);
    if (!emu_is_code(code) || rpl < emu_cpl(cpu) ||
        (emu_is_conforming(code) ? dpl > rpl : dpl != rpl) ||
        (emu_is_code64(cpu, code) && (code->attr & SEG_DB))) {
        emu_raise_selector(cpu, X86_GP, selector);
    }
    if (!(code->attr & SEG_P)) {
        emu_raise_selector(cpu, X86_NP, selector);
    }
}

void emu_check_return_stack(EmuCpu *cpu, uint16_t selector, unsigned cpl,
                            const EmuDescriptor *code, EmuDescriptor *ss)
{
    if (emu_is_null(selector)) {
        if (!emu_is_code64(cpu, code) || cpl == 3 || (selector & 3u) != cpl) {
            emu_raise_gp(cpu);
        }
        *ss = (EmuDescriptor) { .attr = SEG_UNUSABLE | cpl << SEG_DPL_SHIFT };
        return;
    }
    emu_read_descriptor(cpu, selector, X86_GP, ss);
    if ((selector & 3u) != cpl || !emu_is_writable_data(ss) || emu_dpl(ss) != cpl) {
        emu_raise_selector(cpu, X86_GP, selector);
    }
    if (!(ss->attr & SEG_P)) {
        emu_raise_selector(cpu, X86_SS_FAULT, selector);
    }
}

void emu_set_return_stack(EmuCpu *cpu, uint16_t selector, const EmuDescriptor *ss)
{
    emu_set_segment(cpu, X86_SS, selector, ss);
}

static void mark_stack_accessed(EmuCpu *cpu, EmuDescriptor *ss)
{
    if (!(ss->attr & SEG_UNUSABLE)) {
        emu_mark_accessed(cpu, ss);
    }
}

/* Add to SP, ESP or RSP as pops do. */
static uint64_t advance(const EmuCpu *cpu, uint64_t sp, uint64_t bytes)
{
    sp += bytes;
    return cpu->mode & EMU_MODE_CS64   ? sp
           : cpu->mode & EMU_MODE_SS32 ? (uint32_t)sp
                                       : (uint16_t)sp;
}

/* ---- RETF ---- */

static void return_real(EmuCpu *cpu, unsigned size, unsigned release)
{
    EmuPops pops = { .sp = emu_stack_pointer(cpu), .size = size };
    uint64_t ip = emu_pop_word(cpu, &pops);
    uint16_t selector = emu_pop_word(cpu, &pops);

    if (ip > cpu->segs[X86_CS].limit) {
        emu_raise_gp(cpu);
    }
    emu_load_segment_real(cpu, X86_CS, selector);
    emu_set_stack_pointer(cpu, advance(cpu, pops.sp, release));
    cpu->rip = ip;
    emu_update_mode(cpu);
}

static void return_outer(EmuCpu *cpu, EmuPops *pops, uint16_t selector, EmuDescriptor *code,
                         uint64_t ip, unsigned release)
{
    unsigned cpl = selector & 3;
    uint16_t stack_selector;
    EmuDescriptor ss;
    uint64_t sp;

    pops->sp = advance(cpu, pops->sp, release);
    sp = emu_pop_word(cpu, pops);
    stack_selector = emu_pop_word(cpu, pops);
    emu_check_return_stack(cpu, stack_selector, cpl, code, &ss);
    ip = emu_check_ip(cpu, code, ip);
    emu_mark_accessed(cpu, code);
    mark_stack_accessed(cpu, &ss);

    emu_set_code(cpu, selector, cpl, code, ip);
    emu_set_return_stack(cpu, stack_selector, &ss);
    emu_set_stack_pointer(cpu, sp + release);
    emu_drop_inner_segments(cpu);
    emu_update_mode(cpu);
}

void emu_far_return(EmuCpu *cpu, unsigned size, unsigned release)
{
    EmuPops pops = { .sp = emu_stack_pointer(cpu), .size = size };
    EmuDescriptor code;
    uint16_t selector;
    uint64_t ip;

    if (emu_in_real_style(cpu)) {
        return_real(cpu, size, release);
        return;
    }
    ip = emu_pop_word(cpu, &pops);
    selector = emu_pop_word(cpu, &pops);
    emu_check_return_code(cpu, selector, &code);
    if ((selector & 3u) > emu_cpl(cpu)) {
        return_outer(cpu, &pops, selector, &code, ip, release);
        return;
    }
    ip = emu_check_ip(cpu, &code, ip);
    emu_mark_accessed(cpu, &code);
    emu_set_stack_pointer(cpu, advance(cpu, pops.sp, release)); /* as wide as the old CS says */
    emu_set_code(cpu, selector, emu_cpl(cpu), &code, ip);
    emu_update_mode(cpu);
}

/* ---- IRET ---- */

#define FLAGS16 (FLAG_ARITH | FLAG_TF | FLAG_DF | FLAG_NT)

static void iret_real(EmuCpu *cpu, unsigned size)
{
    EmuPops pops = { .sp = emu_stack_pointer(cpu), .size = size };
    uint64_t ip = emu_pop_word(cpu, &pops);
    uint16_t selector = emu_pop_word(cpu, &pops);
    uint64_t flags = emu_pop_word(cpu, &pops);
    uint64_t mask = FLAGS16 | FLAG_IF | FLAG_IOPL;

    if (ip > cpu->segs[X86_CS].limit) {
        emu_raise_gp(cpu);
    }
    if (size > 2) {
        mask |= FLAG_RF | FLAG_AC | FLAG_ID;
    }
    emu_load_segment_real(cpu, X86_CS, selector);
    emu_set_stack_pointer(cpu, pops.sp);
    emu_set_rflags(cpu, flags, mask);
    cpu->rip = ip;
    emu_update_mode(cpu);
}

/* In v8086 mode IRET stays in it. */
static void iret_in_v86(EmuCpu *cpu, unsigned size)
{
    EmuPops pops = { .sp = emu_stack_pointer(cpu), .size = size };
    uint64_t mask = FLAGS16 | (size > 2 ? FLAG_RF | FLAG_AC | FLAG_ID : 0);
    uint64_t ip, flags;
    uint16_t selector;

    if (emu_iopl(cpu) < 3 && (!(cpu->cr4 & CR4_VME) || size != 2)) {
        emu_raise_gp(cpu);
    }
    ip = emu_pop_word(cpu, &pops);
    selector = emu_pop_word(cpu, &pops);
    flags = emu_pop_word(cpu, &pops);
    if (emu_iopl(cpu) == 3) {
        mask |= FLAG_IF;
    } else {
        if ((flags & FLAG_TF) || ((flags & FLAG_IF) && (cpu->rflags & FLAG_VIP))) {
            emu_raise_gp(cpu);
        }
        mask |= FLAG_VIF;
        flags = (flags & ~(uint64_t)FLAG_VIF) | (flags & FLAG_IF ? FLAG_VIF : 0);
    }
    if (ip > UINT16_MAX) {
        emu_raise_gp(cpu);
    }
    emu_set_v86_segment(cpu, X86_CS, selector);
    emu_set_stack_pointer(cpu, pops.sp);
    emu_set_rflags(cpu, flags, mask);
    cpu->rip = ip;
    emu_update_mode(cpu);
}

static void iret_to_v86(EmuCpu *cpu, EmuPops *pops, uint64_t ip, uint16_t selector,
                        uint64_t flags)
{
    static const uint8_t order[] = { X86_SS, X86_ES, X86_DS, X86_FS, X86_GS };
    uint16_t selectors[G_N_ELEMENTS(order)];
    uint64_t sp = emu_pop_word(cpu, pops);

    for (unsigned i = 0; i < G_N_ELEMENTS(order); i++) {
        selectors[i] = emu_pop_word(cpu, pops);
    }
    if (ip > UINT16_MAX) {
        emu_raise_gp(cpu);
    }
    emu_set_rflags(cpu, flags, FLAG_WRITABLE | FLAG_VM);
    emu_set_v86_segment(cpu, X86_CS, selector);
    for (unsigned i = 0; i < G_N_ELEMENTS(order); i++) {
        emu_set_v86_segment(cpu, order[i], selectors[i]);
    }
    cpu->regs[X86_RSP] = (uint32_t)sp;
    cpu->rip = ip;
    emu_update_mode(cpu);
}

/* NT is set: back to the task that the link field of the TSS names. */
static void iret_task(EmuCpu *cpu)
{
    const X86Segment *tr = &cpu->segs[X86_TR];
    EmuTaskSwitch change = {
        .cause = EMU_TASK_IRET,
        .rip = emu_next_rip(cpu, cpu->op),
        .rflags = emu_rflags(cpu) & ~(uint64_t)FLAG_NT,
    };
    unsigned type;

    change.selector = emu_implicit_read_u16(cpu, emu_table_address(cpu, tr->base));
    if (change.selector & 4) {
        emu_raise_selector(cpu, X86_TS, change.selector);
    }
    emu_read_descriptor(cpu, change.selector, X86_TS, &change.tss);
    type = emu_type(&change.tss);
    if (type != TYPE_TSS16_BUSY && type != TYPE_TSS32_BUSY) {
        emu_raise_selector(cpu, X86_TS, change.selector);
    }
    if (!(change.tss.attr & SEG_P)) {
        emu_raise_selector(cpu, X86_NP, change.selector);
    }
    emu_task_switch(cpu, &change);
}

static uint64_t iret_mask(const EmuCpu *cpu, unsigned size)
{
    unsigned cpl = emu_cpl(cpu);
    uint64_t mask = FLAGS16;

    mask |= size > 2 ? FLAG_RF | FLAG_AC | FLAG_ID : 0;
    mask |= cpl <= emu_iopl(cpu) ? FLAG_IF : 0;
    if (cpl == 0) {
        mask |= FLAG_IOPL | (size > 2 ? FLAG_VIF | FLAG_VIP : 0);
    }
    return mask;
}

static void iret_protected(EmuCpu *cpu, unsigned size)
{
    EmuPops pops = { .sp = emu_stack_pointer(cpu), .size = size };
    uint64_t ip = emu_pop_word(cpu, &pops);
    uint16_t selector = emu_pop_word(cpu, &pops);
    uint64_t flags = emu_pop_word(cpu, &pops), mask = iret_mask(cpu, size), sp = 0;
    unsigned cpl = selector & 3;
    bool outer, from64 = cpu->mode & EMU_MODE_CS64;
    uint16_t stack_selector = 0;
    EmuDescriptor code, ss;

    if ((flags & FLAG_VM) && size == 4 && !emu_in_long_mode(cpu) && emu_cpl(cpu) == 0) {
        iret_to_v86(cpu, &pops, ip, selector, flags);
        return;
    }
    if (from64) {
        sp = emu_pop_word(cpu, &pops);
        stack_selector = emu_pop_word(cpu, &pops);
    }
    emu_check_return_code(cpu, selector, &code);
    outer = cpl > emu_cpl(cpu);
    if (outer && !from64) {
        sp = emu_pop_word(cpu, &pops);
        stack_selector = emu_pop_word(cpu, &pops);
    }
    if (outer || from64) {
        emu_check_return_stack(cpu, stack_selector, cpl, &code, &ss);
    }
    ip = emu_check_ip(cpu, &code, ip);
    emu_mark_accessed(cpu, &code);
    if (outer || from64) {
        mark_stack_accessed(cpu, &ss);
        emu_set_return_stack(cpu, stack_selector, &ss);
    } else {
        sp = pops.sp;
    }
    emu_set_code(cpu, selector, cpl, &code, ip);
    emu_set_stack_pointer(cpu, sp);
    emu_set_rflags(cpu, flags, mask);
    if (outer) {
        emu_drop_inner_segments(cpu);
    }
    emu_update_mode(cpu);
}

void emu_iret(EmuCpu *cpu, unsigned size)
{
    emu_unmask_nmi(cpu);
    if (!(cpu->mode & EMU_MODE_PROT)) {
        iret_real(cpu, size);
    } else if (cpu->mode & EMU_MODE_VM86) {
        iret_in_v86(cpu, size);
    } else if (!(cpu->rflags & FLAG_NT)) {
        iret_protected(cpu, size);
    } else if (emu_in_long_mode(cpu)) {
        emu_raise_gp(cpu);
    } else {
        iret_task(cpu);
    }
}
