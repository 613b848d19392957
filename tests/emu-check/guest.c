/* SPDX-License-Identifier: Apache-2.0 */
/* Does each load, says its result on COM1, and halts. */
#include "tests/emu-check/work.h"

#define COM1 0x3f8
#define MEMORY 0x1000000u

void guest_main(void);

static void put_char(char c)
{
    __asm__ volatile("outb %0, %1" : : "a"(c), "Nd"((uint16_t)COM1));
}

static void put(const char *text)
{
    while (*text) {
        put_char(*text++);
    }
}

void guest_main(void)
{
    for (const Work *work = works; work->name; work++) {
        uint64_t result = work->run((uint8_t *)MEMORY);

        put(work->name);
        put_char('=');
        for (int shift = 60; shift >= 0; shift -= 4) {
            put_char("0123456789abcdef"[result >> shift & 15]);
        }
        put_char('\n');
    }
    put("done\n");
}
