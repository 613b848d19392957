/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random descriptor tables, stacks and transfers: whatever a guest makes of them, a fault leaves
 * the processor as it was, delivery ends in a handler or in shutdown, and CPL is what SS says.
 */
#include "accel/emu/tests/emu-tables.h"

#define ROUNDS 20000
#define SELECTORS 32u
#define AT_POINTER 0x40000

typedef struct Snapshot {
    uint64_t regs[16];
    uint64_t rip, rflags, cr0;
    X86Segment segs[X86_SEG__MAX];
} Snapshot;

static void take(const EmuCpu *cpu, Snapshot *s)
{
    memset(s, 0, sizeof(*s));
    memcpy(s->regs, cpu->regs, sizeof(s->regs));
    memcpy(s->segs, cpu->segs, sizeof(s->segs));
    s->rip = cpu->rip;
    s->rflags = emu_rflags(cpu);
    s->cr0 = cpu->cr0;
}

static uint16_t random_selector(GRand *rand)
{
    return g_rand_int_range(rand, 0, SELECTORS) << 3 | g_rand_int_range(rand, 0, 8);
}

/* Mostly present and of a likely type; bases and limits of both sensible and wild kinds. */
static uint64_t random_descriptor(GRand *rand)
{
    static const uint8_t likely[] = {
        0x9a, 0x92, 0xfa, 0xf2, 0xba, 0xb2, 0x9e, 0x89, 0x8b, 0x81, 0x83, 0xec, 0xe4, 0xe5, 0x82,
        0x8e, 0x8f, 0xee, 0x86, 0x96, 0x90, 0x98,
    };
    uint64_t value = (uint64_t)g_rand_int(rand) << 32 | g_rand_int(rand);
    uint64_t access = likely[g_rand_int_range(rand, 0, G_N_ELEMENTS(likely))];

    if (g_rand_int_range(rand, 0, 8) == 0) {
        return value;
    }
    value = (value & ~(0xffull << 40)) | access << 40;
    if (g_rand_boolean(rand)) {
        /* Base 0 and all of memory; for gates: selector and offset within reason. */
        value = (value & 0xff0000000000) | 0x00c000000000ffff | (value & 0x0020000000000000);
        if (!(access & SEG_S)) {
            value |= (uint64_t)random_selector(rand) << 16;
        }
    }
    return value;
}

static void random_tables(Fixture *f, GRand *rand)
{
    for (unsigned i = 4; i < SELECTORS; i++) {
        if (i != S_TSS >> 3 && i != S_TSS64 >> 3 && i != S_CODE64 >> 3) {
            put(f, AT_GDT + i * 8, random_descriptor(rand), 8);
        }
    }
    for (unsigned i = 0; i < 0x40; i++) {
        if (g_rand_int_range(rand, 0, 3) == 0) {
            put(f, AT_IDT + i * 8, random_descriptor(rand), 8);
        }
    }
    if (g_rand_int_range(rand, 0, 4) == 0) {
        put(f, AT_TSS + 8, random_selector(rand), 2);
    }
    for (unsigned i = 0; i < 0x100; i += 4) {
        put(f, AT_TSS2 + i, random_selector(rand), 4);
    }
    f->cpu->gdt.limit = SELECTORS * 8 - 1;
}

static void random_stack(Fixture *f, GRand *rand, unsigned size)
{
    uint64_t sp = f->cpu->regs[X86_RSP];

    for (unsigned i = 0; i < 10; i++) {
        uint64_t word = g_rand_boolean(rand) ? random_selector(rand) : g_rand_int(rand);

        put(f, sp + i * size, word, size);
    }
    put(f, AT_POINTER, g_rand_int_range(rand, 0, 0x20000), 4);
    put(f, AT_POINTER + 4, random_selector(rand), 2);
}

