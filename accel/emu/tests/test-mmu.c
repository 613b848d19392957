/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paging: every mode's walk, rights and reserved bits against tables written from SDM vol. 3,
 * chapter 4, accessed and dirty bits, and what each flush forgets.
 */
#include <string.h>

#include "accel/emu/mmu.h"
#include "accel/emu/tests/emu-harness.h"

#define P 1u
#define RW 2u
#define US 4u
#define A 0x20u
#define D 0x40u
#define PS 0x80u
#define G 0x100u
#define NX BIT_ULL(63)
#define FULL (P | RW | US)

/* Tables at 1 MiB and up, one for each level; pages to map at 2 MiB and up. */
#define TABLE(level) (0x100000ull + (level) * 0x1000)
#define PAGES 0x200000ull

typedef struct Fixture {
    EmuHarness *h;
    EmuCpu *cpu;
} Fixture;

static void setup(Fixture *f, gconstpointer data)
{
    f->h = emu_harness_new(1, NULL);
    f->cpu = f->h->cpu;
    emu_harness_set_mode(f->cpu, EMU_HARNESS_PROT32);
}

static void teardown(Fixture *f, gconstpointer data)
{
    emu_harness_free(f->h);
}

/* ---- One translation ---- */

typedef struct Attempt {
    uint64_t linear;
    EmuTlbKind kind;
    EmuAccess access;
    uint64_t physical; /* of the page */
    bool ok;
    uint32_t error;
} Attempt;

static void do_attempt(EmuCpu *cpu, void *opaque)
{
    Attempt *attempt = opaque;

    attempt->physical = emu_translate(cpu, attempt->linear, attempt->kind,
                                      attempt->access)->physical;
}

static Attempt attempt(EmuCpu *cpu, uint64_t linear, EmuTlbKind kind, EmuAccess access)
{
    Attempt a = { .linear = linear, .kind = kind, .access = access };
    EmuFault fault;

    cpu->cr2 = 0xbad;
    a.ok = emu_harness_try(cpu, do_attempt, &a, &fault);
    if (!a.ok) {
        g_assert_cmpuint(fault.vector, ==, X86_PF);
        g_assert_cmphex(cpu->cr2, ==, linear);
        a.error = fault.error;
    }
    return a;
}

static void expect_page(EmuCpu *cpu, uint64_t linear, uint64_t physical)
{
    Attempt a = attempt(cpu, linear, EMU_TLB_SUPER, EMU_READ);

    g_assert_true(a.ok);
    g_assert_cmphex(a.physical, ==, physical);
}

static void expect_fault(EmuCpu *cpu, uint64_t linear, EmuTlbKind kind, EmuAccess access,
                         uint32_t error)
{
    Attempt a = attempt(cpu, linear, kind, access);

    g_assert_false(a.ok);
    g_assert_cmphex(a.error, ==, error);
}

/* ---- Modes ---- */

typedef struct Mode {
    const char *name;
    unsigned levels, entry_size, index_bits;
    uint64_t cr4, efer;
} Mode;

enum { LEGACY, PSE, PAE, FOUR, FIVE, MODES };

static const Mode modes[MODES] = {
    { "32-bit", 2, 4, 10, 0, 0 },
    { "32-bit with PSE", 2, 4, 10, CR4_PSE, 0 },
    { "PAE", 3, 8, 9, CR4_PAE, EFER_NXE },
    { "4-level", 4, 8, 9, CR4_PAE, EFER_NXE | EFER_LME | EFER_LMA },
    { "5-level", 5, 8, 9, CR4_PAE | CR4_LA57, EFER_NXE | EFER_LME | EFER_LMA },
};

static unsigned level_shift(const Mode *mode, unsigned level)
{
    return 12 + (level - 1) * mode->index_bits;
}

static void put(Fixture *f, const Mode *mode, unsigned level, uint64_t linear, uint64_t entry)
{
    uint64_t at = TABLE(level) + extract64(linear, level_shift(mode, level),
                                           mode == &modes[PAE] && level == 3 ? 2 :
                                                                               mode->index_bits) *
                                 mode->entry_size;

    memcpy(f->h->bytes + at, &entry, mode->entry_size);
}

