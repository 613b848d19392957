/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transfers of control: far branches, gates, returns to outer levels, v8086 mode, the fast system
 * calls, and the delivery of events with everything that can go wrong on the way.
 */
#include "accel/emu/tests/emu-tables.h"

#include "accel/emu/system.h"

/* ---- Delivery ---- */

typedef struct Event {
    unsigned vector;
    EmuEventKind kind;
    bool has_error;
    uint32_t error;
} Event;

static void do_deliver(EmuCpu *cpu, void *opaque)
{
    const Event *event = opaque;

    emu_deliver(cpu, event->vector, event->kind, event->has_error, event->error);
}

static void do_deliver_fault(EmuCpu *cpu, void *opaque)
{
    emu_deliver_fault(cpu);
}

static bool deliver(Fixture *f, unsigned vector, EmuEventKind kind, int error)
{
    Event event = { vector, kind, error >= 0, error };

    f->cpu->delivering = -1;
    return emu_harness_try(f->cpu, do_deliver, &event, &f->fault);
}

/* What the run loop does with a fault. */
static bool deliver_fault(Fixture *f)
{
    return emu_harness_try(f->cpu, do_deliver_fault, NULL, &f->fault);
}

static void expect_delivery_fault(Fixture *f, unsigned vector, EmuEventKind kind, unsigned fault,
                                  uint32_t error)
{
    EmuCpu *before = g_memdup2(f->cpu, sizeof(*f->cpu));

    g_assert_false(deliver(f, vector, kind, -1));
    g_assert_cmphex(f->fault.vector, ==, fault);
    g_assert_cmphex(f->fault.error, ==, error);
    g_assert_cmpmem(before->segs, sizeof(before->segs), f->cpu->segs, sizeof(before->segs));
    g_assert_cmphex(before->regs[X86_RSP], ==, f->cpu->regs[X86_RSP]);
    g_assert_cmphex(before->rflags, ==, f->cpu->rflags);
    f->cpu->delivering = -1;
    f->cpu->delivering_ext = false;
    g_free(before);
}

static void expect_at(Fixture *f, uint16_t cs, uint64_t rip, uint16_t ss, uint64_t sp)
{
    g_assert_cmphex(f->cpu->segs[X86_CS].selector, ==, cs);
    g_assert_cmphex(f->cpu->rip, ==, rip);
    g_assert_cmphex(f->cpu->segs[X86_SS].selector, ==, ss);
    g_assert_cmphex(f->cpu->regs[X86_RSP], ==, sp);
    g_assert_cmpint(f->cpu->delivering, ==, -1);
}

static void test_deliver_same(Fixture *f, gconstpointer data)
{
    enter_protected(f, 0);
    f->cpu->rip = 0x5678;
    f->cpu->rflags |= FLAG_IF | FLAG_TF | FLAG_NT;
    g_assert_true(deliver(f, X86_GP, EMU_EVENT_FAULT, 0x50));
    expect_at(f, S_CODE0, AT_HANDLER + 16 * X86_GP, S_DATA0, AT_STACK0 - 16);
    g_assert_cmphex(get(f, AT_STACK0 - 16, 4), ==, 0x50);
    g_assert_cmphex(get(f, AT_STACK0 - 12, 4), ==, 0x5678);
    g_assert_cmphex(get(f, AT_STACK0 - 8, 4), ==, S_CODE0);
    g_assert_true(get(f, AT_STACK0 - 4, 4) & FLAG_RF);
    g_assert_true(get(f, AT_STACK0 - 4, 4) & FLAG_IF);
    g_assert_cmphex(f->cpu->rflags & (FLAG_IF | FLAG_TF | FLAG_NT | FLAG_RF), ==, 0);

    /* A trap gate leaves IF; an interrupt's frame has no RF. */
    put_gate(f, AT_IDT + 0x20 * 8, S_CODE0, AT_HANDLER, 0x8f, 0);
    f->cpu->rflags |= FLAG_IF;
    f->cpu->regs[X86_RSP] = AT_STACK0;
    g_assert_true(deliver(f, 0x20, EMU_EVENT_EXTERNAL, -1));
    g_assert_true(f->cpu->rflags & FLAG_IF);
    g_assert_false(get(f, AT_STACK0 - 4, 4) & FLAG_RF);

    /* 16-bit gate: 16-bit frame. */
    put_gate(f, AT_IDT + 0x20 * 8, S_CODE0, 0x1234, 0x86, 0);
    f->cpu->regs[X86_RSP] = AT_STACK0;
    g_assert_true(deliver(f, 0x20, EMU_EVENT_EXTERNAL, -1));
    expect_at(f, S_CODE0, 0x1234, S_DATA0, AT_STACK0 - 6);
}

static void test_deliver_inner(Fixture *f, gconstpointer data)
{
    enter_protected(f, 3);
    f->cpu->rip = 0x8765;
    g_assert_true(deliver(f, 0x21, EMU_EVENT_EXTERNAL, -1));
    expect_at(f, S_CODE0, AT_HANDLER + 16 * 0x21, S_DATA0, AT_STACK0 - 20);
    g_assert_cmpint(emu_cpl(f->cpu), ==, 0);
    g_assert_cmphex(get(f, AT_STACK0 - 4, 4), ==, S_DATA3);
    g_assert_cmphex(get(f, AT_STACK0 - 8, 4), ==, AT_STACK3);
    g_assert_cmphex(get(f, AT_STACK0 - 16, 4), ==, S_CODE3);
    g_assert_cmphex(get(f, AT_STACK0 - 20, 4), ==, 0x8765);
    g_assert_cmphex(access_byte(f, S_CODE0), ==, 0x9b);
    g_assert_cmphex(access_byte(f, S_DATA0), ==, 0x93);

    /* Conforming handlers stay at CPL 3, on the user's stack. */
    enter_protected(f, 3);
    put_gate(f, AT_IDT + 0x20 * 8, S_CONFORMING, AT_HANDLER, 0x8e, 0);
    g_assert_true(deliver(f, 0x20, EMU_EVENT_EXTERNAL, -1));
    expect_at(f, S_CONFORMING | 3, AT_HANDLER, S_DATA3, AT_STACK3 - 12);
    g_assert_cmpint(emu_cpl(f->cpu), ==, 3);

    /* A TSS of 16 bits. */
    enter_protected(f, 3);
    set_tr(f, S_TSS16, AT_TSS16, 0x83);
    put(f, AT_TSS16 + 2, 0x9000, 2);
    put(f, AT_TSS16 + 4, S_DATA0, 2);
    g_assert_true(deliver(f, 0x20, EMU_EVENT_EXTERNAL, -1));
    expect_at(f, S_CODE0, AT_HANDLER + 16 * 0x20, S_DATA0, 0x9000 - 20);
}

