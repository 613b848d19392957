/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes to memory element by element: masked moves, whose masked-out elements cannot fault, and
 * gathers, which may fault halfway and go on later. And VZEROUPPER, VZEROALL.
 */
#include "accel/emu/vec.h"
#include "accel/emu/system.h"
#include "accel/emu/x87.h"

/* ---- VZEROUPPER, VZEROALL ---- */

static inline unsigned visible_registers(const EmuCpu *cpu)
{
    return cpu->mode & EMU_MODE_CS64 ? 16 : 8;
}

static void op_zero_upper(EmuCpu *cpu, const EmuOp *op)
{
    for (unsigned i = 0; i < visible_registers(cpu); i++) {
        cpu->vec[i].u64[2] = cpu->vec[i].u64[3] = 0;
    }
    EMU_NEXT(cpu, op);
}

static void op_zero_all(EmuCpu *cpu, const EmuOp *op)
{
    memset(cpu->vec, 0, visible_registers(cpu) * sizeof(cpu->vec[0]));
    EMU_NEXT(cpu, op);
}

static EmuOpFn *bind_zero(const EmuDecoded *decoded, EmuOp *op)
{
    if (!emu_vec_allowed(decoded)) {
        return NULL;
    }
    return op->flags & EMU_OP_L256 ? op_zero_all : op_zero_upper;
}

/* ---- Masked moves: elements of `size` bytes whose mask has its top bit set ---- */

static inline bool is_selected(const EmuVec *mask, unsigned i, unsigned size)
{
    return mask->u8[i * size + size - 1] & 0x80;
}

static uint64_t element_address(EmuCpu *cpu, const EmuOp *op, unsigned i, unsigned size,
                                EmuAccess access)
{
    uint64_t offset = emu_effective(cpu, op) + i * size;

    return emu_linear(cpu, op->seg, offset << op->addr_shift >> op->addr_shift, size, access);
}

/* All addresses are looked at before any is translated. */
static void check_elements(EmuCpu *cpu, const EmuOp *op, const EmuVec *mask, unsigned size,
                           unsigned bytes)
{
    if (!(cpu->mode & EMU_MODE_CS64)) {
        return;
    }
    for (unsigned i = 0; i < bytes / size; i++) {
        if (is_selected(mask, i, size)) {
            uint64_t linear = element_address(cpu, op, i, size, EMU_READ);

            if (!emu_is_canonical(cpu, linear) || !emu_is_canonical(cpu, linear + size - 1)) {
                emu_raise(cpu, op->seg == X86_SS ? X86_SS_FAULT : X86_GP, 0);
            }
        }
    }
}

static void masked_load(EmuCpu *cpu, const EmuOp *op, unsigned size, unsigned bytes)
{
    const EmuVec *mask = &cpu->vec[op->r[1]];
    EmuVec result = { .u64 = { 0 } };

    check_elements(cpu, op, mask, size, bytes);
    for (unsigned i = 0; i < bytes / size; i++) {
        if (is_selected(mask, i, size)) {
            uint64_t linear = element_address(cpu, op, i, size, EMU_READ);

            if (size == 4) {
                result.u32[i] = emu_read_u32(cpu, linear);
            } else {
                result.u64[i] = emu_read_u64(cpu, linear);
            }
        }
    }
    cpu->vec[op->r[0]] = result;
}

static void write_element(EmuCpu *cpu, uint64_t linear, const EmuVec *source, unsigned i,
                          unsigned size)
{
    switch (size) {
    case 1:
        emu_write_u8(cpu, linear, source->u8[i]);
        break;
    case 4:
        emu_write_u32(cpu, linear, source->u32[i]);
        break;
    default:
        emu_write_u64(cpu, linear, source->u64[i]);
        break;
    }
}

/*
 * The bytes from the first selected element to the last may fault. If a page ends among them,
 * processors name the last byte.
 */
static void probe_masked(EmuCpu *cpu, uint64_t first, uint64_t last)
{
    emu_probe_write(cpu, first, 1);
    if ((first ^ last) >> EMU_PAGE_BITS) {
        emu_probe_write(cpu, last, 1);
    }
}

