/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Model-specific registers: one table says which there are, where each is kept and what may be
 * written (SDM vol. 4; AMD APM vol. 2, appendix A). What it does not list raises #GP(0).
 */
#include <inttypes.h>

#include "accel/emu/mem.h"
#include "accel/emu/system-internal.h"
#include "cpu/x86/msr.h"
#include "util/log.h"

enum {
    MSR_SAVED = 1u << 0,     /* in the list of X86CpuState */
    MSR_LOOSE = 1u << 1,     /* bits that are not writable are ignored; else they raise #GP */
    MSR_INTEL = 1u << 2,     /* on this vendor's processors only */
    MSR_AMD = 1u << 3,
    MSR_NO_READ = 1u << 4,
    MSR_NO_WRITE = 1u << 5,
    MSR_HOST = 1u << 6,      /* the guest cannot reach it */
    MSR_CANONICAL = 1u << 7, /* writes take canonical addresses only */
};

typedef struct MsrSpec MsrSpec;
struct MsrSpec {
    uint32_t first, count;
    uint16_t flags;
    uint16_t needs;     /* X86FeatureId; 0 (F_FPU): always there */
    bool kept;          /* at `offset` in EmuSystem (the first); else it reads as `fixed` */
    uint32_t offset;
    uint64_t writable;
    uint64_t fixed;     /* ORed into what is read */
    bool (*exists)(const EmuSystem *sys);
    bool (*valid)(const EmuCpu *cpu, uint32_t index, uint64_t value);
    /* Instead of the place at `offset`. */
    bool (*read)(EmuCpu *cpu, uint32_t index, uint64_t *value);
    bool (*write)(EmuCpu *cpu, uint32_t index, uint64_t value);
    /* For set_state, instead of storing at `offset`. */
    void (*restore)(EmuCpu *cpu, uint64_t value);
};

/* ---- Which values are allowed ---- */

static bool is_memory_type(unsigned type, bool pat)
{
    return type == 0 || type == 1 || (type >= 4 && type <= 6) || (pat && type == 7);
}

static bool types_valid(uint64_t value, bool pat)
{
    for (unsigned i = 0; i < 8; i++) {
        if (!is_memory_type((uint8_t)(value >> (i * 8)), pat)) {
            return false;
        }
    }
    return true;
}

static bool pat_valid(const EmuCpu *cpu, uint32_t index, uint64_t value)
{
    return types_valid(value, true);
}

static bool mtrr_fixed_valid(const EmuCpu *cpu, uint32_t index, uint64_t value)
{
    return types_valid(value, false);
}

/* Even ones are bases (a type in the low byte), odd ones masks (a valid bit). */
static bool mtrr_variable_valid(const EmuCpu *cpu, uint32_t index, uint64_t value)
{
    uint64_t address = cpu->sys->physical_mask & ~0xfffull;

    return index & 1 ? !(value & ~(address | BIT(11)))
                     : !(value & ~(address | 0xff)) && is_memory_type((uint8_t)value, false);
}

static bool mtrr_def_type_valid(const EmuCpu *cpu, uint32_t index, uint64_t value)
{
    return is_memory_type((uint8_t)value, false);
}

/* Status registers can only be cleared. */
static bool mce_bank_valid(const EmuCpu *cpu, uint32_t index, uint64_t value)
{
    return index % 4 != 1 || value == 0;
}

static bool all_or_nothing(const EmuCpu *cpu, uint32_t index, uint64_t value)
{
    return value == 0 || value == UINT64_MAX;
}

/* ---- Which exist ---- */

static bool has_spec_ctrl(const EmuSystem *sys)
{
    return emu_sys_has(sys, F_SPEC_CTRL) || emu_sys_has(sys, F_STIBP) ||
           emu_sys_has(sys, F_SSBD) || emu_sys_has(sys, F_IBRS) ||
           emu_sys_has(sys, F_AMD_STIBP) || emu_sys_has(sys, F_AMD_SSBD);
}

static bool has_pred_cmd(const EmuSystem *sys)
{
    return emu_sys_has(sys, F_SPEC_CTRL) || emu_sys_has(sys, F_IBPB);
}

static bool has_tsc_aux(const EmuSystem *sys)
{
    return emu_sys_has(sys, F_RDTSCP) || emu_sys_has(sys, F_RDPID);
}

/* ---- Those with effects ---- */

