/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makers of EmuVecFns that work lane by lane: 16 bytes (of MMX: 8) that know nothing of the others.
 * Each lane is copied to locals, computed in a loop of constant length, which the compiler turns
 * into vector instructions, and written last, so dst may alias the sources.
 */
#ifndef VIREO_ACCEL_EMU_VEC_LANES_H
#define VIREO_ACCEL_EMU_VEC_LANES_H

#include "accel/emu/vec.h"

typedef union EmuLane {
    uint8_t u8[16];
    int8_t s8[16];
    uint16_t u16[8];
    int16_t s16[8];
    uint32_t u32[4];
    int32_t s32[4];
    uint64_t u64[2];
    int64_t s64[2];
    EmuV16u64 v;
} EmuLane;

#define EMU_LANE_COUNT(lane, field) (sizeof((lane).field) / sizeof((lane).field[0]))

static inline EmuLane emu_lane_get(const EmuVec *vec, unsigned n)
{
    return (EmuLane) { .v = ((const EmuV16u64 *)vec)[n] };
}

static inline void emu_lane_put(EmuVec *vec, unsigned n, EmuLane lane)
{
    ((EmuV16u64 *)vec)[n] = lane.v;
}

#define EMU_VEC_FN(name) \
    static void name(EmuCpu *cpu, EmuVec *dst, const EmuVec *a, const EmuVec *b, const EmuVec *c, \
                     unsigned imm, unsigned bytes)

/*
 * The block computes EmuLane r from x and y (lanes of a and b) and imm; n is the lane's number,
 * size its bytes.
 */
#define EMU_VEC_LANES(name, ...) \
    EMU_VEC_FN(name) \
    { \
        const unsigned size = bytes == 8 ? 8 : 16; \
        unsigned n = 0; \
        do { \
            const EmuLane x = emu_lane_get(a, n), y = emu_lane_get(b, n); \
            EmuLane r; \
            __VA_ARGS__ \
            (void)x, (void)y, (void)size; \
            emu_lane_put(dst, n, r); \
        } while (++n * 16 < bytes); \
    }

/* Element i of the result is `value` of elements p and q of a and b. */
#define EMU_VEC_ELEMENTS(name, field, ...) \
    EMU_VEC_LANES(name, { \
        for (unsigned i = 0; i < EMU_LANE_COUNT(r, field); i++) { \
            const __typeof__(r.field[0]) p = x.field[i], q = y.field[i]; \
            (void)p, (void)q; \
            r.field[i] = __VA_ARGS__; \
        } \
    })

#endif
