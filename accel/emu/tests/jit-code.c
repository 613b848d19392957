/* SPDX-License-Identifier: Apache-2.0 */
#include "accel/emu/tests/jit-code.h"

#include <string.h>

/* How an opcode of the tables below goes on. */
enum {
    M = 1u << 0,     /* ModRM */
    B = 1u << 1,     /* operand of a byte: REX for SIL and friends is as random as elsewhere */
    I8 = 1u << 2,    /* imm8 */
    IZ = 1u << 3,    /* imm16 or imm32 by size */
    IV = 1u << 4,    /* as IZ, but imm64 with REX.W */
    MEM = 1u << 5,   /* memory operand only */
    REG = 1u << 6,   /* register operand only */
    O = 1u << 7,     /* register in the opcode's low bits */
    LOCK = 1u << 8,  /* memory forms may be LOCKed */
    WILD = 1u << 9,  /* not in safe code */
};
/* The reg field is an opcode extension: one of these. */
#define EXT(mask) ((mask) << 16)

typedef struct Form {
    uint8_t prefix, map, opcode;
    uint32_t how;
} Form;

#define ALU(n) \
    { 0, 0, (n) * 8, M | B | LOCK }, { 0, 0, (n) * 8 + 1, M | LOCK }, \
    { 0, 0, (n) * 8 + 2, M | B }, { 0, 0, (n) * 8 + 3, M }, \
    { 0, 0, (n) * 8 + 4, I8 }, { 0, 0, (n) * 8 + 5, IZ }

static const Form integer[] = {
    ALU(0), ALU(1), ALU(2), ALU(3), ALU(4), ALU(5), ALU(6), ALU(7),
    { 0, 0, 0x80, M | B | I8 | LOCK | EXT(0xff) }, { 0, 0, 0x81, M | IZ | LOCK | EXT(0xff) },
    { 0, 0, 0x83, M | I8 | LOCK | EXT(0xff) },
    { 0, 0, 0x84, M | B }, { 0, 0, 0x85, M }, { 0, 0, 0x86, M | B }, { 0, 0, 0x87, M },
    { 0, 0, 0x88, M | B }, { 0, 0, 0x89, M }, { 0, 0, 0x8a, M | B }, { 0, 0, 0x8b, M },
    { 0, 0, 0x8d, M | MEM }, { 0, 0, 0x63, M }, { 0, 0, 0x69, M | IZ }, { 0, 0, 0x6b, M | I8 },
    { 0, 0, 0xa8, I8 }, { 0, 0, 0xa9, IZ }, { 0, 0, 0xb0, O | I8 }, { 0, 0, 0xb8, O | IV },
    { 0, 0, 0xc6, M | B | I8 | EXT(1) }, { 0, 0, 0xc7, M | IZ | EXT(1) },
    { 0, 0, 0xf6, M | B | I8 | EXT(3) }, { 0, 0, 0xf7, M | IZ | EXT(3) },
    { 0, 0, 0xf6, M | B | EXT(0x3c) }, { 0, 0, 0xf7, M | EXT(0x3c) },
    { 0, 0, 0xf6, M | B | WILD | EXT(0xc0) }, { 0, 0, 0xf7, M | WILD | EXT(0xc0) },
    { 0, 0, 0xfe, M | B | LOCK | EXT(3) }, { 0, 0, 0xff, M | LOCK | EXT(3) },
    { 0, 0, 0x90, O }, { 0, 0, 0x98, 0 }, { 0, 0, 0x99, 0 }, { 0, 0, 0x9e, 0 }, { 0, 0, 0x9f, 0 },
    { 0, 0, 0xf5, 0 }, { 0, 0, 0xf8, 0 }, { 0, 0, 0xf9, 0 }, { 0, 0, 0xfc, 0 },
    { 0, 0, 0xc0, M | B | I8 | EXT(0xff) }, { 0, 0, 0xc1, M | I8 | EXT(0xff) },
    { 0, 0, 0xd0, M | B | EXT(0xff) }, { 0, 0, 0xd1, M | EXT(0xff) },
    { 0, 0, 0xd2, M | B | EXT(0xff) }, { 0, 0, 0xd3, M | EXT(0xff) },
    { 0, 1, 0xa4, M | I8 }, { 0, 1, 0xa5, M }, { 0, 1, 0xac, M | I8 }, { 0, 1, 0xad, M },
    { 0, 1, 0xaf, M }, { 0, 1, 0xb6, M | B }, { 0, 1, 0xb7, M }, { 0, 1, 0xbe, M | B },
    { 0, 1, 0xbf, M }, { 0, 1, 0xa3, M | REG }, { 0, 1, 0xab, M | REG }, { 0, 1, 0xb3, M | REG },
    { 0, 1, 0xbb, M | REG }, { 0, 1, 0xa3, M | WILD }, { 0, 1, 0xab, M | WILD },
    { 0, 1, 0xba, M | I8 | EXT(0xf0) }, { 0, 1, 0xbc, M }, { 0, 1, 0xbd, M },
    { 0xf3, 1, 0xbc, M }, { 0xf3, 1, 0xbd, M }, { 0xf3, 1, 0xb8, M }, { 0, 1, 0xc8, O },
    { 0, 1, 0xc0, M | B | LOCK }, { 0, 1, 0xc1, M | LOCK }, { 0, 1, 0xb0, M | B | LOCK },
    { 0, 1, 0xb1, M | LOCK }, { 0, 1, 0xc3, M | MEM }, { 0, 2, 0xf0, M | MEM },
    { 0, 2, 0xf1, M | MEM }, { 0xf2, 2, 0xf0, M | B }, { 0xf2, 2, 0xf1, M },
    { 0, 1, 0x1f, M }, { 0, 1, 0x18, M | MEM | EXT(0x0f) }, { 0, 1, 0xc7, M | MEM | LOCK | EXT(2) },
    { 0, 0, 0xa4, WILD }, { 0, 0, 0xa5, WILD }, { 0, 0, 0xaa, WILD }, { 0, 0, 0xac, WILD },
    { 0, 0, 0xa6, WILD },
    { 0, 0, 0x50, O | WILD }, { 0, 0, 0x58, O | WILD }, { 0, 0, 0x68, IZ | WILD },
    { 0, 0, 0x6a, I8 | WILD }, { 0, 0, 0xff, M | WILD | EXT(0x40) },
    { 0, 0, 0x8f, M | WILD | EXT(1) },
    { 0, 0, 0xc9, WILD }, { 0, 0, 0x9c, WILD }, { 0, 0, 0xd9, M | WILD | EXT(0x0d) },
    { 0, 0, 0xdd, M | WILD | EXT(0x0d) }, { 0, 0, 0xd8, M | WILD | EXT(0xff) },
};

