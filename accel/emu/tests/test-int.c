/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every general-purpose instruction of 64-bit code against the host's processor: encodings drawn
 * from a table, operands from edge values and a seeded generator; registers, flags and memory must
 * agree.
 */
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include "accel/emu/decode.h"
#include "accel/emu/flags.h"
#include "accel/emu/tests/emu-harness.h"
#include "accel/emu/tests/host-insn.h"

/* Linear addresses that both sides have: the guest's RAM is mapped to itself. */
#define BUFFER 0x400000u
#define BUFFER_SIZE 0x4000u
#define MIDDLE (BUFFER + BUFFER_SIZE / 2)

/* What a row of the table may be. */
enum {
    BYTE = 1u << 0,      /* the opcode's low bit chooses: without it 8 bits, with it 16 to 64 */
    LOCKABLE = 1u << 1,
    NO_REG = 1u << 2,    /* memory only */
    NO_MEM = 1u << 3,
    BIT_BASE = 1u << 4,  /* a register is an offset in bits */
    WIDE = 1u << 5,      /* 32 and 64 bits only */
    DIVIDE = 1u << 6,
    STACK = 1u << 7,     /* no 32-bit form: 64 is the default */
    STRING = 1u << 8,
    VEX = 1u << 9,
    BRANCH = 1u << 10,
    FIXED = 1u << 11,    /* no size prefixes */
    NO16 = 1u << 12,
};

typedef enum Kind { NONE, REG_RM, DIGIT, PLUS_REG } Kind;

typedef struct Encoding {
    const char *name;
    uint8_t prefix;      /* mandatory: 0, 0x66, 0xf2, 0xf3 */
    uint8_t map;         /* 0: one byte, 1: 0F, 2: 0F 38, 3: 0F 3A */
    uint8_t opcode;
    Kind kind;
    uint8_t digit;       /* of DIGIT */
    uint8_t imm;         /* bytes; 4: 2 with 66h; 8: also 8 with REX.W */
    uint32_t flags;
} Encoding;

#define ALU(name, n) \
    { name " m,r", 0, 0, (n) * 8, REG_RM, 0, 0, BYTE | LOCKABLE }, \
    { name " r,m", 0, 0, (n) * 8 + 2, REG_RM, 0, 0, BYTE }, \
    { name " a,i8", 0, 0, (n) * 8 + 4, NONE, 0, 1, FIXED }, \
    { name " a,i", 0, 0, (n) * 8 + 5, NONE, 0, 4, 0 }, \
    { name " m8,i8", 0, 0, 0x80, DIGIT, n, 1, LOCKABLE | FIXED }, \
    { name " m,i", 0, 0, 0x81, DIGIT, n, 4, LOCKABLE }, \
    { name " m,i8", 0, 0, 0x83, DIGIT, n, 1, LOCKABLE }
#define SHIFT(name, n) \
    { name " m,i8", 0, 0, 0xc0, DIGIT, n, 1, BYTE }, \
    { name " m,1", 0, 0, 0xd0, DIGIT, n, 0, BYTE }, \
    { name " m,cl", 0, 0, 0xd2, DIGIT, n, 0, BYTE }
#define CONDITION(n) \
    { "CMOVcc", 0, 1, 0x40 + (n), REG_RM, 0, 0, 0 }, \
    { "SETcc", 0, 1, 0x90 + (n), DIGIT, 0, 0, FIXED }, \
    { "Jcc", 0, 0, 0x70 + (n), NONE, 0, 0, BRANCH | FIXED }

