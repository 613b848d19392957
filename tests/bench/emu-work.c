/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads for guests, run by tests/bench/emu-init: emu-work LOAD COUNT, or emu-work MAKE PATH COUNT
 * to write input for other programs. The same program gives the same work everywhere: two of the
 * loops are written in assembly so that their number of instructions is known.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* 12 instructions a turn, registers only. */
uint64_t work_registers(uint64_t count);
/* 12 instructions a turn: a load, a store, a push, a pop, a call and a return among them. */
uint64_t work_memory(uint64_t count, uint64_t words[512]);

__asm__(".text\n"
        "work_registers:\n"
        "    mov $0x9e3779b9, %eax\n"
        "1:  mov %rax, %rdx\n"
        "    shl $13, %rdx\n"
        "    xor %rdx, %rax\n"
        "    mov %rax, %rdx\n"
        "    shr $7, %rdx\n"
        "    xor %rdx, %rax\n"
        "    mov %rax, %rdx\n"
        "    shl $17, %rdx\n"
        "    xor %rdx, %rax\n"
        "    add %rdi, %rax\n"
        "    dec %rdi\n"
        "    jnz 1b\n"
        "    ret\n"
        "work_memory:\n"
        "    xor %edx, %edx\n"
        "    xor %eax, %eax\n"
        "1:  mov (%rsi,%rdx,8), %rcx\n"
        "    add $3, %rcx\n"
        "    mov %rcx, (%rsi,%rdx,8)\n"
        "    push %rcx\n"
        "    call 2f\n"
        "    pop %rcx\n"
        "    inc %edx\n"
        "    and $511, %edx\n"
        "    dec %rdi\n"
        "    jnz 1b\n"
        "    ret\n"
        "2:  add %rcx, %rax\n"
        "    ret\n");

static uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void run_registers(unsigned long count)
{
    printf("%lx\n", (unsigned long)work_registers(count));
}

static void run_memory(unsigned long count)
{
    static uint64_t words[512];

    printf("%lx\n", (unsigned long)work_memory(count, words));
}

static void run_integer(unsigned long count)
{
    uint64_t state = 1, sum = 0;

    for (unsigned long i = 0; i < count; i++) {
        sum += random_next(&state) % 1000 * i;
    }
    printf("%lx\n", (unsigned long)sum);
}

static void run_float(unsigned long count)
{
    double x = 0.5, sum = 0;

    for (unsigned long i = 0; i < count; i++) {
        x = x * 3.9 * (1 - x);
        sum += sqrt(x) / (1 + x);
    }
    printf("%g\n", sum);
}

static void run_x87(unsigned long count)
{
    long double x = 0.5L, sum = 0;

    for (unsigned long i = 0; i < count; i++) {
        x = x * 3.9L * (1 - x);
        sum += sqrtl(x) / (1 + x);
    }
    printf("%Lg\n", sum);
}

static __attribute__((noinline)) unsigned long fibonacci(unsigned n)
{
    return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

static int compare(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

/* Calls to all depths from several places, and by pointer. */
static void run_calls(unsigned long count)
{
    static uint64_t words[4096];
    uint64_t state = 1;

    for (unsigned long i = 0; i < count; i++) {
        words[0] += fibonacci(20);
        for (unsigned j = 1; j < 4096; j++) {
            words[j] = random_next(&state);
        }
        qsort(words + 1, 4095, sizeof(words[0]), compare);
    }
    printf("%lx\n", (unsigned long)words[0]);
}

static void run_syscall(unsigned long count)
{
    for (unsigned long i = 0; i < count; i++) {
        syscall(SYS_getppid);
    }
}

static void run_fork(unsigned long count)
{
    for (unsigned long i = 0; i < count; i++) {
        pid_t child = fork();

        if (child == 0) {
            _exit(0);
        }
        waitpid(child, NULL, 0);
    }
}

/* Words out of a small vocabulary, so that a compressor finds something to do. */
static void make_text(FILE *out, unsigned long count)
{
    char words[512][12];
    uint64_t state = 1;

    for (unsigned i = 0; i < 512; i++) {
        unsigned length = 2 + random_next(&state) % 9;

        for (unsigned j = 0; j < length; j++) {
            words[i][j] = (char)('a' + random_next(&state) % 26);
        }
        words[i][length] = 0;
    }
    for (unsigned long written = 0; written < count;) {
        written += (unsigned)fprintf(out, "%s ", words[random_next(&state) % 512]);
    }
}

static void make_lines(FILE *out, unsigned long count)
{
    uint64_t state = 1;

    for (unsigned long i = 0; i < count; i++) {
        fprintf(out, "%016lx %lu\n", (unsigned long)random_next(&state), i);
    }
}

static const struct {
    const char *name;
    void (*run)(unsigned long count);
} loads[] = {
    { "registers", run_registers }, { "memory", run_memory }, { "integer", run_integer },
    { "float", run_float }, { "x87", run_x87 }, { "calls", run_calls }, { "syscall", run_syscall },
    { "fork", run_fork },
};

static int make(const char *what, const char *path, unsigned long count)
{
    FILE *out = fopen(path, "w");

    if (!out) {
        perror(path);
        return 1;
    }
    if (strcmp(what, "text") == 0) {
        make_text(out, count);
    } else {
        make_lines(out, count);
    }
    return fclose(out) ? 1 : 0;
}

int main(int argc, char **argv)
{
    if (argc == 4) {
        return make(argv[1], argv[2], strtoul(argv[3], NULL, 0));
    }
    for (size_t i = 0; argc == 3 && i < sizeof(loads) / sizeof(loads[0]); i++) {
        if (strcmp(argv[1], loads[i].name) == 0) {
            loads[i].run(strtoul(argv[2], NULL, 0));
            return 0;
        }
    }
    fprintf(stderr, "usage: emu-work LOAD COUNT | text|lines PATH COUNT\n");
    return 2;
}
