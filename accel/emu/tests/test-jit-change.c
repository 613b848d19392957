/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Translated code that changes under way: blocks that retire while others are linked to them or
 * while they run, a code cache that overflows, attention in tight loops, instructions that lie in
 * two pages. All of it hot, so that it is host code that must give way.
 */
#include <string.h>

#include "accel/emu/block.h"
#include "accel/emu/exec.h"
#include "accel/emu/jit/jit.h"
#include "accel/emu/tests/emu-harness.h"
#include "util/thread.h"
#include "util/vm-lock.h"

#define CODE EMU_HARNESS_CODE
#define DATA 0x100000u
#define ROUNDS 1000u

static EmuHarness *begin(unsigned cpus)
{
    EmuHarness *harness = emu_harness_new(cpus, NULL);

    for (unsigned i = 0; i < cpus; i++) {
        emu_harness_set_mode(harness->cpus[i], EMU_HARNESS_LONG64);
    }
    return harness;
}

static void put(EmuHarness *harness, uint64_t at, const void *code, size_t len)
{
    memcpy(harness->bytes + at, code, len);
}

static bool has_host_code(EmuCpu *cpu, uint64_t at)
{
    const EmuBlock *block;

    cpu->rip = at;
    emu_guest_enter(cpu);
    block = emu_block_lookup(cpu);
    emu_guest_leave(cpu);
    return block->code;
}

static void run(EmuCpu *cpu, uint64_t at)
{
    cpu->rip = at;
    g_assert_true(emu_harness_run_to_halt(cpu));
}

/* ROUNDS rounds by ECX of code that adds up in RBX. The CPU is still there afterwards. */
static EmuHarness *run_rounds(uint64_t at, const uint8_t *code, size_t len)
{
    EmuHarness *harness = begin(1);
    EmuCpu *cpu = harness->cpu;

    put(harness, at, code, len);
    cpu->regs[X86_RCX] = ROUNDS;
    cpu->regs[X86_RBX] = 0;
    run(cpu, at);
    return harness;
}

/* ---- Self-modification ---- */

/*
 * Each round stores its number into the immediate operand of an instruction of the same block,
 * behind the store, and adds that up.
 */
static void test_running_block(void)
{
    static const uint8_t code[] = {
        0x89, 0x0c, 0x25, 0x08, 0x80, 0x00, 0x00, /* 8000: MOV [8008], ECX */
        0xb8, 0, 0, 0, 0,                         /* 8007: MOV EAX, 0 */
        0x48, 0x01, 0xc3,                         /* 800C: ADD RBX, RAX */
        0xff, 0xc9,                               /* 800F: DEC ECX */
        0x75, 0xed,                               /* 8011: JNZ 8000 */
        0xf4,
    };
    EmuHarness *harness = run_rounds(CODE, code, sizeof(code));

    g_assert_cmpuint(harness->cpu->regs[X86_RBX], ==, ROUNDS * (ROUNDS + 1) / 2);
    emu_harness_free(harness);
}

/*
 * The loop's two halves are linked. Every 64th round the first changes the second, which has become
 * host code meanwhile; by a pointer, so that only some rounds hit it.
 */
static void test_linked_block(void)
{
    static const uint8_t code[] = {
        0xf6, 0xc1, 0x3f,                         /* 8000: TEST CL, 3Fh */
        0x75, 0x09,                               /* 8003: JNZ 800E */
        0x89, 0x0c, 0x25, 0x11, 0x80, 0x00, 0x00, /* 8005: MOV [8011], ECX */
        0x66, 0x90,
        0xeb, 0x00,                               /* 800E: JMP 8010 */
        0xb8, 0, 0, 0, 0,                         /* 8010: MOV EAX, 0 */
        0x48, 0x01, 0xc3,                         /* 8015: ADD RBX, RAX */
        0xff, 0xc9,                               /* 8018: DEC ECX */
        0x75, 0xe4,                               /* 801A: JNZ 8000 */
        0xf4,
    };
    EmuHarness *harness = run_rounds(CODE, code, sizeof(code));
    const EmuCpu *cpu = harness->cpu;
    uint64_t sum = 0, last = 0;

    for (unsigned round = ROUNDS; round; round--) {
        last = round % 64 ? last : round;
        sum += last;
    }
    g_assert_cmpuint(cpu->regs[X86_RBX], ==, sum);
    g_assert_cmpuint(cpu->stats.links, >, 0);
    g_assert_cmpuint(cpu->stats.retired, >, 0);
    emu_harness_free(harness);
}

