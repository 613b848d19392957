/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A decoded instruction, and how handlers go from one to the next.
 */
#ifndef VIREO_ACCEL_EMU_OP_H
#define VIREO_ACCEL_EMU_OP_H

#include "accel/emu/emu.h"

/* Bits of EmuOp.flags. */
enum {
    EMU_OP_LOCK = 1u << 0,
    EMU_OP_REP = 1u << 1,    /* F3, on string instructions */
    EMU_OP_REPNE = 1u << 2,  /* F2, on string instructions */
    EMU_OP_VEX = 1u << 3,    /* VEX-encoded: upper lanes of the destination become zero */
    EMU_OP_L256 = 1u << 4,   /* 256-bit vectors */
    EMU_OP_MEM = 1u << 5,    /* has a memory operand */
    EMU_OP_ENDS = 1u << 6,   /* the last of its block */
    EMU_OP_FORKS = 1u << 7,  /* a JCC: the last, unless the block was extended beyond it */
};

struct EmuOp {
    EmuOpFn *fn;
    uint64_t imm;          /* immediate, sign-extended to 64 bits; direct branches: displacement
                              from the next instruction; far pointers: offset; MOV moffs with an
                              address of more than 32 bits: the address */
    int32_t disp;          /* of the memory operand; RIP-relative: counts from EMU_REG_PAGE_RIP */
    uint16_t page_offset;  /* of the first byte in its (linear and physical) page */
    uint16_t mnemonic;     /* ZydisMnemonic */
    uint8_t length;        /* in bytes */
    uint8_t size;          /* effective operand size: 1, 2, 4, 8 bytes */
    uint8_t flags;
    uint8_t seg;           /* X86SegReg of the memory operand */
    uint8_t base, index;   /* X86Reg or EMU_REG_* */
    uint8_t scale;         /* shift count, 0..3 */
    uint8_t addr_shift;    /* 64 - address size in bits: (x << s) >> s truncates an address */
    /*
     * Visible register operands (Zydis: explicit and implicit, as the CL of SHL r,CL), in the order
     * of Intel's syntax, operands of other kinds left out (ADD m,r: r[0] is the source). General
     * registers: X86Reg; byte registers: the offset of the byte in regs[] (reg * 8, + 1 for AH..BH;
     * see emu_r8). Vector, MMX, x87, segment, control and debug registers: their numbers.
     */
    uint8_t r[4];
    uint8_t mem_size;      /* bytes that the memory operand has, 0: none or special */
    uint8_t mem_at;        /* which explicit operand is the memory operand, 0xff: none */
    uint16_t imm2;         /* second immediate (ENTER), selector of a far pointer */
};

static inline uint64_t emu_op_rip(const EmuCpu *cpu, const EmuOp *op)
{
    return cpu->regs[EMU_REG_PAGE_RIP] + op->page_offset;
}

/* Truncate an instruction pointer to the code segment's size. */
static inline uint64_t emu_mask_ip(const EmuCpu *cpu, uint64_t ip)
{
    return cpu->mode & EMU_MODE_CS64 ? ip : cpu->mode & EMU_MODE_CS32 ? (uint32_t)ip : (uint16_t)ip;
}

static inline uint64_t emu_next_rip(const EmuCpu *cpu, const EmuOp *op)
{
    return emu_mask_ip(cpu, emu_op_rip(cpu, op) + op->length);
}

/* Effective address (offset in its segment). */
static inline uint64_t emu_effective(const EmuCpu *cpu, const EmuOp *op)
{
    uint64_t ea = cpu->regs[op->base] + (cpu->regs[op->index] << op->scale) + (int64_t)op->disp;

    return ea << op->addr_shift >> op->addr_shift;
}

/* Go on to the next op of the block: the last statement of a handler that does not end one. */
#define EMU_NEXT(cpu, op) \
    do { \
        const EmuOp *next_op_ = (op) + 1; \
        (cpu)->op = next_op_; \
        next_op_->fn((cpu), next_op_); \
        return; \
    } while (0)

/*
 * End the block behind this instruction: the last statement of a handler whose op has EMU_OP_ENDS
 * and that does not branch. One that branches sets cpu->rip itself and returns.
 */
#define EMU_END(cpu, op) \
    do { \
        (cpu)->rip = emu_next_rip((cpu), (op)); \
        return; \
    } while (0)

/* The op behind every block's last one, and behind one run alone: sets cpu->rip to its address. */
EmuOpFn emu_op_stop;

static inline uint8_t *emu_r8(EmuCpu *cpu, unsigned r) { return (uint8_t *)cpu->regs + r; }
static inline uint16_t *emu_r16(EmuCpu *cpu, unsigned r) { return (uint16_t *)&cpu->regs[r]; }
static inline uint32_t *emu_r32(EmuCpu *cpu, unsigned r) { return (uint32_t *)&cpu->regs[r]; }
static inline uint64_t *emu_r64(EmuCpu *cpu, unsigned r) { return &cpu->regs[r]; }
/* Write a general register as an instruction of that size does (32-bit writes clear the top). */
static inline void emu_set_reg(EmuCpu *cpu, unsigned r, unsigned size, uint64_t value)
{
    switch (size) {
    case 2:
        *emu_r16(cpu, r) = value;
        break;
    case 4:
        cpu->regs[r] = (uint32_t)value;
        break;
    default:
        cpu->regs[r] = value;
        break;
    }
}

#endif
