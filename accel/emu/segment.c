/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segments: logical to linear addresses, descriptors, and loading segment registers.
 */
#include "accel/emu/segment.h"

#include "accel/emu/transfer.h"
#include "accel/emu/vendor.h"

/* ---- Logical addresses ---- */

/*
 * Reading past the limit, from below it if the segment grows downward. What goes beyond the
 * last byte of a flat segment goes on at its first.
 */
static bool outside_limit(const X86Segment *segment, uint64_t offset, unsigned size)
{
    uint64_t last = offset + size - 1;

    if ((segment->attr & (SEG_CODE | SEG_EXPAND_DOWN)) == SEG_EXPAND_DOWN) {
        return offset <= segment->limit ||
               last > (segment->attr & SEG_DB ? UINT32_MAX : UINT16_MAX);
    }
    return last > segment->limit && (segment->limit != UINT32_MAX || segment->base);
}

static bool access_refused(const EmuCpu *cpu, const X86Segment *segment, EmuAccess access)
{
    if (emu_in_real_style(cpu)) {
        return false;
    }
    if (segment->attr & SEG_UNUSABLE) {
        return true;
    }
    switch (access) {
    case EMU_READ:
        return (segment->attr & (SEG_CODE | SEG_READABLE_CODE)) == SEG_CODE;
    case EMU_WRITE:
        return (segment->attr & (SEG_CODE | SEG_WRITABLE)) != SEG_WRITABLE;
    default:
        return false;
    }
}

uint64_t emu_segment_address(EmuCpu *cpu, unsigned seg, uint64_t offset, unsigned size,
                             EmuAccess access)
{
    const X86Segment *segment = &cpu->segs[seg];
    unsigned vector = seg == X86_SS ? X86_SS_FAULT : X86_GP;

    if (cpu->mode & EMU_MODE_CS64) {
        uint64_t linear = seg >= X86_FS ? segment->base + offset : offset;

        if (EMU_UNLIKELY(!emu_is_canonical(cpu, linear) ||
                         !emu_is_canonical(cpu, linear + size - 1))) {
            emu_raise(cpu, vector, 0);
        }
        return linear;
    }
    if (EMU_UNLIKELY(access_refused(cpu, segment, access) ||
                     outside_limit(segment, offset, size))) {
        emu_raise(cpu, vector, 0);
    }
    return (uint32_t)(segment->base + offset);
}

/* ---- Descriptors ---- */

void emu_raise_selector(EmuCpu *cpu, unsigned vector, uint16_t selector)
{
    emu_raise(cpu, vector, (selector & ~3u) | cpu->delivering_ext);
}

void emu_raise_gp(EmuCpu *cpu)
{
    emu_raise_selector(cpu, X86_GP, 0);
}

void emu_parse_descriptor(EmuDescriptor *descriptor)
{
    uint64_t raw = descriptor->raw;
    uint32_t limit = (raw & 0xffff) | (raw >> 32 & 0xf0000);

    descriptor->attr = raw >> 40 & 0xf0ff;
    descriptor->limit = descriptor->attr & SEG_G ? limit << 12 | 0xfff : limit;
    descriptor->base = (raw >> 16 & 0xffffff) | (raw >> 32 & 0xff000000) | descriptor->high << 32;
    descriptor->selector = raw >> 16;
    descriptor->offset = raw & 0xffff;
    if (descriptor->attr & 8) {
        descriptor->offset |= (raw >> 32 & 0xffff0000) | descriptor->high << 32;
    }
    descriptor->count = raw >> 32 & 0x1f;
}

/* Where a selector's descriptor begins. False: outside the table. */
static bool locate(const EmuCpu *cpu, uint16_t selector, EmuDescriptor *descriptor, uint64_t *room)
{
    uint64_t offset = selector & ~7u, base = cpu->gdt.base, limit = cpu->gdt.limit;

    if (selector & 4) {
        const X86Segment *ldt = &cpu->segs[X86_LDTR];

        if (ldt->attr & SEG_UNUSABLE) {
            return false;
        }
        base = ldt->base;
        limit = ldt->limit;
    }
    descriptor->address = emu_table_address(cpu, base + offset);
    *room = limit + 1 > offset ? limit + 1 - offset : 0;
    return *room >= 8;
}

static bool find_descriptor(EmuCpu *cpu, uint16_t selector, EmuDescriptor *descriptor)
{
    uint64_t room;

    if (!locate(cpu, selector, descriptor, &room)) {
        return false;
    }
    descriptor->raw = emu_implicit_read_u64(cpu, descriptor->address);
    descriptor->high = 0;
    if (emu_in_long_mode(cpu) && !(descriptor->raw >> 40 & SEG_S)) {
        if (room < 16) {
            return false;
        }
        descriptor->high = emu_implicit_read_u64(cpu, descriptor->address + 8);
    }
    emu_parse_descriptor(descriptor);
    return true;
}

