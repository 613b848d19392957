/* SPDX-License-Identifier: Apache-2.0 */
#include "accel/emu/vec.h"

#include "accel/emu/x87.h"
#include "cpu/x86/features.h"

/* ---- Memory ---- */

void emu_vec_load_slow(EmuCpu *cpu, uint64_t linear, EmuVec *vec, unsigned bytes)
{
    EmuVec copy;

    emu_read_bytes(cpu, linear, &copy, bytes);
    memcpy(vec, &copy, bytes);
}

void emu_vec_load_any(EmuCpu *cpu, uint64_t linear, EmuVec *vec, unsigned bytes)
{
    vec->u64[1] = 0;
    switch (bytes) {
    case 1:
        vec->u64[0] = emu_read_u8(cpu, linear);
        break;
    case 2:
        vec->u64[0] = emu_read_u16(cpu, linear);
        break;
    case 4:
        vec->u64[0] = emu_read_u32(cpu, linear);
        break;
    case 8:
        vec->u64[0] = emu_read_u64(cpu, linear);
        break;
    case 16:
        emu_vec_load(cpu, linear, vec, 16);
        break;
    default:
        emu_vec_load(cpu, linear, vec, 32);
        break;
    }
}

void emu_vec_store_any(EmuCpu *cpu, uint64_t linear, const EmuVec *vec, unsigned bytes)
{
    switch (bytes) {
    case 1:
        emu_write_u8(cpu, linear, vec->u8[0]);
        break;
    case 2:
        emu_write_u16(cpu, linear, vec->u16[0]);
        break;
    case 4:
        emu_write_u32(cpu, linear, vec->u32[0]);
        break;
    case 8:
        emu_write_u64(cpu, linear, vec->u64[0]);
        break;
    case 16:
        emu_vec_store(cpu, linear, vec, 16);
        break;
    default:
        emu_vec_store(cpu, linear, vec, 32);
        break;
    }
}

/* ---- Handlers ---- */

/* Where the result goes. */
enum { TO_VEC, TO_MMX, TO_GPR, TO_MEM, TO_FLAGS };
/* Where b comes from. FROM_FULL: all of the vector from memory; FROM_MEM: op->mem_size bytes. */
enum { FROM_VEC, FROM_MMX, FROM_GPR, FROM_FULL, FROM_MEM };

typedef struct VecForm {
    uint8_t to, from;
    bool vex;          /* zero what lies above the result */
    uint8_t bytes;     /* of the vectors */
    uint8_t result;    /* TO_VEC: bytes of the result: 4, 8 (the rest comes from a), 16 or 32 */
    bool in_place;
} VecForm;

/* op->size is the alignment mask of the memory operand here, or the general register's size. */
static inline __attribute__((always_inline)) const EmuVec *
fetch_source(EmuCpu *cpu, const EmuOp *op, VecForm form, EmuVec *buffer)
{
    uint64_t linear;

    switch (form.from) {
    case FROM_VEC:
        return &cpu->vec[op->r[2]];
    case FROM_MMX:
        buffer->u64[0] = emu_mmx(cpu, op->r[2]);
        buffer->u64[1] = 0;
        return buffer;
    case FROM_GPR:
        buffer->u64[0] = op->size == 8 ? cpu->regs[op->r[2]] : (uint32_t)cpu->regs[op->r[2]];
        buffer->u64[1] = 0;
        return buffer;
    case FROM_FULL:
        linear = emu_vec_operand(cpu, op, form.bytes, EMU_READ, form.vex ? 0 : op->size);
        emu_vec_load(cpu, linear, buffer, form.bytes);
        return buffer;
    default:
        linear = emu_vec_operand(cpu, op, op->mem_size, EMU_READ,
                                 form.to != TO_GPR ? op->size : 0);
        emu_vec_load_any(cpu, linear, buffer, op->mem_size);
        return buffer;
    }
}

static inline __attribute__((always_inline)) void
write_vector(EmuCpu *cpu, const EmuOp *op, VecForm form, const EmuVec *a, const EmuVec *result)
{
    EmuVec *dst = &cpu->vec[op->r[0]];

    switch (form.result) {
    case 4:
        *(EmuV16u64 *)dst->u64 = *(const EmuV16u64 *)a->u64;
        dst->u32[0] = result->u32[0];
        break;
    case 8:
        dst->u64[1] = a->u64[1];
        dst->u64[0] = result->u64[0];
        break;
    case 16:
        *(EmuV16u64 *)dst->u64 = *(const EmuV16u64 *)result->u64;
        break;
    default:
        *dst = *result;
        return;
    }
    if (form.vex) {
        dst->u64[2] = dst->u64[3] = 0;
    }
}

