/* SPDX-License-Identifier: Apache-2.0 */
/* Running, linking and forgetting translated code. */
#include "accel/emu/jit/internal.h"

#include <string.h>

#include "accel/emu/exec.h"
#include "util/error.h"

bool emu_jit_supported(void)
{
    return __builtin_cpu_supports("x86-64-v3");
}

EmuJit *emu_jit_new(EmuCpu *cpu, size_t code_bytes, GError **error)
{
    EmuJit *jit = g_new0(EmuJit, 1);

    g_assert((uintptr_t)cpu % 64 == 0); /* JIT_BIAS */
    jit->cpu = cpu;
    cpu->jit_page_mask = (uint64_t)(EMU_TLB_SIZE - 1) << EMU_PAGE_BITS;
    if (!jit_code_map(jit, code_bytes, error)) {
        g_free(jit);
        return NULL;
    }
    jit->slow_pext = __builtin_cpu_is("znver1") || __builtin_cpu_is("znver2");
    jit_make_stubs(jit);
    jit->crossing = g_ptr_array_new();
    cpu->jit = jit;
    emu_jit_flush(cpu);
    return jit;
}

void emu_jit_free(EmuJit *jit)
{
    if (jit) {
        jit_code_unmap(jit);
        g_ptr_array_unref(jit->crossing);
        g_free(jit);
    }
}

size_t emu_jit_bytes_used(const EmuJit *jit)
{
    return jit->as.at - jit->write + jit->data_used;
}

bool emu_jit_full(const EmuCpu *cpu)
{
    return cpu->jit->overflow;
}

/* ---- The jump table ---- */

static void clear_jumps(JitJumpTable *table)
{
    for (unsigned word = 0; word < G_N_ELEMENTS(table->used); word++) {
        for (; table->used[word]; table->used[word] &= table->used[word] - 1) {
            unsigned group = word * 64 + __builtin_ctzll(table->used[word]);

            memset(&table->negated[group * 64], 0, 64 * sizeof(table->negated[0]));
        }
    }
    table->negated[0] = JIT_NO_JUMP;
    table->local = false;
}

/* Frames lead back to where a linear address led when it was called from. */
void emu_jit_forget_returns(EmuCpu *cpu)
{
    cpu->returns = cpu->returns_base;
}

void emu_jit_forget_linear(EmuCpu *cpu)
{
    GPtrArray *crossing = cpu->jit->crossing;

    for (unsigned i = 0; i < crossing->len; i++) {
        const JitExit *exit = g_ptr_array_index(crossing, i);

        jit_patch(exit->jump, exit->leave);
    }
    g_ptr_array_set_size(crossing, 0);
    for (unsigned i = 0; i < EMU_TLB_KINDS; i++) {
        clear_jumps(&cpu->jit->jumps[i]);
    }
    emu_jit_forget_returns(cpu);
    cpu->jit->taken = NULL;
}

void emu_jit_forget_local(EmuCpu *cpu)
{
    for (unsigned i = 0; i < EMU_TLB_KINDS; i++) {
        if (cpu->jit->jumps[i].local) {
            clear_jumps(&cpu->jit->jumps[i]);
        }
    }
    emu_jit_forget_returns(cpu);
    cpu->jit->taken = NULL;
}

/* The table of the current mode; emptied if it was filled in another. */
static JitJumpTable *current_jumps(EmuCpu *cpu)
{
    JitJumpTable *table = &cpu->jit->jumps[cpu->tlb.current];

    if (table->mode != cpu->mode) {
        clear_jumps(table);
        table->mode = cpu->mode;
    }
    return table;
}

static void remember_jump(EmuCpu *cpu, JitJumpTable *table, uint64_t linear, const void *code)
{
    unsigned index = jit_jump_index(linear);

    table->negated[index] = -linear;
    table->code[index] = code;
    table->used[index / 64 / 64] |= BIT_ULL(index / 64 % 64);
    table->local |= !emu_blocks_all_global(cpu, linear);
}

/* ---- Running ---- */

/* Is it for the run loop to say what comes next? */
static bool wants_run_loop(const EmuCpu *cpu)
{
    return __atomic_load_n(&cpu->attention, __ATOMIC_RELAXED) || cpu->shadow || cpu->halted ||
           (cpu->mode & EMU_MODE_STEP);
}

/* An instruction in two pages is decoded anew each time: without leaving for it. */
static void run_scratch(EmuCpu *cpu, EmuBlock *block)
{
    cpu->jit->flags_in_host = false;
    jit_flags_from_host(cpu);
    cpu->block = block;
    cpu->op = block->ops;
    block->ops[0].fn(cpu, block->ops);
    cpu->op = NULL;
    cpu->block = NULL;
    jit_flags_to_host(cpu);
    cpu->jit->flags_in_host = true;
    if (emu_lines_deliverable(cpu)) {
        emu_set_attention(cpu);
    }
}

