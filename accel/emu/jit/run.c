/* SPDX-License-Identifier: Apache-2.0 */
/* Running, linking and forgetting translated code. */
#include "accel/emu/jit/internal.h"

#include <string.h>

#include "util/error.h"

bool emu_jit_supported(void)
{
    return __builtin_cpu_supports("x86-64-v3");
}

EmuJit *emu_jit_new(EmuCpu *cpu, size_t code_bytes, GError **error)
{
    EmuJit *jit = g_new0(EmuJit, 1);

    jit->cpu = cpu;
    if (!jit_code_map(jit, code_bytes, error)) {
        g_free(jit);
        return NULL;
    }
    jit_make_stubs(jit);
    for (unsigned i = 0; i < EMU_TLB_KINDS; i++) {
        jit->jumps[i].used = true;
    }
    cpu->jit = jit;
    emu_jit_flush(cpu);
    return jit;
}

void emu_jit_free(EmuJit *jit)
{
    if (jit) {
        jit_code_unmap(jit);
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
    if (table->used) {
        memset(table->negated, 0, sizeof(table->negated));
        table->negated[0] = ~0ull; /* of linear address 1, which has another index */
        table->used = table->local = false;
    }
}

void emu_jit_forget_linear(EmuCpu *cpu)
{
    for (unsigned i = 0; i < EMU_TLB_KINDS; i++) {
        clear_jumps(&cpu->jit->jumps[i]);
    }
    cpu->jit->taken = NULL;
}

void emu_jit_forget_local(EmuCpu *cpu)
{
    for (unsigned i = 0; i < EMU_TLB_KINDS; i++) {
        if (cpu->jit->jumps[i].local) {
            clear_jumps(&cpu->jit->jumps[i]);
        }
    }
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
    unsigned index = linear & (JIT_JUMPS - 1);

    table->negated[index] = -linear;
    table->code[index] = code;
    table->used = true;
    table->local |= !emu_blocks_all_global(cpu, linear);
}

/* ---- Running ---- */

void emu_jit_run(EmuCpu *cpu, EmuBlock *block)
{
    EmuJit *jit = cpu->jit;
    JitJumpTable *table = current_jumps(cpu);
    JitExit *exit;

    remember_jump(cpu, table, cpu->rip, block->code);
    cpu->jump_table = table;
    jit_flags_to_host(cpu);
    jit->inside = true;
    exit = jit->stubs.enter(cpu, block->code);
    jit->inside = false;
    jit_flags_from_host(cpu);
    cpu->op = NULL;
    cpu->block = NULL;
    jit->taken = exit;
    if (exit) {
        cpu->rip = cpu->regs[EMU_REG_PAGE_RIP] + exit->target;
    }
}

void emu_jit_abandoned(EmuCpu *cpu)
{
    if (cpu->jit && cpu->jit->inside) {
        cpu->jit->inside = false;
        cpu->jit->taken = NULL;
    }
}

void emu_jit_link(EmuCpu *cpu, EmuBlock *next)
{
    JitExit *exit = cpu->jit->taken;
    const JitBlock *info = next->jit;
    uint64_t page = ~(uint64_t)(EMU_PAGE_SIZE - 1);

    cpu->jit->taken = NULL;
    if (!exit || !next->code || !next->valid || !exit->block->valid ||
        exit->block->mode != next->mode || (exit->block->physical & page) != (next->physical & page) ||
        (next->physical & ~page) != exit->target) {
        return;
    }
    jit_patch(exit->jump, exit->backward ? info->checked_entry : info->entry);
}

void emu_jit_retire(EmuCpu *cpu, EmuBlock *block)
{
    const JitBlock *info = block->jit;
    static const uint8_t jmp = 0xe9;

    memcpy(info->entry, &jmp, 1);
    jit_patch(info->entry + 1, info->leave);
    block->code = NULL;
}

void emu_jit_flush(EmuCpu *cpu)
{
    EmuJit *jit = cpu->jit;

    jit->as = (JitAsm) { .at = jit->write + jit->stubs_size, .end = jit->write + jit->size,
                         .delta = jit->run - jit->write };
    jit->data_used = 0;
    jit->overflow = false;
    emu_jit_forget_linear(cpu);
}
