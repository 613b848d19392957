/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The run loop and the core: what is left behind when an instruction ends otherwise than it began,
 * branches out of the canonical addresses, differences between vendors.
 */
#include "accel/emu/block.h"
#include "accel/emu/exec.h"
#include "accel/emu/system-internal.h"
#include "accel/emu/tests/emu-tables.h"
#include "cpu/x86/msr.h"
#include "util/error.h"

#define UNMAPPED 0x10000000u
/* Runs after which a block has been translated. */
#define HOT_RUNS 60u

static uint64_t handler(unsigned vector)
{
    return AT_HANDLER + 16 * vector;
}

/* Long mode at CPL 0; every handler halts. */
static void enter_halting(Fixture *f)
{
    enter_long(f, 0);
    for (unsigned i = 0; i < 0x40; i++) {
        put(f, handler(i), 0xf4, 1);
    }
}

/* Offsets from RSP in a handler's frame with an error code. */
enum { FRAME_ERROR = 0, FRAME_RIP = 8, FRAME_RSP = 32 };

static uint64_t frame(Fixture *f, unsigned offset)
{
    return get(f, f->cpu->regs[X86_RSP] + offset, 8);
}

/*
 * An instruction that runs alone, as an interrupt waits for its shadow to end, cannot be fetched. A
 * debugger watches the stack: what the fault pushes is reported before the handler's first
 * instruction, as it is without the shadow.
 */
static void test_fetch_fault_alone(Fixture *f, gconstpointer data)
{
    static const VCpuBreakpoint point = { AT_STACK0 - 16, VCPU_BREAK_WRITE, 8 };
    VCpuDebug *debug = &f->cpu->vcpu->debug;

    for (unsigned shadow = 0; shadow < 2; shadow++) {
        f->cpu->step_once = false;
        enter_halting(f);
        debug->points = &point;
        debug->count = 1;
        debug->stop = VCPU_STOP_STEP;
        g_assert_true(emu_update_debug(f->cpu->vcpu, NULL));
        f->cpu->vcpu->irq_lines = shadow ? VCPU_IRQ_HARD : 0;
        f->cpu->shadow = shadow ? EMU_SHADOW_STI : 0;
        f->cpu->rflags |= FLAG_IF;
        f->cpu->rip = UNMAPPED;
        f->cpu->halted = f->cpu->vcpu->halted = false;
        f->cpu->vcpu->exit_request = false;
        emu_run(f->cpu->vcpu);
        g_assert_cmphex(f->cpu->rip, ==, handler(X86_PF));
        g_assert_false(f->cpu->halted);
        g_assert_cmpint(debug->stop, ==, VCPU_STOP_POINT);
        f->cpu->vcpu->irq_lines = 0;
        debug->count = 0;
        g_assert_true(emu_update_debug(f->cpu->vcpu, NULL));
    }
}

static void deliver_from_block(EmuCpu *cpu, void *opaque)
{
    EmuBlock *block = emu_block_lookup(cpu);

    g_assert_cmpuint(block->op_count, ==, 2);
    cpu->block = block;
    cpu->op = &block->ops[1];
    cpu->rip = emu_next_rip(cpu, cpu->op);
    emu_deliver(cpu, 0x20, EMU_EVENT_INT1, false, 0);
    cpu->op = NULL;
    cpu->block = NULL;
}

/* A frame over the instruction that pushes it: it begins anew, and nothing is being delivered. */
static void test_delivery_anew(Fixture *f, gconstpointer data)
{
    static const uint8_t code[] = { 0x90, 0xcd, 0x20, 0x90 };
    EmuFault fault;

    enter_halting(f);
    f->cpu->rip = EMU_HARNESS_CODE + 4;
    memcpy(f->h->bytes + f->cpu->rip, code, sizeof(code));
    f->cpu->regs[X86_RSP] = EMU_HARNESS_CODE + 16;
    g_assert_false(emu_harness_try(f->cpu, deliver_from_block, NULL, &fault));
    g_assert_cmphex(fault.vector, ==, 0xff);
    g_assert_cmphex(f->cpu->rip, ==, EMU_HARNESS_CODE + 5);
    g_assert_cmpint(f->cpu->delivering, ==, -1);
    g_assert_false(f->cpu->delivering_ext);
    /* The whole, by the run loop. */
    emu_harness_set_mode(f->cpu, EMU_HARNESS_LONG64);
    enter_halting(f);
    f->cpu->step_once = false;
    f->cpu->rip = EMU_HARNESS_CODE + 4;
    f->cpu->regs[X86_RSP] = EMU_HARNESS_CODE + 16;
    g_assert_true(emu_harness_run_to_halt(f->cpu));
    g_assert_cmphex(f->cpu->rip, ==, handler(0x20) + 1);
    g_assert_cmphex(get(f, f->cpu->regs[X86_RSP], 8), ==, EMU_HARNESS_CODE + 7);
}