static void test_deliver_refused(Fixture *f, gconstpointer data)
{
    const uint32_t at20 = 0x20 * 8;

    enter_protected(f, 3);
    expect_delivery_fault(f, 0x40, EMU_EVENT_EXTERNAL, X86_GP, 0x40 * 8 + 3);
    expect_delivery_fault(f, 0x40, EMU_EVENT_SOFT, X86_GP, 0x40 * 8 + 2);
    expect_delivery_fault(f, 0x20, EMU_EVENT_SOFT, X86_GP, at20 + 2);
    put_gate(f, AT_IDT + at20, S_CODE0, AT_HANDLER, 0x8c, 0);
    expect_delivery_fault(f, 0x20, EMU_EVENT_EXTERNAL, X86_GP, at20 + 3);
    put_gate(f, AT_IDT + at20, S_CODE0, AT_HANDLER, 0x0e, 0);
    expect_delivery_fault(f, 0x20, EMU_EVENT_EXTERNAL, X86_NP, at20 + 3);
    put_gate(f, AT_IDT + at20, 0, AT_HANDLER, 0x8e, 0);
    expect_delivery_fault(f, 0x20, EMU_EVENT_EXTERNAL, X86_GP, 1);
    put_gate(f, AT_IDT + at20, S_DATA0, AT_HANDLER, 0x8e, 0);
    expect_delivery_fault(f, 0x20, EMU_EVENT_EXTERNAL, X86_GP, S_DATA0 | 1);
    put_gate(f, AT_IDT + at20, S_ABSENT_CODE, AT_HANDLER, 0xee, 0);
    expect_delivery_fault(f, 0x20, EMU_EVENT_SOFT, X86_NP, S_ABSENT_CODE);
    put_gate(f, AT_IDT + at20, S_END, AT_HANDLER, 0x8e, 0);
    expect_delivery_fault(f, 0x20, EMU_EVENT_EXTERNAL, X86_GP, S_END | 1);
    put_gate(f, AT_IDT + at20, S_CODE16, 0x10000, 0x8e, 0);
    expect_delivery_fault(f, 0x20, EMU_EVENT_EXTERNAL, X86_GP, 1);

    /* Inner stacks. */
    put_gate(f, AT_IDT + at20, S_CODE0, AT_HANDLER, 0x8e, 0);
    f->cpu->segs[X86_TR].limit = 8;
    expect_delivery_fault(f, 0x20, EMU_EVENT_EXTERNAL, X86_TS, S_TSS | 1);
    f->cpu->segs[X86_TR].limit = 0x67;
    put(f, AT_TSS + 8, 0, 2);
    expect_delivery_fault(f, 0x20, EMU_EVENT_EXTERNAL, X86_TS, 1);
    put(f, AT_TSS + 8, S_DATA1, 2);
    expect_delivery_fault(f, 0x20, EMU_EVENT_EXTERNAL, X86_TS, (S_DATA1 & ~3) | 1);
    put(f, AT_TSS + 8, S_READ_ONLY, 2);
    expect_delivery_fault(f, 0x20, EMU_EVENT_EXTERNAL, X86_TS, S_READ_ONLY | 1);
    put(f, AT_TSS + 8, S_ABSENT, 2);
    expect_delivery_fault(f, 0x20, EMU_EVENT_EXTERNAL, X86_SS_FAULT, S_ABSENT | 1);
    put(f, AT_TSS + 8, S_SMALL, 2);
    put(f, AT_TSS + 4, 0x10, 4);
    expect_delivery_fault(f, 0x20, EMU_EVENT_EXTERNAL, X86_SS_FAULT, S_SMALL | 1);

    enter_protected(f, 0);
    f->cpu->segs[X86_SS].limit = AT_STACK0 - 9;
    expect_delivery_fault(f, 0x20, EMU_EVENT_EXTERNAL, X86_SS_FAULT, 1);
}

/* The whole chain: #NP while #UD comes is serial, #GP while #NP comes is #DF, then shutdown. */
static void test_double_fault(Fixture *f, gconstpointer data)
{
    enter_protected(f, 0);
    EXPECT_FAULT(f, X86_UD, 0, 1, 0x0f, 0x0b);
    put_gate(f, AT_IDT + X86_UD * 8, S_CODE0, AT_HANDLER, 0x0e, 0);
    g_assert_false(deliver_fault(f));
    g_assert_cmphex(f->fault.vector, ==, X86_NP);
    g_assert_cmphex(f->fault.error, ==, X86_UD * 8 + 3);
    g_assert_true(deliver_fault(f));
    g_assert_cmphex(f->cpu->rip, ==, AT_HANDLER + 16 * X86_NP);
    g_assert_cmphex(get(f, f->cpu->regs[X86_RSP] + 4, 4), ==, EMU_HARNESS_CODE);

    EXPECT_FAULT(f, X86_GP, S_END, 2, 0xb8, IMM32(S_END), 0x8e, 0xd8);
    put_gate(f, AT_IDT + X86_GP * 8, S_CODE0, AT_HANDLER, 0x0e, 0);
    g_assert_false(deliver_fault(f));
    g_assert_cmphex(f->fault.vector, ==, X86_NP);
    g_assert_true(deliver_fault(f));
    g_assert_cmphex(f->cpu->rip, ==, AT_HANDLER + 16 * X86_DF);
    g_assert_cmphex(get(f, f->cpu->regs[X86_RSP], 4), ==, 0);

    EXPECT_FAULT(f, X86_GP, S_END, 2, 0xb8, IMM32(S_END), 0x8e, 0xd8);
    put_gate(f, AT_IDT + X86_DF * 8, S_CODE0, AT_HANDLER, 0x0e, 0);
    g_assert_false(deliver_fault(f));
    g_assert_false(deliver_fault(f));
    g_assert_cmphex(f->fault.vector, ==, X86_NP);
    g_assert_false(f->cpu->triple_fault);
    g_assert_false(deliver_fault(f));
    g_assert_true(f->cpu->triple_fault);
    f->cpu->triple_fault = false;
}