static const Encoding encodings[] = {
    ALU("ADD", 0), ALU("OR", 1), ALU("ADC", 2), ALU("SBB", 3), ALU("AND", 4), ALU("SUB", 5),
    ALU("XOR", 6),
    { "CMP m,r", 0, 0, 0x38, REG_RM, 0, 0, BYTE }, { "CMP r,m", 0, 0, 0x3a, REG_RM, 0, 0, BYTE },
    { "CMP a,i", 0, 0, 0x3d, NONE, 0, 4, 0 }, { "CMP m,i", 0, 0, 0x81, DIGIT, 7, 4, 0 },
    { "CMP m8,i8", 0, 0, 0x80, DIGIT, 7, 1, FIXED }, { "CMP m,i8", 0, 0, 0x83, DIGIT, 7, 1, 0 },
    { "TEST m,r", 0, 0, 0x84, REG_RM, 0, 0, BYTE }, { "TEST a,i", 0, 0, 0xa9, NONE, 0, 4, 0 },
    { "TEST m8,i8", 0, 0, 0xf6, DIGIT, 0, 1, FIXED }, { "TEST m,i", 0, 0, 0xf7, DIGIT, 0, 4, 0 },
    { "NOT", 0, 0, 0xf6, DIGIT, 2, 0, BYTE | LOCKABLE },
    { "NEG", 0, 0, 0xf6, DIGIT, 3, 0, BYTE | LOCKABLE },
    { "INC", 0, 0, 0xfe, DIGIT, 0, 0, BYTE | LOCKABLE },
    { "DEC", 0, 0, 0xfe, DIGIT, 1, 0, BYTE | LOCKABLE },
    { "ADCX", 0x66, 2, 0xf6, REG_RM, 0, 0, WIDE }, { "ADOX", 0xf3, 2, 0xf6, REG_RM, 0, 0, WIDE },
    { "MUL", 0, 0, 0xf6, DIGIT, 4, 0, BYTE }, { "IMUL", 0, 0, 0xf6, DIGIT, 5, 0, BYTE },
    { "DIV", 0, 0, 0xf6, DIGIT, 6, 0, BYTE | DIVIDE },
    { "IDIV", 0, 0, 0xf6, DIGIT, 7, 0, BYTE | DIVIDE },
    { "IMUL r,m", 0, 1, 0xaf, REG_RM, 0, 0, 0 }, { "IMUL r,m,i", 0, 0, 0x69, REG_RM, 0, 4, 0 },
    { "IMUL r,m,i8", 0, 0, 0x6b, REG_RM, 0, 1, 0 },
    SHIFT("ROL", 0), SHIFT("ROR", 1), SHIFT("RCL", 2), SHIFT("RCR", 3), SHIFT("SHL", 4),
    SHIFT("SHR", 5), SHIFT("SAL", 6), SHIFT("SAR", 7),
    { "SHLD i8", 0, 1, 0xa4, REG_RM, 0, 1, 0 }, { "SHLD cl", 0, 1, 0xa5, REG_RM, 0, 0, 0 },
    { "SHRD i8", 0, 1, 0xac, REG_RM, 0, 1, 0 }, { "SHRD cl", 0, 1, 0xad, REG_RM, 0, 0, 0 },
    { "MOV m,r", 0, 0, 0x88, REG_RM, 0, 0, BYTE }, { "MOV r,m", 0, 0, 0x8a, REG_RM, 0, 0, BYTE },
    { "MOV r8,i8", 0, 0, 0xb0, PLUS_REG, 0, 1, FIXED },
    { "MOV r,i", 0, 0, 0xb8, PLUS_REG, 0, 8, 0 }, { "MOV m,i", 0, 0, 0xc7, DIGIT, 0, 4, 0 },
    { "MOV m8,i8", 0, 0, 0xc6, DIGIT, 0, 1, FIXED },
    { "MOVZX r,m8", 0, 1, 0xb6, REG_RM, 0, 0, 0 }, { "MOVZX r,m16", 0, 1, 0xb7, REG_RM, 0, 0, 0 },
    { "MOVSX r,m8", 0, 1, 0xbe, REG_RM, 0, 0, 0 }, { "MOVSX r,m16", 0, 1, 0xbf, REG_RM, 0, 0, 0 },
    { "MOVSXD", 0, 0, 0x63, REG_RM, 0, 0, 0 }, { "LEA", 0, 0, 0x8d, REG_RM, 0, 0, NO_REG },
    { "MOVBE r,m", 0, 2, 0xf0, REG_RM, 0, 0, NO_REG },
    { "MOVBE m,r", 0, 2, 0xf1, REG_RM, 0, 0, NO_REG },
    { "BSWAP", 0, 1, 0xc8, PLUS_REG, 0, 0, NO16 },
    { "MOVNTI", 0, 1, 0xc3, REG_RM, 0, 0, NO_REG | NO16 },
    { "XCHG m,r", 0, 0, 0x86, REG_RM, 0, 0, BYTE | LOCKABLE },
    { "XCHG a,r", 0, 0, 0x90, PLUS_REG, 0, 0, 0 }, { "XLAT", 0, 0, 0xd7, NONE, 0, 0, FIXED },
    { "XADD", 0, 1, 0xc0, REG_RM, 0, 0, BYTE | LOCKABLE },
    { "CMPXCHG", 0, 1, 0xb0, REG_RM, 0, 0, BYTE | LOCKABLE },
    { "CMPXCHG8B/16B", 0, 1, 0xc7, DIGIT, 1, 0, NO_REG | LOCKABLE | NO16 },
    { "CBW", 0, 0, 0x98, NONE, 0, 0, 0 }, { "CWD", 0, 0, 0x99, NONE, 0, 0, 0 },
    { "CLC", 0, 0, 0xf8, NONE, 0, 0, 0 }, { "STC", 0, 0, 0xf9, NONE, 0, 0, 0 },
    { "CMC", 0, 0, 0xf5, NONE, 0, 0, 0 }, { "CLD", 0, 0, 0xfc, NONE, 0, 0, 0 },
    { "STD", 0, 0, 0xfd, NONE, 0, 0, 0 }, { "LAHF", 0, 0, 0x9f, NONE, 0, 0, 0 },
    { "SAHF", 0, 0, 0x9e, NONE, 0, 0, 0 },
    { "BT m,r", 0, 1, 0xa3, REG_RM, 0, 0, BIT_BASE },
    { "BTS m,r", 0, 1, 0xab, REG_RM, 0, 0, BIT_BASE | LOCKABLE },
    { "BTR m,r", 0, 1, 0xb3, REG_RM, 0, 0, BIT_BASE | LOCKABLE },
    { "BTC m,r", 0, 1, 0xbb, REG_RM, 0, 0, BIT_BASE | LOCKABLE },
    { "BT m,i8", 0, 1, 0xba, DIGIT, 4, 1, 0 }, { "BTS m,i8", 0, 1, 0xba, DIGIT, 5, 1, LOCKABLE },
    { "BTR m,i8", 0, 1, 0xba, DIGIT, 6, 1, LOCKABLE },
    { "BTC m,i8", 0, 1, 0xba, DIGIT, 7, 1, LOCKABLE },
    { "BSF", 0, 1, 0xbc, REG_RM, 0, 0, 0 }, { "BSR", 0, 1, 0xbd, REG_RM, 0, 0, 0 },
    { "TZCNT", 0xf3, 1, 0xbc, REG_RM, 0, 0, 0 }, { "LZCNT", 0xf3, 1, 0xbd, REG_RM, 0, 0, 0 },
    { "POPCNT", 0xf3, 1, 0xb8, REG_RM, 0, 0, 0 },
    { "CRC32 m8", 0xf2, 2, 0xf0, REG_RM, 0, 0, WIDE }, { "CRC32", 0xf2, 2, 0xf1, REG_RM, 0, 0, 0 },
    { "ANDN", 0, 2, 0xf2, REG_RM, 0, 0, VEX }, { "BEXTR", 0, 2, 0xf7, REG_RM, 0, 0, VEX },
    { "BLSR", 0, 2, 0xf3, DIGIT, 1, 0, VEX }, { "BLSMSK", 0, 2, 0xf3, DIGIT, 2, 0, VEX },
    { "BLSI", 0, 2, 0xf3, DIGIT, 3, 0, VEX }, { "BZHI", 0, 2, 0xf5, REG_RM, 0, 0, VEX },
    { "PDEP", 0xf2, 2, 0xf5, REG_RM, 0, 0, VEX }, { "PEXT", 0xf3, 2, 0xf5, REG_RM, 0, 0, VEX },
    { "MULX", 0xf2, 2, 0xf6, REG_RM, 0, 0, VEX }, { "SARX", 0xf3, 2, 0xf7, REG_RM, 0, 0, VEX },
    { "SHLX", 0x66, 2, 0xf7, REG_RM, 0, 0, VEX }, { "SHRX", 0xf2, 2, 0xf7, REG_RM, 0, 0, VEX },
    { "RORX", 0xf2, 3, 0xf0, REG_RM, 0, 1, VEX },
    CONDITION(0), CONDITION(1), CONDITION(2), CONDITION(3), CONDITION(4), CONDITION(5),
    CONDITION(6), CONDITION(7), CONDITION(8), CONDITION(9), CONDITION(10), CONDITION(11),
    CONDITION(12), CONDITION(13), CONDITION(14), CONDITION(15),
    { "LOOPNE", 0, 0, 0xe0, NONE, 0, 0, BRANCH | FIXED },
    { "LOOPE", 0, 0, 0xe1, NONE, 0, 0, BRANCH | FIXED },
    { "LOOP", 0, 0, 0xe2, NONE, 0, 0, BRANCH | FIXED },
    { "JRCXZ", 0, 0, 0xe3, NONE, 0, 0, BRANCH | FIXED },
    { "JMP", 0, 0, 0xeb, NONE, 0, 0, BRANCH | FIXED },
    { "PUSH r", 0, 0, 0x50, PLUS_REG, 0, 0, STACK }, { "POP r", 0, 0, 0x58, PLUS_REG, 0, 0, STACK },
    { "PUSH i8", 0, 0, 0x6a, NONE, 0, 1, STACK }, { "PUSH i", 0, 0, 0x68, NONE, 0, 4, STACK },
    { "PUSH m", 0, 0, 0xff, DIGIT, 6, 0, STACK }, { "POP m", 0, 0, 0x8f, DIGIT, 0, 0, STACK },
    { "PUSHF", 0, 0, 0x9c, NONE, 0, 0, STACK }, { "POPF", 0, 0, 0x9d, NONE, 0, 0, STACK },
    { "LEAVE", 0, 0, 0xc9, NONE, 0, 0, STACK }, { "ENTER", 0, 0, 0xc8, NONE, 0, 3, STACK },
    { "MOVS", 0, 0, 0xa4, NONE, 0, 0, BYTE | STRING },
    { "CMPS", 0, 0, 0xa6, NONE, 0, 0, BYTE | STRING },
    { "STOS", 0, 0, 0xaa, NONE, 0, 0, BYTE | STRING },
    { "LODS", 0, 0, 0xac, NONE, 0, 0, BYTE | STRING },
    { "SCAS", 0, 0, 0xae, NONE, 0, 0, BYTE | STRING },
};

