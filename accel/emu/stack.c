/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stacks of transfers of control: frames pushed whole or not at all, and the stacks of inner levels
 * that the TSS names.
 */
#include "accel/emu/transfer.h"

/* ---- Pushing ---- */

static uint64_t pointer_mask(const EmuStack *stack)
{
    return stack->wide ? UINT64_MAX : stack->ss.attr & SEG_DB ? UINT32_MAX : UINT16_MAX;
}

static EmuTlbKind stack_kind(const EmuCpu *cpu, unsigned level)
{
    if (level == emu_cpl(cpu)) {
        return cpu->tlb.current;
    }
    return (cpu->cr4 & CR4_SMAP) && !(cpu->rflags & FLAG_AC) ? EMU_TLB_SUPER_SMAP : EMU_TLB_SUPER;
}

static bool room_refused(const EmuCpu *cpu, const EmuStack *stack, uint64_t sp, unsigned size)
{
    const X86Segment *ss = &stack->ss;

    if (stack->wide) {
        return !emu_is_canonical(cpu, sp) || !emu_is_canonical(cpu, sp + size - 1);
    }
    if (ss->attr & SEG_UNUSABLE) {
        return true;
    }
    if (ss->attr & SEG_EXPAND_DOWN) {
        return sp <= ss->limit ||
               sp + size - 1 > (ss->attr & SEG_DB ? UINT32_MAX : UINT16_MAX);
    }
    return sp + size - 1 > ss->limit && (ss->limit != UINT32_MAX || ss->base);
}

/* Linear address of a word that has room. */
static uint64_t word_address(const EmuStack *stack, uint64_t sp)
{
    return stack->wide ? sp : (uint32_t)(stack->ss.base + sp);
}

void emu_frame_check(EmuCpu *cpu, EmuFrame *frame)
{
    const EmuStack *stack = frame->stack;
    EmuTlbKind kind = stack_kind(cpu, frame->level);
    uint64_t mask = pointer_mask(stack), sp = stack->sp & mask;
    unsigned total = frame->count * frame->size;

    frame->host = NULL;
    frame->sp = (sp - total) & mask;
    if (sp >= total && !room_refused(cpu, stack, frame->sp, total)) {
        frame->host = emu_fast_write_ptr(cpu, word_address(stack, frame->sp), total, kind);
        if (frame->host) {
            return;
        }
    }
    for (unsigned i = 0; i < frame->count; i++) {
        sp = (sp - frame->size) & mask;
        if (room_refused(cpu, stack, sp, frame->size)) {
            emu_raise_selector(cpu, X86_SS_FAULT, frame->selector);
        }
        frame->linear[i] = word_address(stack, sp);
        if (!emu_fast_write_ptr(cpu, frame->linear[i], frame->size, kind)) {
            emu_read_for_write_slow(cpu, frame->linear[i], frame->size, kind);
        }
    }
}

static void store_host(void *host, uint64_t value, unsigned size)
{
    switch (size) {
    case 2:
        emu_host_store_u16(host, value);
        break;
    case 4:
        emu_host_store_u32(host, value);
        break;
    default:
        emu_host_store_u64(host, value);
        break;
    }
}

void emu_frame_write(EmuCpu *cpu, EmuFrame *frame)
{
    EmuTlbKind kind = stack_kind(cpu, frame->level);
    uint8_t *host = frame->host;

    for (unsigned i = 0; i < frame->count; i++) {
        if (host) {
            store_host(host + (frame->count - 1 - i) * frame->size, frame->words[i], frame->size);
        } else if (frame->size == 2) {
            emu_write_kind_u16(cpu, frame->linear[i], frame->words[i], kind);
        } else if (frame->size == 4) {
            emu_write_kind_u32(cpu, frame->linear[i], frame->words[i], kind);
        } else {
            emu_write_kind_u64(cpu, frame->linear[i], frame->words[i], kind);
        }
    }
}

/* ---- Popping ---- */

uint64_t emu_pop_word(EmuCpu *cpu, EmuPops *pops)
{
    uint64_t linear, value;

    if (cpu->mode & EMU_MODE_CS64) {
        linear = pops->sp;
        if (!emu_is_canonical(cpu, linear) || !emu_is_canonical(cpu, linear + pops->size - 1)) {
            emu_raise(cpu, X86_SS_FAULT, 0);
        }
    } else {
        linear = emu_linear(cpu, X86_SS, pops->sp, pops->size, EMU_READ);
    }
    switch (pops->size) {
    case 2:
        value = emu_read_u16(cpu, linear);
        break;
    case 4:
        value = emu_read_u32(cpu, linear);
        break;
    default:
        value = emu_read_u64(cpu, linear);
        break;
    }
    pops->sp += pops->size;
    if (!(cpu->mode & EMU_MODE_CS64)) {
        pops->sp &= cpu->mode & EMU_MODE_SS32 ? UINT32_MAX : UINT16_MAX;
    }
    return value;
}

