/* SPDX-License-Identifier: Apache-2.0 */
/* The checking mode sees what host code does differently, and nothing where it does the same. */
#include <errno.h>
#include <string.h>

#include "accel/emu/block.h"
#include "accel/emu/check.h"
#include "accel/emu/exec.h"
#include "accel/emu/jit/internal.h"
#include "accel/emu/tests/emu-harness.h"
#include "util/vm-lock.h"

#define DATA 0x100000u
#define ROUNDS 1000u
/* Nothing else in the code has these bytes. */
#define MARK 0x12345678u

/*
 * 8000: MOV EDX, MARK
 * 8005: MOV [DATA], EDX
 * 800C: DEC ECX
 * 800E: JNZ 8000
 * 8010: HLT
 */
static const uint8_t loop[] = {
    0xba, 0x78, 0x56, 0x34, 0x12,
    0x89, 0x14, 0x25, 0x00, 0x00, 0x10, 0x00,
    0xff, 0xc9,
    0x75, 0xf0,
    0xf4,
};

static EmuHarness *begin(EmuCheckMode mode, const uint8_t *code, size_t len)
{
    EmuHarness *harness = emu_harness_new(1, NULL);
    EmuCpu *cpu = harness->cpu;

    emu_check_start(cpu, mode);
    emu_harness_set_mode(cpu, EMU_HARNESS_LONG64);
    memcpy(harness->bytes + EMU_HARNESS_CODE, code, len);
    cpu->rip = EMU_HARNESS_CODE;
    cpu->regs[X86_RCX] = ROUNDS;
    return harness;
}

static void check_counts(const EmuCheckCounts *counts, uint64_t compared)
{
    g_assert_cmpuint(counts->compared, ==, compared);
    g_assert_cmpuint(counts->blocks, ==, 1);
    g_assert_cmpuint(counts->compared + counts->interpreted, ==, ROUNDS - EMU_CHECK_HOT);
    g_assert_cmpuint(counts->races, ==, 0);
}

static void test_equal(void)
{
    EmuHarness *harness = begin(EMU_CHECK_ALL, loop, sizeof(loop));

    g_assert_true(emu_harness_run_to_halt(harness->cpu));
    g_assert_cmphex(ldl_le(harness->bytes + DATA), ==, MARK);
    check_counts(&harness->cpu->check->counts, ROUNDS - EMU_CHECK_HOT);
    emu_harness_free(harness);
}

static void test_sample(void)
{
    EmuHarness *harness = begin(EMU_CHECK_SOME, loop, sizeof(loop));

    g_assert_true(emu_harness_run_to_halt(harness->cpu));
    check_counts(&harness->cpu->check->counts, 64 + (ROUNDS - EMU_CHECK_HOT) / 61 - 1);
    emu_harness_free(harness);
}

/* Between comparisons stores leave entries in the TLB, of which the next must be rid. */
static void test_writable_again(void)
{
    EmuHarness *harness = begin(EMU_CHECK_SOME, loop, sizeof(loop));
    EmuCpu *cpu = harness->cpu;
    const EmuTlbTable *table = &cpu->tlb.kind[cpu->tlb.current].write;

    g_assert_true(emu_harness_run_to_halt(cpu));
    g_assert_true(emu_tlb_hit(table, DATA, 4));
    emu_check_begin_log(cpu);
    g_assert_false(emu_tlb_hit(table, DATA, 4));
    emu_check_end_log(cpu->check);
    emu_harness_free(harness);
}

/* What host code has in MARK's place. */
static uint8_t *find_mark(const JitBlock *info)
{
    uint8_t *found = NULL;

    for (uint8_t *at = info->far_entry; at + 4 <= info->end; at++) {
        if (ldl_le(at) == MARK) {
            g_assert_null(found);
            found = at;
        }
    }
    g_assert_nonnull(found);
    return found;
}

/* Host code that is wrong in one bit does not get past. */
static void check_caught(const uint8_t *code, size_t len)
{
    EmuHarness *harness = begin(EMU_CHECK_SOME, code, len);
    EmuCpu *cpu = harness->cpu;
    EmuBlock *block;

    g_assert_true(emu_harness_run_to_halt(cpu));
    cpu->halted = cpu->vcpu->halted = false;
    cpu->rip = EMU_HARNESS_CODE;
    cpu->regs[X86_RCX] = ROUNDS;
    emu_guest_enter(cpu);
    block = emu_block_lookup(cpu);
    emu_guest_leave(cpu);
    g_assert_nonnull(block->code);
    *find_mark(block->jit) ^= 1;
    vm_unlock(); /* as a vCPU's thread */
    g_assert_cmpint(emu_run(cpu->vcpu), ==, -EIO);
    vm_lock();
    /* What counts is what the interpreter did. */
    g_assert_cmphex(ldl_le(harness->bytes + DATA), ==, MARK);
    g_assert_cmpuint(cpu->regs[X86_RCX], <, ROUNDS);
    emu_harness_free(harness);
}

static void test_register_caught(void)
{
    check_caught(loop, sizeof(loop));
}

static void test_memory_caught(void)
{
    /* MOV DWORD [DATA], MARK; DEC ECX; JNZ; HLT */
    static const uint8_t code[] = {
        0xc7, 0x04, 0x25, 0x00, 0x00, 0x10, 0x00, 0x78, 0x56, 0x34, 0x12,
        0xff, 0xc9,
        0x75, 0xf1,
        0xf4,
    };

    check_caught(code, sizeof(code));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    if (!emu_jit_supported()) {
        g_print("1..0 # SKIP this host's processor is older than x86-64-v3\n");
        return 0;
    }
    g_test_add_func("/emu/check/equal", test_equal);
    g_test_add_func("/emu/check/sample", test_sample);
    g_test_add_func("/emu/check/writable-again", test_writable_again);
    g_test_add_func("/emu/check/register-caught", test_register_caught);
    g_test_add_func("/emu/check/memory-caught", test_memory_caught);
    return g_test_run();
}
