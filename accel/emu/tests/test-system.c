/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The software CPU's system registers: state in and out, CPUID, MSRs, control registers, debug
 * registers, priorities of interrupts, SMM.
 */
#include <string.h>

#include "accel/emu/decode.h"
#include "accel/emu/exec.h"
#include "accel/emu/flags.h"
#include "accel/emu/mem.h"
#include "accel/emu/system-internal.h"
#include "accel/emu/tests/emu-harness.h"
#include "cpu/x86/msr.h"
#include "memory/memory.h"
#include "util/error.h"
#include "util/log.h"
#include "util/timer.h"
#include "util/vm-lock.h"

#define NO_FAULT (-1)

static void fill_random(void *buf, size_t len, GRand *rand)
{
    for (size_t i = 0; i < len; i++) {
        ((uint8_t *)buf)[i] = (uint8_t)g_rand_int(rand);
    }
}

/* ---- Faults ---- */

typedef void ValueFn(EmuCpu *cpu, uint64_t value);

/* The vector that fn raises. */
static int fault_of(EmuCpu *cpu, ValueFn *fn, uint64_t value)
{
    if (sigsetjmp(cpu->escape, 0)) {
        return cpu->fault.vector;
    }
    fn(cpu, value);
    return NO_FAULT;
}

static void set_reset_state(EmuCpu *cpu)
{
    g_autoptr(GError) error = NULL;
    X86CpuState *state = &cpu->vcpu->state;

    g_assert_true(emu_get_state(cpu->vcpu, &error));
    x86_cpu_state_reset(state, true, 0, 0x506e3);
    g_assert_true(emu_set_state(cpu->vcpu, &error));
    g_assert_no_error(error);
}

/* ---- State ---- */

static void random_state(X86CpuState *state, GRand *rand)
{
    fill_random(state->regs, sizeof(state->regs), rand);
    state->rip = (int64_t)(g_rand_int(rand) & 0x7fffffff);
    state->rflags = (g_rand_int(rand) & 0x3e7fd5 & ~(uint32_t)FLAG_TF) | 2;
    for (unsigned i = 0; i < X86_SEG__MAX; i++) {
        state->segs[i] = (X86Segment) {
            .base = g_rand_int(rand), .limit = g_rand_int(rand), .selector = g_rand_int(rand),
            .attr = 0xa093, /* writable data, G, L */
        };
    }
    state->gdt = (X86Table) { g_rand_int(rand), g_rand_int(rand) };
    state->idt = (X86Table) { g_rand_int(rand), g_rand_int(rand) };
    state->cr0 = CR0_PE | CR0_PG | CR0_ET | CR0_WP | CR0_NE;
    state->cr2 = g_rand_int(rand);
    state->cr3 = g_rand_int(rand) & 0x3ffff000;
    state->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXSAVE;
    state->efer = EFER_LME | EFER_LMA | EFER_SCE | EFER_NXE;
    state->dr[0] = g_rand_int(rand);
    state->dr[7] = 0x400;
    state->xcr0 = 7;
    for (unsigned i = 160; i < 416; i++) {
        state->xsave[i] = (uint8_t)g_rand_int(rand);
        state->xsave[i + 416] = (uint8_t)g_rand_int(rand);
    }
    stq_le(state->xsave + 512, 7);
    stw_le(state->xsave, 0x27f);
    stw_le(state->xsave + 2, 0x3800); /* TOP is 7 */
    state->xsave[4] = 0x80;
    fill_random(state->xsave + 32, 10, rand);
    stl_le(state->xsave + 24, 0x9fc0);
    x86_cpu_state_set_msr(state, MSR_STAR, g_rand_int(rand));
    x86_cpu_state_set_msr(state, MSR_LSTAR, g_rand_int(rand));
    x86_cpu_state_set_msr(state, MSR_MTRR_DEF_TYPE, 0xc06);
    x86_cpu_state_set_msr(state, MSR_SMBASE, 0x7e0000);
    state->events.nmi_masked = true;
    state->events.interrupt_shadow = 2;
    state->mp_state = (const X86MpState[]) { X86_MP_RUNNABLE, X86_MP_HALTED, X86_MP_WAIT_FOR_SIPI,
                                            }[g_rand_int_range(rand, 0, 3)];
    state->cr8 = g_rand_int_range(rand, 0, 16);
}

static uint8_t saved_tpr(void *apic)
{
    return *(uint8_t *)apic;
}

static void save_tpr(void *apic, uint8_t cr8)
{
    *(uint8_t *)apic = cr8;
}

/* All but the TSC, which runs. */
static void expect_equal_msrs(const X86CpuState *a, const X86CpuState *b)
{
    g_assert_cmpuint(a->msr_count, ==, b->msr_count);
    for (uint32_t i = 0; i < a->msr_count; i++) {
        uint64_t value;

        g_assert_true(x86_cpu_state_get_msr(b, a->msrs[i].index, &value));
        g_test_message("MSR %x", a->msrs[i].index);
        if (a->msrs[i].index != MSR_IA32_TSC) {
            g_assert_cmphex(a->msrs[i].value, ==, value);
        }
    }
}