static void test_int(Fixture *f, gconstpointer data)
{
    enter_protected(f, 3);
    EXPECT_FAULT(f, X86_GP, 0x20 * 8 + 2, 1, 0xcd, 0x20);
    g_assert_cmphex(f->cpu->rip, ==, EMU_HARNESS_CODE);
    f->cpu->delivering = -1;
    EXPECT_FAULT(f, X86_GP, X86_BP * 8 + 2, 1, 0xcc);
    f->cpu->delivering = -1;
    put_gate(f, AT_IDT + 0x20 * 8, S_CODE0, AT_HANDLER, 0xee, 0);
    g_assert_true(RUN(f, 1, 0xcd, 0x20));
    g_assert_cmphex(get(f, AT_STACK0 - 20, 4), ==, EMU_HARNESS_CODE + 2);
    g_assert_false(get(f, AT_STACK0 - 12, 4) & FLAG_RF);

    enter_protected(f, 3);
    g_assert_true(RUN(f, 1, 0xf1)); /* INT1 asks no DPL */
    expect_at(f, S_CODE0, AT_HANDLER + 16, S_DATA0, AT_STACK0 - 20);
    g_assert_true(RUN(f, 2, 0xb0, 0x7f, 0xce)); /* INTO without overflow */
    g_assert_true(RUN(f, 3, 0xb0, 0x7f, 0x04, 0x01, 0xce));
    g_assert_cmphex(f->cpu->rip, ==, AT_HANDLER + 16 * X86_OF);
}

static void test_real(Fixture *f, gconstpointer data)
{
    emu_harness_set_mode(f->cpu, EMU_HARNESS_REAL16);
    f->cpu->idt = (X86Table){ .base = 0, .limit = 0x3ff };
    put(f, 0x20 * 4, 0x12345678, 4);
    f->cpu->regs[X86_RSP] = 0xabcd1000;
    f->cpu->rflags |= FLAG_IF | FLAG_TF;
    f->cpu->rip = 0x3333;
    f->cpu->segs[X86_CS].selector = 0x11;
    g_assert_true(deliver(f, 0x20, EMU_EVENT_EXTERNAL, -1));
    expect_at(f, 0x1234, 0x5678, 0, 0xabcd0ffa);
    g_assert_cmphex(f->cpu->segs[X86_CS].base, ==, 0x12340);
    g_assert_cmphex(get(f, 0xffa, 2), ==, 0x3333);
    g_assert_cmphex(get(f, 0xffc, 2), ==, 0x11);
    g_assert_cmphex(get(f, 0xffe, 2) & (FLAG_IF | FLAG_TF), ==, FLAG_IF | FLAG_TF);
    g_assert_false(f->cpu->rflags & (FLAG_IF | FLAG_TF));

    emu_harness_set_mode(f->cpu, EMU_HARNESS_REAL16);
    g_assert_true(RUN(f, 1, 0xcf)); /* IRET */
    g_assert_cmphex(f->cpu->rip, ==, 0x3333);
    g_assert_cmphex(f->cpu->segs[X86_CS].selector, ==, 0x11);
    g_assert_true(f->cpu->rflags & FLAG_IF);
    g_assert_cmphex(f->cpu->regs[X86_RSP], ==, 0xabcd1000);

    /* CALL 2000:0010, RETF 4; a vector outside the table; a stack that wraps within a word. */
    emu_harness_set_mode(f->cpu, EMU_HARNESS_REAL16);
    g_assert_true(RUN(f, 1, 0x9a, IMM16(0x10), IMM16(0x2000)));
    expect_at(f, 0x2000, 0x10, 0, 0xabcd0ffc);
    g_assert_cmphex(get(f, 0xffc, 2), ==, EMU_HARNESS_CODE + 5);
    emu_harness_set_mode(f->cpu, EMU_HARNESS_REAL16);
    g_assert_true(RUN(f, 1, 0xca, IMM16(4)));
    expect_at(f, 0, EMU_HARNESS_CODE + 5, 0, 0xabcd1004);
    f->cpu->idt.limit = 0x81;
    expect_delivery_fault(f, 0x20, EMU_EVENT_EXTERNAL, X86_GP, 1);
    f->cpu->idt.limit = 0x3ff;
    f->cpu->regs[X86_RSP] = 1;
    expect_delivery_fault(f, 0x20, EMU_EVENT_EXTERNAL, X86_SS_FAULT, 1);
    /* 32-bit offset beyond the limit. */
    EXPECT_FAULT(f, X86_GP, 0, 1, 0x66, 0xea, IMM32(0x10000), IMM16(0));
}

/* ---- Far branches in protected mode ---- */

#define JMP_FAR(selector, offset) 0xea, IMM32(offset), IMM16(selector)
#define CALL_FAR(selector, offset) 0x9a, IMM32(offset), IMM16(selector)

static void test_jump(Fixture *f, gconstpointer data)
{
    enter_protected(f, 0);
    g_assert_true(RUN(f, 1, JMP_FAR(S_CODE16, 0x1234)));
    expect_at(f, S_CODE16, 0x1234, S_DATA0, AT_STACK0);
    g_assert_false(f->cpu->mode & EMU_MODE_CS32);
    enter_protected(f, 3);
    g_assert_true(RUN(f, 1, JMP_FAR(S_CONFORMING, 0x1234)));
    expect_at(f, S_CONFORMING | 3, 0x1234, S_DATA3, AT_STACK3);

    enter_protected(f, 0);
    EXPECT_FAULT(f, X86_GP, 0, 1, JMP_FAR(3, 0));
    EXPECT_FAULT(f, X86_GP, S_END, 1, JMP_FAR(S_END, 0));
    EXPECT_FAULT(f, X86_GP, S_DATA0, 1, JMP_FAR(S_DATA0, 0));
    EXPECT_FAULT(f, X86_GP, S_CODE0, 1, JMP_FAR(S_CODE0 | 3, 0));
    EXPECT_FAULT(f, X86_GP, S_CODE3 & ~3, 1, JMP_FAR(S_CODE3, 0));
    EXPECT_FAULT(f, X86_NP, S_ABSENT_CODE, 1, JMP_FAR(S_ABSENT_CODE, 0));
    EXPECT_FAULT(f, X86_GP, 0, 1, JMP_FAR(S_CODE16, 0x10000));
    g_assert_true(RUN(f, 1, JMP_FAR(S_GATE, 0)));
    expect_at(f, S_CODE0, AT_HANDLER, S_DATA0, AT_STACK0);
    enter_protected(f, 3);
    EXPECT_FAULT(f, X86_GP, S_CODE0, 1, JMP_FAR(S_GATE, 0));
    EXPECT_FAULT(f, X86_GP, S_CODE0, 1, JMP_FAR(S_CODE0, 0));
}

