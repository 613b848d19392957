/* SPDX-License-Identifier: Apache-2.0 */
/* Tests that set flags, and the string compares of SSE4.2. */
#include "accel/emu/flags.h"
#include "accel/emu/vec-lanes.h"

/* ---- PTEST, VTESTPS, VTESTPD: only the bits of `mask` count ---- */

static void test_bits(EmuCpu *cpu, const EmuVec *a, const EmuVec *b, unsigned bytes, uint64_t mask)
{
    uint64_t both = 0, only_b = 0;

    for (unsigned i = 0; i < bytes / 8; i++) {
        both |= a->u64[i] & b->u64[i] & mask;
        only_b |= ~a->u64[i] & b->u64[i] & mask;
    }
    emu_flags_set(cpu, (both ? 0 : FLAG_ZF) | (only_b ? 0 : FLAG_CF));
}

EMU_VEC_FN(test_all)
{
    test_bits(cpu, a, b, bytes, UINT64_MAX);
}

EMU_VEC_FN(test_signs32)
{
    test_bits(cpu, a, b, bytes, 0x8000000080000000);
}

EMU_VEC_FN(test_signs64)
{
    test_bits(cpu, a, b, bytes, 0x8000000000000000);
}

/* ---- PCMPxSTRx ---- */

/* Bits of the immediate; bit 8 is ours. */
enum {
    STR_WORDS = 1u << 0, STR_SIGNED = 1u << 1, STR_OPERATION_SHIFT = 2, STR_NEGATE = 1u << 4,
    STR_MASKED = 1u << 5, STR_HIGH = 1u << 6 /* index of the last; mask of elements */,
    STR_WIDE = 1u << 8 /* lengths are in 64-bit registers */,
};
enum { EQUAL_ANY, RANGES, EQUAL_EACH, EQUAL_ORDERED };

typedef struct Strings {
    unsigned count;         /* elements that a vector has */
    unsigned length[2];     /* of them in the strings */
    int32_t element[2][16];
} Strings;

static void get_elements(Strings *s, unsigned which, const EmuVec *vec, unsigned imm)
{
    for (unsigned i = 0; i < s->count; i++) {
        switch (imm & (STR_WORDS | STR_SIGNED)) {
        case 0:
            s->element[which][i] = vec->u8[i];
            break;
        case STR_WORDS:
            s->element[which][i] = vec->u16[i];
            break;
        case STR_SIGNED:
            s->element[which][i] = vec->s8[i];
            break;
        default:
            s->element[which][i] = vec->s16[i];
            break;
        }
    }
}

static unsigned implicit_length(const Strings *s, unsigned which)
{
    unsigned length = 0;

    while (length < s->count && s->element[which][length]) {
        length++;
    }
    return length;
}

static unsigned explicit_length(const Strings *s, uint64_t reg, unsigned imm)
{
    int64_t value = imm & STR_WIDE ? (int64_t)reg : (int32_t)reg;
    uint64_t magnitude = value < 0 ? -(uint64_t)value : (uint64_t)value;

    return MIN(magnitude, s->count);
}

/* Is element i of the second string (b) as the operation wants it? */
static bool matches(const Strings *s, unsigned operation, unsigned i)
{
    const int32_t *a = s->element[0], *b = s->element[1];
    bool valid = i < s->length[1];

    switch (operation) {
    case EQUAL_ANY:
        for (unsigned j = 0; j < s->length[0]; j++) {
            if (valid && a[j] == b[i]) {
                return true;
            }
        }
        return false;
    case RANGES:
        for (unsigned j = 0; j + 1 < s->length[0]; j += 2) {
            if (valid && a[j] <= b[i] && b[i] <= a[j + 1]) {
                return true;
            }
        }
        return false;
    case EQUAL_EACH:
        return valid && i < s->length[0] ? a[i] == b[i] : valid == (i < s->length[0]);
    default:
        for (unsigned j = 0; j < s->length[0] && i + j < s->count; j++) {
            if (i + j >= s->length[1] || a[j] != b[i + j]) {
                return false;
            }
        }
        return true;
    }
}