typedef struct Fixture {
    EmuHarness *h;
    EmuCpu *cpu;
    GRand *rand;
    uint8_t *native, *guest;   /* the buffer on both sides */
    uint8_t initial[BUFFER_SIZE];
} Fixture;

typedef struct Case {
    const Encoding *encoding;
    uint8_t code[32];
    unsigned len;
    bool memory;
    uint64_t regs[16];
    uint64_t rflags;
} Case;

/* ---- Drawing ---- */

static unsigned below(Fixture *f, unsigned n)
{
    return (unsigned)g_rand_int_range(f->rand, 0, (gint32)n);
}

static bool coin(Fixture *f)
{
    return below(f, 2);
}

static uint64_t draw(Fixture *f)
{
    static const uint64_t edges[] = {
        0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000,
        0xffffffff, 0x7fffffffffffffff, 0x8000000000000000, UINT64_MAX, UINT64_MAX - 1, 31, 32, 33,
        63, 64, 65, 7, 8, 9, 15, 16, 17, 0x5555555555555555, 0xaaaaaaaaaaaaaaaa,
    };
    uint64_t random = (uint64_t)g_rand_int(f->rand) << 32 | g_rand_int(f->rand);

    switch (below(f, 4)) {
    case 0:
        return edges[below(f, G_N_ELEMENTS(edges))];
    case 1:
        return random >> below(f, 64);
    case 2:
        return random & 0x3f;
    default:
        return random;
    }
}

