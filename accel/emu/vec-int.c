/* SPDX-License-Identifier: Apache-2.0 */
/* Integer arithmetic, logic, compares and shifts of MMX, SSE and AVX. */
#include "accel/emu/vec-lanes.h"

/* ---- Sums, differences, averages ---- */

EMU_VEC_ELEMENTS(add8, u8, p + q)
EMU_VEC_ELEMENTS(add16, u16, p + q)
EMU_VEC_ELEMENTS(add32, u32, p + q)
EMU_VEC_ELEMENTS(add64, u64, p + q)
EMU_VEC_ELEMENTS(sub8, u8, p - q)
EMU_VEC_ELEMENTS(sub16, u16, p - q)
EMU_VEC_ELEMENTS(sub32, u32, p - q)
EMU_VEC_ELEMENTS(sub64, u64, p - q)
EMU_VEC_ELEMENTS(add_s8, s8, CLAMP(p + q, INT8_MIN, INT8_MAX))
EMU_VEC_ELEMENTS(add_s16, s16, CLAMP(p + q, INT16_MIN, INT16_MAX))
EMU_VEC_ELEMENTS(add_u8, u8, MIN(p + q, UINT8_MAX))
EMU_VEC_ELEMENTS(add_u16, u16, MIN(p + q, UINT16_MAX))
EMU_VEC_ELEMENTS(sub_s8, s8, CLAMP(p - q, INT8_MIN, INT8_MAX))
EMU_VEC_ELEMENTS(sub_s16, s16, CLAMP(p - q, INT16_MIN, INT16_MAX))
EMU_VEC_ELEMENTS(sub_u8, u8, p > q ? p - q : 0)
EMU_VEC_ELEMENTS(sub_u16, u16, p > q ? p - q : 0)
EMU_VEC_ELEMENTS(avg8, u8, (p + q + 1) >> 1)
EMU_VEC_ELEMENTS(avg16, u16, (p + q + 1) >> 1)

/* Neighbours: the lower half of a lane's result comes from a, the upper from b. */
#define HORIZONTAL(name, field, operation) \
    EMU_VEC_LANES(name, { \
        unsigned half = size / sizeof(r.field[0]) / 2; \
        r = x; \
        for (unsigned i = 0; i < half; i++) { \
            r.field[i] = operation(x.field[2 * i], x.field[2 * i + 1]); \
            r.field[half + i] = operation(y.field[2 * i], y.field[2 * i + 1]); \
        } \
    })
#define SUM(p, q) ((p) + (q))
#define DIFFERENCE(p, q) ((p) - (q))
#define SUM_S16(p, q) CLAMP((p) + (q), INT16_MIN, INT16_MAX)
#define DIFFERENCE_S16(p, q) CLAMP((p) - (q), INT16_MIN, INT16_MAX)
HORIZONTAL(hadd16, u16, SUM)
HORIZONTAL(hadd32, u32, SUM)
HORIZONTAL(hadd_s16, s16, SUM_S16)
HORIZONTAL(hsub16, u16, DIFFERENCE)
HORIZONTAL(hsub32, u32, DIFFERENCE)
HORIZONTAL(hsub_s16, s16, DIFFERENCE_S16)

EMU_VEC_LANES(sad8, {
    for (unsigned i = 0; i < 2; i++) {
        unsigned sum = 0;

        for (unsigned j = 8 * i; j < 8 * i + 8; j++) {
            sum += ABS(x.u8[j] - y.u8[j]);
        }
        r.u64[i] = sum;
    }
})

/* Each lane has three bits of the immediate. */
EMU_VEC_LANES(mpsad8, {
    unsigned select = imm >> (3 * n);
    const uint8_t *left = x.u8 + (select & 4);
    const uint8_t *right = y.u8 + 4 * (select & 3);

    for (unsigned i = 0; i < 8; i++) {
        unsigned sum = 0;

        for (unsigned j = 0; j < 4; j++) {
            sum += ABS(left[i + j] - right[j]);
        }
        r.u16[i] = sum;
    }
})

