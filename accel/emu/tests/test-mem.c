/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory as instructions see it: the order of faults, accesses that cross pages, devices, locks
 * between threads, dirty logs, changes of the memory map, watchpoints, and code that is written
 * over by its own CPU, another, or a device.
 */
#include <string.h>

#include "accel/emu/block.h"
#include "accel/emu/exec.h"
#include "accel/emu/mmu.h"
#include "accel/emu/system.h"
#include "accel/emu/tests/emu-harness.h"
#include "memory/ram-block.h"
#include "util/thread.h"

#define P 1u
#define RW 2u
#define US 4u
#define FULL (P | RW | US)
#define MMIO 0xd0000000u

typedef struct Fixture {
    EmuHarness *h;
    EmuCpu *cpu;
    MemoryRegion *mmio;
    uint64_t last_offset, last_value;
    unsigned last_size, mmio_writes;
} Fixture;

static uint64_t mmio_read(void *opaque, uint64_t offset, unsigned size)
{
    Fixture *f = opaque;

    f->last_offset = offset;
    f->last_size = size;
    return 0x8877665544332211ull >> (offset % 8 * 8);
}

static void mmio_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Fixture *f = opaque;

    f->last_offset = offset;
    f->last_size = size;
    f->last_value = value;
    f->mmio_writes++;
}

static const MemoryRegionOps mmio_ops = {
    .read = mmio_read, .write = mmio_write, .impl = { 1, 8, true }, .valid = { 1, 8, true },
};

static void setup_cpus(Fixture *f, unsigned cpus)
{
    f->h = emu_harness_new(cpus, NULL);
    f->cpu = f->h->cpu;
    f->mmio = memory_region_new_io(NULL, &mmio_ops, f, "mmio", 0x1000);
    memory_region_add(memory_system(), MMIO, f->mmio);
    for (unsigned i = 0; i < cpus; i++) {
        emu_harness_set_mode(f->h->cpus[i], EMU_HARNESS_LONG64);
    }
}

static void setup(Fixture *f, gconstpointer data)
{
    setup_cpus(f, 1);
}

static void setup_two(Fixture *f, gconstpointer data)
{
    setup_cpus(f, 2);
}

static void teardown(Fixture *f, gconstpointer data)
{
    memory_region_remove(memory_system(), f->mmio);
    memory_region_free(f->mmio);
    emu_harness_free(f->h);
}

/* Page tables of 4 KiB pages for linear 0x40000000 and up, at 1 MiB. */
#define LINEAR 0x40000000ull
#define PT 0x101000u
static void map_page(Fixture *f, unsigned n, uint64_t entry)
{
    uint64_t pd = 0x100000 | FULL, pt = PT | FULL;

    memcpy(f->h->bytes + EMU_HARNESS_TABLES + 0x1000 + 8, &pd, 8);
    memcpy(f->h->bytes + 0x100000, &pt, 8);
    memcpy(f->h->bytes + PT + n * 8, &entry, 8);
    emu_tlb_flush_all(f->cpu);
}

/* ---- Single accesses from a test ---- */

typedef enum What {
    READ, WRITE, MODIFY, READ_BYTES, WRITE_BYTES, PROBE_WRITE, IMPLICIT_READ, LOCKED
} What;

typedef struct Op {
    What what;
    uint64_t linear;
    unsigned size;
    uint64_t value;
    uint8_t buf[64];
    EmuFault fault;
} Op;

static uint64_t read_sized(EmuCpu *cpu, const Op *op)
{
    switch (op->size) {
    case 1:
        return emu_read_u8(cpu, op->linear);
    case 2:
        return emu_read_u16(cpu, op->linear);
    case 4:
        return emu_read_u32(cpu, op->linear);
    default:
        return emu_read_u64(cpu, op->linear);
    }
}

static void write_sized(EmuCpu *cpu, const Op *op, uint64_t value)
{
    switch (op->size) {
    case 1:
        emu_write_u8(cpu, op->linear, value);
        break;
    case 2:
        emu_write_u16(cpu, op->linear, value);
        break;
    case 4:
        emu_write_u32(cpu, op->linear, value);
        break;
    default:
        emu_write_u64(cpu, op->linear, value);
        break;
    }
}