static inline __attribute__((always_inline)) void
write_result(EmuCpu *cpu, const EmuOp *op, VecForm form, const EmuVec *a, const EmuVec *result)
{
    switch (form.to) {
    case TO_VEC:
        write_vector(cpu, op, form, a, result);
        break;
    case TO_MMX:
        emu_mmx_set(cpu, op->r[0], result->u64[0]);
        break;
    case TO_GPR:
        cpu->regs[op->r[0]] = op->size == 8 ? result->u64[0] : result->u32[0];
        break;
    case TO_MEM:
        emu_vec_store_any(cpu, emu_operand(cpu, op, op->mem_size, EMU_WRITE), result, op->mem_size);
        break;
    default:
        break;
    }
}

static inline __attribute__((always_inline)) void run(EmuCpu *cpu, const EmuOp *op, VecForm form)
{
    EmuVecFn *fn = (EmuVecFn *)(uintptr_t)op->imm;
    bool mmx = form.to == TO_MMX || form.from == FROM_MMX;
    unsigned bytes = form.to == TO_VEC && form.result < 16 ? form.result : form.bytes;
    const EmuVec *a = &cpu->vec[op->r[1]], *b;
    EmuVec source, old, result;

    if (mmx) {
        emu_x87_check(cpu);
    }
    b = fetch_source(cpu, op, form, &source);
    if (form.to == TO_MMX) {
        old.u64[0] = emu_mmx(cpu, op->r[1]);
        old.u64[1] = 0;
        a = &old;
    }
    if (form.in_place) {
        fn(cpu, &cpu->vec[op->r[0]], a, b, &cpu->vec[op->r[3]], op->imm2, bytes);
        if (form.vex && form.bytes == 16) {
            cpu->vec[op->r[0]].u64[2] = cpu->vec[op->r[0]].u64[3] = 0;
        }
    } else {
        if (mmx && form.to == TO_MEM) {
            cpu->fpu.top = 0; /* as processors leave it even if the store faults */
        } else if (mmx) {
            emu_mmx_begin(cpu); /* and all of it if a conversion raises #XM */
        }
        fn(cpu, &result, a, b, &cpu->vec[op->r[3]], op->imm2, bytes);
        write_result(cpu, op, form, a, &result);
        if (mmx && form.to == TO_MEM) {
            emu_mmx_begin(cpu);
        }
    }
}

