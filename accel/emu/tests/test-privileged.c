/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The software CPU's privileged instructions, run as code: who may run them, single steps and
 * breakpoints, interrupt shadows.
 */
#include <string.h>

#include "accel/emu/exec.h"
#include "accel/emu/flags.h"
#include "accel/emu/system-internal.h"
#include "accel/emu/tests/emu-harness.h"
#include "util/error.h"

#define CODE(...) (const uint8_t[]) { __VA_ARGS__ }, sizeof((const uint8_t[]) { __VA_ARGS__ })
#define NO_FAULT 0xff
#define HANDLER 0x600u
#define STACK 0x7000u

/* ---- At CPL 3 ---- */

typedef struct InsnCase {
    const char *name;
    uint8_t bytes[8];
    uint8_t length;
    uint8_t user;    /* what it raises at CPL 3, IOPL 0 */
    uint8_t kernel;  /* and at CPL 0 */
} InsnCase;

static const InsnCase insns[] = {
    { "cli", { 0xfa }, 1, X86_GP, NO_FAULT },
    { "sti", { 0xfb }, 1, X86_GP, NO_FAULT },
    { "in al, 80h", { 0xe4, 0x80 }, 2, X86_GP, NO_FAULT },
    { "out dx, eax", { 0xef }, 1, X86_GP, NO_FAULT },
    { "clts", { 0x0f, 0x06 }, 2, X86_GP, NO_FAULT },
    { "wbinvd", { 0x0f, 0x09 }, 2, X86_GP, NO_FAULT },
    { "invd", { 0x0f, 0x08 }, 2, X86_GP, NO_FAULT },
    { "invlpg [rax]", { 0x0f, 0x01, 0x38 }, 3, X86_GP, NO_FAULT },
    { "lmsw ax", { 0x0f, 0x01, 0xf0 }, 3, X86_GP, NO_FAULT },
    { "smsw eax", { 0x0f, 0x01, 0xe0 }, 3, NO_FAULT, NO_FAULT },
    { "mov rax, cr0", { 0x0f, 0x20, 0xc0 }, 3, X86_GP, NO_FAULT },
    { "mov rax, cr8", { 0x44, 0x0f, 0x20, 0xc0 }, 4, X86_GP, NO_FAULT },
    { "mov cr3, rbx", { 0x0f, 0x22, 0xdb }, 3, X86_GP, NO_FAULT },
    { "mov rax, cr1", { 0x0f, 0x20, 0xc8 }, 3, X86_UD, X86_UD },
    { "mov rax, dr0", { 0x0f, 0x21, 0xc0 }, 3, X86_GP, NO_FAULT },
    { "mov rax, dr4", { 0x0f, 0x21, 0xe0 }, 3, X86_GP, NO_FAULT },
    { "rdmsr", { 0x0f, 0x32 }, 2, X86_GP, NO_FAULT },
    { "wrmsr", { 0x0f, 0x30 }, 2, X86_GP, NO_FAULT },
    { "rdpmc", { 0x0f, 0x33 }, 2, X86_GP, X86_GP },
    { "rdtsc", { 0x0f, 0x31 }, 2, NO_FAULT, NO_FAULT },
    { "rdtscp", { 0x0f, 0x01, 0xf9 }, 3, NO_FAULT, NO_FAULT },
    { "rdpid rax", { 0xf3, 0x0f, 0xc7, 0xf8 }, 4, NO_FAULT, NO_FAULT },
    { "cpuid", { 0x0f, 0xa2 }, 2, NO_FAULT, NO_FAULT },
    { "hlt", { 0xf4 }, 1, X86_GP, NO_FAULT },
    { "xgetbv", { 0x0f, 0x01, 0xd0 }, 3, X86_GP, X86_GP }, /* RCX is 10h */
    { "clac", { 0x0f, 0x01, 0xca }, 3, X86_UD, NO_FAULT },
    { "stac", { 0x0f, 0x01, 0xcb }, 3, X86_UD, NO_FAULT },
    { "rsm", { 0x0f, 0xaa }, 2, X86_UD, X86_UD },
    { "ud2", { 0x0f, 0x0b }, 2, X86_UD, X86_UD },
    { "ud1 eax, eax", { 0x0f, 0xb9, 0xc0 }, 3, X86_UD, X86_UD },
    { "ud0 eax, eax", { 0x0f, 0xff, 0xc0 }, 3, X86_UD, X86_UD },
    { "vmcall", { 0x0f, 0x01, 0xc1 }, 3, X86_UD, X86_UD },
    { "vmmcall", { 0x0f, 0x01, 0xd9 }, 3, X86_UD, X86_UD },
    { "monitor", { 0x0f, 0x01, 0xc8 }, 3, X86_UD, X86_UD },
    { "mwait", { 0x0f, 0x01, 0xc9 }, 3, X86_UD, X86_UD },
    { "umwait eax", { 0xf2, 0x0f, 0xae, 0xf0 }, 4, X86_UD, X86_UD },
    { "pause", { 0xf3, 0x90 }, 2, NO_FAULT, NO_FAULT },
    { "nop [rax]", { 0x0f, 0x1f, 0x00 }, 3, NO_FAULT, NO_FAULT },
    { "endbr64", { 0xf3, 0x0f, 0x1e, 0xfa }, 4, NO_FAULT, NO_FAULT },
    { "rdsspq rax", { 0xf3, 0x48, 0x0f, 0x1e, 0xc8 }, 5, NO_FAULT, NO_FAULT },
    { "prefetchw [rax]", { 0x0f, 0x0d, 0x08 }, 3, NO_FAULT, NO_FAULT },
    { "mfence", { 0x0f, 0xae, 0xf0 }, 3, NO_FAULT, NO_FAULT },
    { "serialize", { 0x0f, 0x01, 0xe8 }, 3, NO_FAULT, NO_FAULT },
    { "clflush [rax]", { 0x0f, 0xae, 0x38 }, 3, NO_FAULT, NO_FAULT },
    { "clwb [rax]", { 0x66, 0x0f, 0xae, 0x30 }, 4, NO_FAULT, NO_FAULT },
    { "rdrand rax", { 0x48, 0x0f, 0xc7, 0xf0 }, 4, NO_FAULT, NO_FAULT },
    { "rdseed ax", { 0x66, 0x0f, 0xc7, 0xf8 }, 4, NO_FAULT, NO_FAULT },
    { "lock nop", { 0xf0, 0x90 }, 2, X86_UD, X86_UD },
    { "lock mov rax, cr0", { 0xf0, 0x0f, 0x20, 0xc0 }, 4, X86_UD, X86_UD },
};

