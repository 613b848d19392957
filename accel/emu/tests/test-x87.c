/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x87: every encoding, run by its handler and by the host's processor on the same random state; the
 * FXSAVE images, memory, flags and AX must be equal. Then the portable arithmetic against that of
 * the host, and what the host cannot be asked about: pending exceptions, formats of other modes.
 */
#include <glib.h>
#include <math.h>
#include <string.h>
#include <sys/mman.h>

#include "accel/emu/flags.h"
#include "accel/emu/system-internal.h"
#include "accel/emu/tests/emu-harness.h"
#include "accel/emu/x87-op.h"

#define MEMORY_AT 0x10000u /* of the guest */
#define MEMORY_SIZE 128u

#if defined(__x86_64__)

typedef struct Random {
    uint64_t state;
} Random;

static uint64_t random_next(Random *r)
{
    r->state ^= r->state << 13;
    r->state ^= r->state >> 7;
    r->state ^= r->state << 17;
    return r->state * 0x2545f4914f6cdd1dULL;
}

static uint64_t random_fraction(Random *r, unsigned bits)
{
    uint64_t mask = (1ULL << bits) - 1, x = random_next(r);

    switch (random_next(r) % 6) {
    case 0:
        return 0;
    case 1:
        return x & 3;
    case 2:
        return mask - (x & 3);
    case 3:
        return mask & -(1ULL << (x % bits));
    default:
        return x & mask;
    }
}

static uint64_t random_float(Random *r, unsigned exponent_bits, unsigned fraction_bits)
{
    uint64_t max = (1ull << exponent_bits) - 1, x = random_next(r), exponent;

    switch (random_next(r) % 8) {
    case 0:
        exponent = x % 3;
        break;
    case 1:
        exponent = max - x % 3;
        break;
    case 2:
        exponent = x & max;
        break;
    default:
        exponent = max / 2 - 4 + x % (x & 0x100 ? 70 : 8);
        break;
    }
    return (x >> 63) << (exponent_bits + fraction_bits) | (exponent & max) << fraction_bits |
           random_fraction(r, fraction_bits);
}

static EmuF80 random_f80(Random *r)
{
    uint64_t high = random_float(r, 15, 40) >> 40;
    uint64_t integer = (high & 0x7fff) != 0;

    if (random_next(r) % 32 == 0) {
        integer ^= 1;
    }
    if (random_next(r) % 24 == 0) {
        return (EmuF80) { .significand = 0, .sign_exponent = high & 0x8000 };
    }
    return (EmuF80) { .significand = integer << 63 | random_fraction(r, 63),
                      .sign_exponent = (uint16_t)high };
}

static uint16_t random_control(Random *r)
{
    uint16_t masks = random_next(r) % 3 ? 0x3f : random_next(r) & 0x3f;

    return random_next(r) % 4 == 0 ? X87_FCW_RESET : (random_next(r) & 0x1f00) | masks | 0x40;
}

typedef struct State {
    uint8_t fx[512] __attribute__((aligned(16)));
    uint8_t memory[MEMORY_SIZE];
    uint64_t rax, rflags;
} State;

/* ---- A random state ---- */

static void random_memory(Random *r, uint8_t *memory)
{
    EmuF80 f80 = random_f80(r);

    for (unsigned i = 0; i < MEMORY_SIZE; i += 8) {
        stq_le(memory + i, random_next(r));
    }
    switch (random_next(r) % 5) {
    case 0:
        stl_le(memory, random_float(r, 8, 23));
        break;
    case 1:
        stq_le(memory, random_float(r, 11, 52));
        break;
    case 2:
        memcpy(memory, &f80, 10);
        break;
    case 3:
        for (unsigned i = 0; i < 9; i++) {
            memory[i] = (random_next(r) % 10) << 4 | random_next(r) % 10;
        }
        break;
    default:
        break;
    }
}