/* to, from, vex, bytes, result, in_place */
#define VEC_FORMS(X) \
    X(legacy_vec, TO_VEC, FROM_VEC, false, 16, 16, false) \
    X(legacy_full, TO_VEC, FROM_FULL, false, 16, 16, false) \
    X(legacy_mem, TO_VEC, FROM_MEM, false, 16, 16, false) \
    X(legacy_gpr, TO_VEC, FROM_GPR, false, 16, 16, false) \
    X(legacy_mmx, TO_VEC, FROM_MMX, false, 16, 16, false) \
    X(legacy_vec_in_place, TO_VEC, FROM_VEC, false, 16, 16, true) \
    X(legacy_full_in_place, TO_VEC, FROM_FULL, false, 16, 16, true) \
    X(legacy4_vec, TO_VEC, FROM_VEC, false, 16, 4, false) \
    X(legacy4_mem, TO_VEC, FROM_MEM, false, 16, 4, false) \
    X(legacy4_gpr, TO_VEC, FROM_GPR, false, 16, 4, false) \
    X(legacy8_vec, TO_VEC, FROM_VEC, false, 16, 8, false) \
    X(legacy8_mem, TO_VEC, FROM_MEM, false, 16, 8, false) \
    X(legacy8_gpr, TO_VEC, FROM_GPR, false, 16, 8, false) \
    X(legacy8_mmx, TO_VEC, FROM_MMX, false, 16, 8, false) \
    X(vex128_vec, TO_VEC, FROM_VEC, true, 16, 16, false) \
    X(vex128_full, TO_VEC, FROM_FULL, true, 16, 16, false) \
    X(vex128_mem, TO_VEC, FROM_MEM, true, 16, 16, false) \
    X(vex128_gpr, TO_VEC, FROM_GPR, true, 16, 16, false) \
    X(vex128_vec_in_place, TO_VEC, FROM_VEC, true, 16, 16, true) \
    X(vex128_full_in_place, TO_VEC, FROM_FULL, true, 16, 16, true) \
    X(vex4_vec, TO_VEC, FROM_VEC, true, 16, 4, false) \
    X(vex4_mem, TO_VEC, FROM_MEM, true, 16, 4, false) \
    X(vex4_gpr, TO_VEC, FROM_GPR, true, 16, 4, false) \
    X(vex8_vec, TO_VEC, FROM_VEC, true, 16, 8, false) \
    X(vex8_mem, TO_VEC, FROM_MEM, true, 16, 8, false) \
    X(vex8_gpr, TO_VEC, FROM_GPR, true, 16, 8, false) \
    X(vex256_vec, TO_VEC, FROM_VEC, true, 32, 32, false) \
    X(vex256_full, TO_VEC, FROM_FULL, true, 32, 32, false) \
    X(vex256_mem, TO_VEC, FROM_MEM, true, 32, 32, false) \
    X(vex256_vec_in_place, TO_VEC, FROM_VEC, true, 32, 32, true) \
    X(vex256_full_in_place, TO_VEC, FROM_FULL, true, 32, 32, true) \
    X(narrow_vec, TO_VEC, FROM_VEC, true, 32, 16, false) \
    X(narrow_mem, TO_VEC, FROM_MEM, true, 32, 16, false) \
    X(mmx_mmx, TO_MMX, FROM_MMX, false, 8, 8, false) \
    X(mmx_vec, TO_MMX, FROM_VEC, false, 8, 8, false) \
    X(mmx_gpr, TO_MMX, FROM_GPR, false, 8, 8, false) \
    X(mmx_mem, TO_MMX, FROM_MEM, false, 8, 8, false) \
    X(gpr_mmx, TO_GPR, FROM_MMX, false, 8, 0, false) \
    X(gpr_vec, TO_GPR, FROM_VEC, false, 16, 0, false) \
    X(gpr_vec256, TO_GPR, FROM_VEC, false, 32, 0, false) \
    X(gpr_mem, TO_GPR, FROM_MEM, false, 16, 0, false) \
    X(flags_vec, TO_FLAGS, FROM_VEC, false, 16, 0, false) \
    X(flags_mem, TO_FLAGS, FROM_MEM, false, 16, 0, false) \
    X(flags_vec256, TO_FLAGS, FROM_VEC, true, 32, 0, false) \
    X(flags_mem256, TO_FLAGS, FROM_MEM, true, 32, 0, false) \
    X(mem_mmx, TO_MEM, FROM_MMX, false, 8, 0, false) \
    X(mem_vec, TO_MEM, FROM_VEC, false, 16, 0, false) \
    X(mem_vec256, TO_MEM, FROM_VEC, false, 32, 0, false)

#define DEFINE_HANDLER(name, ...) \
    static void op_##name(EmuCpu *cpu, const EmuOp *op) \
    { \
        run(cpu, op, (VecForm) { __VA_ARGS__ }); \
        EMU_NEXT(cpu, op); \
    }
VEC_FORMS(DEFINE_HANDLER)

static const struct {
    VecForm form;
    EmuOpFn *fn;
} handlers[] = {
#define HANDLER_ROW(name, ...) { { __VA_ARGS__ }, op_##name },
    VEC_FORMS(HANDLER_ROW)
};

static EmuOpFn *find_handler(VecForm form)
{
    for (size_t i = 0; i < G_N_ELEMENTS(handlers); i++) {
        if (memcmp(&handlers[i].form, &form, sizeof(form)) == 0) {
            return handlers[i].fn;
        }
    }
    return NULL;
}

/* ---- Binding ---- */