static void masked_store(EmuCpu *cpu, const EmuOp *op, const EmuVec *mask, const EmuVec *source,
                         unsigned size, unsigned bytes)
{
    uint64_t linear[16];
    int first = -1, last = -1;

    for (unsigned i = 0; i < bytes / size; i++) {
        if (is_selected(mask, i, size)) {
            linear[i] = element_address(cpu, op, i, size, EMU_WRITE);
            first = first < 0 ? (int)i : first;
            last = i;
        }
    }
    if (first < 0) {
        return;
    }
    check_elements(cpu, op, mask, size, bytes);
    probe_masked(cpu, linear[first], linear[last] + size - 1);
    for (int i = first; i <= last; i++) {
        if (is_selected(mask, i, size)) {
            write_element(cpu, linear[i], source, i, size);
        }
    }
}

#define MASKED_MOVE(size, bytes) \
    static void op_masked_load##size##_##bytes(EmuCpu *cpu, const EmuOp *op) \
    { \
        masked_load(cpu, op, size, bytes); \
        EMU_NEXT(cpu, op); \
    } \
    static void op_masked_store##size##_##bytes(EmuCpu *cpu, const EmuOp *op) \
    { \
        masked_store(cpu, op, &cpu->vec[op->r[0]], &cpu->vec[op->r[1]], size, bytes); \
        EMU_NEXT(cpu, op); \
    }
MASKED_MOVE(4, 16)
MASKED_MOVE(4, 32)
MASKED_MOVE(8, 16)
MASKED_MOVE(8, 32)

typedef struct MaskedMove {
    EmuOpFn *load[2], *store[2]; /* 128 and 256 bits */
} MaskedMove;

static EmuOpFn *bind_masked(const EmuDecoded *decoded, EmuOp *op)
{
    const MaskedMove *data = decoded->row->data;
    bool wide = op->flags & EMU_OP_L256;

    if (!emu_vec_allowed(decoded)) {
        return NULL;
    }
    return op->mem_at == 0 ? data->store[wide] : data->load[wide];
}

/* ---- MASKMOVDQU, MASKMOVQ: bytes, to DS:rDI. Bytes that are masked out may fault as well. ---- */

static void op_maskmovdqu(EmuCpu *cpu, const EmuOp *op)
{
    emu_probe_write(cpu, element_address(cpu, op, 1, 8, EMU_WRITE), 8);
    emu_probe_write(cpu, element_address(cpu, op, 0, 8, EMU_WRITE), 8);
    masked_store(cpu, op, &cpu->vec[op->r[1]], &cpu->vec[op->r[0]], 1, 16);
    EMU_NEXT(cpu, op);
}

static void maskmovq(EmuCpu *cpu, const EmuOp *op)
{
    EmuVec mask = { .u64 = { emu_mmx(cpu, op->r[1]) } };
    EmuVec source = { .u64 = { emu_mmx(cpu, op->r[0]) } };

    emu_x87_check(cpu);
    emu_mmx_begin(cpu);
    emu_probe_write(cpu, emu_operand(cpu, op, 8, EMU_WRITE), 8);
    masked_store(cpu, op, &mask, &source, 1, 8);
}

static void op_maskmovq(EmuCpu *cpu, const EmuOp *op)
{
    maskmovq(cpu, op);
    EMU_NEXT(cpu, op);
}

static EmuOpFn *bind_maskmov(const EmuDecoded *decoded, EmuOp *op)
{
    if (!emu_vec_allowed(decoded)) {
        return NULL;
    }
    op->flags |= EMU_OP_MEM;
    op->base = X86_RDI;
    return decoded->insn.mnemonic == ZYDIS_MNEMONIC_MASKMOVQ ? op_maskmovq : op_maskmovdqu;
}

/* ---- Gathers ---- */

/* Fill elements with their top bit; above is zero. */
static void spread_signs(EmuVec *mask, unsigned size, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        memset(&mask->u8[i * size], is_selected(mask, i, size) ? 0xff : 0, size);
    }
    memset(&mask->u8[count * size], 0, sizeof(*mask) - count * size);
}

/*
 * r[0] is the destination, r[1] the mask, op->index a vector register. An element that was loaded
 * loses its mask at once: after a fault the instruction starts again and does the rest.
 */
