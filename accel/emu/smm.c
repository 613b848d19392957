/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System management mode: entry by SMI, the state save map, RSM (AMD APM vol. 2, chapter 10; Intel
 * SDM vol. 3, chapter 32).
 *
 * The map is the last 512 bytes of the 64 KiB from SMBASE. Processors with long mode use AMD64's
 * layout (revision 64h), others that of 32-bit processors (revision 0), whose shadow registers
 * stand where Intel leaves it to the processor. Both can relocate SMBASE and restart HLT; neither
 * restarts I/O instructions.
 */
#include <inttypes.h>
#include <string.h>

#include "accel/emu/exec.h"
#include "accel/emu/flags.h"
#include "accel/emu/mem.h"
#include "accel/emu/system-internal.h"
#include "util/log.h"

#define MAP_OFFSET 0xfe00u
#define MAP_SIZE 512u
#define REVISION_RELOCATES 0x20000u
#define REVISION_AMD64 0x64u
#define ENTRY_OFFSET 0x8000u

/* In the map; offsets count from MAP_OFFSET. */
enum {
    AT_REVISION = 0xfc,
    AT64_SMBASE = 0x100,
    AT64_HALTED = 0xc9,
    AT64_RIP = 0x178, AT64_RFLAGS = 0x170,
    AT64_DR6 = 0x168, AT64_DR7 = 0x160,
    AT64_CR0 = 0x158, AT64_CR3 = 0x150, AT64_CR4 = 0x148, AT64_EFER = 0xd0,
    AT64_GDTR = 0x60, AT64_IDTR = 0x80,
    AT32_SMBASE = 0xf8,
    AT32_HALTED = 0x102,
    AT32_CR0 = 0x1fc, AT32_CR3 = 0x1f8, AT32_EFLAGS = 0x1f4, AT32_EIP = 0x1f0,
    AT32_DR6 = 0x1cc, AT32_DR7 = 0x1c8,
    AT32_SELECTORS = 0x1a8,   /* ES, CS, SS, DS, FS, GS, LDTR, TR, four bytes each */
    AT32_SHADOWS = 0x10,      /* in the same order: attributes, limit, base */
    AT32_GDTR = 0x70, AT32_IDTR = 0x78, /* limit, base */
    AT32_CR4 = 0x80,
};

/* RAX at 1f8, the others below it in the order of their numbers. */
static unsigned gpr_offset64(unsigned reg)
{
    return 0x1f8 - reg * 8;
}

/* EDI at 1ec, ESI at 1e8 and so on down to EAX at 1d0. */
static unsigned gpr_offset32(unsigned reg)
{
    return 0x1d0 + reg * 4;
}

/* Where each segment register's 16 bytes stand. */
static const uint8_t seg_offset64[X86_SEG__MAX] = {
    [X86_ES] = 0x00, [X86_CS] = 0x10, [X86_SS] = 0x20, [X86_DS] = 0x30,
    [X86_FS] = 0x40, [X86_GS] = 0x50, [X86_LDTR] = 0x70, [X86_TR] = 0x90,
};

typedef struct SaveMap {
    uint8_t bytes[MAP_SIZE];
} SaveMap;

/* What a map says, or will say. */
typedef struct SavedState {
    uint64_t regs[X86_REG__MAX], rip, rflags;
    X86Segment segs[X86_SEG__MAX];
    X86Table gdt, idt;
    uint64_t cr0, cr3, cr4, efer, dr6, dr7;
    uint32_t smbase;
    bool halted;
} SavedState;

static bool has_long_mode(const EmuCpu *cpu)
{
    return emu_sys_has(cpu->sys, F_LM);
}

/* ---- AMD64's layout ---- */

static void put_segment64(SaveMap *map, unsigned seg, const X86Segment *in)
{
    uint8_t *at = map->bytes + seg_offset64[seg];
    uint32_t attr = in->attr & SEG_UNUSABLE ? in->attr & ~(uint32_t)SEG_P : in->attr;

    stw_le(at, in->selector);
    stw_le(at + 2, (uint16_t)attr);
    stl_le(at + 4, in->limit);
    stq_le(at + 8, in->base);
}

