/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptor tables and task state segments for tests, in the harness's RAM, which is mapped to
 * itself.
 */
#ifndef VIREO_ACCEL_EMU_TESTS_EMU_TABLES_H
#define VIREO_ACCEL_EMU_TESTS_EMU_TABLES_H

#include <string.h>

#include "accel/emu/flags.h"
#include "accel/emu/segment.h"
#include "accel/emu/tests/emu-harness.h"

enum {
    AT_GDT = 0x10000, AT_IDT = 0x11000, AT_LDT = 0x12000, AT_TSS = 0x13000, AT_TSS2 = 0x13100,
    AT_TSS16 = 0x13200, AT_TSS64 = 0x13300, AT_STACK0 = 0x21000, AT_STACK1 = 0x22000,
    AT_STACK3 = 0x23000, AT_IST = 0x24000, AT_HANDLER = 0x30000, AT_TASK2 = 0x31000,
};

/* Selectors, with the RPL that they are used with. */
enum {
    S_CODE0 = 0x08, S_DATA0 = 0x10, S_CODE3 = 0x1b, S_DATA3 = 0x23, S_TSS = 0x28, S_TSS2 = 0x30,
    S_TSS16 = 0x38, S_LDT = 0x40, S_CONFORMING = 0x48, S_ABSENT = 0x50, S_READ_ONLY = 0x58,
    S_EXEC_ONLY = 0x60, S_DOWN = 0x68, S_GATE = 0x70, S_TASK_GATE = 0x78, S_CODE1 = 0x81,
    S_DATA1 = 0x89, S_CODE64 = 0x90, S_CODE64_3 = 0x9b, S_TSS64 = 0xa0, S_GATE64 = 0xb0,
    S_CODE16 = 0xc0, S_DATA16 = 0xc8, S_ABSENT_CODE = 0xd0, S_GATE16 = 0xd8, S_SMALL = 0xe0,
    S_END = 0x100,
};

typedef struct Fixture {
    EmuHarness *h;
    EmuCpu *cpu;
    EmuFault fault;
} Fixture;

static inline void put(Fixture *f, uint64_t at, uint64_t value, unsigned size)
{
    memcpy(f->h->bytes + at, &value, size);
}

static inline uint64_t get(Fixture *f, uint64_t at, unsigned size)
{
    uint64_t value = 0;

    memcpy(&value, f->h->bytes + at, size);
    return value;
}

/* access: bits 40..47; flags: bits 52..55; limit as written. */
static inline void put_descriptor(Fixture *f, uint64_t at, uint64_t base, uint32_t limit,
                                  uint64_t access, uint64_t flags)
{
    put(f, at,
        (limit & 0xffff) | (base & 0xffffff) << 16 | access << 40 |
            (uint64_t)(limit >> 16 & 0xf) << 48 | flags << 52 | (base >> 24 & 0xff) << 56,
        8);
}

static inline void put_gate(Fixture *f, uint64_t at, uint16_t selector, uint32_t offset,
                            uint64_t access, uint64_t count)
{
    put(f, at,
        (offset & 0xffff) | (uint64_t)selector << 16 | count << 32 | access << 40 |
            (uint64_t)(offset >> 16) << 48,
        8);
}

static inline uint8_t access_byte(Fixture *f, uint16_t selector)
{
    return get(f, AT_GDT + (selector & ~7u) + 5, 1);
}

static inline void make_gdt(Fixture *f)
{
    static const struct {
        uint16_t selector;
        uint32_t base, limit;
        uint8_t access, flags;
    } rows[] = {
        { S_CODE0, 0, 0xfffff, 0x9a, 0xc }, { S_DATA0, 0, 0xfffff, 0x92, 0xc },
        { S_CODE3, 0, 0xfffff, 0xfa, 0xc }, { S_DATA3, 0, 0xfffff, 0xf2, 0xc },
        { S_TSS, AT_TSS, 0x67, 0x8b, 0 }, { S_TSS2, AT_TSS2, 0x67, 0x89, 0 },
        { S_TSS16, AT_TSS16, 0x2b, 0x81, 0 }, { S_LDT, AT_LDT, 0x1f, 0x82, 0 },
        { S_CONFORMING, 0, 0xfffff, 0x9e, 0xc }, { S_ABSENT, 0, 0xfffff, 0x12, 0xc },
        { S_READ_ONLY, 0, 0xfffff, 0x90, 0xc }, { S_EXEC_ONLY, 0, 0xfffff, 0x98, 0xc },
        { S_DOWN, 0, 0x1fff, 0x96, 4 }, { S_CODE1, 0, 0xfffff, 0xba, 0xc },
        { S_DATA1, 0, 0xfffff, 0xb2, 0xc }, { S_CODE64, 0, 0xfffff, 0x9a, 0xa },
        { S_CODE64_3, 0, 0xfffff, 0xfa, 0xa }, { S_TSS64, AT_TSS64, 0x67, 0x8b, 0 },
        { S_CODE16, 0, 0xffff, 0x9a, 0 }, { S_DATA16, 0, 0xffff, 0x92, 0 },
        { S_ABSENT_CODE, 0, 0xfffff, 0x1a, 0xc }, { S_SMALL, 0x400, 0xff, 0x92, 4 },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        put_descriptor(f, AT_GDT + (rows[i].selector & ~7u), rows[i].base, rows[i].limit,
                       rows[i].access, rows[i].flags);
    }
    put_gate(f, AT_GDT + S_GATE, S_CODE0, AT_HANDLER, 0xec, 2);
    put_gate(f, AT_GDT + S_GATE16, S_CODE0, 0x1234, 0xe4, 1);
    put_gate(f, AT_GDT + S_TASK_GATE, S_TSS2, 0, 0xe5, 0);
    put_gate(f, AT_GDT + S_GATE64, S_CODE64, AT_HANDLER, 0xec, 0);
    put(f, AT_GDT + S_GATE64 + 8, 0, 8);
    f->cpu->gdt = (X86Table){ .base = AT_GDT, .limit = S_END - 1 };
}

