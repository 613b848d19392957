/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random cases: one instruction, or up to sixteen with branches among them. Most are built from the
 * forms, with memory operands through registers that hold good addresses; some are random bytes
 * that the decoder accepts.
 */
#include "tests/emu-diff/diff.h"

#include <string.h>

typedef struct Builder {
    Random *r;
    const Forms *forms;
    const Features *features;
    Plan plan;
    Case *test;
    CodeMode mode;
    unsigned registers;     /* that code can name */
    ZydisDecoder decoder;
    bool address16;         /* the candidate's addresses have 16 bits */
    /* Of the candidate. */
    uint8_t bytes[16];
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    /* Branches to patch once all is laid out: offset of the displacement in code, its size. */
    struct {
        uint16_t at;
        uint8_t size, insn;
    } branch[MAX_INSNS];
    unsigned branches;
} Builder;

static unsigned pick_register(Random *r, uint16_t mask)
{
    unsigned n = below(r, __builtin_popcount(mask));

    while (n--) {
        mask &= mask - 1;
    }
    return __builtin_ctz(mask);
}

/* ---- Memory operands ---- */

typedef struct ModRm {
    uint8_t bytes[6];
    uint8_t count;
    uint8_t x, b;       /* for REX or VEX */
} ModRm;

static void add_disp32(Random *r, ModRm *m, int32_t value)
{
    memcpy(m->bytes + m->count, &value, 4);
    m->count += 4;
}

static void add_displacement(Random *r, unsigned mod, ModRm *m)
{
    if (mod == 1) {
        m->bytes[m->count++] = chance(r, 50) ? below(r, 64) : next64(r);
    } else if (mod == 2) {
        add_disp32(r, m, chance(r, 90) ? (int32_t)below(r, 1024) - 512 : (int32_t)next64(r));
    }
}

/* BX, BP, SI, DI alone or in pairs, or an address. */
static void memory_operand16(Builder *b, unsigned reg, ModRm *m)
{
    unsigned mod = below(b->r, 4) % 3;

    m->bytes[m->count++] = mod << 6 | reg << 3 | below(b->r, 8);
    add_displacement(b->r, mod, m);
    if (mod == 2) {
        m->count -= 2;
    } else if (mod == 0 && (m->bytes[0] & 7) == 6) {
        add_disp32(b->r, m, 0); /* aimed later */
        m->count -= 2;
    }
}

static void memory_operand(Builder *b, const Form *form, unsigned reg, ModRm *m)
{
    Random *r = b->r;
    unsigned base = pick_register(r, b->plan.pointers), index = pick_register(r, b->plan.indices);
    unsigned mod = below(r, 4) % 3, kind = below(r, 10);

    if (form->vsib) {
        kind = 9;
        index = below(r, b->registers);
    }
    if (mod == 0 && (base & 7) == 5) {
        mod = 1;
    }
    if (kind == 0 && !form->vsib) {
        m->bytes[m->count++] = reg << 3 | 5; /* RIP-relative or an address, aimed later */
        add_disp32(r, m, 0);
        return;
    }
    if (kind == 1) {
        m->b = b->mode == CODE_64 && chance(r, 20); /* means nothing here */
        m->bytes[m->count++] = reg << 3 | 4;
        m->bytes[m->count++] = 0x25;
        add_disp32(r, m, random_address(r));
        return;
    }
    m->b = base >> 3;
    if (kind < 6 && (base & 7) != 4) {
        m->bytes[m->count++] = mod << 6 | reg << 3 | (base & 7);
    } else {
        bool indexed = kind >= 7;

        m->x = indexed ? index >> 3 : 0;
        m->bytes[m->count++] = mod << 6 | reg << 3 | 4;
        m->bytes[m->count++] = below(r, 4) << 6 | (indexed ? index & 7 : 4) << 3 | (base & 7);
    }
    add_displacement(r, mod, m);
}

/* ---- Encoding ---- */

static unsigned put_prefixes(Builder *b, const Form *form, uint8_t *at)
{
    static const uint8_t segments[] = { 0x26, 0x2e, 0x36, 0x3e, 0x65, 0x64 };
    Random *r = b->r;
    unsigned n = 0;

    if (b->mode == CODE_32 && b->address16 && chance(r, 80)) {
        at[n++] = 0x64; /* whose base makes something of them */
    } else if (chance(r, b->mode == CODE_64 ? 4 : 12)) {
        at[n++] = segments[below(r, b->plan.fs_allowed ? 6 : 4)];
    }
    if (b->mode == CODE_64 ? chance(r, 4) : b->address16 == (b->mode == CODE_32)) {
        at[n++] = 0x67;
    }
    if (form->lockable ? form->memory && chance(r, 25) : chance(r, 1)) {
        at[n++] = 0xf0;
    }
    if (!form->vex && chance(r, 2)) {
        static const uint8_t any[] = { 0x66, 0xf2, 0xf3 };

        at[n++] = any[below(r, 3)];
    }
    return n;
}