EMU_VEC_LANES(hminpos16, {
    unsigned best = 0;

    for (unsigned i = 1; i < 8; i++) {
        best = y.u16[i] < y.u16[best] ? i : best;
    }
    r = (EmuLane) { .u16 = { y.u16[best], best } };
})

/* ---- Products ---- */

EMU_VEC_ELEMENTS(mullo16, u16, (uint32_t)p * q)
EMU_VEC_ELEMENTS(mulhi_s16, s16, p * q >> 16)
EMU_VEC_ELEMENTS(mulhi_u16, u16, (uint32_t)p * q >> 16)
EMU_VEC_ELEMENTS(mulhrs16, s16, ((p * q >> 14) + 1) >> 1)
EMU_VEC_ELEMENTS(mullo32, u32, p * q)
EMU_VEC_ELEMENTS(mul_u32, u64, (uint64_t)(uint32_t)p * (uint32_t)q)
EMU_VEC_ELEMENTS(mul_s32, s64, (int64_t)(int32_t)p * (int32_t)q)

EMU_VEC_LANES(madd16, {
    for (unsigned i = 0; i < 4; i++) {
        r.u32[i] = (uint32_t)(x.s16[2 * i] * y.s16[2 * i]) +
                   (uint32_t)(x.s16[2 * i + 1] * y.s16[2 * i + 1]);
    }
})

EMU_VEC_LANES(maddubs16, {
    for (unsigned i = 0; i < 8; i++) {
        int sum = x.u8[2 * i] * y.s8[2 * i] + x.u8[2 * i + 1] * y.s8[2 * i + 1];

        r.s16[i] = CLAMP(sum, INT16_MIN, INT16_MAX);
    }
})

/* ---- Minimum, maximum, sign ---- */

EMU_VEC_ELEMENTS(min_s8, s8, MIN(p, q))
EMU_VEC_ELEMENTS(min_u8, u8, MIN(p, q))
EMU_VEC_ELEMENTS(min_s16, s16, MIN(p, q))
EMU_VEC_ELEMENTS(min_u16, u16, MIN(p, q))
EMU_VEC_ELEMENTS(min_s32, s32, MIN(p, q))
EMU_VEC_ELEMENTS(min_u32, u32, MIN(p, q))
EMU_VEC_ELEMENTS(max_s8, s8, MAX(p, q))
EMU_VEC_ELEMENTS(max_u8, u8, MAX(p, q))
EMU_VEC_ELEMENTS(max_s16, s16, MAX(p, q))
EMU_VEC_ELEMENTS(max_u16, u16, MAX(p, q))
EMU_VEC_ELEMENTS(max_s32, s32, MAX(p, q))
EMU_VEC_ELEMENTS(max_u32, u32, MAX(p, q))
/* Negation in unsigned arithmetic: the most negative number stays. */
EMU_VEC_ELEMENTS(abs8, s8, q < 0 ? -(unsigned)q : (unsigned)q)
EMU_VEC_ELEMENTS(abs16, s16, q < 0 ? -(unsigned)q : (unsigned)q)
EMU_VEC_ELEMENTS(abs32, s32, q < 0 ? -(uint32_t)q : (uint32_t)q)
EMU_VEC_ELEMENTS(sign8, s8, q < 0 ? -(unsigned)p : q ? (unsigned)p : 0)
EMU_VEC_ELEMENTS(sign16, s16, q < 0 ? -(unsigned)p : q ? (unsigned)p : 0)
EMU_VEC_ELEMENTS(sign32, s32, q < 0 ? -(uint32_t)p : q ? (uint32_t)p : 0)

/* ---- Compares ---- */

EMU_VEC_ELEMENTS(equal8, u8, p == q ? -1 : 0)
EMU_VEC_ELEMENTS(equal16, u16, p == q ? -1 : 0)
EMU_VEC_ELEMENTS(equal32, u32, p == q ? -1 : 0)
EMU_VEC_ELEMENTS(equal64, u64, p == q ? -1 : 0)
EMU_VEC_ELEMENTS(greater8, s8, p > q ? -1 : 0)
EMU_VEC_ELEMENTS(greater16, s16, p > q ? -1 : 0)
EMU_VEC_ELEMENTS(greater32, s32, p > q ? -1 : 0)
EMU_VEC_ELEMENTS(greater64, s64, p > q ? -1 : 0)