static void locked_add(EmuCpu *cpu, Op *op)
{
    EmuLocked locked;

    emu_locked_begin(cpu, op->linear, op->size, &locked);
    g_assert(op->size == 4);
    op->value = __atomic_fetch_add((emu_unaligned_u32 *)locked.host, 1, __ATOMIC_SEQ_CST);
    emu_locked_end(cpu, &locked, true);
}

static void do_op(EmuCpu *cpu, void *opaque)
{
    Op *op = opaque;

    switch (op->what) {
    case READ:
        op->value = read_sized(cpu, op);
        break;
    case WRITE:
        write_sized(cpu, op, op->value);
        break;
    case MODIFY:
        op->value = emu_read_for_write_u32(cpu, op->linear);
        emu_write_u32(cpu, op->linear, op->value + 1);
        break;
    case READ_BYTES:
        emu_read_bytes(cpu, op->linear, op->buf, op->size);
        break;
    case WRITE_BYTES:
        emu_write_bytes(cpu, op->linear, op->buf, op->size);
        break;
    case PROBE_WRITE:
        emu_probe_write(cpu, op->linear, op->size);
        break;
    case IMPLICIT_READ:
        op->value = emu_implicit_read_u64(cpu, op->linear);
        break;
    case LOCKED:
        locked_add(cpu, op);
        break;
    }
}

static bool run_op(EmuCpu *cpu, Op *op)
{
    return emu_harness_try(cpu, do_op, op, &op->fault);
}

static uint64_t must_read(EmuCpu *cpu, uint64_t linear, unsigned size)
{
    Op op = { .what = READ, .linear = linear, .size = size };

    g_assert_true(run_op(cpu, &op));
    return op.value;
}

static void must_write(EmuCpu *cpu, uint64_t linear, unsigned size, uint64_t value)
{
    Op op = { .what = WRITE, .linear = linear, .size = size, .value = value };

    g_assert_true(run_op(cpu, &op));
}

static void expect_fault(EmuCpu *cpu, What what, uint64_t linear, unsigned size, unsigned vector,
                         uint32_t error)
{
    Op op = { .what = what, .linear = linear, .size = size, .value = ~0ull };

    memset(op.buf, 0xff, sizeof(op.buf));
    g_assert_false(run_op(cpu, &op));
    g_assert_cmpuint(op.fault.vector, ==, vector);
    g_assert_cmphex(op.fault.error, ==, error);
}

static void expect_page_fault(EmuCpu *cpu, What what, uint64_t linear, unsigned size,
                              uint64_t cr2, uint32_t error)
{
    expect_fault(cpu, what, linear, size, X86_PF, error);
    g_assert_cmphex(cpu->cr2, ==, cr2);
}

/* ---- Tests ---- */

static void test_values(Fixture *f, gconstpointer data)
{
    uint8_t *bytes = f->h->bytes;

    for (unsigned i = 0; i < 0x4000; i++) {
        bytes[0x200000 + i] = g_test_rand_int();
    }
    for (unsigned round = 0; round < 20000; round++) {
        unsigned size = 1u << g_test_rand_int_range(0, 4);
        uint64_t at = 0x200000 + g_test_rand_int_range(0, 0x3ff0);
        uint64_t value = (uint64_t)g_test_rand_int() << 32 | (uint32_t)g_test_rand_int();

        if (g_test_rand_bit()) {
            must_write(f->cpu, at, size, value);
            g_assert_true(memcmp(bytes + at, &value, size) == 0);
        } else {
            g_assert_cmphex(must_read(f->cpu, at, size), ==, ldn_le(bytes + at, size));
        }
        if (round % 50 == 0) {
            emu_tlb_flush_first(f->cpu);
        }
    }
}

