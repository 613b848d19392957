/* SPDX-License-Identifier: Apache-2.0 */
#include "accel/emu/op-int.h"

static unsigned operand_kind(const ZydisDecodedOperand *operand)
{
    switch (operand->type) {
    case ZYDIS_OPERAND_TYPE_REGISTER:
        switch (ZydisRegisterGetClass(operand->reg.value)) {
        case ZYDIS_REGCLASS_GPR8:
        case ZYDIS_REGCLASS_GPR16:
        case ZYDIS_REGCLASS_GPR32:
        case ZYDIS_REGCLASS_GPR64:
            return EMU_FORM_R;
        default:
            return 0;
        }
    case ZYDIS_OPERAND_TYPE_MEMORY:
        return EMU_FORM_M;
    case ZYDIS_OPERAND_TYPE_IMMEDIATE:
        return EMU_FORM_I;
    default:
        return 0;
    }
}

unsigned emu_form(const EmuDecoded *decoded)
{
    unsigned form = EMU_FORM_NONE;

    if (decoded->insn.operand_count_visible > 3) {
        return EMU_FORM_OTHER;
    }
    for (unsigned i = 0; i < decoded->insn.operand_count_visible; i++) {
        unsigned kind = operand_kind(&decoded->operands[i]);

        if (!kind) {
            return EMU_FORM_OTHER;
        }
        form |= kind << (i * 2);
    }
    return form;
}

unsigned emu_operand_bits(const EmuDecoded *decoded, unsigned operand)
{
    return decoded->operands[operand].size;
}

unsigned emu_operand_index(const EmuDecoded *decoded)
{
    return emu_size_index(emu_operand_bits(decoded, 0));
}

#define DEFINE_LOCKED_STEP(bits) \
    static uint64_t locked_step##bits(void *host, EmuRmwFn *fn, uint64_t source) \
    { \
        uint##bits##_t *cell = host; \
        uint##bits##_t old = __atomic_load_n(cell, __ATOMIC_RELAXED); \
        while (!__atomic_compare_exchange_n(cell, &old, (uint##bits##_t)fn(old, source), false, \
                                            __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) { \
        } \
        return old; \
    }
EMU_FOR_SIZES(DEFINE_LOCKED_STEP)

uint64_t emu_locked_rmw(EmuCpu *cpu, uint64_t linear, unsigned size, EmuRmwFn *fn,
                        uint64_t source)
{
    EmuLocked locked;
    uint64_t old;

    emu_locked_begin(cpu, linear, size, &locked);
    switch (size) {
    case 1:
        old = locked_step8(locked.host, fn, source);
        break;
    case 2:
        old = locked_step16(locked.host, fn, source);
        break;
    case 4:
        old = locked_step32(locked.host, fn, source);
        break;
    default:
        old = locked_step64(locked.host, fn, source);
        break;
    }
    emu_locked_end(cpu, &locked, true);
    return old;
}