static unsigned fault_in(EmuHarness *harness, EmuHarnessMode mode, const InsnCase *insn)
{
    EmuCpu *cpu = harness->cpu;
    EmuFault fault;

    emu_harness_set_mode(cpu, mode);
    cpu->segs[X86_TR].limit = 0x66; /* no I/O bitmap */
    cpu->regs[X86_RAX] = 0x1000;
    cpu->regs[X86_RBX] = EMU_HARNESS_TABLES;
    cpu->regs[X86_RCX] = 0x10; /* the TSC */
    cpu->regs[X86_RDX] = 0;
    cpu->regs[X86_RSP] = STACK;
    cpu->halted = cpu->vcpu->halted = false;
    return emu_harness_run(harness, cpu, insn->bytes, insn->length, 1, &fault) ? NO_FAULT
                                                                               : fault.vector;
}

static void test_rights(void)
{
    EmuHarness *harness = emu_harness_new(1, NULL);

    for (size_t i = 0; i < G_N_ELEMENTS(insns); i++) {
        g_test_message("%s", insns[i].name);
        g_assert_cmphex(fault_in(harness, EMU_HARNESS_USER64, &insns[i]), ==, insns[i].user);
        g_assert_cmphex(fault_in(harness, EMU_HARNESS_LONG64, &insns[i]), ==, insns[i].kernel);
    }
    emu_harness_free(harness);
}