static void get_segment64(const SaveMap *map, unsigned seg, X86Segment *out)
{
    const uint8_t *at = map->bytes + seg_offset64[seg];

    out->selector = ldw_le(at);
    out->attr = ldw_le(at + 2) & 0xf0ff;
    out->attr |= out->attr & SEG_P ? 0 : SEG_UNUSABLE;
    out->limit = ldl_le(at + 4);
    out->base = ldq_le(at + 8);
}

static const struct {
    uint16_t at;
    uint16_t offset; /* in SavedState */
} words64[] = {
    { AT64_RIP, offsetof(SavedState, rip) },   { AT64_RFLAGS, offsetof(SavedState, rflags) },
    { AT64_DR6, offsetof(SavedState, dr6) },   { AT64_DR7, offsetof(SavedState, dr7) },
    { AT64_CR0, offsetof(SavedState, cr0) },   { AT64_CR3, offsetof(SavedState, cr3) },
    { AT64_CR4, offsetof(SavedState, cr4) },   { AT64_EFER, offsetof(SavedState, efer) },
    { AT64_GDTR + 8, offsetof(SavedState, gdt.base) },
    { AT64_IDTR + 8, offsetof(SavedState, idt.base) },
};

static void put_map64(SaveMap *map, const SavedState *state)
{
    for (size_t i = 0; i < G_N_ELEMENTS(words64); i++) {
        uint64_t value;

        memcpy(&value, (const char *)state + words64[i].offset, sizeof(value));
        stq_le(map->bytes + words64[i].at, value);
    }
    for (unsigned i = 0; i < X86_REG__MAX; i++) {
        stq_le(map->bytes + gpr_offset64(i), state->regs[i]);
    }
    for (unsigned i = 0; i < X86_SEG__MAX; i++) {
        put_segment64(map, i, &state->segs[i]);
    }
    stw_le(map->bytes + AT64_GDTR + 4, state->gdt.limit);
    stw_le(map->bytes + AT64_IDTR + 4, state->idt.limit);
    map->bytes[AT64_HALTED] = state->halted;
    stl_le(map->bytes + AT64_SMBASE, state->smbase);
    stl_le(map->bytes + AT_REVISION, REVISION_RELOCATES | REVISION_AMD64);
}

static void get_map64(const SaveMap *map, SavedState *state)
{
    for (size_t i = 0; i < G_N_ELEMENTS(words64); i++) {
        uint64_t value = ldq_le(map->bytes + words64[i].at);

        memcpy((char *)state + words64[i].offset, &value, sizeof(value));
    }
    for (unsigned i = 0; i < X86_REG__MAX; i++) {
        state->regs[i] = ldq_le(map->bytes + gpr_offset64(i));
    }
    for (unsigned i = 0; i < X86_SEG__MAX; i++) {
        get_segment64(map, i, &state->segs[i]);
    }
    state->gdt.limit = ldw_le(map->bytes + AT64_GDTR + 4);
    state->idt.limit = ldw_le(map->bytes + AT64_IDTR + 4);
    state->halted = map->bytes[AT64_HALTED] & 1;
    state->smbase = ldl_le(map->bytes + AT64_SMBASE);
}

/* ---- The 32-bit layout ---- */

static const struct {
    uint16_t at;
    uint16_t offset;
} words32[] = {
    { AT32_EIP, offsetof(SavedState, rip) }, { AT32_EFLAGS, offsetof(SavedState, rflags) },
    { AT32_DR6, offsetof(SavedState, dr6) }, { AT32_DR7, offsetof(SavedState, dr7) },
    { AT32_CR0, offsetof(SavedState, cr0) }, { AT32_CR3, offsetof(SavedState, cr3) },
    { AT32_CR4, offsetof(SavedState, cr4) }, { AT32_GDTR + 4, offsetof(SavedState, gdt.base) },
    { AT32_IDTR + 4, offsetof(SavedState, idt.base) },
};