static void test_round_trip(EmuCpu *cpu)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(1);
    g_autofree X86CpuState *wanted = g_new0(X86CpuState, 1);
    static const VCpuApicOps apic_ops = { .get_tpr = saved_tpr, .set_tpr = save_tpr };
    X86CpuState *state = &cpu->vcpu->state;
    uint8_t tpr = 0;

    cpu->vcpu->apic_ops = &apic_ops;
    cpu->vcpu->apic = &tpr;
    for (unsigned i = 0; i < 50; i++) {
        set_reset_state(cpu);
        emu_get_state(cpu->vcpu, NULL);
        random_state(state, rand);
        *wanted = *state;
        g_assert_true(emu_set_state(cpu->vcpu, NULL));
        memset(state->regs, 0, sizeof(state->regs));
        memset(state->xsave, 0, sizeof(state->xsave));
        state->cr2 = state->cr8 = state->mp_state = 0;
        state->idt = (X86Table) { 0 };
        g_assert_cmpuint(tpr, ==, wanted->cr8);
        g_assert_cmpint(cpu->halted, ==, wanted->mp_state != X86_MP_RUNNABLE);
        g_assert_true(emu_get_state(cpu->vcpu, NULL));
        g_assert_cmphex(state->cr2, ==, wanted->cr2);
        g_assert_cmphex(state->cr8, ==, wanted->cr8);
        g_assert_cmphex(state->idt.base, ==, wanted->idt.base);
        g_assert_cmphex(state->idt.limit, ==, wanted->idt.limit);
        g_assert_cmphex(state->gdt.limit, ==, wanted->gdt.limit);
        g_assert_cmpint(state->mp_state, ==, wanted->mp_state);
        g_assert_cmpmem(state->regs, sizeof(state->regs), wanted->regs, sizeof(wanted->regs));
        g_assert_cmpmem(state->segs, sizeof(state->segs), wanted->segs, sizeof(wanted->segs));
        g_assert_cmpmem(state->dr, sizeof(state->dr), wanted->dr, sizeof(wanted->dr));
        g_assert_cmphex(state->rip, ==, wanted->rip);
        g_assert_cmphex(state->rflags, ==, wanted->rflags);
        g_assert_cmphex(state->cr0, ==, wanted->cr0);
        g_assert_cmphex(state->cr3, ==, wanted->cr3);
        g_assert_cmphex(state->cr4, ==, wanted->cr4);
        g_assert_cmphex(state->efer, ==, wanted->efer);
        g_assert_cmphex(state->gdt.base, ==, wanted->gdt.base);
        g_assert_cmphex(state->xcr0, ==, wanted->xcr0);
        g_assert_cmpmem(state->xsave + 32, 10, wanted->xsave + 32, 10);
        g_assert_cmpmem(state->xsave, 6, wanted->xsave, 6);
        g_assert_cmpmem(state->xsave + 160, 256, wanted->xsave + 160, 256);
        g_assert_cmpmem(state->xsave + 576, 256, wanted->xsave + 576, 256);
        g_assert_cmphex(ldl_le(state->xsave + 24), ==, 0x9fc0);
        expect_equal_msrs(state, wanted);
        g_assert_true(state->events.nmi_masked);
        g_assert_cmpuint(state->events.interrupt_shadow, ==, 2);
    }
    cpu->vcpu->apic_ops = NULL;
    cpu->vcpu->apic = NULL;
    set_reset_state(cpu);
}

/* PAE paging goes by what was loaded, whatever memory holds by now. */
static void test_pdptrs(EmuCpu *cpu)
{
    enum { TABLE = 0x10000, DIRECTORY = 0x11000, PAGE = 0x200000 };
    const uint64_t entry = PAGE | 0xe3, loaded = DIRECTORY | 1;
    X86CpuState *state = &cpu->vcpu->state;
    uint64_t pdptrs[4];

    set_reset_state(cpu);
    emu_get_state(cpu->vcpu, NULL);
    address_space_write(address_space_memory(), DIRECTORY, &entry, sizeof(entry));
    emu_phys_write(cpu, PAGE + 0x123, 0xabcd, 2);
    state->cr0 |= CR0_PE | CR0_PG;
    state->cr4 = CR4_PAE;
    state->cr3 = TABLE; /* which is empty */
    state->pdptrs_valid = true;
    for (unsigned i = 0; i < 4; i++) {
        state->pdptrs[i] = loaded + i * EMU_PAGE_SIZE;
    }
    memcpy(pdptrs, state->pdptrs, sizeof(pdptrs));
    g_assert_true(emu_set_state(cpu->vcpu, NULL));
    memset(state->pdptrs, 0, sizeof(state->pdptrs));
    g_assert_true(emu_get_state(cpu->vcpu, NULL));
    g_assert_true(state->pdptrs_valid);
    g_assert_cmpmem(state->pdptrs, sizeof(state->pdptrs), pdptrs, sizeof(pdptrs));
    if (!sigsetjmp(cpu->escape, 0)) {
        g_assert_cmphex(emu_implicit_read_u16(cpu, 0x123), ==, 0xabcd);
    } else {
        g_assert_not_reached();
    }
    set_reset_state(cpu);
}

/* The gate is the machine's and no state moves it: what was looked up before is forgotten. */
static void test_a20(EmuCpu *cpu)
{
    X86CpuState *state = &cpu->vcpu->state;

    set_reset_state(cpu);
    emu_phys_write(cpu, 0x1234, 0x11, 1);
    emu_phys_write(cpu, MiB + 0x1234, 0x22, 1);
    emu_get_state(cpu->vcpu, NULL);
    state->cr0 |= CR0_PE;
    g_assert_true(emu_set_state(cpu->vcpu, NULL));
    for (unsigned i = 0; i < 4; i++) {
        bool open = !(i & 1);

        accel_set_a20(open);
        g_assert_true(emu_get_state(cpu->vcpu, NULL));
        g_assert_true(emu_set_state(cpu->vcpu, NULL));
        g_assert_cmphex(accel_a20_mask(), ==, open ? UINT64_MAX : ~(uint64_t)MiB);
        g_assert_cmphex(emu_implicit_read_u8(cpu, MiB + 0x1234), ==, open ? 0x22 : 0x11);
        g_assert_cmphex(emu_implicit_read_u8(cpu, 0x1234), ==, 0x11);
    }
    accel_set_a20(true);
    set_reset_state(cpu);
}