/* ---- Logic ---- */

EMU_VEC_LANES(logic_and, { r.v = x.v & y.v; })
EMU_VEC_LANES(logic_andn, { r.v = ~x.v & y.v; })
EMU_VEC_LANES(logic_or, { r.v = x.v | y.v; })
EMU_VEC_LANES(logic_xor, { r.v = x.v ^ y.v; })

/* ---- Shifts: by the low 64 bits of b, by the immediate, by each element of b ---- */

#define SHIFT(name, type, operator, max, beyond) \
    static inline type name##_lane(type v, uint64_t count) \
    { \
        return count <= (max) ? v operator (int)count : v operator (beyond) operator (beyond); \
    } \
    EMU_VEC_FN(name##_by_vec) \
    { \
        const uint64_t count = b->u64[0]; \
        unsigned n = 0; \
        do { \
            ((type *)dst)[n] = name##_lane(((const type *)a)[n], count); \
        } while (++n * 16 < bytes); \
    } \
    EMU_VEC_FN(name##_by_imm) \
    { \
        unsigned n = 0; \
        do { \
            ((type *)dst)[n] = name##_lane(((const type *)b)[n], imm); \
        } while (++n * 16 < bytes); \
    }
/* Two shifts by half the width leave zeros or the sign. */
SHIFT(sll16, EmuV16u16, <<, 15, 8)
SHIFT(sll32, EmuV16u32, <<, 31, 16)
SHIFT(sll64, EmuV16u64, <<, 63, 32)
SHIFT(srl16, EmuV16u16, >>, 15, 8)
SHIFT(srl32, EmuV16u32, >>, 31, 16)
SHIFT(srl64, EmuV16u64, >>, 63, 32)
SHIFT(sra16, EmuV16s16, >>, 15, 8)
SHIFT(sra32, EmuV16s32, >>, 31, 16)

EMU_VEC_LANES(sll128, {
    r = (EmuLane) { .u64 = { 0 } };
    for (unsigned i = imm; i < 16; i++) {
        r.u8[i] = y.u8[i - imm];
    }
})
EMU_VEC_LANES(srl128, {
    r = (EmuLane) { .u64 = { 0 } };
    for (unsigned i = imm; i < 16; i++) {
        r.u8[i - imm] = y.u8[i];
    }
})

EMU_VEC_ELEMENTS(sllv32, u32, q < 32 ? p << q : 0)
EMU_VEC_ELEMENTS(sllv64, u64, q < 64 ? p << q : 0)
EMU_VEC_ELEMENTS(srlv32, u32, q < 32 ? p >> q : 0)
EMU_VEC_ELEMENTS(srlv64, u64, q < 64 ? p >> q : 0)
EMU_VEC_ELEMENTS(srav32, s32, p >> ((uint32_t)q < 32 ? q : 31))

/* ---- Instructions ---- */

#define BOTH(name, function) EMU_VEC_BOTH(name, .fn = function, .flags = EMU_VEC_IN_PLACE)
#define AVX(name, function) EMU_VEC_ROW(name, .fn = function, .flags = EMU_VEC_IN_PLACE)
#define SHIFT_DATA(function) \
    &(const EmuVecPair) { { .fn = function##_by_vec, .flags = EMU_VEC_IN_PLACE }, \
                          { .fn = function##_by_imm, .flags = EMU_VEC_IN_PLACE } }
#define SHIFTS(name, function) \
    { ZYDIS_MNEMONIC_##name, EMU_UNIT_SSE, emu_vec_bind_pair, SHIFT_DATA(function) }, \
    { ZYDIS_MNEMONIC_V##name, EMU_UNIT_SSE, emu_vec_bind_pair, SHIFT_DATA(function) }

static const EmuInsn rows[] = {
    BOTH(PADDB, add8), BOTH(PADDW, add16), BOTH(PADDD, add32), BOTH(PADDQ, add64),
    BOTH(PSUBB, sub8), BOTH(PSUBW, sub16), BOTH(PSUBD, sub32), BOTH(PSUBQ, sub64),
    BOTH(PADDSB, add_s8), BOTH(PADDSW, add_s16), BOTH(PADDUSB, add_u8), BOTH(PADDUSW, add_u16),
    BOTH(PSUBSB, sub_s8), BOTH(PSUBSW, sub_s16), BOTH(PSUBUSB, sub_u8), BOTH(PSUBUSW, sub_u16),
    BOTH(PAVGB, avg8), BOTH(PAVGW, avg16),
    BOTH(PHADDW, hadd16), BOTH(PHADDD, hadd32), BOTH(PHADDSW, hadd_s16),
    BOTH(PHSUBW, hsub16), BOTH(PHSUBD, hsub32), BOTH(PHSUBSW, hsub_s16),
    BOTH(PSADBW, sad8), BOTH(MPSADBW, mpsad8), BOTH(PHMINPOSUW, hminpos16),
    BOTH(PMULLW, mullo16), BOTH(PMULHW, mulhi_s16), BOTH(PMULHUW, mulhi_u16),
    BOTH(PMULHRSW, mulhrs16), BOTH(PMULLD, mullo32), BOTH(PMULUDQ, mul_u32), BOTH(PMULDQ, mul_s32),
    BOTH(PMADDWD, madd16), BOTH(PMADDUBSW, maddubs16),
    BOTH(PMINSB, min_s8), BOTH(PMINUB, min_u8), BOTH(PMINSW, min_s16), BOTH(PMINUW, min_u16),
    BOTH(PMINSD, min_s32), BOTH(PMINUD, min_u32),
    BOTH(PMAXSB, max_s8), BOTH(PMAXUB, max_u8), BOTH(PMAXSW, max_s16), BOTH(PMAXUW, max_u16),
    BOTH(PMAXSD, max_s32), BOTH(PMAXUD, max_u32),
    BOTH(PABSB, abs8), BOTH(PABSW, abs16), BOTH(PABSD, abs32),
    BOTH(PSIGNB, sign8), BOTH(PSIGNW, sign16), BOTH(PSIGND, sign32),
    BOTH(PCMPEQB, equal8), BOTH(PCMPEQW, equal16), BOTH(PCMPEQD, equal32), BOTH(PCMPEQQ, equal64),
    BOTH(PCMPGTB, greater8), BOTH(PCMPGTW, greater16), BOTH(PCMPGTD, greater32),
    BOTH(PCMPGTQ, greater64),
    BOTH(PAND, logic_and), BOTH(PANDN, logic_andn), BOTH(POR, logic_or), BOTH(PXOR, logic_xor),
    BOTH(ANDPS, logic_and), BOTH(ANDNPS, logic_andn), BOTH(ORPS, logic_or), BOTH(XORPS, logic_xor),
    BOTH(ANDPD, logic_and), BOTH(ANDNPD, logic_andn), BOTH(ORPD, logic_or), BOTH(XORPD, logic_xor),
    SHIFTS(PSLLW, sll16), SHIFTS(PSLLD, sll32), SHIFTS(PSLLQ, sll64),
    SHIFTS(PSRLW, srl16), SHIFTS(PSRLD, srl32), SHIFTS(PSRLQ, srl64),
    SHIFTS(PSRAW, sra16), SHIFTS(PSRAD, sra32),
    BOTH(PSLLDQ, sll128), BOTH(PSRLDQ, srl128),
    AVX(VPSLLVD, sllv32), AVX(VPSLLVQ, sllv64), AVX(VPSRLVD, srlv32), AVX(VPSRLVQ, srlv64),
    AVX(VPSRAVD, srav32),
};

const EmuInsnTable emu_insns_vec_int = { .rows = rows, .count = G_N_ELEMENTS(rows) };
