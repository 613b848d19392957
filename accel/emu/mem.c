/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accesses that miss the first-level TLB: translations that are not there yet, pages whose accesses
 * are more than a copy, and accesses that cross into another page. Everything that can raise comes
 * before the first byte is written.
 */
#include "accel/emu/block.h"
#include "accel/emu/check.h"
#include "accel/emu/exec.h"
#include "accel/emu/mmu.h"
#include "accel/emu/system.h"

/* Longest line within which hosts do misaligned atomic operations at once. */
#define CACHE_LINE 64u

/* An access that reaches from the end of one page into the next. */
typedef struct Crossing {
    uint64_t linear[2];
    uint64_t physical[2]; /* of the first byte of each part */
    unsigned len[2];
} Crossing;

static unsigned page_offset(uint64_t linear)
{
    return linear & (EMU_PAGE_SIZE - 1);
}

static bool crosses(uint64_t linear, unsigned size)
{
    return page_offset(linear) + size > EMU_PAGE_SIZE;
}

/*
 * What is checked before translating, in the processor's order: canonical form of the first byte,
 * alignment (`align` 1: none), canonical form of the rest. Gives the linear address and kind to
 * translate with.
 */
static uint64_t begin_access(EmuCpu *cpu, uint64_t linear, unsigned size, unsigned align,
                             EmuTlbKind *kind)
{
    if (!(cpu->mode & EMU_MODE_LONG)) {
        linear = (uint32_t)linear;
    }
    if (*kind == EMU_TLB_USER_ALIGN) {
        if (linear & (align - 1)) {
            if (cpu->mode & EMU_MODE_LONG) {
                emu_check_canonical(cpu, linear, 1, false);
            }
            emu_raise(cpu, X86_AC, 0);
        }
        *kind = EMU_TLB_USER;
    }
    if (cpu->mode & EMU_MODE_LONG) {
        emu_check_canonical(cpu, linear, size, false);
    }
    return linear;
}

/* What the processor checks the alignment of, where the whole is longer than a register. */
static unsigned bulk_alignment(unsigned len)
{
    switch (len) {
    case 10: /* FLD m80 */
        return 8;
    case 28: /* FSTENV, FSAVE */
    case 108:
        return 4;
    case 14:
    case 94:
        return 2;
    default:
        return 1;
    }
}

static void before_watched(EmuCpu *cpu, uint64_t linear, unsigned size, bool is_write)
{
    if (EMU_UNLIKELY(cpu->vcpu->debug.count)) {
        emu_debug_before_access(cpu, linear, size, is_write);
    }
}

static void note_watch(EmuCpu *cpu, uint64_t linear, unsigned size, bool is_write)
{
    if (EMU_UNLIKELY(emu_debug_watches_page(cpu, linear & EMU_PAGE_MASK))) {
        emu_debug_data_access(cpu, linear, size, is_write);
    }
}

/* ---- Stores over the code that is running ---- */

/* Does a write hit what comes behind the running op in its block? */
static bool hits_running_code(const EmuCpu *cpu, uint64_t code_page, unsigned offset, unsigned len)
{
    const EmuBlock *block = cpu->block;

    if (!block || block->op_count < 2 || !cpu->op ||
        (block->physical & EMU_PAGE_MASK) != code_page) {
        return false;
    }
    return offset < (block->physical & ~EMU_PAGE_MASK) + block->bytes &&
           offset + len > cpu->op->page_offset + cpu->op->length;
}

/*
 * A write of the running instruction is about to go to the page. If it changes code that has been
 * decoded already and would run next, the instruction is begun anew as a block by itself; so far it
 * has done nothing.
 */
static void before_write(EmuCpu *cpu, const EmuPage *page, uint64_t linear, unsigned len)
{
    if (EMU_UNLIKELY(cpu->check)) {
        emu_check_before_write(cpu, page, linear, len);
    }
    if (EMU_LIKELY(!hits_running_code(cpu, (uintptr_t)page->read, page_offset(linear), len))) {
        return;
    }
    cpu->rip = emu_mask_ip(cpu, emu_op_rip(cpu, cpu->op));
    cpu->step_once = true;
    emu_update_mode(cpu);
    emu_escape(cpu, EMU_EXIT_AGAIN);
}

