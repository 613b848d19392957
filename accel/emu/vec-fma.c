/* SPDX-License-Identifier: Apache-2.0 */
/* FMA3: the operations of vec-float.h by their three orders. */
#include "accel/emu/vec-float.h"

#define FMA_ROW(name, op, size) \
    EMU_VEC_ROW(name, .fn = EMU_FLOAT(op), .scalar = size, .flags = EMU_VEC_FLOAT | EMU_VEC_FMA)
#define PACKED(name, op, order) \
    FMA_ROW(name##order##PS, op##order##_ps, 0), FMA_ROW(name##order##PD, op##order##_pd, 0)
#define SCALAR(name, op, order) \
    FMA_ROW(name##order##SS, op##order##_ss, 4), FMA_ROW(name##order##SD, op##order##_sd, 8)
#define ALL_PACKED(name, op) PACKED(name, op, 132), PACKED(name, op, 213), PACKED(name, op, 231)
#define ALL_SCALAR(name, op) SCALAR(name, op, 132), SCALAR(name, op, 213), SCALAR(name, op, 231)

static const EmuInsn rows[] = {
    ALL_PACKED(VFMADD, fmadd),
    ALL_SCALAR(VFMADD, fmadd),
    ALL_PACKED(VFMSUB, fmsub),
    ALL_SCALAR(VFMSUB, fmsub),
    ALL_PACKED(VFNMADD, fnmadd),
    ALL_SCALAR(VFNMADD, fnmadd),
    ALL_PACKED(VFNMSUB, fnmsub),
    ALL_SCALAR(VFNMSUB, fnmsub),
    ALL_PACKED(VFMADDSUB, fmaddsub),
    ALL_PACKED(VFMSUBADD, fmsubadd),
};

const EmuInsnTable emu_insns_vec_fma = { .rows = rows, .count = G_N_ELEMENTS(rows) };