/* Results of those that give one. */
static void test_values(void)
{
    EmuHarness *harness = emu_harness_new(1, NULL);
    EmuCpu *cpu = harness->cpu;
    EmuFault fault;

    emu_harness_set_mode(cpu, EMU_HARNESS_LONG64);
    cpu->regs[X86_RAX] = UINT64_MAX;
    cpu->regs[X86_RCX] = 0;
    g_assert_true(emu_harness_run(harness, cpu, CODE(0x0f, 0x01, 0xd0), 1, &fault)); /* xgetbv */
    g_assert_cmphex(cpu->regs[X86_RAX], ==, 7);
    g_assert_cmphex(cpu->regs[X86_RDX], ==, 0);
    cpu->regs[X86_RAX] = UINT64_MAX;
    g_assert_true(emu_harness_run(harness, cpu, CODE(0x0f, 0x01, 0xe0), 1, &fault)); /* smsw */
    g_assert_cmphex(cpu->regs[X86_RAX], ==, (uint32_t)cpu->cr0);
    cpu->regs[X86_RAX] = 0; /* lmsw ax leaves PE */
    g_assert_true(emu_harness_run(harness, cpu, CODE(0x0f, 0x01, 0xf0), 1, &fault));
    g_assert_cmphex(cpu->cr0 & 0xf, ==, CR0_PE);
    emu_flags_set(cpu, FLAG_OF | FLAG_ZF);
    cpu->regs[X86_RAX] = 0;
    g_assert_true(emu_harness_run(harness, cpu, CODE(0x48, 0x0f, 0xc7, 0xf0), 1, &fault));
    g_assert_cmphex(emu_flags_get(cpu), ==, FLAG_CF);
    g_assert_cmphex(cpu->regs[X86_RAX], !=, 0);
    cpu->regs[X86_RAX] = cpu->regs[X86_RDX] = 0x1122334455667788ull; /* rdrand ax */
    g_assert_true(emu_harness_run(harness, cpu, CODE(0x66, 0x0f, 0xc7, 0xf0), 1, &fault));
    g_assert_cmphex(cpu->regs[X86_RAX] >> 16, ==, 0x112233445566);
    cpu->rflags &= ~(uint64_t)FLAG_AC; /* stac */
    g_assert_true(emu_harness_run(harness, cpu, CODE(0x0f, 0x01, 0xcb), 1, &fault));
    g_assert_cmphex(cpu->rflags & FLAG_AC, !=, 0);
    cpu->cr4 |= CR4_DE; /* mov rax, dr5 */
    g_assert_false(emu_harness_run(harness, cpu, CODE(0x0f, 0x21, 0xe8), 1, &fault));
    g_assert_cmphex(fault.vector, ==, X86_UD);
    cpu->dr[7] |= DR7_GD; /* mov rax, dr0 */
    g_assert_false(emu_harness_run(harness, cpu, CODE(0x0f, 0x21, 0xc0), 1, &fault));
    g_assert_cmphex(fault.vector, ==, X86_DB);
    g_assert_cmphex(cpu->dr[6] & DR6_BD, !=, 0);
    g_assert_cmphex(cpu->dr[7] & DR7_GD, ==, 0);
    emu_harness_free(harness);
}

/* CR4.VME and PVI: CLI and STI work on VIF. */
static void test_virtual_if(void)
{
    EmuHarness *harness = emu_harness_new(1, NULL);
    EmuCpu *cpu = harness->cpu;
    EmuFault fault;

    emu_harness_set_mode(cpu, EMU_HARNESS_USER64);
    cpu->cr4 |= CR4_PVI;
    g_assert_true(emu_harness_run(harness, cpu, CODE(0xfb), 1, &fault));
    g_assert_cmphex(cpu->rflags & (FLAG_VIF | FLAG_IF), ==, FLAG_VIF);
    g_assert_true(emu_harness_run(harness, cpu, CODE(0xfa), 1, &fault));
    g_assert_cmphex(cpu->rflags & (FLAG_VIF | FLAG_IF), ==, 0);
    cpu->rflags |= FLAG_VIP;
    g_assert_false(emu_harness_run(harness, cpu, CODE(0xfb), 1, &fault));
    g_assert_cmphex(fault.vector, ==, X86_GP);
    emu_harness_free(harness);
}

