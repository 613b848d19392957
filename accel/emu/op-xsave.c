/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saving and restoring x87, SSE and AVX state at once (SDM vol. 1, chapters 10 and 13). An area is
 * the 512 bytes of FXSAVE, a header of 64 bytes (XSTATE_BV, XCOMP_BV, zeros), and the upper halves
 * of the YMM registers, which stand at 576 in the standard and in the compacted form.
 */
#include <string.h>

#include "accel/emu/decode.h"
#include "accel/emu/mmu.h"
#include "accel/emu/x87.h"

enum { XSTATE_X87 = 1, XSTATE_SSE = 2, XSTATE_AVX = 4, XSTATE_ALL = 7 };
enum {
    AREA_MXCSR = 24, AREA_ST = 32, AREA_XMM = 160, AREA_XMM_END = 416, AREA_HEADER = 512,
    AREA_YMM = 576, AREA_SIZE = 832,
};
#define XCOMP_COMPACTED BIT_ULL(63)
#define MXCSR_RESET 0x1f80u
#define MXCSR_MASK 0xffffu

/* Bits of op->imm. */
enum { XSAVE_WIDE = 1, XSAVE_OPTIMISED = 2, XSAVE_COMPACTED = 4 };

/* ---- What is in use ---- */

static bool all_zero(const void *data, size_t len)
{
    const uint8_t *bytes = data;

    return bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1) == 0;
}

static unsigned vector_count(const EmuCpu *cpu)
{
    return cpu->mode & EMU_MODE_CS64 ? 16 : 8;
}

uint64_t emu_xinuse(const EmuCpu *cpu)
{
    const EmuFpu *fpu = &cpu->fpu;
    uint64_t in_use = 0;

    if (fpu->fcw != X87_FCW_RESET || fpu->fsw || fpu->top || fpu->valid || fpu->fop || fpu->fip ||
        fpu->fdp || fpu->fcs || fpu->fds || !all_zero(fpu->fpr, sizeof(fpu->fpr))) {
        in_use |= XSTATE_X87;
    }
    for (unsigned i = 0; i < vector_count(cpu); i++) {
        if (!all_zero(&cpu->vec[i].u8[0], 16)) {
            in_use |= XSTATE_SSE;
        }
        if (!all_zero(&cpu->vec[i].u8[16], 16)) {
            in_use |= XSTATE_AVX;
        }
    }
    return in_use;
}

/* ---- Parts of an area ---- */

/* The bytes that components occupy, without MXCSR and header. Returns how many ranges. */
typedef struct AreaPart {
    uint16_t at, len;
} AreaPart;

static unsigned area_parts(const EmuCpu *cpu, uint64_t components, bool mxcsr, AreaPart parts[5])
{
    unsigned count = 0, registers = vector_count(cpu);

    if (components & XSTATE_X87) {
        parts[count++] = (AreaPart) { 0, AREA_MXCSR };
        parts[count++] = (AreaPart) { AREA_ST, AREA_XMM - AREA_ST };
    }
    if (mxcsr) {
        parts[count++] = (AreaPart) { AREA_MXCSR, 8 };
    }
    if (components & XSTATE_SSE) {
        parts[count++] = (AreaPart) { AREA_XMM, 16 * registers };
    }
    if (components & XSTATE_AVX) {
        parts[count++] = (AreaPart) { AREA_YMM, 16 * registers };
    }
    return count;
}

/* Outside 64-bit code what goes beyond 4 GiB goes on at 0. */
static uint64_t wrapped(const EmuCpu *cpu, uint64_t linear)
{
    return cpu->mode & EMU_MODE_CS64 ? linear : (uint32_t)linear;
}

/* All ranges are probed first: nothing is written before a fault. */
static void write_parts(EmuCpu *cpu, uint64_t linear, const AreaPart *parts, unsigned count,
                        const uint8_t *area)
{
    for (unsigned i = 0; i < count; i++) {
        emu_probe_write(cpu, wrapped(cpu, linear + parts[i].at), parts[i].len);
    }
    for (unsigned i = 0; i < count; i++) {
        emu_write_bytes(cpu, wrapped(cpu, linear + parts[i].at), area + parts[i].at, parts[i].len);
    }
}