static void test_crossing(Fixture *f, gconstpointer data)
{
    const uint64_t at = LINEAR + 0xffd;
    uint8_t *first = f->h->bytes + 0x300ffd, *second = f->h->bytes + 0x500000;
    static const What writes[] = { WRITE, WRITE_BYTES, PROBE_WRITE, LOCKED };

    map_page(f, 0, 0x300000 | FULL);
    map_page(f, 1, 0x500000 | FULL);
    must_write(f->cpu, at, 8, 0x1122334455667788);
    g_assert_cmphex(ldn_le(first, 2) | first[2] << 16, ==, 0x667788);
    g_assert_cmphex(ldl_le(second), ==, 0x22334455);
    g_assert_cmphex(must_read(f->cpu, at, 8), ==, 0x1122334455667788);
    g_assert_cmphex(must_read(f->cpu, LINEAR + 0xfff, 2), ==, 0x5566);
    /* The second page is bad: nothing is written, and its address is told. */
    map_page(f, 1, 0x500000 | P | US);
    for (unsigned i = 0; i < G_N_ELEMENTS(writes); i++) {
        expect_page_fault(f->cpu, writes[i], at, 4, LINEAR + 0x1000, 3);
        g_assert_cmphex(ldn_le(first, 2) | first[2] << 16, ==, 0x667788);
    }
    g_assert_cmphex(must_read(f->cpu, at, 4), ==, 0x55667788);
    map_page(f, 1, 0);
    expect_page_fault(f->cpu, READ, at, 4, LINEAR + 0x1000, 0);
    expect_page_fault(f->cpu, READ_BYTES, LINEAR + 0xff0, 32, LINEAR + 0x1000, 0);
    /* Both: the first byte's. */
    map_page(f, 0, 0x300000 | P);
    expect_page_fault(f->cpu, WRITE, at, 4, at, 3);
    expect_page_fault(f->cpu, MODIFY, at, 4, at, 3);
}

static void test_canonical(Fixture *f, gconstpointer data)
{
    EmuOp op = { .seg = X86_DS };
    const uint64_t hole = 0x800000000000;

    expect_fault(f->cpu, READ, hole, 1, X86_GP, 0);
    expect_fault(f->cpu, WRITE, hole - 1, 2, X86_GP, 0);
    expect_fault(f->cpu, READ_BYTES, 0xffff7fffffffffff, 1, X86_GP, 0);
    expect_fault(f->cpu, LOCKED, hole, 4, X86_GP, 0);
    expect_page_fault(f->cpu, READ, hole - 1, 1, hole - 1, 0);
    f->cpu->op = &op;
    expect_fault(f->cpu, WRITE, hole, 8, X86_GP, 0);
    op.seg = X86_SS;
    f->cpu->op = &op;
    expect_fault(f->cpu, WRITE, hole, 8, X86_SS_FAULT, 0);
    f->cpu->cr4 |= CR4_LA57;
    emu_tlb_flush_all(f->cpu);
    expect_page_fault(f->cpu, READ, hole, 1, hole, 0);
    expect_fault(f->cpu, READ, BIT_ULL(56), 1, X86_GP, 0);
}

static void test_alignment(Fixture *f, gconstpointer data)
{
    emu_harness_set_mode(f->cpu, EMU_HARNESS_USER64);
    must_write(f->cpu, 0x200001, 4, 1); /* fills the tables */
    f->cpu->cr0 |= CR0_AM;
    f->cpu->rflags |= FLAG_AC;
    emu_update_mode(f->cpu);
    expect_fault(f->cpu, READ, 0x200001, 2, X86_AC, 0);
    expect_fault(f->cpu, WRITE, 0x200002, 4, X86_AC, 0);
    expect_fault(f->cpu, WRITE, 0x200004, 8, X86_AC, 0);
    expect_fault(f->cpu, LOCKED, 0x200002, 4, X86_AC, 0);
    expect_fault(f->cpu, READ_BYTES, 0x200004, 10, X86_AC, 0);
    expect_fault(f->cpu, READ, 0x900001, 2, X86_AC, 0); /* before #PF */
    expect_fault(f->cpu, READ, 0x8000000000000001, 2, X86_GP, 0);
    must_write(f->cpu, 0x200008, 8, 1);
    must_read(f->cpu, 0x200001, 1);
    g_assert_cmphex(must_read(f->cpu, 0x200004, 4), ==, 0);
    f->cpu->rflags &= ~(uint64_t)FLAG_AC;
    emu_update_mode(f->cpu);
    must_read(f->cpu, 0x200001, 8);
}