static unsigned put_vex(Builder *b, const Form *form, const ModRm *m, unsigned r_bit, uint8_t *at)
{
    static const uint8_t pp[] = { 0x00, 0x66, 0xf3, 0xf2 };
    unsigned vvvv = below(b->r, 16), n = 0, code = 0;

    /* Instructions without a second source need 1111b. */
    if (chance(b->r, 20)) {
        vvvv = 15;
    }
    while (pp[code] != form->prefix) {
        code++;
    }
    at[n++] = 0xc4;
    at[n++] = (!r_bit << 7) | (!m->x << 6) | (!m->b << 5) | form->map;
    if (b->mode != CODE_64 && chance(b->r, 90)) {
        vvvv |= 8;
    }
    at[n++] = form->w << 7 | vvvv << 3 | form->l << 2 | code;
    return n;
}

static unsigned put_legacy(Builder *b, const Form *form, const ModRm *m, unsigned r_bit,
                           uint8_t *at)
{
    unsigned n = 0, rex = form->w << 3 | r_bit << 2 | m->x << 1 | m->b;

    if (form->prefix) {
        at[n++] = form->prefix;
    }
    if (b->mode == CODE_64 && (rex || chance(b->r, 10))) {
        at[n++] = 0x40 | rex;
    }
    if (form->map) {
        at[n++] = 0x0f;
    }
    if (form->map >= 2) {
        at[n++] = form->map == 2 ? 0x38 : 0x3a;
    }
    return n;
}

/* Random bytes behind are immediates. */
static void encode_form(Builder *b, const Form *form)
{
    Random *r = b->r;
    unsigned reg = form->reg_free ? below(r, b->registers) : form->reg, n;
    uint8_t buf[48];
    ModRm m = { 0 };

    if (form->reg_free && chance(r, 50)) {
        reg &= 7;
    }
    b->address16 = b->mode == CODE_16 ? chance(r, 75) : b->mode == CODE_32 && chance(r, 10);
    if (form->memory && form->has_modrm && b->address16) {
        memory_operand16(b, reg & 7, &m);
    } else if (form->memory && form->has_modrm) {
        memory_operand(b, form, reg & 7, &m);
    } else if (form->has_modrm) {
        unsigned rm = form->rm_free ? below(r, b->registers) : form->rm;

        m.b = rm >> 3;
        m.bytes[m.count++] = 0xc0 | (reg & 7) << 3 | (rm & 7);
    } else {
        m.b = b->mode == CODE_64 && chance(r, 30);
    }
    n = put_prefixes(b, form, buf);
    n += form->vex ? put_vex(b, form, &m, reg >> 3, buf + n)
                   : put_legacy(b, form, &m, reg >> 3, buf + n);
    /* The register in an opcode's low bits. */
    buf[n++] = form->opcode;
    memcpy(buf + n, m.bytes, m.count);
    n += m.count;
    for (unsigned i = 0; i < 16; i++) {
        buf[n + i] = chance(r, 50) ? below(r, 256) : below(r, 70);
    }
    memcpy(b->bytes, buf, sizeof(b->bytes));
}

static void encode_noise(Builder *b)
{
    static const uint8_t prefixes[] = {
        0x66, 0xf2, 0xf3, 0x67, 0xf0, 0x2e, 0x3e, 0x48, 0x4f, 0x41,
    };
    Random *r = b->r;
    unsigned n = 0;

    while (n < 3 && chance(r, 30)) {
        b->bytes[n++] = prefixes[below(r, sizeof(prefixes))];
    }
    if (chance(r, 50)) {
        b->bytes[n++] = 0x40 | below(r, 16);
    }
    if (chance(r, 50)) {
        b->bytes[n++] = 0x0f;
    }
    while (n < sizeof(b->bytes)) {
        b->bytes[n++] = next64(r);
    }
}

/* ---- Choosing ---- */

static bool uses_segment(const Builder *b)
{
    for (unsigned i = 0; i < b->insn.operand_count; i++) {
        ZydisRegister segment = b->operands[i].mem.segment;

        if (b->operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY &&
            (segment == ZYDIS_REGISTER_FS || segment == ZYDIS_REGISTER_GS)) {
            return true;
        }
    }
    return b->insn.meta.isa_ext == ZYDIS_ISA_EXT_RDWRFSGS;
}