const void *jit_find_code(EmuCpu *cpu)
{
    while (!cpu->check && !wants_run_loop(cpu)) {
        JitJumpTable *table = current_jumps(cpu);
        unsigned index = jit_jump_index(cpu->rip);
        EmuBlock *block;

        cpu->jump_table = table;
        if (table->negated[index] == -cpu->rip) {
            return table->code[index];
        }
        cpu->stats.jump_misses++;
        block = emu_block_lookup(cpu);
        if (block->code) {
            remember_jump(cpu, table, cpu->rip, block->code);
            return block->code;
        }
        if (block->valid) {
            break;
        }
        run_scratch(cpu, block);
    }
    return cpu->jit->stubs.leave;
}

static JitExit *run_code(EmuCpu *cpu, const void *code, const JitJumpTable *table)
{
    EmuJit *jit = cpu->jit;
    JitExit *exit;

    cpu->jump_table = table;
    cpu->stats.entries++;
    jit_flags_to_host(cpu);
    jit->inside = true;
    exit = jit->stubs.enter(cpu, code);
    jit->inside = false;
    jit_flags_from_host(cpu);
    cpu->op = NULL;
    cpu->block = NULL;
    if (exit) {
        cpu->rip = emu_mask_ip(cpu, cpu->regs[EMU_REG_PAGE_RIP] + (int64_t)exit->target);
    }
    return exit;
}

void emu_jit_run(EmuCpu *cpu, EmuBlock *block)
{
    JitJumpTable *table = current_jumps(cpu);

    remember_jump(cpu, table, cpu->rip, block->code);
    cpu->jit->taken = run_code(cpu, block->code, table);
    cpu->jit->taken_rip = cpu->rip;
}

void emu_jit_run_alone(EmuCpu *cpu, EmuBlock *block, const JitJumpTable *jumps)
{
    const JitBlock *info = block->jit;

    run_code(cpu, jit_run_address(&cpu->jit->as, info->entry), jumps);
}

void emu_jit_abandoned(EmuCpu *cpu)
{
    if (cpu->jit && cpu->jit->inside) {
        cpu->jit->inside = false;
        cpu->jit->taken = NULL;
        if (cpu->jit->flags_in_host) {
            cpu->jit->flags_in_host = false;
            jit_flags_from_host(cpu);
        }
    }
}

static void link_crossing(EmuCpu *cpu, JitExit *exit, const EmuBlock *next)
{
    const JitBlock *info = next->jit;

    /*
     * Both in the upper part of the address space, where blocks belong to one linear address, as
     * long as only global pages were met in it.
     */
    if (emu_is_upper(cpu->mode, exit->block->own_page) && emu_is_upper(cpu->mode, cpu->rip) &&
        emu_blocks_all_global(cpu, cpu->rip)) {
        jit_patch(exit->jump, info->far_entry);
        cpu->stats.links++;
        g_ptr_array_add(cpu->jit->crossing, exit);
    } else {
        jit_patch(exit->jump, (const uint8_t *)cpu->jit->stubs.dispatch - cpu->jit->as.delta);
    }
}

void emu_jit_link(EmuCpu *cpu, EmuBlock *next)
{
    JitExit *exit = cpu->jit->taken;
    const JitBlock *info = next->jit;
    uint64_t page = ~(uint64_t)(EMU_PAGE_SIZE - 1);

    cpu->jit->taken = NULL;
    if (!exit || !next->code || !next->valid || !exit->block->valid ||
        exit->block->mode != next->mode || cpu->rip != cpu->jit->taken_rip) {
        return;
    }
    if (exit->crosses) {
        link_crossing(cpu, exit, next);
    } else if ((exit->block->physical & page) == (next->physical & page) &&
               (next->physical & ~page) == (uint64_t)exit->target) {
        jit_patch(exit->jump, exit->backward ? info->checked_entry : info->entry);
        cpu->stats.links++;
    }
}

static EmuBlock **retired_at(EmuJit *jit, const EmuBlock *block)
{
    return &jit->retired[(block->physical ^ block->physical >> 10) % JIT_RETIRED];
}

void emu_jit_retire(EmuCpu *cpu, EmuBlock *block)
{
    const JitBlock *info = block->jit;
    static const uint8_t jmp = 0xe9;

    memcpy(info->entry, &jmp, 1);
    jit_patch(info->entry + 1, info->leave);
    block->code = NULL;
    *retired_at(cpu->jit, block) = block;
}

void jit_renew(EmuJit *jit, const EmuBlock *block)
{
    EmuBlock **at = retired_at(jit, block), *old = *at;

    if (old == block) {
        *at = NULL; /* it retired to be translated in another way, and knows its old code */
    } else if (old && old->physical == block->physical && old->mode == block->mode &&
        old->own_page == block->own_page) {
        const JitBlock *from = old->jit, *to = block->jit;

        jit_patch(from->entry + 1, to->entry);
        *at = NULL;
    }
}

void emu_jit_flush(EmuCpu *cpu)
{
    EmuJit *jit = cpu->jit;

    emu_jit_forget_linear(cpu);
    jit->as = (JitAsm) { .at = jit->write + jit->stubs_size, .end = jit->write + jit->size,
                         .delta = jit->run - jit->write };
    jit->data_used = 0;
    memset(jit->retired, 0, sizeof(jit->retired));
    jit->overflow = false;
}