static void test_mmio(Fixture *f, gconstpointer data)
{
    map_page(f, 0, 0x300000 | FULL);
    map_page(f, 1, MMIO | FULL);
    map_page(f, 2, 0x301000 | FULL);
    g_assert_cmphex(must_read(f->cpu, LINEAR + 0x1004, 4), ==, 0x88776655);
    g_assert_cmpuint(f->last_size, ==, 4);
    must_write(f->cpu, LINEAR + 0x1ffe, 2, 0xabcd);
    g_assert_cmphex(f->last_offset, ==, 0xffe);
    g_assert_cmphex(f->last_value, ==, 0xabcd);
    g_assert_cmpuint(f->last_size, ==, 2);
    /* Across the border from and to RAM. */
    stw_le(f->h->bytes + 0x300ffe, 0x9999);
    g_assert_cmphex(must_read(f->cpu, LINEAR + 0xffe, 4), ==, 0x22119999);
    must_write(f->cpu, LINEAR + 0x1ffe, 4, 0x12345678);
    g_assert_cmphex(f->last_value, ==, 0x5678);
    g_assert_cmphex(ldw_le(f->h->bytes + 0x301000), ==, 0x1234);
    Op op = { .what = LOCKED, .linear = LINEAR + 0x1000, .size = 4 };

    f->mmio_writes = 0;
    g_assert_true(run_op(f->cpu, &op));
    g_assert_cmphex(f->last_value, ==, 0x44332212);
    g_assert_cmpuint(f->mmio_writes, ==, 1);
    op.linear = LINEAR + 0x1ffe;
    g_assert_true(run_op(f->cpu, &op));
    op = (Op){ .what = READ_BYTES, .linear = LINEAR + 0x1000, .size = 16 };
    g_assert_true(run_op(f->cpu, &op));
    g_assert_cmphex(ldq_le(op.buf), ==, 0x8877665544332211);
    g_assert_cmphex(ldq_le(op.buf + 8), ==, 0x8877665544332211);
    /* Nothing is there: all ones, and writes go nowhere. */
    map_page(f, 1, 0xe0000000 | FULL);
    must_write(f->cpu, LINEAR + 0x1000, 8, 1);
    g_assert_cmphex(must_read(f->cpu, LINEAR + 0x1000, 8), ==, ~0ull);
}

static void test_map_changes(Fixture *f, gconstpointer data)
{
    MemoryRegion *shadow = memory_region_new_alias(NULL, "shadow", f->h->ram, 0x400000, 0x1000);

    f->h->bytes[0x300000] = 1;
    f->h->bytes[0x400000] = 2;
    must_write(f->cpu, 0x300000, 1, 1);
    memory_region_add_overlap(memory_system(), 0x300000, shadow, 1);
    g_assert_cmphex(must_read(f->cpu, 0x300000, 1), ==, 2);
    must_write(f->cpu, 0x300000, 1, 3);
    g_assert_cmphex(f->h->bytes[0x400000], ==, 3);
    memory_region_set_readonly(shadow, true);
    must_write(f->cpu, 0x300000, 1, 4);
    g_assert_cmphex(must_read(f->cpu, 0x300000, 1), ==, 3);
    memory_region_remove(memory_system(), shadow);
    g_assert_cmphex(must_read(f->cpu, 0x300000, 1), ==, 1);
    memory_region_free(shadow);
    /* A20: odd megabytes are the even ones'. */
    f->h->bytes[0x200000] = 0x55;
    accel_set_a20(false);
    g_assert_cmphex(must_read(f->cpu, 0x300000, 1), ==, 0x55);
    accel_set_a20(true);
    g_assert_cmphex(must_read(f->cpu, 0x300000, 1), ==, 1);
}

static unsigned snapshot(Fixture *f, DirtyClient client)
{
    unsigned long bitmap[EMU_HARNESS_RAM / EMU_PAGE_SIZE / 64 + 1];
    unsigned count = 0;

    memory_region_snapshot_dirty(f->h->ram, client, 0, EMU_HARNESS_RAM, bitmap);
    for (unsigned i = 0; i < EMU_HARNESS_RAM / EMU_PAGE_SIZE; i++) {
        count += bitmap[i / 64] >> (i % 64) & 1;
    }
    return count;
}

/* How long until a page that nobody writes to is clean: once more at most. */
static void settle(Fixture *f, DirtyClient client)
{
    snapshot(f, client);
    snapshot(f, client);
    g_assert_cmpuint(snapshot(f, client), ==, 0);
}

