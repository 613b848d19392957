/* SPDX-License-Identifier: Apache-2.0 */
#include "accel/emu/tests/vec-host.h"

#include <glib.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

static const int signals[] = { SIGFPE, SIGILL, SIGSEGV, SIGBUS };

struct VecHost {
    uint8_t *page;
    struct sigaction old[G_N_ELEMENTS(signals)];
};

/* RDI is the state's memory: skip the instruction, note the fault, and mask further ones. */
static void on_signal(int number, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    VecHostState *state = (VecHostState *)(uc->uc_mcontext.gregs[REG_RDI] -
                                           (greg_t)offsetof(VecHostState, memory));

    if ((uint64_t)uc->uc_mcontext.gregs[REG_RIP] != state->code) {
        g_error("signal %d outside the instruction", number);
    }
    state->signal = number;
    state->mxcsr = uc->uc_mcontext.fpregs->mxcsr;
    uc->uc_mcontext.fpregs->mxcsr = 0x1f80;
    uc->uc_mcontext.gregs[REG_RIP] = (greg_t)(state->code + state->length);
}

VecHost *vec_host_new(void)
{
    VecHost *host = g_new0(VecHost, 1);
    struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_NODEFER };

    host->page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
                      -1, 0);
    g_assert_true(host->page != MAP_FAILED);
    for (unsigned i = 0; i < G_N_ELEMENTS(signals); i++) {
        sigaction(signals[i], &action, &host->old[i]);
    }
    return host;
}

void vec_host_free(VecHost *host)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(signals); i++) {
        sigaction(signals[i], &host->old[i], NULL);
    }
    munmap(host->page, 4096);
    g_free(host);
}

bool vec_host_usable(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("f16c");
}

#define FIELD(name) [name] "i"(offsetof(VecHostState, name) - offsetof(VecHostState, memory))
#define EACH_VEC(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) \
    X(14) X(15)
#define EACH_MM(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7)
#define LOAD_VEC(n) "vmovdqu %c[vec]+32*" #n "(%%rdi), %%ymm" #n "\n\t"
#define SAVE_VEC(n) "vmovdqu %%ymm" #n ", %c[vec]+32*" #n "(%%rdi)\n\t"
#define LOAD_MM(n) "movq %c[mm]+8*" #n "(%%rdi), %%mm" #n "\n\t"
#define SAVE_MM(n) "movq %%mm" #n ", %c[mm]+8*" #n "(%%rdi)\n\t"
#define EACH_REG(X) X(0, rax) X(1, rcx) X(2, rdx) X(3, rbx) X(5, rbp) X(6, rsi) X(8, r8) \
    X(9, r9) X(10, r10) X(11, r11) X(12, r12) X(13, r13) X(14, r14) X(15, r15)
#define LOAD_REG(n, name) "mov %c[regs]+8*" #n "(%%rdi), %%" #name "\n\t"
#define SAVE_REG(n, name) "mov %%" #name ", %c[regs]+8*" #n "(%%rdi)\n\t"

static __attribute__((noinline)) void run(VecHostState *state)
{
    uint32_t saved;

    __asm__ volatile(
        "stmxcsr %[saved]\n\t"
        "mov %[memory], %%rdi\n\t"
        "sub $128, %%rsp\n\t"
        "push %%rbp\n\t"
        "push %%rbx\n\t"
        EACH_VEC(LOAD_VEC) EACH_MM(LOAD_MM)
        "ldmxcsr %c[mxcsr](%%rdi)\n\t"
        "pushq %c[rflags](%%rdi)\n\t"
        "popfq\n\t"
        EACH_REG(LOAD_REG)
        "call *%c[code](%%rdi)\n\t"
        EACH_REG(SAVE_REG)
        "pushfq\n\t"
        "popq %c[rflags](%%rdi)\n\t"
        "cld\n\t"
        "cmpl $0, %c[signal](%%rdi)\n\t"
        "jne 1f\n\t"
        "stmxcsr %c[mxcsr](%%rdi)\n\t"
        "1:\n\t"
        EACH_VEC(SAVE_VEC) EACH_MM(SAVE_MM)
        "emms\n\t"
        "vzeroupper\n\t"
        "pop %%rbx\n\t"
        "pop %%rbp\n\t"
        "add $128, %%rsp\n\t"
        : [saved] "=m"(saved)
        : [memory] "r"(state->memory), FIELD(vec), FIELD(mm), FIELD(regs), FIELD(rflags),
          FIELD(mxcsr), FIELD(code), FIELD(signal)
        : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
          "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
          "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
    __asm__ volatile("ldmxcsr %0" : : "m"(saved));
}

void vec_host_run(VecHost *host, const uint8_t *code, unsigned length, VecHostState *state)
{
    const uint8_t ret = 0xc3;

    g_assert_cmpuint(length, <=, 15);
    if (memcmp(host->page, code, length) != 0 || host->page[length] != ret) {
        memcpy(host->page, code, length);
        host->page[length] = ret;
    }
    state->code = (uint64_t)host->page;
    state->length = length;
    state->signal = 0;
    state->rflags = (state->rflags & FLAG_ARITH) | 0x202;
    run(state);
    state->rflags &= FLAG_ARITH;
}