static void test_triple_faults(EmuCpu *cpu)
{
    g_assert_true(log_set_items("int", NULL));
    g_assert_true(log_set_file("/dev/null", NULL));
    for (unsigned i = 0; i < 3; i++) {
        g_assert_true(emu_log_events(cpu));
        emu_log_triple_fault(cpu);
    }
    g_assert_false(emu_log_events(cpu));
    cpu->sys->triple_fault_us -= 11 * G_USEC_PER_SEC;
    g_assert_true(emu_log_events(cpu));
    emu_log_triple_fault(cpu);
    g_assert_true(emu_log_events(cpu)); /* a first one again */
    g_assert_true(log_set_items("", NULL));
    g_assert_false(emu_log_events(cpu));
    g_assert_true(log_set_file(NULL, NULL));
}

static void test_reset(EmuCpu *cpu)
{
    cpu->smbase = 0x7e0000;
    set_reset_state(cpu);
    g_assert_cmphex(cpu->smbase, ==, 0x30000);
    g_assert_cmphex(cpu->rip, ==, 0xfff0);
    g_assert_cmphex(cpu->segs[X86_CS].base, ==, 0xffff0000);
    g_assert_cmphex(cpu->cr0, ==, 0x60000010);
    g_assert_cmphex(cpu->mxcsr, ==, 0x1f80);
    g_assert_cmphex(cpu->fpu.fcw, ==, 0x37f);
    g_assert_cmphex(cpu->dr[7], ==, 0x400);
    g_assert_cmphex(cpu->sys->plain.pat, ==, 0x0007040600070406ull);
    g_assert_false(cpu->halted);
    g_assert_cmpuint(cpu->mode & (EMU_MODE_PROT | EMU_MODE_CS32 | EMU_MODE_CPL), ==, 0);
}

/* What a stream may bring must not be what a guest could never have made. */
static void test_hostile_state(EmuCpu *cpu)
{
    X86CpuState *state = &cpu->vcpu->state;

    emu_get_state(cpu->vcpu, NULL);
    state->cr0 = CR0_PG | CR0_PE;
    state->cr4 = UINT64_MAX;
    state->efer = UINT64_MAX;
    state->xcr0 = UINT64_MAX;
    state->dr[7] = UINT64_MAX;
    state->cr3 = UINT64_MAX;
    state->rflags = UINT64_MAX;
    state->msr_count = 0;
    memset(state->xsave, 0xff, sizeof(state->xsave));
    for (unsigned i = 0; i < X86_MSR_MAX; i++) {
        x86_cpu_state_set_msr(state, 0x200 + i, UINT64_MAX);
    }
    g_assert_true(emu_set_state(cpu->vcpu, NULL));
    g_assert_cmphex(cpu->cr4, ==, emu_cr4_allowed(cpu->sys));
    g_assert_cmphex(cpu->efer & ~0xd01ull, ==, 0);
    g_assert_cmphex(cpu->xcr0, ==, 7);
    g_assert_cmphex(cpu->dr[7], ==, 0xffff27ff);
    g_assert_cmphex(cpu->mxcsr, ==, 0xffff);
    g_assert_cmphex(cpu->rflags & ~0x3fffffull, ==, 0);
    g_assert_cmphex(cpu->sys->plain.pat, ==, 0x0007040600070406ull);
    state->cr0 = CR0_PG;
    g_assert_false(emu_set_state(cpu->vcpu, NULL));
    set_reset_state(cpu);
}

/* ---- CPUID ---- */

static void test_cpuid(EmuCpu *cpu)
{
    uint32_t out[4], last[4];

    emu_cpuid(cpu, 0, 0, out);
    g_assert_cmphex(out[0], >=, 0xd);
    emu_cpuid(cpu, out[0], 0, last);
    emu_cpuid(cpu, 0x12345, 0, out);
    g_assert_cmpmem(out, sizeof(out), last, sizeof(last));
    emu_cpuid(cpu, 0x40000000, 0, out);
    g_assert_cmpmem(&out[1], 12, "KVMKVMKVM\0\0\0", 12);
    g_assert_cmphex(out[0], ==, 0x40000001);
    emu_cpuid(cpu, 0x40000001, 0, out);
    g_assert_cmphex(out[0], ==, BIT(0) | BIT(1) | BIT(3) | BIT(24));
    emu_cpuid(cpu, 0x40000002, 0, out);
    g_assert_cmphex(out[0] | out[1] | out[2] | out[3], ==, 0);
    emu_cpuid(cpu, 1, 0, out);
    g_assert_cmphex(out[2] & BIT(27), ==, 0);
    g_assert_cmphex(out[2] & BIT(26), !=, 0);
    cpu->cr4 |= CR4_OSXSAVE;
    emu_cpuid(cpu, 1, 0, out);
    g_assert_cmphex(out[2] & BIT(27), !=, 0);
    cpu->cr4 &= ~(uint64_t)CR4_OSXSAVE;
    emu_cpuid(cpu, 0xd, 0, out);
    g_assert_cmphex(out[0], ==, 7);
    g_assert_cmpuint(out[1], ==, 576);
    g_assert_cmpuint(out[2], ==, 832);
    g_assert_true(emu_write_xcr0(cpu, 7));
    emu_cpuid(cpu, 0xd, 0, out);
    g_assert_cmpuint(out[1], ==, 832);
    emu_cpuid(cpu, 0xd, 2, out);
    g_assert_cmpuint(out[0], ==, 256);
    g_assert_cmpuint(out[1], ==, 576);
    emu_cpuid(cpu, 0xb, 5, out);
    g_assert_cmpuint(out[2], ==, 5);
    g_assert_true(emu_write_xcr0(cpu, 1));
    g_assert_true(emu_has(cpu, X86_FEAT_7_0_EBX, 5));   /* AVX2 */
    g_assert_false(emu_has(cpu, X86_FEAT_7_0_EBX, 16)); /* AVX-512 */
    g_assert_false(emu_has(cpu, X86_FEAT_1_ECX, 5));    /* VMX */
    g_assert_cmphex(emu_physical_mask(cpu), ==, MASK_ULL(45, 0));
}