/* The features that an instruction set needs; none listed: it is not ours. */
static const uint16_t isa_features[ZYDIS_ISA_SET_MAX_VALUE + 1][2] = {
    [ZYDIS_ISA_SET_PENTIUMMMX] = { F_MMX },
    [ZYDIS_ISA_SET_SSE] = { F_SSE },
    [ZYDIS_ISA_SET_SSEMXCSR] = { F_SSE },
    [ZYDIS_ISA_SET_SSE2] = { F_SSE2 },
    [ZYDIS_ISA_SET_SSE2MMX] = { F_SSE2 },
    [ZYDIS_ISA_SET_SSE3] = { F_PNI },
    [ZYDIS_ISA_SET_SSSE3] = { F_SSSE3 },
    [ZYDIS_ISA_SET_SSSE3MMX] = { F_SSSE3 },
    [ZYDIS_ISA_SET_SSE4] = { F_SSE4_1 },
    [ZYDIS_ISA_SET_SSE42] = { F_SSE4_2 },
    [ZYDIS_ISA_SET_AES] = { F_AES },
    [ZYDIS_ISA_SET_PCLMULQDQ] = { F_PCLMULQDQ },
    [ZYDIS_ISA_SET_SHA] = { F_SHA_NI },
    [ZYDIS_ISA_SET_AVX] = { F_AVX },
    [ZYDIS_ISA_SET_AVX2] = { F_AVX2 },
    [ZYDIS_ISA_SET_AVX2GATHER] = { F_AVX2 },
    [ZYDIS_ISA_SET_AVXAES] = { F_AVX, F_AES },
    [ZYDIS_ISA_SET_VAES] = { F_AVX, F_VAES },
    [ZYDIS_ISA_SET_VPCLMULQDQ] = { F_AVX, F_VPCLMULQDQ },
    [ZYDIS_ISA_SET_F16C] = { F_AVX, F_F16C },
    [ZYDIS_ISA_SET_FMA] = { F_AVX, F_FMA },
};

static bool has_feature(const EmuDecoded *decoded, unsigned feature)
{
    return emu_has(decoded->cpu, x86_feature_word(feature), feature & 63);
}

bool emu_vec_allowed(const EmuDecoded *decoded)
{
    const ZydisDecodedInstruction *insn = &decoded->insn;
    const uint16_t *features = isa_features[insn->meta.isa_set];

    if (insn->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY &&
        insn->encoding != ZYDIS_INSTRUCTION_ENCODING_VEX) {
        return false;
    }
    if (!features[0] || !has_feature(decoded, features[0]) ||
        (features[1] && !has_feature(decoded, features[1]))) {
        return false;
    }
    return insn->mnemonic != ZYDIS_MNEMONIC_VPCLMULQDQ ||
           insn->meta.isa_set != ZYDIS_ISA_SET_AVX || has_feature(decoded, F_PCLMULQDQ);
}

/* An explicit operand that is not an immediate. */
typedef struct VecOperand {
    enum { OPERAND_VEC, OPERAND_MMX, OPERAND_GPR, OPERAND_MEM, OPERAND_OTHER } kind;
    uint8_t reg;
    uint16_t bytes;
} VecOperand;

static VecOperand describe(const ZydisDecodedOperand *operand)
{
    VecOperand out = { .kind = OPERAND_MEM, .bytes = operand->size / 8 };

    if (operand->type != ZYDIS_OPERAND_TYPE_REGISTER) {
        return out;
    }
    switch (ZydisRegisterGetClass(operand->reg.value)) {
    case ZYDIS_REGCLASS_XMM:
    case ZYDIS_REGCLASS_YMM:
        out.kind = OPERAND_VEC;
        break;
    case ZYDIS_REGCLASS_MMX:
        out.kind = OPERAND_MMX;
        break;
    case ZYDIS_REGCLASS_GPR32:
    case ZYDIS_REGCLASS_GPR64:
        out.kind = OPERAND_GPR;
        break;
    default:
        out.kind = OPERAND_OTHER;
        break;
    }
    out.reg = ZydisRegisterGetId(operand->reg.value);
    return out;
}

/* Operands by what they are for, with their registers in op->r. */
typedef struct VecOperands {
    VecOperand to, from;
    bool has_immediate;
} VecOperands;

static bool assign_operands(const EmuDecoded *decoded, const EmuVecRow *row, EmuOp *op,
                            VecOperands *out)
{
    VecOperand list[5];
    unsigned count = 0, a, b, c;

    for (unsigned i = 0; i < decoded->insn.operand_count_visible && count < 4; i++) {
        if (decoded->operands[i].type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
            out->has_immediate = true;
        } else {
            list[count++] = describe(&decoded->operands[i]);
        }
    }
    if (count == 0) {
        return false;
    }
    list[4] = (VecOperand) { .kind = OPERAND_VEC }; /* XMM0 */
    a = count > 2 ? 1 : 0;
    b = count > 3 ? 2 : count - 1;
    c = count > 3 ? 3 : 4;
    if (row->flags & EMU_VEC_FMA) {
        a = 0;
        c = 1;
    }
    if (list[0].kind == OPERAND_MEM) {
        a = b;
    }
    op->r[0] = list[0].reg & 15;
    op->r[1] = list[a].reg & 15;
    op->r[2] = list[b].reg & 15;
    op->r[3] = list[c].reg & 15;
    out->to = list[0];
    out->from = list[b];
    return true;
}

