/* SPDX-License-Identifier: Apache-2.0 */
/* Elements change places: packs, shuffles, permutes, blends, inserts, extracts, broadcasts. */
#include "accel/emu/vec-lanes.h"

/* ---- Pack and unpack ---- */

/* The lower half of a lane's result comes from a, the upper from b. */
#define PACK(name, to, from, min, max) \
    EMU_VEC_LANES(name, { \
        unsigned half = size / sizeof(r.from[0]); \
        r = x; \
        for (unsigned i = 0; i < half; i++) { \
            r.to[i] = CLAMP(x.from[i], min, max); \
            r.to[half + i] = CLAMP(y.from[i], min, max); \
        } \
    })
PACK(pack_s8, s8, s16, INT8_MIN, INT8_MAX)
PACK(pack_u8, u8, s16, 0, UINT8_MAX)
PACK(pack_s16, s16, s32, INT16_MIN, INT16_MAX)
PACK(pack_u16, u16, s32, 0, UINT16_MAX)

#define UNPACK(bits) \
    EMU_VEC_LANES(unpack_low##bits, { \
        r = x; \
        for (unsigned i = 0; i < size * 4 / bits; i++) { \
            r.u##bits[2 * i] = x.u##bits[i]; \
            r.u##bits[2 * i + 1] = y.u##bits[i]; \
        } \
    }) \
    EMU_VEC_LANES(unpack_high##bits, { \
        unsigned half = size * 4 / bits; \
        r = x; \
        for (unsigned i = 0; i < half; i++) { \
            r.u##bits[2 * i] = x.u##bits[half + i]; \
            r.u##bits[2 * i + 1] = y.u##bits[half + i]; \
        } \
    })
UNPACK(8)
UNPACK(16)
UNPACK(32)
UNPACK(64)

#define EXTEND(name, to, from) \
    EMU_VEC_FN(name) \
    { \
        for (unsigned i = 0; i < bytes / sizeof(dst->to[0]); i++) { \
            dst->to[i] = b->from[i]; \
        } \
    }
EXTEND(extend_s8_16, s16, s8)
EXTEND(extend_s8_32, s32, s8)
EXTEND(extend_s8_64, s64, s8)
EXTEND(extend_s16_32, s32, s16)
EXTEND(extend_s16_64, s64, s16)
EXTEND(extend_s32_64, s64, s32)
EXTEND(extend_u8_16, u16, u8)
EXTEND(extend_u8_32, u32, u8)
EXTEND(extend_u8_64, u64, u8)
EXTEND(extend_u16_32, u32, u16)
EXTEND(extend_u16_64, u64, u16)
EXTEND(extend_u32_64, u64, u32)

/* ---- Shuffles within a lane ---- */

EMU_VEC_LANES(shuffle8, {
    for (unsigned i = 0; i < 16; i++) {
        r.u8[i] = y.s8[i] < 0 ? 0 : x.u8[y.u8[i] & (size - 1)];
    }
})
EMU_VEC_LANES(shuffle32, {
    for (unsigned i = 0; i < 4; i++) {
        r.u32[i] = y.u32[imm >> 2 * i & 3];
    }
})
EMU_VEC_LANES(shuffle_low16, {
    r = y;
    for (unsigned i = 0; i < 4; i++) {
        r.u16[i] = y.u16[imm >> 2 * i & 3];
    }
})
EMU_VEC_LANES(shuffle_high16, {
    r = y;
    for (unsigned i = 0; i < 4; i++) {
        r.u16[4 + i] = y.u16[4 + (imm >> 2 * i & 3)];
    }
})
EMU_VEC_LANES(shuffle_two32, {
    r.u32[0] = x.u32[imm & 3];
    r.u32[1] = x.u32[imm >> 2 & 3];
    r.u32[2] = y.u32[imm >> 4 & 3];
    r.u32[3] = y.u32[imm >> 6 & 3];
})
EMU_VEC_LANES(shuffle_two64, {
    r.u64[0] = x.u64[imm >> 2 * n & 1];
    r.u64[1] = y.u64[imm >> (2 * n + 1) & 1];
})
EMU_VEC_LANES(permute32_by_vec, {
    for (unsigned i = 0; i < 4; i++) {
        r.u32[i] = x.u32[y.u32[i] & 3];
    }
})
EMU_VEC_LANES(permute64_by_vec, {
    r.u64[0] = x.u64[y.u64[0] >> 1 & 1];
    r.u64[1] = x.u64[y.u64[1] >> 1 & 1];
})
EMU_VEC_LANES(permute64_by_imm, {
    r.u64[0] = y.u64[imm >> 2 * n & 1];
    r.u64[1] = y.u64[imm >> (2 * n + 1) & 1];
})
EMU_VEC_LANES(double64, { r = (EmuLane) { .u64 = { y.u64[0], y.u64[0] } }; })
EMU_VEC_LANES(double_low32, {
    r = (EmuLane) { .u32 = { y.u32[0], y.u32[0], y.u32[2], y.u32[2] } };
})
EMU_VEC_LANES(double_high32, {
    r = (EmuLane) { .u32 = { y.u32[1], y.u32[1], y.u32[3], y.u32[3] } };
})

