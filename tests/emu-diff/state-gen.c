/* SPDX-License-Identifier: Apache-2.0 */
/* Random states and memory, with many of the values at which instructions change their mind. */
#include "tests/emu-diff/diff.h"

#include <string.h>

static const uint64_t edges[] = {
    0, 1, 2, 3, 7, 8, 0xf, 0x10, 0x1f, 0x20, 0x3f, 0x40, 0x7e, 0x7f, 0x80, 0x81, 0xfe, 0xff, 0x100,
    0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0x80000001, 0xffffffff, 0x100000000,
    0x7fffffffffffffff, 0x8000000000000000, 0x8000000000000001, 0xfffffffffffffffe,
    0xffffffffffffffff, 0xffffffff80000000, 0xaaaaaaaaaaaaaaaa, 0x5555555555555555,
    0x00ff00ff00ff00ff, 0x0123456789abcdef, 0x7f7f7f7f7f7f7f7f, 0x8080808080808080,
};

static const uint64_t doubles[] = {
    0, 0x8000000000000000, 0x3ff0000000000000, 0xbff0000000000000, 0x7ff0000000000000,
    0xfff0000000000000, 0x7ff8000000000000, 0xfff8000000000000, 0x7ff0000000000001,
    0xfff4000000000000, 0x7fefffffffffffff, 0x0010000000000000, 0x000fffffffffffff, 1,
    0x8000000000000001, 0x3fe0000000000000, 0x3fdfffffffffffff, 0x3ff8000000000000,
    0x41dfffffffc00000, 0xc1e0000000000000, 0x41dfffffffe00000, 0x43e0000000000000,
    0xc3e0000000000000, 0x43dfffffffffffff, 0x4340000000000000, 0x36a0000000000000,
    0x3810000000000000, 0x47efffffe0000000, 0x47effffff0000000, 0x400921fb54442d18,
};

static const uint32_t floats[] = {
    0, 0x80000000, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00000,
    0x7f800001, 0xffa00000, 0x7f7fffff, 0x00800000, 0x007fffff, 1, 0x80000001, 0x3f000000,
    0x3effffff, 0x3fc00000,
    0x4effffff, 0xcf000000, 0x4f000000, 0x5f000000, 0xdf000000, 0x4b800000, 0x477fe000, 0x477ff000,
    0x33000000, 0x38800000, 0x387fffff, 0x40490fdb,
};

#define PICK(r, list) (list)[below(r, sizeof(list) / sizeof((list)[0]))]

static uint64_t random_word(Random *r)
{
    switch (below(r, 10)) {
    case 0:
    case 1:
        return PICK(r, edges);
    case 2:
        return PICK(r, doubles);
    case 3:
        return PICK(r, floats) | (uint64_t)PICK(r, floats) << 32;
    case 4:
        return next64(r) >> below(r, 64);
    case 5:
        return (next64(r) & 0x800fffffffffffff) | (uint64_t)(1003 + below(r, 40)) << 52;
    case 6: {
        uint64_t pair = next64(r) & 0x807fffff807fffff;

        return pair | (uint64_t)(117 + below(r, 20)) << 23 | (uint64_t)(117 + below(r, 20)) << 55;
    }
    case 7:
        return (uint64_t)(below(r, 256)) * 0x0101010101010101;
    case 8:
        return below(r, 64) | (uint64_t)below(r, 64) << 32;
    default:
        return next64(r);
    }
}

static void random_f80(Random *r, uint8_t *at)
{
    static const uint16_t exponents[] = {
        0, 0, 0x7fff, 0x7fff, 0x7ffe, 1, 0x3fff, 0x3fff, 0x3ffe, 0x403e, 0x403d, 0x400e, 0x401e,
        0x3fff + 1023, 0x3fff + 127, 0x3fff - 1022, 0x3fff - 126, 0x3fff - 149, 0x3fff - 1074,
    };
    static const uint64_t significands[] = {
        0, 1, 0x8000000000000000, 0x8000000000000001, 0xc000000000000000, 0xffffffffffffffff,
        0x7fffffffffffffff, 0xa000000000000000, 0xfffffffffffff800, 0xfffffffffffffc00,
        0xffffff0000000000, 0x4000000000000000, 0xc90fdaa22168c235,
    };
    uint16_t exponent = chance(r, 40) ? PICK(r, exponents) : 0x3fff - 30 + below(r, 100);
    uint64_t significand = chance(r, 35) ? PICK(r, significands) : next64(r);

    if (chance(r, 5)) {
        exponent = below(r, 0x8000);
    }
    if (exponent && chance(r, 90)) {
        significand |= 1ull << 63;
    }
    if (chance(r, 20)) {
        significand &= ~0ull << below(r, 64);
    }
    exponent |= chance(r, 40) ? 0x8000 : 0;
    memcpy(at, &significand, 8);
    memcpy(at + 8, &exponent, 2);
}