static void test_dirty_log(Fixture *f, gconstpointer data)
{
    Op locked = { .what = LOCKED, .linear = 0x306000, .size = 4 };

    must_write(f->cpu, 0x300000, 4, 1);
    must_write(f->cpu, 0x300000, 4, 1);
    memory_region_set_log(f->h->ram, DIRTY_VGA, true);
    settle(f, DIRTY_VGA);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 4; i++) {
            must_write(f->cpu, 0x300000 + i * 0x1000, 4, i);
            must_write(f->cpu, 0x300ffe, 4, i); /* pages 0 and 1 */
        }
        g_assert_cmpuint(snapshot(f, DIRTY_VGA), ==, 4);
    }
    settle(f, DIRTY_VGA);
    g_assert_true(run_op(f->cpu, &locked));
    g_assert_cmpuint(snapshot(f, DIRTY_VGA), ==, 1);
    settle(f, DIRTY_VGA);
    g_assert_true(run_op(f->cpu, &locked));
    g_assert_cmpuint(snapshot(f, DIRTY_VGA), ==, 1);
    /* A second client begins while pages are dirty for the first. */
    must_write(f->cpu, 0x300000, 4, 1);
    must_write(f->cpu, 0x300000, 4, 1);
    memory_region_set_log(f->h->ram, DIRTY_MIGRATION, true);
    settle(f, DIRTY_MIGRATION);
    must_write(f->cpu, 0x300000, 4, 1);
    g_assert_cmpuint(snapshot(f, DIRTY_MIGRATION), ==, 1);
    memory_region_set_log(f->h->ram, DIRTY_VGA, false);
    memory_region_set_log(f->h->ram, DIRTY_MIGRATION, false);
    must_write(f->cpu, 0x300000, 4, 1);
}

/* ---- LOCK between threads ---- */

#define ADDS 20000u

typedef struct Adder {
    Fixture *f;
    unsigned cpu;
    uint64_t linear;
    pthread_t thread;
} Adder;

static void *add_many(void *opaque)
{
    const Adder *adder = opaque;
    EmuCpu *cpu = adder->f->h->cpus[adder->cpu];

    for (unsigned i = 0; i < ADDS; i++) {
        Op op = { .what = LOCKED, .linear = adder->linear, .size = 4 };

        g_assert(run_op(cpu, &op));
        emu_serve_requests(cpu);
    }
    return NULL;
}

static void test_locked(Fixture *f, gconstpointer data)
{
    /* Aligned, misaligned within a line, across lines, across pages. */
    static const uint64_t places[] = { 0x300000, 0x300011, 0x30003e, 0x300ffe };

    for (unsigned i = 0; i < G_N_ELEMENTS(places); i++) {
        Adder adders[2] = { { f, 0, places[i] }, { f, 1, places[i] } };

        stl_le(f->h->bytes + places[i], 0);
        for (unsigned n = 0; n < 2; n++) {
            g_assert_true(thread_create(&adders[n].thread, "adder", add_many, &adders[n], NULL));
        }
        for (unsigned n = 0; n < 2; n++) {
            pthread_join(adders[n].thread, NULL);
        }
        g_assert_cmpuint(ldl_le(f->h->bytes + places[i]), ==, 2 * ADDS);
    }
}

static void do_exchange_16(EmuCpu *cpu, void *opaque)
{
    EmuLocked locked;

    emu_locked_begin(cpu, 0x300010, 16, &locked);
    g_assert(locked.atomic && IS_ALIGNED((uintptr_t)locked.host, 16));
    emu_locked_end(cpu, &locked, true);
}

static void test_locked_16(Fixture *f, gconstpointer data)
{
    EmuFault fault;

    g_assert_true(emu_harness_try(f->cpu, do_exchange_16, NULL, &fault));
    g_assert_true(emu_harness_try(f->cpu, do_exchange_16, NULL, &fault));
}

/* ---- Watchpoints ---- */

static void test_watch(Fixture *f, gconstpointer data)
{
    must_write(f->cpu, 0x300008, 4, 1);
    f->cpu->dr[0] = 0x300008;
    f->cpu->dr[7] = 0xd0001; /* 4 bytes, writes */
    emu_tlb_flush_first(f->cpu);
    for (unsigned i = 0; i < 2; i++) {
        must_write(f->cpu, 0x300000, 4, 1);
        must_read(f->cpu, 0x300000, 4);
        g_assert_null(emu_fast_read_ptr(f->cpu, 0x300000, 4, EMU_TLB_SUPER));
        g_assert_null(emu_fast_write_ptr(f->cpu, 0x300000, 4, EMU_TLB_SUPER));
    }
    f->cpu->dr[7] = 0;
    must_write(f->cpu, 0x300000, 4, 1);
    g_assert_nonnull(emu_fast_write_ptr(f->cpu, 0x300000, 4, EMU_TLB_SUPER));
}