/* VEX-encoded integer instructions: prefix is pp, map as in the encoding. */
static const Form bmi[] = {
    { 0, 2, 0xf2, M }, { 0, 2, 0xf3, M | EXT(0x0e) }, { 0, 2, 0xf5, M }, { 2, 2, 0xf5, M },
    { 3, 2, 0xf5, M }, { 3, 2, 0xf6, M }, { 0, 2, 0xf7, M }, { 1, 2, 0xf7, M }, { 2, 2, 0xf7, M },
    { 3, 2, 0xf7, M }, { 3, 3, 0xf0, M | I8 },
};

/* What only 32-bit code has, besides MOV with an absolute address. */
static const Form narrow_only[] = {
    { 0, 0, 0x40, O }, { 0, 0, 0x48, O }, { 0, 0, 0x82, M | B | I8 | LOCK | EXT(0xff) },
};

/* ---- Chance ---- */

static unsigned below(JitCode *code, unsigned n)
{
    return g_rand_int_range(code->rand, 0, n);
}

static bool percent(JitCode *code, unsigned n)
{
    return below(code, 100) < n;
}

static void put(JitCode *code, uint8_t byte)
{
    *code->at++ = byte;
}

/* Small numbers and all ones are as likely as others. */
static void put_imm(JitCode *code, unsigned bytes)
{
    uint64_t value = (uint64_t)g_rand_int(code->rand) << 32 | g_rand_int(code->rand);

    value = percent(code, 30)   ? below(code, 70)
            : percent(code, 20) ? ~0ull - below(code, 3)
                                : value;
    memcpy(code->at, &value, bytes);
    code->at += bytes;
}

static unsigned pick_reg(JitCode *code)
{
    static const uint8_t others[] = { 0, 1, 2, 5, 6, 7, 8, 9, 10, 11, 12, 13 };

    /* Pointers live longer where nothing is promised, too. */
    if (code->narrow) {
        return percent(code, 80) ? others[below(code, 6)] : below(code, 8);
    }
    return code->safe || percent(code, 80) ? others[below(code, sizeof(others))] : below(code, 16);
}

/* ---- Operands ---- */

typedef struct Operands {
    unsigned reg, rm, index, base;
    bool memory, sib, rip;
    unsigned mod;
} Operands;

