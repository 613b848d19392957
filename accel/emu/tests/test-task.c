/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hardware task switches: every cause, both kinds of TSS, what is saved, marked and linked, and
 * whose fault a bad TSS is.
 */
#include "accel/emu/tests/emu-tables.h"

#define JMP_FAR(selector) 0xea, IMM32(0), IMM16(selector)
#define CALL_FAR(selector) 0x9a, IMM32(0), IMM16(selector)
#define AT_TASK2_STACK 0x25000

/* A runnable task in AT_TSS2 at CPL 0, with registers 0x101 to 0x108. */
static void make_task2(Fixture *f)
{
    static const uint16_t segs[] = { S_DATA0, S_CODE0, S_DATA0, S_DATA0, 0, 0 };

    memset(f->h->bytes + AT_TSS2, 0, 0x68);
    put(f, AT_TSS2 + 0x20, AT_TASK2, 4);
    put(f, AT_TSS2 + 0x24, 0x202 | FLAG_ZF, 4);
    for (unsigned i = 0; i < 8; i++) {
        put(f, AT_TSS2 + 0x28 + 4 * i, 0x101 + i, 4);
    }
    put(f, AT_TSS2 + 0x38, AT_TASK2_STACK, 4);
    for (unsigned i = 0; i < G_N_ELEMENTS(segs); i++) {
        put(f, AT_TSS2 + 0x48 + 4 * i, segs[i], 2);
    }
    put(f, AT_TSS2 + 0x66, 0x68, 2);
}

static void enter(Fixture *f, unsigned cpl)
{
    enter_protected(f, cpl);
    make_task2(f);
    for (unsigned i = 0; i < 8; i++) {
        if (i != X86_RSP) {
            f->cpu->regs[i] = 0x11110000 + i;
        }
    }
}

static void expect_task2(Fixture *f)
{
    g_assert_cmphex(f->cpu->rip, ==, AT_TASK2);
    g_assert_cmphex(f->cpu->regs[X86_RAX], ==, 0x101);
    g_assert_cmphex(f->cpu->regs[X86_RDI], ==, 0x108);
    g_assert_cmphex(f->cpu->segs[X86_CS].selector, ==, S_CODE0);
    g_assert_cmphex(f->cpu->segs[X86_FS].selector, ==, 0);
    g_assert_true(f->cpu->segs[X86_FS].attr & SEG_UNUSABLE);
    g_assert_cmphex(f->cpu->segs[X86_TR].selector, ==, S_TSS2);
    g_assert_cmphex(f->cpu->segs[X86_TR].attr, ==, 0x8b);
    g_assert_cmphex(access_byte(f, S_TSS2), ==, 0x8b);
    g_assert_true(f->cpu->cr0 & CR0_TS);
    g_assert_true(f->cpu->mode & EMU_MODE_CR0_TS);
    g_assert_true(emu_zf(f->cpu));
    g_assert_cmpint(emu_cpl(f->cpu), ==, 0);
}

static void test_jump(Fixture *f, gconstpointer data)
{
    enter(f, 0);
    g_assert_true(RUN(f, 1, JMP_FAR(S_TSS2)));
    expect_task2(f);
    g_assert_cmphex(f->cpu->regs[X86_RSP], ==, AT_TASK2_STACK);
    g_assert_false(f->cpu->rflags & FLAG_NT);
    g_assert_cmphex(access_byte(f, S_TSS), ==, 0x89);
    g_assert_cmphex(get(f, AT_TSS + 0x20, 4), ==, EMU_HARNESS_CODE + 7);
    g_assert_cmphex(get(f, AT_TSS + 0x2c, 4), ==, 0x11110001);
    g_assert_cmphex(get(f, AT_TSS + 0x38, 4), ==, AT_STACK0);
    g_assert_cmphex(get(f, AT_TSS + 0x4c, 2), ==, S_CODE0);

    /* And back, through a gate. */
    put_gate(f, AT_GDT + S_TASK_GATE, S_TSS, 0, 0xe5, 0);
    g_assert_true(RUN(f, 1, JMP_FAR(S_TASK_GATE)));
    g_assert_cmphex(f->cpu->rip, ==, EMU_HARNESS_CODE + 7);
    g_assert_cmphex(f->cpu->regs[X86_RSP], ==, AT_STACK0);
    g_assert_cmphex(access_byte(f, S_TSS), ==, 0x8b);
    g_assert_cmphex(access_byte(f, S_TSS2), ==, 0x89);
}

