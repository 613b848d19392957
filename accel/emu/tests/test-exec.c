/* SPDX-License-Identifier: Apache-2.0 */
/* The run loop: what is left behind when an instruction ends otherwise than it began. */
#include "accel/emu/block.h"
#include "accel/emu/exec.h"
#include "accel/emu/system.h"
#include "accel/emu/tests/emu-tables.h"
#include "util/error.h"

#define UNMAPPED 0x10000000u

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

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    error_init("test-exec");
    ADD("exec/fetch-fault-alone", test_fetch_fault_alone);
    ADD("exec/delivery-anew", test_delivery_anew);
    return g_test_run();
}