static uint64_t get(Fixture *f, const Mode *mode, unsigned level, uint64_t linear)
{
    uint64_t at = TABLE(level) + extract64(linear, level_shift(mode, level),
                                           mode == &modes[PAE] && level == 3 ? 2 :
                                                                               mode->index_bits) *
                                 mode->entry_size;
    uint64_t entry = 0;

    memcpy(&entry, f->h->bytes + at, mode->entry_size);
    return entry;
}

static void do_load_pdptrs(EmuCpu *cpu, void *opaque)
{
    emu_load_pdptrs(cpu, *(uint64_t *)opaque);
}

/* Paging on; tables lead to `linear` with full rights, down to and without level `leaf`. */
static void use_mode(Fixture *f, const Mode *mode, uint64_t linear, unsigned leaf)
{
    EmuCpu *cpu = f->cpu;
    uint64_t cr3 = TABLE(mode->levels);
    EmuFault fault;

    cpu->cr4 = mode->cr4;
    cpu->efer = mode->efer;
    cpu->cr0 = CR0_PE | CR0_ET | CR0_PG | CR0_WP;
    cpu->cr3 = cr3;
    cpu->segs[X86_CS].attr = (cpu->segs[X86_CS].attr & ~(SEG_L | SEG_DB)) |
                             (mode->efer & EFER_LMA ? SEG_L : SEG_DB);
    for (unsigned level = mode->levels; level > leaf; level--) {
        bool pdpte = mode == &modes[PAE] && level == 3;

        put(f, mode, level, linear, TABLE(level - 1) | (pdpte ? P : FULL));
    }
    if (mode == &modes[PAE]) {
        g_assert_true(emu_harness_try(cpu, do_load_pdptrs, &cr3, &fault));
    }
    emu_update_mode(cpu);
    emu_tlb_flush_all(cpu);
}

static uint64_t test_linear(const Mode *mode)
{
    switch (mode->levels) {
    case 2:
        return 0xc1234000;
    case 3:
        return 0xfedcb000;
    case 4:
        return 0xffff812345678000;
    default:
        return 0xff12345678abc000;
    }
}

/* ---- Walks ---- */

static void test_no_paging(Fixture *f, gconstpointer data)
{
    f->cpu->cr0 &= ~(uint64_t)CR0_PG;
    emu_tlb_flush_all(f->cpu);
    expect_page(f->cpu, 0x12345678, 0x12345000);
    expect_page(f->cpu, 0xffffffff, 0xfffff000);
}

static void test_small_pages(Fixture *f, gconstpointer data)
{
    for (unsigned i = 0; i < MODES; i++) {
        const Mode *mode = &modes[i];
        uint64_t linear = test_linear(mode);

        use_mode(f, mode, linear, 1);
        put(f, mode, 1, linear, 0x345000 | FULL);
        expect_page(f->cpu, linear + 0x123, 0x345000);
        expect_fault(f->cpu, linear ^ 0x1000, EMU_TLB_USER, EMU_WRITE, 6);
        expect_fault(f->cpu, linear ^ 0x80000000, EMU_TLB_SUPER, EMU_READ, 0);
        if (mode->entry_size == 8) {
            put(f, mode, 1, linear ^ 0x1000, 0xff12345000 | FULL);
            expect_page(f->cpu, linear ^ 0x1000, 0xff12345000);
        }
    }
}

static void test_large_pages(Fixture *f, gconstpointer data)
{
    for (unsigned i = PSE; i < MODES; i++) {
        const Mode *mode = &modes[i];
        uint64_t linear = test_linear(mode);
        uint64_t mask = BIT_ULL(level_shift(mode, 2)) - 1;

        use_mode(f, mode, linear, 2);
        put(f, mode, 2, linear, 0x00c00000 | FULL | PS);
        expect_page(f->cpu, linear, 0x00c00000 | (linear & mask));
        expect_page(f->cpu, linear ^ 0x3000, 0x00c00000 | ((linear ^ 0x3000) & mask));
        emu_tlb_flush_all(f->cpu);
        if (mode == &modes[PSE]) {
            put(f, mode, 2, linear, 0x00c00000 | FULL | PS | 0xa5 << 13);
            expect_page(f->cpu, linear, 0xa500c00000 | (linear & mask));
        }
        if (i >= FOUR) {
            put(f, mode, 3, linear, 0xc0000000 | FULL | PS);
            expect_page(f->cpu, linear, 0xc0000000 | (linear & (GiB - 1)));
        }
    }
    /* Without CR4.PSE bit 7 means nothing. */
    use_mode(f, &modes[LEGACY], 0x400000, 1);
    put(f, &modes[LEGACY], 2, 0x400000, TABLE(1) | FULL | PS);
    put(f, &modes[LEGACY], 1, 0x400000, 0x7000 | FULL);
    expect_page(f->cpu, 0x400000, 0x7000);
}