static void test_call_and_return(Fixture *f, gconstpointer data)
{
    enter(f, 3);
    EXPECT_FAULT(f, X86_GP, S_TSS2, 1, CALL_FAR(S_TSS2));
    g_assert_true(RUN(f, 1, CALL_FAR(S_TASK_GATE | 3)));
    expect_task2(f);
    g_assert_true(f->cpu->rflags & FLAG_NT);
    g_assert_cmphex(get(f, AT_TSS2, 2), ==, S_TSS);
    g_assert_cmphex(access_byte(f, S_TSS), ==, 0x8b);

    f->cpu->regs[X86_RBX] = 0x7777;
    g_assert_true(RUN(f, 1, 0xcf));
    g_assert_cmphex(f->cpu->rip, ==, EMU_HARNESS_CODE + 7);
    g_assert_cmpint(emu_cpl(f->cpu), ==, 3);
    g_assert_cmphex(f->cpu->regs[X86_RSP], ==, AT_STACK3);
    g_assert_cmphex(f->cpu->regs[X86_RBX], ==, 0x11110003);
    g_assert_false(f->cpu->rflags & FLAG_NT);
    g_assert_cmphex(access_byte(f, S_TSS2), ==, 0x89);
    g_assert_cmphex(get(f, AT_TSS2 + 0x34, 4), ==, 0x7777);
    g_assert_cmphex(get(f, AT_TSS2 + 0x24, 4) & FLAG_NT, ==, 0);
}

static void do_deliver(EmuCpu *cpu, void *opaque)
{
    emu_deliver(cpu, *(const unsigned *)opaque, EMU_EVENT_FAULT, true, 0x1234);
}

static bool deliver(Fixture *f, unsigned vector)
{
    f->cpu->delivering = -1;
    return emu_harness_try(f->cpu, do_deliver, &vector, &f->fault);
}

static void test_event(Fixture *f, gconstpointer data)
{
    enter(f, 3);
    put_gate(f, AT_IDT + X86_GP * 8, S_TSS2, 0, 0x85, 0);
    f->cpu->rip = 0x4321;
    g_assert_true(deliver(f, X86_GP));
    expect_task2(f);
    g_assert_cmphex(f->cpu->regs[X86_RSP], ==, AT_TASK2_STACK - 4);
    g_assert_cmphex(get(f, AT_TASK2_STACK - 4, 4), ==, 0x1234);
    g_assert_true(get(f, AT_TSS + 0x24, 4) & FLAG_RF);
    g_assert_cmphex(get(f, AT_TSS + 0x20, 4), ==, 0x4321);
    g_assert_true(f->cpu->rflags & FLAG_NT);

    /* The task is busy now: no second time. */
    g_assert_false(deliver(f, X86_GP));
    g_assert_cmphex(f->fault.vector, ==, X86_GP);
    g_assert_cmphex(f->fault.error, ==, S_TSS2 | 1);
}

static void test_16bit(Fixture *f, gconstpointer data)
{
    static const uint16_t segs[] = { S_DATA0, S_CODE16, S_DATA16, S_DATA0 };

    enter(f, 0);
    memset(f->h->bytes + AT_TSS16, 0, 0x2c);
    put(f, AT_TSS16 + 0x0e, 0x4321, 2);
    put(f, AT_TSS16 + 0x10, 0x202, 2);
    put(f, AT_TSS16 + 0x12, 0x5555, 2);
    put(f, AT_TSS16 + 0x1a, 0x6000, 2);
    for (unsigned i = 0; i < G_N_ELEMENTS(segs); i++) {
        put(f, AT_TSS16 + 0x22 + 2 * i, segs[i], 2);
    }
    g_assert_true(RUN(f, 1, CALL_FAR(S_TSS16)));
    g_assert_cmphex(f->cpu->rip, ==, 0x4321);
    g_assert_cmphex(f->cpu->regs[X86_RAX], ==, 0x5555);
    g_assert_cmphex(f->cpu->regs[X86_RSP], ==, 0x6000);
    g_assert_cmphex(f->cpu->segs[X86_TR].attr, ==, 0x83);
    g_assert_cmphex(get(f, AT_TSS16, 2), ==, S_TSS);
    g_assert_false(f->cpu->mode & (EMU_MODE_CS32 | EMU_MODE_SS32));
    g_assert_true(RUN(f, 1, 0xcf));
    g_assert_cmphex(f->cpu->rip, ==, EMU_HARNESS_CODE + 7);
    g_assert_cmphex(access_byte(f, S_TSS16), ==, 0x81);
    g_assert_cmphex(get(f, AT_TSS16 + 0x12, 2), ==, 0x5555);
}

