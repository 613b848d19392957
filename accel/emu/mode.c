/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the registers make of the mode that blocks are decoded for.
 */
#include "accel/emu/mem.h"
#include "accel/emu/system.h"

/* SS.DPL counts in protected mode alone. */
static uint32_t privilege(const EmuCpu *cpu)
{
    if (!(cpu->cr0 & CR0_PE)) {
        return 0;
    }
    return cpu->rflags & FLAG_VM ? 3 : cpu->segs[X86_SS].attr >> SEG_DPL_SHIFT & 3;
}

/* Writable data of 4 GiB? */
static bool is_open(const X86Segment *seg)
{
    const uint32_t mask = SEG_UNUSABLE | SEG_P | SEG_S | SEG_CODE | SEG_EXPAND_DOWN | SEG_WRITABLE;

    return seg->limit == UINT32_MAX && (seg->attr & mask) == (SEG_P | SEG_S | SEG_WRITABLE);
}

static bool is_flat_data(const X86Segment *seg)
{
    return seg->base == 0 && is_open(seg);
}

static bool is_flat_code(const X86Segment *seg)
{
    const uint32_t mask = SEG_UNUSABLE | SEG_P | SEG_S | SEG_CODE | SEG_READABLE_CODE;

    return seg->base == 0 && seg->limit == UINT32_MAX &&
           (seg->attr & mask) == (SEG_P | SEG_S | SEG_CODE | SEG_READABLE_CODE);
}

static bool segments_are_flat(const X86Segment *segs)
{
    return is_flat_data(&segs[X86_SS]) && is_flat_data(&segs[X86_DS]) &&
           is_flat_data(&segs[X86_ES]) && is_flat_code(&segs[X86_CS]);
}

void emu_note_segment(EmuCpu *cpu, unsigned seg)
{
    cpu->seg_closed[seg - X86_FS] = !is_open(&cpu->segs[seg]);
}

static uint32_t segment_mode(const EmuCpu *cpu)
{
    uint32_t mode = 0;

    if (cpu->efer & EFER_LMA) {
        mode |= EMU_MODE_LONG;
        if (cpu->segs[X86_CS].attr & SEG_L) {
            return mode | EMU_MODE_CS64 | EMU_MODE_FLAT;
        }
    }
    mode |= cpu->segs[X86_CS].attr & SEG_DB ? EMU_MODE_CS32 : 0;
    mode |= cpu->segs[X86_SS].attr & SEG_DB ? EMU_MODE_SS32 : 0;
    if ((cpu->cr0 & CR0_PE) && !(cpu->rflags & FLAG_VM) && segments_are_flat(cpu->segs)) {
        mode |= EMU_MODE_FLAT;
    }
    return mode;
}

static uint32_t unit_mode(const EmuCpu *cpu)
{
    const uint32_t avx_state = 6;
    uint32_t mode = 0;

    mode |= cpu->cr0 & CR0_EM ? EMU_MODE_CR0_EM : 0;
    mode |= cpu->cr0 & CR0_TS ? EMU_MODE_CR0_TS : 0;
    mode |= cpu->cr0 & CR0_MP ? EMU_MODE_CR0_MP : 0;
    mode |= cpu->cr4 & CR4_OSFXSR ? EMU_MODE_OSFXSR : 0;
    if (cpu->cr4 & CR4_OSXSAVE) {
        mode |= EMU_MODE_OSXSAVE;
        mode |= (cpu->xcr0 & avx_state) == avx_state ? EMU_MODE_AVX : 0;
    }
    mode |= ~cpu->mxcsr & 0x1f80 ? EMU_MODE_MXCSR_TRAP : 0;
    return mode;
}

void emu_update_mode(EmuCpu *cpu)
{
    uint32_t cpl = privilege(cpu);
    uint32_t mode = cpl | segment_mode(cpu) | unit_mode(cpu);

    mode |= cpu->cr0 & CR0_PE ? EMU_MODE_PROT : 0;
    mode |= (cpu->cr0 & CR0_PE) && (cpu->rflags & FLAG_VM) ? EMU_MODE_VM86 : 0;
    mode |= cpu->in_smm ? EMU_MODE_SMM : 0;
    if ((cpu->rflags & FLAG_TF) || cpu->vcpu->debug.single_step || cpu->step_once ||
        emu_debug_armed(cpu)) {
        mode |= EMU_MODE_STEP;
    }
    if (cpl == 3) {
        mode |= (cpu->cr0 & CR0_AM) && (cpu->rflags & FLAG_AC) ? EMU_MODE_ALIGN : 0;
    } else if ((cpu->cr4 & CR4_SMAP) && !(cpu->rflags & FLAG_AC)) {
        mode |= EMU_MODE_SMAP;
    }
    emu_note_segment(cpu, X86_FS);
    emu_note_segment(cpu, X86_GS);
    cpu->mode = mode;
    cpu->tlb.current = emu_tlb_kind(mode);
}