/* Bytes imm.. of a (above) and b (below) put together. */
EMU_VEC_LANES(align8, {
    uint8_t both[64] = { 0 };

    memcpy(both, &y, size);
    memcpy(both + size, &x, size);
    memcpy(&r, both + MIN(imm, 32), 16);
})

/* ---- Blends ---- */

#define BLEND(name, field, mask) \
    EMU_VEC_LANES(name, { \
        for (unsigned i = 0; i < EMU_LANE_COUNT(r, field); i++) { \
            r.field[i] = (mask) ? y.field[i] : x.field[i]; \
        } \
    })
BLEND(blend16, u16, imm >> i & 1)
BLEND(blend32, u32, imm >> (4 * n + i) & 1)
BLEND(blend64, u64, imm >> (2 * n + i) & 1)
BLEND(blend_by8, u8, emu_lane_get(c, n).s8[i] < 0)
BLEND(blend_by32, u32, emu_lane_get(c, n).s32[i] < 0)
BLEND(blend_by64, u64, emu_lane_get(c, n).s64[i] < 0)

/* ---- Across lanes ---- */

static EmuLane select_half(const EmuVec *a, const EmuVec *b, unsigned select)
{
    EmuLane half = emu_lane_get(select & 2 ? b : a, select & 1);

    return select & 8 ? (EmuLane) { .u64 = { 0 } } : half;
}

EMU_VEC_FN(permute_halves)
{
    emu_lane_put(dst, 0, select_half(a, b, imm));
    emu_lane_put(dst, 1, select_half(a, b, imm >> 4));
}

EMU_VEC_FN(permute_all32)
{
    for (unsigned i = 0; i < 8; i++) {
        dst->u32[i] = b->u32[a->u32[i] & 7];
    }
}

EMU_VEC_FN(permute_all64)
{
    for (unsigned i = 0; i < 4; i++) {
        dst->u64[i] = b->u64[imm >> 2 * i & 3];
    }
}

EMU_VEC_FN(insert128)
{
    emu_lane_put(dst, imm & 1, emu_lane_get(b, 0));
    emu_lane_put(dst, ~imm & 1, emu_lane_get(a, ~imm & 1));
}

EMU_VEC_FN(extract128)
{
    emu_lane_put(dst, 0, emu_lane_get(b, imm & 1));
}