static void draw_registers(Fixture *f, Case *c)
{
    const uint32_t flags = c->encoding->flags;

    for (unsigned i = 0; i < 16; i++) {
        c->regs[i] = flags & BIT_BASE ? draw(f) % 4096 - 2048 : draw(f);
    }
    c->regs[X86_RBX] = MIDDLE + below(f, 32) - (flags & STACK ? 0x800 : 0);
    c->rflags = 0x202 | (g_rand_int(f->rand) & FLAG_ARITH);
    if (c->encoding->map == 1 && c->encoding->opcode == 0xc7) {
        c->regs[X86_RBX] &= ~15ull;
        if (coin(f)) { /* let the comparison succeed */
            memcpy(&c->regs[X86_RAX], f->initial + c->regs[X86_RBX] - BUFFER, 8);
            memcpy(&c->regs[X86_RDX], f->initial + c->regs[X86_RBX] - BUFFER + 8, 8);
        }
    }
    if (flags & DIVIDE && below(f, 4)) {
        c->regs[X86_RDX] = coin(f) ? 0 : (uint64_t)((int64_t)c->regs[X86_RAX] >> 63);
    }
    if (flags & STACK) {
        c->regs[X86_RSP] = MIDDLE + below(f, 64);
        c->regs[X86_RBP] = MIDDLE + 0x400 + below(f, 64);
    }
    if (flags & STRING) {
        c->regs[X86_RSI] = MIDDLE + below(f, 0x100);
        c->regs[X86_RDI] = MIDDLE + below(f, 0x100) + (coin(f) ? 0x800 : 0);
        c->regs[X86_RCX] = below(f, coin(f) ? 4 : 0x90);
        if (memchr(c->code, 0x67, c->len - 1)) {
            c->regs[X86_RCX] |= 0x100000000;
        }
        c->rflags |= coin(f) ? FLAG_DF : 0;
    }
}

