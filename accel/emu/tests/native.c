/* SPDX-License-Identifier: Apache-2.0 */
#include "accel/emu/tests/native.h"

#include <glib.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#if defined(__x86_64__)

static const int signals[] = { SIGFPE, SIGILL, SIGSEGV, SIGBUS };

struct Native {
    uint8_t *page;
    struct sigaction old[G_N_ELEMENTS(signals)];
};

void native_call(NativeState *state, const void *code);

/* Offsets: regs 0, rflags 128, fpu 192. While the code runs the stack is: return, code, state. */
G_STATIC_ASSERT(offsetof(NativeState, rflags) == 128 && offsetof(NativeState, fpu) == 192);
G_STATIC_ASSERT(offsetof(NativeXsave, header) == 512);
__asm__(".text\n"
        ".type native_call, @function\n"
        ".globl native_call\n"
        "native_call:\n"
        "push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
        "push %rdi; push %rsi\n"
        "mov $7, %eax; xor %edx, %edx\n"
        "xrstor64 192(%rdi)\n"
        "pushq 128(%rdi); popfq\n"
        "mov (%rdi), %rax; mov 8(%rdi), %rcx; mov 16(%rdi), %rdx; mov 24(%rdi), %rbx\n"
        "mov 40(%rdi), %rbp; mov 48(%rdi), %rsi; mov 64(%rdi), %r8; mov 72(%rdi), %r9\n"
        "mov 80(%rdi), %r10; mov 88(%rdi), %r11; mov 96(%rdi), %r12; mov 104(%rdi), %r13\n"
        "mov 112(%rdi), %r14; mov 120(%rdi), %r15; mov 56(%rdi), %rdi\n"
        "call *(%rsp)\n"
        "xchg %rdi, 8(%rsp)\n"
        "mov %rax, (%rdi); mov %rcx, 8(%rdi); mov %rdx, 16(%rdi); mov %rbx, 24(%rdi)\n"
        "mov %rbp, 40(%rdi); mov %rsi, 48(%rdi); mov %r8, 64(%rdi); mov %r9, 72(%rdi)\n"
        "mov %r10, 80(%rdi); mov %r11, 88(%rdi); mov %r12, 96(%rdi); mov %r13, 104(%rdi)\n"
        "mov %r14, 112(%rdi); mov %r15, 120(%rdi)\n"
        "pushfq; popq 128(%rdi); cld\n"
        "mov 8(%rsp), %rax; mov %rax, 56(%rdi)\n"
        "mov $7, %eax; xor %edx, %edx\n"
        "xsave64 192(%rdi)\n"
        "fninit; vzeroupper\n"
        "movl $0x1f80, (%rsp); ldmxcsr (%rsp)\n"
        "add $16, %rsp\n"
        "pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
        "ret\n"
        ".size native_call, . - native_call\n");

/* Return from the code as its RET would. */
static void on_signal(int number, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    greg_t *regs = uc->uc_mcontext.gregs;
    uint64_t *stack = (uint64_t *)regs[REG_RSP];
    NativeState *state = (NativeState *)stack[2];

    state->trap = regs[REG_TRAPNO];
    state->address = regs[REG_CR2];
    regs[REG_RIP] = (greg_t)stack[0];
    regs[REG_RSP] += 8;
}

bool native_usable(void)
{
    return __builtin_cpu_supports("avx2");
}

Native *native_new(void)
{
    Native *native = g_new0(Native, 1);
    struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };

    native->page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    g_assert_true(native->page != MAP_FAILED);
    for (unsigned i = 0; i < G_N_ELEMENTS(signals); i++) {
        sigaction(signals[i], &action, &native->old[i]);
    }
    return native;
}

void native_free(Native *native)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(signals); i++) {
        sigaction(signals[i], &native->old[i], NULL);
    }
    munmap(native->page, 4096);
    g_free(native);
}

void native_run(Native *native, const uint8_t *code, size_t length, NativeState *state)
{
    memcpy(native->page, code, length);
    native->page[length] = 0xc3; /* RET */
    state->trap = 0;
    state->rflags = (state->rflags & 0x8d5) | 0x202;
    memset(state->fpu.header, 0, sizeof(state->fpu.header));
    state->fpu.header[0] = 7;
    native_call(state, native->page);
    state->rflags &= 0x8d5;
}

#else

bool native_usable(void)
{
    return false;
}

Native *native_new(void)
{
    return NULL;
}

void native_free(Native *native)
{
}

void native_run(Native *native, const uint8_t *code, size_t length, NativeState *state)
{
    g_assert_not_reached();
}

#endif