/* A hot block goes on behind a JCC that is mostly not taken, and leaves where it is. */
static void test_extended_block(void)
{
    static const uint8_t code[] = {
        0xf6, 0xc1, 0x3f,       /* 8000: TEST CL, 3Fh */
        0x74, 0x03,             /* 8003: JZ 8008 */
        0x48, 0xff, 0xc3,       /* 8005: INC RBX */
        0xff, 0xc9,             /* 8008: DEC ECX */
        0x75, 0xf4,             /* 800A: JNZ 8000 */
        0xf4,
    };
    EmuHarness *harness = run_rounds(CODE, code, sizeof(code));
    EmuCpu *cpu = harness->cpu;
    const EmuBlock *block;

    g_assert_cmpuint(cpu->regs[X86_RBX], ==, ROUNDS - ROUNDS / 64);
    g_assert_true(has_host_code(cpu, CODE));
    emu_guest_enter(cpu);
    block = emu_block_lookup(cpu);
    emu_guest_leave(cpu);
    g_assert_cmpuint(block->op_count, ==, 5);
    g_assert_cmpuint(block->bytes, ==, sizeof(code) - 1);
    emu_harness_free(harness);
}

/* A store that takes the running block away, host code and all, is its own; the block goes on. */
static void test_retired_while_running(void)
{
    static const uint8_t code[] = {
        0x88, 0x17,             /* 8000: MOV [RDI], DL */
        0x48, 0xff, 0xc3,       /* 8002: INC RBX */
        0xff, 0xc9,             /* 8005: DEC ECX */
        0x75, 0xf7,             /* 8007: JNZ 8000 */
        0xf4,
    };
    EmuHarness *harness = begin(1);
    EmuCpu *cpu = harness->cpu;
    uint64_t retired;

    put(harness, CODE, code, sizeof(code));
    cpu->regs[X86_RBX] = 0;
    cpu->regs[X86_RDX] = code[0]; /* nothing changes, but for all that anybody knows */
    for (unsigned i = 0; i < 3; i++) {
        cpu->regs[X86_RCX] = ROUNDS;
        cpu->regs[X86_RDI] = DATA;
        run(cpu, CODE);
        g_assert_true(has_host_code(cpu, CODE));
        retired = cpu->stats.retired;
        cpu->regs[X86_RCX] = ROUNDS;
        cpu->regs[X86_RDI] = CODE;
        run(cpu, CODE);
        g_assert_cmpuint(cpu->stats.retired, >=, retired + ROUNDS);
    }
    g_assert_cmpuint(cpu->regs[X86_RBX], ==, 6 * ROUNDS);
    emu_harness_free(harness);
}

/*
 * Two accesses that share a look into the TLB but never a page: where that costs too much, the
 * block is translated again without it, and not left to the interpreter.
 */
static void test_translated_again(void)
{
    static const uint8_t code[] = {
        0xbf, 0xf8, 0x0f, 0x10, 0x00,   /* 8000: MOV EDI, DATA + FF8h */
        0x48, 0x8b, 0x07,               /* 8005: MOV RAX, [RDI] */
        0x48, 0x03, 0x47, 0x08,         /* 8008: ADD RAX, [RDI + 8] */
        0x48, 0x01, 0xc3,               /* 800C: ADD RBX, RAX */
        0xff, 0xc9,                     /* 800F: DEC ECX */
        0x75, 0xf2,                     /* 8011: JNZ 8005 */
        0xf4,
    };
    EmuHarness *harness = begin(1);
    EmuCpu *cpu = harness->cpu;

    put(harness, CODE, code, sizeof(code));
    stq_le(harness->bytes + DATA + 0xff8, 1);
    stq_le(harness->bytes + DATA + 0x1000, 2);
    cpu->regs[X86_RBX] = 0;
    for (unsigned i = 0; i < 20; i++) {
        cpu->regs[X86_RCX] = ROUNDS;
        run(cpu, CODE);
    }
    g_assert_cmpuint(cpu->regs[X86_RBX], ==, 20 * 3 * ROUNDS);
    g_assert_true(has_host_code(cpu, CODE + 5));
    emu_harness_free(harness);
}

