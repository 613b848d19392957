/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Integer instructions where modes, segment limits and faults matter: what a user's process on the
 * host cannot show. Expectations are the manual's.
 */
#include <string.h>

#include "accel/emu/flags.h"
#include "accel/emu/tests/emu-harness.h"

#define DATA 0x20000u  /* linear */
#define END EMU_HARNESS_RAM /* nothing is mapped from here on */

typedef struct Fixture {
    EmuHarness *h;
    EmuCpu *cpu;
    uint64_t *regs;
    EmuFault fault;
} Fixture;

static void setup(Fixture *f, gconstpointer data)
{
    f->h = emu_harness_new(1, NULL);
    f->cpu = f->h->cpu;
    f->regs = f->cpu->regs;
}

static void teardown(Fixture *f, gconstpointer data)
{
    emu_harness_free(f->h);
}

/* Putting the code there is something that wants attention: repeated instructions pause. */
static bool run(Fixture *f, const uint8_t *code, size_t len)
{
    bool ok;

    do {
        ok = emu_harness_run(f->h, f->cpu, code, len, 1, &f->fault);
    } while (ok && f->cpu->rip == EMU_HARNESS_CODE);
    return ok;
}

#define RUN(f, ...) \
    run(f, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))
/* Ran; RIP is that many bytes behind the beginning. */
#define RUNS(f, distance, ...) \
    do { \
        g_assert_true(RUN(f, __VA_ARGS__)); \
        g_assert_cmphex((f)->cpu->rip, ==, EMU_HARNESS_CODE + (distance)); \
    } while (0)
#define FAULTS(f, number, ...) \
    do { \
        g_assert_false(RUN(f, __VA_ARGS__)); \
        g_assert_cmpuint((f)->fault.vector, ==, (number)); \
        g_assert_cmphex((f)->cpu->rip, ==, EMU_HARNESS_CODE); \
    } while (0)

static uint32_t dword(Fixture *f, uint64_t address)
{
    return ldl_le(f->h->bytes + address);
}

/* ---- Strings ---- */

static void test_string_faults(Fixture *f, gconstpointer data)
{
    emu_harness_set_mode(f->cpu, EMU_HARNESS_LONG64);
    memset(f->h->bytes + DATA, 0x5a, 64);
    f->regs[X86_RSI] = DATA;
    f->regs[X86_RDI] = END - 16;
    f->regs[X86_RCX] = 40;
    FAULTS(f, X86_PF, 0xf3, 0xa4);
    g_assert_cmphex(f->cpu->cr2, ==, END);
    g_assert_cmphex(f->regs[X86_RCX], ==, 24);
    g_assert_cmphex(f->regs[X86_RSI], ==, DATA + 16);
    g_assert_cmphex(f->regs[X86_RDI], ==, END);
    g_assert_cmphex(dword(f, END - 4), ==, 0x5a5a5a5a);

    /* An element that crosses the border is not written in part. */
    f->regs[X86_RAX] = 0x1122334455667788;
    f->regs[X86_RDI] = END - 20;
    f->regs[X86_RCX] = 4;
    memset(f->h->bytes + END - 20, 0, 20);
    FAULTS(f, X86_PF, 0xf3, 0x48, 0xab);
    g_assert_cmphex(f->regs[X86_RCX], ==, 2);
    g_assert_cmphex(f->regs[X86_RDI], ==, END - 4);
    g_assert_cmphex(dword(f, END - 4), ==, 0);

    /* Comparisons leave the flags as they were before the instruction. */
    emu_flags_set(f->cpu, FLAG_CF | FLAG_SF);
    memset(f->h->bytes + END - 8, 0x5a, 8);
    f->regs[X86_RSI] = DATA;
    f->regs[X86_RDI] = END - 8;
    f->regs[X86_RCX] = 20;
    FAULTS(f, X86_PF, 0xf3, 0xa6);
    g_assert_cmphex(f->regs[X86_RCX], ==, 12);
    g_assert_cmphex(emu_flags_get(f->cpu), ==, FLAG_CF | FLAG_SF);
}