/* ---- MSRs ---- */

typedef struct MsrCase {
    uint32_t index;
    uint64_t value;
    bool ok;
} MsrCase;

static const MsrCase msr_cases[] = {
    { MSR_STAR, 0x1234567890abcdefull, true },
    { MSR_LSTAR, 0xffff800000001000ull, true },
    { MSR_LSTAR, 0x0000800000000000ull, false },
    { MSR_KERNEL_GS_BASE, 0x00007fffffffffffull, true },
    { MSR_KERNEL_GS_BASE, 0x8000000000000000ull, false },
    { MSR_FS_BASE, 0xffffffff81000000ull, true },
    { MSR_GS_BASE, 0x1000000000000000ull, false },
    { MSR_SYSENTER_CS, 0x10, true },
    { MSR_SYSENTER_EIP, 0xffff000000000000ull, false },
    { MSR_IA32_PAT, 0x0007010600070106ull, true },
    { MSR_IA32_PAT, 0x0007010600070206ull, false },
    { MSR_IA32_PAT, 0x0307010600070106ull, false },
    { MSR_MTRR_PHYS_BASE0, 0x80000006ull, true },
    { MSR_MTRR_PHYS_BASE0, 0x80000002ull, false },
    { MSR_MTRR_PHYS_BASE0, 0x80000106ull, false },
    { MSR_MTRR_PHYS_BASE0 + 1, 0x3fff80000800ull, true },
    { MSR_MTRR_PHYS_BASE0 + 1, 0xffff80000800ull, false },
    { MSR_MTRR_PHYS_BASE0 + 15, 0x800, true },
    { MSR_MTRR_PHYS_BASE0 + 16, 0x800, false },
    { MSR_MTRR_FIX4K_F8000, 0x0606060606060606ull, true },
    { MSR_MTRR_FIX16K_A0000, 0x0606060606060206ull, false },
    { MSR_MTRR_DEF_TYPE, 0xc06, true },
    { MSR_MTRR_DEF_TYPE, 0x1006, false },
    { MSR_MTRR_CAP, 0, false },
    { MSR_EFER, EFER_LME | EFER_SCE | EFER_NXE, true },
    { MSR_EFER, BIT(12), false },
    { MSR_EFER, 0, true },
    { MSR_TSC_AUX, 0xffffffff, true },
    { MSR_TSC_AUX, BIT_ULL(32), false },
    { MSR_IA32_SPEC_CTRL, 7, true },
    { MSR_IA32_SPEC_CTRL, 0x100, false },
    { MSR_MC0_CTL + 1, 0, true },
    { MSR_MC0_CTL + 1, 1, false },
    { MSR_MC0_CTL, UINT64_MAX, true },
    { MSR_SMBASE, 0x1000, false },
    { MSR_ARCH_CAPABILITIES, 1, false },
    { MSR_KVMCLOCK_WALL, 1, false },
    { MSR_KVMCLOCK_TIME, 2, false },
    { MSR_KVMCLOCK_TIME, 0x1000, true },
    { MSR_KVMCLOCK_TIME, UINT64_MAX & ~3ull, true },
    { MSR_KVMCLOCK_TIME + 1, 0, false },
    { 0x8ff, 1, false },
    { 0xc0010015u, 1, false }, /* AMD's */
    { 0xffffffffu, 1, false },
};

static void test_msrs(EmuCpu *cpu)
{
    uint64_t value;

    for (size_t i = 0; i < G_N_ELEMENTS(msr_cases); i++) {
        const MsrCase *row = &msr_cases[i];

        g_test_message("MSR %x", row->index);
        g_assert_cmpint(emu_write_msr(cpu, row->index, row->value), ==, row->ok);
        if (row->ok) {
            g_assert_true(emu_read_msr(cpu, row->index, &value));
            g_assert_cmphex(value, ==, row->value);
        }
    }
    g_assert_false(emu_read_msr(cpu, MSR_SMBASE, &value));
    g_assert_false(emu_read_msr(cpu, 0x49, &value));
    g_assert_true(emu_read_msr(cpu, MSR_ARCH_CAPABILITIES, &value));
    g_assert_cmphex(value & 1, ==, 1);
    g_assert_true(emu_write_msr(cpu, MSR_GS_BASE, 0x1234000));
    g_assert_cmphex(cpu->segs[X86_GS].base, ==, 0x1234000);
    /* LME must not change while paging is on. */
    cpu->cr0 |= CR0_PG;
    g_assert_false(emu_write_msr(cpu, MSR_EFER, EFER_LME));
    g_assert_true(emu_write_msr(cpu, MSR_EFER, EFER_NXE | EFER_LMA));
    g_assert_cmphex(cpu->efer, ==, EFER_NXE);
    set_reset_state(cpu);
}

static void test_tsc(EmuCpu *cpu)
{
    uint64_t before, after, adjust;

    vm_clock_set_ns(1000000);
    before = emu_read_tsc(cpu);
    g_assert_cmpuint(emu_read_tsc(cpu), ==, before);
    vm_clock_set_ns(2000000);
    after = emu_read_tsc(cpu);
    g_assert_cmpuint(after - before, ==, 1000000 * cpu->sys->tsc_khz / 1000000);
    g_assert_true(emu_write_msr(cpu, MSR_IA32_TSC_ADJUST, 0));
    g_assert_true(emu_write_msr(cpu, MSR_IA32_TSC, 5));
    g_assert_cmpuint(emu_read_tsc(cpu), ==, 5);
    g_assert_true(emu_read_msr(cpu, MSR_IA32_TSC_ADJUST, &adjust));
    g_assert_true(emu_write_msr(cpu, MSR_IA32_TSC_ADJUST, adjust + 10));
    g_assert_cmpuint(emu_read_tsc(cpu), ==, 15);
    /* A state that nobody changed does not turn the clock back. */
    emu_get_state(cpu->vcpu, NULL);
    vm_clock_set_ns(3000000);
    emu_set_state(cpu->vcpu, NULL);
    g_assert_cmpuint(emu_read_tsc(cpu), ==, 15 + cpu->sys->tsc_khz);
    g_assert_true(emu_write_msr(cpu, MSR_TSC_DEADLINE, UINT64_MAX));
    g_assert_true(emu_read_msr(cpu, MSR_TSC_DEADLINE, &adjust));
    g_assert_cmphex(adjust, ==, UINT64_MAX);
    g_assert_true(emu_write_msr(cpu, MSR_TSC_DEADLINE, 1));
    g_assert_true(emu_read_msr(cpu, MSR_TSC_DEADLINE, &adjust));
    g_assert_cmphex(adjust, ==, 0);
    set_reset_state(cpu);
}