/* ---- Reserved bits ---- */

/* Bits that must be 0 with NXE, pages of 1 GiB, PSE-36 and 40 bits of physical address. */
static uint64_t reserved_bits(unsigned mode, unsigned level, bool leaf)
{
    const uint64_t high = MASK_ULL(51, 40);

    switch (mode) {
    case LEGACY:
        return 0;
    case PSE:
        return level == 2 && leaf ? BIT_ULL(21) : 0;
    case PAE:
        return high | MASK_ULL(62, 52) | (level == 2 && leaf ? MASK_ULL(20, 13) : 0);
    default:
        return high | (level >= 4 ? PS : 0) | (level == 2 && leaf ? MASK_ULL(20, 13) : 0) |
               (level == 3 && leaf ? MASK_ULL(29, 13) : 0);
    }
}

static void check_reserved(Fixture *f, unsigned mode_index, unsigned leaf, unsigned level)
{
    const Mode *mode = &modes[mode_index];
    uint64_t linear = test_linear(mode);
    uint64_t reserved = reserved_bits(mode_index, level, level == leaf);

    for (unsigned bit = 1; bit < mode->entry_size * 8; bit++) {
        uint64_t entry;
        Attempt a;

        use_mode(f, mode, linear, leaf);
        put(f, mode, leaf, linear, 0x40000000 | FULL | (leaf > 1 ? PS : 0));
        entry = get(f, mode, level, linear);
        if (bit == 7 && level > 1 && level < 4) {
            continue; /* changes the kind of entry */
        }
        put(f, mode, level, linear, entry | BIT_ULL(bit));
        a = attempt(f->cpu, linear, EMU_TLB_SUPER, EMU_WRITE);
        if (reserved & BIT_ULL(bit)) {
            g_assert_false(a.ok);
            g_assert_cmphex(a.error, ==, 0xb);
            g_assert_cmphex(get(f, mode, level, linear), ==, entry | BIT_ULL(bit));
        } else {
            g_assert_true(a.ok || (level > leaf && bit >= 12 && bit < 63));
        }
    }
}

static void test_reserved(Fixture *f, gconstpointer data)
{
    f->cpu->tlb.second->physical_mask = BIT_ULL(40) - 1;
    for (unsigned i = 0; i < MODES; i++) {
        unsigned leaf_max = i == LEGACY ? 1 : i >= FOUR ? 3 : 2;

        for (unsigned leaf = 1; leaf <= leaf_max; leaf++) {
            for (unsigned level = leaf; level <= (i == PAE ? 2 : modes[i].levels); level++) {
                check_reserved(f, i, leaf, level);
            }
        }
    }
}

static void test_nx_disabled(Fixture *f, gconstpointer data)
{
    uint64_t linear = test_linear(&modes[FOUR]);

    use_mode(f, &modes[FOUR], linear, 1);
    put(f, &modes[FOUR], 1, linear, 0x345000 | FULL | NX);
    expect_page(f->cpu, linear, 0x345000);
    expect_fault(f->cpu, linear, EMU_TLB_SUPER, EMU_EXEC, 0x11);
    f->cpu->efer &= ~(uint64_t)EFER_NXE;
    emu_tlb_flush_all(f->cpu);
    expect_fault(f->cpu, linear, EMU_TLB_SUPER, EMU_READ, 9);
    expect_fault(f->cpu, linear, EMU_TLB_USER, EMU_EXEC, 0xd); /* I is not told */
    f->cpu->cr4 |= CR4_SMEP;
    expect_fault(f->cpu, linear, EMU_TLB_USER, EMU_EXEC, 0x1d);
}