/* ---- Real-mode programs with handlers ---- */

typedef struct Program {
    EmuHarness *harness;
    EmuCpu *cpu;
} Program;

static void write_memory(uint64_t address, const void *bytes, size_t len)
{
    address_space_write(address_space_memory(), address, bytes, len);
}

static uint16_t read_word(uint64_t address)
{
    uint8_t bytes[2];

    address_space_read(address_space_memory(), address, bytes, sizeof(bytes));
    return ldw_le(bytes);
}

/* Interrupt `vector` leads to the code at HANDLER; the program starts at EMU_HARNESS_CODE. */
static void start_program(Program *program, unsigned vector, const void *handler,
                          size_t handler_len, const void *code, size_t len)
{
    uint8_t entry[4] = { HANDLER & 0xff, HANDLER >> 8, 0, 0 };
    EmuCpu *cpu;

    program->harness = emu_harness_new(1, NULL);
    program->cpu = cpu = program->harness->cpu;
    emu_harness_set_mode(cpu, EMU_HARNESS_REAL16);
    cpu->idt = (X86Table) { .limit = 0x3ff };
    write_memory(vector * 4, entry, sizeof(entry));
    write_memory(HANDLER, handler, handler_len);
    write_memory(EMU_HARNESS_CODE, code, len);
    memset(cpu->regs, 0, X86_REG__MAX * sizeof(cpu->regs[0]));
    cpu->regs[X86_RSP] = STACK;
    cpu->rip = EMU_HARNESS_CODE;
}

static void end_program(Program *program)
{
    emu_harness_free(program->harness);
}

/* inc cx; iret */
#define COUNTING_HANDLER CODE(0x41, 0xcf)

static void test_single_step(void)
{
    Program program;

    start_program(&program, X86_DB, COUNTING_HANDLER,
                  CODE(0x68, 0x02, 0x01,  /* push 102h: TF */
                       0x9d,              /* popf: not traced yet */
                       0x90,              /* nop: 1 */
                       0x8e, 0xd0,        /* mov ss, ax: delays its step, which is lost */
                       0x90,              /* nop: 2 */
                       0xcd, 0x40,        /* int 40h: clears TF, not traced */
                       0x68, 0x02, 0x00,  /* push 2: 3 */
                       0x9d,              /* popf: 4, the last */
                       0x90, 0xf4));
    /* int 40h: iret restores TF; the instruction after it is traced, iret itself is not */
    write_memory(0x40 * 4, (const uint8_t[]) { 0x80, 0x06, 0, 0 }, 4);
    write_memory(0x680, (const uint8_t[]) { 0xcf }, 1);
    g_assert_true(emu_harness_run_to_halt(program.cpu));
    g_assert_cmpuint(program.cpu->regs[X86_RCX], ==, 4);
    g_assert_cmphex(program.cpu->dr[6] & 0xf00f, ==, DR6_BS);
    end_program(&program);
}