static void put(Case *c, uint8_t byte)
{
    c->code[c->len++] = byte;
}

static void put_random(Fixture *f, Case *c, unsigned bytes)
{
    uint64_t value = draw(f);

    memcpy(c->code + c->len, &value, bytes);
    c->len += bytes;
}

/* [RBX], [RBX + disp8] or a register. */
static void put_modrm(Fixture *f, Case *c, unsigned reg, unsigned rm)
{
    if (!c->memory) {
        put(c, 0xc0 | (reg & 7) << 3 | (rm & 7));
    } else if (coin(f) || c->encoding->opcode == 0xc7) {
        put(c, (reg & 7) << 3 | X86_RBX);
    } else {
        put(c, 0x40 | (reg & 7) << 3 | X86_RBX);
        put(c, (uint8_t)(below(f, 64) - 32));
    }
}

static void put_vex(Fixture *f, Case *c)
{
    const Encoding *e = c->encoding;
    unsigned reg = e->kind == DIGIT ? e->digit : below(f, 16);
    unsigned rm = c->memory ? X86_RBX : below(f, 16);
    unsigned vvvv = e->map == 3 ? 0 : below(f, 16);
    unsigned prefix = e->prefix == 0xf2 ? 3 : e->prefix == 0xf3 ? 2 : e->prefix == 0x66 ? 1 : 0;

    put(c, 0xc4);
    put(c, (reg & 8 ? 0 : 0x80) | 0x40 | (rm & 8 ? 0 : 0x20) | e->map);
    put(c, (coin(f) ? 0x80 : 0) | (~vvvv & 15) << 3 | prefix);
    put(c, e->opcode);
    put_modrm(f, c, reg, rm);
    if (e->imm) {
        put_random(f, c, e->imm);
    }
}