static bool read_tsc(EmuCpu *cpu, uint32_t index, uint64_t *value)
{
    *value = emu_read_tsc(cpu);
    return true;
}

static bool write_tsc(EmuCpu *cpu, uint32_t index, uint64_t value)
{
    emu_write_tsc(cpu, value);
    return true;
}

static bool write_tsc_adjust(EmuCpu *cpu, uint32_t index, uint64_t value)
{
    emu_write_tsc_adjust(cpu, value);
    return true;
}

static bool read_deadline(EmuCpu *cpu, uint32_t index, uint64_t *value)
{
    *value = emu_read_tsc_deadline(cpu);
    return true;
}

static bool write_deadline(EmuCpu *cpu, uint32_t index, uint64_t value)
{
    emu_write_tsc_deadline(cpu, value);
    return true;
}

uint64_t emu_read_apic_base(EmuCpu *cpu)
{
    const VCpu *vcpu = cpu->vcpu;

    /* Its own CPU alone writes it: no lock. */
    return vcpu->apic_ops && vcpu->apic_ops->get_base ? vcpu->apic_ops->get_base(vcpu->apic)
                                                      : vcpu->state.apic_base;
}

static bool read_apic_base(EmuCpu *cpu, uint32_t index, uint64_t *value)
{
    *value = emu_read_apic_base(cpu);
    return true;
}

static bool write_apic_base(EmuCpu *cpu, uint32_t index, uint64_t value)
{
    VCpu *vcpu = cpu->vcpu;
    bool taken, ok;

    if (!vcpu->apic_ops || !vcpu->apic_ops->set_base) {
        return value == vcpu->state.apic_base;
    }
    if ((value & ~cpu->sys->physical_mask) ||
        ((value & BIT(10)) && !emu_sys_has(cpu->sys, F_X2APIC))) {
        return false;
    }
    taken = emu_lock_vm(cpu);
    ok = vcpu->apic_ops->set_base(vcpu->apic, value);
    emu_unlock_vm(cpu, taken);
    emu_check_lines(cpu);
    return ok;
}

static bool read_x2apic(EmuCpu *cpu, uint32_t index, uint64_t *value)
{
    VCpu *vcpu = cpu->vcpu;
    bool taken, ok;

    if (!vcpu->apic_ops || !vcpu->apic_ops->msr_read) {
        return false;
    }
    taken = emu_lock_vm(cpu);
    ok = vcpu->apic_ops->msr_read(vcpu->apic, index, value);
    emu_unlock_vm(cpu, taken);
    return ok;
}

static bool write_x2apic(EmuCpu *cpu, uint32_t index, uint64_t value)
{
    VCpu *vcpu = cpu->vcpu;
    bool taken, ok;

    if (!vcpu->apic_ops || !vcpu->apic_ops->msr_write) {
        return false;
    }
    taken = emu_lock_vm(cpu);
    ok = vcpu->apic_ops->msr_write(vcpu->apic, index, value);
    emu_unlock_vm(cpu, taken);
    emu_check_lines(cpu);
    return ok;
}

static bool read_efer(EmuCpu *cpu, uint32_t index, uint64_t *value)
{
    *value = cpu->efer;
    return true;
}

static bool write_efer(EmuCpu *cpu, uint32_t index, uint64_t value)
{
    return emu_write_efer(cpu, value);
}

bool emu_write_efer(EmuCpu *cpu, uint64_t value)
{
    const EmuSystem *sys = cpu->sys;
    uint64_t allowed = EFER_LMA, old = cpu->efer;

    allowed |= emu_sys_has(sys, F_SYSCALL) ? EFER_SCE : 0;
    allowed |= emu_sys_has(sys, F_LM) ? EFER_LME : 0;
    allowed |= emu_sys_has(sys, F_NX) ? EFER_NXE : 0;
    /* LMA follows LME and paging; software's value of it does not count. */
    value = (value & ~(uint64_t)EFER_LMA) | (old & EFER_LMA);
    if ((value & ~allowed) || (((value ^ old) & EFER_LME) && (cpu->cr0 & CR0_PG))) {
        return false;
    }
    cpu->efer = value;
    if ((value ^ old) & EFER_NXE) {
        emu_tlb_flush_all(cpu);
    }
    return true;
}

static bool read_segment_base(EmuCpu *cpu, uint32_t index, uint64_t *value)
{
    *value = cpu->segs[index == MSR_FS_BASE ? X86_FS : X86_GS].base;
    return true;
}