static void test_pdptrs(Fixture *f, gconstpointer data)
{
    uint64_t cr3 = TABLE(3), before[4];
    EmuFault fault;

    use_mode(f, &modes[PAE], 0, 1);
    memcpy(before, f->cpu->pdptr, sizeof(before));
    for (unsigned bit = 1; bit < 64; bit++) {
        bool bad = (0xfff00000000001e6ull | MASK_ULL(51, 40)) >> bit & 1;

        f->cpu->tlb.second->physical_mask = BIT_ULL(40) - 1;
        put(f, &modes[PAE], 3, 0x40000000, P | BIT_ULL(bit));
        g_assert_true(emu_harness_try(f->cpu, do_load_pdptrs, &cr3, &fault) == !bad);
        if (bad) {
            g_assert_cmpuint(fault.vector, ==, X86_GP);
            g_assert_cmpuint(fault.error, ==, 0);
        }
        put(f, &modes[PAE], 3, 0x40000000, BIT_ULL(bit)); /* not present: nothing is checked */
        g_assert_true(emu_harness_try(f->cpu, do_load_pdptrs, &cr3, &fault));
    }
    /* Loaded ones are used, not those in memory. */
    put(f, &modes[PAE], 1, 0, 0x5000 | FULL);
    put(f, &modes[PAE], 3, 0, 0);
    expect_page(f->cpu, 0, 0x5000);
}

/* ---- Rights, accessed and dirty bits ---- */

typedef struct Setting {
    bool wp, smep;
    EmuTlbKind kind;
    EmuAccess access;
} Setting;

static bool allowed(uint64_t all, const Setting *s)
{
    bool user_access = s->kind == EMU_TLB_USER, user_page = all & US;

    if (user_access && !user_page) {
        return false;
    }
    if (s->access == EMU_EXEC) {
        return !(all & NX) && !(s->smep && user_page && !user_access);
    }
    if (s->kind == EMU_TLB_SUPER_SMAP && user_page) {
        return false;
    }
    return s->access == EMU_READ || (all & RW) || (!user_access && !s->wp);
}

static void check_rights(Fixture *f, uint64_t top, uint64_t leaf, const Setting *s)
{
    const Mode *mode = &modes[FOUR];
    uint64_t linear = test_linear(mode), all = (top & leaf & (RW | US)) | ((top | leaf) & NX);
    Attempt a;
    bool ok;

    put(f, mode, 4, linear, top | TABLE(3) | P);
    put(f, mode, 3, linear, FULL | TABLE(2));
    put(f, mode, 2, linear, FULL | TABLE(1));
    put(f, mode, 1, linear, leaf | PAGES | P);
    f->cpu->cr0 = (f->cpu->cr0 & ~(uint64_t)CR0_WP) | (s->wp ? CR0_WP : 0);
    f->cpu->cr4 = (f->cpu->cr4 & ~(uint64_t)CR4_SMEP) | (s->smep ? CR4_SMEP : 0);
    emu_tlb_flush_all(f->cpu);
    a = attempt(f->cpu, linear, s->kind, s->access);
    ok = allowed(all, s);
    g_assert_true(a.ok == ok);
    if (!ok) {
        g_assert_cmphex(a.error, ==, 1u | (s->access == EMU_WRITE ? 2 : 0) |
                                     (s->kind == EMU_TLB_USER ? 4 : 0) |
                                     (s->access == EMU_EXEC ? 0x10 : 0));
    }
    for (unsigned level = 4; level >= 1; level--) {
        uint64_t entry = get(f, mode, level, linear);

        g_assert_true(!!(entry & A) == ok);
        g_assert_true(!!(entry & D) == (ok && level == 1 && s->access == EMU_WRITE));
    }
    /* Once more, from the TLB. */
    g_assert_true(attempt(f->cpu, linear, s->kind, s->access).ok == ok);
}

static void test_rights(Fixture *f, gconstpointer data)
{
    static const EmuTlbKind kinds[] = { EMU_TLB_USER, EMU_TLB_SUPER, EMU_TLB_SUPER_SMAP };
    static const uint64_t flags[] = { 0, RW, US, RW | US, NX, RW | NX, US | NX, RW | US | NX };

    use_mode(f, &modes[FOUR], test_linear(&modes[FOUR]), 1);
    for (unsigned i = 0; i < 8 * 8 * 3 * 3 * 4; i++) {
        Setting s = {
            .wp = i & 1, .smep = i & 2, .kind = kinds[i / 4 % 3], .access = i / 12 % 3,
        };

        check_rights(f, flags[i / 36 % 8], flags[i / 288 % 8], &s);
    }
}