/* ---- The hole of non-canonical addresses ---- */

#define HOLE_BEGIN 0x800000000000ull
#define HOLE_END 0xffff800000000000ull
#define CODE_PAGE 0x40000u
#define TARGET_PAGE 0x41000u

/* Map one page by tables at `tables` (three pages), under the harness's PML4. */
static void map_page(Fixture *f, uint64_t linear, uint64_t physical, uint64_t tables)
{
    uint64_t at = EMU_HARNESS_TABLES + extract64(linear, 39, 9) * 8;

    for (unsigned level = 0; level < 3; level++) {
        uint64_t table = tables + level * EMU_PAGE_SIZE;

        if (!get(f, at, 8)) {
            put(f, at, table | 7, 8);
        }
        at = (get(f, at, 8) & ~0xfffull) + extract64(linear, 30 - 9 * level, 9) * 8;
    }
    put(f, at, physical | 7, 8);
}

typedef struct Branch {
    const char *name;
    uint8_t bytes[6];
    unsigned len;      /* a displacement of 32 bits ends it */
    bool pushes;
} Branch;

static const Branch branches[] = {
    { "jmp", { 0xe9 }, 5 },
    { "jz", { 0x0f, 0x84 }, 6 },
    { "call", { 0xe8 }, 5, true },
};

/* The branch at the page's offset 0x100, behind XOR EAX, EAX; it leads `displacement` further. */
static uint64_t put_branch(Fixture *f, const Branch *branch, int32_t displacement)
{
    put(f, CODE_PAGE + 0x100, 0xc031, 2);
    memcpy(f->h->bytes + CODE_PAGE + 0x102, branch->bytes, branch->len);
    put(f, CODE_PAGE + 0x102 + branch->len - 4, (uint32_t)displacement, 4);
    return 0x102 + branch->len;
}

static void run_branch(Fixture *f, uint64_t page)
{
    f->cpu->regs[X86_RSP] = AT_STACK0;
    f->cpu->rip = page + 0x100;
    g_assert_true(emu_harness_run_to_halt(f->cpu));
}

/* #GP at the branch itself, with nothing changed but what CALL writes below the stack. */
static void expect_refused(Fixture *f, const Branch *branch, uint64_t page)
{
    put(f, AT_STACK0 - 8, 0, 8);
    f->cpu->regs[X86_RSP] = AT_STACK0;
    run_branch(f, page);
    g_assert_cmphex(f->cpu->rip, ==, handler(X86_GP) + 1);
    g_assert_cmphex(frame(f, FRAME_RIP), ==, page + 0x102);
    g_assert_cmphex(frame(f, FRAME_RSP), ==, AT_STACK0);
}

static void test_branch_into_hole(Fixture *f, gconstpointer data)
{
    const uint64_t below = HOLE_BEGIN - EMU_PAGE_SIZE, elsewhere = 0x7f0000000000ull;

    for (unsigned i = 0; i < G_N_ELEMENTS(branches); i++) {
        const Branch *branch = &branches[i];
        uint64_t next;

        g_test_message("%s", branch->name);
        enter_halting(f);
        map_page(f, below, CODE_PAGE, 0x50000);
        map_page(f, elsewhere, CODE_PAGE, 0x54000);
        map_page(f, elsewhere + EMU_PAGE_SIZE, TARGET_PAGE, 0x54000);
        map_page(f, HOLE_END, CODE_PAGE, 0x58000);
        put(f, TARGET_PAGE, 0xf4, 1);
        next = put_branch(f, branch, 0);
        put_branch(f, branch, EMU_PAGE_SIZE - next);
        emu_blocks_flush(f->cpu);
        /* Where it leads to a page that is there, and then from the same bytes elsewhere. */
        for (unsigned n = 0; n < HOT_RUNS; n++) {
            run_branch(f, elsewhere);
            g_assert_cmphex(f->cpu->rip, ==, elsewhere + EMU_PAGE_SIZE + 1);
            g_assert_cmphex(f->cpu->regs[X86_RSP], ==, AT_STACK0 - (branch->pushes ? 8 : 0));
        }
        for (unsigned n = 0; n < HOT_RUNS; n++) {
            expect_refused(f, branch, below);
        }
        put_branch(f, branch, -(int32_t)EMU_PAGE_SIZE);
        emu_blocks_flush(f->cpu);
        for (unsigned n = 0; n < HOT_RUNS; n++) {
            expect_refused(f, branch, HOLE_END);
        }
    }
}