static Operands pick_operands(JitCode *code, uint32_t how)
{
    static const uint8_t bases[] = { 3, 14, 3, 14, 5, 10, 6, 15, 4, 13 };
    static const uint8_t narrow_bases[] = { 3, 7, 3, 7, 5, 6, 4 };
    Operands operands = { .reg = pick_reg(code), .rm = pick_reg(code) };
    uint32_t ext = how >> 16;

    if (ext) {
        do {
            operands.reg = below(code, 8);
        } while (!(ext & 1u << operands.reg));
    }
    operands.memory = (how & MEM) || (!(how & REG) && percent(code, 45));
    if (!operands.memory) {
        return operands;
    }
    operands.base = bases[below(code, code->safe || code->near ? 4 : sizeof(bases))];
    if (code->narrow) {
        operands.base = narrow_bases[below(code, code->near ? 4 : sizeof(narrow_bases))];
    }
    operands.rip = !code->safe && !code->narrow && percent(code, 8);
    operands.sib = (operands.base & 7) == 4 || (!code->safe && percent(code, 20));
    operands.index = code->safe || percent(code, 50) ? 4 : below(code, code->narrow ? 8 : 16);
    operands.mod = operands.rip ? 0 : percent(code, 50) ? 1 : 2;
    return operands;
}

static void put_modrm(JitCode *code, const Operands *operands)
{
    int32_t reach = code->near ? 100 : JIT_CODE_REACH;
    int32_t disp = g_rand_int_range(code->rand, -reach, reach);

    if (!operands->memory) {
        put(code, 0xc0 | (operands->reg & 7) << 3 | (operands->rm & 7));
        return;
    }
    if (operands->rip) {
        put(code, (operands->reg & 7) << 3 | 5);
        disp *= 16;
        memcpy(code->at, &disp, 4);
        code->at += 4;
        return;
    }
    put(code, operands->mod << 6 | (operands->reg & 7) << 3 |
              (operands->sib ? 4 : operands->base & 7));
    if (operands->sib) {
        put(code, below(code, 4) << 6 | (operands->index & 7) << 3 | (operands->base & 7));
    }
    if (operands->mod == 1) {
        put(code, disp);
    } else {
        memcpy(code->at, &disp, 4);
        code->at += 4;
    }
}

static void put_address_prefixes(JitCode *code, const Operands *operands)
{
    if (operands->memory && !code->safe && percent(code, 6)) {
        put(code, percent(code, 50) ? 0x64 : 0x65);
    }
    if (operands->memory && !code->safe && percent(code, 4)) {
        put(code, 0x67);
    }
}

static unsigned rex_xb(const Operands *operands)
{
    return operands->memory ? (operands->sib ? (operands->index >> 3 & 1) << 1 : 0) |
                              (operands->rip ? 0 : operands->base >> 3 & 1)
                            : operands->rm >> 3 & 1;
}

/* ---- Instructions ---- */

static void put_opcode_map(JitCode *code, unsigned map)
{
    if (map) {
        put(code, 0x0f);
    }
    if (map > 1) {
        put(code, map == 2 ? 0x38 : 0x3a);
    }
}

static void put_legacy(JitCode *code, const Form *form, bool may_be_narrow)
{
    Operands operands = { .rm = pick_reg(code) };
    bool narrow = may_be_narrow && percent(code, 15), wide = !code->narrow && percent(code, 50);
    unsigned rex;

    if (form->how & M) {
        operands = pick_operands(code, form->how);
    } else if (form->how & O) {
        operands.reg = 0;
    }
    put_address_prefixes(code, &operands);
    if (operands.memory && (form->how & LOCK) && form->opcode != 0x38 && form->opcode != 0x39 &&
        percent(code, 10)) {
        put(code, 0xf0);
    }
    if (narrow) {
        put(code, 0x66);
    }
    if (form->prefix) {
        put(code, form->prefix);
    }
    rex = wide << 3 | (form->how >> 16 ? 0 : (operands.reg >> 3 & 1) << 2) |
          (form->how & (M | O) ? rex_xb(&operands) : 0);
    /* Without REX there is BH, part of a pointer. */
    if (!code->narrow && (rex || code->safe || percent(code, 20))) {
        put(code, 0x40 | rex);
    }
    put_opcode_map(code, form->map);
    put(code, form->opcode | (form->how & O ? operands.rm & 7 : 0));
    if (form->how & M) {
        put_modrm(code, &operands);
    }
    if (form->how & I8) {
        put_imm(code, 1);
    } else if ((form->how & IV) && wide) {
        put_imm(code, 8);
    } else if (form->how & (IZ | IV)) {
        put_imm(code, narrow && !wide ? 2 : 4);
    }
}

static void put_vex(JitCode *code, const Form *form, bool wide_vectors, unsigned vvvv)
{
    Operands operands = pick_operands(code, form->how);
    unsigned rex = rex_xb(&operands);

    put_address_prefixes(code, &operands);
    put(code, 0xc4);
    put(code, (form->how >> 16 || operands.reg < 8) << 7 | !(rex & 2) << 6 | !(rex & 1) << 5 |
              form->map);
    vvvv &= code->narrow ? 7 : 15;
    put(code, percent(code, 50) << 7 | (~vvvv & 15) << 3 | wide_vectors << 2 | form->prefix);
    put(code, form->opcode);
    put_modrm(code, &operands);
    if (form->how & I8) {
        put_imm(code, 1);
    }
}

