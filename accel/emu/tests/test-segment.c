/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segment registers: what loads them, what refuses, limits, and the instructions that look at
 * descriptors.
 */
#include "accel/emu/tests/emu-tables.h"

/* ---- Loading ---- */

/* MOV EAX, selector; MOV seg, AX. */
static bool load(Fixture *f, unsigned seg, uint16_t selector)
{
    return RUN(f, 2, 0xb8, IMM32(selector), 0x8e, 0xc0 | seg << 3);
}

static void expect_load_fault(Fixture *f, unsigned seg, uint16_t selector, unsigned vector,
                              uint32_t error)
{
    X86Segment before = f->cpu->segs[seg];

    g_assert_false(load(f, seg, selector));
    g_assert_cmphex(f->fault.vector, ==, vector);
    g_assert_cmphex(f->fault.error, ==, error);
    g_assert_true(f->fault.has_error);
    g_assert_cmpmem(&before, sizeof(before), &f->cpu->segs[seg], sizeof(before));
}

static void test_load_data(Fixture *f, gconstpointer data)
{
    enter_protected(f, 0);
    g_assert_true(load(f, X86_DS, S_SMALL));
    g_assert_cmphex(f->cpu->segs[X86_DS].base, ==, 0x400);
    g_assert_cmphex(f->cpu->segs[X86_DS].limit, ==, 0xff);
    g_assert_cmphex(f->cpu->segs[X86_DS].attr, ==, 0x4093);
    g_assert_cmphex(access_byte(f, S_SMALL), ==, 0x93);
    g_assert_false(f->cpu->mode & EMU_MODE_FLAT);
    g_assert_true(load(f, X86_DS, S_DATA3));
    g_assert_cmphex(f->cpu->segs[X86_DS].limit, ==, UINT32_MAX);
    g_assert_true(f->cpu->mode & EMU_MODE_FLAT);
    g_assert_true(load(f, X86_ES, S_CODE0));
    g_assert_true(load(f, X86_ES, 3));
    g_assert_true(f->cpu->segs[X86_ES].attr & SEG_UNUSABLE);
    g_assert_cmphex(f->cpu->segs[X86_ES].selector, ==, 3);

    expect_load_fault(f, X86_DS, S_END, X86_GP, S_END);
    expect_load_fault(f, X86_DS, S_EXEC_ONLY, X86_GP, S_EXEC_ONLY);
    expect_load_fault(f, X86_DS, S_TSS, X86_GP, S_TSS);
    expect_load_fault(f, X86_DS, S_ABSENT | 0, X86_NP, S_ABSENT);
    expect_load_fault(f, X86_FS, S_DATA0 | 3, X86_GP, S_DATA0);
    expect_load_fault(f, X86_GS, S_DATA1 | 2, X86_GP, S_DATA1 & ~7u);
    g_assert_true(load(f, X86_GS, S_CONFORMING | 3));
}

static void test_load_user(Fixture *f, gconstpointer data)
{
    enter_protected(f, 3);
    expect_load_fault(f, X86_DS, S_DATA0, X86_GP, S_DATA0);
    g_assert_true(load(f, X86_DS, S_DATA3));
    g_assert_true(load(f, X86_DS, S_CONFORMING));
    g_assert_true(load(f, X86_DS, 0));
    expect_load_fault(f, X86_SS, S_DATA0, X86_GP, S_DATA0);
}

static void test_load_stack(Fixture *f, gconstpointer data)
{
    enter_protected(f, 0);
    g_assert_true(load(f, X86_SS, S_DATA16));
    g_assert_false(f->cpu->mode & EMU_MODE_SS32);
    g_assert_cmpint(f->cpu->shadow, ==, EMU_SHADOW_MOV_SS);
    g_assert_true(load(f, X86_SS, S_DATA0));
    g_assert_true(f->cpu->mode & EMU_MODE_SS32);
    expect_load_fault(f, X86_SS, 0, X86_GP, 0);
    expect_load_fault(f, X86_SS, 3, X86_GP, 0);
    expect_load_fault(f, X86_SS, S_DATA0 | 3, X86_GP, S_DATA0);
    expect_load_fault(f, X86_SS, S_READ_ONLY, X86_GP, S_READ_ONLY);
    expect_load_fault(f, X86_SS, S_CODE0, X86_GP, S_CODE0);
    expect_load_fault(f, X86_SS, S_DATA3, X86_GP, S_DATA3 & ~7);
    expect_load_fault(f, X86_SS, S_ABSENT, X86_SS_FAULT, S_ABSENT);
}