/* ---- Overflow ---- */

#define MANY 600u
#define STRIDE 32u

/* More blocks than fit: each adds its number and jumps to the next, the last one to the first. */
static void put_chain(EmuHarness *harness, uint64_t at)
{
    for (unsigned i = 0; i < MANY; i++) {
        uint8_t code[STRIDE] = { 0x48, 0x81, 0xc3 }; /* ADD RBX, imm32 */
        unsigned end = 7;

        stl_le(code + 3, i);
        if (i + 1 == MANY) {
            code[end++] = 0xff; /* DEC ECX; JNZ to the first; HLT */
            code[end++] = 0xc9;
            code[end++] = 0x0f;
            code[end++] = 0x85;
            stl_le(code + end, -(i * STRIDE + end + 4));
            code[end + 4] = 0xf4;
        } else {
            code[end++] = 0xe9;
            stl_le(code + end, STRIDE - end - 4);
        }
        put(harness, at + i * STRIDE, code, sizeof(code));
    }
}

static void test_code_overflow(void)
{
    enum { CHAIN = 0x200000, CODE_BYTES = 32 * 1024, TURNS = 200 };
    EmuHarness *harness = begin(1);
    EmuCpu *cpu = harness->cpu;
    GError *error = NULL;

    emu_blocks_flush(cpu);
    emu_jit_free(cpu->jit);
    cpu->jit = emu_jit_new(cpu, CODE_BYTES, &error);
    g_assert_no_error(error);
    put_chain(harness, CHAIN);
    cpu->regs[X86_RBX] = 0;
    cpu->regs[X86_RCX] = TURNS;
    run(cpu, CHAIN);
    g_assert_cmpuint(cpu->regs[X86_RBX], ==, (uint64_t)TURNS * MANY * (MANY - 1) / 2);
    g_assert_cmpuint(cpu->stats.cache_flushes, >, 2);
    g_assert_cmpuint(cpu->stats.host_bytes, >, 2 * CODE_BYTES);
    g_assert_cmpuint(emu_jit_bytes_used(cpu->jit), <=, 2 * CODE_BYTES);
    emu_harness_free(harness);
}

/* ---- Attention ---- */

/* Ask the CPU to leave once it has been running for a while. */
static void *call_out(void *opaque)
{
    EmuCpu *cpu = opaque;

    while (__atomic_load_n(&cpu->stats.entries, __ATOMIC_RELAXED) == 0) {
        g_usleep(1000);
    }
    g_usleep(10000);
    __atomic_store_n(&cpu->vcpu->exit_request, true, __ATOMIC_SEQ_CST);
    emu_set_attention(cpu);
    return NULL;
}

/* A loop without an end; it is left all the same, at a place where RIP is one of its own. */
static void check_loop(const uint8_t *code, size_t len, uint64_t rax)
{
    EmuHarness *harness = begin(1);
    EmuCpu *cpu = harness->cpu;
    pthread_t thread;

    put(harness, CODE, code, len);
    cpu->rip = CODE;
    cpu->regs[X86_RAX] = rax;
    cpu->regs[X86_RSP] = DATA + 0x1000;
    vm_unlock(); /* as a vCPU's thread */
    g_assert_true(thread_create(&thread, "caller", call_out, cpu, NULL));
    g_assert_cmpint(emu_run(cpu->vcpu), ==, 0);
    pthread_join(thread, NULL);
    vm_lock();
    g_assert_cmpuint(cpu->rip - CODE, <, len);
    g_assert_cmpuint(cpu->stats.entries, >, 0);
    g_assert_true(has_host_code(cpu, CODE));
    emu_harness_free(harness);
}