static void test_call_same(Fixture *f, gconstpointer data)
{
    enter_protected(f, 0);
    g_assert_true(RUN(f, 1, CALL_FAR(S_CODE16, 0x1234)));
    expect_at(f, S_CODE16, 0x1234, S_DATA0, AT_STACK0 - 8);
    g_assert_cmphex(get(f, AT_STACK0 - 8, 4), ==, EMU_HARNESS_CODE + 7);
    g_assert_cmphex(get(f, AT_STACK0 - 4, 4), ==, S_CODE0);
    g_assert_true(RUN(f, 1, 0x66, 0xcb)); /* RETF of 32 bits, in 16-bit code */
    expect_at(f, S_CODE0, EMU_HARNESS_CODE + 7, S_DATA0, AT_STACK0);

    g_assert_true(RUN(f, 1, CALL_FAR(S_GATE16, 0)));
    expect_at(f, S_CODE0, 0x1234, S_DATA0, AT_STACK0 - 4);
    enter_protected(f, 0);
    f->cpu->segs[X86_SS].limit = AT_STACK0 - 2;
    emu_update_mode(f->cpu);
    EXPECT_FAULT(f, X86_SS_FAULT, 0, 1, CALL_FAR(S_CODE0, 0));
    g_assert_cmphex(f->cpu->regs[X86_RSP], ==, AT_STACK0);
}

static void test_call_gate(Fixture *f, gconstpointer data)
{
    enter_protected(f, 3);
    put(f, AT_STACK3, 0x11111111, 4);
    put(f, AT_STACK3 + 4, 0x22222222, 4);
    g_assert_true(RUN(f, 1, CALL_FAR(S_GATE | 3, 0)));
    expect_at(f, S_CODE0, AT_HANDLER, S_DATA0, AT_STACK0 - 24);
    g_assert_cmphex(get(f, AT_STACK0 - 4, 4), ==, S_DATA3);
    g_assert_cmphex(get(f, AT_STACK0 - 8, 4), ==, AT_STACK3);
    g_assert_cmphex(get(f, AT_STACK0 - 12, 4), ==, 0x22222222);
    g_assert_cmphex(get(f, AT_STACK0 - 16, 4), ==, 0x11111111);
    g_assert_cmphex(get(f, AT_STACK0 - 20, 4), ==, S_CODE3);
    g_assert_cmphex(get(f, AT_STACK0 - 24, 4), ==, EMU_HARNESS_CODE + 7);

    /* RETF 8: back, with both stacks released, and what is too privileged made null. */
    set_flat(f, X86_DS, S_DATA0, 0xc093);
    set_flat(f, X86_GS, S_CONFORMING, 0xc09f);
    g_assert_true(RUN(f, 1, 0xca, IMM16(8)));
    expect_at(f, S_CODE3, EMU_HARNESS_CODE + 7, S_DATA3, AT_STACK3 + 8);
    g_assert_cmpint(emu_cpl(f->cpu), ==, 3);
    g_assert_cmphex(f->cpu->segs[X86_DS].selector, ==, 0);
    g_assert_true(f->cpu->segs[X86_DS].attr & SEG_UNUSABLE);
    g_assert_cmphex(f->cpu->segs[X86_GS].selector, ==, S_CONFORMING);
    g_assert_cmphex(f->cpu->segs[X86_ES].selector, ==, S_DATA3);

    enter_protected(f, 3);
    put(f, AT_GDT + S_GATE + 5, 0xcc, 1);
    EXPECT_FAULT(f, X86_GP, S_GATE, 1, CALL_FAR(S_GATE, 0));
    put(f, AT_GDT + S_GATE + 5, 0x6c, 1);
    EXPECT_FAULT(f, X86_NP, S_GATE, 1, CALL_FAR(S_GATE, 0));
    put_gate(f, AT_GDT + S_GATE, S_DATA0, 0, 0xec, 0);
    EXPECT_FAULT(f, X86_GP, S_DATA0, 1, CALL_FAR(S_GATE, 0));
    put_gate(f, AT_GDT + S_GATE, 0, 0, 0xec, 0);
    EXPECT_FAULT(f, X86_GP, 0, 1, CALL_FAR(S_GATE, 0));
    put_gate(f, AT_GDT + S_GATE, S_CODE0, 0, 0xec, 0);
    put(f, AT_TSS + 8, S_DATA3, 2);
    EXPECT_FAULT(f, X86_TS, S_DATA3 & ~3, 1, CALL_FAR(S_GATE, 0));
    g_assert_cmphex(f->cpu->regs[X86_RSP], ==, AT_STACK3);
}

static void test_call_level1(Fixture *f, gconstpointer data)
{
    enter_protected(f, 3);
    put_gate(f, AT_GDT + S_GATE, S_CODE1, AT_HANDLER, 0xec, 0);
    g_assert_true(RUN(f, 1, CALL_FAR(S_GATE, 0)));
    expect_at(f, S_CODE1, AT_HANDLER, S_DATA1, AT_STACK1 - 16);
    g_assert_cmpint(emu_cpl(f->cpu), ==, 1);
}

static void push_words(Fixture *f, unsigned size, unsigned count, const uint64_t *words)
{
    for (unsigned i = 0; i < count; i++) {
        f->cpu->regs[X86_RSP] -= size;
        put(f, f->cpu->regs[X86_RSP], words[i], size);
    }
}

#define PUSH(f, size, ...) \
    push_words((f), (size), G_N_ELEMENTS(((const uint64_t[]){ __VA_ARGS__ })), \
               (const uint64_t[]){ __VA_ARGS__ })

