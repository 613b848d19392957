/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MOVS, CMPS, STOS, LODS, SCAS, INS, OUTS, alone and repeated.
 *
 * Registers always hold the count of completed elements when anything can fault, so a fault, an
 * interrupt or a single step in the middle leaves an instruction that goes on where it was. A
 * repeated one ends its block; when something wants attention it returns with RIP at itself.
 *
 * REP MOVS and STOS upwards go through RAM a page at a time.
 */
#include "accel/emu/op-int.h"
#include "accel/emu/segment.h"
#include "accel/emu/system.h"

/* Elements between two looks at cpu->attention. */
#define BATCH 256

/* ---- Registers by address size ---- */

static inline uint64_t address_mask(const EmuOp *op)
{
    return ~0ULL >> op->addr_shift;
}

static inline uint64_t masked(const EmuCpu *cpu, const EmuOp *op, unsigned reg)
{
    return cpu->regs[reg] & address_mask(op);
}

static inline void advance(EmuCpu *cpu, const EmuOp *op, unsigned reg, int64_t delta)
{
    uint64_t value = cpu->regs[reg] + delta;

    cpu->regs[reg] = op->addr_shift == 48 ? (cpu->regs[reg] & ~0xffffULL) | (uint16_t)value
                                          : value & address_mask(op);
}

static inline int64_t step_of(const EmuCpu *cpu, int size)
{
    return cpu->rflags & FLAG_DF ? -size : size;
}

static inline uint64_t source(EmuCpu *cpu, const EmuOp *op, unsigned size)
{
    return emu_linear(cpu, op->seg, masked(cpu, op, X86_RSI), size, EMU_READ);
}

static inline uint64_t target(EmuCpu *cpu, const EmuOp *op, unsigned size, EmuAccess access)
{
    return emu_linear(cpu, X86_ES, masked(cpu, op, X86_RDI), size, access);
}

/* ---- One element of each ---- */

#define DEFINE_ELEMENTS(bits) \
    static inline void movs_one##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        int64_t step = step_of(cpu, bits / 8); \
        uint##bits##_t value = emu_read_u##bits(cpu, source(cpu, op, bits / 8)); \
        emu_write_u##bits(cpu, target(cpu, op, bits / 8, EMU_WRITE), value); \
        advance(cpu, op, X86_RSI, step); \
        advance(cpu, op, X86_RDI, step); \
    } \
    static inline void stos_one##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        emu_write_u##bits(cpu, target(cpu, op, bits / 8, EMU_WRITE), \
                          (uint##bits##_t)cpu->regs[X86_RAX]); \
        advance(cpu, op, X86_RDI, step_of(cpu, bits / 8)); \
    } \
    static inline void lods_one##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        uint##bits##_t value = emu_read_u##bits(cpu, source(cpu, op, bits / 8)); \
        emu_put_r##bits(cpu, X86_RAX, value); \
        advance(cpu, op, X86_RSI, step_of(cpu, bits / 8)); \
    } \
    /* The comparisons give their operands, for the flags. CMPS reads ES:rDI first. */ \
    static inline uint##bits##_t cmps_one##bits(EmuCpu *cpu, const EmuOp *op, \
                                                uint##bits##_t *b) \
    { \
        int64_t step = step_of(cpu, bits / 8); \
        uint##bits##_t a; \
        *b = emu_read_u##bits(cpu, target(cpu, op, bits / 8, EMU_READ)); \
        a = emu_read_u##bits(cpu, source(cpu, op, bits / 8)); \
        advance(cpu, op, X86_RSI, step); \
        advance(cpu, op, X86_RDI, step); \
        return a; \
    } \
    static inline uint##bits##_t scas_one##bits(EmuCpu *cpu, const EmuOp *op, \
                                                uint##bits##_t *b) \
    { \
        *b = emu_read_u##bits(cpu, target(cpu, op, bits / 8, EMU_READ)); \
        advance(cpu, op, X86_RDI, step_of(cpu, bits / 8)); \
        return (uint##bits##_t)cpu->regs[X86_RAX]; \
    }
EMU_FOR_SIZES(DEFINE_ELEMENTS)

/* A device's register is read once: the target must be known to be writable before. */
#define DEFINE_PORT_ELEMENTS(bits) \
    static inline void ins_one##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        uint64_t linear = target(cpu, op, bits / 8, EMU_WRITE); \
        emu_probe_write(cpu, linear, bits / 8); \
        emu_write_u##bits(cpu, linear, \
                          (uint##bits##_t)emu_io_read(cpu, (uint16_t)cpu->regs[X86_RDX], \
                                                      bits / 8)); \
        advance(cpu, op, X86_RDI, step_of(cpu, bits / 8)); \
    } \
    static inline void outs_one##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        uint##bits##_t value = emu_read_u##bits(cpu, source(cpu, op, bits / 8)); \
        emu_io_write(cpu, (uint16_t)cpu->regs[X86_RDX], value, bits / 8); \
        advance(cpu, op, X86_RSI, step_of(cpu, bits / 8)); \
    }
