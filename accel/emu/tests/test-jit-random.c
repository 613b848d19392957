/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random blocks, interpreted and translated: registers, flags, vectors, memory and what is raised
 * must be the same.
 */
#include <string.h>

#include "accel/emu/block.h"
#include "accel/emu/decode.h"
#include "accel/emu/exec.h"
#include "accel/emu/flags.h"
#include "accel/emu/jit/internal.h"
#include "accel/emu/system.h"
#include "accel/emu/tests/emu-harness.h"
#include "accel/emu/tests/jit-code.h"

/* Physical and linear addresses of what the code sees; nothing else is mapped. */
#define AREA 0x100000u
#define AREA_PAGES 24u
#define AREA_SIZE (AREA_PAGES * EMU_PAGE_SIZE)
#define LINEAR 0x40000000u
#define TABLES 0x700000u
/* Pages of the area. */
#define CODE_PAGE 8u
#define MISSING_PAGE 14u
#define READ_ONLY_PAGE 16u

#define BLOCKS 12000
#define SEED 20240607u

/* All that a block may change. */
typedef struct Result {
    uint64_t regs[16], rip;
    uint32_t flags, mxcsr;
    uint64_t rflags, cr2;
    EmuVec vec[16];
    EmuFpu fpu;
    bool done;
    EmuFault fault;
    uint32_t gs_limit;   /* counts in 32-bit code only */
    uint8_t area[AREA_SIZE];
} Result;

typedef struct Test {
    bool narrow;         /* 32-bit code */
    EmuHarness *harness;
    EmuCpu *cpu;
    GRand *rand;
    uint8_t code[EMU_PAGE_SIZE];
    unsigned code_len, code_offset;
    Result before, interpreted, translated;
    bool translate, was_translated;
    unsigned compared;
    JitJumpTable no_jumps;
} Test;

static void set_entry(uint64_t address, unsigned index, uint64_t entry)
{
    address_space_write(address_space_memory(), address + index * 8, &entry, sizeof(entry));
}

static void map_area(EmuCpu *cpu)
{
    uint64_t pdpt = TABLES + EMU_PAGE_SIZE, pd = pdpt + EMU_PAGE_SIZE, pt = pd + EMU_PAGE_SIZE;

    set_entry(TABLES, 0, pdpt | 7);
    set_entry(pdpt, LINEAR >> 30, pd | 7);
    set_entry(pd, 0, pt | 7);
    for (unsigned i = 0; i < AREA_PAGES; i++) {
        set_entry(pt, i, (AREA + i * EMU_PAGE_SIZE) | 4 |
                         (i == READ_ONLY_PAGE ? 1 : i == MISSING_PAGE ? 0 : 3));
    }
    cpu->cr3 = TABLES;
    emu_tlb_flush_all(cpu);
}

static uint64_t random64(Test *test)
{
    return (uint64_t)g_rand_int(test->rand) << 32 | g_rand_int(test->rand);
}

/* ---- State ---- */

static void make_random_state(Test *test)
{
    static const uint8_t pointers[] = { X86_RBX, X86_R14, X86_RBP, X86_RSP, X86_R10, X86_RSI,
                                        X86_R15, X86_R13, X86_RDI };
    Result *state = &test->before;

    for (unsigned i = 0; i < 16; i++) {
        state->regs[i] = g_rand_int(test->rand) & 1 ? random64(test) : g_rand_int(test->rand) & 255;
        for (unsigned j = 0; j < 4; j++) {
            state->vec[i].u64[j] = random64(test);
        }
        if (g_rand_int(test->rand) & 1) {
            /* Plausible numbers, too. */
            state->vec[i].f64[0] = g_rand_int_range(test->rand, -1000, 1000) / 8.0;
            state->vec[i].f32[2] = g_rand_int_range(test->rand, -1000, 1000) / 4.0f;
        }
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(pointers); i++) {
        state->regs[pointers[i]] = LINEAR + g_rand_int_range(test->rand, 0, AREA_SIZE);
        if (g_rand_int(test->rand) % 4 == 0) {
            /* Close to a page's border. */
            state->regs[pointers[i]] = (state->regs[pointers[i]] & -(uint64_t)EMU_PAGE_SIZE) +
                                       g_rand_int_range(test->rand, -150, 150);
        }
    }
    state->regs[X86_RSP] &= ~7ull;
    state->flags = random64(test) & FLAG_ARITH;
    state->rflags = FLAG_ONE;
    state->mxcsr = 0x1f80 | (random64(test) & 0xe03f);
    state->rip = LINEAR + CODE_PAGE * EMU_PAGE_SIZE + test->code_offset;
    state->fpu = (EmuFpu) { .fcw = 0x37f };
    state->gs_limit = g_rand_int(test->rand) & 1 ? UINT32_MAX : LINEAR + AREA_SIZE / 2;
    for (unsigned i = 0; i < AREA_SIZE; i += 8) {
        uint64_t value = random64(test);

        memcpy(state->area + i, &value, sizeof(value));
    }
    memcpy(state->area + CODE_PAGE * EMU_PAGE_SIZE + test->code_offset, test->code,
           test->code_len);
}