static bool has_imm8(unsigned map, unsigned opcode)
{
    return map == 3 || (map == 1 && (opcode == 0xc2 || (opcode >= 0xc4 && opcode <= 0xc6) ||
                                     (opcode >= 0x70 && opcode <= 0x73)));
}

/* Any opcode of the vector ranges: many are undefined with this prefix, which is as it may be. */
static void put_vector(JitCode *code)
{
    static const uint8_t ranges[][3] = {
        { 1, 0x10, 0x17 }, { 1, 0x28, 0x2f }, { 1, 0x50, 0x76 }, { 1, 0x7c, 0x7f },
        { 1, 0xc2, 0xc2 }, { 1, 0xc4, 0xc6 }, { 1, 0xd0, 0xfe }, { 1, 0xd0, 0xfe },
        { 2, 0x00, 0x0b }, { 2, 0x1c, 0x41 }, { 2, 0xdb, 0xdf }, { 3, 0x08, 0x0f },
        { 3, 0x14, 0x17 }, { 3, 0x20, 0x22 }, { 3, 0x40, 0x44 }, { 2, 0x58, 0x5a },
        { 2, 0x96, 0x9f }, { 2, 0xb6, 0xbf }, { 2, 0x16, 0x1a }, { 3, 0x00, 0x06 },
    };
    static const uint8_t prefixes[] = { 0, 0x66, 0xf3, 0xf2 };
    const uint8_t *range = ranges[below(code, G_N_ELEMENTS(ranges))];
    unsigned pp = percent(code, 60) ? 1 : below(code, 4);
    Form form = { .map = range[0], .opcode = range[1] + below(code, range[2] - range[1] + 1) };
    bool maskmov = form.map == 1 && (form.opcode == 0xf7 || form.opcode == 0xf0);

    form.how = M | (has_imm8(form.map, form.opcode) ? I8 : 0);
    if (percent(code, 50)) {
        form.prefix = pp;
        put_vex(code, &form, percent(code, 50), percent(code, 30) ? 0 : below(code, 16));
    } else if (!maskmov || !code->safe) {
        form.prefix = prefixes[pp];
        put_legacy(code, &form, false);
    }
}

static void put_narrow(JitCode *code)
{
    uint32_t address = code->area + g_rand_int_range(code->rand, 0, 0x18000);

    if (percent(code, 50)) {
        put_legacy(code, &narrow_only[below(code, G_N_ELEMENTS(narrow_only))], true);
    } else {
        put(code, 0xa0 | below(code, 4));
        memcpy(code->at, &address, sizeof(address));
        code->at += sizeof(address);
    }
}

void jit_code_plain(JitCode *code)
{
    unsigned kind = below(code, 100);
    const Form *form;

    if (code->narrow && percent(code, 10)) {
        put_narrow(code);
    } else if (kind < 25 && !code->safe) {
        put_vector(code);
    } else if (kind < 33) {
        put_vex(code, &bmi[below(code, G_N_ELEMENTS(bmi))], false, pick_reg(code));
    } else if (kind < 45) {
        Form cc = { .map = 1, .opcode = (percent(code, 50) ? 0x40 : 0x90) | below(code, 16) };

        cc.how = M | (cc.opcode >= 0x90 ? B : 0);
        put_legacy(code, &cc, true);
    } else if (code->safe && kind < 50) {
        put(code, 0x50 | below(code, 8)); /* PUSH, then POP of what may change */
        put(code, 0x58 | below(code, 3));
    } else {
        do {
            form = &integer[below(code, G_N_ELEMENTS(integer))];
        } while (code->safe && (form->how & WILD));
        put_legacy(code, form, true);
    }
}

void jit_code_fork(JitCode *code)
{
    put(code, 0x70 | below(code, 16));
    put(code, below(code, 256));
}

void jit_code_branch(JitCode *code)
{
    static const Form indirect = { 0, 0, 0xff, M | EXT(0x14) };
    unsigned kind = below(code, 9);

    switch (kind) {
    case 0:
        put(code, 0xeb);
        put_imm(code, 1);
        break;
    case 1:
        put(code, 0xe9);
        put_imm(code, 4);
        break;
    case 2:
        put(code, 0xe8);
        put_imm(code, 4);
        break;
    case 3:
        put(code, 0xc3);
        break;
    case 4:
        put(code, 0xc2);
        put_imm(code, 2);
        break;
    case 5:
    case 6:
        put_legacy(code, &indirect, false);
        break;
    case 7:
        put(code, 0x0f);
        put(code, 0x80 | below(code, 16));
        put_imm(code, 4);
        break;
    default:
        put(code, 0x70 | below(code, 16));
        put_imm(code, 1);
        break;
    }
}