#define BROADCAST(bits) \
    EMU_VEC_FN(broadcast##bits) \
    { \
        for (unsigned i = 0; i < 256 / bits; i++) { \
            dst->u##bits[i] = b->u##bits[0]; \
        } \
    }
BROADCAST(8)
BROADCAST(16)
BROADCAST(32)
BROADCAST(64)

EMU_VEC_FN(broadcast128)
{
    emu_lane_put(dst, 0, emu_lane_get(b, 0));
    emu_lane_put(dst, 1, emu_lane_get(b, 0));
}

/* ---- Single elements ---- */

#define INSERT(bits) \
    EMU_VEC_LANES(insert##bits, { \
        r = x; \
        r.u##bits[imm & (size * 8 / bits - 1)] = y.u##bits[0]; \
    }) \
    EMU_VEC_FN(get##bits) \
    { \
        dst->u64[0] = b->u##bits[imm & (MIN(bytes, 16) * 8 / bits - 1)]; \
    }
INSERT(8)
INSERT(16)
INSERT(32)
INSERT(64)

EMU_VEC_LANES(insert_zero32, {
    r = x;
    r.u32[imm >> 4 & 3] = y.u32[imm >> 6];
    for (unsigned i = 0; i < 4; i++) {
        r.u32[i] = imm >> i & 1 ? 0 : r.u32[i];
    }
})

/* From memory there is only one element to choose. */
static EmuOpFn *bind_insertps(const EmuDecoded *decoded, EmuOp *op)
{
    if (op->mem_at != 0xff) {
        op->imm &= 0x3f;
    }
    return emu_vec_bind(decoded, op);
}

#define SIGNS(bits) \
    EMU_VEC_FN(signs##bits) \
    { \
        uint32_t mask = 0; \
        \
        for (unsigned i = 0; i < MIN(bytes, sizeof(EmuVec)) * 8 / bits; i++) { \
            mask |= (uint32_t)(b->u##bits[i] >> (bits - 1)) << i; \
        } \
        dst->u64[0] = mask; \
    }
SIGNS(8)
SIGNS(32)
SIGNS(64)

/* ---- Instructions ---- */

#define BOTH(name, function) EMU_VEC_BOTH(name, .fn = function, .flags = EMU_VEC_IN_PLACE)
#define BOTH_APART(name, function) EMU_VEC_BOTH(name, .fn = function)
#define AVX(name, function) EMU_VEC_ROW(name, .fn = function, .flags = EMU_VEC_IN_PLACE)
#define AVX_APART(name, function) EMU_VEC_ROW(name, .fn = function)
#define AVX_PAIR(name, by_vector, by_immediate) \
    { ZYDIS_MNEMONIC_##name, EMU_UNIT_SSE, emu_vec_bind_pair, \
      &(const EmuVecPair) { { .fn = by_vector }, { .fn = by_immediate } } }
#define INSERTPS_ROW(name) \
    { ZYDIS_MNEMONIC_##name, EMU_UNIT_SSE, bind_insertps, \
      &(const EmuVecRow) { .fn = insert_zero32 } }

static const EmuInsn rows[] = {
    BOTH(PACKSSWB, pack_s8), BOTH(PACKUSWB, pack_u8), BOTH(PACKSSDW, pack_s16),
    BOTH(PACKUSDW, pack_u16),
    BOTH(PUNPCKLBW, unpack_low8), BOTH(PUNPCKLWD, unpack_low16), BOTH(PUNPCKLDQ, unpack_low32),
    BOTH(PUNPCKLQDQ, unpack_low64),
    BOTH(PUNPCKHBW, unpack_high8), BOTH(PUNPCKHWD, unpack_high16), BOTH(PUNPCKHDQ, unpack_high32),
    BOTH(PUNPCKHQDQ, unpack_high64),
    BOTH(UNPCKLPS, unpack_low32), BOTH(UNPCKLPD, unpack_low64),
    BOTH(UNPCKHPS, unpack_high32), BOTH(UNPCKHPD, unpack_high64),
    BOTH_APART(PMOVSXBW, extend_s8_16), BOTH_APART(PMOVSXBD, extend_s8_32),
    BOTH_APART(PMOVSXBQ, extend_s8_64), BOTH_APART(PMOVSXWD, extend_s16_32),
    BOTH_APART(PMOVSXWQ, extend_s16_64), BOTH_APART(PMOVSXDQ, extend_s32_64),
    BOTH_APART(PMOVZXBW, extend_u8_16), BOTH_APART(PMOVZXBD, extend_u8_32),
    BOTH_APART(PMOVZXBQ, extend_u8_64), BOTH_APART(PMOVZXWD, extend_u16_32),
    BOTH_APART(PMOVZXWQ, extend_u16_64), BOTH_APART(PMOVZXDQ, extend_u32_64),

    BOTH(PSHUFB, shuffle8), BOTH(PSHUFD, shuffle32), BOTH(PSHUFLW, shuffle_low16),
    BOTH(PSHUFHW, shuffle_high16), EMU_VEC_ROW(PSHUFW, .fn = shuffle_low16),
    BOTH(SHUFPS, shuffle_two32), BOTH(SHUFPD, shuffle_two64), BOTH(PALIGNR, align8),
    BOTH(MOVDDUP, double64), BOTH(MOVSLDUP, double_low32), BOTH(MOVSHDUP, double_high32),
    AVX_PAIR(VPERMILPS, permute32_by_vec, shuffle32),
    AVX_PAIR(VPERMILPD, permute64_by_vec, permute64_by_imm),

    BOTH(PBLENDW, blend16), BOTH(BLENDPS, blend32), BOTH(BLENDPD, blend64), AVX(VPBLENDD, blend32),
    BOTH(PBLENDVB, blend_by8), BOTH(BLENDVPS, blend_by32), BOTH(BLENDVPD, blend_by64),

    AVX_APART(VPERM2F128, permute_halves), AVX_APART(VPERM2I128, permute_halves),
    AVX_APART(VPERMD, permute_all32), AVX_APART(VPERMPS, permute_all32),
    AVX_APART(VPERMQ, permute_all64), AVX_APART(VPERMPD, permute_all64),
    AVX_APART(VINSERTF128, insert128), AVX_APART(VINSERTI128, insert128),
    AVX_APART(VEXTRACTF128, extract128), AVX_APART(VEXTRACTI128, extract128),
    AVX_APART(VPBROADCASTB, broadcast8), AVX_APART(VPBROADCASTW, broadcast16),
    AVX_APART(VPBROADCASTD, broadcast32), AVX_APART(VPBROADCASTQ, broadcast64),
    AVX_APART(VBROADCASTSS, broadcast32), AVX_APART(VBROADCASTSD, broadcast64),
    AVX_APART(VBROADCASTF128, broadcast128), AVX_APART(VBROADCASTI128, broadcast128),

    BOTH_APART(PINSRB, insert8), BOTH_APART(PINSRW, insert16), BOTH_APART(PINSRD, insert32),
    BOTH_APART(PINSRQ, insert64),
    BOTH_APART(PEXTRB, get8), BOTH_APART(PEXTRW, get16), BOTH_APART(PEXTRD, get32),
    BOTH_APART(PEXTRQ, get64), BOTH_APART(EXTRACTPS, get32),
    INSERTPS_ROW(INSERTPS), INSERTPS_ROW(VINSERTPS),
    BOTH_APART(MOVMSKPS, signs32), BOTH_APART(MOVMSKPD, signs64), BOTH_APART(PMOVMSKB, signs8),
};

const EmuInsnTable emu_insns_vec_shuffle = { .rows = rows, .count = G_N_ELEMENTS(rows) };