DEFINE_PORT_ELEMENTS(8)
DEFINE_PORT_ELEMENTS(16)
DEFINE_PORT_ELEMENTS(32)

/* ---- Many elements at once: pieces of pages of RAM ---- */

/*
 * How many of `count` elements from `offset` up are in one page, below the segment's limit and the
 * end of the address space. 0: leave it to the single element.
 */
static uint64_t run_length(EmuCpu *cpu, const EmuOp *op, unsigned seg, uint64_t offset,
                           uint64_t linear, unsigned size, uint64_t count)
{
    uint64_t bytes = EMU_PAGE_SIZE - (linear & (EMU_PAGE_SIZE - 1));
    uint64_t space = address_mask(op) - offset;

    if (!(cpu->mode & EMU_MODE_CS64) && !((cpu->mode & EMU_MODE_FLAT) && seg < X86_FS)) {
        const X86Segment *segment = &cpu->segs[seg];

        if ((segment->attr & (SEG_CODE | SEG_EXPAND_DOWN)) == SEG_EXPAND_DOWN) {
            return 0;
        }
        space = MIN(space, segment->limit - offset);
    }
    return MIN(MIN(bytes, space == UINT64_MAX ? space : space + 1) / size, count);
}

/* Element by element upwards, as the instruction does it, where one copy would see the other's. */
static void copy_overlapping(uint8_t *to, const uint8_t *from, size_t bytes, unsigned size)
{
    for (size_t i = 0; i < bytes; i += size) {
        memmove(to + i, from + i, size);
    }
}

/* Elements copied, 0: cannot. */
static uint64_t movs_run(EmuCpu *cpu, const EmuOp *op, unsigned size, uint64_t count)
{
    uint64_t from = source(cpu, op, size), to, run, bytes;
    uint8_t *host_from = emu_fast_read_ptr(cpu, from, size, cpu->tlb.current), *host_to;

    if (!host_from || cpu->rflags & FLAG_DF) {
        return 0;
    }
    to = target(cpu, op, size, EMU_WRITE);
    host_to = emu_fast_write_ptr(cpu, to, size, cpu->tlb.current);
    if (!host_to) {
        return 0;
    }
    run = run_length(cpu, op, op->seg, masked(cpu, op, X86_RSI), from, size, count);
    run = run_length(cpu, op, X86_ES, masked(cpu, op, X86_RDI), to, size, run);
    bytes = run * size;
    if (host_to > host_from && host_to < host_from + bytes) {
        copy_overlapping(host_to, host_from, bytes, size);
    } else {
        memmove(host_to, host_from, bytes);
    }
    advance(cpu, op, X86_RSI, (int64_t)bytes);
    advance(cpu, op, X86_RDI, (int64_t)bytes);
    return run;
}

static uint64_t stos_run(EmuCpu *cpu, const EmuOp *op, unsigned size, uint64_t count)
{
    uint64_t to = target(cpu, op, size, EMU_WRITE), value = cpu->regs[X86_RAX], run;
    uint8_t *host = emu_fast_write_ptr(cpu, to, size, cpu->tlb.current);

    if (!host || cpu->rflags & FLAG_DF) {
        return 0;
    }
    run = run_length(cpu, op, X86_ES, masked(cpu, op, X86_RDI), to, size, count);
    if (emu_sign_extend(value, size * 8) == emu_sign_extend((uint8_t)value * 0x0101010101010101ULL,
                                                            size * 8)) {
        memset(host, (uint8_t)value, run * size);
    } else {
        for (uint64_t i = 0; i < run; i++) {
            memcpy(host + i * size, &value, size);
        }
    }
    advance(cpu, op, X86_RDI, (int64_t)(run * size));
    return run;
}

