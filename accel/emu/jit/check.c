/* SPDX-License-Identifier: Apache-2.0 */
/* Running a block twice and comparing. */
#include "accel/emu/jit/check.h"

#include <string.h>

#include "accel/emu/flags.h"
#include "accel/vm-events.h"
#include "util/error.h"

/* Devices may write what a block reads while it runs; not every time. */
#define TRIES 3
/* Of a block's runs the first ones are compared, and then one in so many. */
#define FIRST_RUNS 64
#define RUNS_A_SAMPLE 61

static void save_state(const EmuCpu *cpu, JitState *state)
{
    memcpy(state->regs, cpu->regs, sizeof(state->regs));
    state->rip = cpu->rip;
    state->rflags = emu_rflags(cpu);
    state->flag_result = cpu->flag_result;
    state->flag_carry = cpu->flag_carry;
    state->mode = cpu->mode;
    state->mxcsr = cpu->mxcsr;
    state->shadow = cpu->shadow;
    state->halted = cpu->halted;
    state->fpu = cpu->fpu;
    memcpy(state->segs, cpu->segs, sizeof(state->segs));
    memcpy(state->vec, cpu->vec, sizeof(state->vec));
}

static void load_state(EmuCpu *cpu, const JitState *state)
{
    memcpy(cpu->regs, state->regs, sizeof(state->regs));
    cpu->rip = state->rip;
    cpu->rflags = state->rflags & ~(uint64_t)FLAG_ARITH;
    cpu->flag_result = state->flag_result;
    cpu->flag_carry = state->flag_carry;
    cpu->mode = state->mode;
    cpu->mxcsr = state->mxcsr;
    cpu->shadow = state->shadow;
    cpu->halted = state->halted;
    cpu->fpu = state->fpu;
    memcpy(cpu->segs, state->segs, sizeof(state->segs));
    memcpy(cpu->vec, state->vec, sizeof(state->vec));
}

static void interpret(EmuCpu *cpu, EmuBlock *block)
{
    cpu->block = block;
    cpu->op = block->ops;
    block->ops[0].fn(cpu, block->ops);
    cpu->op = NULL;
    cpu->block = NULL;
}

/* From `before`, on shadows; what is raised stays here. */
static void run_on_shadows(EmuCpu *cpu, EmuBlock *block, const JitState *before, bool host_code,
                           JitOutcome *outcome)
{
    sigjmp_buf escape;

    memcpy(&escape, &cpu->escape, sizeof(escape));
    load_state(cpu, before);
    outcome->escaped = sigsetjmp(cpu->escape, 0);
    if (outcome->escaped) {
        emu_jit_abandoned(cpu);
        cpu->op = NULL;
        cpu->block = NULL;
    } else if (host_code) {
        emu_jit_run_alone(cpu, block, cpu->check->empty_jumps);
    } else {
        interpret(cpu, block);
    }
    memcpy(&cpu->escape, &escape, sizeof(escape));
    save_state(cpu, &outcome->state);
    outcome->fault = cpu->fault;
    outcome->stray = cpu->check->stray;
    outcome->stray_linear = cpu->check->stray_linear;
}

/*
 * Both ways once more, on shadows: what another thread wrote meanwhile makes no difference that
 * lasts, nor does a page that is mapped twice.
 */
static bool differs_again(EmuCpu *cpu, EmuBlock *block, bool inlined, const JitState *before,
                          JitState *expected, JitOutcome *outcome)
{
    emu_check_begin_shadow(cpu, false, true);
    run_on_shadows(cpu, block, before, false, outcome);
    emu_check_end_shadow(cpu, true);
    if (outcome->escaped) {
        return false; /* not the way it went at first */
    }
    *expected = outcome->state;
    emu_check_expect_shadow(cpu->check);
    emu_check_begin_shadow(cpu, inlined, true);
    run_on_shadows(cpu, block, before, true, outcome);
    emu_check_end_shadow(cpu, true);
    return jit_check_differs(cpu, block, expected, outcome, NULL);
}

static void fail(EmuCpu *cpu, const EmuBlock *block, const JitState *before,
                 const JitState *expected, const JitOutcome *outcome)
{
    g_autofree char *story = jit_check_story(cpu, block, before, expected, outcome);

    error_report("%s", story);
    cpu->check->failed = true;
}

/* Host code, after the interpreter has run the block from `before` to `expected`. */
static void compare(EmuCpu *cpu, EmuBlock *block, const JitState *before, JitState *expected)
{
    EmuCheck *check = cpu->check;
    bool inlined = check->counts.compared & 1; /* in turn: stores that hit, and that miss */
    JitOutcome outcome;
    bool differs;

    emu_check_begin_shadow(cpu, inlined, false);
    run_on_shadows(cpu, block, before, true, &outcome);
    emu_check_end_shadow(cpu, false);
    check->counts.compared++;
    differs = jit_check_differs(cpu, block, expected, &outcome, NULL);
    for (unsigned i = 0; differs && i < TRIES; i++) {
        JitState again;

        differs = differs_again(cpu, block, inlined, before, &again, &outcome);
        if (!differs) {
            check->counts.races++;
        } else if (i + 1 == TRIES) {
            fail(cpu, block, before, &again, &outcome);
        }
    }
}

/* Shall this run of a block be compared? Counts it if not. */
static bool worth_comparing(EmuCheck *check, JitBlock *info)
{
    if (!info->repeatable) {
        check->counts.skipped++;
        return false;
    }
    check->counts.blocks += !info->check_runs;
    if (info->check_runs++ >= FIRST_RUNS && !check->all && info->check_runs % RUNS_A_SAMPLE) {
        check->counts.interpreted++;
        return false;
    }
    return true;
}

void emu_check_run(EmuCpu *cpu, EmuBlock *block)
{
    EmuCheck *check = cpu->check;
    JitState before, expected;

    if (!worth_comparing(check, block->jit)) {
        interpret(cpu, block);
        return;
    }
    save_state(cpu, &before);
    emu_check_begin_log(cpu);
    interpret(cpu, block);
    emu_check_end_log(check);
    if (check->io || !block->valid || cpu->shadow || cpu->halted || cpu->mode != before.mode) {
        check->counts.skipped++;
        return;
    }
    save_state(cpu, &expected);
    compare(cpu, block, &before, &expected);
    load_state(cpu, &expected);
    if (check->failed) {
        vm_report_internal_error();
        emu_escape(cpu, EMU_EXIT_LEAVE);
    }
}

void emu_check_abandoned(EmuCpu *cpu)
{
    if (cpu->check->phase == EMU_CHECK_LOG) {
        cpu->check->phase = EMU_CHECK_OFF;
        cpu->check->counts.skipped++;
    }
}

void emu_check_start(EmuCpu *cpu, EmuCheckMode mode)
{
    JitJumpTable *jumps = g_new0(JitJumpTable, 1);

    jumps->negated[0] = JIT_NO_JUMP;
    cpu->check = emu_check_new(mode);
    cpu->check->empty_jumps = jumps;
    cpu->jit_hot = EMU_CHECK_HOT;
}