static void test_return_refused(Fixture *f, gconstpointer data)
{
    static const struct {
        uint16_t cs, ss;
        uint32_t ip;
        uint8_t vector;
        uint16_t error;
    } cases[] = {
        { 0, S_DATA3, 0, X86_GP, 0 },
        { S_END | 3, S_DATA3, 0, X86_GP, S_END },
        { S_DATA3, S_DATA3, 0, X86_GP, S_DATA3 & ~3 },
        { S_CODE0 | 3, S_DATA3, 0, X86_GP, S_CODE0 },
        { S_ABSENT_CODE, 0, 0, X86_NP, S_ABSENT_CODE },
        { S_CODE3, 0, 0, X86_GP, 0 },
        { S_CODE3, 3, 0, X86_GP, 0 },
        { S_CODE3, S_DATA0, 0, X86_GP, S_DATA0 },
        { S_CODE3, S_DATA0 | 3, 0, X86_GP, S_DATA0 },
        { S_CODE3, S_CODE3, 0, X86_GP, S_CODE3 & ~3 },
        { S_CODE3, S_END | 3, 0, X86_GP, S_END },
        { S_CODE16, 0, 0x10000, X86_GP, 0 },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        enter_protected(f, 0);
        PUSH(f, 4, cases[i].ss, AT_STACK3, cases[i].cs, cases[i].ip);
        EXPECT_FAULT(f, cases[i].vector, cases[i].error, 1, 0xcb);
        g_assert_cmphex(f->cpu->regs[X86_RSP], ==, AT_STACK0 - 16);
        enter_protected(f, 0);
        PUSH(f, 4, cases[i].ss, AT_STACK3, 0x202, cases[i].cs, cases[i].ip);
        EXPECT_FAULT(f, cases[i].vector, cases[i].error, 1, 0xcf);
        g_assert_cmpint(emu_cpl(f->cpu), ==, 0);
    }
    enter_protected(f, 3);
    PUSH(f, 4, S_CODE0, 0);
    EXPECT_FAULT(f, X86_GP, S_CODE0, 1, 0xcb);
}

static void test_iret(Fixture *f, gconstpointer data)
{
    enter_protected(f, 0);
    f->cpu->nmi_masked = true;
    PUSH(f, 4, S_DATA3, AT_STACK3, 0x3202 | FLAG_AC | FLAG_ZF, S_CODE3, 0x4321);
    g_assert_true(RUN(f, 1, 0xcf));
    expect_at(f, S_CODE3, 0x4321, S_DATA3, AT_STACK3);
    g_assert_cmphex(emu_rflags(f->cpu), ==, 0x3202 | FLAG_AC | FLAG_ZF);
    g_assert_false(f->cpu->nmi_masked);
    g_assert_true(f->cpu->segs[X86_DS].attr & SEG_UNUSABLE);

    /* At CPL 3 neither IF nor IOPL change. */
    enter_protected(f, 3);
    f->cpu->rflags |= FLAG_IF;
    PUSH(f, 4, 0x3002, S_CODE3, 0x4321);
    g_assert_true(RUN(f, 1, 0xcf));
    g_assert_cmphex(emu_rflags(f->cpu), ==, 0x202);
    expect_at(f, S_CODE3, 0x4321, S_DATA3, AT_STACK3);

    /* Of 16 bits, to a 16-bit stack: the upper half of ESP stays. */
    enter_protected(f, 0);
    put(f, AT_GDT + (S_DATA3 & ~7) + 6, 0x8f, 1);
    PUSH(f, 4, S_DATA3, 0x12345678, 0x202, S_CODE3, 0x4321);
    g_assert_true(RUN(f, 1, 0xcf));
    expect_at(f, S_CODE3, 0x4321, S_DATA3, (AT_STACK0 & 0xffff0000) | 0x5678);
}

/* ---- Virtual-8086 mode ---- */

static void enter_v86(Fixture *f, unsigned iopl)
{
    enter_protected(f, 0);
    PUSH(f, 4, 0x4000, 0x3000, 0x5000, 0x6000, 0x2000, 0xff00,
         0x202 | FLAG_VM | iopl << 12, EMU_HARNESS_CODE >> 4, 0);
    g_assert_true(RUN(f, 1, 0xcf));
}

static bool run_v86(Fixture *f, const uint8_t *code, unsigned len)
{
    f->cpu->segs[X86_CS].base = 0; /* where the harness puts RIP */
    f->cpu->segs[X86_CS].selector = 0;
    return emu_harness_run(f->h, f->cpu, code, len, 1, &f->fault);
}

