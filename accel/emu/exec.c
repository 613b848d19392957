/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The run loop of a vCPU: find a block, run it, follow links while nothing wants attention; deliver
 * what was raised; take interrupts at block boundaries.
 */
#include "accel/emu/exec.h"

#include <errno.h>

#include "accel/emu/block.h"
#include "accel/emu/check.h"
#include "accel/emu/jit/jit.h"
#include "accel/emu/mem.h"
#include "accel/emu/system-internal.h"
#include "accel/vm-events.h"
#include "util/log.h"
#include "util/vm-lock.h"

/* ---- Leaving a handler ---- */

/* The instruction begins anew, and what it was delivering (INT n) with it. */
void emu_escape(EmuCpu *cpu, EmuExit how)
{
    emu_delivery_ends(cpu);
    cpu->in_pieces = false;
    siglongjmp(cpu->escape, how);
}

static G_NORETURN void raise_fault(EmuCpu *cpu, const EmuFault *fault)
{
    cpu->fault = *fault;
    siglongjmp(cpu->escape, EMU_EXIT_FAULT);
}

void emu_raise(EmuCpu *cpu, unsigned vector, uint32_t error)
{
    raise_fault(cpu, &(EmuFault) { .vector = vector, .has_error = true, .error = error });
}

void emu_raise_plain(EmuCpu *cpu, unsigned vector)
{
    raise_fault(cpu, &(EmuFault) { .vector = vector });
}

/* The running instruction begins anew, or never was: RIP is its first byte's again. */
static void settle_rip(EmuCpu *cpu)
{
    if (cpu->op) {
        cpu->rip = emu_mask_ip(cpu, emu_op_rip(cpu, cpu->op));
        cpu->op = NULL;
    }
    cpu->block = NULL;
}

/* ---- Boundaries ---- */

bool emu_lines_deliverable(const EmuCpu *cpu)
{
    uint32_t lines = __atomic_load_n(&cpu->vcpu->irq_lines, __ATOMIC_RELAXED);

    if (lines & (VCPU_IRQ_HARD | VCPU_IRQ_EXTINT) && !(cpu->rflags & FLAG_IF)) {
        lines &= ~(uint32_t)(VCPU_IRQ_HARD | VCPU_IRQ_EXTINT);
    }
    return lines != 0;
}

/* False: vcpu_run must return. */
static bool serve_attention(EmuCpu *cpu)
{
    __atomic_store_n(&cpu->attention, 0, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&cpu->vcpu->exit_request, __ATOMIC_SEQ_CST)) {
        emu_set_attention(cpu); /* requests are served by the next run */
        return false;
    }
    if (__atomic_load_n(&cpu->requests, __ATOMIC_SEQ_CST)) {
        emu_serve_requests(cpu);
    }
    return true;
}

/*
 * Everything that may happen between two instructions. With an interrupt shadow only the next
 * instruction runs before this is asked again. False: vcpu_run must return.
 */
static bool boundary(EmuCpu *cpu)
{
    if (__atomic_load_n(&cpu->attention, __ATOMIC_SEQ_CST) && !serve_attention(cpu)) {
        return false;
    }
    if (!cpu->shadow && emu_lines_deliverable(cpu)) {
        if (EMU_UNLIKELY(cpu->vcpu->debug.single_step)) {
            emu_debug_hold_interrupts(cpu);
        } else {
            emu_take_interrupts(cpu);
        }
    }
    return !cpu->halted && !cpu->triple_fault;
}

/* ---- Running ---- */

static void run_block(EmuCpu *cpu, EmuBlock *block)
{
    cpu->block = block;
    cpu->op = block->ops;
    block->runs++;
    block->ops[0].fn(cpu, block->ops);
    cpu->op = NULL;
    cpu->block = NULL;
}

static bool is_hot(const EmuCpu *cpu, const EmuBlock *block)
{
    return cpu->jit && !block->code && !block->no_code && block->runs >= cpu->jit_hot;
}

/* The block at cpu->rip, translated if it is hot. */
static EmuBlock *find_block(EmuCpu *cpu)
{
    EmuBlock *block = emu_block_lookup(cpu);

    if (is_hot(cpu, block) && block->valid) {
        block = emu_block_extend(cpu, block);
        if (!emu_jit_translate(cpu, block) && emu_jit_full(cpu)) {
            emu_blocks_flush(cpu);
            block = emu_block_lookup(cpu);
        }
    }
    return block;
}

