/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XSAVE and its relatives: sequences of restoring and saving, on random states, with the areas that
 * the host's processor writes; then faults, and the environments of FNSTENV in all modes.
 */
#include <glib.h>
#include <string.h>

#include "accel/emu/decode.h"
#include "accel/emu/system-internal.h"
#include "accel/emu/tests/emu-harness.h"
#include "accel/emu/x87.h"

enum { AREA = 832, START_AT = 0x10000, AREA_AT = 0x11000, HEADER = 512, YMM = 576 };

typedef struct Area {
    uint8_t bytes[1024] __attribute__((aligned(64)));
} Area;

static EmuHarness *new_harness(void)
{
    EmuHarness *harness = emu_harness_new(1, NULL);

    emu_harness_set_mode(harness->cpu, EMU_HARNESS_LONG64);
    harness->cpu->cr0 |= CR0_NE;
    harness->cpu->cr4 |= CR4_OSFXSR | CR4_OSXSAVE;
    harness->cpu->xcr0 = 7;
    harness->cpu->sys->features[X86_FEAT_XSAVE] |= 3;
    emu_update_mode(harness->cpu);
    return harness;
}

/* Run an instruction whose memory operand is [RDI]. */
static bool run(EmuHarness *harness, const char *insn, uint64_t at, uint64_t components)
{
    EmuCpu *cpu = harness->cpu;
    EmuOp ops[2];

    g_assert_true(emu_decode(cpu, (const uint8_t *)insn, strlen(insn), 0, &ops[0]));
    memset(&ops[1], 0, sizeof(ops[1]));
    ops[1].fn = emu_op_stop;
    cpu->regs[X86_RDI] = at;
    cpu->regs[X86_RAX] = (uint32_t)components;
    cpu->regs[X86_RDX] = components >> 32;
    cpu->regs[EMU_REG_PAGE_RIP] = EMU_HARNESS_CODE;
    if (sigsetjmp(cpu->escape, 0)) {
        return false;
    }
    cpu->op = ops;
    ops[0].fn(cpu, &ops[0]);
    return true;
}

#define FXSAVE64 "\x48\x0f\xae\x07"
#define FXRSTOR64 "\x48\x0f\xae\x0f"
#define XSAVE64 "\x48\x0f\xae\x27"
#define XRSTOR64 "\x48\x0f\xae\x2f"
#define XSAVEOPT64 "\x48\x0f\xae\x37"
#define XSAVEC64 "\x48\x0f\xc7\x27"
#define LDMXCSR "\x0f\xae\x17"
#define STMXCSR "\x0f\xae\x1f"

#if defined(__x86_64__)

static uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state * 0x2545f4914f6cdd1dULL;
}

static void random_area(uint64_t *r, Area *area, uint64_t state)
{
    for (unsigned i = 0; i < AREA; i += 8) {
        stq_le(area->bytes + i, random_next(r));
    }
    memset(area->bytes + HEADER, 0, 64);
    stq_le(area->bytes + HEADER, state);
    stw_le(area->bytes, (random_next(r) & 0x1f00) | 0x7f);
    stl_le(area->bytes + 24, random_next(r) % 2 ? 0x1f80 : 0x1f80 | (random_next(r) & 0xe07f));
    /* 48 bits of addresses, selectors that this processor does not keep. */
    stw_le(area->bytes + 14, 0);
    stl_le(area->bytes + 12, 0);
    stl_le(area->bytes + 20, 0);
}

#define VECTORS "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", \
                "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"
#define STACK "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)"

/* Load `start`, run the instruction on `area`, save everything in `end`. */
#define HOST(name, insn) \
    static void host_##name(const Area *start, Area *area, uint32_t components, Area *end) \
    { \
        uint32_t mxcsr = 0x1f80, rest = 7; \
        \
        __asm__ volatile("xrstor64 %[start]\n\t" \
                         "mov %[components], %%eax\n\t" \
                         insn " %[area]\n\t" \
                         "mov %[rest], %%eax\n\t" \
                         "xsave64 %[end]\n\tfninit\n\tvzeroall\n\tldmxcsr %[mxcsr]" \
                         : [area] "+m"(*area), [end] "+m"(*end) \
                         : [start] "m"(*start), [mxcsr] "m"(mxcsr), [rest] "m"(rest), \
                           [components] "r"(components), "a"(7), "d"(0) \
                         : VECTORS, STACK); \
    }