/* ---- Code ---- */

static void run_code(Fixture *f, EmuCpu *cpu, const void *code, size_t len)
{
    address_space_write(address_space_memory(), EMU_HARNESS_CODE, code, len);
    cpu->rip = EMU_HARNESS_CODE;
    g_assert_true(emu_harness_run_to_halt(cpu));
}

static void rerun(EmuCpu *cpu)
{
    cpu->rip = EMU_HARNESS_CODE;
    g_assert_true(emu_harness_run_to_halt(cpu));
}

/* A store changes the immediate of the instruction behind it. */
static void test_code_ahead(Fixture *f, gconstpointer data)
{
    static const uint8_t code[] = {
        0xc6, 0x05, 0x06, 0, 0, 0, 0x55,       /* mov byte [rip + 6], 0x55 */
        0xbb, 0, 0, 0, 0,                      /* mov ebx, 0 */
        0xb9, 0x11, 0, 0, 0,                   /* mov ecx, 0x11 <- 0x55 */
        0xf4,                                  /* hlt */
    };

    run_code(f, f->cpu, code, sizeof(code));
    g_assert_cmphex(f->cpu->regs[X86_RCX], ==, 0x55);
    g_assert_cmphex(f->cpu->rip, ==, EMU_HARNESS_CODE + sizeof(code));
    g_assert_false(f->cpu->step_once);
    g_assert_false(f->cpu->mode & EMU_MODE_STEP);
    rerun(f->cpu);
    g_assert_cmphex(f->cpu->regs[X86_RCX], ==, 0x55);
}

/* The same, with other values, until the block has been translated. */
static void test_code_ahead_hot(Fixture *f, gconstpointer data)
{
    static const uint8_t code[] = {
        0x88, 0x05, 0x06, 0, 0, 0,             /* mov [rip + 6], al */
        0xbb, 0, 0, 0, 0,                      /* mov ebx, 0 */
        0xb9, 0x11, 0, 0, 0,                   /* mov ecx, 0x11 <- al */
        0xf4,                                  /* hlt */
    };

    run_code(f, f->cpu, code, sizeof(code));
    for (unsigned i = 0; i < 5000; i++) {
        f->cpu->regs[X86_RAX] = i;
        rerun(f->cpu);
        g_assert_cmphex(f->cpu->regs[X86_RCX], ==, (uint8_t)i);
    }
}

/* A hot loop whose body is written over by a device. */
static void test_code_hot_loop(Fixture *f, gconstpointer data)
{
    static const uint8_t code[] = {
        0xb9, 0xe8, 0x03, 0, 0,                /* 0: mov ecx, 1000 */
        0x31, 0xdb,                            /* 5: xor ebx, ebx */
        0x83, 0xc3, 0x01,                      /* 7: add ebx, 1 <- n */
        0xff, 0xc9,                            /* 10: dec ecx */
        0x75, 0xf9,                            /* 12: jnz 7 */
        0xf4,
    };

    run_code(f, f->cpu, code, sizeof(code));
    for (unsigned i = 0; i < 100; i++) {
        address_space_store(address_space_memory(), EMU_HARNESS_CODE + 9, 1, i);
        rerun(f->cpu);
        g_assert_cmpuint(f->cpu->regs[X86_RBX], ==, i * 1000);
    }
}

/* A loop counts in the immediate of an instruction before the store. */
static void test_code_behind(Fixture *f, gconstpointer data)
{
    static const uint8_t code[] = {
        0xb9, 0x00, 0, 0, 0,                   /* 0: mov ecx, 0 */
        0xff, 0x05, 0xf6, 0xff, 0xff, 0xff,    /* 5: inc dword [rip - 10] */
        0x83, 0xf9, 0x64,                      /* 11: cmp ecx, 100 */
        0x75, 0xf0,                            /* 14: jne 0 */
        0xf4,
    };

    run_code(f, f->cpu, code, sizeof(code));
    g_assert_cmphex(f->cpu->regs[X86_RCX], ==, 100);
    g_assert_cmphex(f->h->bytes[EMU_HARNESS_CODE + 1], ==, 101);
}

static const uint8_t mov_hlt[] = { 0xb9, 0x11, 0, 0, 0, 0xf4 };