/* After `block` was interpreted: its successor, by link if the page of both is still there. */
static EmuBlock *next_block(EmuCpu *cpu, EmuBlock *block, uint64_t fallthrough,
                            unsigned flushes)
{
    uint64_t page_rip = cpu->regs[EMU_REG_PAGE_RIP];
    EmuBlock **link = &block->next[cpu->rip != fallthrough], *next = *link;

    if (flushes == emu_blocks_flushes(cpu) && next && next->valid && next->mode == cpu->mode &&
        !is_hot(cpu, next) &&
        cpu->rip - page_rip == (next->physical & (EMU_PAGE_SIZE - 1)) &&
        emu_block_within_limit(cpu, next)) {
        return next;
    }
    next = find_block(cpu);
    /* A flush may have given the block's memory away. */
    if (flushes == emu_blocks_flushes(cpu) && block->valid && next->valid &&
        cpu->regs[EMU_REG_PAGE_RIP] == page_rip &&
        block->physical / EMU_PAGE_SIZE == next->physical / EMU_PAGE_SIZE) {
        *link = next;
    }
    return next;
}

/* Run blocks until something wants attention or the mode allows single instructions only. */
static void run_linked(EmuCpu *cpu)
{
    EmuBlock *block = find_block(cpu);

    for (;;) {
        bool translated = block->code;
        unsigned flushes = emu_blocks_flushes(cpu);
        uint64_t fallthrough = cpu->regs[EMU_REG_PAGE_RIP] +
                               block->ops[block->op_count].page_offset;

        if (translated && !cpu->check) {
            emu_jit_run(cpu, block);
        } else if (translated) {
            emu_check_run(cpu, block);
        } else {
            run_block(cpu, block);
        }
        if (__atomic_load_n(&cpu->attention, __ATOMIC_RELAXED) || cpu->shadow || cpu->halted ||
            (cpu->mode & EMU_MODE_STEP) || emu_lines_deliverable(cpu)) {
            return;
        }
        if (translated) {
            block = find_block(cpu);
            emu_jit_link(cpu, block);
        } else {
            block = next_block(cpu, block, fallthrough, flushes);
        }
    }
}

/* One instruction, as a block of its own: in an interrupt shadow, for TF and for debuggers. */
static void run_single(EmuCpu *cpu)
{
    EmuBlock *block = emu_block_lookup_single(cpu);
    bool repeats = block->ops[0].flags & (EMU_OP_REP | EMU_OP_REPNE);
    uint64_t next = emu_next_rip(cpu, &block->ops[0]);

    cpu->shadow = 0;
    run_block(cpu, block);
    cpu->sys->branched = !repeats && cpu->rip != next;
    if (cpu->step_once) {
        cpu->step_once = false;
        emu_update_mode(cpu);
    }
}

/*
 * In an interrupt shadow while nothing waits for its end: what comes from now on may as well have
 * come after the block. Interpreted, since translated code may leave before its first instruction.
 */
static void run_shadowed(EmuCpu *cpu)
{
    EmuBlock *block = emu_block_lookup(cpu);

    cpu->shadow = 0;
    run_block(cpu, block);
}

static void run_guest(EmuCpu *cpu)
{
    while (boundary(cpu)) {
        if (cpu->mode & EMU_MODE_STEP || (cpu->shadow && emu_irq_lines(cpu))) {
            emu_debug_before(cpu);
            run_single(cpu);
            emu_debug_after(cpu);
        } else if (cpu->shadow) {
            run_shadowed(cpu);
        } else {
            run_linked(cpu);
        }
    }
}

static void shut_down(EmuCpu *cpu)
{
    VM_LOCK_GUARD();

    log_printf(LOG_CPU_RESET, "CPU %u: triple fault\n", cpu->vcpu->index);
    cpu->vcpu->stop_requested = true;
    vm_request_reset(VM_CAUSE_GUEST_RESET);
}

int emu_run(VCpu *vcpu)
{
    EmuCpu *cpu = emu_cpu(vcpu);
    int how;

    emu_guest_enter(cpu);
    how = sigsetjmp(cpu->escape, 0);
    if (how) {
        emu_jit_abandoned(cpu);
        if (cpu->check) {
            emu_check_abandoned(cpu);
        }
        settle_rip(cpu);
    }
    if (how == EMU_EXIT_FAULT && !emu_debug_trap_first(cpu)) {
        emu_deliver_fault(cpu);
        emu_debug_delivered(cpu);
    }
    if (how != EMU_EXIT_LEAVE) {
        run_guest(cpu);
    }
    emu_guest_leave(cpu);
    if (cpu->triple_fault) {
        cpu->triple_fault = false;
        shut_down(cpu);
    }
    if (cpu->check && cpu->check->failed) {
        cpu->check->failed = false;
        return -EIO;
    }
    return 0;
}