static bool write_segment_base(EmuCpu *cpu, uint32_t index, uint64_t value)
{
    cpu->segs[index == MSR_FS_BASE ? X86_FS : X86_GS].base = value;
    return true;
}

static bool read_smbase(EmuCpu *cpu, uint32_t index, uint64_t *value)
{
    *value = cpu->smbase;
    return true;
}

static void restore_smbase(EmuCpu *cpu, uint64_t value)
{
    cpu->smbase = (uint32_t)value;
}

static void restore_tsc_adjust(EmuCpu *cpu, uint64_t value)
{
    cpu->sys->tsc_adjust = value;
}

/* The APIC model saves and arms its timer itself. */
static void restore_deadline(EmuCpu *cpu, uint64_t value)
{
    cpu->sys->tsc_deadline = value;
}

/* The bus ratio: the TSC in units of 100 MHz. */
static bool read_platform_info(EmuCpu *cpu, uint32_t index, uint64_t *value)
{
    *value = (cpu->sys->tsc_khz / 100000 & 0xff) << 8;
    return true;
}

static bool read_perf_status(EmuCpu *cpu, uint32_t index, uint64_t *value)
{
    *value = (cpu->sys->tsc_khz / 100000 & 0xff) << 8;
    return true;
}

/*
 * Besides what -cpu names, faults that have no name there; none of them exists here: bits 13 to 15
 * (stale data of I/O), 20 (branch history), 24, 26 (gather), 27 (register file).
 */
static bool read_arch_capabilities(EmuCpu *cpu, uint32_t index, uint64_t *value)
{
    *value = cpu->sys->features[X86_FEAT_ARCH_CAPABILITIES] | 7u << 13 | BIT(20) | BIT(24) |
             BIT(26) | BIT(27);
    return true;
}

/* ---- The table ---- */

#define AT(field) .kept = true, .offset = offsetof(EmuSystem, field)
#define ALL_BITS .writable = UINT64_MAX
/* Registers that configure what this processor does not have: zero, and writes are let pass. */
#define IGNORED(index, n, vendor)                                                                  \
    { .first = (index), .count = (n), .flags = MSR_LOOSE | (vendor) }