static void test_breakpoints(void)
{
    Program program;

    /* The handler counts and disarms: mov eax, 400h; mov dr7, eax; inc cx; iret */
    start_program(&program, X86_DB,
                  CODE(0x66, 0xb8, 0x00, 0x04, 0, 0, 0x0f, 0x23, 0xf8, 0x41, 0xcf),
                  CODE(0x66, 0xb8, 0x02, 0x04, 0x01, 0x00, /* mov eax, 10402h */
                       0x0f, 0x23, 0xf8,                   /* mov dr7, eax: writes at DR0 */
                       0xa0, 0x00, 0x05,                   /* mov al, [500h]: a read */
                       0xa2, 0x00, 0x05,                   /* mov [500h], al */
                       0xa2, 0x00, 0x05,                   /* disarmed */
                       0x90, 0xf4));
    program.cpu->dr[0] = 0x500;
    g_assert_true(emu_harness_run_to_halt(program.cpu));
    g_assert_cmpuint(program.cpu->regs[X86_RCX], ==, 1);
    g_assert_cmphex(program.cpu->dr[6] & 0xf00f, ==, 1);
    /* Where the trap came: behind the store. */
    g_assert_cmphex(read_word(STACK - 6), ==, EMU_HARNESS_CODE + 15);
    end_program(&program);
}

static void test_execute_breakpoint(void)
{
    Program program;

    start_program(&program, X86_DB,
                  CODE(0x66, 0xb8, 0x00, 0x04, 0, 0, 0x0f, 0x23, 0xf8, 0x41, 0xcf),
                  CODE(0x66, 0xb8, 0x20, 0x04, 0x00, 0x00, /* mov eax, 420h */
                       0x0f, 0x23, 0xf8,                   /* mov dr7, eax: execute at DR2 */
                       0x43,                               /* inc bx */
                       0x43, 0xf4));
    program.cpu->dr[2] = EMU_HARNESS_CODE + 10;
    g_assert_true(emu_harness_run_to_halt(program.cpu));
    g_assert_cmpuint(program.cpu->regs[X86_RCX], ==, 1);
    g_assert_cmpuint(program.cpu->regs[X86_RBX], ==, 2);
    g_assert_cmphex(program.cpu->dr[6] & 0xf00f, ==, 4);
    g_assert_cmphex(read_word(STACK - 6), ==, EMU_HARNESS_CODE + 10);
    end_program(&program);
}

/* ---- Interrupts ---- */

/* One interrupt, which goes when it is acknowledged. */
static int ack_40(void *opaque)
{
    VCpu *vcpu = opaque;

    __atomic_and_fetch(&vcpu->irq_lines, ~(uint32_t)VCPU_IRQ_HARD, __ATOMIC_SEQ_CST);
    return 0x40;
}

static const VCpuApicOps one_interrupt = { .ack = ack_40 };

static void raise_interrupt(Program *program)
{
    VCpu *vcpu = program->cpu->vcpu;

    vcpu->apic_ops = &one_interrupt;
    vcpu->apic = vcpu;
    vcpu->irq_lines = VCPU_IRQ_HARD;
    emu_set_attention(program->cpu);
}

/* The handler notes BX in DX: how many instructions ran after STI. */
#define NOTING_HANDLER CODE(0x89, 0xda, 0xcf)

static void test_sti_shadow(void)
{
    Program program;

    start_program(&program, 0x40, NOTING_HANDLER,
                  CODE(0x43, 0xfb, 0x43, 0x43, 0xf4)); /* inc bx; sti; inc bx; inc bx; hlt */
    raise_interrupt(&program);
    g_assert_true(emu_harness_run_to_halt(program.cpu));
    g_assert_cmpuint(program.cpu->regs[X86_RDX], ==, 2);
    g_assert_cmpuint(program.cpu->regs[X86_RBX], ==, 3);
    end_program(&program);
}

/* What idle loops of old do: nothing may come between STI and CLI but behind the NOP. */
static void test_sti_window(void)
{
    Program program;

    start_program(&program, 0x40, NOTING_HANDLER,
                  CODE(0xfb, 0xfa, 0x43, 0xfb, 0x90, 0xfa, 0xf4)); /* inc bx between two pairs */
    raise_interrupt(&program);
    g_assert_true(emu_harness_run_to_halt(program.cpu));
    g_assert_cmpuint(program.cpu->regs[X86_RDX], ==, 1);
    end_program(&program);
}