static void put_map32(SaveMap *map, const SavedState *state)
{
    for (size_t i = 0; i < G_N_ELEMENTS(words32); i++) {
        uint64_t value;

        memcpy(&value, (const char *)state + words32[i].offset, sizeof(value));
        stl_le(map->bytes + words32[i].at, (uint32_t)value);
    }
    for (unsigned i = 0; i <= X86_RDI; i++) {
        stl_le(map->bytes + gpr_offset32(i), (uint32_t)state->regs[i]);
    }
    for (unsigned i = 0; i < X86_SEG__MAX; i++) {
        const X86Segment *seg = &state->segs[i];
        uint8_t *shadow = map->bytes + AT32_SHADOWS + 12 * i;

        stl_le(map->bytes + AT32_SELECTORS + 4 * i, seg->selector);
        stl_le(shadow, seg->attr);
        stl_le(shadow + 4, seg->limit);
        stl_le(shadow + 8, (uint32_t)seg->base);
    }
    stl_le(map->bytes + AT32_GDTR, state->gdt.limit);
    stl_le(map->bytes + AT32_IDTR, state->idt.limit);
    map->bytes[AT32_HALTED] = state->halted;
    stl_le(map->bytes + AT32_SMBASE, state->smbase);
    stl_le(map->bytes + AT_REVISION, REVISION_RELOCATES);
}

static void get_map32(const SaveMap *map, SavedState *state)
{
    memset(state, 0, sizeof(*state));
    for (size_t i = 0; i < G_N_ELEMENTS(words32); i++) {
        uint64_t value = ldl_le(map->bytes + words32[i].at);

        memcpy((char *)state + words32[i].offset, &value, sizeof(value));
    }
    for (unsigned i = 0; i <= X86_RDI; i++) {
        state->regs[i] = ldl_le(map->bytes + gpr_offset32(i));
    }
    for (unsigned i = 0; i < X86_SEG__MAX; i++) {
        const uint8_t *shadow = map->bytes + AT32_SHADOWS + 12 * i;

        state->segs[i] = (X86Segment) {
            .selector = ldw_le(map->bytes + AT32_SELECTORS + 4 * i),
            .attr = ldl_le(shadow) & 0x1f0ff, .limit = ldl_le(shadow + 4),
            .base = ldl_le(shadow + 8),
        };
    }
    state->gdt.limit = ldw_le(map->bytes + AT32_GDTR);
    state->idt.limit = ldw_le(map->bytes + AT32_IDTR);
    state->halted = map->bytes[AT32_HALTED] & 1;
    state->smbase = ldl_le(map->bytes + AT32_SMBASE);
}

/* ---- Entry (SDM vol. 3, table 32-4) ---- */

static void collect(const EmuCpu *cpu, SavedState *state)
{
    *state = (SavedState) {
        .rip = cpu->rip, .rflags = emu_rflags(cpu), .gdt = cpu->gdt, .idt = cpu->idt,
        .cr0 = cpu->cr0, .cr3 = cpu->cr3, .cr4 = cpu->cr4, .efer = cpu->efer,
        .dr6 = cpu->dr[6], .dr7 = cpu->dr[7], .smbase = (uint32_t)cpu->smbase,
        .halted = cpu->halted,
    };
    memcpy(state->regs, cpu->regs, sizeof(state->regs));
    memcpy(state->segs, cpu->segs, sizeof(state->segs));
}

static void set_entry_state(EmuCpu *cpu)
{
    const uint32_t attr = SEG_P | SEG_S | SEG_WRITABLE | SEG_ACCESSED | SEG_G;

    cpu->rip = ENTRY_OFFSET;
    cpu->rflags = FLAG_ONE;
    emu_flags_set(cpu, 0);
    cpu->cr0 &= ~(uint64_t)(CR0_PE | CR0_EM | CR0_TS | CR0_PG);
    cpu->cr4 = 0;
    cpu->efer = 0;
    cpu->dr[7] = DR7_FIXED;
    cpu->idt = (X86Table) { 0 };
    for (unsigned i = X86_ES; i <= X86_GS; i++) {
        cpu->segs[i] = (X86Segment) { .limit = UINT32_MAX, .attr = attr };
    }
    cpu->segs[X86_CS].selector = (uint16_t)(cpu->smbase >> 4);
    cpu->segs[X86_CS].base = cpu->smbase;
    cpu->shadow = 0;
    cpu->sys->debug_pending = 0;
}