static bool choose_source(const VecOperands *operands, unsigned bytes, VecForm *form)
{
    switch (operands->from.kind) {
    case OPERAND_VEC:
        form->from = FROM_VEC;
        return true;
    case OPERAND_MMX:
        form->from = FROM_MMX;
        return true;
    case OPERAND_GPR:
        form->from = FROM_GPR;
        return true;
    case OPERAND_MEM:
        form->from = bytes == form->bytes && form->to == TO_VEC && form->result == bytes
                         ? FROM_FULL : FROM_MEM;
        return true;
    default:
        return false;
    }
}

static bool choose_destination(const VecOperands *operands, const EmuVecRow *row, VecForm *form)
{
    if (row->flags & EMU_VEC_FLAGS) {
        form->to = TO_FLAGS;
        form->vex = form->bytes == 32;
        return true;
    }
    switch (operands->to.kind) {
    case OPERAND_VEC:
        form->to = TO_VEC;
        form->result = row->scalar ? row->scalar : form->bytes;
        if (form->bytes == 32 && operands->to.bytes == 16) {
            form->result = 16;
        }
        return true;
    case OPERAND_MMX:
        form->to = TO_MMX;
        form->bytes = form->result = 8;
        return true;
    case OPERAND_GPR:
        form->to = TO_GPR;
        form->vex = false;
        form->bytes = operands->from.kind == OPERAND_MMX ? 8 : form->bytes;
        return true;
    case OPERAND_MEM:
        form->to = TO_MEM;
        form->vex = false;
        form->bytes = operands->from.kind == OPERAND_MMX ? 8 : form->bytes;
        return true;
    default:
        return false;
    }
}

EmuOpFn *emu_vec_bind_row(const EmuDecoded *decoded, EmuOp *op, const EmuVecRow *row)
{
    VecForm form = {
        .vex = op->flags & EMU_OP_VEX,
        .bytes = (op->flags & EMU_OP_L256) && !row->scalar ? 32 : 16,
    };
    VecOperands operands = { .has_immediate = false };
    uint64_t immediate = op->imm;

    if (!emu_vec_allowed(decoded) || !assign_operands(decoded, row, op, &operands) ||
        !choose_destination(&operands, row, &form)) {
        return NULL;
    }
    if (row->mem_bytes) {
        op->mem_size = row->mem_bytes;
    }
    if (!choose_source(&operands, op->mem_size, &form)) {
        return NULL;
    }
    if (operands.to.kind == OPERAND_GPR || operands.from.kind == OPERAND_GPR) {
        op->size = operands.to.kind == OPERAND_GPR ? operands.to.bytes : operands.from.bytes;
        immediate = operands.has_immediate ? immediate : op->size;
    } else {
        op->size = !(op->flags & EMU_OP_VEX) && op->mem_size == 16 &&
                   !(row->flags & EMU_VEC_UNALIGNED) ? 15 : 0;
    }
    form.in_place = (row->flags & EMU_VEC_IN_PLACE) && form.to == TO_VEC &&
                    form.result == form.bytes &&
                    (form.from == FROM_VEC || form.from == FROM_FULL);
    op->imm = (uintptr_t)row->fn;
    op->imm2 = immediate & 0xff;
    return find_handler(form);
}

EmuOpFn *emu_vec_bind(const EmuDecoded *decoded, EmuOp *op)
{
    return emu_vec_bind_row(decoded, op, decoded->row->data);
}

EmuOpFn *emu_vec_bind_pair(const EmuDecoded *decoded, EmuOp *op)
{
    const EmuVecPair *pair = decoded->row->data;
    unsigned last = decoded->insn.operand_count_visible - 1;
    bool immediate = decoded->operands[last].type == ZYDIS_OPERAND_TYPE_IMMEDIATE;

    return emu_vec_bind_row(decoded, op, immediate ? &pair->by_imm : &pair->by_vec);
}