/* Prefixes; gives the bytes of an immediate that follows the operand size. */
static unsigned put_legacy(Fixture *f, Case *c)
{
    const Encoding *e = c->encoding;
    bool word = e->flags & BYTE ? coin(f) : !(e->flags & FIXED);
    bool small = word && !(e->flags & (FIXED | WIDE | NO16)) && below(f, 3) == 0;
    bool big = word && !small && !(e->flags & (FIXED | STACK)) && coin(f);
    unsigned reg = e->kind == DIGIT ? e->digit : below(f, 16);
    unsigned rm = c->memory ? X86_RBX : below(f, 16);
    uint8_t rex = (big ? 8 : 0) | (reg & 8 ? 4 : 0) | (rm & 8 ? 1 : 0);
    static const uint8_t maps[4][2] = { { 0 }, { 0x0f }, { 0x0f, 0x38 }, { 0x0f, 0x3a } };

    if (e->flags & BIT_BASE && c->memory && reg == X86_RBX) {
        reg = X86_RCX; /* the base is no offset in bits */
    }
    if (e->kind == NONE) {
        rex &= 8;
    } else if (e->kind == PLUS_REG) {
        rex &= 9;
    }
    if (small) {
        put(c, 0x66);
    }
    if (c->memory && (e->flags & LOCKABLE) && coin(f)) {
        put(c, 0xf0);
    }
    if (e->flags & STRING && below(f, 4)) {
        put(c, coin(f) ? 0xf3 : 0xf2);
    }
    if ((e->flags & STRING || !strncmp(e->name, "LOOP", 4) || e->opcode == 0xe3) &&
        below(f, 4) == 0) {
        put(c, 0x67);
    }
    if (e->prefix) {
        put(c, e->prefix);
    }
    if (rex || (e->kind != NONE && coin(f))) {
        put(c, 0x40 | rex);
    }
    for (unsigned i = 0; i < 2 && maps[e->map][i]; i++) {
        put(c, maps[e->map][i]);
    }
    put(c, e->opcode + (e->flags & BYTE && word) + (e->kind == PLUS_REG ? rm & 7 : 0));
    if (e->kind == REG_RM || e->kind == DIGIT) {
        put_modrm(f, c, reg, rm);
    }
    return e->imm == 4 ? small ? 2 : 4 : e->imm == 8 ? small ? 2 : big ? 8 : 4 : e->imm;
}

static void draw_case(Fixture *f, const Encoding *e, Case *c)
{
    *c = (Case){ .encoding = e };
    c->memory = (e->kind == REG_RM || e->kind == DIGIT) &&
                (e->flags & NO_REG || (!(e->flags & NO_MEM) && coin(f)));
    if (e->flags & VEX) {
        put_vex(f, c);
    } else {
        unsigned imm = put_legacy(f, c);

        if (e->flags & BRANCH) {
            put(c, HOST_TAKEN);
        } else if (imm == 3) { /* ENTER */
            put(c, below(f, 256));
            put(c, below(f, 4));
            put(c, below(f, 8) ? below(f, 4) : below(f, 64));
        } else {
            put_random(f, c, imm);
        }
    }
    draw_registers(f, c);
}

/* What POPF must not pop here: TF and AC would hit the test itself. */
static void tame_stack(Fixture *f, const Case *c)
{
    uint64_t flags;

    if (c->encoding->flags & STACK) {
        unsigned offset = (unsigned)(c->regs[X86_RSP] - BUFFER);

        memcpy(&flags, f->initial + offset, sizeof(flags));
        flags &= ~(uint64_t)(FLAG_TF | FLAG_AC | FLAG_NT);
        memcpy(f->initial + offset, &flags, sizeof(flags));
    }
}

/* ---- Running and comparing ---- */

typedef struct GuestRun {
    EmuOp ops[2];
} GuestRun;

static void run_guest_op(EmuCpu *cpu, void *opaque)
{
    GuestRun *run = opaque;

    cpu->op = run->ops;
    run->ops[0].fn(cpu, run->ops);
    cpu->op = NULL;
}