/* ---- Crossing accesses ---- */

static void translate_crossing(EmuCpu *cpu, uint64_t linear, unsigned size, EmuTlbKind kind,
                               EmuAccess access, Crossing *crossing)
{
    crossing->len[0] = EMU_PAGE_SIZE - page_offset(linear);
    crossing->len[1] = size - crossing->len[0];
    crossing->linear[0] = linear;
    crossing->linear[1] = linear + crossing->len[0];
    if (!(cpu->mode & EMU_MODE_CS64) && linear <= UINT32_MAX) {
        crossing->linear[1] = (uint32_t)crossing->linear[1];
    }
    for (unsigned i = 0; i < 2; i++) {
        const EmuPage *page = emu_translate(cpu, crossing->linear[i], kind, access);

        crossing->physical[i] = page->physical + page_offset(crossing->linear[i]);
        if (access == EMU_WRITE) {
            before_write(cpu, page, crossing->linear[i], crossing->len[i]);
        }
    }
}

static void read_crossing(EmuCpu *cpu, const Crossing *crossing, uint8_t *buf)
{
    emu_phys_read_bytes(cpu, crossing->physical[0], buf, crossing->len[0]);
    emu_phys_read_bytes(cpu, crossing->physical[1], buf + crossing->len[0], crossing->len[1]);
    note_watch(cpu, crossing->linear[0], crossing->len[0], false);
    note_watch(cpu, crossing->linear[1], crossing->len[1], false);
}

static void write_crossing(EmuCpu *cpu, const Crossing *crossing, const uint8_t *buf)
{
    emu_phys_write_bytes(cpu, crossing->physical[0], buf, crossing->len[0]);
    emu_phys_write_bytes(cpu, crossing->physical[1], buf + crossing->len[0], crossing->len[1]);
    note_watch(cpu, crossing->linear[0], crossing->len[0], true);
    note_watch(cpu, crossing->linear[1], crossing->len[1], true);
}

/* ---- Single values ---- */

static uint64_t read_page(EmuCpu *cpu, uint64_t linear, unsigned size, EmuTlbKind kind,
                          EmuAccess access)
{
    const EmuPage *page = emu_translate(cpu, linear, kind, access);
    uint64_t value;

    if (access == EMU_WRITE) {
        before_write(cpu, page, linear, size);
    }
    emu_tlb_fill(cpu, linear, kind, access, page);
    value = page->read ? emu_host_load(page->read + page_offset(linear), size) :
                         emu_mmio_read(cpu, page->physical + page_offset(linear), size);
    note_watch(cpu, linear, size, false);
    return value;
}

static uint64_t read_value(EmuCpu *cpu, uint64_t linear, unsigned size, EmuTlbKind kind,
                           EmuAccess access)
{
    Crossing crossing;
    uint64_t value = 0;

    linear = begin_access(cpu, linear, size, size, &kind);
    before_watched(cpu, linear, size, access == EMU_WRITE);
    if (EMU_LIKELY(!crosses(linear, size))) {
        return read_page(cpu, linear, size, kind, access);
    }
    translate_crossing(cpu, linear, size, kind, access, &crossing);
    read_crossing(cpu, &crossing, (uint8_t *)&value);
    return value;
}

uint64_t emu_read_slow(EmuCpu *cpu, uint64_t linear, unsigned size, EmuTlbKind kind)
{
    return read_value(cpu, linear, size, kind, EMU_READ);
}

uint64_t emu_read_for_write_slow(EmuCpu *cpu, uint64_t linear, unsigned size, EmuTlbKind kind)
{
    return read_value(cpu, linear, size, kind, EMU_WRITE);
}

