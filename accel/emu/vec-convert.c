/* SPDX-License-Identifier: Apache-2.0 */
/* SSE, AVX and F16C conversions. */
#include "accel/emu/vec-float.h"

/* ---- MMX: two elements; the others are zeros, which raise nothing ---- */

static EMU_FLOAT_FN(convert_pi2ps)
{
    EmuVec source = { .u64[0] = b->u64[0] }, result;

    EMU_FLOAT(dq2ps)(cpu, &result, a, &source, c, imm, 16);
    dst->u64[0] = result.u64[0];
}

static EMU_FLOAT_FN(convert_pi2pd)
{
    EMU_FLOAT(dq2pd)(cpu, dst, a, b, c, imm, 16);
}

static EMU_FLOAT_FN(convert_ps2pi)
{
    EmuVec source = { .u64[0] = b->u64[0] };

    EMU_FLOAT(ps2dq)(cpu, dst, a, &source, c, imm, 16);
}

static EMU_FLOAT_FN(convert_tps2pi)
{
    EmuVec source = { .u64[0] = b->u64[0] };

    EMU_FLOAT(tps2dq)(cpu, dst, a, &source, c, imm, 16);
}

static EMU_FLOAT_FN(convert_pd2pi)
{
    EMU_FLOAT(pd2dq)(cpu, dst, a, b, c, imm, 16);
}

static EMU_FLOAT_FN(convert_tpd2pi)
{
    EMU_FLOAT(tpd2dq)(cpu, dst, a, b, c, imm, 16);
}

/* The immediate tells integers in memory of 4 and 8 bytes apart, as it does registers. */
static EmuOpFn *bind_from_integer(const EmuDecoded *decoded, EmuOp *op)
{
    unsigned last = decoded->insn.operand_count_visible - 1;

    op->imm = decoded->operands[last].size / 8;
    return emu_vec_bind(decoded, op);
}

#define PACKED(name, op) EMU_VEC_BOTH(name, .fn = EMU_FLOAT(op), .flags = EMU_VEC_FLOAT)
#define SCALAR(name, op, size) \
    EMU_VEC_BOTH(name, .fn = EMU_FLOAT(op), .scalar = size, .flags = EMU_VEC_FLOAT)
#define MMX(name, op, size) \
    EMU_VEC_ROW(name, .fn = convert_##op, .scalar = size, .flags = EMU_VEC_FLOAT)
#define F16(name, op) EMU_VEC_ROW(name, .fn = EMU_FLOAT(op), .flags = EMU_VEC_FLOAT)
#define FROM_INTEGER_ROW(name, op, size) \
    { ZYDIS_MNEMONIC_##name, EMU_UNIT_SSE, bind_from_integer, \
      &(const EmuVecRow) { .fn = EMU_FLOAT(op), .scalar = size, .flags = EMU_VEC_FLOAT } }
#define FROM_INTEGER(name, op, size) \
    FROM_INTEGER_ROW(name, op, size), FROM_INTEGER_ROW(V##name, op, size)

static const EmuInsn rows[] = {
    PACKED(CVTDQ2PS, dq2ps),
    PACKED(CVTPS2DQ, ps2dq),
    PACKED(CVTTPS2DQ, tps2dq),
    PACKED(CVTDQ2PD, dq2pd),
    PACKED(CVTPD2DQ, pd2dq),
    PACKED(CVTTPD2DQ, tpd2dq),
    PACKED(CVTPS2PD, ps2pd),
    PACKED(CVTPD2PS, pd2ps),
    SCALAR(CVTSS2SD, ss2sd, 8),
    SCALAR(CVTSD2SS, sd2ss, 4),
    SCALAR(CVTSS2SI, ss2si, 4),
    SCALAR(CVTTSS2SI, tss2si, 4),
    SCALAR(CVTSD2SI, sd2si, 8),
    SCALAR(CVTTSD2SI, tsd2si, 8),
    FROM_INTEGER(CVTSI2SS, si2ss, 4),
    FROM_INTEGER(CVTSI2SD, si2sd, 8),
    MMX(CVTPI2PS, pi2ps, 8),
    MMX(CVTPI2PD, pi2pd, 0),
    MMX(CVTPS2PI, ps2pi, 0),
    MMX(CVTTPS2PI, tps2pi, 0),
    MMX(CVTPD2PI, pd2pi, 0),
    MMX(CVTTPD2PI, tpd2pi, 0),
    F16(VCVTPH2PS, ph2ps),
    F16(VCVTPS2PH, ps2ph),
};

const EmuInsnTable emu_insns_vec_convert = { .rows = rows, .count = G_N_ELEMENTS(rows) };