/* ---- Control registers ---- */

typedef struct CrCase {
    uint64_t cr0, cr3, cr4, efer; /* before; cr0 0: reset value */
    uint32_t cs_attr;             /* 0: 16-bit code */
    ValueFn *write;
    uint64_t value;
    int fault;
} CrCase;

#define LONG_CR0 (CR0_PE | CR0_PG | CR0_ET)
#define LONG_EFER (EFER_LME | EFER_LMA)
#define CODE64 0xa09bu
#define CODE32 0xc09bu

static const CrCase cr_cases[] = {
    { 0, .write = emu_write_cr0, .value = CR0_PG, .fault = X86_GP },
    { 0, .write = emu_write_cr0, .value = CR0_PE | CR0_NW, .fault = X86_GP },
    { 0, .write = emu_write_cr0, .value = BIT_ULL(32), .fault = X86_GP },
    { 0, .write = emu_write_cr0, .value = CR0_PE | BIT(7), .fault = NO_FAULT },
    { CR0_PE, .efer = EFER_LME, .write = emu_write_cr0, .value = CR0_PE | CR0_PG,
      .fault = X86_GP }, /* no PAE */
    { CR0_PE, .efer = EFER_LME, .cr4 = CR4_PAE, .write = emu_write_cr0, .value = CR0_PE | CR0_PG,
      .fault = NO_FAULT },
    { CR0_PE, .efer = EFER_LME, .cr4 = CR4_PAE, .cs_attr = CODE64, .write = emu_write_cr0,
      .value = CR0_PE | CR0_PG, .fault = X86_GP },
    { LONG_CR0, .efer = LONG_EFER, .cr4 = CR4_PAE, .cs_attr = CODE64, .write = emu_write_cr0,
      .value = CR0_PE, .fault = X86_GP },
    { LONG_CR0, .efer = LONG_EFER, .cr4 = CR4_PAE, .cs_attr = CODE32, .write = emu_write_cr0,
      .value = CR0_PE, .fault = NO_FAULT },
    { LONG_CR0, .efer = LONG_EFER, .cr4 = CR4_PAE | CR4_PCIDE, .cs_attr = CODE32,
      .write = emu_write_cr0, .value = CR0_PE, .fault = X86_GP },
    { LONG_CR0, .efer = LONG_EFER, .cr4 = CR4_PAE, .cs_attr = CODE64, .write = emu_write_cr3,
      .value = BIT_ULL(63) | 0x1000, .fault = X86_GP },
    { LONG_CR0, .efer = LONG_EFER, .cr4 = CR4_PAE | CR4_PCIDE, .cs_attr = CODE64,
      .write = emu_write_cr3, .value = BIT_ULL(63) | 0x1007, .fault = NO_FAULT },
    { LONG_CR0, .efer = LONG_EFER, .cr4 = CR4_PAE, .cs_attr = CODE64, .write = emu_write_cr3,
      .value = BIT_ULL(46), .fault = X86_GP },
    { LONG_CR0, .efer = LONG_EFER, .cr4 = CR4_PAE, .cs_attr = CODE64, .write = emu_write_cr4,
      .value = 0, .fault = X86_GP },
    { LONG_CR0, .efer = LONG_EFER, .cr4 = CR4_PAE, .cs_attr = CODE64, .write = emu_write_cr4,
      .value = CR4_PAE | CR4_PCIDE, .fault = NO_FAULT },
    { LONG_CR0, .cr3 = 0x1001, .efer = LONG_EFER, .cr4 = CR4_PAE, .cs_attr = CODE64,
      .write = emu_write_cr4, .value = CR4_PAE | CR4_PCIDE, .fault = X86_GP },
    { CR0_PE, .write = emu_write_cr4, .value = CR4_PCIDE, .fault = X86_GP },
    { CR0_PE, .write = emu_write_cr4, .value = BIT(13), .fault = X86_GP }, /* VMXE */
    { CR0_PE, .write = emu_write_cr4, .value = CR4_LA57, .fault = X86_GP },
    { CR0_PE, .write = emu_write_cr4, .value = CR4_SMEP | CR4_SMAP | CR4_UMIP | CR4_FSGSBASE,
      .fault = NO_FAULT },
    { CR0_PE, .write = emu_write_cr8, .value = 16, .fault = X86_GP },
    { CR0_PE, .write = emu_write_cr8, .value = 15, .fault = NO_FAULT },
};