static void load_state(Test *test, const Result *state)
{
    EmuCpu *cpu = test->cpu;

    address_space_write(address_space_memory(), AREA, state->area, AREA_SIZE);
    memcpy(cpu->regs, state->regs, sizeof(state->regs));
    cpu->rip = state->rip;
    cpu->rflags = state->rflags;
    emu_flags_set(cpu, state->flags);
    cpu->mxcsr = state->mxcsr;
    cpu->cr2 = 0;
    memcpy(cpu->vec, state->vec, sizeof(state->vec));
    cpu->fpu = state->fpu;
    cpu->shadow = 0;
    cpu->step_once = false;
    cpu->segs[X86_FS].base = 0x1000;
    cpu->segs[X86_GS].base = test->narrow ? -0x800u : -0x800ull;
    cpu->segs[X86_GS].limit = state->gs_limit;
    emu_update_mode(cpu);
    emu_serve_requests(cpu);
    cpu->attention = 0;
}

static void save_state(Test *test, Result *state)
{
    const EmuCpu *cpu = test->cpu;

    memcpy(state->regs, cpu->regs, sizeof(state->regs));
    state->rip = cpu->rip;
    state->rflags = cpu->rflags;
    state->flags = emu_flags_get(cpu);
    state->mxcsr = cpu->mxcsr;
    state->cr2 = cpu->cr2;
    memcpy(state->vec, cpu->vec, sizeof(state->vec));
    state->fpu = cpu->fpu;
    memcpy(state->area, test->harness->bytes + AREA, AREA_SIZE);
}

/* ---- Running ---- */

static void run_block(EmuCpu *cpu, void *opaque)
{
    Test *test = opaque;
    EmuBlock *block = emu_block_extend(cpu, emu_block_lookup(cpu));

    test->was_translated = test->translate && emu_jit_translate(cpu, block);
    if (test->translate && emu_jit_full(cpu)) {
        emu_blocks_flush(cpu);
        block = emu_block_extend(cpu, emu_block_lookup(cpu));
        test->was_translated = emu_jit_translate(cpu, block);
    }
    if (test->was_translated) {
        emu_set_attention(cpu); /* nothing behind this block */
        emu_jit_run_alone(cpu, block, &test->no_jumps);
        return;
    }
    cpu->block = block;
    cpu->op = block->ops;
    block->ops[0].fn(cpu, block->ops);
    cpu->op = NULL;
    cpu->block = NULL;
}

static void run(Test *test, bool translate, Result *result)
{
    memset(&result->fault, 0, sizeof(result->fault));
    load_state(test, &test->before);
    if (g_rand_int(test->rand) % 4 == 0) {
        emu_tlb_flush_all(test->cpu);
    }
    test->translate = translate;
    result->done = emu_harness_try(test->cpu, run_block, test, &result->fault);
    emu_jit_abandoned(test->cpu);
    save_state(test, result);
}

static void make_code(Test *test)
{
    JitCode code = { .rand = test->rand, .at = test->code,
                     .near = g_rand_int(test->rand) & 1, .narrow = test->narrow,
                     .area = LINEAR };
    unsigned count = g_rand_int_range(test->rand, 1, 12);

    for (unsigned i = 0; i < count; i++) {
        jit_code_plain(&code);
        if (g_rand_int(test->rand) % 8 == 0) {
            jit_code_fork(&code);
        }
    }
    jit_code_branch(&code);
    *code.at++ = 0x0f; /* UD2, where a JCC goes on */
    *code.at++ = 0x0b;
    test->code_len = code.at - test->code;
    test->code_offset = g_rand_int_range(test->rand, 0, EMU_PAGE_SIZE - test->code_len);
}

