/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A page of code that loads all registers, runs the instruction and stores all registers, and
 * behind it a page with the registers, which the code addresses relative to RIP. It lies low, so
 * that 32-bit code that the instruction calls can return to it.
 */
#include "accel/emu/tests/host-insn.h"

#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include <glib.h>

#define PAGE 4096
#define RSP 4

typedef struct Exchange {
    uint64_t regs[16];
    uint64_t rflags, host_rsp;
    uint8_t branched;
} Exchange;

typedef struct Native {
    uint8_t *code;
    Exchange *exchange;
    uint8_t *at;            /* where the next byte of code goes */
    uint8_t *insn;          /* where the instruction goes */
    sigjmp_buf escape;
} Native;

static Native native;

static void put(const void *bytes, unsigned len)
{
    memcpy(native.at, bytes, len);
    native.at += len;
}

/* An instruction that ends with the 32-bit distance to a field (and `behind` more bytes). */
static void put_with_field(const void *bytes, unsigned len, size_t field, unsigned behind)
{
    int32_t distance;

    put(bytes, len);
    distance = (int32_t)((uint8_t *)native.exchange + field - (native.at + 4 + behind));
    put(&distance, 4);
}

static void put_move(uint8_t opcode, unsigned reg, size_t field)
{
    uint8_t bytes[3] = { 0x48 | (reg & 8 ? 4 : 0), opcode, (reg & 7) << 3 | 5 };

    put_with_field(bytes, 3, field, 0);
}

static void put_loads(void)
{
    put("\x53\x55\x41\x54\x41\x55\x41\x56\x41\x57", 10); /* PUSH RBX, RBP, R12 to R15 */
    put_move(0x89, RSP, offsetof(Exchange, host_rsp));
    put_with_field("\xff\x35", 2, offsetof(Exchange, rflags), 0);
    put("\x9d", 1);
    for (unsigned i = 0; i < 16; i++) {
        put_move(0x8b, i, offsetof(Exchange, regs[i]));
    }
}

/* None of it touches the flags before they are stored. */
static void put_stores(void)
{
    put_with_field("\xc6\x05", 2, offsetof(Exchange, branched), 1);
    put("\0", 1);
    put("\xeb\x07", 2);
    put_with_field("\xc6\x05", 2, offsetof(Exchange, branched), 1);
    put("\1", 1);
    for (unsigned i = 0; i < 16; i++) {
        put_move(0x89, i, offsetof(Exchange, regs[i]));
    }
    put_move(0x8b, RSP, offsetof(Exchange, host_rsp));
    put("\x9c", 1);
    put_with_field("\x8f\x05", 2, offsetof(Exchange, rflags), 0);
    put("\xfc", 1);
    put("\x41\x5f\x41\x5e\x41\x5d\x41\x5c\x5d\x5b\xc3", 11);
}

static void on_signal(int number)
{
    siglongjmp(native.escape, number);
}

void host_insn_init(void)
{
    static const int signals[] = { SIGFPE, SIGILL, SIGSEGV, SIGBUS };
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_ONSTACK | SA_NODEFER };
    stack_t stack = { .ss_size = 64 * 1024 };

    native.code = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    g_assert(native.code != MAP_FAILED);
    native.exchange = (Exchange *)(native.code + PAGE);
    native.at = native.code;
    put_loads();
    native.insn = native.at;
    stack.ss_sp = mmap(NULL, stack.ss_size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    g_assert(stack.ss_sp != MAP_FAILED);
    g_assert(sigaltstack(&stack, NULL) == 0);
    for (size_t i = 0; i < G_N_ELEMENTS(signals); i++) {
        sigaction(signals[i], &action, NULL);
    }
}

int host_insn_run(HostState *state, const uint8_t *insn, unsigned len)
{
    Exchange *exchange = native.exchange;
    void (*run)(void) = (void (*)(void))native.code;
    int number;

    native.at = native.insn;
    put(insn, len);
    put_stores();
    memcpy(exchange->regs, state->regs, sizeof(exchange->regs));
    exchange->rflags = state->rflags;
    number = sigsetjmp(native.escape, 1);
    if (!number) {
        run();
        memcpy(state->regs, exchange->regs, sizeof(exchange->regs));
        state->rflags = exchange->rflags;
        state->branched = exchange->branched;
    } else {
        __asm__ volatile("cld" ::: "cc");
    }
    return number;
}