static void test_control(EmuCpu *cpu)
{
    for (size_t i = 0; i < G_N_ELEMENTS(cr_cases); i++) {
        const CrCase *row = &cr_cases[i];
        uint64_t cr0, cr3, cr4;

        set_reset_state(cpu);
        cpu->cr0 = row->cr0 ? row->cr0 : cpu->cr0;
        cpu->cr3 = row->cr3;
        cpu->cr4 = row->cr4;
        cpu->efer = row->efer;
        cpu->segs[X86_CS].attr = row->cs_attr ? row->cs_attr : 0x9b;
        emu_update_mode(cpu);
        cr0 = cpu->cr0;
        cr3 = cpu->cr3;
        cr4 = cpu->cr4;
        g_test_message("case %zu", i);
        g_assert_cmpint(fault_of(cpu, row->write, row->value), ==, row->fault);
        if (row->fault != NO_FAULT) {
            g_assert_cmphex(cpu->cr0, ==, cr0);
            g_assert_cmphex(cpu->cr3, ==, cr3);
            g_assert_cmphex(cpu->cr4, ==, cr4);
            g_assert_cmphex(cpu->efer, ==, row->efer);
        }
    }
    set_reset_state(cpu);
    cpu->cr4 = CR4_PAE;
    cpu->efer = EFER_LME;
    emu_write_cr0(cpu, CR0_PE | CR0_PG);
    g_assert_cmphex(cpu->efer, ==, LONG_EFER);
    g_assert_cmphex(cpu->cr0, ==, LONG_CR0);
    g_assert_cmphex(cpu->mode & EMU_MODE_LONG, !=, 0);
    emu_write_cr0(cpu, CR0_PE);
    g_assert_cmphex(cpu->efer, ==, EFER_LME);
    set_reset_state(cpu);
}

static void test_xcr0(EmuCpu *cpu)
{
    static const struct {
        uint64_t value;
        bool ok;
    } cases[] = { { 0, false }, { 1, true }, { 2, false }, { 3, true }, { 5, false }, { 7, true },
                  { 0xe7, false }, { BIT_ULL(63) | 7, false } };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_assert_cmpint(emu_write_xcr0(cpu, cases[i].value), ==, cases[i].ok);
    }
    set_reset_state(cpu);
}

static void test_flags(EmuCpu *cpu)
{
    set_reset_state(cpu);
    emu_write_rflags(cpu, UINT64_MAX, FLAG_ARITH);
    g_assert_cmphex(emu_rflags(cpu), ==, FLAG_ARITH | FLAG_ONE);
    emu_write_rflags(cpu, 0, FLAG_CF);
    g_assert_cmphex(emu_rflags(cpu), ==, (FLAG_ARITH & ~FLAG_CF) | FLAG_ONE);
    emu_write_rflags(cpu, FLAG_RF | FLAG_IF | FLAG_ONE, UINT64_MAX);
    g_assert_cmphex(emu_rflags(cpu), ==, FLAG_IF | FLAG_ONE); /* nobody can tell RF */
    emu_write_rflags(cpu, FLAG_TF, FLAG_TF);
    g_assert_cmphex(cpu->mode & EMU_MODE_STEP, !=, 0);
    emu_write_rflags(cpu, 0, UINT64_MAX);
    g_assert_cmphex(emu_rflags(cpu), ==, FLAG_ONE);
    g_assert_cmphex(cpu->mode & EMU_MODE_STEP, ==, 0);
}

/* ---- Debug registers ---- */

static void run_before(EmuCpu *cpu, uint64_t unused)
{
    emu_debug_before(cpu);
}

static void write_dr6(EmuCpu *cpu, uint64_t value)
{
    emu_write_dr(cpu, 6, value);
}

static void test_debug(EmuCpu *cpu)
{
    set_reset_state(cpu);
    g_assert_cmpint(fault_of(cpu, write_dr6, BIT_ULL(32)), ==, X86_GP);
    g_assert_cmpint(fault_of(cpu, write_dr6, 0), ==, NO_FAULT);
    g_assert_cmphex(cpu->dr[6], ==, 0xffff0ff0);
    emu_write_dr(cpu, 1, 0xfffffff0);
    emu_write_dr(cpu, 7, BIT(2)); /* execute at DR1 */
    g_assert_true(emu_debug_armed(cpu));
    g_assert_cmphex(cpu->mode & EMU_MODE_STEP, !=, 0);
    g_assert_cmpint(fault_of(cpu, run_before, 0), ==, X86_DB);
    g_assert_cmphex(cpu->dr[6], ==, 0xffff0ff2);
    cpu->rflags |= FLAG_RF;
    g_assert_cmpint(fault_of(cpu, run_before, 0), ==, NO_FAULT);
    g_assert_cmphex(cpu->rflags & FLAG_RF, ==, 0);
    /* Four bytes at 1000h, writes. */
    emu_write_dr(cpu, 0, 0x1000);
    emu_write_dr(cpu, 7, BIT(1) | 1 << 16 | 3 << 18);
    g_assert_true(emu_debug_watches_page(cpu, 0x1fff));
    g_assert_false(emu_debug_watches_page(cpu, 0x2000));
    emu_debug_data_access(cpu, 0x1000, 4, false);
    g_assert_cmphex(cpu->sys->debug_pending, ==, 0);
    emu_debug_data_access(cpu, 0x1004, 4, true);
    emu_debug_data_access(cpu, 0xff8, 8, true);
    g_assert_cmphex(cpu->sys->debug_pending, ==, 0);
    emu_debug_data_access(cpu, 0xffc, 8, true);
    g_assert_cmphex(cpu->sys->debug_pending, ==, 1);
    set_reset_state(cpu);
    g_assert_false(emu_debug_armed(cpu));
}