/* Rights are judged by the registers of now, whatever they were when the page was walked. */
static void test_rights_of_cached(Fixture *f, gconstpointer data)
{
    const Mode *mode = &modes[FOUR];
    uint64_t linear = test_linear(mode);

    use_mode(f, mode, linear, 1);
    put(f, mode, 1, linear, PAGES | P | US);
    f->cpu->cr0 &= ~(uint64_t)CR0_WP;
    g_assert_true(attempt(f->cpu, linear, EMU_TLB_SUPER, EMU_WRITE).ok);
    f->cpu->cr0 |= CR0_WP;
    expect_fault(f->cpu, linear, EMU_TLB_SUPER, EMU_WRITE, 3);
    g_assert_true(attempt(f->cpu, linear, EMU_TLB_SUPER, EMU_EXEC).ok);
    f->cpu->cr4 |= CR4_SMEP;
    expect_fault(f->cpu, linear, EMU_TLB_SUPER, EMU_EXEC, 0x11);
    expect_fault(f->cpu, linear, EMU_TLB_SUPER_SMAP, EMU_READ, 1);
    g_assert_true(attempt(f->cpu, linear, EMU_TLB_USER, EMU_EXEC).ok);
    /* More rights in memory are found without a flush, as a fault looks there first. */
    put(f, mode, 1, linear, PAGES | FULL);
    g_assert_true(attempt(f->cpu, linear, EMU_TLB_USER, EMU_WRITE).ok);
    g_assert_cmphex(get(f, mode, 1, linear), ==, PAGES | FULL | A | D);
}

static void test_accessed_of_others(Fixture *f, gconstpointer data)
{
    uint64_t linear = test_linear(&modes[PSE]);

    use_mode(f, &modes[PSE], linear, 1);
    put(f, &modes[PSE], 1, linear, PAGES | FULL);
    expect_page(f->cpu, linear, PAGES);
    g_assert_cmphex(get(f, &modes[PSE], 1, linear), ==, PAGES | FULL | A);
    g_assert_cmphex(get(f, &modes[PSE], 2, linear), ==, TABLE(1) | FULL | A);
    g_assert_true(attempt(f->cpu, linear, EMU_TLB_USER, EMU_WRITE).ok);
    g_assert_cmphex(get(f, &modes[PSE], 1, linear), ==, PAGES | FULL | A | D);
    use_mode(f, &modes[PAE], linear, 2);
    put(f, &modes[PAE], 2, linear, 0x400000 | FULL | PS);
    g_assert_true(attempt(f->cpu, linear, EMU_TLB_USER, EMU_WRITE).ok);
    g_assert_cmphex(get(f, &modes[PAE], 2, linear), ==, 0x400000 | FULL | PS | A | D);
    g_assert_cmphex(get(f, &modes[PAE], 3, linear), ==, TABLE(2) | P);
}

/* ---- Flushes ---- */

/* Linear pages 0 to 3 of a 4-level space lead to PAGES + n pages; n is global if its bit is set. */
static void map_four(Fixture *f, unsigned globals, uint64_t base)
{
    for (unsigned i = 0; i < 4; i++) {
        put(f, &modes[FOUR], 1, i * 0x1000, (base + i * 0x1000) | FULL | A | D |
                                            (globals >> i & 1 ? G : 0));
    }
}

static void expect_four(Fixture *f, unsigned fresh)
{
    for (unsigned i = 0; i < 4; i++) {
        expect_page(f->cpu, i * 0x1000, (fresh >> i & 1 ? 0x300000 : PAGES) + i * 0x1000);
    }
}

/* Pages 2 and 3 are global; all four are cached, and memory says otherwise. */
static void cache_four(Fixture *f, unsigned pcid)
{
    use_mode(f, &modes[FOUR], 0, 1);
    f->cpu->cr4 |= CR4_PGE | CR4_PCIDE;
    f->cpu->cr3 |= pcid;
    map_four(f, 0xc, PAGES);
    expect_four(f, 0);
    map_four(f, 0xc, 0x300000);
    expect_four(f, 0);
}

static void set_pcid(Fixture *f, unsigned pcid)
{
    f->cpu->cr3 = TABLE(4) | pcid;
    emu_tlb_flush_first(f->cpu);
}