static void test_string_pauses(Fixture *f, gconstpointer data)
{
    unsigned turns = 0;

    emu_harness_set_mode(f->cpu, EMU_HARNESS_LONG64);
    memset(f->h->bytes + DATA, 0, 0x10000);
    f->regs[X86_RDI] = DATA + 3;
    f->regs[X86_RCX] = 0x8000;
    f->regs[X86_RAX] = 0x77;
    do {
        emu_set_attention(f->cpu);
        g_assert_true(emu_harness_run(f->h, f->cpu, "\xf3\xaa", 2, 1, &f->fault));
        g_assert_cmphex(f->regs[X86_RDI] + f->regs[X86_RCX], ==, DATA + 3 + 0x8000);
        turns++;
    } while (f->cpu->rip == EMU_HARNESS_CODE);
    f->cpu->attention = 0;
    g_assert_cmpuint(turns, >, 4);
    g_assert_cmphex(f->regs[X86_RCX], ==, 0);
    g_assert_cmphex(f->h->bytes[DATA + 2], ==, 0);
    g_assert_cmphex(f->h->bytes[DATA + 3], ==, 0x77);
    g_assert_cmphex(f->h->bytes[DATA + 0x8002], ==, 0x77);
    g_assert_cmphex(f->h->bytes[DATA + 0x8003], ==, 0);
}

static void test_string_segments(Fixture *f, gconstpointer data)
{
    emu_harness_set_mode(f->cpu, EMU_HARNESS_REAL16);
    f->cpu->segs[X86_DS].base = DATA;
    f->cpu->segs[X86_ES].base = DATA + 0x10000;
    for (unsigned i = 0; i < 0x10000; i++) {
        f->h->bytes[DATA + i] = (uint8_t)(i * 7 + (i >> 8));
    }
    /* Offsets wrap at 64 KiB; what is above the low half of a register stays. */
    f->regs[X86_RSI] = 0x1234fffe;
    f->regs[X86_RDI] = 0x56780100;
    f->regs[X86_RCX] = 0x9abc0008;
    RUNS(f, 2, 0xf3, 0xa4);
    g_assert_cmphex(f->regs[X86_RSI], ==, 0x12340006);
    g_assert_cmphex(f->regs[X86_RDI], ==, 0x56780108);
    g_assert_cmphex(f->regs[X86_RCX], ==, 0x9abc0000);
    g_assert_cmpmem(f->h->bytes + DATA + 0x10100, 2, f->h->bytes + DATA + 0xfffe, 2);
    g_assert_cmpmem(f->h->bytes + DATA + 0x10102, 6, f->h->bytes + DATA, 6);
    /* A word at the last byte is outside; the ones before it are done. */
    f->regs[X86_RSI] = 0xfffb;
    f->regs[X86_RDI] = 0;
    f->regs[X86_RCX] = 8;
    FAULTS(f, X86_GP, 0xf3, 0xa5);
    g_assert_cmphex(f->regs[X86_RSI], ==, 0xffff);
    g_assert_cmphex(f->regs[X86_RCX], ==, 6);
    /* 32-bit addresses meet the limit. */
    f->regs[X86_RSI] = 0;
    f->regs[X86_RDI] = 0xfff0;
    f->regs[X86_RCX] = 0x20;
    FAULTS(f, X86_GP, 0x67, 0xf3, 0xa4);
    g_assert_cmphex(f->regs[X86_RDI], ==, 0x10000);
    g_assert_cmphex(f->regs[X86_RCX], ==, 0x10);
}

/* ---- The stack ---- */