static void test_code_device(Fixture *f, gconstpointer data)
{
    AddressSpace *as = address_space_memory();
    uint64_t len = 1;
    uint8_t *host;

    run_code(f, f->cpu, mov_hlt, sizeof(mov_hlt));
    g_assert_cmphex(f->cpu->regs[X86_RCX], ==, 0x11);
    address_space_store(as, EMU_HARNESS_CODE + 1, 1, 0x22);
    rerun(f->cpu);
    g_assert_cmphex(f->cpu->regs[X86_RCX], ==, 0x22);
    host = address_space_map(as, EMU_HARNESS_CODE + 1, &len, true);
    *host = 0x33;
    address_space_unmap(as, host, 1, true, 1);
    rerun(f->cpu);
    g_assert_cmphex(f->cpu->regs[X86_RCX], ==, 0x33);
    /* More pieces than are kept. */
    for (unsigned i = 0; i < 200; i++) {
        address_space_store(as, EMU_HARNESS_CODE + i % 2 * 3 + 1, 1, i);
    }
    rerun(f->cpu);
    g_assert_cmphex(f->cpu->regs[X86_RCX], ==, 0xc7000000 + 0xc6);
    /* Far away. */
    address_space_store(as, EMU_HARNESS_CODE + 0x800, 1, 1);
    rerun(f->cpu);
}

/* Two linear addresses lead to the code; it is written through the other. */
static void test_code_alias(Fixture *f, gconstpointer data)
{
    map_page(f, 0, EMU_HARNESS_CODE | FULL);
    must_write(f->cpu, LINEAR, 1, 0);
    run_code(f, f->cpu, mov_hlt, sizeof(mov_hlt));
    must_write(f->cpu, LINEAR + 1, 1, 0x44);
    rerun(f->cpu);
    g_assert_cmphex(f->cpu->regs[X86_RCX], ==, 0x44);
    must_write(f->cpu, LINEAR + 1, 1, 0x55);
    rerun(f->cpu);
    g_assert_cmphex(f->cpu->regs[X86_RCX], ==, 0x55);
}

static void test_code_other_cpu(Fixture *f, gconstpointer data)
{
    EmuCpu *other = f->h->cpus[1];

    must_write(other, EMU_HARNESS_CODE + 0x100, 1, 0);
    must_write(other, EMU_HARNESS_CODE + 0x100, 1, 0);
    g_assert_nonnull(emu_fast_write_ptr(other, EMU_HARNESS_CODE, 1, EMU_TLB_SUPER));
    run_code(f, f->cpu, mov_hlt, sizeof(mov_hlt));
    g_assert_null(emu_fast_write_ptr(other, EMU_HARNESS_CODE, 1, EMU_TLB_SUPER));
    for (unsigned i = 0; i < 10; i++) {
        must_write(other, EMU_HARNESS_CODE + 1, 1, i);
        rerun(f->cpu);
        g_assert_cmphex(f->cpu->regs[X86_RCX], ==, i);
        rerun(other);
        g_assert_cmphex(other->regs[X86_RCX], ==, i);
    }
    /* All blocks gone: the page is ordinary again. */
    emu_blocks_flush(f->cpu);
    emu_blocks_flush(other);
    must_write(other, EMU_HARNESS_CODE + 1, 1, 0x66);
    g_assert_nonnull(emu_fast_write_ptr(other, EMU_HARNESS_CODE, 1, EMU_TLB_SUPER));
}

#define ADD(name, setup_fn, fn) \
    g_test_add("/emu/mem/" name, Fixture, NULL, setup_fn, fn, teardown)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("values", setup, test_values);
    ADD("crossing", setup, test_crossing);
    ADD("canonical", setup, test_canonical);
    ADD("alignment", setup, test_alignment);
    ADD("mmio", setup, test_mmio);
    ADD("map-changes", setup, test_map_changes);
    ADD("dirty-log", setup, test_dirty_log);
    ADD("locked", setup_two, test_locked);
    ADD("locked-16", setup, test_locked_16);
    ADD("watch", setup, test_watch);
    ADD("code-ahead", setup, test_code_ahead);
    ADD("code-ahead-hot", setup, test_code_ahead_hot);
    ADD("code-hot-loop", setup, test_code_hot_loop);
    ADD("code-behind", setup, test_code_behind);
    ADD("code-device", setup, test_code_device);
    ADD("code-alias", setup, test_code_alias);
    ADD("code-other-cpu", setup_two, test_code_other_cpu);
    return g_test_run();
}
