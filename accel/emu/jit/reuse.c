/* SPDX-License-Identifier: Apache-2.0 */
/* Behind an access that its handler did: do the slots still say the truth (memory.c)? */
#include <x86intrin.h>

#include "accel/emu/exec.h"
#include "accel/emu/jit/internal.h"

/*
 * A block that often comes to its end by the interpreter, as its accesses lie across pages or in
 * pages that no TLB entry is for, is translated again without slots.
 */
#define FAILURES 64
#define FAILURE_CYCLES 1000 /* on average from one to the next, or less */

static bool slot_holds(EmuCpu *cpu, unsigned n, const JitReuseSlot *slot)
{
    const EmuTlbTables *tables = &cpu->tlb.kind[cpu->tlb.current];
    uint64_t linear = cpu->jit_slot_linear[n];
    const void *host = emu_tlb_look_up(slot->write ? &tables->write : &tables->read, linear,
                                       slot->size);

    cpu->jit_slots[n] = (uintptr_t)host - (slot->host ? 0 : linear);
    return host;
}

static void count_failure(EmuCpu *cpu, EmuBlock *block)
{
    JitBlock *info = block->jit;
    uint64_t now = __rdtsc();

    if (cpu->check || info->plain || !block->code) {
        return;
    }
    if (info->failures % FAILURES == 0) {
        info->failures_since = now;
    }
    if (++info->failures % FAILURES == 0 &&
        now - info->failures_since < FAILURES * FAILURE_CYCLES) {
        info->plain = true;
        emu_jit_retire(cpu, block);
    }
}

const void *jit_do_callout_reuse(EmuCpu *cpu, JitCallout *callout)
{
    const JitReuse *reuse = callout->reuse;
    EmuBlock *block = callout->block;
    bool hold = true;

    jit_do_callout(cpu, callout);
    for (unsigned i = 0; i < JIT_SLOTS && hold; i++) {
        hold = !reuse->slots[i].size || slot_holds(cpu, i, &reuse->slots[i]);
    }
    if (hold) {
        return reuse->back;
    }
    jit_flags_from_host(cpu);
    cpu->op = &block->ops[reuse->next_op];
    cpu->op->fn(cpu, cpu->op);
    jit_flags_to_host(cpu);
    if (emu_lines_deliverable(cpu)) {
        emu_set_attention(cpu);
    }
    count_failure(cpu, block);
    return jit_find_next(cpu);
}