/* By number. */
static const MsrSpec specs[] = {
    IGNORED(0x0, 2, 0), /* P5 machine check address and type */
    { MSR_IA32_TSC, 1, MSR_SAVED, .read = read_tsc, .write = write_tsc,
      .restore = emu_restore_tsc },
    { MSR_KVMCLOCK_WALL_OLD, 1, 0, F_KVMCLOCK, AT(plain.kvm_wall), ALL_BITS,
      .write = emu_kvmclock_write_wall },
    { MSR_KVMCLOCK_TIME_OLD, 1, 0, F_KVMCLOCK, AT(plain.kvm_time), ALL_BITS,
      .write = emu_kvmclock_write_time },
    { MSR_IA32_PLATFORM_ID, 1, MSR_NO_WRITE | MSR_INTEL },
    { MSR_IA32_APIC_BASE, 1, .needs = F_APIC, .read = read_apic_base, .write = write_apic_base },
    { MSR_IA32_FEATURE_CONTROL, 1, MSR_NO_WRITE | MSR_INTEL, .fixed = 1 }, /* locked */
    { MSR_IA32_TSC_ADJUST, 1, MSR_SAVED, F_TSC_ADJUST, AT(tsc_adjust), ALL_BITS,
      .write = write_tsc_adjust, .restore = restore_tsc_adjust },
    { MSR_IA32_SPEC_CTRL, 1, MSR_SAVED, 0, AT(plain.spec_ctrl), .writable = 7,
      .exists = has_spec_ctrl },
    { 0x49, 1, MSR_NO_READ, .exists = has_pred_cmd, .writable = 1 }, /* PRED_CMD: a barrier */
    { 0x79, 1, MSR_NO_READ | MSR_LOOSE | MSR_INTEL },                /* microcode update */
    { MSR_IA32_BIOS_SIGN_ID, 1, MSR_LOOSE | MSR_INTEL, .fixed = 1ull << 32 },
    { MSR_IA32_BIOS_SIGN_ID, 1, MSR_LOOSE | MSR_AMD, .fixed = 0x01000065 },
    { MSR_SMBASE, 1, MSR_SAVED | MSR_HOST, .read = read_smbase, .restore = restore_smbase },
    { MSR_PLATFORM_INFO, 1, MSR_NO_WRITE | MSR_INTEL, .read = read_platform_info },
    { MSR_MTRR_CAP, 1, MSR_NO_WRITE, F_MTRR, .fixed = EMU_MTRR_VARIABLE | BIT(8) | BIT(10) },
    { MSR_ARCH_CAPABILITIES, 1, MSR_NO_WRITE, F_ARCH_CAPABILITIES,
      .read = read_arch_capabilities },
    IGNORED(0x11e, 1, MSR_INTEL), /* second-level cache control of the P6 */
    { MSR_SYSENTER_CS, 1, MSR_SAVED, F_SEP, AT(msrs.sysenter_cs), ALL_BITS },
    { MSR_SYSENTER_ESP, 1, MSR_SAVED | MSR_CANONICAL, F_SEP, AT(msrs.sysenter_esp), ALL_BITS },
    { MSR_SYSENTER_EIP, 1, MSR_SAVED | MSR_CANONICAL, F_SEP, AT(msrs.sysenter_eip), ALL_BITS },
    { MSR_MCG_CAP, 1, MSR_NO_WRITE, F_MCA, .fixed = EMU_MCE_BANKS | BIT(8) },
    { MSR_MCG_STATUS, 1, MSR_SAVED | MSR_LOOSE, F_MCA, AT(plain.mcg_status), .writable = 7 },
    { MSR_MCG_CTL, 1, MSR_SAVED, F_MCA, AT(plain.mcg_ctl), ALL_BITS, .valid = all_or_nothing },
    { 0x198, 1, MSR_NO_WRITE | MSR_INTEL, .read = read_perf_status },
    /* Branch trace store and PEBS are unavailable. */
    { MSR_IA32_MISC_ENABLE, 1, MSR_SAVED | MSR_LOOSE | MSR_INTEL, 0, AT(plain.misc_enable),
      .writable = BIT(0) | BIT(3) | BIT(23), .fixed = BIT(11) | BIT(12) },
    { MSR_IA32_DEBUGCTL, 1, MSR_SAVED | MSR_LOOSE, 0, AT(plain.debugctl),
      .writable = DEBUGCTL_BTF }, /* there are no branch records */
    { 0x1db, 4, MSR_NO_WRITE },
    { MSR_MTRR_PHYS_BASE0, 2 * EMU_MTRR_VARIABLE, MSR_SAVED, F_MTRR, AT(plain.mtrr_variable),
      ALL_BITS, .valid = mtrr_variable_valid },
    { MSR_MTRR_FIX64K_00000, 1, MSR_SAVED, F_MTRR, AT(plain.mtrr_fixed[0]), ALL_BITS,
      .valid = mtrr_fixed_valid },
    { MSR_MTRR_FIX16K_80000, 2, MSR_SAVED, F_MTRR, AT(plain.mtrr_fixed[1]), ALL_BITS,
      .valid = mtrr_fixed_valid },
    { MSR_MTRR_FIX4K_C0000, 8, MSR_SAVED, F_MTRR, AT(plain.mtrr_fixed[3]), ALL_BITS,
      .valid = mtrr_fixed_valid },
    { MSR_IA32_PAT, 1, MSR_SAVED, F_PAT, AT(plain.pat), ALL_BITS, .valid = pat_valid },
    { MSR_MTRR_DEF_TYPE, 1, MSR_SAVED, F_MTRR, AT(plain.mtrr_def_type), .writable = 0xcff,
      .valid = mtrr_def_type_valid },
    { MSR_MC0_CTL, 4 * EMU_MCE_BANKS, MSR_SAVED, F_MCA, AT(plain.mce_banks), ALL_BITS,
      .valid = mce_bank_valid },
    { MSR_TSC_DEADLINE, 1, MSR_SAVED, F_TSC_DEADLINE, .read = read_deadline,
      .write = write_deadline, .restore = restore_deadline },
    { MSR_X2APIC_FIRST, MSR_X2APIC_LAST - MSR_X2APIC_FIRST + 1, .needs = F_X2APIC,
      .read = read_x2apic, .write = write_x2apic },
    { MSR_KVMCLOCK_WALL, 1, MSR_SAVED, F_KVMCLOCK2, AT(plain.kvm_wall), ALL_BITS,
      .write = emu_kvmclock_write_wall },
    { MSR_KVMCLOCK_TIME, 1, MSR_SAVED, F_KVMCLOCK2, AT(plain.kvm_time), ALL_BITS,
      .write = emu_kvmclock_write_time },
    { MSR_EFER, 1, .read = read_efer, .write = write_efer },
    { MSR_STAR, 1, MSR_SAVED, F_SYSCALL, AT(msrs.star), ALL_BITS },
    { MSR_LSTAR, 1, MSR_SAVED | MSR_CANONICAL, F_LM, AT(msrs.lstar), ALL_BITS },
    { MSR_CSTAR, 1, MSR_SAVED | MSR_CANONICAL, F_LM, AT(msrs.cstar), ALL_BITS },
    { MSR_SFMASK, 1, MSR_SAVED | MSR_LOOSE, F_SYSCALL, AT(msrs.sfmask), .writable = UINT32_MAX },
    { MSR_FS_BASE, 2, MSR_CANONICAL, F_LM, .read = read_segment_base,
      .write = write_segment_base },
    { MSR_KERNEL_GS_BASE, 1, MSR_SAVED | MSR_CANONICAL, F_LM, AT(msrs.kernel_gs_base), ALL_BITS },
    { MSR_TSC_AUX, 1, MSR_SAVED, 0, AT(msrs.tsc_aux), .writable = UINT32_MAX,
      .exists = has_tsc_aux },
    IGNORED(0xc0010000u, 8, MSR_AMD), /* the four oldest performance counters: Xen clears them */
    { 0xc0010010u, 1, MSR_SAVED | MSR_LOOSE | MSR_AMD, 0, AT(plain.syscfg),
      .writable = 0x7c0000 },
    { 0xc0010015u, 1, MSR_SAVED | MSR_LOOSE | MSR_AMD, 0, AT(plain.hwcr), ALL_BITS },
    { 0xc0010016u, 4, MSR_SAVED | MSR_LOOSE | MSR_AMD, 0, AT(plain.iorr), ALL_BITS },
    { 0xc001001au, 1, MSR_SAVED | MSR_LOOSE | MSR_AMD, 0, AT(plain.top_mem), ALL_BITS },
    { 0xc001001du, 1, MSR_SAVED | MSR_LOOSE | MSR_AMD, 0, AT(plain.top_mem2), ALL_BITS },
    { 0xc001001fu, 1, MSR_SAVED | MSR_LOOSE | MSR_AMD, 0, AT(plain.nb_cfg), ALL_BITS },
    IGNORED(0xc0010020u, 1, MSR_AMD), /* microcode update */
    IGNORED(0xc0010055u, 1, MSR_AMD), /* interrupts in C1E */
    IGNORED(0xc0010058u, 1, MSR_AMD), /* where configuration space is mapped */
    { 0xc0010114u, 1, MSR_LOOSE | MSR_AMD, .fixed = BIT(4) | BIT(3) }, /* VM_CR: SVM locked out */
    { 0xc0010117u, 1, MSR_SAVED | MSR_LOOSE | MSR_AMD, F_SVM, AT(plain.vm_hsave), ALL_BITS },
    { 0xc001011fu, 1, MSR_SAVED | MSR_LOOSE | MSR_AMD, F_VIRT_SSBD, AT(plain.virt_spec_ctrl),
      .writable = BIT(2) },
    { 0xc0010140u, 1, MSR_LOOSE | MSR_AMD, F_OSVW, .fixed = 4 }, /* of so many errata */
    IGNORED(0xc0010141u, 1, MSR_AMD),                            /* none is here */
    IGNORED(0xc001100du, 1, MSR_AMD), /* logical CPU ids */
    IGNORED(0xc0011020u, 4, MSR_AMD), /* load-store, instruction, data, bus unit */
    { 0xc0011029u, 1, MSR_SAVED | MSR_LOOSE | MSR_AMD, 0, AT(plain.de_cfg), ALL_BITS,
      .fixed = BIT(1) },              /* LFENCE serializes */
    IGNORED(0xc001102au, 3, MSR_AMD),
};