HOST(xsave, "xsave64")
HOST(xsaveopt, "xsaveopt64")
HOST(xsavec, "xsavec64")
HOST(xrstor, "xrstor64")
HOST(fxsave, "fxsave64")
HOST(fxrstor, "fxrstor64")

static const struct {
    const char *name, *insn;
    void (*host)(const Area *start, Area *area, uint32_t components, Area *end);
    bool restores, compacts;
} sequences[] = {
    { "xsave64", XSAVE64, host_xsave },
    { "xsaveopt64", XSAVEOPT64, host_xsaveopt },
    { "xsavec64", XSAVEC64, host_xsavec },
    { "xrstor64", XRSTOR64, host_xrstor, .restores = true },
    { "xrstor64 compacted", XRSTOR64, host_xrstor, .restores = true, .compacts = true },
    { "fxsave64", FXSAVE64, host_fxsave },
    { "fxrstor64", FXRSTOR64, host_fxrstor, .restores = true },
};

static void expect_equal(const char *name, const char *what, const uint8_t *emu,
                         const uint8_t *host, uint32_t components, uint64_t start)
{
    for (unsigned i = 0; i < AREA; i++) {
        if (emu[i] != host[i]) {
            g_error("%s %u from state %u: byte %u of the %s is %02x, not %02x", name, components,
                    (unsigned)start, i, what, emu[i], host[i]);
        }
    }
}

/*
 * Until two runs agree: the host's kernel may come between, and what it restores counts as in use
 * from then on.
 */
static void run_host(unsigned n, const Area *start, Area *area, uint32_t components, Area *end)
{
    Area first = *area, first_end = *end;

    sequences[n].host(start, &first, components, &first_end);
    for (unsigned i = 0; i < 4; i++) {
        Area again = *area, again_end = *end;

        sequences[n].host(start, &again, components, &again_end);
        if (!memcmp(&first, &again, sizeof(first)) &&
            !memcmp(&first_end, &again_end, sizeof(first_end))) {
            break;
        }
        first = again;
        first_end = again_end;
    }
    *area = first;
    *end = first_end;
}

static void run_sequence(EmuHarness *harness, unsigned n, uint64_t *r)
{
    static Area start, area, end;
    uint64_t state = random_next(r) & 7;
    uint32_t components = random_next(r) & 7;
    uint8_t *guest_start = harness->bytes + START_AT, *guest_area = harness->bytes + AREA_AT;

    random_area(r, &start, state);
    random_area(r, &area, random_next(r) & 7);
    if (sequences[n].compacts) {
        stq_le(area.bytes + HEADER + 8, 1ULL << 63 | 7);
    }
    memset(&end, 0, sizeof(end));
    memcpy(guest_start, start.bytes, AREA);
    memcpy(guest_area, area.bytes, AREA);
    run_host(n, &start, &area, components, &end);
    g_assert_true(run(harness, XRSTOR64, START_AT, 7));
    g_assert_true(run(harness, sequences[n].insn, AREA_AT, components));
    expect_equal(sequences[n].name, "area", guest_area, area.bytes, components, state);
    memset(guest_start, 0, AREA);
    g_assert_true(run(harness, XSAVE64, START_AT, 7));
    if (sequences[n].restores) {
        /* The host may call a component in use that has its initial contents. */
        memset(guest_start + HEADER, 0, 8);
        memset(end.bytes + HEADER, 0, 8);
    }
    expect_equal(sequences[n].name, "state", guest_start, end.bytes, components, state);
}

static bool host_has_xsave(void)
{
    uint32_t a = 0xd, b, c = 1, d;

    if (!__builtin_cpu_supports("avx")) {
        return false;
    }
    __asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return (a & 3) == 3;
}

static void test_host(void)
{
    EmuHarness *harness;
    uint64_t r = 0x9e3779b97f4a7c15ULL;

    if (!host_has_xsave()) {
        g_test_skip("the host lacks XSAVEOPT or XSAVEC");
        return;
    }
    harness = new_harness();
    for (unsigned i = 0; i < (g_test_slow() ? 1000000u : 20000u); i++) {
        run_sequence(harness, i % G_N_ELEMENTS(sequences), &r);
    }
    emu_harness_free(harness);
}

#endif

/* ---- Faults ---- */