static uint64_t no_run(EmuCpu *cpu, const EmuOp *op, unsigned size, uint64_t count)
{
    return 0;
}

/* ---- Repetition ---- */

/* Must the instruction let go after an iteration? */
static inline bool must_pause(const EmuCpu *cpu)
{
    return cpu->mode & EMU_MODE_STEP || __atomic_load_n(&cpu->attention, __ATOMIC_RELAXED);
}

/* Leave with the instruction to be run again; a trap before that shows RF set. */
static inline void pause_here(EmuCpu *cpu, const EmuOp *op)
{
    if (cpu->mode & EMU_MODE_STEP) {
        cpu->rflags |= FLAG_RF;
    }
    cpu->rip = emu_mask_ip(cpu, emu_op_rip(cpu, op));
}

/*
 * What happens before anything else, even a fault of the first element or a count of 0: 32-bit
 * addresses clear the upper halves of RCX and, in MOVS and STOS, of the pointers (`pointers`: bits
 * of registers), as processors do it.
 */
static inline void begin_repeat(EmuCpu *cpu, const EmuOp *op, unsigned pointers)
{
    advance(cpu, op, X86_RCX, 0);
    if (pointers & BIT(X86_RSI)) {
        advance(cpu, op, X86_RSI, 0);
    }
    if (pointers & BIT(X86_RDI)) {
        advance(cpu, op, X86_RDI, 0);
    }
}

#define DEFINE_PLAIN(name, bits, run_of, pointers) \
    static void name##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        name##_one##bits(cpu, op); \
        EMU_NEXT(cpu, op); \
    } \
    static void name##_rep##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        uint64_t count = masked(cpu, op, X86_RCX); \
        begin_repeat(cpu, op, pointers); \
        for (unsigned n = 1; count; n++) { \
            uint64_t done = count > 1 && !(cpu->mode & EMU_MODE_STEP) \
                                ? run_of(cpu, op, bits / 8, count) : 0; \
            if (!done) { \
                name##_one##bits(cpu, op); \
                done = 1; \
            } \
            advance(cpu, op, X86_RCX, -(int64_t)done); \
            count -= done; \
            if (count && (n % BATCH == 0 || done > 1 || (cpu->mode & EMU_MODE_STEP)) && \
                must_pause(cpu)) { \
                pause_here(cpu, op); \
                return; \
            } \
        } \
        EMU_END(cpu, op); \
    }

/*
 * `imm` is the ZF that goes on: 1 for REPE, 0 for REPNE. Flags are those from before until the end:
 * faults and traps in the middle do not see them change.
 */
#define DEFINE_COMPARING(name, bits) \
    static void name##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        uint##bits##_t b, a = name##_one##bits(cpu, op, &b); \
        emu_flags_sub(cpu, a, b, (uint64_t)a - b, bits); \
        EMU_NEXT(cpu, op); \
    } \
    static void name##_rep##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        unsigned limit = cpu->mode & EMU_MODE_STEP ? 1 : BATCH; \
        uint64_t count = masked(cpu, op, X86_RCX); \
        uint##bits##_t a, b; \
        begin_repeat(cpu, op, 0); \
        if (!count) { \
            EMU_END(cpu, op); \
        } \
        for (unsigned n = 1;; n++) { \
            a = name##_one##bits(cpu, op, &b); \
            advance(cpu, op, X86_RCX, -1); \
            if (--count == 0 || (a == b) != op->imm) { \
                break; \
            } \
            if (n % limit == 0 && must_pause(cpu)) { \
                pause_here(cpu, op); \
                return; \
            } \
        } \
        emu_flags_sub(cpu, a, b, (uint64_t)a - b, bits); \
        EMU_END(cpu, op); \
    }

#define DEFINE_STRINGS(bits) \
    DEFINE_PLAIN(movs, bits, movs_run, BIT(X86_RSI) | BIT(X86_RDI)) \
    DEFINE_PLAIN(stos, bits, stos_run, BIT(X86_RDI)) \
    DEFINE_PLAIN(lods, bits, no_run, 0) \
    DEFINE_COMPARING(cmps, bits) \
    DEFINE_COMPARING(scas, bits)
EMU_FOR_SIZES(DEFINE_STRINGS)