static void test_load_ldt(Fixture *f, gconstpointer data)
{
    enter_protected(f, 0);
    expect_load_fault(f, X86_DS, 0x0c, X86_GP, 0x0c);
    put_descriptor(f, AT_LDT + 8, 0x12345678, 0x42, 0x92, 4);
    /* LLDT AX; wrong types and absent ones first. */
    EXPECT_FAULT(f, X86_GP, S_TSS, 2, 0xb8, IMM32(S_TSS), 0x0f, 0x00, 0xd0);
    EXPECT_FAULT(f, X86_GP, 0x44, 2, 0xb8, IMM32(S_LDT | 4), 0x0f, 0x00, 0xd0);
    g_assert_true(RUN(f, 2, 0xb8, IMM32(S_LDT), 0x0f, 0x00, 0xd0));
    g_assert_true(load(f, X86_DS, 0x0c));
    g_assert_cmphex(f->cpu->segs[X86_DS].base, ==, 0x12345678);
    expect_load_fault(f, X86_DS, 0x24, X86_GP, 0x24);
    g_assert_true(RUN(f, 2, 0xb8, IMM32(0), 0x0f, 0x00, 0xd0));
    expect_load_fault(f, X86_DS, 0x0c, X86_GP, 0x0c);
}

static void test_load_long(Fixture *f, gconstpointer data)
{
    enter_long(f, 0);
    g_assert_true(load(f, X86_SS, 0));
    g_assert_true(f->cpu->segs[X86_SS].attr & SEG_UNUSABLE);
    g_assert_cmpint(emu_cpl(f->cpu), ==, 0);
    expect_load_fault(f, X86_SS, 3, X86_GP, 0);
    f->cpu->segs[X86_FS].base = 0x1234;
    g_assert_true(load(f, X86_FS, S_DATA0));
    g_assert_cmphex(f->cpu->segs[X86_FS].base, ==, 0);
    g_assert_true(f->cpu->mode & EMU_MODE_FLAT);

    enter_long(f, 3);
    expect_load_fault(f, X86_SS, 3, X86_GP, 0);
    expect_load_fault(f, X86_SS, 0, X86_GP, 0);
    g_assert_true(load(f, X86_SS, S_DATA3));
    g_assert_cmpint(emu_cpl(f->cpu), ==, 3);
}

static void test_load_real(Fixture *f, gconstpointer data)
{
    emu_harness_set_mode(f->cpu, EMU_HARNESS_REAL16);
    f->cpu->segs[X86_DS].limit = UINT32_MAX;
    g_assert_true(RUN(f, 2, 0xb8, IMM16(0x1234), 0x8e, 0xd8));
    g_assert_cmphex(f->cpu->segs[X86_DS].base, ==, 0x12340);
    g_assert_cmphex(f->cpu->segs[X86_DS].limit, ==, UINT32_MAX);
}

/* MOV CS and MOV to a seventh segment register do not exist. */
static void test_undefined(Fixture *f, gconstpointer data)
{
    enter_protected(f, 0);
    EXPECT_FAULT(f, X86_UD, 0, 1, 0x8e, 0xc8);
    EXPECT_FAULT(f, X86_UD, 0, 1, 0x8e, 0xf0);
    EXPECT_FAULT(f, X86_UD, 0, 1, 0x8c, 0xf8);
    emu_harness_set_mode(f->cpu, EMU_HARNESS_REAL16);
    EXPECT_FAULT(f, X86_UD, 0, 1, 0x0f, 0x00, 0xd0); /* LLDT */
    EXPECT_FAULT(f, X86_UD, 0, 1, 0x0f, 0x02, 0xc0); /* LAR */
    EXPECT_FAULT(f, X86_UD, 0, 1, 0x63, 0xc0);       /* ARPL */
}