static bool same(const Result *a, const Result *b)
{
    bool regs = !memcmp(a->regs, b->regs, sizeof(a->regs)) && a->rip == b->rip;
    bool flags = a->flags == b->flags && a->mxcsr == b->mxcsr && a->rflags == b->rflags;
    bool rest = !memcmp(a->vec, b->vec, sizeof(a->vec)) &&
                !memcmp(&a->fpu, &b->fpu, sizeof(a->fpu));
    bool raised = a->done == b->done && !memcmp(&a->fault, &b->fault, sizeof(a->fault)) &&
                  a->cr2 == b->cr2;

    return regs && flags && rest && raised && !memcmp(a->area, b->area, AREA_SIZE);
}

/* ---- Telling ---- */

static void tell_code(const Test *test)
{
    unsigned at = 0;

    while (at < test->code_len) {
        ZydisDisassembledInstruction insn;

        if (!ZYAN_SUCCESS(ZydisDisassembleIntel(test->narrow ? ZYDIS_MACHINE_MODE_LEGACY_32
                                                             : ZYDIS_MACHINE_MODE_LONG_64,
                                                test->before.rip + at,
                                                test->code + at, test->code_len - at, &insn))) {
            g_printerr("#   (bad) %02x\n", test->code[at]);
            return;
        }
        g_printerr("#   %s\n", insn.text);
        at += insn.info.length;
    }
}

static void tell_regs(const Test *test)
{
    const Result *a = &test->interpreted, *b = &test->translated;

    for (unsigned i = 0; i < 16; i++) {
        if (a->regs[i] != b->regs[i]) {
            g_printerr("# register %u: %" PRIx64 ", %" PRIx64 " (was %" PRIx64 ")\n", i,
                       a->regs[i], b->regs[i], test->before.regs[i]);
        }
        for (unsigned j = 0; j < 4; j++) {
            if (a->vec[i].u64[j] != b->vec[i].u64[j]) {
                g_printerr("# vector %u.%u: %" PRIx64 ", %" PRIx64 " (was %" PRIx64 ")\n", i, j,
                           a->vec[i].u64[j], b->vec[i].u64[j], test->before.vec[i].u64[j]);
            }
        }
    }
}

static void tell(const Test *test, unsigned number)
{
    const Result *a = &test->interpreted, *b = &test->translated;

    g_printerr("# block %u, interpreted and translated:\n", number);
    tell_code(test);
    g_printerr("# rip %" PRIx64 ", %" PRIx64 "; flags %x, %x (were %x); mxcsr %x, %x; raised %d.%u "
               "%x, %d.%u %x; cr2 %" PRIx64 ", %" PRIx64 "\n", a->rip, b->rip, a->flags, b->flags,
               test->before.flags, a->mxcsr, b->mxcsr, !a->done, a->fault.vector, a->fault.error,
               !b->done, b->fault.vector, b->fault.error, a->cr2, b->cr2);
    tell_regs(test);
    for (unsigned i = 0; i < AREA_SIZE; i++) {
        if (a->area[i] != b->area[i]) {
            g_printerr("# memory %x: %02x, %02x\n", LINEAR + i, a->area[i], b->area[i]);
            break;
        }
    }
}

static void test_random_blocks(const void *narrow)
{
    Test *test = g_new0(Test, 1);
    unsigned differences = 0;

    test->narrow = narrow != NULL;
    test->no_jumps.negated[0] = JIT_NO_JUMP;
    test->harness = emu_harness_new(1, NULL);
    test->cpu = test->harness->cpu;
    test->rand = g_rand_new_with_seed(SEED);
    if (!test->cpu->jit || !__builtin_cpu_is("intel")) {
        g_test_skip("what is undefined is tested on Intel's processors only");
    } else {
        emu_harness_set_mode(test->cpu, EMU_HARNESS_LONG64);
        if (test->narrow) {
            test->cpu->segs[X86_CS].attr ^= SEG_L | SEG_DB; /* compatibility mode */
        }
        map_area(test->cpu);
        test->cpu->jit_hot = 0; /* blocks go on behind every JCC */
        for (unsigned i = 0; i < BLOCKS && differences < 10; i++) {
            make_code(test);
            make_random_state(test);
            run(test, false, &test->interpreted);
            run(test, true, &test->translated);
            test->compared += test->was_translated;
            if (!same(&test->interpreted, &test->translated)) {
                tell(test, i);
                differences++;
            }
        }
        g_test_message("%u of %u blocks were translated", test->compared, BLOCKS);
        g_assert_cmpuint(differences, ==, 0);
        g_assert_cmpuint(test->compared, >, BLOCKS / 2);
    }
    g_rand_free(test->rand);
    emu_harness_free(test->harness);
    g_free(test);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/jit/random-blocks", NULL, test_random_blocks);
    g_test_add_data_func("/jit/random-narrow-blocks", "", test_random_blocks);
    return g_test_run();
}