void emu_enter_smm(EmuCpu *cpu)
{
    uint64_t base = cpu->smbase + MAP_OFFSET;
    SaveMap map = { { 0 } };
    SavedState state;

    if (emu_log_events(cpu)) {
        log_printf(LOG_INT, "cpu %u: SMI at %04x:%" PRIx64 "\n", cpu->vcpu->index,
                   cpu->segs[X86_CS].selector, cpu->rip);
    }
    collect(cpu, &state);
    if (has_long_mode(cpu)) {
        put_map64(&map, &state);
    } else {
        put_map32(&map, &state);
    }
    memcpy(cpu->sys->smm_pdptr, cpu->pdptr, sizeof(cpu->pdptr));
    if (cpu->halted) {
        emu_set_halted(cpu, false);
    }
    cpu->in_smm = true;
    cpu->nmi_masked_before_smm = cpu->nmi_masked;
    cpu->nmi_masked = true;
    for (unsigned i = 0; i < MAP_SIZE; i += 8) {
        emu_phys_write(cpu, base + i, ldq_le(map.bytes + i), 8);
    }
    set_entry_state(cpu);
    emu_tlb_flush_all(cpu);
    emu_update_mode(cpu);
}

/* ---- RSM ---- */

/* What RSM refuses puts the processor into shutdown. */
static bool is_valid(const EmuCpu *cpu, const SavedState *state)
{
    bool paging = state->cr0 & CR0_PG, long_mode = paging && (state->efer & EFER_LME);
    const uint64_t efer_known = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;

    return emu_cr0_valid(cpu, state->cr0) && !(state->cr4 & ~emu_cr4_allowed(cpu->sys)) &&
           !(state->efer & ~efer_known) && !(long_mode && !(state->cr4 & CR4_PAE)) &&
           !((state->cr4 & CR4_PCIDE) && !long_mode) &&
           !(state->cr3 & (long_mode ? ~cpu->sys->physical_mask : ~(uint64_t)UINT32_MAX));
}

static void restore(EmuCpu *cpu, const SavedState *state)
{
    bool long_mode = (state->cr0 & CR0_PG) && (state->efer & EFER_LME);

    memcpy(cpu->regs, state->regs, sizeof(state->regs));
    memcpy(cpu->segs, state->segs, sizeof(state->segs));
    cpu->rip = state->rip;
    cpu->gdt = state->gdt;
    cpu->idt = state->idt;
    cpu->cr0 = state->cr0 | CR0_ET;
    cpu->cr3 = state->cr3;
    cpu->cr4 = state->cr4;
    cpu->efer = (state->efer & ~(uint64_t)EFER_LMA) | (long_mode ? EFER_LMA : 0);
    cpu->dr[6] = (state->dr6 & (DR6_HIT | DR6_BD | DR6_BS | DR6_BT)) | DR6_FIXED;
    cpu->dr[7] = (state->dr7 & 0xffff23ffu) | DR7_FIXED;
    cpu->smbase = state->smbase;
    memcpy(cpu->pdptr, cpu->sys->smm_pdptr, sizeof(cpu->pdptr));
    cpu->in_smm = false;
    cpu->nmi_masked = cpu->nmi_masked_before_smm;
    cpu->shadow = 0;
    emu_write_rflags(cpu, state->rflags, UINT64_MAX);
}

void emu_op_rsm(EmuCpu *cpu, const EmuOp *op)
{
    uint64_t base = cpu->smbase + MAP_OFFSET;
    SaveMap map;
    SavedState state;

    if (!cpu->in_smm) {
        emu_raise_plain(cpu, X86_UD);
    }
    for (unsigned i = 0; i < MAP_SIZE; i += 8) {
        stq_le(map.bytes + i, emu_phys_read(cpu, base + i, 8));
    }
    if (has_long_mode(cpu)) {
        get_map64(&map, &state);
    } else {
        get_map32(&map, &state);
        state.efer = cpu->efer;
    }
    if (!is_valid(cpu, &state)) {
        cpu->triple_fault = true;
        emu_escape(cpu, EMU_EXIT_LEAVE);
    }
    restore(cpu, &state);
    if (emu_log_events(cpu)) {
        log_printf(LOG_INT, "cpu %u: RSM to %04x:%" PRIx64 "\n", cpu->vcpu->index,
                   cpu->segs[X86_CS].selector, cpu->rip);
    }
    emu_tlb_flush_all(cpu);
    emu_update_mode(cpu);
    emu_check_lines(cpu);
    if (state.halted) {
        emu_set_halted(cpu, true);
    }
}