/* What runs on into the hole has done so when the next fetch fails. */
static void test_run_into_hole(Fixture *f, gconstpointer data)
{
    enter_halting(f);
    map_page(f, HOLE_BEGIN - EMU_PAGE_SIZE, CODE_PAGE, 0x50000);
    put(f, CODE_PAGE + 0xffd, 0x40c0ff, 3); /* inc eax; rex prefix at the very end */
    for (unsigned n = 0; n < HOT_RUNS; n++) {
        f->cpu->regs[X86_RAX] = 0;
        f->cpu->regs[X86_RSP] = AT_STACK0;
        f->cpu->rip = HOLE_BEGIN - 3;
        g_assert_true(emu_harness_run_to_halt(f->cpu));
        g_assert_cmphex(f->cpu->regs[X86_RAX], ==, 1);
        g_assert_cmphex(f->cpu->rip, ==, handler(X86_GP) + 1);
        g_assert_cmphex(frame(f, FRAME_RIP), ==, HOLE_BEGIN - 1);
    }
    put(f, CODE_PAGE + 0xfff, 0x90, 1);
    emu_blocks_flush(f->cpu);
    for (unsigned n = 0; n < HOT_RUNS; n++) {
        f->cpu->regs[X86_RSP] = AT_STACK0;
        f->cpu->rip = HOLE_BEGIN - 3;
        g_assert_true(emu_harness_run_to_halt(f->cpu));
        g_assert_cmphex(frame(f, FRAME_RIP), ==, HOLE_BEGIN);
    }
}

/* ---- Stepping on branches ---- */

static void test_step_branches(Fixture *f, gconstpointer data)
{
    static const uint8_t code[] = {
        0x90, 0xb9, 3, 0, 0, 0,     /* nop; mov ecx, 3 */
        0xf3, 0xa4,                 /* rep movsb */
        0x83, 0xf9, 1, 0x74, 1,     /* cmp ecx, 1; jz +1: not taken */
        0x90, 0xeb, 1, 0xcc,        /* nop; jmp +1 */
        0x90, 0xf4,                 /* nop; hlt */
    };
    uint64_t value;

    for (unsigned btf = 0; btf < 2; btf++) {
        enter_halting(f);
        memcpy(f->h->bytes + EMU_HARNESS_CODE, code, sizeof(code));
        emu_blocks_flush(f->cpu);
        f->cpu->regs[X86_RSI] = f->cpu->regs[X86_RDI] = 0x40000;
        f->cpu->rip = EMU_HARNESS_CODE;
        f->cpu->dr[6] = DR6_FIXED;
        g_assert_true(emu_write_msr(f->cpu, MSR_IA32_DEBUGCTL, btf ? DEBUGCTL_BTF : 0));
        emu_write_rflags(f->cpu, FLAG_TF, FLAG_TF);
        g_assert_true(emu_harness_run_to_halt(f->cpu));
        g_assert_cmphex(f->cpu->rip, ==, handler(X86_DB) + 1);
        g_assert_cmphex(get(f, f->cpu->regs[X86_RSP], 8), ==, EMU_HARNESS_CODE + (btf ? 17 : 1));
        g_assert_cmphex(f->cpu->dr[6], ==, DR6_FIXED | DR6_BS);
        g_assert_true(emu_read_msr(f->cpu, MSR_IA32_DEBUGCTL, &value));
        g_assert_cmphex(value, ==, 0);
        f->cpu->regs[X86_RSP] = AT_STACK0;
    }
}

/* ---- Vendors ---- */

