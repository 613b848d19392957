/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reset and INIT values of the architectural state, and the MSR list. The values are those of Intel
 * SDM vol. 3, table 10-1 ("IA-32 and Intel 64 Processor States Following Power-up, Reset, or
 * INIT").
 */
#include "cpu/x86/cpu-state.h"

#include <inttypes.h>
#include <string.h>

#include "cpu/x86/msr.h"
#include "util/bits.h"

#define CR0_ET BIT(4)
#define CR0_NW BIT(29)
#define CR0_CD BIT(30)
#define APIC_BASE_DEFAULT 0xfee00000u
#define APIC_BASE_ENABLE BIT(11)
#define APIC_BASE_BSP BIT(8)

/* Offsets in the local APIC's register page (SDM vol. 3, table 11-1). */
enum {
    LAPIC_ID = 0x20,
    LAPIC_VERSION = 0x30,
    LAPIC_DFR = 0xe0,
    LAPIC_SPIV = 0xf0,
    LAPIC_LVT_CMCI = 0x2f0,
    LAPIC_LVT_FIRST = 0x320,
    LAPIC_LINT0 = 0x350,
    LAPIC_LVT_LAST = 0x370,
};
#define LAPIC_LVT_MASKED BIT(16)
#define LAPIC_MODE_EXTINT (7u << 8)

/* MSRs whose reset value is not zero. */
static const X86Msr msr_reset_values[] = {
    { MSR_SMBASE, 0x30000 },
    { MSR_IA32_MISC_ENABLE, 1 },              /* fast strings on */
    { MSR_IA32_PAT, 0x0007040600070406ull },
};

/* Ranges that describe the processor or are counters of the host: a reset leaves them alone. */
static const struct {
    uint32_t first, last;
} msr_kept[] = {
    { MSR_IA32_PLATFORM_ID, MSR_IA32_PLATFORM_ID },
    { MSR_IA32_BIOS_SIGN_ID, MSR_IA32_BIOS_SIGN_ID },
    { MSR_PLATFORM_INFO, MSR_CORE_CAPABILITY },
    { MSR_ARCH_CAPABILITIES, MSR_ARCH_CAPABILITIES },
    { MSR_MCG_CAP, MSR_MCG_CAP },
    { MSR_PERF_CAPABILITIES, MSR_PERF_CAPABILITIES },
    { MSR_VMX_BASIC, MSR_VMX_LAST },
};

static bool msr_survives_reset(uint32_t index)
{
    for (size_t i = 0; i < G_N_ELEMENTS(msr_kept); i++) {
        if (index >= msr_kept[i].first && index <= msr_kept[i].last) {
            return true;
        }
    }
    return false;
}

static uint64_t msr_reset_value(uint32_t index)
{
    for (size_t i = 0; i < G_N_ELEMENTS(msr_reset_values); i++) {
        if (msr_reset_values[i].index == index) {
            return msr_reset_values[i].value;
        }
    }
    return 0;
}

static void reset_msrs(X86CpuState *state)
{
    for (uint32_t i = 0; i < state->msr_count; i++) {
        if (!msr_survives_reset(state->msrs[i].index)) {
            state->msrs[i].value = msr_reset_value(state->msrs[i].index);
        }
    }
}

/* Registers that RESET# and INIT set alike. */
static void reset_common(X86CpuState *state, bool bsp)
{
    uint64_t signature = state->regs[X86_RDX];

    memset(state->regs, 0, sizeof(state->regs));
    state->regs[X86_RDX] = signature;
    state->rip = 0xfff0;
    state->rflags = 2;
    for (unsigned i = 0; i < X86_SEG__MAX; i++) {
        /* Present, read/write, accessed data; type 2 is a present LDT, 0xb a busy TSS. */
        uint32_t attr = i == X86_LDTR ? 0x82 : i == X86_TR ? 0x8b : i == X86_CS ? 0x9b : 0x93;

        state->segs[i] = (X86Segment) { .limit = 0xffff, .attr = attr };
    }
    state->segs[X86_CS].selector = 0xf000;
    state->segs[X86_CS].base = 0xffff0000;
    state->gdt = state->idt = (X86Table) { .limit = 0xffff };
    state->cr2 = state->cr3 = state->cr4 = state->cr8 = state->efer = 0;
    memset(state->dr, 0, sizeof(state->dr));
    state->dr[6] = 0xffff0ff0;
    state->dr[7] = 0x400;
    state->pdptrs_valid = false;
    memset(&state->events, 0, sizeof(state->events));
    state->mp_state = bsp ? X86_MP_RUNNABLE : X86_MP_WAIT_FOR_SIPI;
}

static void reset_xsave(X86CpuState *state)
{
    memset(state->xsave, 0, sizeof(state->xsave));
    stw_le(state->xsave, 0x037f);          /* FCW as FNINIT leaves it, which firmware expects */
    stl_le(state->xsave + 24, 0x1f80);     /* MXCSR */
    stq_le(state->xsave + 512, 3);         /* XSTATE_BV: x87 and SSE */
    state->xcr0 = 1;
}

static void reset_lapic(X86CpuState *state, bool bsp, uint32_t apic_id)
{
    memset(state->lapic, 0, sizeof(state->lapic));
    stl_le(state->lapic + LAPIC_ID, apic_id << 24);
    stl_le(state->lapic + LAPIC_VERSION, 0x50014); /* integrated APIC, 6 LVT entries */
    stl_le(state->lapic + LAPIC_DFR, 0xffffffff);
    stl_le(state->lapic + LAPIC_SPIV, 0xff);
    for (unsigned reg = LAPIC_LVT_FIRST; reg <= LAPIC_LVT_LAST; reg += 0x10) {
        stl_le(state->lapic + reg, LAPIC_LVT_MASKED);
    }
    stl_le(state->lapic + LAPIC_LVT_CMCI, LAPIC_LVT_MASKED);
    if (bsp) {
        /* Virtual wire mode: a PC's firmware takes the PIC's interrupts before it sets up the
           APIC. */
        stl_le(state->lapic + LAPIC_LINT0, LAPIC_MODE_EXTINT);
    }
}

void x86_cpu_state_reset(X86CpuState *state, bool bsp, uint32_t apic_id, uint32_t signature)
{
    state->regs[X86_RDX] = signature;
    reset_common(state, bsp);
    state->cr0 = CR0_ET | CR0_NW | CR0_CD;
    state->apic_base = APIC_BASE_DEFAULT | APIC_BASE_ENABLE | (bsp ? APIC_BASE_BSP : 0);
    reset_xsave(state);
    reset_msrs(state);
    reset_lapic(state, bsp, apic_id);
}

void x86_cpu_state_init(X86CpuState *state, bool bsp)
{
    uint64_t cache_bits = state->cr0 & (CR0_NW | CR0_CD);
    bool in_smm = state->events.in_smm;

    reset_common(state, bsp);
    state->cr0 = CR0_ET | cache_bits;
    state->events.in_smm = in_smm;
}

bool x86_cpu_state_get_msr(const X86CpuState *state, uint32_t index, uint64_t *value)
{
    for (uint32_t i = 0; i < state->msr_count; i++) {
        if (state->msrs[i].index == index) {
            *value = state->msrs[i].value;
            return true;
        }
    }
    return false;
}

bool x86_cpu_state_set_msr(X86CpuState *state, uint32_t index, uint64_t value)
{
    for (uint32_t i = 0; i < state->msr_count; i++) {
        if (state->msrs[i].index == index) {
            state->msrs[i].value = value;
            return true;
        }
    }
    if (state->msr_count >= X86_MSR_MAX) {
        return false;
    }
    state->msrs[state->msr_count++] = (X86Msr) { index, value };
    return true;
}

static void describe_segments(GString *text, const X86CpuState *state)
{
    static const char *const names[X86_SEG__MAX] = {
        "ES", "CS", "SS", "DS", "FS", "GS", "LDT", "TR",
    };

    for (unsigned i = 0; i < X86_SEG__MAX; i++) {
        const X86Segment *seg = &state->segs[i];

        g_string_append_printf(text, "%-3s sel=%04x base=%016" PRIx64 " limit=%08x attr=%04x%s\n",
                               names[i], seg->selector, seg->base, seg->limit, seg->attr & 0xf0ff,
                               seg->attr & BIT(16) ? " unusable" : "");
    }
    g_string_append_printf(text, "GDT base=%016" PRIx64 " limit=%04x\n", state->gdt.base,
                           state->gdt.limit);
    g_string_append_printf(text, "IDT base=%016" PRIx64 " limit=%04x\n", state->idt.base,
                           state->idt.limit);
}

/* Flag letters in the order of the register, '-' where clear. */
static void describe_flags(GString *text, uint64_t rflags)
{
    static const struct {
        unsigned bit;
        char letter;
    } flags[] = { { 11, 'O' }, { 10, 'D' }, { 9, 'I' }, { 8, 'T' }, { 7, 'S' },
                  { 6, 'Z' },  { 4, 'A' },  { 2, 'P' }, { 0, 'C' } };

    g_string_append_c(text, '[');
    for (size_t i = 0; i < G_N_ELEMENTS(flags); i++) {
        g_string_append_c(text, extract64(rflags, flags[i].bit, 1) ? flags[i].letter : '-');
    }
    g_string_append_c(text, ']');
}

char *x86_cpu_state_describe(const X86CpuState *state, unsigned cpu_index)
{
    static const char *const names[X86_REG__MAX] = {
        "RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
        "R8 ", "R9 ", "R10", "R11", "R12", "R13", "R14", "R15",
    };
    static const X86Reg order[X86_REG__MAX] = {
        X86_RAX, X86_RBX, X86_RCX, X86_RDX, X86_RSI, X86_RDI, X86_RBP, X86_RSP,
        X86_R8, X86_R9, X86_R10, X86_R11, X86_R12, X86_R13, X86_R14, X86_R15,
    };
    static const char *const mp_names[] = { "running", "waits for SIPI", "INIT received", "halted",
                                            "SIPI received" };
    GString *text = g_string_new(NULL);

    g_string_append_printf(text, "CPU#%u (%s)\n", cpu_index, mp_names[state->mp_state]);
    for (unsigned i = 0; i < X86_REG__MAX; i++) {
        g_string_append_printf(text, "%s=%016" PRIx64 "%c", names[order[i]],
                               state->regs[order[i]], i % 4 == 3 ? '\n' : ' ');
    }
    g_string_append_printf(text, "RIP=%016" PRIx64 " RFL=%08" PRIx64 " ", state->rip,
                           state->rflags);
    describe_flags(text, state->rflags);
    g_string_append_printf(text, " CPL=%u%s\n",
                           (unsigned)extract64(state->segs[X86_SS].attr, 5, 2),
                           state->events.in_smm ? " SMM" : "");
    describe_segments(text, state);
    g_string_append_printf(text,
                           "CR0=%08" PRIx64 " CR2=%016" PRIx64 " CR3=%016" PRIx64 " CR4=%08" PRIx64
                           " CR8=%" PRIx64 "\n", state->cr0, state->cr2, state->cr3, state->cr4,
                           state->cr8);
    g_string_append_printf(text,
                           "DR0=%016" PRIx64 " DR1=%016" PRIx64 " DR2=%016" PRIx64 " DR3=%016"
                           PRIx64 "\nDR6=%016" PRIx64 " DR7=%016" PRIx64 "\n", state->dr[0],
                           state->dr[1], state->dr[2], state->dr[3], state->dr[6], state->dr[7]);
    g_string_append_printf(text, "EFER=%016" PRIx64 " XCR0=%" PRIx64 " APIC_BASE=%08" PRIx64 "\n",
                           state->efer, state->xcr0, state->apic_base);
    return g_string_free(text, FALSE);
}