/* A debugger's: any number, any length, reads alone; no cost for code in other pages. */
static void test_debugger(EmuCpu *cpu)
{
    static const VCpuBreakpoint points[] = {
        { 0x3000, VCPU_BREAK_EXECUTE, 1 }, { 0x4ffe, VCPU_BREAK_WRITE, 6 },
        { 0x6000, VCPU_BREAK_READ, 1 }, { 0x6010, VCPU_BREAK_ACCESS, 3 },
        { 0x6020, VCPU_BREAK_ACCESS, 1 }, { 0x6030, VCPU_BREAK_ACCESS, 0x2000 },
    };
    static const struct {
        uint64_t linear;
        unsigned size;
        bool is_write;
        int hit;
    } accesses[] = {
        { 0x3000, 1, false, -1 }, { 0x4ffd, 1, true, -1 }, { 0x4ffd, 2, true, 1 },
        { 0x4ffe, 8, false, -1 }, { 0x5003, 1, true, 1 }, { 0x5004, 1, true, -1 },
        { 0x6000, 1, true, -1 }, { 0x5fff, 2, false, 2 }, { 0x6012, 1, true, 3 },
        { 0x6013, 8, true, -1 }, { 0x6020, 64, false, 4 }, { 0x802f, 1, false, 5 },
        { 0x8030, 1, false, -1 },
    };
    VCpuDebug *debug = &cpu->vcpu->debug;

    set_reset_state(cpu);
    debug->points = points;
    debug->count = G_N_ELEMENTS(points);
    emu_debug_changed(cpu);
    g_assert_false(emu_debug_armed(cpu));
    g_assert_cmphex(cpu->mode & EMU_MODE_STEP, ==, 0);
    g_assert_false(emu_debug_watches_page(cpu, 0x3000));
    g_assert_true(emu_debug_watches_page(cpu, 0x4000));
    g_assert_true(emu_debug_watches_page(cpu, 0x5000));
    g_assert_true(emu_debug_watches_page(cpu, 0x8000));
    g_assert_false(emu_debug_watches_page(cpu, 0x9000));
    for (size_t i = 0; i < G_N_ELEMENTS(accesses); i++) {
        cpu->sys->debugger_pending = false;
        emu_debug_data_access(cpu, accesses[i].linear, accesses[i].size, accesses[i].is_write);
        g_assert_cmpint(cpu->sys->debugger_pending ? (int)debug->hit_point : -1, ==,
                        accesses[i].hit);
    }
    emu_debug_before_lookup(cpu, 0x4000);
    cpu->sys->debugger_pending = false;
    debug->count = 0;
    debug->points = NULL;
    emu_debug_changed(cpu);
}

/* ---- Interrupts ---- */

static void test_priority(EmuCpu *cpu)
{
    static const struct {
        uint32_t lines;
        bool interrupts, in_smm, nmi_masked, waiting;
        uint8_t shadow;
        EmuBoundaryEvent event;
    } cases[] = {
        { VCPU_IRQ_HARD, .event = EMU_TAKE_NOTHING },
        { VCPU_IRQ_HARD, .interrupts = true, .event = EMU_TAKE_INTERRUPT },
        { VCPU_IRQ_EXTINT, .interrupts = true, .event = EMU_TAKE_INTERRUPT },
        { VCPU_IRQ_HARD, .interrupts = true, .shadow = EMU_SHADOW_STI },
        { VCPU_IRQ_HARD | VCPU_IRQ_NMI, .interrupts = true, .event = EMU_TAKE_NMI },
        { VCPU_IRQ_HARD | VCPU_IRQ_NMI, .interrupts = true, .nmi_masked = true,
          .event = EMU_TAKE_INTERRUPT },
        { VCPU_IRQ_NMI, .shadow = EMU_SHADOW_MOV_SS, .event = EMU_TAKE_NOTHING },
        { VCPU_IRQ_NMI, .shadow = EMU_SHADOW_STI, .event = EMU_TAKE_NMI },
        { VCPU_IRQ_SMI | VCPU_IRQ_NMI | VCPU_IRQ_INIT, .event = EMU_TAKE_SMI },
        { VCPU_IRQ_INIT | VCPU_IRQ_NMI, .event = EMU_TAKE_INIT },
        { VCPU_IRQ_SMI | VCPU_IRQ_INIT, .in_smm = true, .event = EMU_TAKE_NOTHING },
        { VCPU_IRQ_SIPI, .event = EMU_TAKE_NOTHING },
        { VCPU_IRQ_SIPI | VCPU_IRQ_NMI | VCPU_IRQ_SMI, .waiting = true, .event = EMU_TAKE_SIPI },
        { VCPU_IRQ_NMI | VCPU_IRQ_SMI, .waiting = true, .event = EMU_TAKE_NOTHING },
    };

    set_reset_state(cpu);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        cpu->vcpu->irq_lines = cases[i].lines;
        cpu->rflags = FLAG_ONE | (cases[i].interrupts ? FLAG_IF : 0);
        cpu->in_smm = cases[i].in_smm;
        cpu->nmi_masked = cases[i].nmi_masked;
        cpu->shadow = cases[i].shadow;
        cpu->sys->wait_for_sipi = cases[i].waiting;
        g_test_message("case %zu", i);
        g_assert_cmpint(emu_next_event(cpu), ==, cases[i].event);
        if (!cases[i].shadow) {
            g_assert_cmpint(emu_has_work(cpu->vcpu), ==, cases[i].event != EMU_TAKE_NOTHING);
        }
    }
    cpu->vcpu->irq_lines = 0;
    set_reset_state(cpu);
}

static void test_startup(EmuCpu *cpu)
{
    VCpu *vcpu = cpu->vcpu;

    set_reset_state(cpu);
    vcpu->index = 1; /* an application processor, for a while */
    cpu->regs[X86_RBX] = 7;
    cpu->cr0 = CR0_PE | CR0_ET | CR0_CD;
    vcpu->irq_lines = VCPU_IRQ_INIT;
    g_assert_true(emu_take_interrupts(cpu));
    g_assert_true(cpu->sys->wait_for_sipi && cpu->halted && vcpu->halted);
    g_assert_cmphex(cpu->regs[X86_RBX], ==, 0);
    g_assert_cmphex(cpu->cr0, ==, CR0_ET | CR0_CD);
    vcpu->sipi_vector = 0x9a;
    vcpu->irq_lines = VCPU_IRQ_SIPI;
    g_assert_true(emu_take_interrupts(cpu));
    g_assert_false(cpu->sys->wait_for_sipi || cpu->halted || vcpu->halted);
    g_assert_cmphex(cpu->segs[X86_CS].base, ==, 0x9a000);
    g_assert_cmphex(cpu->rip, ==, 0);
    g_assert_cmphex(vcpu->irq_lines, ==, 0);
    vcpu->index = 0;
    set_reset_state(cpu);
}

