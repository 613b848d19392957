/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The descriptors that both sides have: of the GDT those that Linux lets its processes use, and an
 * LDT with segments of many kinds over the case's memory.
 */
#include "tests/emu-diff/diff.h"

static const Segment ldt[LDT_COUNT] = {
    [LDT_FLAT] = { .limit = 0xfffff, .pages = true, .big = true, .readable = true },
    /* What 16-bit addresses reach: read-only page, data. */
    [LDT_LOW] = { .base = RO_AT, .limit = 0xffff, .readable = true },
    [LDT_DATA] = { .base = DATA_AT, .limit = DATA_SIZE - 1, .big = true, .readable = true },
    [LDT_DATA_SHORT] = { .base = DATA_AT, .limit = PAGE + 5, .big = true, .readable = true },
    [LDT_READ_ONLY] = { .limit = 0xfffff, .pages = true, .big = true },
    [LDT_DOWN] = { .base = DATA_AT, .limit = 0x7ff, .big = true, .down = true, .readable = true },
    [LDT_DOWN16] = { .base = DATA_AT, .limit = 0x7ff, .down = true, .readable = true },
    [LDT_BASED] = { .base = 0x38, .limit = 0xfffff, .pages = true, .big = true, .readable = true },
    [LDT_ABSENT] = { .limit = 0xfffff, .pages = true, .big = true, .readable = true,
                     .absent = true },
    [LDT_STACK16] = { .base = STACK_AT, .limit = STACK_SIZE - 1, .readable = true },
    [LDT_STACK_DOWN] = { .base = STACK_AT, .limit = 0x1ff, .down = true, .big = true,
                         .readable = true },
    [LDT_CODE] = { .limit = 0xfffff, .pages = true, .big = true, .code = true, .readable = true },
    [LDT_CODE_EXECUTE_ONLY] = { .limit = 0xfffff, .pages = true, .big = true, .code = true },
    [LDT_CODE_BASED] = { .base = CODE_AT, .limit = CODE_SIZE - 1, .big = true, .code = true,
                         .readable = true },
    [LDT_CODE16] = { .base = CODE_AT, .limit = CODE_SIZE - 1, .code = true, .readable = true },
};

const Segment *ldt_segment(LdtEntry entry)
{
    return &ldt[entry];
}

static uint64_t encode(const Segment *segment)
{
    const uint64_t accessed = 1, user = 0xf << 4; /* S, DPL 3, present */
    uint64_t type = accessed | segment->readable << 1 | segment->down << 2 | segment->code << 3;
    uint64_t bits = (type | user) & (segment->absent ? ~0x80ull : ~0ull);

    bits |= (uint64_t)(segment->big << 2 | segment->pages << 3) << 12;
    return (segment->limit & 0xffff) | (uint64_t)(segment->base & 0xffffff) << 16 | bits << 40 |
           (uint64_t)(segment->limit >> 16) << 48 | (uint64_t)(segment->base >> 24) << 56;
}

uint64_t descriptor_of(uint16_t selector)
{
    static const uint64_t gdt[GDT_BYTES / 8] = {
        [SEL_USER32_CS / 8] = 0x00cffb000000ffffull, [SEL_USER_DS / 8] = 0x00cff3000000ffffull,
        [SEL_USER_CS / 8] = 0x00affb000000ffffull,
        /* Its limit, which only LSL tells, is the number of the host's processor. */
        [SEL_CPU_NUMBER / 8] = 0x0040f50000000001ull,
    };
    unsigned index = selector / 8;

    if (selector & 4) {
        return index < LDT_COUNT ? encode(&ldt[index]) : 0;
    }
    return index < GDT_BYTES / 8 ? gdt[index] : 0;
}

uint32_t descriptor_base(uint64_t descriptor)
{
    return (descriptor >> 16 & 0xffffff) | (descriptor >> 32 & 0xff000000);
}

uint16_t random_selector(Random *r)
{
    static const uint16_t global[] = { 0, SEL_USER32_CS, SEL_USER_DS, SEL_USER_CS, 0x10, 0x18,
                                       0x28, 0x2a, 0x40, 0x63, 0x83 };

    if (chance(r, 40)) {
        return chance(r, 50) ? SEL_USER_DS : global[below(r, sizeof(global) / sizeof(global[0]))];
    }
    return LDT_SELECTOR(below(r, LDT_COUNT + 1)) & (chance(r, 90) ? ~0u : ~3u);
}