void emu_read_descriptor(EmuCpu *cpu, uint16_t selector, unsigned fault_vector,
                         EmuDescriptor *descriptor)
{
    if (!find_descriptor(cpu, selector, descriptor)) {
        emu_raise_selector(cpu, fault_vector, selector);
    }
}

bool emu_try_descriptor(EmuCpu *cpu, uint16_t selector, EmuDescriptor *descriptor)
{
    return !emu_is_null(selector) && find_descriptor(cpu, selector, descriptor);
}

void emu_update_access_byte(EmuCpu *cpu, EmuDescriptor *descriptor, uint8_t set, uint8_t clear)
{
    uint64_t linear = emu_table_address(cpu, descriptor->address + 5);
    unsigned explicit_kind = cpu->tlb.current;
    EmuLocked locked;

    emu_implicit_probe_write(cpu, linear, 1);
    cpu->tlb.current = emu_implicit_kind(cpu);
    emu_locked_begin(cpu, linear, 1, &locked);
    if (set) {
        __atomic_fetch_or((uint8_t *)locked.host, set, __ATOMIC_SEQ_CST);
    } else {
        __atomic_fetch_and((uint8_t *)locked.host, (uint8_t)~clear, __ATOMIC_SEQ_CST);
    }
    emu_locked_end(cpu, &locked, true);
    cpu->tlb.current = explicit_kind;
    descriptor->attr = (descriptor->attr | set) & ~(uint32_t)clear;
}

/* ---- Segment registers ---- */

void emu_set_segment(EmuCpu *cpu, unsigned seg, uint16_t selector, const EmuDescriptor *descriptor)
{
    cpu->segs[seg] = (X86Segment) {
        .base = descriptor->base,
        .limit = descriptor->limit,
        .attr = descriptor->attr,
        .selector = selector,
    };
}

void emu_set_null_segment(EmuCpu *cpu, unsigned seg, uint16_t selector, unsigned dpl)
{
    cpu->segs[seg] = (X86Segment) {
        .attr = SEG_UNUSABLE | dpl << SEG_DPL_SHIFT,
        .selector = selector,
    };
}

void emu_set_v86_segment(EmuCpu *cpu, unsigned seg, uint16_t selector)
{
    cpu->segs[seg] = (X86Segment) {
        .base = (uint32_t)selector << 4,
        .limit = UINT16_MAX,
        .attr = SEG_P | SEG_DPL | SEG_S | SEG_WRITABLE | SEG_ACCESSED,
        .selector = selector,
    };
}

void emu_load_segment_real(EmuCpu *cpu, unsigned seg, uint16_t selector)
{
    X86Segment *segment = &cpu->segs[seg];

    if (cpu->mode & EMU_MODE_VM86) {
        emu_set_v86_segment(cpu, seg, selector);
        return;
    }
    /* Limit and size stay what protected mode left: 4 GiB segments in real mode. */
    if (segment->attr & SEG_UNUSABLE) {
        segment->limit = UINT16_MAX;
    }
    segment->base = (uint32_t)selector << 4;
    segment->selector = selector;
    segment->attr = (segment->attr & (SEG_DB | SEG_G)) | SEG_P | SEG_S | SEG_WRITABLE |
                    SEG_ACCESSED | (seg == X86_CS ? SEG_CODE : 0);
}

static void load_stack_segment(EmuCpu *cpu, uint16_t selector)
{
    unsigned cpl = emu_cpl(cpu);
    EmuDescriptor descriptor;

    if (emu_is_null(selector)) {
        if (!(cpu->mode & EMU_MODE_CS64) || cpl == 3 || (selector & 3) != cpl) {
            emu_raise_gp(cpu);
        }
        emu_set_null_segment(cpu, X86_SS, selector, cpl);
        return;
    }
    emu_read_descriptor(cpu, selector, X86_GP, &descriptor);
    if ((selector & 3) != cpl || !emu_is_writable_data(&descriptor) ||
        emu_dpl(&descriptor) != cpl) {
        emu_raise_selector(cpu, X86_GP, selector);
    }
    if (!(descriptor.attr & SEG_P)) {
        emu_raise_selector(cpu, X86_SS_FAULT, selector);
    }
    emu_mark_accessed(cpu, &descriptor);
    emu_set_segment(cpu, X86_SS, selector, &descriptor);
}

static bool data_refused(const EmuCpu *cpu, uint16_t selector, const EmuDescriptor *descriptor)
{
    unsigned dpl = emu_dpl(descriptor), code_bits;

    if (!(descriptor->attr & SEG_S)) {
        return true;
    }
    code_bits = descriptor->attr & (SEG_CODE | SEG_READABLE_CODE | SEG_CONFORMING);
    if (code_bits & SEG_CODE) {
        if (!(code_bits & SEG_READABLE_CODE)) {
            return true;
        }
        if (code_bits & SEG_CONFORMING) {
            return false;
        }
    }
    return (selector & 3u) > dpl || emu_cpl(cpu) > dpl;
}