static void put_area(const EmuCpu *cpu, uint8_t *area, uint64_t components, bool wide)
{
    emu_fxsave_put(cpu, area, components & (XSTATE_X87 | XSTATE_SSE), wide);
    stl_le(area + AREA_MXCSR, cpu->mxcsr);
    stl_le(area + AREA_MXCSR + 4, MXCSR_MASK);
    for (unsigned i = 0; i < 16; i++) {
        memcpy(area + AREA_YMM + 16 * i, &cpu->vec[i].u8[16], 16);
    }
}

/* Load components from the area; those in `initial` get their reset values instead. */
static void get_area(EmuCpu *cpu, const uint8_t *area, uint64_t components, uint64_t initial,
                     bool wide)
{
    unsigned registers = vector_count(cpu);

    if (initial & XSTATE_X87) {
        emu_x87_init(&cpu->fpu);
        memset(cpu->fpu.fpr, 0, sizeof(cpu->fpu.fpr));
    } else if (components & XSTATE_X87) {
        emu_fxsave_get(cpu, area, XSTATE_X87, wide);
    }
    for (unsigned i = 0; i < registers; i++) {
        if (initial & XSTATE_SSE) {
            memset(&cpu->vec[i].u8[0], 0, 16);
        } else if (components & XSTATE_SSE) {
            memcpy(&cpu->vec[i].u8[0], area + AREA_XMM + 16 * i, 16);
        }
        if (initial & XSTATE_AVX) {
            memset(&cpu->vec[i].u8[16], 0, 16);
        } else if (components & XSTATE_AVX) {
            memcpy(&cpu->vec[i].u8[16], area + AREA_YMM + 16 * i, 16);
        }
    }
}

static uint64_t area_address(EmuCpu *cpu, const EmuOp *op, unsigned align, unsigned size,
                             EmuAccess access)
{
    uint64_t linear = emu_operand(cpu, op, size, access);

    if (!IS_ALIGNED(linear, align)) {
        emu_raise(cpu, X86_GP, 0);
    }
    return linear;
}

static void set_mxcsr(EmuCpu *cpu, uint32_t mxcsr)
{
    cpu->mxcsr = mxcsr;
    emu_update_mode(cpu);
}

static void check_mxcsr(EmuCpu *cpu, uint32_t mxcsr)
{
    if (mxcsr & ~MXCSR_MASK) {
        emu_raise(cpu, X86_GP, 0);
    }
}

/* ---- FXSAVE, FXRSTOR ---- */

/*
 * As processors check: canonical form, alignment (of more than words, #GP comes before #AC), the
 * last byte.
 */
static uint64_t fx_address(EmuCpu *cpu, const EmuOp *op, EmuAccess access)
{
    uint64_t linear = emu_operand(cpu, op, 512, access);

    if (cpu->mode & EMU_MODE_CS64) {
        emu_check_canonical(cpu, linear, 1, false);
    }
    if (linear & 15) {
        emu_raise(cpu, cpu->mode & EMU_MODE_ALIGN && linear & 3 ? X86_AC : X86_GP, 0);
    }
    if (access == EMU_WRITE) {
        emu_probe_write(cpu, wrapped(cpu, linear + 511), 1);
    } else {
        emu_probe_read(cpu, wrapped(cpu, linear + 511), 1);
    }
    return linear;
}

static void op_fxsave(EmuCpu *cpu, const EmuOp *op)
{
    uint64_t linear = fx_address(cpu, op, EMU_WRITE);
    uint8_t area[AREA_SIZE];
    AreaPart parts[5];

    put_area(cpu, area, XSTATE_X87 | XSTATE_SSE, op->imm & XSAVE_WIDE);
    write_parts(cpu, linear, parts, area_parts(cpu, XSTATE_X87 | XSTATE_SSE, true, parts), area);
    EMU_NEXT(cpu, op);
}

static void op_fxrstor(EmuCpu *cpu, const EmuOp *op)
{
    uint64_t linear = fx_address(cpu, op, EMU_READ);
    uint8_t area[AREA_SIZE];

    emu_read_bytes(cpu, linear, area, 512);
    check_mxcsr(cpu, ldl_le(area + AREA_MXCSR));
    get_area(cpu, area, XSTATE_X87 | XSTATE_SSE, 0, op->imm & XSAVE_WIDE);
    set_mxcsr(cpu, ldl_le(area + AREA_MXCSR));
    EMU_END(cpu, op);
}

