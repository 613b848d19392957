/* SPDX-License-Identifier: Apache-2.0 */
/* The first serial port, and what the compiler expects of a C library. */
#include "guest.h"

enum {
    COM1 = 0x3f8,
    COM1_LSR = COM1 + 5,
    LSR_THR_EMPTY = 0x20,
};

void *memcpy(void *restrict to, const void *restrict from, size_t count);
void *memset(void *to, int value, size_t count);

void *memcpy(void *restrict to, const void *restrict from, size_t count)
{
    void *at = to;

    __asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(count) : : "memory");
    return to;
}

void *memset(void *to, int value, size_t count)
{
    void *at = to;

    __asm__ volatile("rep stosb" : "+D"(at), "+c"(count) : "a"(value) : "memory");
    return to;
}

static void print_char(char c)
{
    while (!(read_port(COM1_LSR) & LSR_THR_EMPTY)) {
    }
    write_port(COM1, (uint8_t)c);
}

void print_text(const char *text)
{
    while (*text) {
        print_char(*text++);
    }
}

static void print_number(uint64_t number)
{
    char digits[21];
    char *position = digits + sizeof(digits) - 1;

    *position = '\0';
    do {
        *--position = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    print_text(position);
}

void print_value(const char *name, const char *suffix, uint64_t value)
{
    print_text(name);
    print_text(suffix);
    print_char('=');
    print_number(value);
    print_char('\n');
}

void print_begin(const struct job *job)
{
    print_text(job->name);
    print_text(".begin\n");
}

void print_result(const struct job *job, uint64_t count, uint64_t ticks)
{
    print_value(job->name, ".count", count);
    print_value(job->name, ".ticks", ticks);
}

void fail(const char *name, const char *why)
{
    print_text(name);
    print_text(": ");
    print_text(why);
    print_text("\nbench: failed\n");
    for (;;) {
        pause();
    }
}
