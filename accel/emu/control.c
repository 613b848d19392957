/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control and debug registers, XCR0 and RFLAGS: what may be written, and what follows from it (SDM
 * vol. 3, 2.5, 4.1, 9.8.5).
 */
#include "accel/emu/flags.h"
#include "accel/emu/mem.h"
#include "accel/emu/system-internal.h"

#define CR0_DEFINED \
    (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | \
     CR0_PG)
#define CR3_NO_FLUSH BIT_ULL(63)
#define PCID_MASK 0xfffu
#define RFLAGS_DEFINED 0x3f7fd5u
#define DR6_WRITABLE (DR6_HIT | DR6_BD | DR6_BS | DR6_BT)
#define DR7_WRITABLE 0xffff23ffu

EmuSystem *emu_system_new(EmuCpu *cpu)
{
    EmuSystem *sys = g_new0(EmuSystem, 1);

    cpu->sys = sys;
    if (!emu_cpuid_init(cpu)) {
        cpu->sys = NULL;
        g_free(sys);
        return NULL;
    }
    emu_msrs_reset(sys);
    emu_tsc_init(cpu);
    cpu->smbase = 0x30000;
    return sys;
}

void emu_system_free(EmuSystem *sys)
{
    if (sys) {
        x86_cpu_config_unref(sys->config);
        g_free(sys);
    }
}

/* ---- CR0 ---- */

static G_NORETURN void general_protection(EmuCpu *cpu)
{
    emu_raise(cpu, X86_GP, 0);
}

bool emu_cr0_valid(const EmuCpu *cpu, uint64_t cr0)
{
    return !(cr0 >> 32) && !((cr0 & CR0_PG) && !(cr0 & CR0_PE)) &&
           !((cr0 & CR0_NW) && !(cr0 & CR0_CD));
}

static bool is_16_bit_tss(const X86Segment *tr)
{
    return !(tr->attr & SEG_UNUSABLE) && ((tr->attr & 0xf) == 1 || (tr->attr & 0xf) == 3);
}

/* May paging be switched on now, with EFER.LME set? */
static bool may_enter_long_mode(const EmuCpu *cpu)
{
    return (cpu->cr4 & CR4_PAE) && !(cpu->segs[X86_CS].attr & SEG_L) &&
           !is_16_bit_tss(&cpu->segs[X86_TR]);
}

/* Before anything changes: raises. */
static void check_paging_switch(EmuCpu *cpu, uint64_t value)
{
    if (value & CR0_PG) {
        if ((cpu->efer & EFER_LME) && !may_enter_long_mode(cpu)) {
            general_protection(cpu);
        }
    } else if ((cpu->mode & EMU_MODE_CS64) || (cpu->cr4 & CR4_PCIDE)) {
        general_protection(cpu);
    }
}

/* PAE paging loads its four entries at these writes (SDM vol. 3, 4.4.1). */
static bool is_pae_paging(uint64_t cr0, uint64_t cr4, uint64_t efer)
{
    return (cr0 & CR0_PG) && (cr4 & CR4_PAE) && !(efer & EFER_LME);
}

void emu_write_cr0(EmuCpu *cpu, uint64_t value)
{
    uint64_t old = cpu->cr0, changed;

    if (!emu_cr0_valid(cpu, value)) {
        general_protection(cpu);
    }
    value = (value & CR0_DEFINED) | CR0_ET;
    changed = value ^ old;
    if (changed & CR0_PG) {
        check_paging_switch(cpu, value);
    }
    if ((changed & (CR0_PG | CR0_CD | CR0_NW)) && is_pae_paging(value, cpu->cr4, cpu->efer)) {
        emu_load_pdptrs(cpu, cpu->cr3);
    }
    cpu->cr0 = value;
    if (changed & CR0_PG) {
        bool longs = (value & CR0_PG) && (cpu->efer & EFER_LME);

        cpu->efer = longs ? cpu->efer | EFER_LMA : cpu->efer & ~(uint64_t)EFER_LMA;
    }
    if (changed & (CR0_PG | CR0_WP | CR0_PE)) {
        emu_tlb_flush_all(cpu);
    }
    if (changed) {
        emu_update_mode(cpu);
    }
}

/* ---- CR3 and CR4 ---- */

static uint64_t cr3_reserved(const EmuCpu *cpu)
{
    return cpu->efer & EFER_LMA ? ~cpu->sys->physical_mask : ~(uint64_t)UINT32_MAX;
}

void emu_write_cr3(EmuCpu *cpu, uint64_t value)
{
    bool keep = false;

    if (cpu->cr4 & CR4_PCIDE) {
        keep = value & CR3_NO_FLUSH;
        value &= ~CR3_NO_FLUSH;
    }
    if (value & cr3_reserved(cpu)) {
        general_protection(cpu);
    }
    if (is_pae_paging(cpu->cr0, cpu->cr4, cpu->efer)) {
        emu_load_pdptrs(cpu, value);
    }
    cpu->cr3 = value;
    if (keep) {
        emu_tlb_switch(cpu);
    } else {
        emu_tlb_flush_local(cpu);
    }
}