/* ---- XSAVE, XRSTOR ---- */

static uint64_t requested(EmuCpu *cpu)
{
    uint64_t mask = (uint32_t)cpu->regs[X86_RAX] | cpu->regs[X86_RDX] << 32;

    if (cpu->cr0 & CR0_TS) {
        emu_raise_plain(cpu, X86_NM);
    }
    return mask & cpu->xcr0 & XSTATE_ALL;
}

static void op_xsave(EmuCpu *cpu, const EmuOp *op)
{
    uint64_t wanted = requested(cpu), in_use = emu_xinuse(cpu) & wanted, written = wanted;
    uint64_t linear = area_address(cpu, op, 64, wanted & XSTATE_AVX ? AREA_SIZE : AREA_YMM,
                                   EMU_WRITE);
    bool mxcsr = wanted & (XSTATE_SSE | XSTATE_AVX);
    unsigned header = 8, count;
    uint8_t area[AREA_SIZE];
    AreaPart parts[6];

    if (op->imm & XSAVE_COMPACTED) {
        if ((wanted & XSTATE_SSE) && cpu->mxcsr != MXCSR_RESET) {
            in_use |= XSTATE_SSE;
        }
        mxcsr = in_use & XSTATE_SSE;
        header = 16;
        stq_le(area + AREA_HEADER, in_use);
        stq_le(area + AREA_HEADER + 8, wanted | XCOMP_COMPACTED);
    } else {
        emu_probe_write(cpu, linear + AREA_HEADER, 64);
        stq_le(area + AREA_HEADER,
               (emu_read_u64(cpu, linear + AREA_HEADER) & ~wanted) | in_use);
    }
    if (op->imm & (XSAVE_COMPACTED | XSAVE_OPTIMISED)) {
        written = in_use;
    }
    put_area(cpu, area, written, op->imm & XSAVE_WIDE);
    count = area_parts(cpu, written, mxcsr, parts);
    parts[count++] = (AreaPart) { AREA_HEADER, header };
    write_parts(cpu, linear, parts, count, area);
    EMU_NEXT(cpu, op);
}

/* #GP for a header that no XSAVE made. Returns XSTATE_BV. */
static uint64_t check_header(EmuCpu *cpu, const uint8_t *header, bool *compacted)
{
    uint64_t state = ldq_le(header), form = ldq_le(header + 8);
    uint64_t allowed = cpu->xcr0;
    bool bad = ldq_le(header + 16) != 0;

    *compacted = form & XCOMP_COMPACTED && emu_has(cpu, X86_FEAT_XSAVE, 1);
    if (*compacted) {
        allowed = form & ~XCOMP_COMPACTED;
        bad |= allowed & ~cpu->xcr0 || !all_zero(header + 16, 48);
    } else {
        bad |= form != 0;
    }
    if (bad || (state & ~allowed)) {
        emu_raise(cpu, X86_GP, 0);
    }
    return state;
}

static void op_xrstor(EmuCpu *cpu, const EmuOp *op)
{
    uint64_t wanted = requested(cpu), state, loaded;
    uint64_t linear = area_address(cpu, op, 64, wanted & XSTATE_AVX ? AREA_SIZE : AREA_YMM,
                                   EMU_READ);
    uint32_t new_mxcsr = cpu->mxcsr;
    uint8_t area[AREA_SIZE];
    AreaPart parts[5];
    unsigned count;
    bool compacted, read_mxcsr;

    emu_read_bytes(cpu, linear + AREA_HEADER, area + AREA_HEADER, 64);
    state = check_header(cpu, area + AREA_HEADER, &compacted);
    loaded = wanted & state;
    read_mxcsr = compacted ? loaded & XSTATE_SSE : wanted & (XSTATE_SSE | XSTATE_AVX);
    count = area_parts(cpu, loaded, read_mxcsr, parts);
    for (unsigned i = 0; i < count; i++) {
        emu_read_bytes(cpu, linear + parts[i].at, area + parts[i].at, parts[i].len);
    }
    if (read_mxcsr) {
        new_mxcsr = ldl_le(area + AREA_MXCSR);
        check_mxcsr(cpu, new_mxcsr);
    } else if (compacted && (wanted & XSTATE_SSE)) {
        new_mxcsr = MXCSR_RESET;
    }
    get_area(cpu, area, loaded, wanted & ~state, op->imm & XSAVE_WIDE);
    set_mxcsr(cpu, new_mxcsr);
    EMU_END(cpu, op);
}