/* NMI waits behind MOV SS, and for IRET if one is being handled. */
static void test_nmi(void)
{
    Program program;

    start_program(&program, X86_NMI, NOTING_HANDLER,
                  CODE(0x8e, 0xd0, 0x43, 0x43, 0xf4)); /* mov ss, ax; inc bx; inc bx; hlt */
    program.cpu->vcpu->irq_lines = VCPU_IRQ_NMI;
    program.cpu->shadow = EMU_SHADOW_MOV_SS; /* of an instruction before */
    g_assert_true(emu_harness_run_to_halt(program.cpu));
    g_assert_cmpuint(program.cpu->regs[X86_RDX], ==, 1);
    g_assert_false(program.cpu->nmi_masked);
    end_program(&program);
}

/* HLT ends when an interrupt is taken, and not before. */
static void test_halt(void)
{
    Program program;

    start_program(&program, 0x40, NOTING_HANDLER, CODE(0xfb, 0xf4, 0x43, 0xfa, 0xf4));
    g_assert_true(emu_harness_run_to_halt(program.cpu));
    g_assert_cmpuint(program.cpu->regs[X86_RBX], ==, 0);
    g_assert_false(emu_has_work(program.cpu->vcpu));
    raise_interrupt(&program);
    g_assert_true(emu_has_work(program.cpu->vcpu));
    emu_run(program.cpu->vcpu);
    program.cpu->vcpu->exit_request = false;
    if (!program.cpu->halted) {
        emu_run(program.cpu->vcpu);
    }
    g_assert_cmpuint(program.cpu->regs[X86_RBX], ==, 1);
    g_assert_true(program.cpu->halted);
    raise_interrupt(&program);
    g_assert_false(emu_has_work(program.cpu->vcpu)); /* CLI */
    end_program(&program);
}

/* ---- SMM, as firmware uses it ---- */

/* SMI handler: counts in memory and returns; HLT is gone back to. */
static void test_smi(void)
{
    Program program;

    start_program(&program, X86_NMI, NOTING_HANDLER, CODE(0x43, 0xf4, 0x43, 0xf4));
    write_memory(0x38000, (const uint8_t[]) { 0xfe, 0x06, 0x00, 0x05, 0x0f, 0xaa }, 6);
    g_assert_true(emu_harness_run_to_halt(program.cpu));
    g_assert_cmpuint(program.cpu->regs[X86_RBX], ==, 1);
    program.cpu->vcpu->irq_lines = VCPU_IRQ_SMI | VCPU_IRQ_NMI;
    g_assert_true(emu_has_work(program.cpu->vcpu));
    emu_run(program.cpu->vcpu);
    g_assert_cmpuint(program.harness->bytes[0x500], ==, 1);
    program.cpu->vcpu->exit_request = false;
    for (unsigned i = 0; i < 3; i++) {
        emu_run(program.cpu->vcpu);
    }
    /* The NMI came after RSM and ended HLT. */
    g_assert_cmpuint(program.cpu->regs[X86_RBX], ==, 2);
    g_assert_cmpuint(program.cpu->regs[X86_RDX], ==, 1);
    g_assert_true(program.cpu->halted && !program.cpu->in_smm);
    end_program(&program);
}

static const struct {
    const char *name;
    void (*run)(void);
} tests[] = {
    { "/emu/privileged/rights", test_rights },
    { "/emu/privileged/values", test_values },
    { "/emu/privileged/virtual-if", test_virtual_if },
    { "/emu/privileged/single-step", test_single_step },
    { "/emu/privileged/breakpoints", test_breakpoints },
    { "/emu/privileged/execute-breakpoint", test_execute_breakpoint },
    { "/emu/privileged/sti-shadow", test_sti_shadow },
    { "/emu/privileged/sti-window", test_sti_window },
    { "/emu/privileged/nmi", test_nmi },
    { "/emu/privileged/halt", test_halt },
    { "/emu/privileged/smi", test_smi },
};

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    error_init("test-privileged");
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_test_add_func(tests[i].name, tests[i].run);
    }
    return g_test_run();
}