static void test_push_pop(Fixture *f, gconstpointer data)
{
    enter_protected(f, 0);
    memset(f->h->bytes + AT_STACK0 - 8, 0xee, 8);
    g_assert_true(RUN(f, 2, 0x1e, 0x0f, 0xa9)); /* PUSH DS; POP GS */
    g_assert_cmphex(get(f, AT_STACK0 - 4, 4), ==, 0xeeee0000 | S_DATA0);
    g_assert_cmphex(f->cpu->segs[X86_GS].selector, ==, S_DATA0);
    g_assert_cmphex(f->cpu->regs[X86_RSP], ==, AT_STACK0);
    put(f, AT_STACK0, S_ABSENT, 4);
    EXPECT_FAULT(f, X86_NP, S_ABSENT, 1, 0x1f);
    g_assert_cmphex(f->cpu->regs[X86_RSP], ==, AT_STACK0);

    enter_long(f, 0);
    memset(f->h->bytes + AT_STACK0 - 8, 0xee, 8);
    g_assert_true(RUN(f, 1, 0x0f, 0xa0)); /* PUSH FS */
    g_assert_cmphex(get(f, AT_STACK0 - 8, 8), ==, S_DATA0);
    EXPECT_FAULT(f, X86_UD, 0, 1, 0x1e);
}

static void test_pointers(Fixture *f, gconstpointer data)
{
    enter_protected(f, 0);
    put(f, 0x40000, (uint64_t)S_SMALL << 32 | 0x89abcdef, 6);
    g_assert_true(RUN(f, 1, 0xc4, 0x0d, IMM32(0x40000))); /* LES ECX */
    g_assert_cmphex(f->cpu->regs[X86_RCX], ==, 0x89abcdef);
    g_assert_cmphex(f->cpu->segs[X86_ES].selector, ==, S_SMALL);
    put(f, 0x40000, (uint64_t)S_DATA16 << 32 | 0x1234, 6);
    g_assert_true(RUN(f, 1, 0x0f, 0xb2, 0x25, IMM32(0x40000))); /* LSS ESP */
    g_assert_cmphex(f->cpu->regs[X86_RSP], ==, 0x1234);
    g_assert_cmpint(f->cpu->shadow, ==, 0);
    put(f, 0x40004, S_ABSENT, 2);
    EXPECT_FAULT(f, X86_NP, S_ABSENT, 1, 0x0f, 0xb4, 0x0d, IMM32(0x40000));
    g_assert_cmphex(f->cpu->regs[X86_RCX], ==, 0x89abcdef);
}

/* ---- Limits ---- */

typedef struct Access {
    unsigned seg, size;
    uint64_t offset, linear;
    EmuAccess access;
} Access;

static void do_access(EmuCpu *cpu, void *opaque)
{
    Access *a = opaque;

    a->linear = emu_linear(cpu, a->seg, a->offset, a->size, a->access);
}

static bool reach(Fixture *f, unsigned seg, uint64_t offset, unsigned size, EmuAccess access)
{
    Access a = { .seg = seg, .size = size, .offset = offset, .access = access };
    bool ok = emu_harness_try(f->cpu, do_access, &a, &f->fault);

    if (ok) {
        g_assert_cmphex(a.linear, ==, f->cpu->segs[seg].base + offset);
    } else {
        g_assert_cmpint(f->fault.vector, ==, seg == X86_SS ? X86_SS_FAULT : X86_GP);
        g_assert_cmphex(f->fault.error, ==, 0);
    }
    return ok;
}