/* Compare, set the flags, and give a bit for each element of b. */
static uint32_t compare_strings(EmuCpu *cpu, const Strings *s, unsigned imm)
{
    uint32_t valid = (1u << s->length[1]) - 1, result = 0;

    for (unsigned i = 0; i < s->count; i++) {
        result |= (uint32_t)matches(s, imm >> STR_OPERATION_SHIFT & 3, i) << i;
    }
    if (imm & STR_NEGATE) {
        result ^= imm & STR_MASKED ? valid : (1u << s->count) - 1;
    }
    emu_flags_set(cpu, (result ? FLAG_CF : 0) | (s->length[1] < s->count ? FLAG_ZF : 0) |
                           (s->length[0] < s->count ? FLAG_SF : 0) | (result & 1 ? FLAG_OF : 0));
    return result;
}

static void give_index(EmuCpu *cpu, const Strings *s, uint32_t result, unsigned imm)
{
    if (!result) {
        cpu->regs[X86_RCX] = s->count;
    } else {
        cpu->regs[X86_RCX] = imm & STR_HIGH ? 31 - __builtin_clz(result) : __builtin_ctz(result);
    }
}

static void give_mask(EmuCpu *cpu, const Strings *s, uint32_t result, unsigned imm)
{
    EmuVec *dst = &cpu->vec[0];

    dst->u64[0] = dst->u64[1] = 0;
    if (!(imm & STR_HIGH)) {
        dst->u64[0] = result;
    } else {
        for (unsigned i = 0; i < 16; i++) {
            dst->u8[i] = result >> (imm & STR_WORDS ? i / 2 : i) & 1 ? 0xff : 0;
        }
    }
    if (cpu->op->flags & EMU_OP_VEX) {
        dst->u64[2] = dst->u64[3] = 0;
    }
}

#define STRING_COMPARE(name, length0, length1, give) \
    EMU_VEC_FN(name) \
    { \
        Strings s = { .count = imm & STR_WORDS ? 8 : 16 }; \
        \
        get_elements(&s, 0, a, imm); \
        get_elements(&s, 1, b, imm); \
        s.length[0] = length0; \
        s.length[1] = length1; \
        give(cpu, &s, compare_strings(cpu, &s, imm), imm); \
    }
STRING_COMPARE(explicit_index, explicit_length(&s, cpu->regs[X86_RAX], imm),
               explicit_length(&s, cpu->regs[X86_RDX], imm), give_index)
STRING_COMPARE(explicit_mask, explicit_length(&s, cpu->regs[X86_RAX], imm),
               explicit_length(&s, cpu->regs[X86_RDX], imm), give_mask)
STRING_COMPARE(implicit_index, implicit_length(&s, 0), implicit_length(&s, 1), give_index)
STRING_COMPARE(implicit_mask, implicit_length(&s, 0), implicit_length(&s, 1), give_mask)

static EmuOpFn *bind_string(const EmuDecoded *decoded, EmuOp *op)
{
    bool wide = decoded->insn.operand_width == 64;
    EmuOpFn *fn = emu_vec_bind(decoded, op);

    op->imm2 |= wide ? STR_WIDE : 0;
    return fn;
}

/* ---- Instructions ---- */

#define STRING_ROW(name, function) \
    { ZYDIS_MNEMONIC_##name, EMU_UNIT_SSE, bind_string, \
      &(const EmuVecRow) { .fn = function, .flags = EMU_VEC_FLAGS | EMU_VEC_UNALIGNED } }
#define STRING(name, function) STRING_ROW(name, function), STRING_ROW(V##name, function)

static const EmuInsn rows[] = {
    EMU_VEC_BOTH(PTEST, .fn = test_all, .flags = EMU_VEC_FLAGS),
    EMU_VEC_ROW(VTESTPS, .fn = test_signs32, .flags = EMU_VEC_FLAGS),
    EMU_VEC_ROW(VTESTPD, .fn = test_signs64, .flags = EMU_VEC_FLAGS),
    STRING(PCMPESTRI, explicit_index), STRING(PCMPESTRM, explicit_mask),
    STRING(PCMPISTRI, implicit_index), STRING(PCMPISTRM, implicit_mask),
};

const EmuInsnTable emu_insns_vec_misc = { .rows = rows, .count = G_N_ELEMENTS(rows) };