static bool run_guest(Fixture *f, const Case *c, HostState *out, EmuFault *fault)
{
    EmuCpu *cpu = f->cpu;
    GuestRun run = { 0 };
    bool ok;

    cpu->regs[EMU_REG_PAGE_RIP] = EMU_HARNESS_CODE;
    g_assert_true(emu_decode(cpu, c->code, sizeof(c->code), 0, &run.ops[0]));
    run.ops[1].fn = emu_op_stop;
    run.ops[1].page_offset = run.ops[0].length;
    memcpy(cpu->regs, c->regs, sizeof(c->regs));
    cpu->rflags = c->rflags & ~(uint64_t)FLAG_ARITH;
    emu_flags_set(cpu, (uint32_t)c->rflags);
    ok = emu_harness_try(cpu, run_guest_op, &run, fault);
    memcpy(out->regs, cpu->regs, sizeof(out->regs));
    out->rflags = emu_rflags(cpu);
    out->branched = cpu->rip == EMU_HARNESS_CODE + c->len + HOST_TAKEN;
    return ok && (out->branched || cpu->rip == EMU_HARNESS_CODE + c->len);
}

static void describe(const Case *c, const HostState *native, const HostState *guest)
{
    GString *bytes = g_string_new(NULL);

    for (unsigned i = 0; i < c->len; i++) {
        g_string_append_printf(bytes, "%02x ", c->code[i]);
    }
    g_test_message("%s: %s", c->encoding->name, bytes->str);
    for (unsigned i = 0; i < 16; i++) {
        g_test_message("r%u: %016" PRIx64 " -> native %016" PRIx64 ", emu %016" PRIx64 "%s", i,
                       c->regs[i], native->regs[i], guest->regs[i],
                       native->regs[i] == guest->regs[i] ? "" : " !");
    }
    g_test_message("flags: %" PRIx64 " -> native %" PRIx64 ", emu %" PRIx64, c->rflags,
                   native->rflags, guest->rflags);
    g_string_free(bytes, true);
}

static unsigned vector_of(int number)
{
    return number == SIGFPE ? X86_DE : number == SIGILL ? X86_UD : X86_GP;
}

static bool agree(Fixture *f, const Case *c)
{
    HostState native = { .rflags = c->rflags }, guest = { 0 };
    EmuFault fault = { 0 };
    bool ok;
    int number;

    memcpy(native.regs, c->regs, sizeof(native.regs));
    tame_stack(f, c);
    memcpy(f->native, f->initial, BUFFER_SIZE);
    memcpy(f->guest, f->initial, BUFFER_SIZE);
    number = host_insn_run(&native, c->code, c->len);
    ok = run_guest(f, c, &guest, &fault);
    if (number) {
        if (ok || fault.vector != vector_of(number)) {
            g_test_message("native signal %d, emu %s %u", number, ok ? "ran" : "raised",
                           fault.vector);
            describe(c, &native, &guest);
            return false;
        }
        return true;
    }
    if (!ok || memcmp(native.regs, guest.regs, sizeof(native.regs)) ||
        native.rflags != guest.rflags || memcmp(f->native, f->guest, BUFFER_SIZE) ||
        (c->encoding->flags & BRANCH && native.branched != guest.branched)) {
        g_test_message("emu %s %u, memory %s, branch %d %d", ok ? "ran" : "raised", fault.vector,
                       memcmp(f->native, f->guest, BUFFER_SIZE) ? "differs" : "same",
                       native.branched, guest.branched);
        describe(c, &native, &guest);
        return false;
    }
    return true;
}