static void test_limits(Fixture *f, gconstpointer data)
{
    enter_protected(f, 0);
    /* Flat segments: nothing but writing code faults, and addresses wrap. */
    g_assert_true(f->cpu->mode & EMU_MODE_FLAT);
    g_assert_true(reach(f, X86_CS, 0, 8, EMU_READ));
    g_assert_false(reach(f, X86_CS, 0, 8, EMU_WRITE));
    load(f, X86_ES, S_SMALL);
    g_assert_true(reach(f, X86_DS, UINT32_MAX, 2, EMU_WRITE));
    f->cpu->segs[X86_DS].base = 0x38;
    g_assert_false(reach(f, X86_DS, UINT32_MAX, 2, EMU_WRITE));
    f->cpu->segs[X86_DS].base = 0;
    g_assert_true(reach(f, X86_ES, 0xfc, 4, EMU_WRITE));
    g_assert_false(reach(f, X86_ES, 0xfd, 4, EMU_WRITE));
    g_assert_true(reach(f, X86_ES, 0xff, 1, EMU_READ));
    g_assert_false(reach(f, X86_ES, 0x100, 1, EMU_READ));
    g_assert_false(reach(f, X86_ES, UINT32_MAX, 2, EMU_READ));
    load(f, X86_FS, S_DOWN);
    g_assert_false(reach(f, X86_FS, 0x1fff, 1, EMU_READ));
    g_assert_true(reach(f, X86_FS, 0x2000, 1, EMU_READ));
    g_assert_true(reach(f, X86_FS, 0xfffffffc, 4, EMU_READ));
    g_assert_false(reach(f, X86_FS, 0xfffffffd, 4, EMU_READ));
    f->cpu->segs[X86_FS].attr &= ~SEG_DB;
    g_assert_false(reach(f, X86_FS, 0xfffd, 4, EMU_READ));
    load(f, X86_GS, S_READ_ONLY);
    g_assert_true(reach(f, X86_GS, 0, 8, EMU_READ));
    g_assert_false(reach(f, X86_GS, 0, 8, EMU_WRITE));
    g_assert_false(reach(f, X86_CS, 0, 8, EMU_WRITE));
    load(f, X86_GS, 0);
    g_assert_false(reach(f, X86_GS, 0, 1, EMU_READ));
    f->cpu->segs[X86_SS].limit = 0xfff;
    g_assert_false(reach(f, X86_SS, 0xffe, 4, EMU_WRITE));

    enter_long(f, 3);
    f->cpu->segs[X86_FS].base = 0x7ffffffff000;
    g_assert_true(reach(f, X86_FS, 0xff8, 8, EMU_WRITE));
    g_assert_false(reach(f, X86_FS, 0xff9, 8, EMU_WRITE));
}

/* ---- LAR, LSL, VERR, VERW, ARPL ---- */

static bool zf_after(Fixture *f, uint16_t selector, uint8_t opcode, uint8_t modrm)
{
    f->cpu->regs[X86_RCX] = 0xdeadbeef;
    g_assert_true(RUN(f, 2, 0xb8, IMM32(selector), 0x0f, opcode, modrm));
    return emu_zf(f->cpu);
}

#define LAR(f, selector) zf_after(f, selector, 0x02, 0xc8)
#define LSL(f, selector) zf_after(f, selector, 0x03, 0xc8)
#define VERR(f, selector) zf_after(f, selector, 0x00, 0xe0)
#define VERW(f, selector) zf_after(f, selector, 0x00, 0xe8)

static void test_inspect(Fixture *f, gconstpointer data)
{
    enter_protected(f, 3);
    g_assert_true(LAR(f, S_CODE3));
    g_assert_cmphex(f->cpu->regs[X86_RCX], ==, 0xcffa00);
    g_assert_true(LSL(f, S_DATA3));
    g_assert_cmphex(f->cpu->regs[X86_RCX], ==, UINT32_MAX);
    g_assert_false(LAR(f, S_DATA0));
    g_assert_cmphex(f->cpu->regs[X86_RCX], ==, 0xdeadbeef);
    g_assert_false(LAR(f, 0));
    g_assert_false(LAR(f, S_END));
    g_assert_true(LAR(f, S_GATE));
    g_assert_false(LSL(f, S_GATE));
    g_assert_true(LAR(f, S_TASK_GATE));
    g_assert_true(LAR(f, S_CONFORMING));
    g_assert_true(VERR(f, S_CODE3));
    g_assert_false(VERW(f, S_CODE3));
    g_assert_true(VERW(f, S_DATA3));
    g_assert_false(VERR(f, S_DATA0));
    g_assert_true(VERR(f, S_CONFORMING));

    enter_protected(f, 0);
    g_assert_false(VERR(f, S_EXEC_ONLY));
    g_assert_false(VERW(f, S_READ_ONLY));
    g_assert_true(LSL(f, S_TSS));
    g_assert_cmphex(f->cpu->regs[X86_RCX], ==, 0x67);
    g_assert_true(LSL(f, S_LDT));
    g_assert_true(LAR(f, S_TSS16));
    g_assert_false(VERR(f, S_DATA0 | 3));

    enter_long(f, 0);
    g_assert_true(LAR(f, S_TSS64));
    g_assert_false(LAR(f, S_TSS16));
    g_assert_true(LAR(f, S_GATE64));
    g_assert_false(LSL(f, S_GATE64));
}