static inline void gather(EmuCpu *cpu, const EmuOp *op, unsigned index_size, unsigned size,
                          unsigned count)
{
    EmuVec *dst = &cpu->vec[op->r[0]], *mask = &cpu->vec[op->r[1]];
    const EmuVec *index = &cpu->vec[op->index];
    unsigned bytes = op->flags & EMU_OP_L256 ? 32 : 16;

    spread_signs(mask, size, bytes / size);
    for (unsigned i = 0; i < count; i++) {
        int64_t scaled = index_size == 4 ? index->s32[i] : index->s64[i];
        uint64_t offset = cpu->regs[op->base] + ((uint64_t)scaled << op->scale) +
                          (int64_t)op->disp;
        uint64_t linear;

        if (!is_selected(mask, i, size)) {
            continue;
        }
        linear = emu_linear(cpu, op->seg, offset << op->addr_shift >> op->addr_shift, size,
                            EMU_READ);
        if (size == 4) {
            dst->u32[i] = emu_read_u32(cpu, linear);
            mask->u32[i] = 0;
        } else {
            dst->u64[i] = emu_read_u64(cpu, linear);
            mask->u64[i] = 0;
        }
        memset(&dst->u8[bytes], 0, sizeof(*dst) - bytes);
        cpu->in_pieces = true;
    }
    cpu->in_pieces = false;
    memset(&dst->u8[count * size], 0, sizeof(*dst) - count * size);
    memset(mask, 0, sizeof(*mask));
}

#define GATHER(index_size, size, count) \
    static void op_gather_##index_size##_##size##_##count(EmuCpu *cpu, const EmuOp *op) \
    { \
        gather(cpu, op, index_size, size, count); \
        EMU_NEXT(cpu, op); \
    }
GATHER(4, 4, 4)
GATHER(4, 4, 8)
GATHER(4, 8, 2)
GATHER(4, 8, 4)
GATHER(8, 4, 2)
GATHER(8, 4, 4)
GATHER(8, 8, 2)
GATHER(8, 8, 4)

typedef struct Gather {
    EmuOpFn *fn[2]; /* 128 and 256 bits */
} Gather;

static EmuOpFn *bind_gather(const EmuDecoded *decoded, EmuOp *op)
{
    const Gather *data = decoded->row->data;

    if (!emu_vec_allowed(decoded) || op->r[0] == op->r[1] || op->r[0] == op->index ||
        op->r[1] == op->index || op->index > 15) {
        return NULL;
    }
    return data->fn[!!(op->flags & EMU_OP_L256)];
}

/* ---- Instructions ---- */

#define ROW(name, bind, ...) { ZYDIS_MNEMONIC_##name, EMU_UNIT_SSE, bind, __VA_ARGS__ }
#define MASKED(name, size) \
    ROW(name, bind_masked, \
        &(const MaskedMove) { { op_masked_load##size##_16, op_masked_load##size##_32 }, \
                              { op_masked_store##size##_16, op_masked_store##size##_32 } })
#define GATHERS(name, narrow, wide) \
    ROW(name, bind_gather, &(const Gather) { { op_gather_##narrow, op_gather_##wide } })

static const EmuInsn rows[] = {
    ROW(VZEROUPPER, bind_zero, NULL), ROW(VZEROALL, bind_zero, NULL),
    ROW(MASKMOVQ, bind_maskmov, NULL), ROW(MASKMOVDQU, bind_maskmov, NULL),
    ROW(VMASKMOVDQU, bind_maskmov, NULL),
    MASKED(VMASKMOVPS, 4), MASKED(VMASKMOVPD, 8), MASKED(VPMASKMOVD, 4), MASKED(VPMASKMOVQ, 8),
    GATHERS(VPGATHERDD, 4_4_4, 4_4_8), GATHERS(VGATHERDPS, 4_4_4, 4_4_8),
    GATHERS(VPGATHERDQ, 4_8_2, 4_8_4), GATHERS(VGATHERDPD, 4_8_2, 4_8_4),
    GATHERS(VPGATHERQD, 8_4_2, 8_4_4), GATHERS(VGATHERQPS, 8_4_2, 8_4_4),
    GATHERS(VPGATHERQQ, 8_8_2, 8_8_4), GATHERS(VGATHERQPD, 8_8_2, 8_8_4),
};

const EmuInsnTable emu_insns_vec_avx = { .rows = rows, .count = G_N_ELEMENTS(rows) };