/* Ports: rights before anything else, and attention after every access. */
#define DEFINE_PORTS(name, bits) \
    static void name##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        emu_check_io(cpu, (uint16_t)cpu->regs[X86_RDX], bits / 8); \
        name##_one##bits(cpu, op); \
        EMU_END(cpu, op); \
    } \
    static void name##_rep##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        uint64_t count = masked(cpu, op, X86_RCX); \
        emu_check_io(cpu, (uint16_t)cpu->regs[X86_RDX], bits / 8); \
        begin_repeat(cpu, op, 0); \
        while (count) { \
            name##_one##bits(cpu, op); \
            advance(cpu, op, X86_RCX, -1); \
            count--; \
            if (count && must_pause(cpu)) { \
                pause_here(cpu, op); \
                return; \
            } \
        } \
        EMU_END(cpu, op); \
    }
DEFINE_PORTS(ins, 8)
DEFINE_PORTS(ins, 16)
DEFINE_PORTS(ins, 32)
DEFINE_PORTS(outs, 8)
DEFINE_PORTS(outs, 16)
DEFINE_PORTS(outs, 32)

/* ---- Binding ---- */

typedef struct StringRow {
    EmuOpFn *once, *rep;
    bool port;
} StringRow;

/* Where the source is, or the only memory operand: strings hide their operands. */
static unsigned source_segment(const EmuDecoded *decoded)
{
    static const struct {
        ZydisInstructionAttributes attribute;
        uint8_t seg;
    } prefixes[] = {
        { ZYDIS_ATTRIB_HAS_SEGMENT_FS, X86_FS }, { ZYDIS_ATTRIB_HAS_SEGMENT_GS, X86_GS },
        { ZYDIS_ATTRIB_HAS_SEGMENT_ES, X86_ES }, { ZYDIS_ATTRIB_HAS_SEGMENT_CS, X86_CS },
        { ZYDIS_ATTRIB_HAS_SEGMENT_SS, X86_SS },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(prefixes); i++) {
        if ((decoded->insn.attributes & prefixes[i].attribute) &&
            (prefixes[i].seg >= X86_FS || !(decoded->mode & EMU_MODE_CS64))) {
            return prefixes[i].seg;
        }
    }
    return X86_DS;
}

static EmuOpFn *bind_string(const EmuDecoded *decoded, EmuOp *op)
{
    const StringRow *row = decoded->row->data;
    const uint64_t repeats = ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE;

    if (decoded->insn.meta.category != ZYDIS_CATEGORY_STRINGOP &&
        decoded->insn.meta.category != ZYDIS_CATEGORY_IOSTRINGOP) {
        return NULL;
    }
    op->seg = source_segment(decoded);
    op->imm = !(decoded->insn.attributes & ZYDIS_ATTRIB_HAS_REPNE);
    if (decoded->insn.attributes & repeats) {
        op->flags |= EMU_OP_ENDS;
        return row->rep;
    }
    if (row->port) {
        op->flags |= EMU_OP_ENDS;
    }
    return row->once;
}

#define STRING_ROW(upper, lower, letter, bits) \
    EMU_INT_ROW(upper##letter, bind_string, \
                (&(const StringRow) { .once = lower##bits, .rep = lower##_rep##bits }))
#define PORT_ROW(upper, lower, letter, bits) \
    EMU_INT_ROW(upper##letter, bind_string, \
                (&(const StringRow) { .once = lower##bits, .rep = lower##_rep##bits, \
                                      .port = true }))
#define STRING_ROWS(upper, lower) \
    STRING_ROW(upper, lower, B, 8), STRING_ROW(upper, lower, W, 16), \
    STRING_ROW(upper, lower, D, 32), STRING_ROW(upper, lower, Q, 64)

static const EmuInsn rows[] = {
    STRING_ROWS(MOVS, movs),
    STRING_ROWS(STOS, stos),
    STRING_ROWS(LODS, lods),
    STRING_ROWS(CMPS, cmps),
    STRING_ROWS(SCAS, scas),
    PORT_ROW(INS, ins, B, 8), PORT_ROW(INS, ins, W, 16), PORT_ROW(INS, ins, D, 32),
    PORT_ROW(OUTS, outs, B, 8), PORT_ROW(OUTS, outs, W, 16), PORT_ROW(OUTS, outs, D, 32),
};

const EmuInsnTable emu_insns_string = EMU_INSN_TABLE(rows);