static Fixture *fixture_new(EmuHarnessMode mode)
{
    Fixture *f = g_new0(Fixture, 1);

    f->h = emu_harness_new(1, NULL);
    f->cpu = f->h->cpu;
    f->rand = g_rand_new_with_seed(1234);
    emu_harness_set_mode(f->cpu, mode);
    f->native = mmap((void *)(uintptr_t)BUFFER, BUFFER_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    g_assert(f->native == (void *)(uintptr_t)BUFFER);
    f->guest = f->h->bytes + BUFFER;
    for (unsigned i = 0; i < BUFFER_SIZE; i++) {
        f->initial[i] = coin(f) ? below(f, 256) : below(f, 4) ? 0 : 0xff;
    }
    return f;
}

static void fixture_free(Fixture *f)
{
    munmap(f->native, BUFFER_SIZE);
    g_rand_free(f->rand);
    emu_harness_free(f->h);
    g_free(f);
}

static void test_against_host(void)
{
    Fixture *f = fixture_new(EMU_HARNESS_USER64);
    unsigned rounds = g_test_slow() ? 20000 : 500, failed = 0;

    for (size_t i = 0; i < G_N_ELEMENTS(encodings); i++) {
        unsigned bad = 0;

        for (unsigned round = 0; round < rounds && bad < 3; round++) {
            Case c;

            draw_case(f, &encodings[i], &c);
            bad += !agree(f, &c);
        }
        failed += bad != 0;
    }
    g_assert_cmpuint(failed, ==, 0);
    fixture_free(f);
}

/* ---- 32-bit code ---- */

/* CALL m16:32 at BUFFER; there: the selector of Linux's 32-bit code, and the code. */
static const uint8_t far_call[] = { 0xff, 0x1c, 0x25, 0, 0, BUFFER >> 16, 0 };
static const struct {
    uint32_t offset;
    uint16_t selector;
} __attribute__((packed)) far_pointer = { BUFFER + 16, 0x23 };

static bool agree32(Fixture *f, const uint8_t *insn, unsigned len)
{
    static const Encoding none = { .name = "32-bit code" };
    Case c = { .encoding = &none, .len = len };
    HostState native, guest;
    EmuFault fault;

    for (unsigned i = 0; i < 8; i++) {
        c.regs[i] = (uint32_t)draw(f);
    }
    c.regs[X86_RSP] = MIDDLE;
    c.rflags = 0x202 | (g_rand_int(f->rand) & FLAG_ARITH);
    memcpy(c.code, insn, len);
    native = (HostState){ .rflags = c.rflags };
    memcpy(native.regs, c.regs, sizeof(native.regs));
    memcpy(f->native, &far_pointer, sizeof(far_pointer));
    memcpy(f->native + 16, insn, len);
    f->native[16 + len] = 0xcb;
    if (host_insn_run(&native, far_call, sizeof(far_call))) {
        return false;
    }
    if (!run_guest(f, &c, &guest, &fault) || native.rflags != guest.rflags ||
        memcmp(native.regs, guest.regs, 8 * sizeof(native.regs[0]))) {
        describe(&c, &native, &guest);
        return false;
    }
    return true;
}

static void test_32(void)
{
    static const struct {
        uint8_t bytes[4];
        uint8_t len;
    } insns[] = {
        { { 0x27 }, 1 }, { { 0x2f }, 1 }, { { 0x37 }, 1 }, { { 0x3f }, 1 }, { { 0xd6 }, 1 },
        { { 0xd4, 10 }, 2 }, { { 0xd4, 7 }, 2 }, { { 0xd4, 255 }, 2 }, { { 0xd5, 10 }, 2 },
        { { 0xd5, 0 }, 2 }, { { 0xd5, 200 }, 2 }, { { 0x40 }, 1 }, { { 0x4f }, 1 },
        { { 0x66, 0x47 }, 2 }, { { 0x66, 0x48 }, 2 },
    };
    Fixture *f = fixture_new(EMU_HARNESS_PROT32);
    unsigned rounds = g_test_slow() ? 200000 : 5000;

    for (size_t i = 0; i < G_N_ELEMENTS(insns); i++) {
        for (unsigned round = 0; round < rounds; round++) {
            g_assert_true(agree32(f, insns[i].bytes, insns[i].len));
        }
    }
    fixture_free(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    host_insn_init();
    g_test_add_func("/emu/int/host", test_against_host);
    g_test_add_func("/emu/int/host-32", test_32);
    return g_test_run();
}