static bool is_here(const EmuSystem *sys, const MsrSpec *spec)
{
    if ((spec->flags & MSR_INTEL && sys->amd) || (spec->flags & MSR_AMD && !sys->amd)) {
        return false;
    }
    return emu_sys_has(sys, (X86FeatureId)spec->needs) && (!spec->exists || spec->exists(sys));
}

/* Two rows may share a number, one for each vendor. */
static const MsrSpec *find_spec(const EmuSystem *sys, uint32_t index)
{
    size_t low = 0, high = G_N_ELEMENTS(specs);

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (index >= specs[middle].first + specs[middle].count) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (; low < G_N_ELEMENTS(specs) && specs[low].first <= index; low++) {
        if (is_here(sys, &specs[low])) {
            return &specs[low];
        }
    }
    return NULL;
}

static uint64_t *place_of(EmuSystem *sys, const MsrSpec *spec, uint32_t index)
{
    return spec->kept ? (uint64_t *)((char *)sys + spec->offset) + (index - spec->first) : NULL;
}

static bool read_spec(EmuCpu *cpu, const MsrSpec *spec, uint32_t index, uint64_t *value)
{
    const uint64_t *place = place_of(cpu->sys, spec, index);

    if (spec->read) {
        return spec->read(cpu, index, value);
    }
    *value = spec->fixed | (place ? *place : 0);
    return true;
}

