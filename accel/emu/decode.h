/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From bytes to ops. decode.c decodes with Zydis, fills what is common to all instructions
 * (operands, sizes, addresses), and asks the instruction's group for a handler. A group is a file
 * with a const table of EmuInsn; all tables are listed in decode.c.
 */
#ifndef VIREO_ACCEL_EMU_DECODE_H
#define VIREO_ACCEL_EMU_DECODE_H

#include <Zydis/Zydis.h>

#include "accel/emu/op.h"

typedef struct EmuDecoded {
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT]; /* visible ones first */
    uint32_t mode;          /* EmuMode */
    const struct EmuInsn *row; /* the row whose bind is being asked */
    const EmuCpu *cpu;      /* for CPUID features and control registers that are part of the mode */
} EmuDecoded;

/*
 * Choose the handler; may rewrite op's fields for its use and set EMU_OP_ENDS. NULL: not a form of
 * this row. Groups may have rows of the same mnemonic (MOV, PUSH, POP, JMP, CALL, RET: segments,
 * control registers, far branches; MOVSD, CMPSD: strings, SSE): each is asked in turn, and a row
 * refuses the forms of others; if none takes it, it is #UD. Must check what the encoding alone
 * decides: CPUID feature of the guest, LOCK allowed, mode. Whether SSE, AVX or x87 may run now
 * (CR0.EM/TS, CR4.OSFXSR, XCR0) is checked by decode.c from the chosen row's `unit`.
 */
typedef EmuOpFn *EmuBind(const EmuDecoded *decoded, EmuOp *op);

/* Which unit runs the instruction: what must be enabled, and which fault comes else. */
typedef enum EmuUnit {
    EMU_UNIT_INTEGER,
    EMU_UNIT_X87,   /* CR0.EM or TS: #NM */
    EMU_UNIT_MMX,   /* EM: #UD, TS: #NM; pending x87 exceptions are the handler's business */
    EMU_UNIT_SSE,   /* EM or !OSFXSR: #UD, TS: #NM; as MMX if an explicit operand is an MMX register
                       and none an XMM register (PADDB mm, mm) */
    EMU_UNIT_AVX,   /* not EMU_MODE_AVX, or not protected mode: #UD, TS: #NM */
    EMU_UNIT_WAIT,  /* FWAIT: MP and TS: #NM */
} EmuUnit;

typedef struct EmuInsn {
    uint16_t mnemonic;  /* ZydisMnemonic */
    uint8_t unit;       /* EmuUnit of the legacy form; VEX forms are AVX (GPR ones, as BMI: integer,
                           protected mode) */
    EmuBind *bind;
    /* For bind's use: a group's own table entry (lane function, flag operation, ...). */
    const void *data;
} EmuInsn;

typedef struct EmuInsnTable {
    const EmuInsn *rows;
    unsigned count;
} EmuInsnTable;

/* The first row for a mnemonic; NULL: nobody implements it. */
const EmuInsn *emu_insn_find(unsigned mnemonic);

/*
 * Decode one instruction of at most `available` bytes (up to 15) at `code`. Always gives an op; the
 * kinds of failure are ops too: undefined ones raise #UD. page_offset is that of code[0].
 * False: more bytes than `available` are needed.
 */
bool emu_decode(EmuCpu *cpu, const uint8_t *code, unsigned available, unsigned page_offset,
                EmuOp *op);
/* The same; also what Zydis made of the bytes, unless the op only raises. */
bool emu_decode_to(EmuCpu *cpu, const uint8_t *code, unsigned available, unsigned page_offset,
                   EmuOp *op, EmuDecoded *decoded);
/* Is there no more to it than a #UD, #NM or #GP? */
bool emu_op_only_raises(const EmuOp *op);

/* Is a feature bit of the guest's CPUID set? (X86FeatureWord, bit.) */
bool emu_has(const EmuCpu *cpu, X86FeatureWord word, unsigned bit);

/* Raises #UD; for bind functions that find a form undefined only at run time. */
EmuOpFn emu_op_undefined;
/* Raises #NM. */
EmuOpFn emu_op_not_available;

/* The instruction groups. */
extern const EmuInsnTable emu_insns_alu, emu_insns_move, emu_insns_shift, emu_insns_muldiv,
    emu_insns_bit, emu_insns_bmi, emu_insns_bcd, emu_insns_string, emu_insns_stack,
    emu_insns_branch, emu_insns_atomic, emu_insns_far, emu_insns_system, emu_insns_io,
    emu_insns_segment, emu_insns_x87, emu_insns_xsave, emu_insns_vec_move, emu_insns_vec_int,
    emu_insns_vec_shuffle, emu_insns_vec_float, emu_insns_vec_convert, emu_insns_vec_misc,
    emu_insns_vec_fma, emu_insns_vec_avx, emu_insns_vec_crypto;

#endif