static void random_state(Random *r, State *state)
{
    uint16_t fcw = random_control(r), fsw = random_next(r) & 0x7f7f;

    memset(state, 0, sizeof(*state));
    fsw &= fcw | ~X87_EXCEPTIONS;
    stw_le(state->fx, fcw);
    stw_le(state->fx + 2, fsw);
    state->fx[4] = random_next(r) % 2 ? 0xff & ~(1 << (((fsw >> 11) - 1) & 7)) : random_next(r);
    stq_le(state->fx + 8, 0x1111);
    stq_le(state->fx + 16, 0x2222);
    stl_le(state->fx + 24, 0x1f80);
    stl_le(state->fx + 28, 0xffff);
    for (unsigned i = 0; i < 8; i++) {
        EmuF80 reg = random_f80(r);

        memcpy(state->fx + 32 + 16 * i, &reg, 10);
    }
    random_memory(r, state->memory);
    state->rax = random_next(r);
    state->rflags = (random_next(r) & FLAG_ARITH) | FLAG_ONE;
}

/* ---- The host ---- */

typedef struct HostCode {
    uint8_t *page;
} HostCode;

static void host_run(const HostCode *code, State *state)
{
    uint64_t rax = state->rax, rflags = state->rflags | FLAG_IF;
    uint8_t *memory = state->memory;

    __asm__ volatile("fxrstor64 %[fx]\n\t"
                     "lea -128(%%rsp), %%rsp\n\t" /* past the red zone */
                     "push %[flags]\n\tpopf\n\t"
                     "call *%[code]\n\t"
                     "pushf\n\tpop %[flags]\n\t"
                     "lea 128(%%rsp), %%rsp\n\t"
                     "fxsave64 %[fx]\n\tfninit"
                     : [fx] "+m"(state->fx), [flags] "+r"(rflags), "+a"(rax), "+m"(state->memory)
                     : [code] "r"(code->page), "D"(memory)
                     : "cc", "memory", "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)",
                       "st(7)", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
                       "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
    state->rax = rax;
    state->rflags = (rflags & FLAG_ARITH) | FLAG_ONE;
    /* Where the guest's code and data are. */
    if (ldq_le(state->fx + 8) == (uintptr_t)code->page) {
        stq_le(state->fx + 8, EMU_HARNESS_CODE);
    }
    if (ldq_le(state->fx + 16) == (uintptr_t)memory) {
        stq_le(state->fx + 16, MEMORY_AT);
    }
}

/* What earlier arithmetic may have left in the host's status word. */
static void dirty_host(Random *r)
{
    uint64_t value = random_next(r);

    if (value & 1) {
        __asm__ volatile("fldpi\n\tfsqrt\n\tfstp %%st" : : : "st");
    }
    if (value & 2) {
        __asm__ volatile("fldpi\n\tfxam\n\tfstp %%st" : : : "st");
    } else if (value & 4) {
        __asm__ volatile("fldz\n\tfchs\n\tfxam\n\tfstp %%st" : : : "st");
    } else if (value & 8) {
        __asm__ volatile("fldz\n\tfldz\n\tfdivrp\n\tfxam\n\tfstp %%st" : : : "st", "st(1)");
    }
}

static void host_code(HostCode *code, const uint8_t *insn, unsigned len)
{
    mprotect(code->page, 4096, PROT_READ | PROT_WRITE);
    memcpy(code->page, insn, len);
    code->page[len] = 0xc3;
    mprotect(code->page, 4096, PROT_READ | PROT_EXEC);
}

/* ---- The handler ---- */

static bool emu_run_ops(EmuCpu *cpu, const EmuOp *ops)
{
    if (sigsetjmp(cpu->escape, 0)) {
        return false;
    }
    cpu->op = ops;
    cpu->regs[EMU_REG_PAGE_RIP] = EMU_HARNESS_CODE;
    ops[0].fn(cpu, &ops[0]);
    return true;
}

static void load_state(EmuHarness *harness, const State *state)
{
    EmuCpu *cpu = harness->cpu;

    emu_fxsave_get(cpu, state->fx, 3, true);
    memcpy(harness->bytes + MEMORY_AT, state->memory, MEMORY_SIZE);
    cpu->regs[X86_RAX] = state->rax;
    cpu->regs[X86_RDI] = MEMORY_AT;
    emu_flags_set(cpu, state->rflags);
}

static void store_state(EmuHarness *harness, State *state)
{
    EmuCpu *cpu = harness->cpu;

    emu_fxsave_put(cpu, state->fx, 3, true);
    memcpy(state->memory, harness->bytes + MEMORY_AT, MEMORY_SIZE);
    state->rax = cpu->regs[X86_RAX];
    state->rflags = emu_flags_get(cpu) | FLAG_ONE;
}

static void decode(EmuHarness *harness, const uint8_t *insn, unsigned len, EmuOp ops[2])
{
    g_assert_true(emu_decode(harness->cpu, insn, len, 0, &ops[0]));
    memset(&ops[1], 0, sizeof(ops[1]));
    ops[1].fn = emu_op_stop;
    ops[1].page_offset = len;
}

/* ---- Every encoding ---- */

typedef struct Encoding {
    uint8_t bytes[4];
    unsigned len;
} Encoding;

static void print_state(const char *name, const State *state)
{
    g_printerr("# %s: fcw %04x fsw %04x valid %02x fop %03x fip %llx fdp %llx flags %llx ax %llx\n",
               name, ldw_le(state->fx), ldw_le(state->fx + 2), state->fx[4],
               ldw_le(state->fx + 6), (long long)ldq_le(state->fx + 8),
               (long long)ldq_le(state->fx + 16), (long long)state->rflags,
               (long long)(state->rax & 0xffff));
    for (unsigned i = 0; i < 8; i++) {
        g_printerr("#   st%u %04x:%016llx\n", i, ldw_le(state->fx + 40 + 16 * i),
                   (long long)ldq_le(state->fx + 32 + 16 * i));
    }
    for (unsigned i = 0; i < MEMORY_SIZE; i += 32) {
        g_printerr("#   m+%u %016llx %016llx %016llx %016llx\n", i,
                   (long long)ldq_le(state->memory + i), (long long)ldq_le(state->memory + i + 8),
                   (long long)ldq_le(state->memory + i + 16),
                   (long long)ldq_le(state->memory + i + 24));
    }
}

static unsigned try_encoding(EmuHarness *harness, HostCode *code, const Encoding *encoding,
                             unsigned count)
{
    Random r = { 0x9e3779b97f4a7c15ULL + encoding->bytes[0] * 256 + encoding->bytes[1] };
    EmuOp ops[2];

    decode(harness, encoding->bytes, encoding->len, ops);
    if (ops[0].fn == emu_op_undefined) {
        return 0;
    }
    host_code(code, encoding->bytes, encoding->len);
    for (unsigned i = 0; i < count; i++) {
        State start, host, emu;
        bool done;

        random_state(&r, &start);
        host = emu = start;
        load_state(harness, &start);
        host_run(code, &host);
        dirty_host(&r);
        done = emu_run_ops(harness->cpu, ops);
        store_state(harness, &emu);
        if (!done || memcmp(&host, &emu, sizeof(host)) != 0) {
            g_printerr("# %02x %02x %02x differs%s\n", encoding->bytes[0], encoding->bytes[1],
                       encoding->bytes[2], done ? "" : ": raised");
            print_state("before", &start);
            print_state("host", &host);
            print_state("emu", &emu);
            return 1;
        }
    }
    return 0;
}

static unsigned case_count(void)
{
    return g_test_slow() ? 100000 : 600;
}

static EmuHarness *new_harness(void)
{
    EmuHarness *harness = emu_harness_new(1, NULL);

    emu_harness_set_mode(harness->cpu, EMU_HARNESS_LONG64);
    harness->cpu->cr0 |= CR0_NE;
    harness->cpu->cr4 |= CR4_OSFXSR | CR4_OSXSAVE;
    harness->cpu->xcr0 = 7;
    emu_update_mode(harness->cpu);
    return harness;
}

/* As the host: the data pointer for exceptions only, no selectors. */
static bool host_records_as_new(void)
{
    uint32_t a = 7, b, c = 0, d;

    __asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return (b >> 6 & 1) && (b >> 13 & 1);
}

static void count_ferr(void *opaque)
{
    ++*(unsigned *)opaque;
}

/* Without CR0.NE an exception that waits goes to the board, once IGNNE# does not forbid it. */
static void test_ferr(void)
{
    static const uint8_t divide[] = { 0xd9, 0xe8, 0xd9, 0xee, 0xde, 0xf9, 0x9b, 0x9b };
    static const uint8_t wait[] = { 0x9b }, clear[] = { 0xdb, 0xe2, 0x9b };
    EmuHarness *harness = new_harness();
    EmuCpu *cpu = harness->cpu;
    unsigned told = 0;
    EmuFault fault;

    accel_connect_ferr(count_ferr, &told);
    cpu->cr0 &= ~(uint64_t)CR0_NE;
    cpu->fpu.fcw = X87_FCW_RESET & ~X87_ZE;
    g_assert_true(emu_harness_run(harness, cpu, divide, sizeof(divide), 3, &fault));
    g_assert_cmpuint(told, ==, 0);
    g_assert_true(emu_harness_run(harness, cpu, wait, sizeof(wait), 1, &fault));
    g_assert_cmpuint(told, ==, 1);
    accel_set_ignne(true);
    g_assert_true(emu_harness_run(harness, cpu, divide, sizeof(divide), 4, &fault));
    g_assert_cmpuint(told, ==, 1);
    g_assert_true(emu_harness_run(harness, cpu, clear, sizeof(clear), 2, &fault));
    g_assert_false(accel_ignne());
    g_assert_true(emu_harness_run(harness, cpu, divide, sizeof(divide), 4, &fault));
    g_assert_cmpuint(told, ==, 2);
    cpu->cr0 |= CR0_NE;
    g_assert_false(emu_harness_run(harness, cpu, wait, sizeof(wait), 1, &fault));
    g_assert_cmpuint(fault.vector, ==, X86_MF);
    g_assert_cmpuint(told, ==, 2);
    emu_harness_free(harness);
}

static void test_encodings(void)
{
    EmuHarness *harness;
    HostCode code = { mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                           0) };
    unsigned failures = 0;

    if (!host_records_as_new()) {
        g_test_skip("the host records pointers as older processors do");
        return;
    }
    harness = new_harness();
    harness->cpu->sys->features[X86_FEAT_7_0_EBX] |= 1u << 6 | 1u << 13;
    for (unsigned opcode = 0xd8; opcode <= 0xdf; opcode++) {
        for (unsigned modrm = 0; modrm < 0x100; modrm++) {
            Encoding encoding = { { opcode, modrm }, 2 };

            if (modrm >= 0xc0 || (modrm & 0xc7) == 7) {
                failures += try_encoding(harness, &code, &encoding, case_count());
            }
        }
    }
    for (unsigned i = 0; i < 4; i++) {
        static const Encoding others[] = {
            { { 0x66, 0xd9, 0x27 }, 3 }, { { 0x66, 0xd9, 0x37 }, 3 }, { { 0x66, 0xdd, 0x27 }, 3 },
            { { 0x66, 0xdd, 0x37 }, 3 },
        };

        failures += try_encoding(harness, &code, &others[i], case_count());
    }
    failures += try_encoding(harness, &code, &(Encoding) { { 0x0f, 0x77 }, 2 }, case_count());
    failures += try_encoding(harness, &code, &(Encoding) { { 0x9b }, 1 }, case_count());
    g_assert_cmpuint(failures, ==, 0);
    munmap(code.page, 4096);
    emu_harness_free(harness);
}