/* Before the switch: the old task's fault, and nothing has changed. */
static void test_refused(Fixture *f, gconstpointer data)
{
    enter(f, 0);
    EXPECT_FAULT(f, X86_GP, S_TSS, 1, JMP_FAR(S_TSS)); /* busy */
    EXPECT_FAULT(f, X86_GP, S_TSS2, 1, JMP_FAR(S_TSS2 | 3));
    put(f, AT_GDT + S_TSS2 + 5, 0x09, 1);
    EXPECT_FAULT(f, X86_NP, S_TSS2, 1, JMP_FAR(S_TSS2));
    put(f, AT_GDT + S_TSS2 + 5, 0x89, 1);
    put(f, AT_GDT + S_TSS2, 0x66, 2);
    EXPECT_FAULT(f, X86_TS, S_TSS2, 1, JMP_FAR(S_TSS2));
    put(f, AT_GDT + S_TSS2, 0x67, 2);
    put_gate(f, AT_GDT + S_TASK_GATE, S_TSS2 | 4, 0, 0xe5, 0);
    EXPECT_FAULT(f, X86_GP, S_TSS2 | 4, 1, JMP_FAR(S_TASK_GATE));
    put_gate(f, AT_GDT + S_TASK_GATE, S_TSS2, 0, 0x65, 0);
    EXPECT_FAULT(f, X86_NP, S_TASK_GATE, 1, JMP_FAR(S_TASK_GATE));
    f->cpu->rflags |= FLAG_NT;
    put(f, AT_TSS, S_TSS2, 2);
    EXPECT_FAULT(f, X86_TS, S_TSS2, 1, 0xcf); /* not busy */
    put(f, AT_TSS, S_END, 2);
    EXPECT_FAULT(f, X86_TS, S_END, 1, 0xcf);
    g_assert_cmphex(f->cpu->segs[X86_TR].selector, ==, S_TSS);
    g_assert_cmphex(access_byte(f, S_TSS), ==, 0x8b);
    g_assert_cmphex(access_byte(f, S_TSS2), ==, 0x89);
    g_assert_cmphex(f->cpu->regs[X86_RSP], ==, AT_STACK0);
}

/* Behind the switch: the new task's. */
static void test_bad_segments(Fixture *f, gconstpointer data)
{
    static const struct {
        uint8_t field;
        uint16_t value;
        uint8_t vector;
        uint16_t error;
    } cases[] = {
        { 0x60, S_TSS, X86_TS, S_TSS },                      /* LDT */
        { 0x4c, 0, X86_TS, 0 },                              /* CS */
        { 0x4c, S_DATA0, X86_TS, S_DATA0 },
        { 0x4c, S_CODE0 | 3, X86_TS, S_CODE0 },
        { 0x4c, S_ABSENT_CODE, X86_NP, S_ABSENT_CODE },
        { 0x50, 0, X86_TS, 0 },                              /* SS */
        { 0x50, S_DATA3, X86_TS, S_DATA3 & ~3 },
        { 0x50, S_ABSENT, X86_SS_FAULT, S_ABSENT },
        { 0x54, S_EXEC_ONLY, X86_TS, S_EXEC_ONLY },          /* DS */
        { 0x58, S_ABSENT, X86_NP, S_ABSENT },                /* FS */
        { 0x5c, S_END, X86_TS, S_END },                      /* GS */
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        enter(f, 0);
        put(f, AT_TSS2 + cases[i].field, cases[i].value, 2);
        EXPECT_FAULT(f, cases[i].vector, cases[i].error, 1, JMP_FAR(S_TSS2));
        g_assert_cmphex(f->cpu->rip, ==, AT_TASK2);
        g_assert_cmphex(f->cpu->segs[X86_TR].selector, ==, S_TSS2);
        g_assert_cmphex(f->cpu->segs[X86_CS].selector, ==, get(f, AT_TSS2 + 0x4c, 2));
    }
    enter(f, 0);
    put(f, AT_TSS2 + 0x4c, S_CODE16, 2);
    EXPECT_FAULT(f, X86_GP, 0, 1, JMP_FAR(S_TSS2)); /* EIP is past its limit */
}

static void test_v86_task(Fixture *f, gconstpointer data)
{
    enter(f, 0);
    put(f, AT_TSS2 + 0x20, 0x1234, 4);
    put(f, AT_TSS2 + 0x24, 0x202 | FLAG_VM, 4);
    put(f, AT_TSS2 + 0x4c, 0x3000, 2);
    g_assert_true(RUN(f, 1, JMP_FAR(S_TSS2)));
    g_assert_true(f->cpu->mode & EMU_MODE_VM86);
    g_assert_cmpint(emu_cpl(f->cpu), ==, 3);
    g_assert_cmphex(f->cpu->segs[X86_CS].base, ==, 0x30000);
    g_assert_cmphex(f->cpu->rip, ==, 0x1234);
}

static void test_debug_trap(Fixture *f, gconstpointer data)
{
    enter(f, 0);
    put(f, AT_TSS2 + 0x64, 1, 2);
    f->cpu->dr[7] = 0x455;
    g_assert_true(RUN(f, 1, JMP_FAR(S_TSS2)));
    g_assert_cmphex(f->cpu->rip, ==, AT_HANDLER + 16);
    g_assert_cmphex(get(f, AT_TASK2_STACK - 12, 4), ==, AT_TASK2);
    g_assert_true(f->cpu->dr[6] & BIT(15));
    g_assert_cmphex(f->cpu->dr[7] & 0x155, ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("jump", test_jump);
    ADD("call-and-return", test_call_and_return);
    ADD("event", test_event);
    ADD("16bit", test_16bit);
    ADD("refused", test_refused);
    ADD("bad-segments", test_bad_segments);
    ADD("v86", test_v86_task);
    ADD("debug-trap", test_debug_trap);
    return g_test_run();
}