/* All of them work alike in 32-bit and 64-bit code, or are undefined there. */
static bool random_instruction(Fixture *f, GRand *rand)
{
    static const uint8_t codes[][8] = {
        { 0xff, 0x28 }, /* JMP FAR [EAX] */
        { 0xff, 0x18 }, /* CALL FAR [EAX] */
        { 0xcb },
        { 0xca, 8, 0 },
        { 0xcf },
        { 0x48, 0xcf },
        { 0x66, 0xcf },
        { 0xcd, 0x21 },
        { 0xcc },
        { 0x8e, 0x58, 4 }, /* MOV DS, [EAX + 4] */
        { 0x8e, 0x50, 4 }, /* MOV SS, [EAX + 4] */
        { 0x0f, 0xa1 },
        { 0x17 },
        { 0x0f, 0xb2, 0x20 }, /* LSS ESP, [EAX] */
        { 0x0f, 0x00, 0x50, 4 }, /* LLDT [EAX + 4] */
        { 0x0f, 0x00, 0x58, 4 }, /* LTR */
        { 0x0f, 0x02, 0x48, 4 }, /* LAR ECX */
        { 0x0f, 0x03, 0x48, 4 }, /* LSL ECX */
        { 0x0f, 0x00, 0x60, 4 }, /* VERR */
    };

    f->cpu->regs[X86_RAX] = AT_POINTER;
    return emu_harness_run(f->h, f->cpu, codes[g_rand_int_range(rand, 0, G_N_ELEMENTS(codes))], 8,
                           1, &f->fault);
}

static void do_deliver_fault(EmuCpu *cpu, void *opaque)
{
    emu_deliver_fault(cpu);
}

static void do_interrupt(EmuCpu *cpu, void *opaque)
{
    emu_deliver(cpu, 0x20, EMU_EVENT_EXTERNAL, false, 0);
}

static void expect_unchanged(const EmuCpu *cpu, const Snapshot *before)
{
    Snapshot after;

    take(cpu, &after);
    if (after.segs[X86_TR].selector != before->segs[X86_TR].selector) {
        return; /* the fault is a new task's */
    }
    after.rip = before->rip;
    g_assert_cmpmem(before, sizeof(*before), &after, sizeof(after));
}

/* At most: the fault, a serial one or two, a double fault, its own fault. */
static void settle(Fixture *f)
{
    for (unsigned turns = 0; !f->cpu->triple_fault; turns++) {
        Snapshot before;

        g_assert_cmpuint(turns, <, 8);
        take(f->cpu, &before);
        if (emu_harness_try(f->cpu, do_deliver_fault, NULL, &f->fault)) {
            return;
        }
        expect_unchanged(f->cpu, &before);
    }
    f->cpu->triple_fault = false;
}

static void expect_sane(const EmuCpu *cpu)
{
    unsigned dpl = cpu->segs[X86_SS].attr >> SEG_DPL_SHIFT & 3;

    g_assert_cmpuint(emu_cpl(cpu), ==, cpu->rflags & FLAG_VM ? 3 : dpl);
    g_assert_cmphex(cpu->rflags & (FLAG_ONE | BIT(3) | BIT(5) | BIT(15)), ==, FLAG_ONE);
}

static void run_rounds(Fixture *f, void (*enter)(Fixture *f, unsigned cpl), unsigned word)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(4711);

    for (unsigned i = 0; i < ROUNDS; i++) {
        Snapshot before;
        bool ok;

        enter(f, g_rand_boolean(rand) ? 3 : 0);
        f->cpu->dr[7] = 0x400;
        f->cpu->delivering = -1;
        f->cpu->delivering_ext = false;
        random_tables(f, rand);
        random_stack(f, rand, word);
        f->cpu->rflags |= g_rand_int_range(rand, 0, 8) ? 0 : FLAG_NT;
        f->cpu->regs[X86_RAX] = AT_POINTER;
        f->cpu->rip = EMU_HARNESS_CODE;
        take(f->cpu, &before);
        ok = g_rand_boolean(rand) ? random_instruction(f, rand)
                                  : emu_harness_try(f->cpu, do_interrupt, NULL, &f->fault);
        if (!ok) {
            expect_unchanged(f->cpu, &before);
            settle(f);
        }
        expect_sane(f->cpu);
    }
}

static void test_protected(Fixture *f, gconstpointer data)
{
    run_rounds(f, enter_protected, 4);
}

static void test_long(Fixture *f, gconstpointer data)
{
    run_rounds(f, enter_long, 8);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("random-protected", test_protected);
    ADD("random-long", test_long);
    return g_test_run();
}