/* In or around memory, of addresses that wrap, and low ones. */
static uint32_t random_address32(Random *r)
{
    switch (below(r, 40)) {
    case 0:
        return below(r, 32) - 16;
    case 1:
        return below(r, 0x11000);
    default:
        return random_address(r);
    }
}

uint64_t random_address(Random *r)
{
    switch (below(r, 40)) {
    case 0:
        return RO_AT + below(r, RO_SIZE);
    case 1:
        return RO_AT - 32 + below(r, 64);
    case 2:
        return DATA_AT + DATA_SIZE - 40 + below(r, 64);
    case 3:
        return DATA_AT - 32 + below(r, 64);
    case 4:
        return (chance(r, 50) ? 0x7ffffffffff0ull : 0xffff7ffffffffff0ull) + below(r, 32);
    case 5:
        return next64(r);
    case 6:
        return CODE_AT + below(r, CODE_SIZE);
    case 7:
    case 8:
    case 9:
    case 10:
        return DATA_AT + PAGE - 32 + below(r, 64);
    case 11:
    case 12:
    case 13:
    case 14:
    case 15:
        return DATA_AT + below(r, DATA_SIZE);
    default:
        return DATA_AT + (below(r, DATA_SIZE) & ~31u);
    }
}

void make_image(Random *r, Image *image)
{
    uint8_t *parts[] = { image->ro, image->data, image->stack };
    const unsigned sizes[] = { RO_SIZE, DATA_SIZE, STACK_SIZE };

    for (unsigned part = 0; part < 3; part++) {
        for (unsigned at = 0; at < sizes[part]; at += 8) {
            uint64_t value = random_word(r);

            if (chance(r, part == 2 ? 20 : 4)) {
                value = random_address(r);
            }
            if (chance(r, 6)) {
                /* Alone, and behind an offset of 16 or 32 bits. */
                value = random_selector(r) * 0x0001000100010001ull;
            }
            memcpy(parts[part] + at, &value, 8);
            if (at % 16 == 0 && at + 16 <= sizes[part] && chance(r, 20)) {
                random_f80(r, parts[part] + at);
                at += 8;
            }
        }
    }
}

/* Any segment, but one of `best` mostly. */
static uint16_t choose_segment(Random *r, uint16_t best)
{
    return chance(r, 85) ? best : random_selector(r);
}

/* A segment register must hold what could have been loaded into it. */
static bool is_loadable(unsigned seg, uint16_t selector)
{
    uint64_t descriptor = descriptor_of(selector);
    unsigned type = descriptor >> 40 & 0x1f;
    bool code = type & 8, readable = type & 2;

    if (!(selector & ~3)) {
        return seg != DIFF_SS;
    }
    return descriptor >> 47 & 1 && (seg == DIFF_SS ? !code && readable && (selector & 3) == 3
                                                   : !code || readable);
}

static uint16_t choose_code_segment(Random *r, CodeMode mode)
{
    static const uint8_t others[] = { LDT_CODE, LDT_CODE_EXECUTE_ONLY, LDT_CODE_BASED };

    if (mode == CODE_16) {
        return LDT_SELECTOR(LDT_CODE16);
    }
    return chance(r, 85) ? SEL_USER32_CS : LDT_SELECTOR(others[below(r, 3)]);
}

static uint16_t choose_stack_segment(Random *r, CodeMode mode)
{
    static const uint8_t others[] = { LDT_FLAT, LDT_STACK16, LDT_STACK_DOWN, LDT_BASED };

    if (mode == CODE_16 && chance(r, 60)) {
        return LDT_SELECTOR(LDT_STACK16);
    }
    return chance(r, 85) ? SEL_USER_DS : LDT_SELECTOR(others[below(r, 4)]);
}

static void make_segments(Random *r, CodeMode mode, State *state)
{
    uint16_t *s = state->selector, flat = mode == CODE_32 ? SEL_USER_DS : LDT_SELECTOR(LDT_LOW);

    if (mode == CODE_64) {
        s[DIFF_CS] = SEL_USER_CS;
        s[DIFF_SS] = SEL_USER_DS;
        return;
    }
    s[DIFF_CS] = choose_code_segment(r, mode);
    s[DIFF_SS] = choose_stack_segment(r, mode);
    s[DIFF_DS] = choose_segment(r, flat);
    s[DIFF_ES] = choose_segment(r, flat);
    s[DIFF_FS] = choose_segment(r, LDT_SELECTOR(LDT_LOW));
    s[DIFF_GS] = choose_segment(r, LDT_SELECTOR(LDT_BASED));
    for (unsigned i = 0; i < DIFF_SEGS; i++) {
        if (i != DIFF_CS && !is_loadable(i, s[i])) {
            s[i] = SEL_USER_DS;
        }
        s[i] = settled_selector(s[i]);
    }
    state->fs_base = descriptor_base(descriptor_of(s[DIFF_FS]));
    state->gs_base = descriptor_base(descriptor_of(s[DIFF_GS]));
}

/* An address becomes an offset in the segment that it is for. */
static uint32_t to_offset(uint32_t address, uint16_t selector)
{
    return address - descriptor_base(descriptor_of(selector));
}

