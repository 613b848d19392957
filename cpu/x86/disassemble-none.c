/* SPDX-License-Identifier: Apache-2.0 */
/* In place of disassemble.c where there is no Zydis. */
#include "cpu/x86/disassemble.h"

bool x86_disassemble_available(void)
{
    return false;
}

char *x86_disassemble(const uint8_t *code, size_t len, unsigned bits, uint64_t addr,
                      unsigned *length)
{
    *length = 1;
    return NULL;
}
