/* SPDX-License-Identifier: Apache-2.0 */
#include <glib.h>

#include "cpu/x86/disassemble.h"

static void check(unsigned bits, const char *code, size_t len, unsigned length, const char *text)
{
    unsigned got;
    g_autofree char *line = x86_disassemble((const uint8_t *)code, len, bits, 0x1000, &got);

    g_assert_cmpuint(got, ==, length);
    g_assert_cmpstr(line, ==, text);
}

static void test_modes(void)
{
    if (!x86_disassemble_available()) {
        g_test_skip("built without Zydis");
        return;
    }
    check(64, "\x48\x89\xd8", 3, 3, "mov %rbx, %rax");
    check(32, "\x48\x89\xd8", 3, 1, "dec %eax");
    check(16, "\xea\x5b\xe0\x00\xf0", 5, 5, "ljmp 0xF000:0xE05B");
    check(64, "\xeb\xfe", 2, 2, "jmp 0x0000000000001000");
    check(64, "\xf4", 1, 1, "hlt");
}

/* What is cut short or does not exist is one byte and no text. */
static void test_bad(void)
{
    check(64, "\x06", 1, 1, NULL);
    check(64, "\x48", 1, 1, NULL);
    check(64, "\xff\xff", 2, 1, NULL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/x86/disassemble/modes", test_modes);
    g_test_add_func("/x86/disassemble/bad", test_bad);
    return g_test_run();
}