static void expect_fault(EmuHarness *harness, const char *insn, uint64_t at, unsigned vector)
{
    EmuFpu before = harness->cpu->fpu;
    uint32_t mxcsr = harness->cpu->mxcsr;

    g_assert_false(run(harness, insn, at, 7));
    g_assert_cmpuint(harness->cpu->fault.vector, ==, vector);
    g_assert_cmpuint(harness->cpu->mxcsr, ==, mxcsr);
    g_assert_cmpmem(&before, sizeof(before), &harness->cpu->fpu, sizeof(before));
}

static void clean_area(EmuHarness *harness)
{
    uint8_t *area = harness->bytes + AREA_AT;

    memset(area, 0, AREA);
    stl_le(area + 24, 0x1f80);
}

static void test_faults(void)
{
    EmuHarness *harness = new_harness();
    EmuCpu *cpu = harness->cpu;
    uint8_t *area = harness->bytes + AREA_AT;

    clean_area(harness);
    expect_fault(harness, FXSAVE64, AREA_AT + 8, X86_GP);
    expect_fault(harness, FXRSTOR64, AREA_AT + 8, X86_GP);
    expect_fault(harness, XSAVE64, AREA_AT + 16, X86_GP);
    expect_fault(harness, XRSTOR64, AREA_AT + 32, X86_GP);
    for (unsigned i = 0; i < 24; i += 8) {
        clean_area(harness);
        stq_le(area + HEADER + i, 8); /* no such component, no such form */
        expect_fault(harness, XRSTOR64, AREA_AT, X86_GP);
    }
    clean_area(harness);
    stq_le(area + HEADER, 4);
    stq_le(area + HEADER + 8, 1ULL << 63 | 3); /* AVX is in no component of the area */
    expect_fault(harness, XRSTOR64, AREA_AT, X86_GP);
    clean_area(harness);
    stl_le(area + 24, 0x11f80);
    expect_fault(harness, XRSTOR64, AREA_AT, X86_GP);
    expect_fault(harness, FXRSTOR64, AREA_AT, X86_GP);
    expect_fault(harness, LDMXCSR, AREA_AT + 24, X86_GP);
    g_assert_true(run(harness, XRSTOR64, AREA_AT, 1)); /* MXCSR is no part of x87 */
    /* The mapped memory ends at 8 MiB: what straddles it leaves no trace. */
    memset(harness->bytes + EMU_HARNESS_RAM - 576, 0xaa, 576);
    expect_fault(harness, XSAVE64, EMU_HARNESS_RAM - 576, X86_PF);
    g_assert_cmphex(harness->bytes[EMU_HARNESS_RAM - 576], ==, 0xaa);
    cpu->cr0 |= CR0_TS;
    emu_update_mode(cpu);
    expect_fault(harness, XSAVE64, AREA_AT, X86_NM);
    expect_fault(harness, FXSAVE64, AREA_AT, X86_NM);
    expect_fault(harness, STMXCSR, AREA_AT, X86_NM);
    cpu->cr0 &= ~(uint64_t)CR0_TS;
    cpu->cr4 &= ~(uint64_t)CR4_OSXSAVE;
    emu_update_mode(cpu);
    expect_fault(harness, XSAVE64, AREA_AT, X86_UD);
    emu_harness_free(harness);
}

/* An unmasked exception changes the mode, since SSE arithmetic may trap from now on. */
static void test_mxcsr(void)
{
    EmuHarness *harness = new_harness();
    uint8_t *area = harness->bytes + AREA_AT;

    stl_le(area, 0x1f00);
    g_assert_true(run(harness, LDMXCSR, AREA_AT, 0));
    g_assert_true(harness->cpu->mode & EMU_MODE_MXCSR_TRAP);
    stl_le(area, 0x1f80);
    g_assert_true(run(harness, LDMXCSR, AREA_AT, 0));
    g_assert_false(harness->cpu->mode & EMU_MODE_MXCSR_TRAP);
    g_assert_true(run(harness, STMXCSR, AREA_AT + 8, 0));
    g_assert_cmphex(ldl_le(area + 8), ==, 0x1f80);
    emu_harness_free(harness);
}

/* ---- x87 beside the host ---- */

#define FNSTENV "\xd9\x37"
#define FNSTENV_OTHER "\x66\xd9\x37"
#define FLDENV "\xd9\x27"
#define FNSAVE "\xdd\x37"
#define FNSTSW_AX "\xdf\xe0"
#define FLDZ "\xd9\xee"
#define FWAIT "\x9b"
#define FNCLEX "\xdb\xe2"
#define EMMS "\x0f\x77"