static void make_registers32(Random *r, const Plan *plan, State *state)
{
    for (unsigned i = 0; i < 8; i++) {
        uint32_t value = state->gpr[i];

        if (plan->pointers >> i & 1) {
            value = to_offset(random_address32(r), state->selector[DIFF_DS]);
        } else if (chance(r, 8)) {
            value = random_selector(r);
        }
        state->gpr[i] = value;
    }
    state->gpr[DIFF_RSP] = to_offset(state->gpr[DIFF_RSP], state->selector[DIFF_SS]);
}

static void make_registers(Random *r, const Plan *plan, State *state)
{
    for (unsigned i = 0; i < 16; i++) {
        uint64_t value = chance(r, 15) ? random_address(r) : random_word(r);

        if (plan->pointers >> i & 1) {
            value = random_address(r);
        } else if (plan->indices >> i & 1) {
            value = chance(r, 80) ? below(r, 64) : -(uint64_t)below(r, 64);
        }
        state->gpr[i] = value;
    }
    if (chance(r, 60)) {
        state->gpr[DIFF_RCX] = below(r, 40);
    }
    state->gpr[DIFF_RSP] = STACK_AT + STACK_SIZE / 2 +
                           (chance(r, 80) ? below(r, 1024) & ~7u : below(r, PAGE + 64));
    if (plan->mode != CODE_64) {
        make_registers32(r, plan, state);
    }
    if (plan->loop) {
        state->gpr[loop_counter(plan->mode)] = 1 + below(r, 30);
    }
}

static void make_fpu(Random *r, CodeMode mode, uint8_t *x)
{
    uint16_t fcw = 0x37f, fsw = below(r, 8) << 11, fop = below(r, 0x800);
    unsigned unused = mode == CODE_64 ? 17 : 32;
    uint64_t fip = next64(r) >> unused, fdp = next64(r) >> unused;

    if (chance(r, 40)) {
        fcw = 0x40 | 0x3f | below(r, 16) << 8;
        fcw &= chance(r, 20) ? ~below(r, 64) : 0xffff;
    }
    if (chance(r, 40)) {
        fsw |= next64(r) & 0x4700;
        fsw |= chance(r, 30) ? below(r, 128) : 0;
    }
    fsw |= fsw & ~fcw & 0x3f ? 0x8080 : 0;
    fsw &= fsw & ~fcw & 0x3f ? 0xffff : 0x7f7f;
    memcpy(x + XS_FCW, &fcw, 2);
    memcpy(x + XS_FSW, &fsw, 2);
    x[XS_FTW] = chance(r, 60) ? 0xff : next64(r);
    memcpy(x + XS_FOP, &fop, 2);
    memcpy(x + XS_FIP, &fip, 8);
    memcpy(x + XS_FDP, &fdp, 8);
    for (unsigned i = 0; i < 8; i++) {
        random_f80(r, x + XS_ST + i * 16);
    }
}

static void make_vectors(Random *r, uint8_t *x)
{
    uint32_t mxcsr = 0x1f80;

    if (chance(r, 40)) {
        mxcsr |= next64(r) & 0x603f;
        mxcsr |= chance(r, 25) ? next64(r) & 0x8040 : 0;
        mxcsr &= chance(r, 20) ? ~((uint32_t)below(r, 64) << 7) : ~0u;
    }
    memcpy(x + XS_MXCSR, &mxcsr, 4);
    for (unsigned i = 0; i < 32; i++) {
        uint64_t low = random_word(r), high = chance(r, 30) ? low : random_word(r);
        unsigned at = (i < 16 ? XS_XMM : XS_YMM) + (i & 15) * 16;

        if (i % 4 == 3) {
            /* Indices and masks of gathers. */
            low = below(r, 256) | (uint64_t)below(r, 256) << 32;
            high = below(r, 256);
        }
        memcpy(x + at, &low, 8);
        memcpy(x + at + 8, &high, 8);
    }
}

void make_state(Random *r, const Plan *plan, State *state)
{
    const uint64_t arithmetic = 0x8d5;

    memset(state, 0, sizeof(*state));
    make_segments(r, plan->mode, state);
    make_registers(r, plan, state);
    /* IF is as a process has it. */
    state->rflags = 0x202 | (next64(r) & arithmetic);
    if (chance(r, 10)) {
        state->rflags |= next64(r) & (1u << 10 | 1u << 21);
    }
    if (chance(r, 2)) {
        state->rflags |= 1u << 18;
    }
    if (plan->fs_allowed && plan->mode == CODE_64) {
        state->fs_base = chance(r, 80) ? below(r, 256) : random_address(r);
        state->gs_base = chance(r, 80) ? below(r, 256) : random_address(r);
        /* A base must be canonical. */
        state->fs_base = (uint64_t)((int64_t)(state->fs_base << 16) >> 16);
        state->gs_base = (uint64_t)((int64_t)(state->gs_base << 16) >> 16);
    }
    make_fpu(r, plan->mode, state->x);
    make_vectors(r, state->x);
}