/* ---- The portable form ---- */

typedef struct Binary {
    const char *name;
    X87BinaryFn *soft, *host;
    unsigned tolerance; /* in units of the last place; 0: equal */
} Binary;
typedef struct BinaryMemory {
    const char *name;
    X87BinaryMemoryFn *soft, *host;
} BinaryMemory;

#define BINARY(name) { #name, x87_soft_##name, x87_host_##name },
#define MEMORY(name, source) \
    { #name "_" #source, x87_soft_##name##_##source, x87_host_##name##_##source },
#define MEMORIES(name) X87_FOR_EACH_SOURCE(MEMORY, name)

static const Binary binaries[] = {
    X87_FOR_EACH_BINARY(BINARY)
    BINARY(scale) BINARY(prem) BINARY(prem1)
    { "yl2x", x87_soft_yl2x, x87_host_yl2x, 8 },
    { "patan", x87_soft_patan, x87_host_patan, 4 },
};
static const BinaryMemory memories[] = { X87_FOR_EACH_BINARY(MEMORIES) };

/* Neighbouring numbers have neighbouring places. */
static unsigned __int128 place(const EmuF80 *a)
{
    return ((unsigned __int128)(a->sign_exponent & 0x7fff) << 63) + (a->significand << 1 >> 1);
}

static void check_result(const char *name, const EmuF80 *a, const EmuF80 *b, uint16_t fcw,
                         const EmuF80 *soft, uint16_t soft_status, const EmuF80 *host,
                         uint16_t host_status, unsigned tolerance)
{
    uint16_t bits = tolerance ? X87_IE | X87_DE | X87_ZE : X87_EXCEPTIONS | X87_C1;
    bool equal = soft->significand == host->significand &&
                 soft->sign_exponent == host->sign_exponent;

    if (tolerance && !(soft->sign_exponent >> 15 ^ host->sign_exponent >> 15)) {
        equal = place(soft) - place(host) + tolerance <= 2 * tolerance;
    }
    /* The function itself, and its exceptions, are approximations near the ends of the range. */
    if (tolerance && ((host->sign_exponent & 0x7fff) < 70 ||
                      (host->sign_exponent & 0x7fff) > 0x7fff - 70)) {
        equal = true;
    }
    if (!equal || ((soft_status ^ host_status) & bits)) {
        g_error("%s fcw %#x %04x:%016llx %04x:%016llx gives %04x:%016llx %04x, not "
                "%04x:%016llx %04x", name, fcw, a->sign_exponent, (long long)a->significand,
                b->sign_exponent, (long long)b->significand, soft->sign_exponent,
                (long long)soft->significand, soft_status, host->sign_exponent,
                (long long)host->significand, host_status);
    }
}

static void test_portable(void)
{
    Random r = { 0x2545f4914f6cdd1dULL };

    for (unsigned i = 0; i < case_count() * 20; i++) {
        EmuFpu fpu = { .fcw = random_control(&r) };
        EmuF80 a = random_f80(&r), b = random_f80(&r);

        if ((fpu.fcw & 0x300) == 0x100) {
            fpu.fcw |= 0x300;
        }
        for (unsigned k = 0; k < G_N_ELEMENTS(binaries); k++) {
            EmuF80 soft = a, host = a;
            uint16_t fcw = fpu.fcw, x, y;

            if (binaries[k].tolerance) {
                fpu.fcw = X87_FCW_RESET;
            }
            x = binaries[k].soft(&fpu, &soft, &a, &b);
            y = binaries[k].host(&fpu, &host, &a, &b);
            check_result(binaries[k].name, &a, &b, fpu.fcw, &soft, x, &host, y,
                         binaries[k].tolerance);
            fpu.fcw = fcw;
        }
        for (unsigned k = 0; k < G_N_ELEMENTS(memories); k++) {
            EmuF80 soft = a, host = a;
            uint64_t m = i % 2 ? random_float(&r, 11, 52) : random_float(&r, 8, 23);
            uint16_t x = memories[k].soft(&fpu, &soft, &a, m);
            uint16_t y = memories[k].host(&fpu, &host, &a, m);

            check_result(memories[k].name, &a, &(EmuF80) { m }, fpu.fcw, &soft, x, &host, y, 0);
        }
    }
}

typedef struct Unary {
    const char *name;
    X87UnaryFn *soft, *host;
    unsigned tolerance;
} Unary;
typedef struct Store {
    const char *name;
    X87StoreFn *soft, *host;
    uint64_t mask;
} Store;

static const Unary unaries[] = {
    BINARY(sqrt) BINARY(rndint)
    { "f2xm1", x87_soft_f2xm1, x87_host_f2xm1, 4 },
};
typedef struct Split {
    const char *name;
    X87SplitFn *soft, *host;
} Split;
static const Split splits[] = { BINARY(xtract) };
typedef struct Compare {
    const char *name;
    X87CompareFn *soft, *host;
} Compare;
static const Compare compares[] = { BINARY(com) BINARY(ucom) };

static void compare_pair(const EmuFpu *fpu, const EmuF80 *a, const EmuF80 *b)
{
    for (unsigned k = 0; k < G_N_ELEMENTS(compares); k++) {
        uint16_t x = compares[k].soft(fpu, a, b), y = compares[k].host(fpu, a, b);

        g_assert_cmphex(x & (X87_EXCEPTIONS | X87_CC), ==, y & (X87_EXCEPTIONS | X87_CC));
    }
    for (unsigned k = 0; k < G_N_ELEMENTS(splits); k++) {
        EmuF80 soft[2] = { *a, *a }, host[2] = { *a, *a };
        uint16_t x = splits[k].soft(fpu, &soft[0], &soft[1], a);
        uint16_t y = splits[k].host(fpu, &host[0], &host[1], a);

        check_result(splits[k].name, a, b, fpu->fcw, &soft[0], x, &host[0], y, 0);
        check_result(splits[k].name, a, b, fpu->fcw, &soft[1], x, &host[1], y, 0);
    }
}

/* Angles that the processor's own value of pi reduces as well as the library's. */
static void compare_angles(Random *r)
{
    static const Unary angles[] = { BINARY(sin) BINARY(cos) };
    EmuFpu fpu = { .fcw = X87_FCW_RESET };
    EmuF80 a = { .significand = 1ULL << 63 | random_next(r),
                 .sign_exponent = (random_next(r) & 0x8000) | (16383 - 1 - random_next(r) % 8) };

    for (unsigned k = 0; k < G_N_ELEMENTS(angles); k++) {
        EmuF80 soft, host;
        uint16_t x = angles[k].soft(&fpu, &soft, &a), y = angles[k].host(&fpu, &host, &a);

        check_result(angles[k].name, &a, &a, fpu.fcw, &soft, x, &host, y, 4);
    }
}
#define STORE(name, mask) { #name, x87_soft_##name, x87_host_##name, mask }
static const Store stores[] = {
    STORE(st_f32, UINT32_MAX), STORE(st_f64, UINT64_MAX), STORE(ist_i16, UINT16_MAX),
    STORE(ist_i32, UINT32_MAX), STORE(ist_i64, UINT64_MAX), STORE(istt_i16, UINT16_MAX),
    STORE(istt_i32, UINT32_MAX), STORE(istt_i64, UINT64_MAX),
};

static void test_portable_one(void)
{
    Random r = { 0x2545f4914f6cdd1dULL };

    for (unsigned i = 0; i < case_count() * 20; i++) {
        EmuFpu fpu = { .fcw = random_control(&r) };
        EmuF80 a = random_f80(&r), b = random_f80(&r), zero = { 0 };

        if ((fpu.fcw & 0x300) == 0x100) {
            fpu.fcw |= 0x300;
        }
        for (unsigned k = 0; k < G_N_ELEMENTS(unaries); k++) {
            EmuF80 soft = a, host = a;
            EmuFpu own = { .fcw = unaries[k].tolerance ? X87_FCW_RESET : fpu.fcw };
            uint16_t x = unaries[k].soft(&own, &soft, &a);
            uint16_t y = unaries[k].host(&own, &host, &a);

            check_result(unaries[k].name, &a, &zero, own.fcw, &soft, x, &host, y,
                         unaries[k].tolerance);
        }
        compare_pair(&fpu, &a, &b);
        compare_angles(&r);
        for (unsigned k = 0; k < G_N_ELEMENTS(stores); k++) {
            uint64_t soft = 0, host = 0;
            uint16_t x = stores[k].soft(&fpu, &soft, &a);
            uint16_t y = stores[k].host(&fpu, &host, &a);
            uint16_t stopping = X87_IE | (k < 2 ? X87_OE | X87_UE : 0);
            uint64_t differing = (soft ^ host) & stores[k].mask;

            if (y & ~fpu.fcw & stopping) {
                differing = 0;
            }
            if (differing || ((x ^ y) & (X87_EXCEPTIONS | X87_C1))) {
                g_error("%s fcw %#x %04x:%016llx gives %llx %04x, not %llx %04x", stores[k].name,
                        fpu.fcw, a.sign_exponent, (long long)a.significand, (long long)soft, x,
                        (long long)host, y);
            }
        }
    }
}

static void add_host_tests(void)
{
    g_test_add_func("/x87/portable/binary", test_portable);
    g_test_add_func("/x87/portable/unary", test_portable_one);
    g_test_add_func("/x87/encodings", test_encodings);
    g_test_add_func("/x87/ferr", test_ferr);
}

#else

static void add_host_tests(void)
{
}

#endif

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add_host_tests();
    return g_test_run();
}