static bool write_spec(EmuCpu *cpu, const MsrSpec *spec, uint32_t index, uint64_t value)
{
    uint64_t *place = place_of(cpu->sys, spec, index);

    if (((spec->flags & MSR_CANONICAL) && emu_sys_has(cpu->sys, F_LM) &&
         !emu_is_canonical(cpu, value)) ||
        (spec->valid && !spec->valid(cpu, index, value))) {
        return false;
    }
    if (spec->write) {
        return spec->write(cpu, index, value);
    }
    if (!(spec->flags & MSR_LOOSE) && (value & ~(spec->writable | spec->fixed))) {
        return false;
    }
    if (place) {
        *place = value & spec->writable;
    }
    return true;
}

bool emu_read_msr(EmuCpu *cpu, uint32_t index, uint64_t *value)
{
    const MsrSpec *spec = find_spec(cpu->sys, index);

    if (!spec || (spec->flags & (MSR_HOST | MSR_NO_READ)) ||
        !read_spec(cpu, spec, index, value)) {
        log_guest_error("CPU %u: RDMSR of %x raises #GP\n", cpu->vcpu->index, index);
        return false;
    }
    return true;
}

bool emu_write_msr(EmuCpu *cpu, uint32_t index, uint64_t value)
{
    const MsrSpec *spec = find_spec(cpu->sys, index);

    if (!spec || (spec->flags & (MSR_HOST | MSR_NO_WRITE)) ||
        !write_spec(cpu, spec, index, value)) {
        log_guest_error("CPU %u: WRMSR of %" PRIx64 " to %x raises #GP\n", cpu->vcpu->index, value,
                        index);
        return false;
    }
    return true;
}

/* ---- State ---- */

void emu_msrs_reset(EmuSystem *sys)
{
    sys->plain.pat = 0x0007040600070406ull;
    sys->plain.misc_enable = 1;
}

void emu_get_msr_list(EmuCpu *cpu, X86CpuState *state)
{
    state->msr_count = 0;
    for (size_t i = 0; i < G_N_ELEMENTS(specs); i++) {
        const MsrSpec *spec = &specs[i];

        for (uint32_t j = 0; (spec->flags & MSR_SAVED) && is_here(cpu->sys, spec) &&
             j < spec->count; j++) {
            uint64_t value = 0;

            read_spec(cpu, spec, spec->first + j, &value);
            x86_cpu_state_set_msr(state, spec->first + j, value);
            if (spec->first == MSR_IA32_TSC) {
                cpu->sys->tsc_told = value;
            }
        }
    }
}

/* What a stream brings is held to the same rules; a value that breaks them is dropped. */
static void restore_spec(EmuCpu *cpu, const MsrSpec *spec, uint32_t index, uint64_t value)
{
    uint64_t *place = place_of(cpu->sys, spec, index);

    if (spec->restore) {
        spec->restore(cpu, value);
    } else if (place && !((spec->flags & MSR_CANONICAL) && !emu_is_canonical(cpu, value)) &&
               (!spec->valid || spec->first == MSR_MC0_CTL || spec->valid(cpu, index, value))) {
        *place = value & spec->writable;
    }
}

void emu_set_msr_list(EmuCpu *cpu, const X86CpuState *state)
{
    for (uint32_t i = 0; i < MIN(state->msr_count, X86_MSR_MAX); i++) {
        uint32_t index = state->msrs[i].index;
        const MsrSpec *spec = find_spec(cpu->sys, index);

        if (spec && (spec->flags & MSR_SAVED)) {
            restore_spec(cpu, spec, index, state->msrs[i].value);
        }
    }
}