static void test_flushes(Fixture *f, gconstpointer data)
{
    EmuCpu *cpu = f->cpu;

    cache_four(f, 5);
    emu_tlb_flush_first(cpu);
    expect_four(f, 0);
    emu_tlb_flush_page(cpu, 0x1fff);
    expect_four(f, 2);
    emu_tlb_flush_page(cpu, 0x2000);
    expect_four(f, 6);
    emu_tlb_flush_local(cpu);
    expect_four(f, 7);
    emu_tlb_flush_all(cpu);
    expect_four(f, 0xf);
}

static void test_pcid(Fixture *f, gconstpointer data)
{
    EmuCpu *cpu = f->cpu;

    cache_four(f, 5);
    set_pcid(f, 6);
    expect_four(f, 3); /* 5's are hidden, global ones are not */
    map_four(f, 0xc, PAGES);
    emu_tlb_flush_local(cpu);
    set_pcid(f, 5);
    map_four(f, 0xc, 0x300000);
    expect_four(f, 0); /* still 5's */
    emu_tlb_invpcid(cpu, 1, 7, 0);
    expect_four(f, 0);
    emu_tlb_invpcid(cpu, 0, 5, 0x1000);
    emu_tlb_invpcid(cpu, 0, 5, 0x2000); /* global: stays */
    expect_four(f, 2);
    emu_tlb_invpcid(cpu, 1, 5, 0);
    expect_four(f, 3);
    emu_tlb_invpcid(cpu, 2, 0, 0);
    expect_four(f, 0xf);
    cache_four(f, 9);
    set_pcid(f, 10);
    emu_tlb_invpcid(cpu, 3, 0, 0);
    set_pcid(f, 9);
    expect_four(f, 3);
}

static void test_flush_large(Fixture *f, gconstpointer data)
{
    static const struct {
        unsigned mode, level;
        uint64_t size;
    } cases[] = {
        { PSE, 2, 4 * MiB }, { PAE, 2, 2 * MiB }, { FOUR, 2, 2 * MiB }, { FOUR, 3, GiB },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        const Mode *mode = &modes[cases[i].mode];
        uint64_t base = ROUND_DOWN(test_linear(mode), cases[i].size), last = cases[i].size - 0x1000;

        use_mode(f, mode, base, cases[i].level);
        put(f, mode, cases[i].level, base, 0x40000000 | FULL | PS);
        expect_page(f->cpu, base, 0x40000000);
        expect_page(f->cpu, base + last, 0x40000000 + last);
        put(f, mode, cases[i].level, base, 0x80000000 | FULL | PS);
        expect_page(f->cpu, base, 0x40000000);
        emu_tlb_flush_page(f->cpu, base + last / 2);
        expect_page(f->cpu, base, 0x80000000);
        expect_page(f->cpu, base + last, 0x80000000 + last);
    }
}

/* More pages than both levels hold, many times over. */
static void test_capacity(Fixture *f, gconstpointer data)
{
    const Mode *mode = &modes[FOUR];

    use_mode(f, mode, 0, 3);
    for (unsigned i = 0; i < 512; i++) {
        uint64_t entry = i * 2 * MiB | FULL | PS;

        memcpy(f->h->bytes + TABLE(2) + i * 8, &entry, 8);
    }
    put(f, mode, 3, 0, TABLE(2) | FULL);
    for (unsigned i = 0; i < 100000; i++) {
        uint64_t linear = g_test_rand_int_range(0, 0x3fffffff);

        expect_page(f->cpu, linear, linear & EMU_PAGE_MASK);
        if (i % 1000 == 0) {
            emu_tlb_flush_page(f->cpu, linear);
        }
    }
}

#define ADD(name, fn) g_test_add("/emu/mmu/" name, Fixture, NULL, setup, fn, teardown)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("no-paging", test_no_paging);
    ADD("small-pages", test_small_pages);
    ADD("large-pages", test_large_pages);
    ADD("reserved-bits", test_reserved);
    ADD("nx-disabled", test_nx_disabled);
    ADD("pdptrs", test_pdptrs);
    ADD("rights", test_rights);
    ADD("rights-of-cached", test_rights_of_cached);
    ADD("accessed", test_accessed_of_others);
    ADD("flushes", test_flushes);
    ADD("pcid", test_pcid);
    ADD("flush-large", test_flush_large);
    ADD("capacity", test_capacity);
    return g_test_run();
}
