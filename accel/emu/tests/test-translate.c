/* SPDX-License-Identifier: Apache-2.0 */
/* What hot code must not lose or gain by being translated. */
#include <string.h>

#include "accel/emu/exec.h"
#include "accel/emu/tests/emu-harness.h"

static void load(EmuCpu *cpu, uint64_t at, const void *code, size_t len)
{
    address_space_write(address_space_memory(), at, code, len);
    emu_serve_requests(cpu);
    cpu->rip = at;
}

/* MOV ECX, 100; 1: body; DEC ECX; JNZ 1b; HLT */
static void run_hot(EmuCpu *cpu, const uint8_t *body, size_t len)
{
    uint8_t code[64] = { 0xb9, 100, 0, 0, 0 };
    size_t at = 5;

    memcpy(code + at, body, len);
    at += len;
    code[at++] = 0xff;
    code[at++] = 0xc9;
    code[at++] = 0x75;
    code[at] = (uint8_t)-(int)(len + 4);
    code[++at] = 0xf4;
    load(cpu, EMU_HARNESS_CODE, code, at + 1);
    g_assert_true(emu_harness_run_to_halt(cpu));
    g_assert_cmpuint(cpu->regs[X86_RCX], ==, 0);
}

/* Where the guest has no LZCNT and TZCNT, their bytes are BSR and BSF. */
static void test_old_bit_scans(void)
{
    static const uint8_t body[] = {
        0xba, 0x10, 0, 0, 0,            /* MOV EDX, 10h */
        0xf3, 0x0f, 0xbd, 0xc2,         /* LZCNT EAX, EDX */
        0xba, 0, 0, 0, 0,               /* MOV EDX, 0 */
        0xf3, 0x0f, 0xbc, 0xda,         /* TZCNT EBX, EDX */
    };
    EmuHarness *harness = emu_harness_new(1, "Nehalem");

    emu_harness_set_mode(harness->cpu, EMU_HARNESS_LONG64);
    harness->cpu->regs[X86_RBX] = 5;
    run_hot(harness->cpu, body, sizeof(body));
    g_assert_cmpuint(harness->cpu->regs[X86_RAX], ==, 4);
    g_assert_cmpuint(harness->cpu->regs[X86_RBX], ==, 5);
    emu_harness_free(harness);
}

/* 64-bit code with a stack and one handler. */
static EmuHarness *new_with_handler(unsigned vector, const uint8_t *handler, size_t len)
{
    EmuHarness *harness = emu_harness_new(1, NULL);

    emu_harness_set_mode(harness->cpu, EMU_HARNESS_LONG64);
    emu_harness_set_handler(harness, vector, handler, len);
    harness->cpu->regs[X86_RBX] = 0;
    return harness;
}

/* #NM's handler skips the instruction and counts. */
static void test_task_switched(void)
{
    static const uint8_t movaps[] = { 0x0f, 0x28, 0xc1 };
    static const uint8_t handler[] = {
        0x48, 0x83, 0x04, 0x24, 3,      /* ADD QWORD [RSP], 3 */
        0xff, 0xc3,                     /* INC EBX */
        0x48, 0xcf,                     /* IRETQ */
    };
    EmuHarness *harness = new_with_handler(X86_NM, handler, sizeof(handler));
    EmuCpu *cpu = harness->cpu;

    cpu->cr0 |= CR0_TS;
    emu_update_mode(cpu);
    run_hot(cpu, movaps, sizeof(movaps));
    g_assert_cmpuint(cpu->regs[X86_RBX], ==, 100);
    emu_harness_free(harness);
}

static int ack_without_end(void *opaque)
{
    return 0x40;
}

/* A line that stays up comes through once in each turn, right behind the instruction after STI. */
static void test_interrupt_window(void)
{
    static const VCpuApicOps always = { .ack = ack_without_end };
    static const uint8_t body[] = { 0xfb, 0xff, 0xc2, 0xfa }; /* STI; INC EDX; CLI */
    static const uint8_t handler[] = {
        0xff, 0xc3,                                     /* INC EBX */
        0x39, 0xd3,                                     /* CMP EBX, EDX */
        0x74, 0x02,                                     /* JE over */
        0xff, 0xc6,                                     /* INC ESI */
        0x81, 0x64, 0x24, 0x10, 0xff, 0xfd, 0xff, 0xff, /* AND DWORD [RSP + 16], ~IF */
        0x48, 0xcf,                                     /* IRETQ */
    };
    EmuHarness *harness = new_with_handler(0x40, handler, sizeof(handler));
    EmuCpu *cpu = harness->cpu;

    cpu->vcpu->apic_ops = &always;
    cpu->vcpu->irq_lines = VCPU_IRQ_HARD;
    cpu->regs[X86_RDX] = cpu->regs[X86_RSI] = 0;
    run_hot(cpu, body, sizeof(body));
    g_assert_cmpuint(cpu->regs[X86_RBX], ==, 100);
    g_assert_cmpuint(cpu->regs[X86_RSI], ==, 0);
    emu_harness_free(harness);
}

