/* SPDX-License-Identifier: Apache-2.0 */
#include "cpu/x86/disassemble.h"

#include <Zydis/Zydis.h>
#include <glib.h>

#define TEXT_MAX 256

bool x86_disassemble_available(void)
{
    return true;
}

char *x86_disassemble(const uint8_t *code, size_t len, unsigned bits, uint64_t addr,
                      unsigned *length)
{
    ZydisMachineMode mode = bits == 64   ? ZYDIS_MACHINE_MODE_LONG_64
                            : bits == 32 ? ZYDIS_MACHINE_MODE_LEGACY_32
                                         : ZYDIS_MACHINE_MODE_LEGACY_16;
    ZydisStackWidth stack = bits == 64   ? ZYDIS_STACK_WIDTH_64
                            : bits == 32 ? ZYDIS_STACK_WIDTH_32
                                         : ZYDIS_STACK_WIDTH_16;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    ZydisDecodedInstruction instruction;
    ZydisFormatter formatter;
    ZydisDecoder decoder;
    char text[TEXT_MAX];

    *length = 1;
    if (!ZYAN_SUCCESS(ZydisDecoderInit(&decoder, mode, stack)) ||
        !ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, code, len, &instruction, operands)) ||
        !ZYAN_SUCCESS(ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_ATT)) ||
        !ZYAN_SUCCESS(ZydisFormatterFormatInstruction(&formatter, &instruction, operands,
                                                      instruction.operand_count_visible, text,
                                                      sizeof(text), addr, NULL))) {
        return NULL;
    }
    *length = instruction.length;
    return g_strdup(text);
}