static void test_attention(void)
{
    static const uint8_t self[] = { 0x48, 0xff, 0xc3, 0xeb, 0xfb };    /* INC RBX; JMP 8000 */
    static const uint8_t conditional[] = { 0x48, 0x39, 0xc0, 0x74, 0xfb }; /* CMP RAX, RAX; JE */
    static const uint8_t indirect[] = { 0x48, 0xff, 0xc3, 0xff, 0xe0 }; /* INC RBX; JMP RAX */
    static const uint8_t pair[] = { 0x48, 0xff, 0xc3, 0xeb, 0x00, 0x48, 0xff, 0xc3, 0xeb, 0xf6 };
    static const uint8_t call[] = {
        0xe8, 0x02, 0x00, 0x00, 0x00,   /* 8000: CALL 8007 */
        0xeb, 0xf9,                     /* 8005: JMP 8000 */
        0x48, 0xff, 0xc3, 0xc3,         /* 8007: INC RBX; RET */
    };

    check_loop(self, sizeof(self), 0);
    check_loop(conditional, sizeof(conditional), 0);
    check_loop(indirect, sizeof(indirect), CODE);
    check_loop(pair, sizeof(pair), 0);
    check_loop(call, sizeof(call), 0);
}

static int ack_once(void *apic)
{
    VCpu *vcpu = apic;

    __atomic_and_fetch(&vcpu->irq_lines, ~(uint32_t)VCPU_IRQ_HARD, __ATOMIC_SEQ_CST);
    return 0x40;
}

static const VCpuApicOps one_interrupt = { .ack = ack_once };

/* An idle loop: what STI holds up it does for HLT alone, in which the interrupt comes. */
static void test_halt_behind_sti(void)
{
    static const uint8_t code[] = {
        0xfa,                   /* 8000: CLI */
        0x48, 0xff, 0xc3,       /* 8001: INC RBX */
        0xfb,                   /* 8004: STI */
        0xf4,                   /* 8005: HLT */
        0xeb, 0xf8,             /* 8006: JMP 8000 */
    };
    static const uint8_t handler[] = { 0x48, 0xcf }; /* IRETQ */
    EmuHarness *harness = begin(1);
    EmuCpu *cpu = harness->cpu;

    emu_harness_set_handler(harness, 0x40, handler, sizeof(handler));
    put(harness, CODE, code, sizeof(code));
    cpu->vcpu->apic_ops = &one_interrupt;
    cpu->vcpu->apic = cpu->vcpu;
    cpu->regs[X86_RBX] = 0;
    cpu->rip = CODE;
    for (unsigned i = 1; i <= 100; i++) {
        /* Before CLI, or while it is halted. */
        for (unsigned turn = 0; turn < 10 && !cpu->halted; turn++) {
            emu_run(cpu->vcpu);
        }
        g_assert_cmpuint(cpu->regs[X86_RBX], ==, i);
        __atomic_or_fetch(&cpu->vcpu->irq_lines, VCPU_IRQ_HARD, __ATOMIC_SEQ_CST);
        for (unsigned turn = 0; turn < 10 && cpu->vcpu->irq_lines; turn++) {
            emu_run(cpu->vcpu);
        }
        g_assert_cmpuint(cpu->vcpu->irq_lines, ==, 0);
    }
    g_assert_cmpuint(cpu->stats.entries, >, 0);
    emu_harness_free(harness);
}

/* ---- Two pages ---- */

/* MOV EAX, imm32 whose last three bytes are in the next page, where another instruction writes. */
static void test_crossing(void)
{
    enum { AT = CODE + 0x2000 - 2, LOOP = CODE + 0x2000 + 3 };
    static const uint8_t code[] = {
        0xb8, 0, 0, 0, 0,                         /* 9FFE: MOV EAX, 0 */
        0x48, 0x01, 0xc3,                         /* A003: ADD RBX, RAX */
        0x66, 0x89, 0x0c, 0x25, 0x00, 0xa0, 0, 0, /* A006: MOV [A000], CX */
        0xff, 0xc9,                               /* A00E: DEC ECX */
        0x75, 0xec,                               /* A010: JNZ 9FFE */
        0xf4,
    };
    EmuHarness *harness = run_rounds(AT, code, sizeof(code));
    EmuCpu *cpu = harness->cpu;

    /* What a round adds has been written by the one before it, to bits 8 to 23. */
    g_assert_cmpuint(cpu->regs[X86_RBX], ==, ((ROUNDS * (ROUNDS + 1) / 2 - 1) << 8));
    g_assert_true(has_host_code(cpu, LOOP));
    emu_harness_free(harness);
}