/* The first store takes the page's only block away, the second changes what is about to run. */
static void test_self_modification_twice(void)
{
    static const uint8_t code[] = {
        0xc6, 0x05, 0xf9, 0xff, 0xff, 0xff, 0xc6, /* 8000: MOV BYTE [8000], C6h */
        0xc6, 0x05, 0x01, 0x00, 0x00, 0x00, 7,    /* 8007: MOV BYTE [800F], 7 */
        0xb8, 1, 0, 0, 0,                         /* 800E: MOV EAX, 1 */
        0xf4,
    };
    EmuHarness *harness = emu_harness_new(1, NULL);

    emu_harness_set_mode(harness->cpu, EMU_HARNESS_LONG64);
    load(harness->cpu, EMU_HARNESS_CODE, code, sizeof(code));
    g_assert_true(emu_harness_run_to_halt(harness->cpu));
    g_assert_cmpuint(harness->cpu->regs[X86_RAX], ==, 7);
    emu_harness_free(harness);
}

/* A request that comes with a request to leave is served once the CPU runs again. */
static void test_request_and_exit(void)
{
    static const uint8_t code[] = { 0xb8, 1, 0, 0, 0, 0xf4 }; /* MOV EAX, 1; HLT */
    static const uint8_t two = 2;
    EmuHarness *harness = emu_harness_new(1, NULL);
    EmuCpu *cpu = harness->cpu;

    emu_harness_set_mode(cpu, EMU_HARNESS_LONG64);
    load(cpu, EMU_HARNESS_CODE, code, sizeof(code));
    g_assert_true(emu_harness_run_to_halt(cpu));
    address_space_write(address_space_memory(), EMU_HARNESS_CODE + 1, &two, 1);
    cpu->halted = cpu->vcpu->halted = false;
    cpu->rip = EMU_HARNESS_CODE;
    cpu->vcpu->exit_request = true;
    emu_run(cpu->vcpu);
    g_assert_cmpuint(cpu->rip, ==, EMU_HARNESS_CODE);
    g_assert_true(emu_harness_run_to_halt(cpu));
    g_assert_cmpuint(cpu->regs[X86_RAX], ==, 2);
    emu_harness_free(harness);
}

/* MOV CR3 leads into another page although the linear address goes on. */
static void test_other_page_behind(void)
{
    enum { TABLES = 0x20000, OTHER = 2 * MiB };
    /* MOV CR3, RAX; MOV EBX, 1; HLT */
    uint8_t code[] = { 0x0f, 0x22, 0xd8, 0xbb, 1, 0, 0, 0, 0xf4 };
    uint64_t entries[] = { (TABLES + 0x1000) | 7, (TABLES + 0x2000) | 7, OTHER | 0x87 };
    EmuHarness *harness = emu_harness_new(1, NULL);
    EmuCpu *cpu = harness->cpu;

    emu_harness_set_mode(cpu, EMU_HARNESS_LONG64);
    for (unsigned i = 0; i < 3; i++) {
        memcpy(harness->bytes + TABLES + i * 0x1000, &entries[i], sizeof(entries[i]));
    }
    load(cpu, EMU_HARNESS_CODE, code, sizeof(code));
    code[4] = 2;
    memcpy(harness->bytes + OTHER + EMU_HARNESS_CODE, code, sizeof(code));
    for (unsigned i = 0; i < 3; i++) {
        cpu->rip = EMU_HARNESS_CODE;
        cpu->regs[X86_RAX] = i < 2 ? EMU_HARNESS_TABLES : TABLES;
        g_assert_true(emu_harness_run_to_halt(cpu));
        g_assert_cmpuint(cpu->regs[X86_RBX], ==, i < 2 ? 1 : 2);
    }
    emu_harness_free(harness);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/emu/translate/old-bit-scans", test_old_bit_scans);
    g_test_add_func("/emu/translate/task-switched", test_task_switched);
    g_test_add_func("/emu/translate/interrupt-window", test_interrupt_window);
    g_test_add_func("/emu/translate/self-modification-twice", test_self_modification_twice);
    g_test_add_func("/emu/translate/request-and-exit", test_request_and_exit);
    g_test_add_func("/emu/translate/other-page-behind", test_other_page_behind);
    return g_test_run();
}