#define RUN86(f, ...) \
    run_v86((f), (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

static void test_v86(Fixture *f, gconstpointer data)
{
    enter_v86(f, 3);
    expect_at(f, EMU_HARNESS_CODE >> 4, 0, 0x2000, 0xff00);
    g_assert_true(f->cpu->mode & EMU_MODE_VM86);
    g_assert_cmpint(emu_cpl(f->cpu), ==, 3);
    g_assert_cmphex(f->cpu->segs[X86_ES].base, ==, 0x60000);
    g_assert_cmphex(f->cpu->segs[X86_DS].selector, ==, 0x5000);
    g_assert_cmphex(f->cpu->segs[X86_FS].selector, ==, 0x3000);
    g_assert_cmphex(f->cpu->segs[X86_GS].limit, ==, 0xffff);

    f->cpu->rip = 0x77;
    g_assert_true(deliver(f, 0x20, EMU_EVENT_EXTERNAL, -1));
    expect_at(f, S_CODE0, AT_HANDLER + 16 * 0x20, S_DATA0, AT_STACK0 - 36);
    g_assert_false(f->cpu->mode & EMU_MODE_VM86);
    g_assert_true(f->cpu->segs[X86_GS].attr & SEG_UNUSABLE);
    g_assert_cmphex(get(f, AT_STACK0 - 4, 4), ==, 0x4000);
    g_assert_cmphex(get(f, AT_STACK0 - 16, 4), ==, 0x6000);
    g_assert_cmphex(get(f, AT_STACK0 - 20, 4), ==, 0x2000);
    g_assert_cmphex(get(f, AT_STACK0 - 24, 4), ==, 0xff00);
    g_assert_cmphex(get(f, AT_STACK0 - 28, 4), ==, 0x3202 | FLAG_VM);
    g_assert_true(RUN(f, 1, 0xcf));
    expect_at(f, EMU_HARNESS_CODE >> 4, 0x77, 0x2000, 0xff00);

    /* A handler that is not at CPL 0. */
    enter_v86(f, 3);
    put_gate(f, AT_IDT + 0x20 * 8, S_CODE3, AT_HANDLER, 0xee, 0);
    expect_delivery_fault(f, 0x20, EMU_EVENT_EXTERNAL, X86_GP, (S_CODE3 & ~3) | 1);
    put_gate(f, AT_IDT + 0x20 * 8, S_CONFORMING, AT_HANDLER, 0xee, 0);
    expect_delivery_fault(f, 0x20, EMU_EVENT_SOFT, X86_GP, S_CONFORMING);
}

static void test_v86_int(Fixture *f, gconstpointer data)
{
    enter_v86(f, 0);
    put_gate(f, AT_IDT + 0x20 * 8, S_CODE0, AT_HANDLER, 0xee, 0);
    g_assert_false(RUN86(f, 0xcd, 0x20));
    g_assert_cmphex(f->fault.vector, ==, X86_GP);
    g_assert_cmphex(f->fault.error, ==, 0);
    g_assert_false(RUN86(f, 0xcf));
    g_assert_cmphex(f->fault.vector, ==, X86_GP);
    enter_v86(f, 3);
    put_gate(f, AT_IDT + 0x20 * 8, S_CODE0, AT_HANDLER, 0xee, 0);
    g_assert_true(RUN86(f, 0xcd, 0x20));
    g_assert_cmphex(f->cpu->segs[X86_CS].selector, ==, S_CODE0);

    /* VME: the redirection bitmap is below the I/O bitmap. IF in the frame is VIF. */
    enter_v86(f, 0);
    f->cpu->cr4 |= CR4_VME;
    f->cpu->rflags |= FLAG_VIF;
    f->cpu->segs[X86_TR].limit = 0x90;
    put(f, AT_TSS + 0x66, 0x88, 2);
    memset(f->h->bytes + AT_TSS + 0x68, 0, 0x20);
    put(f, 0x20 * 4, 0x20001111, 4);
    g_assert_true(RUN86(f, 0xcd, 0x20));
    expect_at(f, 0x2000, 0x1111, 0x2000, 0xfefa);
    g_assert_cmphex(get(f, 0x2fefa, 2), ==, EMU_HARNESS_CODE + 2);
    g_assert_cmphex(get(f, 0x2fefe, 2), ==, 0x3202);
    g_assert_false(f->cpu->rflags & FLAG_VIF);
    g_assert_true(f->cpu->rflags & FLAG_IF);
    g_assert_true(RUN86(f, 0xcf));
    g_assert_true(f->cpu->rflags & FLAG_VIF);
    g_assert_cmphex(f->cpu->rip, ==, EMU_HARNESS_CODE + 2);
    put(f, AT_TSS + 0x68 + 4, 1, 1);
    g_assert_false(RUN86(f, 0xcd, 0x20));
    g_assert_cmphex(f->fault.vector, ==, X86_GP);
}

/* ---- Long mode ---- */

static void test_long_deliver(Fixture *f, gconstpointer data)
{
    enter_long(f, 0);
    f->cpu->rip = 0x5678;
    f->cpu->regs[X86_RSP] = AT_STACK0 - 3;
    g_assert_true(deliver(f, X86_GP, EMU_EVENT_FAULT, 0x18));
    expect_at(f, S_CODE64, AT_HANDLER + 16 * X86_GP, S_DATA0, AT_STACK0 - 16 - 48);
    g_assert_cmphex(get(f, AT_STACK0 - 16 - 8, 8), ==, S_DATA0);
    g_assert_cmphex(get(f, AT_STACK0 - 16 - 16, 8), ==, AT_STACK0 - 3);
    g_assert_cmphex(get(f, AT_STACK0 - 16 - 32, 8), ==, S_CODE64);
    g_assert_cmphex(get(f, AT_STACK0 - 16 - 48, 8), ==, 0x18);

    enter_long(f, 3);
    g_assert_true(deliver(f, 0x20, EMU_EVENT_EXTERNAL, -1));
    expect_at(f, S_CODE64, AT_HANDLER + 16 * 0x20, 0, AT_STACK0 - 40);
    g_assert_cmpint(emu_cpl(f->cpu), ==, 0);
    g_assert_true(f->cpu->segs[X86_SS].attr & SEG_UNUSABLE);
    g_assert_true(RUN(f, 1, 0x48, 0xcf));
    g_assert_cmphex(f->cpu->segs[X86_SS].selector, ==, S_DATA3);
    g_assert_cmphex(f->cpu->regs[X86_RSP], ==, AT_STACK3);
    g_assert_cmpint(emu_cpl(f->cpu), ==, 3);

    /* IST, from CPL 0 as well. */
    enter_long(f, 0);
    put_gate(f, AT_IDT + 0x20 * 16, S_CODE64, AT_HANDLER, 0x8e, 1);
    g_assert_true(deliver(f, 0x20, EMU_EVENT_EXTERNAL, -1));
    expect_at(f, S_CODE64, AT_HANDLER, S_DATA0, AT_IST - 40);
    put(f, AT_TSS64 + 0x24, 0x800000001000, 8);
    expect_delivery_fault(f, 0x20, EMU_EVENT_EXTERNAL, X86_SS_FAULT, 1);
    put_gate(f, AT_IDT + 0x20 * 16, S_CODE0, AT_HANDLER, 0x8e, 0);
    expect_delivery_fault(f, 0x20, EMU_EVENT_EXTERNAL, X86_GP, S_CODE0 | 1);
    put_gate(f, AT_IDT + 0x20 * 16, S_CODE64, AT_HANDLER, 0x85, 0);
    expect_delivery_fault(f, 0x20, EMU_EVENT_EXTERNAL, X86_GP, 0x20 * 8 + 3);
    put_gate(f, AT_IDT + 0x20 * 16, S_CODE64, AT_HANDLER, 0x8e, 0);
    put(f, AT_IDT + 0x20 * 16 + 8, 0x8000, 8);
    expect_delivery_fault(f, 0x20, EMU_EVENT_EXTERNAL, X86_GP, 1);
}

static void test_long_iret(Fixture *f, gconstpointer data)
{
    enter_long(f, 0);
    f->cpu->segs[X86_FS].base = 0x1234000;
    emu_load_segment_real(f->cpu, X86_GS, 0);
    PUSH(f, 8, S_DATA3, AT_STACK3, 0x202, S_CODE3, 0x4321);
    g_assert_true(RUN(f, 1, 0x48, 0xcf)); /* to compatibility mode */
    expect_at(f, S_CODE3, 0x4321, S_DATA3, AT_STACK3);
    g_assert_cmphex(f->cpu->mode & (EMU_MODE_CS64 | EMU_MODE_CS32 | EMU_MODE_LONG), ==,
                    EMU_MODE_CS32 | EMU_MODE_LONG);

    enter_long(f, 0);
    PUSH(f, 8, 0, AT_STACK1 + 1, 0x202, S_CODE64, 0x4321);
    g_assert_true(RUN(f, 1, 0x48, 0xcf)); /* same level: SS and RSP are popped all the same */
    expect_at(f, S_CODE64, 0x4321, 0, AT_STACK1 + 1);
    enter_long(f, 0);
    PUSH(f, 8, 3, AT_STACK3, 0x202, S_CODE64_3, 0x4321);
    EXPECT_FAULT(f, X86_GP, 0, 1, 0x48, 0xcf);
    enter_long(f, 0);
    PUSH(f, 8, S_DATA3, AT_STACK3, 0x202, S_CODE64_3, 0x800000000000);
    EXPECT_FAULT(f, X86_GP, 0, 1, 0x48, 0xcf);
    f->cpu->rflags |= FLAG_NT;
    EXPECT_FAULT(f, X86_GP, 0, 1, 0x48, 0xcf);
    f->cpu->rflags &= ~(uint64_t)FLAG_NT;
    f->cpu->regs[X86_RSP] = 0x7fffffffffff;
    EXPECT_FAULT(f, X86_SS_FAULT, 0, 1, 0x48, 0xcf);
    g_assert_cmpint(emu_cpl(f->cpu), ==, 0);
}

static void test_long_far(Fixture *f, gconstpointer data)
{
    enter_long(f, 3);
    put(f, 0x40000, (uint64_t)S_GATE64 << 32, 6);
    g_assert_true(RUN(f, 1, 0xff, 0x1c, 0x25, IMM32(0x40000)));
    expect_at(f, S_CODE64, AT_HANDLER, 0, AT_STACK0 - 32);
    g_assert_cmphex(get(f, AT_STACK0 - 8, 8), ==, S_DATA3);
    g_assert_cmphex(get(f, AT_STACK0 - 16, 8), ==, AT_STACK3);
    g_assert_cmphex(get(f, AT_STACK0 - 24, 8), ==, S_CODE64_3);
    g_assert_true(RUN(f, 1, 0x48, 0xcb)); /* RETFQ */
    expect_at(f, S_CODE64_3, EMU_HARNESS_CODE + 7, S_DATA3, AT_STACK3);

    enter_long(f, 0);
    put(f, 0x40000, (uint64_t)S_CODE0 << 32 | 0x4321, 6);
    g_assert_true(RUN(f, 1, 0xff, 0x2c, 0x25, IMM32(0x40000)));
    expect_at(f, S_CODE0, 0x4321, S_DATA0, AT_STACK0);
    g_assert_true(f->cpu->mode & EMU_MODE_CS32);
    enter_long(f, 0);
    put(f, 0x40000, (uint64_t)S_TSS2 << 32, 6);
    EXPECT_FAULT(f, X86_GP, S_TSS2, 1, 0xff, 0x2c, 0x25, IMM32(0x40000));
    put(f, 0x40004, S_TASK_GATE, 2);
    EXPECT_FAULT(f, X86_GP, S_TASK_GATE, 1, 0xff, 0x2c, 0x25, IMM32(0x40000));
    put(f, 0x40004, S_GATE64, 2);
    put(f, AT_GDT + S_GATE64 + 12, 0x100, 4);
    EXPECT_FAULT(f, X86_GP, S_GATE64, 1, 0xff, 0x2c, 0x25, IMM32(0x40000));
    put(f, AT_GDT + S_GATE64 + 12, 0, 4);
    put(f, AT_GDT + S_CODE64 + 6, 0xef, 1);
    EXPECT_FAULT(f, X86_GP, S_CODE64, 1, 0xff, 0x2c, 0x25, IMM32(0x40000));
    EXPECT_FAULT(f, X86_UD, 0, 1, JMP_FAR(S_CODE0, 0));
}

/* Without REX.W far branches of 64-bit code are 32 bits wide. */
static void test_long_sizes(Fixture *f, gconstpointer data)
{
    enter_long(f, 0);
    put(f, 0x40000, (uint64_t)S_CODE64 << 32 | 0x4321, 6);
    g_assert_true(RUN(f, 1, 0xff, 0x1c, 0x25, IMM32(0x40000)));
    expect_at(f, S_CODE64, 0x4321, S_DATA0, AT_STACK0 - 8);
    g_assert_cmphex(get(f, AT_STACK0 - 8, 4), ==, EMU_HARNESS_CODE + 7);
    g_assert_cmphex(get(f, AT_STACK0 - 4, 4), ==, S_CODE64);
    g_assert_true(RUN(f, 1, 0xcb));
    expect_at(f, S_CODE64, EMU_HARNESS_CODE + 7, S_DATA0, AT_STACK0);
    put(f, 0x40000, 0x4321, 8);
    put(f, 0x40008, S_CODE64, 2);
    g_assert_true(RUN(f, 1, 0x48, 0xff, 0x1c, 0x25, IMM32(0x40000)));
    expect_at(f, S_CODE64, 0x4321, S_DATA0, AT_STACK0 - 16);
    g_assert_true(RUN(f, 1, 0x48, 0xca, IMM16(8)));
    expect_at(f, S_CODE64, EMU_HARNESS_CODE + 8, S_DATA0, AT_STACK0 + 8);

    /* From compatibility mode, whose stack is 32 bits wide, to a 64-bit handler. */
    enter_long(f, 0);
    set_flat(f, X86_CS, S_CODE3, 0xc0fb);
    set_flat(f, X86_SS, S_DATA3, 0xc0f3);
    f->cpu->regs[X86_RSP] = AT_STACK3;
    emu_update_mode(f->cpu);
    g_assert_true(RUN(f, 1, CALL_FAR(S_GATE64, 0)));
    expect_at(f, S_CODE64, AT_HANDLER, 0, AT_STACK0 - 32);
    g_assert_true(RUN(f, 1, 0x48, 0xcb));
    expect_at(f, S_CODE3, EMU_HARNESS_CODE + 7, S_DATA3, AT_STACK3);
}

/* A frame that reaches into a page that is not there: no word of it is written. */
static void test_frame_page_fault(Fixture *f, gconstpointer data)
{
    const uint64_t edge = 0x600000, pd = EMU_HARNESS_TABLES + 0x2000;
    uint64_t entry;

    enter_long(f, 0);
    entry = get(f, pd + 2 * 8, 8);
    put(f, pd + 2 * 8, 0, 8);
    emu_tlb_flush_all(f->cpu);
    memset(f->h->bytes + edge, 0xee, 0x10);
    f->cpu->regs[X86_RSP] = edge + 0x10;
    expect_delivery_fault(f, 0x20, EMU_EVENT_EXTERNAL, X86_PF, 2);
    g_assert_cmphex(f->cpu->cr2, ==, edge - 8);
    g_assert_cmphex(get(f, edge + 8, 8), ==, 0xeeeeeeeeeeeeeeee);
    f->cpu->regs[X86_RSP] = edge - 16;
    EXPECT_FAULT(f, X86_PF, 0, 1, 0x48, 0xcf);
    g_assert_cmphex(f->cpu->cr2, ==, edge - 16);
    put(f, pd + 2 * 8, entry, 8);
    emu_tlb_flush_all(f->cpu);
    f->cpu->regs[X86_RSP] = edge + 0x10;
    g_assert_true(deliver(f, 0x20, EMU_EVENT_EXTERNAL, -1));
    g_assert_cmphex(get(f, edge, 8), ==, edge + 0x10);
    g_assert_cmphex(get(f, edge - 16, 8), ==, S_CODE64);
}

static void test_syscall(Fixture *f, gconstpointer data)
{
    EmuMsrs *msrs = emu_msrs(f->cpu);

    enter_long(f, 3);
    *msrs = (EmuMsrs){
        .star = 0x0023000800000000, .lstar = 0xffff800000001000, .cstar = 0xffff800000002000,
        .sfmask = FLAG_IF | FLAG_DF,
    };
    f->cpu->rflags |= FLAG_IF | FLAG_DF | FLAG_AC;
    emu_flags_set(f->cpu, FLAG_ZF);
    g_assert_true(RUN(f, 1, 0x0f, 0x05));
    expect_at(f, 8, 0xffff800000001000, 0x10, AT_STACK3);
    g_assert_cmpint(emu_cpl(f->cpu), ==, 0);
    g_assert_cmphex(f->cpu->regs[X86_RCX], ==, EMU_HARNESS_CODE + 2);
    g_assert_cmphex(f->cpu->regs[X86_R11], ==, 0x202 | FLAG_DF | FLAG_AC | FLAG_ZF);
    g_assert_cmphex(emu_rflags(f->cpu), ==, 2 | FLAG_AC | FLAG_ZF);
    g_assert_cmphex(f->cpu->segs[X86_CS].attr, ==, 0xa09b);
    g_assert_cmphex(f->cpu->segs[X86_SS].attr, ==, 0xc093);
    f->cpu->rflags &= ~(uint64_t)FLAG_AC;

    g_assert_true(RUN(f, 1, 0x48, 0x0f, 0x07));
    expect_at(f, 0x33, EMU_HARNESS_CODE + 2, 0x2b, AT_STACK3);
    g_assert_cmphex(emu_rflags(f->cpu), ==, 0x202 | FLAG_DF | FLAG_AC | FLAG_ZF);
    g_assert_cmpint(emu_cpl(f->cpu), ==, 3);
    EXPECT_FAULT(f, X86_GP, 0, 1, 0x48, 0x0f, 0x07);

    enter_long(f, 0);
    f->cpu->regs[X86_R11] = 0x202;
    f->cpu->regs[X86_RCX] = 0x800000000000;
    EXPECT_FAULT(f, X86_GP, 0, 1, 0x48, 0x0f, 0x07);
    f->cpu->regs[X86_RCX] = 0x4321;
    g_assert_true(RUN(f, 1, 0x0f, 0x07));
    expect_at(f, 0x23, 0x4321, 0x2b, AT_STACK0);
    g_assert_true(f->cpu->mode & EMU_MODE_CS32);
    enter_long(f, 0);
    f->cpu->efer &= ~(uint64_t)EFER_SCE;
    EXPECT_FAULT(f, X86_UD, 0, 1, 0x0f, 0x05);
    enter_protected(f, 0);
    EXPECT_FAULT(f, X86_UD, 0, 1, 0x0f, 0x05);
}

static void test_sysenter(Fixture *f, gconstpointer data)
{
    EmuMsrs *msrs = emu_msrs(f->cpu);

    enter_protected(f, 3);
    msrs->sysenter_cs = 0;
    EXPECT_FAULT(f, X86_GP, 0, 1, 0x0f, 0x34);
    *msrs = (EmuMsrs){ .sysenter_cs = 0x43, .sysenter_esp = 0x9000, .sysenter_eip = 0x4321 };
    f->cpu->rflags |= FLAG_IF;
    g_assert_true(RUN(f, 1, 0x0f, 0x34));
    expect_at(f, 0x40, 0x4321, 0x48, 0x9000);
    g_assert_cmpint(emu_cpl(f->cpu), ==, 0);
    g_assert_false(f->cpu->rflags & FLAG_IF);
    f->cpu->regs[X86_RCX] = 0x7000;
    f->cpu->regs[X86_RDX] = 0x6000;
    g_assert_true(RUN(f, 1, 0x0f, 0x35));
    expect_at(f, 0x53, 0x6000, 0x5b, 0x7000);
    g_assert_cmpint(emu_cpl(f->cpu), ==, 3);
    EXPECT_FAULT(f, X86_GP, 0, 1, 0x0f, 0x35);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("deliver-same", test_deliver_same);
    ADD("deliver-inner", test_deliver_inner);
    ADD("deliver-refused", test_deliver_refused);
    ADD("double-fault", test_double_fault);
    ADD("int", test_int);
    ADD("real", test_real);
    ADD("jump", test_jump);
    ADD("call-same", test_call_same);
    ADD("call-gate", test_call_gate);
    ADD("call-level1", test_call_level1);
    ADD("return-refused", test_return_refused);
    ADD("iret", test_iret);
    ADD("v86", test_v86);
    ADD("v86-int", test_v86_int);
    ADD("long-deliver", test_long_deliver);
    ADD("long-iret", test_long_iret);
    ADD("long-far", test_long_far);
    ADD("long-sizes", test_long_sizes);
    ADD("frame-page-fault", test_frame_page_fault);
    ADD("syscall", test_syscall);
    ADD("sysenter", test_sysenter);
    return g_test_run();
}