/* ---- SMM ---- */

static void run_rsm(EmuCpu *cpu, uint64_t unused)
{
    emu_op_rsm(cpu, NULL);
}

static void expect_smm_state(const EmuCpu *cpu)
{
    g_assert_true(cpu->in_smm && cpu->nmi_masked);
    g_assert_cmphex(cpu->rip, ==, 0x8000);
    g_assert_cmphex(cpu->segs[X86_CS].base, ==, 0x30000);
    g_assert_cmphex(cpu->segs[X86_CS].selector, ==, 0x3000);
    g_assert_cmphex(cpu->segs[X86_DS].base, ==, 0);
    g_assert_cmphex(cpu->segs[X86_DS].limit, ==, UINT32_MAX);
    g_assert_cmphex(cpu->cr0 & (CR0_PE | CR0_PG), ==, 0);
    g_assert_cmphex(cpu->cr4 | cpu->efer, ==, 0);
    g_assert_cmphex(emu_rflags(cpu), ==, 2);
    g_assert_cmphex(cpu->mode & (EMU_MODE_SMM | EMU_MODE_PROT), ==, EMU_MODE_SMM);
    g_assert_cmphex(emu_phys_read((EmuCpu *)cpu, 0x3fefc, 4), ==, 0x20064);
    g_assert_cmphex(emu_phys_read((EmuCpu *)cpu, 0x3ff00, 4), ==, 0x30000);
}

static void test_smm(EmuCpu *cpu)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(2);
    g_autofree X86CpuState *wanted = g_new0(X86CpuState, 1);
    X86CpuState *state = &cpu->vcpu->state;

    set_reset_state(cpu);
    g_assert_cmpint(fault_of(cpu, run_rsm, 0), ==, X86_UD);
    for (unsigned i = 0; i < 20; i++) {
        set_reset_state(cpu);
        emu_get_state(cpu->vcpu, NULL);
        random_state(state, rand);
        x86_cpu_state_set_msr(state, MSR_SMBASE, 0x30000);
        state->events = (X86Events) { 0 };
        state->events.nmi_masked = i & 1;
        *wanted = *state;
        g_assert_true(emu_set_state(cpu->vcpu, NULL));
        emu_enter_smm(cpu);
        expect_smm_state(cpu);
        g_assert_cmphex(emu_phys_read(cpu, 0x3fff8, 8), ==, wanted->regs[X86_RAX]);
        memset(cpu->regs, 0x55, sizeof(wanted->regs));
        emu_phys_write(cpu, 0x3ff00, 0xa0000, 4); /* SMBASE from now on */
        g_assert_cmpint(fault_of(cpu, run_rsm, 0), ==, NO_FAULT);
        g_assert_false(cpu->in_smm);
        emu_get_state(cpu->vcpu, NULL);
        g_assert_cmpmem(state->regs, sizeof(state->regs), wanted->regs, sizeof(wanted->regs));
        g_assert_cmpmem(state->segs, sizeof(state->segs), wanted->segs, sizeof(wanted->segs));
        g_assert_cmphex(state->rip, ==, wanted->rip);
        g_assert_cmphex(state->rflags, ==, wanted->rflags);
        g_assert_cmphex(state->cr0, ==, wanted->cr0);
        g_assert_cmphex(state->cr3, ==, wanted->cr3);
        g_assert_cmphex(state->cr4, ==, wanted->cr4);
        g_assert_cmphex(state->efer, ==, wanted->efer);
        g_assert_cmpint(cpu->nmi_masked, ==, i & 1);
        g_assert_cmphex(cpu->smbase, ==, 0xa0000);
    }
    set_reset_state(cpu);
    cpu->smbase = 0x30000;
    emu_enter_smm(cpu);
    emu_phys_write(cpu, 0x3ff48, BIT(13), 8); /* CR4.VMXE */
    if (!sigsetjmp(cpu->escape, 0)) {
        emu_op_rsm(cpu, NULL);
        g_assert_not_reached();
    }
    g_assert_true(cpu->triple_fault);
    cpu->triple_fault = false;
    cpu->smbase = 0x30000;
    set_reset_state(cpu);
}

/* ---- All ---- */

static void run_test(const void *opaque)
{
    EmuHarness *harness = emu_harness_new(1, NULL);
    void (*const *run)(EmuCpu *cpu) = opaque;

    (*run)(harness->cpu);
    emu_harness_free(harness);
}

static const struct {
    const char *name;
    void (*run)(EmuCpu *cpu);
} tests[] = {
    { "/emu/system/reset", test_reset },
    { "/emu/system/round-trip", test_round_trip },
    { "/emu/system/pdptrs", test_pdptrs },
    { "/emu/system/a20", test_a20 },
    { "/emu/system/triple-faults", test_triple_faults },
    { "/emu/system/hostile-state", test_hostile_state },
    { "/emu/system/cpuid", test_cpuid },
    { "/emu/system/msrs", test_msrs },
    { "/emu/system/tsc", test_tsc },
    { "/emu/system/control", test_control },
    { "/emu/system/xcr0", test_xcr0 },
    { "/emu/system/flags", test_flags },
    { "/emu/system/debug", test_debug },
    { "/emu/system/debugger", test_debugger },
    { "/emu/system/priority", test_priority },
    { "/emu/system/startup", test_startup },
    { "/emu/system/smm", test_smm },
};

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    error_init("test-system");
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_test_add_data_func(tests[i].name, &tests[i].run, run_test);
    }
    return g_test_run();
}