uint64_t emu_stack_pointer(const EmuCpu *cpu)
{
    uint64_t sp = cpu->regs[X86_RSP];

    return cpu->mode & EMU_MODE_CS64 ? sp : cpu->mode & EMU_MODE_SS32 ? (uint32_t)sp : (uint16_t)sp;
}

void emu_set_stack_pointer(EmuCpu *cpu, uint64_t sp)
{
    if (emu_in_long_mode(cpu) && (cpu->segs[X86_CS].attr & SEG_L)) {
        cpu->regs[X86_RSP] = sp;
    } else if (cpu->segs[X86_SS].attr & SEG_DB) {
        cpu->regs[X86_RSP] = (uint32_t)sp;
    } else {
        *emu_r16(cpu, X86_RSP) = sp;
    }
}

/* ---- Stacks of the TSS ---- */

static uint64_t tss_address(EmuCpu *cpu, unsigned offset, unsigned size)
{
    const X86Segment *tr = &cpu->segs[X86_TR];

    if ((tr->attr & SEG_UNUSABLE) || offset + size - 1 > tr->limit) {
        emu_raise_selector(cpu, X86_TS, tr->selector);
    }
    return emu_table_address(cpu, tr->base + offset);
}

void emu_tss_stack(EmuCpu *cpu, unsigned level, uint16_t *ss, uint64_t *sp)
{
    if (emu_in_long_mode(cpu)) {
        *sp = emu_implicit_read_u64(cpu, tss_address(cpu, 4 + 8 * level, 8));
        *ss = level;
    } else if (cpu->segs[X86_TR].attr & 8) {
        uint64_t at = tss_address(cpu, 4 + 8 * level, 6);

        *sp = emu_implicit_read_u32(cpu, at);
        *ss = emu_implicit_read_u16(cpu, emu_table_address(cpu, at + 4));
    } else {
        uint64_t at = tss_address(cpu, 2 + 4 * level, 4);

        *sp = emu_implicit_read_u16(cpu, at);
        *ss = emu_implicit_read_u16(cpu, emu_table_address(cpu, at + 2));
    }
}

uint64_t emu_tss_ist(EmuCpu *cpu, unsigned index)
{
    return emu_implicit_read_u64(cpu, tss_address(cpu, 0x1c + 8 * index, 8));
}

static void check_inner_segment(EmuCpu *cpu, uint16_t selector, unsigned level,
                                EmuDescriptor *descriptor)
{
    if (emu_is_null(selector)) {
        emu_raise_selector(cpu, X86_TS, 0);
    }
    emu_read_descriptor(cpu, selector, X86_TS, descriptor);
    if ((selector & 3) != level || emu_dpl(descriptor) != level ||
        !emu_is_writable_data(descriptor)) {
        emu_raise_selector(cpu, X86_TS, selector);
    }
    if (!(descriptor->attr & SEG_P)) {
        emu_raise_selector(cpu, X86_SS_FAULT, selector);
    }
}

void emu_inner_stack(EmuCpu *cpu, unsigned level, EmuStack *stack)
{
    uint16_t selector;

    emu_tss_stack(cpu, level, &selector, &stack->sp);
    if (emu_in_long_mode(cpu)) {
        stack->wide = true;
        stack->ss = (X86Segment) {
            .attr = SEG_UNUSABLE | level << SEG_DPL_SHIFT,
            .selector = selector,
        };
        return;
    }
    check_inner_segment(cpu, selector, level, &stack->descriptor);
    stack->wide = false;
    stack->ss = (X86Segment) {
        .base = stack->descriptor.base,
        .limit = stack->descriptor.limit,
        .attr = stack->descriptor.attr | SEG_ACCESSED,
        .selector = selector,
    };
}

void emu_current_stack(const EmuCpu *cpu, bool wide, EmuStack *stack)
{
    stack->ss = cpu->segs[X86_SS];
    stack->sp = emu_stack_pointer(cpu);
    stack->wide = wide;
}

void emu_set_stack(EmuCpu *cpu, const EmuStack *stack, uint64_t sp)
{
    cpu->segs[X86_SS] = stack->ss;
    if (stack->wide) {
        cpu->regs[X86_RSP] = sp;
    } else if (stack->ss.attr & SEG_DB) {
        cpu->regs[X86_RSP] = (uint32_t)sp;
    } else {
        *emu_r16(cpu, X86_RSP) = sp;
    }
}