/* Straight code over the border of two pages, whose second one another round changes. */
static void test_next_page(void)
{
    enum { AT = CODE + 0x1000 - 8 };
    static const uint8_t code[] = {
        0x89, 0x0c, 0x25, 0x01, 0x90, 0x00, 0x00, /* 8FF8: MOV [9001], ECX */
        0x90,
        0xb8, 0, 0, 0, 0,                         /* 9000: MOV EAX, 0 */
        0x48, 0x01, 0xc3,                         /* 9005: ADD RBX, RAX */
        0xff, 0xc9,                               /* 9008: DEC ECX */
        0x75, 0xec,                               /* 900A: JNZ 8FF8 */
        0xf4,
    };
    EmuHarness *harness = run_rounds(AT, code, sizeof(code));

    g_assert_cmpuint(harness->cpu->regs[X86_RBX], ==, ROUNDS * (ROUNDS + 1) / 2);
    emu_harness_free(harness);
}

/* ---- Another vCPU ---- */

static void *run_other(void *opaque)
{
    g_assert_true(emu_harness_run_to_halt(opaque));
    return NULL;
}

/*
 * The first CPU goes round in host code until the second has changed the jump that closes its loop
 * into one that leaves it: by a store, and by a LOCKed one.
 */
static void check_other(const uint8_t *change, size_t len)
{
    static const uint8_t loop[] = {
        0xff, 0x04, 0x25, 0x00, 0x00, 0x10, 0x00, /* 8000: INC DWORD [DATA] */
        0xeb, 0xf7,                               /* 8007: JMP 8000 */
        0xf4,                                     /* 8009: HLT */
    };
    enum { OTHER = CODE + 0x3000 };
    EmuHarness *harness = begin(2);
    EmuCpu *cpu = harness->cpus[0], *other = harness->cpus[1];
    pthread_t thread;

    put(harness, CODE, loop, sizeof(loop));
    put(harness, OTHER, change, len);
    stl_le(harness->bytes + DATA, 0);
    cpu->rip = CODE;
    other->rip = OTHER;
    vm_unlock();
    g_assert_true(thread_create(&thread, "other", run_other, cpu, NULL));
    while (__atomic_load_n((uint32_t *)(harness->bytes + DATA), __ATOMIC_RELAXED) < 1000) {
        g_usleep(100);
    }
    g_assert_true(emu_harness_run_to_halt(other));
    pthread_join(thread, NULL);
    vm_lock();
    g_assert_cmphex(cpu->rip, ==, CODE + sizeof(loop));
    g_assert_cmpuint(cpu->stats.entries, >, 0);
    emu_harness_free(harness);
}

static void test_other_cpu(void)
{
    /* MOV BYTE [8008], 0; HLT. AND BYTE [8008], 0 with LOCK; HLT. */
    static const uint8_t store[] = { 0xc6, 0x04, 0x25, 0x08, 0x80, 0, 0, 0, 0xf4 };
    static const uint8_t locked[] = { 0xf0, 0x80, 0x24, 0x25, 0x08, 0x80, 0, 0, 0, 0xf4 };

    check_other(store, sizeof(store));
    check_other(locked, sizeof(locked));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    if (!emu_jit_supported()) {
        g_print("1..0 # SKIP this host's processor is older than x86-64-v3\n");
        return 0;
    }
    g_test_add_func("/emu/jit-change/running-block", test_running_block);
    g_test_add_func("/emu/jit-change/linked-block", test_linked_block);
    g_test_add_func("/emu/jit-change/extended-block", test_extended_block);
    g_test_add_func("/emu/jit-change/retired-while-running", test_retired_while_running);
    g_test_add_func("/emu/jit-change/translated-again", test_translated_again);
    g_test_add_func("/emu/jit-change/code-overflow", test_code_overflow);
    g_test_add_func("/emu/jit-change/attention", test_attention);
    g_test_add_func("/emu/jit-change/halt-behind-sti", test_halt_behind_sti);
    g_test_add_func("/emu/jit-change/crossing", test_crossing);
    g_test_add_func("/emu/jit-change/next-page", test_next_page);
    g_test_add_func("/emu/jit-change/other-cpu", test_other_cpu);
    return g_test_run();
}