static inline void make_tss(Fixture *f)
{
    put(f, AT_TSS + 4, AT_STACK0, 4);
    put(f, AT_TSS + 8, S_DATA0, 2);
    put(f, AT_TSS + 12, AT_STACK1, 4);
    put(f, AT_TSS + 16, S_DATA1, 2);
    put(f, AT_TSS + 0x66, 0x68, 2);
    put(f, AT_TSS64 + 4, AT_STACK0, 8);
    put(f, AT_TSS64 + 0x24, AT_IST, 8);
}

/* Gates of 32 bits at every vector: interrupt gates to AT_HANDLER + 16 * vector. */
static inline void make_idt(Fixture *f, bool wide)
{
    unsigned size = wide ? 16 : 8;

    for (unsigned i = 0; i < 0x40; i++) {
        put_gate(f, AT_IDT + i * size, wide ? S_CODE64 : S_CODE0, AT_HANDLER + 16 * i, 0x8e, 0);
        if (wide) {
            put(f, AT_IDT + i * size + 8, 0, 8);
        }
    }
    f->cpu->idt = (X86Table){ .base = AT_IDT, .limit = 0x40 * size - 1 };
}

static inline void set_tr(Fixture *f, uint16_t selector, uint64_t base, uint32_t attr)
{
    f->cpu->segs[X86_TR] = (X86Segment){
        .base = base, .limit = 0x67, .attr = attr, .selector = selector,
    };
}

static inline void set_flat(Fixture *f, unsigned seg, uint16_t selector, uint32_t attr)
{
    f->cpu->segs[seg] = (X86Segment){ .limit = UINT32_MAX, .attr = attr, .selector = selector };
}

/* 32-bit protected mode at a CPL of 0 or 3. */
static inline void enter_protected(Fixture *f, unsigned cpl)
{
    uint32_t dpl = cpl << SEG_DPL_SHIFT;

    emu_harness_set_mode(f->cpu, EMU_HARNESS_PROT32);
    make_gdt(f);
    make_tss(f);
    make_idt(f, false);
    set_tr(f, S_TSS, AT_TSS, 0x8b);
    for (unsigned i = X86_ES; i <= X86_GS; i++) {
        set_flat(f, i, cpl ? S_DATA3 : S_DATA0, 0xc093 | dpl);
    }
    set_flat(f, X86_CS, cpl ? S_CODE3 : S_CODE0, 0xc09b | dpl);
    f->cpu->regs[X86_RSP] = cpl ? AT_STACK3 : AT_STACK0;
    emu_update_mode(f->cpu);
}

static inline void enter_long(Fixture *f, unsigned cpl)
{
    uint32_t dpl = cpl << SEG_DPL_SHIFT;

    emu_harness_set_mode(f->cpu, cpl ? EMU_HARNESS_USER64 : EMU_HARNESS_LONG64);
    make_gdt(f);
    put(f, AT_GDT + S_TSS64 + 8, 0, 8);
    make_tss(f);
    make_idt(f, true);
    set_tr(f, S_TSS64, AT_TSS64, 0x8b);
    for (unsigned i = X86_ES; i <= X86_GS; i++) {
        set_flat(f, i, cpl ? S_DATA3 : S_DATA0, 0xc093 | dpl);
    }
    set_flat(f, X86_CS, cpl ? S_CODE64_3 : S_CODE64, 0xa09b | dpl);
    f->cpu->regs[X86_RSP] = cpl ? AT_STACK3 : AT_STACK0;
    emu_update_mode(f->cpu);
}

static inline void setup(Fixture *f, gconstpointer data)
{
    f->h = emu_harness_new(1, NULL);
    f->cpu = f->h->cpu;
}

static inline void teardown(Fixture *f, gconstpointer data)
{
    emu_harness_free(f->h);
}

/* Run instructions given as bytes; false: f->fault. */
#define RUN(f, count, ...) \
    emu_harness_run((f)->h, (f)->cpu, (const uint8_t[]){ __VA_ARGS__ }, \
                    sizeof((const uint8_t[]){ __VA_ARGS__ }), (count), &(f)->fault)

#define EXPECT_FAULT(f, vec, err, count, ...) \
    do { \
        g_assert_false(RUN(f, count, __VA_ARGS__)); \
        g_assert_cmphex((f)->fault.vector, ==, (vec)); \
        g_assert_cmphex((f)->fault.error, ==, (err)); \
    } while (0)

#define IMM16(x) (x) & 0xff, (x) >> 8 & 0xff
#define IMM32(x) IMM16(x), (x) >> 16 & 0xff, (uint32_t)(x) >> 24

#define ADD(name, fn) g_test_add("/emu/" name, Fixture, NULL, setup, fn, teardown)

#endif
