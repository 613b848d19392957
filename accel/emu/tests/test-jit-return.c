/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Returns of translated code, which the host predicts by frames that calls left (jit/branch.c):
 * whatever the guest does with its stacks, return addresses, pages and modes in between, the result
 * must be the interpreter's.
 */
#include <string.h>

#include "accel/emu/block.h"
#include "accel/emu/exec.h"
#include "accel/emu/jit/jit.h"
#include "accel/emu/tests/emu-harness.h"

#define CODE 0x10000u
#define STACK 0x400000u      /* of 2 MiB, for deep recursion */
#define DATA 0x100000u       /* also the second stack's end */
/* A page that code_remapped moves: by a page table of its own, at 0xA00000 linear. */
#define MOVING 0xa00000u
#define MOVING_TABLE 0x30000u
#define MOVING_PAGES 0x31000u

/* Guest code: RCX rounds, RBX adds up. Each is run where it was copied to. */
#define GUEST(name, text) \
    __asm__(".pushsection .rodata\n" #name ": .intel_syntax noprefix\n" text \
            "\n.att_syntax\n" #name "_end: .popsection"); \
    extern const uint8_t name[], name##_end[];

GUEST(code_recursion,
      "1: push rcx\n mov ecx, 20000\n call 2f\n pop rcx\n add rbx, rax\n"
      "   dec ecx\n jnz 1b\n hlt\n"
      "2: xor eax, eax\n test ecx, ecx\n jz 3f\n push rcx\n dec ecx\n call 2b\n pop rcx\n"
      "   lea rax, [rax + rcx + 1]\n"
      "3: ret")

/* Fibonacci numbers: two calls a level. */
GUEST(code_fibonacci,
      "1: mov edi, 15\n call 2f\n add rbx, rax\n dec ecx\n jnz 1b\n hlt\n"
      "2: mov eax, edi\n cmp edi, 2\n jb 3f\n push rdi\n dec edi\n call 2b\n pop rdi\n"
      "   push rax\n sub edi, 2\n call 2b\n pop rdx\n add rax, rdx\n"
      "3: ret")

/* Five levels deep, then back to the first by the stack pointer it saved; every third time not. */
GUEST(code_longjmp,
      "1: mov r9, rsp\n lea r10, [rip + 4f]\n mov eax, ecx\n mov edi, 5\n call 2f\n"
      "4: mov rsp, r9\n add rbx, rdi\n inc rbx\n dec ecx\n jnz 1b\n hlt\n"
      "2: test edi, edi\n jz 3f\n dec edi\n call 2b\n add rbx, 3\n ret\n"
      "3: xor edx, edx\n mov esi, 3\n div esi\n test edx, edx\n jz 5f\n jmp r10\n"
      "5: ret")

/* Two stacks in turn: each resumes where it was left, at different depths. RSI: the other's RSP. */
GUEST(code_coroutines,
      "   lea rsi, [rip + 4f]\n mov rax, 0x100000\n mov [rax - 8], rsi\n lea rsi, [rax - 8]\n"
      "1: call 2f\n add rbx, 5\n call 3f\n dec ecx\n jnz 1b\n hlt\n"
      "2: call 3f\n add rbx, 1\n ret\n"                       /* switches one level deeper */
      "3: xchg rsp, rsi\n ret\n"
      "4: add rbx, 100\n call 5f\n add rbx, 1000\n call 3b\n jmp 4b\n"
      "5: call 3b\n add rbx, 7\n ret")

/* The callee adds to its return address in every second round; and a call that only jumps. */
GUEST(code_rewritten,
      "1: call 2f\n inc rbx\n inc rbx\n"
      "   lea rax, [rip + 3f]\n call 4f\n jmp 5f\n"
      "3: add rbx, 16\n"
      "5: dec ecx\n jnz 1b\n hlt\n"
      "2: test cl, 1\n jz 6f\n add qword ptr [rsp], 3\n"
      "6: ret\n"
      "4: mov [rsp], rax\n ret")

/* The callee stores the round into the instruction that it returns to. */
GUEST(code_modified,
      "1: call 2f\n mov eax, 0\n add rbx, rax\n dec ecx\n jnz 1b\n hlt\n"
      "2: mov rdx, [rsp]\n test cl, 31\n jnz 3f\n mov [rdx + 1], cl\n"
      "3: ret")

/*
 * The page of the call is exchanged for another before the return, by INVLPG (R8 0) or MOV CR3. The
 * read of the stack behind that brings its page into the TLB again, so that RET is no callout.
 */
GUEST(code_remapped,
      "   mov rsi, 0xa00000\n mov r11, cr3\n"
      "1: call rsi\n dec ecx\n jnz 1b\n hlt\n"
      "2: mov edx, ecx\n and edx, 7\n jnz 3f\n xor qword ptr [0x30000], 0x3000\n"
      "   test r8d, r8d\n jnz 4f\n invlpg [rsi]\n mov rdx, [rsp]\n"
      "3: ret\n"
      "4: mov cr3, r11\n mov rdx, [rsp]\n ret")
/*
 * The two pages: they call back to label 2 of code_remapped, whose address is in RDI. The order in
 * which they are returned to makes the result.
 */
GUEST(code_page_one, "call rdi\n lea rbx, [rbx + rbx * 2 + 1]\n ret")
GUEST(code_page_two, "call rdi\n lea rbx, [rbx + rbx * 4 + 7]\n ret")

/* The callee sets CR0.TS in some rounds, so that the SSE instruction behind the call raises #NM. */
GUEST(code_mode,
      "1: call 2f\n movaps xmm0, xmm1\n add rbx, 1\n dec ecx\n jnz 1b\n hlt\n"
      "2: test cl, 7\n jnz 3f\n mov rax, cr0\n or rax, 8\n mov cr0, rax\n"
      "3: ret")
GUEST(handler_task_switched, "clts\n add rbx, 65536\n iretq")

/* It arms a breakpoint on its return site, or sets TF. */
GUEST(code_breakpoint,
      "1: call 2f\n"
      "4: add rbx, 1\n dec ecx\n jnz 1b\n hlt\n"
      "2: test cl, 15\n jnz 3f\n lea rax, [rip + 4b]\n mov dr0, rax\n mov eax, 0x402\n"
      "   mov dr7, rax\n"
      "3: ret")
GUEST(code_step,
      "1: call 2f\n add rbx, 1\n dec ecx\n jnz 1b\n hlt\n"
      "2: test cl, 15\n jnz 3f\n pushfq\n or qword ptr [rsp], 0x100\n popfq\n"
      "3: ret")
/* Adds where it was; ends breakpoints at once, and stepping where the round is counted down. */
GUEST(handler_debug,
      "push rax\n mov rax, [rsp + 8]\n shl rax, 20\n add rbx, rax\n xor eax, eax\n"
      "mov dr7, rax\n or dword ptr [rsp + 24], 0x10000\n" /* RF */
      "mov rax, [rsp + 8]\n cmp byte ptr [rax], 0xff\n pop rax\n jne 1f\n"
      "and dword ptr [rsp + 16], ~0x100\n"                /* TF */
      "1: iretq")

typedef struct Run {
    const uint8_t *code, *end;
    const uint8_t *handler, *handler_end;
    unsigned vector, rounds;
    uint64_t r8;
    bool moving;
} Run;
#define RUN(name, count) .code = code_##name, .end = code_##name##_end, .rounds = (count)
#define HANDLED(name, number) .handler = handler_##name, .handler_end = handler_##name##_end, \
                              .vector = (number)

typedef struct Result {
    uint64_t regs[16], rip, cr0;
    EmuStats stats;
} Result;

static void copy(EmuHarness *harness, uint64_t at, const uint8_t *code, const uint8_t *end)
{
    memcpy(harness->bytes + at, code, (size_t)(end - code));
}

/* Entry 5 of the harness's page directory (2 MiB each): a table whose first entry moves. */
static void map_moving(EmuHarness *harness)
{
    const uint64_t pd = EMU_HARNESS_TABLES + 2 * EMU_PAGE_SIZE;

    stq_le(harness->bytes + pd + MOVING / (2 * MiB) * 8, MOVING_TABLE | 7);
    stq_le(harness->bytes + MOVING_TABLE, MOVING_PAGES | 7);
    copy(harness, MOVING_PAGES, code_page_one, code_page_one_end);
    copy(harness, MOVING_PAGES ^ 0x3000, code_page_two, code_page_two_end);
}

/* Where code_remapped's label 2 is: behind its HLT. */
static uint64_t behind_halt(const uint8_t *code, const uint8_t *end)
{
    const uint8_t *halt = memchr(code, 0xf4, (size_t)(end - code));

    return CODE + (uint64_t)(halt + 1 - code);
}

static void run(const Run *what, bool translated, Result *result)
{
    EmuHarness *harness = emu_harness_new(1, NULL);
    EmuCpu *cpu = harness->cpu;
    EmuJit *jit = cpu->jit;

    emu_harness_set_mode(cpu, EMU_HARNESS_LONG64);
    if (what->handler) {
        emu_harness_set_handler(harness, what->vector, what->handler,
                                (size_t)(what->handler_end - what->handler));
    }
    copy(harness, CODE, what->code, what->end);
    if (what->moving) {
        map_moving(harness);
    }
    memset(cpu->regs, 0, 16 * sizeof(cpu->regs[0]));
    cpu->regs[X86_RCX] = what->rounds;
    cpu->regs[X86_RSP] = STACK;
    cpu->regs[X86_RDI] = behind_halt(what->code, what->end);
    cpu->regs[X86_R8] = what->r8;
    cpu->rip = CODE;
    cpu->jit = translated ? jit : NULL;
    g_assert_true(emu_harness_run_to_halt(cpu));
    cpu->jit = jit;
    memcpy(result->regs, cpu->regs, sizeof(result->regs));
    result->rip = cpu->rip;
    result->cr0 = cpu->cr0;
    result->stats = cpu->stats;
    emu_harness_free(harness);
}

static void compare(const void *opaque)
{
    const Run *what = opaque;
    Result interpreted, translated;

    run(what, false, &interpreted);
    run(what, true, &translated);
    g_assert_cmpuint(translated.stats.entries, >, 0);
    g_assert_cmpuint(translated.stats.links, >, 0);
    g_assert_cmpuint(interpreted.regs[X86_RBX], !=, 0);
    for (unsigned i = 0; i < G_N_ELEMENTS(translated.regs); i++) {
        g_assert_cmphex(translated.regs[i], ==, interpreted.regs[i]);
    }
    g_assert_cmphex(translated.rip, ==, interpreted.rip);
    g_assert_cmphex(translated.cr0, ==, interpreted.cr0);
}

/*
 * Two calls whose return addresses have one place in the jump table: each return would find the
 * other's there.
 */
static void test_predicted(void)
{
    enum { ROUNDS = 5000, FAR = 0x20000, FUNCTION = 0x44800 };
    /* CALL FUNCTION; NOP to 10h; JMP FAR. And at FAR: CALL; NOP; DEC ECX; JNZ CODE; HLT. */
    uint8_t first[21] = { 0xe8 }, second[32] = { 0xe8 };
    const uint8_t function[] = { 0x48, 0xff, 0xc3, 0xc3 }; /* INC RBX; RET */
    EmuHarness *harness = emu_harness_new(1, NULL);
    EmuCpu *cpu = harness->cpu;

    memset(first + 5, 0x90, 11);
    stl_le(first + 1, FUNCTION - 5);
    first[16] = 0xe9;
    stl_le(first + 17, FAR - 21);
    stl_le(second + 1, FUNCTION - FAR - 5);
    second[5] = 0xff;
    second[6] = 0xc9;
    second[7] = 0x0f;
    second[8] = 0x85;
    stl_le(second + 9, -(FAR + 13));
    second[13] = 0xf4;
    emu_harness_set_mode(cpu, EMU_HARNESS_LONG64);
    memcpy(harness->bytes + CODE, first, sizeof(first));
    memcpy(harness->bytes + CODE + FAR, second, sizeof(second));
    memcpy(harness->bytes + CODE + FUNCTION, function, sizeof(function));
    cpu->regs[X86_RBX] = 0;
    cpu->regs[X86_RCX] = ROUNDS;
    cpu->regs[X86_RSP] = STACK;
    cpu->rip = CODE;
    g_assert_true(emu_harness_run_to_halt(cpu));
    g_assert_cmpuint(cpu->regs[X86_RBX], ==, 2 * ROUNDS);
    /* CODE and FAR collide as well: two misses a round. It would be four. */
    g_assert_cmpuint(cpu->stats.jump_misses, <=, 2 * ROUNDS + ROUNDS / 10);
    emu_harness_free(harness);
}

int main(int argc, char **argv)
{
    static const Run recursion = { RUN(recursion, 40) }, fibonacci = { RUN(fibonacci, 30) };
    static const Run longjmp = { RUN(longjmp, 3000) }, coroutines = { RUN(coroutines, 3000) };
    static const Run rewritten = { RUN(rewritten, 3000) }, modified = { RUN(modified, 3000) };
    static const Run invlpg = { RUN(remapped, 3000), .moving = true };
    static const Run cr3 = { RUN(remapped, 3000), .moving = true, .r8 = 1 };
    static const Run mode = { RUN(mode, 3000), HANDLED(task_switched, X86_NM) };
    static const Run breakpoint = { RUN(breakpoint, 3000), HANDLED(debug, X86_DB) };
    static const Run step = { RUN(step, 3000), HANDLED(debug, X86_DB) };

    g_test_init(&argc, &argv, NULL);
    if (!emu_jit_supported()) {
        g_print("1..0 # SKIP this host's processor is older than x86-64-v3\n");
        return 0;
    }
    g_test_add_func("/emu/jit-return/predicted", test_predicted);
    g_test_add_data_func("/emu/jit-return/recursion", &recursion, compare);
    g_test_add_data_func("/emu/jit-return/fibonacci", &fibonacci, compare);
    g_test_add_data_func("/emu/jit-return/longjmp", &longjmp, compare);
    g_test_add_data_func("/emu/jit-return/coroutines", &coroutines, compare);
    g_test_add_data_func("/emu/jit-return/rewritten", &rewritten, compare);
    g_test_add_data_func("/emu/jit-return/modified", &modified, compare);
    g_test_add_data_func("/emu/jit-return/page-by-invlpg", &invlpg, compare);
    g_test_add_data_func("/emu/jit-return/page-by-cr3", &cr3, compare);
    g_test_add_data_func("/emu/jit-return/mode", &mode, compare);
    g_test_add_data_func("/emu/jit-return/breakpoint", &breakpoint, compare);
    g_test_add_data_func("/emu/jit-return/step", &step, compare);
    return g_test_run();
}