/* Registers that it would spoil for those that follow. */
static bool spoils(const Builder *b)
{
    uint16_t precious = b->plan.pointers | b->plan.indices | 1u << DIFF_RSP;

    for (unsigned i = 0; i < b->insn.operand_count; i++) {
        const ZydisDecodedOperand *operand = &b->operands[i];
        ZydisRegister wide;
        unsigned id;

        if (operand->type != ZYDIS_OPERAND_TYPE_REGISTER ||
            !(operand->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) ||
            operand->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN) {
            continue;
        }
        wide = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, operand->reg.value);
        id = ZydisRegisterGetId(wide);
        if (ZydisRegisterGetClass(wide) == ZYDIS_REGCLASS_GPR64 && precious >> id & 1) {
            return true;
        }
    }
    return false;
}

static bool locks(const Builder *b)
{
    return (b->insn.attributes & ZYDIS_ATTRIB_HAS_LOCK) ||
           (b->insn.mnemonic == ZYDIS_MNEMONIC_XCHG &&
            (b->operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY ||
             b->operands[1].type == ZYDIS_OPERAND_TYPE_MEMORY));
}

static bool writes_counter(const Builder *b)
{
    for (unsigned i = 0; i < b->insn.operand_count; i++) {
        if (b->operands[i].type == ZYDIS_OPERAND_TYPE_REGISTER &&
            b->operands[i].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE &&
            ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64,
                                             b->operands[i].reg.value) ==
                ZYDIS_REGISTER_RAX + loop_counter(b->mode)) {
            return true;
        }
    }
    return false;
}

/* Illegal uses of LOCK are worth running; other undefined bytes may be something to the host. */
static bool decode_candidate(Builder *b)
{
    ZyanStatus status = ZydisDecoderDecodeFull(&b->decoder, b->bytes, 15, &b->insn, b->operands);

    return ZYAN_SUCCESS(status) && is_testable(b->mode, &b->insn, b->operands);
}

static const Form *pick_form(Builder *b)
{
    const Forms *forms = b->forms;
    unsigned i;

    if (chance(b->r, 50)) {
        return &forms->rows[below(b->r, forms->count)];
    }
    i = below(b->r, forms->mnemonics);
    return &forms->rows[forms->first[i] + below(b->r, forms->first[i + 1] - forms->first[i])];
}

static void choose(Builder *b, bool alone)
{
    for (;;) {
        if (chance(b->r, 12)) {
            encode_noise(b);
        } else {
            encode_form(b, pick_form(b));
        }
        if (!decode_candidate(b) || (!b->plan.fs_allowed && uses_segment(b)) ||
            (!b->features->split_locks && locks(b)) || (b->plan.loop && writes_counter(b)) ||
            (!alone && spoils(b) && chance(b->r, 95))) {
            continue;
        }
        return;
    }
}

/* ---- Laying out ---- */

/* What begins at offset 0 of segments, as far as 16 bits reach. */
static uint64_t random_offset(Builder *b, unsigned bits)
{
    uint64_t address = random_address(b->r);

    return bits == 16 && chance(b->r, 90) ? address - RO_AT : address;
}

/* Relative to RIP, or without any register. */
static void aim_addresses(Builder *b, uint64_t next)
{
    unsigned bits = b->insn.raw.disp.size;

    for (unsigned i = 0; i < b->insn.operand_count_visible; i++) {
        const ZydisDecodedOperand *operand = &b->operands[i];
        uint64_t disp = random_offset(b, bits);

        if (operand->type != ZYDIS_OPERAND_TYPE_MEMORY || bits < 16 ||
            operand->mem.index != ZYDIS_REGISTER_NONE) {
            continue;
        }
        if (operand->mem.base == ZYDIS_REGISTER_RIP && bits == 32) {
            disp -= next;
        } else if (operand->mem.base != ZYDIS_REGISTER_NONE) {
            continue;
        }
        memcpy(b->bytes + b->insn.raw.disp.offset, &disp, bits / 8);
    }
}

static void note_branch(Builder *b)
{
    for (unsigned i = 0; i < 2; i++) {
        if (b->insn.raw.imm[i].is_relative) {
            b->branch[b->branches].at = b->test->code_len + b->insn.raw.imm[i].offset;
            b->branch[b->branches].size = b->insn.raw.imm[i].size / 8;
            b->branch[b->branches].insn = b->test->insns;
            b->branches++;
        }
    }
}