static void test_pending(void)
{
    EmuHarness *harness = new_harness();
    EmuCpu *cpu = harness->cpu;

    emu_x87_init(&cpu->fpu);
    cpu->fpu.fcw = 0x37e;
    g_assert_true(run(harness, "\xd9\xe0", 0, 0)); /* FCHS of an empty register */
    g_assert_cmphex(cpu->fpu.fsw, ==, X87_IE | X87_SF | X87_ES | X87_BUSY);
    expect_fault(harness, FLDZ, 0, X86_MF);
    expect_fault(harness, FWAIT, 0, X86_MF);
    expect_fault(harness, EMMS, 0, X86_MF);
    expect_fault(harness, FLDENV, AREA_AT, X86_MF);
    g_assert_true(run(harness, FNSTSW_AX, 0, 0));
    g_assert_cmphex((uint16_t)cpu->regs[X86_RAX], ==, cpu->fpu.fsw);
    cpu->cr0 &= ~(uint64_t)CR0_NE;
    g_assert_true(run(harness, FWAIT, 0, 0)); /* somebody else's interrupt */
    cpu->cr0 |= CR0_NE;
    g_assert_true(run(harness, FNCLEX, 0, 0));
    g_assert_true(run(harness, FLDZ, 0, 0));
    emu_harness_free(harness);
}

typedef struct Format {
    EmuHarnessMode mode;
    bool other;          /* with an operand size prefix */
    uint32_t words[7];   /* as stored, from FIP on; 16-bit forms: 4 of 16 bits */
} Format;

static void test_environments(void)
{
    /* FIP 12345, FDP 54321, FCS 8, FDS 10, FOP 123. */
    static const Format formats[] = {
        { EMU_HARNESS_PROT32, false, { 0x12345, 0x1230008, 0x54321, 0xffff0010 } },
        { EMU_HARNESS_PROT32, true, { 0x82345, 0x104321 } },
        { EMU_HARNESS_REAL16, false, { 0x112323c5, 0x50004421 } },
        { EMU_HARNESS_REAL16, true, { 0xffff23c5, 0x00001123, 0xffff4421, 0x5000 } },
    };
    EmuHarness *harness = new_harness();
    EmuCpu *cpu = harness->cpu;

    for (unsigned i = 0; i < G_N_ELEMENTS(formats); i++) {
        const Format *f = &formats[i];
        bool is32 = (f->mode == EMU_HARNESS_PROT32) != f->other;
        uint8_t image[28];
        unsigned at = is32 ? 12 : 6, size = is32 ? 28 : 14;

        emu_harness_set_mode(cpu, f->mode);
        emu_x87_init(&cpu->fpu);
        cpu->fpu.fip = 0x12345;
        cpu->fpu.fdp = 0x54321;
        cpu->fpu.fcs = 8;
        cpu->fpu.fds = 0x10;
        cpu->fpu.fop = 0x123;
        cpu->fpu.valid = 0x80;
        cpu->fpu.top = 7;
        /* [BX] and [EDI] both. */
        cpu->regs[X86_RBX] = 0x9000;
        g_assert_true(run(harness, f->other ? FNSTENV_OTHER : FNSTENV, 0x9000, 0));
        memcpy(image, harness->bytes + 0x9000, size);
        g_assert_cmphex(ldw_le(image), ==, X87_FCW_RESET);
        g_assert_cmphex(ldw_le(image + at / 3), ==, 0x3800);
        g_assert_cmphex(ldw_le(image + at / 3 * 2), ==, 0x7fff);
        g_assert_cmpmem(image + at, size - at, f->words, size - at);
        emu_x87_init(&cpu->fpu);
        g_assert_true(run(harness, f->other ? "\x66" FLDENV : FLDENV, 0x9000, 0));
        g_assert_cmpuint(cpu->fpu.top, ==, 7);
        g_assert_cmphex(cpu->fpu.valid, ==, 0x80);
        g_assert_true(run(harness, f->other ? FNSTENV_OTHER : FNSTENV, 0x9000, 0));
        g_assert_cmpmem(image, size, harness->bytes + 0x9000, size);
    }
    emu_harness_free(harness);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#if defined(__x86_64__)
    g_test_add_func("/xsave/host", test_host);
#endif
    g_test_add_func("/xsave/faults", test_faults);
    g_test_add_func("/xsave/mxcsr", test_mxcsr);
    g_test_add_func("/x87/pending", test_pending);
    g_test_add_func("/x87/environments", test_environments);
    return g_test_run();
}