/* In 64-bit code the base of FS and GS counts all the same. */
static void set_null_data_segment(EmuCpu *cpu, unsigned seg, uint16_t selector)
{
    X86Segment before = cpu->segs[seg];

    emu_set_null_segment(cpu, seg, selector, 0);
    if (!emu_vendor(cpu)->null_clears_base) {
        cpu->segs[seg].base = before.base;
        cpu->segs[seg].limit = before.limit;
    }
}

static void load_data_segment(EmuCpu *cpu, unsigned seg, uint16_t selector)
{
    EmuDescriptor descriptor;

    if (emu_is_null(selector)) {
        set_null_data_segment(cpu, seg, selector);
        return;
    }
    emu_read_descriptor(cpu, selector, X86_GP, &descriptor);
    if (data_refused(cpu, selector, &descriptor)) {
        emu_raise_selector(cpu, X86_GP, selector);
    }
    if (!(descriptor.attr & SEG_P)) {
        emu_raise_selector(cpu, X86_NP, selector);
    }
    emu_mark_accessed(cpu, &descriptor);
    emu_set_segment(cpu, seg, selector, &descriptor);
}

void emu_load_segment(EmuCpu *cpu, unsigned seg, uint16_t selector)
{
    if (emu_in_real_style(cpu)) {
        emu_load_segment_real(cpu, seg, selector);
    } else if (seg == X86_SS) {
        load_stack_segment(cpu, selector);
    } else {
        load_data_segment(cpu, seg, selector);
    }
    if (seg == X86_FS || seg == X86_GS) {
        emu_note_segment(cpu, seg);
    }
}

void emu_load_ldtr(EmuCpu *cpu, uint16_t selector, unsigned vector, unsigned not_present)
{
    EmuDescriptor descriptor;

    if (emu_is_null(selector)) {
        emu_set_null_segment(cpu, X86_LDTR, selector, 0);
        return;
    }
    if (selector & 4) {
        emu_raise_selector(cpu, vector, selector);
    }
    emu_read_descriptor(cpu, selector, vector, &descriptor);
    if (emu_type(&descriptor) != TYPE_LDT) {
        emu_raise_selector(cpu, vector, selector);
    }
    if (!(descriptor.attr & SEG_P)) {
        emu_raise_selector(cpu, not_present, selector);
    }
    if (emu_in_long_mode(cpu) && !emu_is_canonical(cpu, descriptor.base)) {
        emu_raise_selector(cpu, vector, selector);
    }
    emu_set_segment(cpu, X86_LDTR, selector, &descriptor);
}

void emu_drop_inner_segments(EmuCpu *cpu)
{
    static const uint8_t data_segments[] = { X86_ES, X86_DS, X86_FS, X86_GS };
    unsigned cpl = cpu->segs[X86_SS].attr >> SEG_DPL_SHIFT & 3;

    for (unsigned i = 0; i < G_N_ELEMENTS(data_segments); i++) {
        const X86Segment *segment = &cpu->segs[data_segments[i]];
        bool conforming = (segment->attr & (SEG_CODE | SEG_CONFORMING)) ==
                          (SEG_CODE | SEG_CONFORMING);

        if (segment->attr & SEG_UNUSABLE) {
            cpu->segs[data_segments[i]].selector = 0; /* selectors 1 to 3 are null too */
        } else if (!conforming && (segment->attr >> SEG_DPL_SHIFT & 3) < cpl) {
            set_null_data_segment(cpu, data_segments[i], 0);
        }
    }
}

/* ---- The I/O permission bitmap ---- */

void emu_check_io(EmuCpu *cpu, uint16_t port, unsigned size)
{
    const X86Segment *tr = &cpu->segs[X86_TR];
    unsigned wanted = ((1u << size) - 1) << (port & 7), at;

    if (!(cpu->mode & EMU_MODE_PROT) ||
        (!(cpu->mode & EMU_MODE_VM86) && emu_cpl(cpu) <= emu_iopl(cpu))) {
        return;
    }
    /* A TSS of 16 bits has no bitmap. */
    if ((tr->attr & SEG_UNUSABLE) || !(tr->attr & 8) || tr->limit < 0x67) {
        emu_raise(cpu, X86_GP, 0);
    }
    at = emu_implicit_read_u16(cpu, emu_table_address(cpu, tr->base + 0x66)) + port / 8;
    if (at + 1 > tr->limit ||
        (emu_implicit_read_u16(cpu, emu_table_address(cpu, tr->base + at)) & wanted)) {
        emu_raise(cpu, X86_GP, 0);
    }
}