static void test_stack_16(Fixture *f, gconstpointer data)
{
    emu_harness_set_mode(f->cpu, EMU_HARNESS_REAL16);
    f->cpu->segs[X86_SS].base = DATA;
    f->regs[X86_RSP] = 0xabcd0000;
    f->regs[X86_RAX] = 0x12345678;
    RUNS(f, 1, 0x50); /* SP wraps */
    g_assert_cmphex(f->regs[X86_RSP], ==, 0xabcdfffe);
    g_assert_cmphex(dword(f, DATA + 0xfffe) & 0xffff, ==, 0x5678);
    RUNS(f, 1, 0x5b);
    g_assert_cmphex(f->regs[X86_RSP], ==, 0xabcd0000);
    g_assert_cmphex((uint16_t)f->regs[X86_RBX], ==, 0x5678);
    f->regs[X86_RSP] = 1;
    FAULTS(f, X86_SS_FAULT, 0x50);
    g_assert_cmphex(f->regs[X86_RSP], ==, 1);
    /* PUSHA has the old SP; a fault in the middle leaves that, and what it has pushed. */
    f->regs[X86_RSP] = 0x100;
    RUNS(f, 1, 0x60);
    g_assert_cmphex(f->regs[X86_RSP], ==, 0xf0);
    g_assert_cmphex(dword(f, DATA + 0xf6) & 0xffff, ==, 0x100);
    f->regs[X86_RSP] = 7;
    memset(f->h->bytes + DATA, 0xee, 8);
    FAULTS(f, X86_SS_FAULT, 0x60);
    g_assert_cmphex(f->regs[X86_RSP], ==, 7);
    g_assert_cmphex(dword(f, DATA + 4) >> 8, ==, 0xee5678);
    /* A 32-bit CALL: four bytes, and a target that the limit checks before SP moves. */
    f->regs[X86_RSP] = 0x100;
    RUNS(f, 16, 0x66, 0xe8, 10, 0, 0, 0);
    g_assert_cmphex(dword(f, DATA + 0xfc), ==, EMU_HARNESS_CODE + 6);
    f->regs[X86_RSP] = 0x100;
    FAULTS(f, X86_GP, 0x66, 0xe8, 0, 0, 1, 0);
    g_assert_cmphex(f->regs[X86_RSP], ==, 0x100);
    /* The same with 16 bits wraps. */
    RUNS(f, -0x100, 0xe8, 0xfd, 0xfe);
}

static void test_stack_32(Fixture *f, gconstpointer data)
{
    emu_harness_set_mode(f->cpu, EMU_HARNESS_PROT32);
    f->regs[X86_RSP] = DATA + 0x100;
    stl_le(f->h->bytes + DATA + 0x100, 0xcafef00d);
    RUNS(f, 4, 0x8f, 0x44, 0x24, 0x08); /* POP [ESP + 8]: ESP behind the value */
    g_assert_cmphex(dword(f, DATA + 0x10c), ==, 0xcafef00d);
    g_assert_cmphex(f->regs[X86_RSP], ==, DATA + 0x104);
    RUNS(f, 4, 0xff, 0x74, 0x24, 0x08); /* PUSH [ESP + 8] */
    g_assert_cmphex(dword(f, DATA + 0x100), ==, 0xcafef00d);
    f->regs[X86_RAX] = 1;
    f->regs[X86_RDI] = 8;
    f->regs[X86_RBP] = 6;
    RUNS(f, 1, 0x60);
    g_assert_cmphex(dword(f, DATA + 0xfc), ==, 1);
    g_assert_cmphex(dword(f, DATA + 0xe0), ==, 8);
    g_assert_cmphex(dword(f, DATA + 0xec), ==, DATA + 0x100);
    f->regs[X86_RDI] = 0;
    RUNS(f, 1, 0x61);
    g_assert_cmphex(f->regs[X86_RDI], ==, 8);
    g_assert_cmphex(f->regs[X86_RSP], ==, DATA + 0x100);
    /* ENTER 16, 3 copies the two enclosing frames' pointers. */
    f->regs[X86_RBP] = DATA + 0x200;
    stl_le(f->h->bytes + DATA + 0x1fc, 0x11);
    stl_le(f->h->bytes + DATA + 0x1f8, 0x22);
    RUNS(f, 4, 0xc8, 16, 0, 3);
    g_assert_cmphex(dword(f, DATA + 0xfc), ==, DATA + 0x200);
    g_assert_cmphex(dword(f, DATA + 0xf8), ==, 0x11);
    g_assert_cmphex(dword(f, DATA + 0xf4), ==, 0x22);
    g_assert_cmphex(dword(f, DATA + 0xf0), ==, DATA + 0xfc);
    g_assert_cmphex(f->regs[X86_RBP], ==, DATA + 0xfc);
    g_assert_cmphex(f->regs[X86_RSP], ==, DATA + 0xf0 - 16);
    RUNS(f, 1, 0xc9);
    g_assert_cmphex(f->regs[X86_RBP], ==, DATA + 0x200);
    g_assert_cmphex(f->regs[X86_RSP], ==, DATA + 0x100);
    stl_le(f->h->bytes + DATA + 0x100, EMU_HARNESS_CODE + 5);
    RUNS(f, 5, 0xc2, 12, 0);
    g_assert_cmphex(f->regs[X86_RSP], ==, DATA + 0x110);
}