/* The entry is made after the store, when the page has become dirty. */
static void write_page(EmuCpu *cpu, uint64_t linear, uint64_t value, unsigned size,
                       EmuTlbKind kind)
{
    const EmuPage *page = emu_translate(cpu, linear, kind, EMU_WRITE);
    unsigned offset = page_offset(linear);

    before_write(cpu, page, linear, size);
    if (page->write) {
        emu_host_store(page->write + offset, value, size);
        emu_note_write(cpu, page, offset, size);
        emu_tlb_fill(cpu, linear, kind, EMU_WRITE, page);
    } else {
        emu_mmio_write(cpu, page->physical + offset, value, size);
    }
    note_watch(cpu, linear, size, true);
}

void emu_write_slow(EmuCpu *cpu, uint64_t linear, uint64_t value, unsigned size, EmuTlbKind kind)
{
    Crossing crossing;

    linear = begin_access(cpu, linear, size, size, &kind);
    before_watched(cpu, linear, size, true);
    if (EMU_LIKELY(!crosses(linear, size))) {
        write_page(cpu, linear, value, size, kind);
        return;
    }
    translate_crossing(cpu, linear, size, kind, EMU_WRITE, &crossing);
    write_crossing(cpu, &crossing, (const uint8_t *)&value);
}

/* ---- Bytes ---- */

void emu_read_bytes_slow(EmuCpu *cpu, uint64_t linear, void *buf, unsigned len)
{
    EmuTlbKind kind = cpu->tlb.current;
    const EmuPage *page;
    Crossing crossing;

    if (!len) {
        return;
    }
    linear = begin_access(cpu, linear, len, bulk_alignment(len), &kind);
    before_watched(cpu, linear, len, false);
    if (crosses(linear, len)) {
        translate_crossing(cpu, linear, len, kind, EMU_READ, &crossing);
        read_crossing(cpu, &crossing, buf);
        return;
    }
    page = emu_translate(cpu, linear, kind, EMU_READ);
    if (page->read) {
        memcpy(buf, page->read + page_offset(linear), len);
        emu_tlb_fill(cpu, linear, kind, EMU_READ, page);
    } else {
        emu_phys_read_bytes(cpu, page->physical + page_offset(linear), buf, len);
    }
    note_watch(cpu, linear, len, false);
}

void emu_write_bytes_slow(EmuCpu *cpu, uint64_t linear, const void *buf, unsigned len)
{
    EmuTlbKind kind = cpu->tlb.current;
    const EmuPage *page;
    Crossing crossing;

    if (!len) {
        return;
    }
    linear = begin_access(cpu, linear, len, bulk_alignment(len), &kind);
    before_watched(cpu, linear, len, true);
    if (crosses(linear, len)) {
        translate_crossing(cpu, linear, len, kind, EMU_WRITE, &crossing);
        write_crossing(cpu, &crossing, buf);
        return;
    }
    page = emu_translate(cpu, linear, kind, EMU_WRITE);
    before_write(cpu, page, linear, len);
    if (page->write) {
        memcpy(page->write + page_offset(linear), buf, len);
        emu_note_write(cpu, page, page_offset(linear), len);
        emu_tlb_fill(cpu, linear, kind, EMU_WRITE, page);
    } else {
        emu_phys_write_bytes(cpu, page->physical + page_offset(linear), buf, len);
    }
    note_watch(cpu, linear, len, true);
}

/* ---- Probes ---- */

static void probe(EmuCpu *cpu, uint64_t linear, unsigned len, EmuTlbKind kind, EmuAccess access)
{
    Crossing crossing;

    if (!len) {
        return;
    }
    linear = begin_access(cpu, linear, len, 1, &kind);
    if (crosses(linear, len)) {
        translate_crossing(cpu, linear, len, kind, access, &crossing);
    } else {
        const EmuPage *page = emu_translate(cpu, linear, kind, access);

        if (access == EMU_WRITE) {
            before_write(cpu, page, linear, len);
        }
    }
}