/* As Intel's (0) and AMD's (1) processors do it. */
static void test_vendors(Fixture *f, gconstpointer data)
{
    static const uint64_t bases[] = { 0, 0x123456789000 }, sps[] = { AT_STACK0 - 8, AT_STACK0 - 2 };
    static const uint32_t ss_attrs[] = { 0xc0f3, SEG_UNUSABLE | SEG_DPL };
    const uint8_t far_jump[] = { 0x48, 0xff, 0x2c, 0x24 }; /* jmp far [rsp], REX.W */
    const uint8_t near_call[] = { 0x66, 0xe8, 2, 0, 2, 0 };

    for (unsigned amd = 0; amd < 2; amd++) {
        f->cpu->sys->amd = amd;
        emu_blocks_flush(f->cpu);
        enter_long(f, 0);
        f->cpu->segs[X86_FS] = (X86Segment){ .base = bases[1], .attr = 0xc093 };
        f->cpu->regs[X86_RAX] = 0;
        g_assert_true(RUN(f, 1, 0x8e, 0xe0)); /* mov fs, eax */
        g_assert_cmphex(f->cpu->segs[X86_FS].base, ==, bases[amd]);
        g_assert_cmphex(f->cpu->segs[X86_FS].attr & SEG_UNUSABLE, ==, SEG_UNUSABLE);

        enter_long(f, 0);
        emu_msrs(f->cpu)->star = 0x0023000800000000;
        f->cpu->segs[X86_SS] = (X86Segment){ .attr = SEG_UNUSABLE };
        g_assert_true(RUN(f, 1, 0x48, 0x0f, 0x07));
        g_assert_cmphex(f->cpu->segs[X86_SS].selector, ==, 0x2b);
        g_assert_cmphex(f->cpu->segs[X86_SS].attr, ==, ss_attrs[amd]);
        g_assert_cmpuint(emu_cpl(f->cpu), ==, 3);

        enter_long(f, 0);
        f->cpu->regs[X86_RCX] = HOLE_BEGIN;
        f->cpu->regs[X86_R11] = FLAG_ONE;
        g_assert_cmpint(emu_harness_run(f->h, f->cpu, "\x48\x0f\x07", 3, 1, &f->fault), ==, amd);

        /* 10 bytes, or 6 of the same. */
        enter_long(f, 0);
        f->cpu->regs[X86_RSP] = AT_STACK0 - 16;
        put(f, AT_STACK0 - 16, AT_HANDLER | (amd ? (uint64_t)S_CODE64 << 32 : 0), 8);
        put(f, AT_STACK0 - 8, S_CODE64, 2);
        g_assert_true(emu_harness_run(f->h, f->cpu, far_jump, sizeof(far_jump), 1, &f->fault));
        g_assert_cmphex(f->cpu->rip, ==, AT_HANDLER);

        enter_long(f, 0);
        g_assert_true(emu_harness_run(f->h, f->cpu, near_call, sizeof(near_call), 1, &f->fault));
        g_assert_cmphex(f->cpu->rip, ==, EMU_HARNESS_CODE + (amd ? 4 + 2 : 6 + 0x20002));
        g_assert_cmphex(f->cpu->regs[X86_RSP], ==, sps[amd]);
    }
}

/* What CPUID does not show is not there. */
static void test_absent(Fixture *f, gconstpointer data)
{
    static const struct {
        uint32_t leaf, subleaf;
        unsigned reg, bit;
        uint8_t code[4];
    } rows[] = {
        { 1, 0, 2, 3, { 0x0f, 0x01, 0xc8 } },           /* MONITOR */
        { 1, 0, 2, 3, { 0x0f, 0x01, 0xc9 } },           /* MWAIT */
        { 0xd, 1, 0, 3, { 0x0f, 0xc7, 0x28 } },         /* XSAVES [rax] */
        { 0xd, 1, 0, 3, { 0x0f, 0xc7, 0x18 } },         /* XRSTORS [rax] */
        { 7, 0, 2, 5, { 0x66, 0x0f, 0xae, 0xf1 } },     /* TPAUSE ecx */
        { 0x80000001, 0, 2, 2, { 0x0f, 0x01, 0xd8 } },  /* VMRUN */
        { 1, 0, 2, 5, { 0x0f, 0x01, 0xc4 } },           /* VMXOFF */
    };

    enter_long(f, 0);
    f->cpu->regs[X86_RAX] = 0x40000;
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        uint32_t out[4];

        g_test_message("row %zu", i);
        emu_cpuid(f->cpu, rows[i].leaf, rows[i].subleaf, out);
        g_assert_cmphex(out[rows[i].reg] & BIT(rows[i].bit), ==, 0);
        g_assert_false(emu_harness_run(f->h, f->cpu, rows[i].code, 4, 1, &f->fault));
        g_assert_cmphex(f->fault.vector, ==, X86_UD);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    error_init("test-exec");
    ADD("exec/fetch-fault-alone", test_fetch_fault_alone);
    ADD("exec/delivery-anew", test_delivery_anew);
    ADD("exec/branch-into-hole", test_branch_into_hole);
    ADD("exec/run-into-hole", test_run_into_hole);
    ADD("exec/step-branches", test_step_branches);
    ADD("exec/vendors", test_vendors);
    ADD("exec/absent", test_absent);
    return g_test_run();
}