/* ---- Branches and the rest ---- */

static void test_canonical(Fixture *f, gconstpointer data)
{
    emu_harness_set_mode(f->cpu, EMU_HARNESS_LONG64);
    f->regs[X86_RSP] = DATA;
    f->regs[X86_RAX] = 0x800000000000;
    FAULTS(f, X86_GP, 0xff, 0xe0);
    FAULTS(f, X86_GP, 0xff, 0xd0);
    g_assert_cmphex(f->regs[X86_RSP], ==, DATA);
    stq_le(f->h->bytes + DATA, 0x800000000000);
    FAULTS(f, X86_GP, 0xc3);
    g_assert_cmphex(f->regs[X86_RSP], ==, DATA);
    f->regs[X86_RSP] = 0x900000000000;
    FAULTS(f, X86_SS_FAULT, 0x50);
    FAULTS(f, X86_SS_FAULT, 0x5b);
    f->regs[X86_RBX] = DATA;
    FAULTS(f, X86_SS_FAULT, 0xff, 0x33);
    FAULTS(f, X86_SS_FAULT, 0x8f, 0x03);
    FAULTS(f, X86_GP, 0x8b, 0x00);
    /* 66h does not shorten near branches. */
    RUNS(f, 6, 0x66, 0xe9, 0, 0, 0, 0);
    f->regs[X86_RBX] = DATA + 8;
    FAULTS(f, X86_GP, 0x48, 0x0f, 0xc7, 0x0b); /* CMPXCHG16B, misaligned */
    FAULTS(f, X86_UD, 0xf0, 0x39, 0x03);       /* LOCK CMP */
    FAULTS(f, X86_UD, 0xf0, 0x01, 0xc0);       /* LOCK ADD of registers */
}

static void test_counting(Fixture *f, gconstpointer data)
{
    emu_harness_set_mode(f->cpu, EMU_HARNESS_REAL16);
    f->regs[X86_RCX] = 0x12340001;
    RUNS(f, 2, 0xe2, 0x10);
    g_assert_cmphex(f->regs[X86_RCX], ==, 0x12340000);
    RUNS(f, 0x12, 0xe3, 0x10);
    RUNS(f, 0x12, 0xe2, 0x10);
    g_assert_cmphex(f->regs[X86_RCX], ==, 0x1234ffff);
    RUNS(f, 0x13, 0x67, 0xe2, 0x10);
    g_assert_cmphex(f->regs[X86_RCX], ==, 0x1234fffe);
    /* BOUND AX, [BX] */
    f->regs[X86_RBX] = 0x4000;
    stl_le(f->h->bytes + 0x4000, 0x0005fffe);
    f->regs[X86_RAX] = 5;
    RUNS(f, 2, 0x62, 0x07);
    f->regs[X86_RAX] = 0xfffd;
    FAULTS(f, X86_BR, 0x62, 0x07);
}

int main(int argc, char **argv)
{
#define ADD(name, fn) g_test_add("/emu/int-modes/" name, Fixture, NULL, setup, fn, teardown)
    g_test_init(&argc, &argv, NULL);
    ADD("string/faults", test_string_faults);
    ADD("string/pauses", test_string_pauses);
    ADD("string/segments", test_string_segments);
    ADD("stack/16", test_stack_16);
    ADD("stack/32", test_stack_32);
    ADD("canonical", test_canonical);
    ADD("counting", test_counting);
    return g_test_run();
}