static void append(Builder *b)
{
    Case *test = b->test;

    note_branch(b);
    aim_addresses(b, test->start.rip + test->code_len + b->insn.length);
    memcpy(test->code + test->code_len, b->bytes, b->insn.length);
    test->insn[test->insns].offset = test->code_len;
    test->insn[test->insns].length = b->insn.length;
    test->insn[test->insns].mnemonic = b->insn.mnemonic;
    test->insns++;
    test->code_len += b->insn.length;
}

static void patch(Case *test, unsigned at, unsigned size, int64_t displacement)
{
    memcpy(test->code + at, &displacement, size);
}

/* Mostly forward; what loops for ever is ended by the clock, so it is rare. */
static void aim_branches(Builder *b)
{
    Case *test = b->test;

    for (unsigned i = 0; i < b->branches; i++) {
        unsigned from = b->branch[i].insn, to = from + 1 + below(b->r, test->insns - from);
        int64_t target;

        if (chance(b->r, 2)) {
            to = below(b->r, test->insns + 1);
        }
        target = to < test->insns ? test->insn[to].offset : test->code_len;
        if (b->branch[i].size >= 2 && chance(b->r, 3)) {
            target = next64(b->r);
        }
        patch(test, b->branch[i].at, b->branch[i].size,
              target - (test->insn[from].offset + test->insn[from].length));
    }
}

/* dec r15d (ebp, bp); jnz to the start. */
static void append_loop(Builder *b)
{
    static const uint8_t dec64[] = { 0x41, 0xff, 0xcf }, dec32[] = { 0x4d };
    static const uint8_t jnz[] = { 0x0f, 0x85, 0, 0, 0, 0 };
    Case *test = b->test;
    bool wide = b->mode == CODE_64;
    unsigned displacement = b->mode == CODE_16 ? 2 : 4;

    memcpy(b->bytes, wide ? dec64 : dec32, wide ? sizeof(dec64) : sizeof(dec32));
    ZydisDecoderDecodeFull(&b->decoder, b->bytes, 15, &b->insn, b->operands);
    append(b);
    memcpy(test->code + test->code_len, jnz, 2 + displacement);
    test->insn[test->insns].offset = test->code_len;
    test->insn[test->insns].length = 2 + displacement;
    test->insn[test->insns].mnemonic = ZYDIS_MNEMONIC_JNZ;
    test->insns++;
    test->code_len += 2 + displacement;
    patch(test, test->code_len - displacement, displacement, -(int64_t)test->code_len);
}

static void make_plan(Random *r, const Features *features, CodeMode mode, bool loop, Plan *plan)
{
    const uint16_t any = mode == CODE_64 ? 0xffff : 0xff;
    const uint16_t never = 1u << DIFF_RSP | 1u << DIFF_RCX | 1u << DIFF_RAX |
                           (loop ? 1u << loop_counter(mode) : 0);

    *plan = (Plan) { .mode = mode, .loop = loop, .fs_allowed = features->fsgsbase };
    plan->pointers = (next64(r) & next64(r) & any) | 1u << DIFF_RDI | 1u << DIFF_RSI;
    plan->indices = next64(r) & next64(r) & ~plan->pointers & ~never & any;
    plan->pointers &= ~never;
    if (!plan->indices) {
        plan->indices = 1u << DIFF_RBX;
        plan->pointers &= ~(1u << DIFF_RBX);
    }
}

void make_case(Random *r, const Forms *forms, const Features *features, Case *test)
{
    Builder b = { .r = r, .forms = forms, .features = features, .test = test, .mode = forms->mode,
                  .registers = forms->mode == CODE_64 ? 16 : 8 };
    bool alone = chance(r, 50);
    unsigned count = alone ? 1 : 2 + below(r, MAX_INSNS - 4);
    bool loop = !alone && chance(r, 25);

    make_plan(r, features, b.mode, loop, &b.plan);
    make_state(r, &b.plan, &test->start);
    init_decoder(b.mode, &b.decoder);
    test->mode = b.mode;
    test->step = chance(r, 8);
    if (test->step) {
        test->start.rflags |= 1u << 8;
    }
    test->insns = 0;
    test->code_len = 0;
    test->code_offset = chance(r, 10) ? PAGE - below(r, 48) : 64 + below(r, PAGE - 512);
    test->start.rip = CODE_AT + test->code_offset -
                      descriptor_base(descriptor_of(test->start.selector[DIFF_CS]));
    while (test->insns < count) {
        choose(&b, alone);
        append(&b);
    }
    aim_branches(&b);
    if (loop) {
        append_loop(&b);
    }
    test->code[test->code_len++] = 0xcc;
}