static void test_arpl(Fixture *f, gconstpointer data)
{
    enter_protected(f, 0);
    /* MOV EAX, 0x10; MOV ECX, 0x1b; ARPL AX, CX */
    g_assert_true(RUN(f, 3, 0xb8, IMM32(0x10), 0xb9, IMM32(0x1b), 0x63, 0xc8));
    g_assert_cmphex(f->cpu->regs[X86_RAX], ==, 0x13);
    g_assert_true(emu_zf(f->cpu));
    g_assert_true(RUN(f, 2, 0xb9, IMM32(0x1a), 0x63, 0xc8));
    g_assert_cmphex(f->cpu->regs[X86_RAX], ==, 0x13);
    g_assert_false(emu_zf(f->cpu));
}

/* ---- System registers ---- */

static void test_tables(Fixture *f, gconstpointer data)
{
    enter_protected(f, 0);
    put(f, 0x40000, 0x123456780000ull | 0x0fff, 6);
    g_assert_true(RUN(f, 1, 0x0f, 0x01, 0x1d, IMM32(0x40000))); /* LIDT */
    g_assert_cmphex(f->cpu->idt.base, ==, 0x12345678);
    g_assert_cmphex(f->cpu->idt.limit, ==, 0xfff);
    g_assert_true(RUN(f, 1, 0x66, 0x0f, 0x01, 0x1d, IMM32(0x40000)));
    g_assert_cmphex(f->cpu->idt.base, ==, 0x345678);
    g_assert_true(RUN(f, 1, 0x0f, 0x01, 0x05, IMM32(0x40010))); /* SGDT */
    g_assert_cmphex(get(f, 0x40010, 6), ==, (uint64_t)AT_GDT << 16 | (S_END - 1));

    enter_long(f, 0);
    put(f, 0x40000, 0x0fff, 2);
    put(f, 0x40002, 0x800000000000ull, 8);
    EXPECT_FAULT(f, X86_GP, 0, 1, 0x0f, 0x01, 0x1c, 0x25, IMM32(0x40000));
    enter_long(f, 3);
    EXPECT_FAULT(f, X86_GP, 0, 1, 0x0f, 0x01, 0x1c, 0x25, IMM32(0x40000));
    g_assert_true(RUN(f, 1, 0x0f, 0x01, 0x04, 0x25, IMM32(0x40010)));
    f->cpu->cr4 |= CR4_UMIP;
    EXPECT_FAULT(f, X86_GP, 0, 1, 0x0f, 0x01, 0x04, 0x25, IMM32(0x40010));
    EXPECT_FAULT(f, X86_GP, 0, 1, 0x0f, 0x00, 0xc8); /* STR EAX */
}

static void test_ltr(Fixture *f, gconstpointer data)
{
    enter_protected(f, 0);
    EXPECT_FAULT(f, X86_GP, 0, 2, 0xb8, IMM32(0), 0x0f, 0x00, 0xd8);
    EXPECT_FAULT(f, X86_GP, S_TSS, 2, 0xb8, IMM32(S_TSS), 0x0f, 0x00, 0xd8); /* busy */
    g_assert_true(RUN(f, 2, 0xb8, IMM32(S_TSS2), 0x0f, 0x00, 0xd8));
    g_assert_cmphex(access_byte(f, S_TSS2), ==, 0x8b);
    g_assert_cmphex(f->cpu->segs[X86_TR].attr, ==, 0x8b);
    g_assert_true(RUN(f, 1, 0x0f, 0x00, 0xc9)); /* STR ECX */
    g_assert_cmphex(f->cpu->regs[X86_RCX], ==, S_TSS2);

    enter_long(f, 0);
    put(f, AT_GDT + S_TSS64 + 5, 0x89, 1);
    put(f, AT_GDT + S_TSS64 + 8, 0xffff8000, 8);
    g_assert_true(RUN(f, 2, 0xb8, IMM32(S_TSS64), 0x0f, 0x00, 0xd8));
    g_assert_cmphex(f->cpu->segs[X86_TR].base, ==, 0xffff800000000000ull | AT_TSS64);
    EXPECT_FAULT(f, X86_GP, S_TSS16, 2, 0xb8, IMM32(S_TSS16), 0x0f, 0x00, 0xd8);
}