/* ---- MXCSR ---- */

static void op_ldmxcsr(EmuCpu *cpu, const EmuOp *op)
{
    uint32_t mxcsr = emu_read_u32(cpu, emu_operand(cpu, op, 4, EMU_READ));

    check_mxcsr(cpu, mxcsr);
    set_mxcsr(cpu, mxcsr);
    EMU_END(cpu, op);
}

static void op_stmxcsr(EmuCpu *cpu, const EmuOp *op)
{
    emu_write_u32(cpu, emu_operand(cpu, op, 4, EMU_WRITE), cpu->mxcsr);
    EMU_NEXT(cpu, op);
}

/* ---- The table ---- */

typedef struct XsaveForm {
    EmuOpFn *fn;
    uint8_t flags;       /* XSAVE_* */
    bool ends;
    uint8_t word, bit;   /* the CPUID feature */
} XsaveForm;

static EmuOpFn *bind_xsave(const EmuDecoded *decoded, EmuOp *op)
{
    const XsaveForm *form = decoded->row->data;
    X86FeatureWord word = form->word;
    unsigned bit = form->bit;

    if (op->flags & EMU_OP_VEX) {
        word = X86_FEAT_1_ECX;
        bit = 28;
    }
    if ((op->flags & EMU_OP_LOCK) || !emu_has(decoded->cpu, word, bit)) {
        return NULL;
    }
    if (decoded->row->unit == EMU_UNIT_INTEGER && !(decoded->mode & EMU_MODE_OSXSAVE)) {
        return NULL;
    }
    op->imm = form->flags;
    op->flags |= form->ends ? EMU_OP_ENDS : 0;
    return form->fn;
}

#define FORM(name, handler, form_flags, form_ends, form_word, form_bit) \
    static const XsaveForm form_##name = { \
        .fn = handler, .flags = form_flags, .ends = form_ends, .word = form_word, .bit = form_bit, \
    };
#define FORMS(name, handler, form_flags, form_ends, form_word, form_bit) \
    FORM(name, handler, form_flags, form_ends, form_word, form_bit) \
    FORM(name##64, handler, (form_flags) | XSAVE_WIDE, form_ends, form_word, form_bit)

FORMS(FXSAVE, op_fxsave, 0, false, X86_FEAT_1_EDX, 24)
FORMS(FXRSTOR, op_fxrstor, 0, true, X86_FEAT_1_EDX, 24)
FORMS(XSAVE, op_xsave, 0, false, X86_FEAT_1_ECX, 26)
FORMS(XSAVEOPT, op_xsave, XSAVE_OPTIMISED, false, X86_FEAT_XSAVE, 0)
FORMS(XSAVEC, op_xsave, XSAVE_COMPACTED, false, X86_FEAT_XSAVE, 1)
FORMS(XRSTOR, op_xrstor, 0, true, X86_FEAT_1_ECX, 26)
FORM(LDMXCSR, op_ldmxcsr, 0, true, X86_FEAT_1_EDX, 25)
FORM(STMXCSR, op_stmxcsr, 0, false, X86_FEAT_1_EDX, 25)

#define ROW(name, row_unit, form) { ZYDIS_MNEMONIC_##name, EMU_UNIT_##row_unit, bind_xsave, &form }
#define ROWS(name, row_unit) \
    ROW(name, row_unit, form_##name), ROW(name##64, row_unit, form_##name##64)

/* XSAVE and friends heed CR0.TS, but not EM: their handlers check it. */
static const EmuInsn rows[] = {
    ROWS(FXSAVE, X87), ROWS(FXRSTOR, X87), ROWS(XSAVE, INTEGER), ROWS(XSAVEOPT, INTEGER),
    ROWS(XSAVEC, INTEGER), ROWS(XRSTOR, INTEGER), ROW(LDMXCSR, SSE, form_LDMXCSR),
    ROW(STMXCSR, SSE, form_STMXCSR), ROW(VLDMXCSR, SSE, form_LDMXCSR),
    ROW(VSTMXCSR, SSE, form_STMXCSR),
};

const EmuInsnTable emu_insns_xsave = { .rows = rows, .count = G_N_ELEMENTS(rows) };