void emu_probe_write(EmuCpu *cpu, uint64_t linear, unsigned len)
{
    probe(cpu, linear, len, cpu->tlb.current, EMU_WRITE);
}

void emu_probe_read(EmuCpu *cpu, uint64_t linear, unsigned len)
{
    probe(cpu, linear, len, cpu->tlb.current, EMU_READ);
}

void emu_implicit_probe_write(EmuCpu *cpu, uint64_t linear, unsigned len)
{
    probe(cpu, linear, len, emu_implicit_kind(cpu), EMU_WRITE);
}

/* ---- LOCK ---- */

/* Can the host do it at once where it is? */
static bool is_host_atomic(uint64_t linear, unsigned size)
{
    if (IS_ALIGNED(linear, size)) {
        return true;
    }
#if defined(__x86_64__)
    return size <= 8 && linear % CACHE_LINE + size <= CACHE_LINE;
#else
    return false;
#endif
}

/*
 * On a private copy, with all others stopped while it is of RAM; devices know no locks, and while a
 * CPU waits for one it must not stop others.
 */
static void begin_copy(EmuCpu *cpu, EmuLocked *locked)
{
    unsigned first = MIN(locked->size, EMU_PAGE_SIZE - page_offset(locked->linear));

    if (emu_phys_is_ram(cpu, locked->physical[0]) &&
        (first == locked->size || emu_phys_is_ram(cpu, locked->physical[1]))) {
        locked->exclusive = true;
        emu_exclusive_begin(cpu);
    }
    locked->atomic = false;
    locked->host = locked->copy;
    emu_phys_read_bytes(cpu, locked->physical[0], locked->copy, first);
    if (first < locked->size) {
        emu_phys_read_bytes(cpu, locked->physical[1], locked->copy + first, locked->size - first);
    }
}

void emu_locked_begin_slow(EmuCpu *cpu, uint64_t linear, unsigned size, EmuLocked *locked)
{
    EmuTlbKind kind = cpu->tlb.current;
    const EmuPage *page;
    Crossing crossing;

    linear = begin_access(cpu, linear, size, MIN(size, 8), &kind);
    before_watched(cpu, linear, size, true);
    *locked = (EmuLocked){ .slow = true, .size = size, .linear = linear };
    if (crosses(linear, size)) {
        translate_crossing(cpu, linear, size, kind, EMU_WRITE, &crossing);
        locked->physical[0] = crossing.physical[0];
        locked->physical[1] = crossing.physical[1];
        begin_copy(cpu, locked);
        return;
    }
    page = emu_translate(cpu, linear, kind, EMU_WRITE);
    before_write(cpu, page, linear, size);
    locked->physical[0] = page->physical + page_offset(linear);
    emu_tlb_fill(cpu, linear, kind, EMU_WRITE, page);
    if (page->write && is_host_atomic(linear, size)) {
        locked->host = page->write + page_offset(linear);
        locked->atomic = true;
    } else {
        begin_copy(cpu, locked);
    }
}

static void end_copy(EmuCpu *cpu, const EmuLocked *locked)
{
    unsigned first = MIN(locked->size, EMU_PAGE_SIZE - page_offset(locked->linear));

    emu_phys_write_bytes(cpu, locked->physical[0], locked->copy, first);
    if (first < locked->size) {
        emu_phys_write_bytes(cpu, locked->physical[1], locked->copy + first, locked->size - first);
    }
}

void emu_locked_end_slow(EmuCpu *cpu, EmuLocked *locked, bool changed)
{
    if (!locked->atomic) {
        if (changed) {
            end_copy(cpu, locked);
        }
        if (locked->exclusive) {
            emu_exclusive_end(cpu);
        }
    } else if (changed) {
        /* The thread has not left guest code since begin: the same host page is there. */
        emu_phys_note_write(cpu, locked->physical[0], locked->size);
    }
    note_watch(cpu, locked->linear, locked->size, true);
}