static void test_bases(Fixture *f, gconstpointer data)
{
    enter_long(f, 0);
    f->cpu->regs[X86_RAX] = 0x123456789a;
    EXPECT_FAULT(f, X86_UD, 0, 1, 0xf3, 0x48, 0x0f, 0xae, 0xd8); /* WRGSBASE RAX */
    f->cpu->cr4 |= CR4_FSGSBASE;
    g_assert_true(RUN(f, 1, 0xf3, 0x48, 0x0f, 0xae, 0xd8));
    g_assert_true(RUN(f, 1, 0x0f, 0x01, 0xf8)); /* SWAPGS */
    g_assert_cmphex(f->cpu->segs[X86_GS].base, ==, 0);
    g_assert_true(RUN(f, 2, 0x0f, 0x01, 0xf8, 0xf3, 0x0f, 0xae, 0xc9)); /* RDGSBASE ECX */
    g_assert_cmphex(f->cpu->regs[X86_RCX], ==, 0x3456789a);
    f->cpu->regs[X86_RAX] = 0x800000000000;
    EXPECT_FAULT(f, X86_GP, 0, 1, 0xf3, 0x48, 0x0f, 0xae, 0xd0); /* WRFSBASE RAX */
    enter_long(f, 3);
    EXPECT_FAULT(f, X86_GP, 0, 1, 0x0f, 0x01, 0xf8);
}

/* ---- The I/O permission bitmap ---- */

typedef struct PortAccess {
    uint16_t port;
    unsigned size;
} PortAccess;

static void do_check_io(EmuCpu *cpu, void *opaque)
{
    const PortAccess *a = opaque;

    emu_check_io(cpu, a->port, a->size);
}

static bool may_use(Fixture *f, uint16_t port, unsigned size)
{
    PortAccess a = { port, size };

    return emu_harness_try(f->cpu, do_check_io, &a, &f->fault);
}

static void test_io(Fixture *f, gconstpointer data)
{
    enter_protected(f, 3);
    g_assert_false(may_use(f, 0x10, 1));
    g_assert_cmpint(f->fault.vector, ==, X86_GP);
    f->cpu->segs[X86_TR].limit = 0x68 + 0x10;
    memset(f->h->bytes + AT_TSS + 0x68, 0xff, 0x11);
    put(f, AT_TSS + 0x68 + 2, 0xfe0f, 2); /* ports 0x14 to 0x18 */
    g_assert_true(may_use(f, 0x14, 4));
    g_assert_true(may_use(f, 0x18, 1));
    g_assert_false(may_use(f, 0x18, 2));
    g_assert_false(may_use(f, 0x13, 2));
    put(f, AT_TSS + 0x68 + 15, 0, 2);
    g_assert_true(may_use(f, 0x7f, 1));
    g_assert_false(may_use(f, 0x80, 1)); /* its second byte would be past the limit */
    f->cpu->rflags |= FLAG_IOPL;
    g_assert_true(may_use(f, 0x10, 1));
    f->cpu->rflags |= FLAG_VM;
    emu_update_mode(f->cpu);
    g_assert_false(may_use(f, 0x10, 1));
    g_assert_true(may_use(f, 0x14, 1));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("load-data", test_load_data);
    ADD("load-user", test_load_user);
    ADD("load-stack", test_load_stack);
    ADD("load-ldt", test_load_ldt);
    ADD("load-long", test_load_long);
    ADD("load-real", test_load_real);
    ADD("undefined", test_undefined);
    ADD("push-pop", test_push_pop);
    ADD("pointers", test_pointers);
    ADD("limits", test_limits);
    ADD("inspect", test_inspect);
    ADD("arpl", test_arpl);
    ADD("tables", test_tables);
    ADD("ltr", test_ltr);
    ADD("bases", test_bases);
    ADD("io", test_io);
    return g_test_run();
}