uint64_t emu_cr4_allowed(const EmuSystem *sys)
{
    static const struct {
        uint16_t feature;
        uint32_t bits;
    } rows[] = {
        { F_VME, CR4_VME | CR4_PVI }, { F_TSC, CR4_TSD }, { F_DE, CR4_DE }, { F_PSE, CR4_PSE },
        { F_PAE, CR4_PAE }, { F_MCE, CR4_MCE }, { F_PGE, CR4_PGE }, { F_FXSR, CR4_OSFXSR },
        { F_SSE, CR4_OSXMMEXCPT }, { F_UMIP, CR4_UMIP }, { F_LA57, CR4_LA57 },
        { F_FSGSBASE, CR4_FSGSBASE }, { F_PCID, CR4_PCIDE }, { F_XSAVE, CR4_OSXSAVE },
        { F_SMEP, CR4_SMEP }, { F_SMAP, CR4_SMAP },
    };
    uint64_t allowed = CR4_PCE; /* RDPMC faults anyhow */

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        allowed |= emu_sys_has(sys, (X86FeatureId)rows[i].feature) ? rows[i].bits : 0;
    }
    return allowed;
}

static bool cr4_valid(const EmuCpu *cpu, uint64_t value)
{
    uint64_t changed = value ^ cpu->cr4;

    if (value & ~emu_cr4_allowed(cpu->sys)) {
        return false;
    }
    if ((cpu->efer & EFER_LMA) && (!(value & CR4_PAE) || (changed & CR4_LA57))) {
        return false;
    }
    return !(changed & value & CR4_PCIDE) || ((cpu->efer & EFER_LMA) && !(cpu->cr3 & PCID_MASK));
}

void emu_write_cr4(EmuCpu *cpu, uint64_t value)
{
    uint64_t changed = value ^ cpu->cr4;
    const uint64_t paging = CR4_PGE | CR4_PSE | CR4_PAE | CR4_SMEP | CR4_SMAP | CR4_PCIDE |
                            CR4_LA57;

    if (!cr4_valid(cpu, value)) {
        general_protection(cpu);
    }
    if ((changed & (CR4_PGE | CR4_PSE | CR4_PAE | CR4_SMEP)) &&
        is_pae_paging(cpu->cr0, value, cpu->efer)) {
        emu_load_pdptrs(cpu, cpu->cr3);
    }
    cpu->cr4 = value;
    if (changed & paging) {
        emu_tlb_flush_all(cpu);
    }
    if (changed) {
        emu_update_mode(cpu);
    }
}

/* ---- CR8 ---- */

uint64_t emu_read_cr8(EmuCpu *cpu)
{
    VCpu *vcpu = cpu->vcpu;
    uint64_t value;
    bool taken;

    if (!vcpu->apic_ops || !vcpu->apic_ops->get_tpr) {
        return 0;
    }
    taken = emu_lock_vm(cpu);
    value = vcpu->apic_ops->get_tpr(vcpu->apic);
    emu_unlock_vm(cpu, taken);
    return value;
}

void emu_write_cr8(EmuCpu *cpu, uint64_t value)
{
    VCpu *vcpu = cpu->vcpu;
    bool taken;

    if (value > 0xf) {
        general_protection(cpu);
    }
    if (!vcpu->apic_ops || !vcpu->apic_ops->set_tpr) {
        return;
    }
    taken = emu_lock_vm(cpu);
    vcpu->apic_ops->set_tpr(vcpu->apic, (uint8_t)value);
    emu_unlock_vm(cpu, taken);
    emu_check_lines(cpu);
}

/* ---- XCR0 ---- */

bool emu_write_xcr0(EmuCpu *cpu, uint64_t value)
{
    const uint64_t x87 = 1, sse = 2, avx = 4;

    if ((value & ~cpu->sys->xcr0_allowed) || !(value & x87) || ((value & avx) && !(value & sse))) {
        return false;
    }
    cpu->xcr0 = value;
    emu_update_mode(cpu);
    return true;
}

/* ---- Debug registers ---- */

void emu_write_dr(EmuCpu *cpu, unsigned n, uint64_t value)
{
    if (n >= 4 && value >> 32) {
        general_protection(cpu);
    }
    switch (n) {
    case 4:
    case 6:
        cpu->dr[6] = (value & DR6_WRITABLE) | DR6_FIXED;
        break;
    case 5:
    case 7:
        cpu->dr[7] = (value & DR7_WRITABLE) | DR7_FIXED;
        emu_debug_changed(cpu);
        break;
    default:
        cpu->dr[n & 3] = value;
        if (cpu->dr[7] & DR7_ENABLES) {
            emu_debug_changed(cpu);
        }
        break;
    }
}

/* ---- RFLAGS ---- */

void emu_write_rflags(EmuCpu *cpu, uint64_t value, uint64_t mask)
{
    uint64_t old = cpu->rflags, next;

    mask &= RFLAGS_DEFINED;
    if ((mask & FLAG_ARITH) == FLAG_ARITH) {
        emu_flags_set(cpu, (uint32_t)value);
    } else if (mask & FLAG_ARITH) {
        emu_flags_set(cpu, (uint32_t)((emu_flags_get(cpu) & ~mask) | (value & mask)));
    }
    mask &= ~(uint64_t)FLAG_ARITH;
    next = (old & ~mask) | (value & mask) | FLAG_ONE;
    /* RF lasts for one instruction; only breakpoints can tell. */
    if ((next & FLAG_RF) && !emu_debug_armed(cpu)) {
        next &= ~(uint64_t)FLAG_RF;
    }
    cpu->rflags = next;
    if ((old ^ next) & (FLAG_TF | FLAG_AC | FLAG_VM)) {
        emu_update_mode(cpu);
    }
    if (next & ~old & FLAG_IF) {
        emu_check_lines(cpu);
    }
}
