/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checking mode: translated blocks run twice, interpreted and as host code, and the two must
 * agree (jit/check.c). What guest memory has to do with it is here.
 *
 * The interpreter goes first, on the guest's memory; what it does is what counts. Meanwhile the
 * first-level TLB has no entries for writing, so that every store reaches mem.c, which tells of
 * it; of each page that is written a copy is kept. Host code then runs on these copies (shadows):
 * all translations to such a page lead to its shadow, so that inlined stores work as they always
 * do. Guest memory is never put back, so devices and other CPUs may use it all the time.
 *
 * check=all compares every run of a block; check=on the first ones and then one in so many: the
 * others are interpreted.
 */
#ifndef VIREO_ACCEL_EMU_CHECK_H
#define VIREO_ACCEL_EMU_CHECK_H

#include "accel/emu/mmu.h"

#define EMU_CHECK_PAGES 16u
#define EMU_CHECK_WRITES 512u
#define EMU_CHECK_LINEARS 64u
#define EMU_CHECK_WRITABLE 512u

typedef enum EmuCheckMode {
    EMU_CHECK_NONE, /* there is no EmuCheck */
    EMU_CHECK_SOME,
    EMU_CHECK_ALL,
} EmuCheckMode;

typedef enum EmuCheckPhase {
    EMU_CHECK_OFF,
    EMU_CHECK_LOG,     /* writes to guest memory are told of */
    EMU_CHECK_SHADOW,  /* pages that were written are shadows */
} EmuCheckPhase;

/* Why a run on shadows came to an end too early. */
typedef enum EmuCheckStray {
    EMU_CHECK_NO_STRAY,
    EMU_CHECK_STRAY_WRITE, /* to a page that the first run did not write */
    EMU_CHECK_STRAY_IO,
} EmuCheckStray;

/* A page that the first run wrote. */
typedef struct EmuCheckPage {
    const uint8_t *host;
    uint64_t linear;    /* where it was first written */
    EmuPage page;       /* what a translation gives while there are shadows */
    MemoryPlace place;  /* the same for a physical address */
} EmuCheckPage;

typedef struct EmuCheckWrite {
    uint8_t page;
    uint16_t offset, len;
} EmuCheckWrite;

/* Runs of translated blocks. */
typedef struct EmuCheckCounts {
    uint64_t compared;
    uint64_t interpreted; /* only, since they had been compared often enough */
    uint64_t skipped;     /* did I/O, raised, or do what cannot be done twice */
    uint64_t races;       /* of those compared: differed at first, but not once more */
    uint64_t blocks;      /* compared at least once */
} EmuCheckCounts;

typedef struct EmuCheck {
    EmuCheckPhase phase;
    bool all;           /* compare each run */
    bool io;            /* the first run did I/O, or wrote more than fits here: no second run */
    EmuCheckStray stray;
    uint64_t stray_linear;
    bool failed;        /* a difference was found: leave guest code */
    EmuCheckCounts counts;

    EmuCheckPage pages[EMU_CHECK_PAGES];
    EmuCheckWrite writes[EMU_CHECK_WRITES];
    uint64_t linears[EMU_CHECK_LINEARS]; /* pages that the first-level TLB may lead to shadows */
    unsigned page_count, write_count, linear_count;
    /* What the first-level TLB may have for writing to guest memory; one too many: anything. */
    EmuTlbSlot writable[EMU_CHECK_WRITABLE];
    unsigned writable_count;
    void *empty_jumps;  /* a jump table in which nothing is found */
    /* By page: as it was, as the interpreter left it, what host code works on. */
    uint8_t before[EMU_CHECK_PAGES][EMU_PAGE_SIZE] __attribute__((aligned(64)));
    uint8_t expected[EMU_CHECK_PAGES][EMU_PAGE_SIZE] __attribute__((aligned(64)));
    uint8_t shadow[EMU_CHECK_PAGES][EMU_PAGE_SIZE] __attribute__((aligned(64)));
} EmuCheck;

EmuCheck *emu_check_new(EmuCheckMode mode);
void emu_check_free(EmuCheck *check);
/* The counts in words. Any thread. */
char *emu_check_describe(const EmuCheck *check);

/* ---- Told by mem.c, mmu.c, phys.c and tlb.c; cpu->check is set ---- */

/* Before [linear, +len) of a page is written. */
void emu_check_before_write(EmuCpu *cpu, const EmuPage *page, uint64_t linear, unsigned len);
/* Before a device is reached. */
void emu_check_before_io(EmuCpu *cpu);
/* What a translation found, or the page's shadow. */
const EmuPage *emu_check_page(EmuCpu *cpu, uint64_t linear, const EmuPage *page);
/* The shadow of a physical page, or NULL. */
const MemoryPlace *emu_check_place(EmuCheck *check, uint64_t physical);
/*
 * May the first-level TLB get an entry for writing to this host page? During a comparison only if
 * it is a shadow. Otherwise the entry is noted, to go before the next comparison.
 */
bool emu_check_may_fill_write(EmuCheck *check, const uint8_t *host, EmuTlbKind kind,
                              unsigned index);

/* ---- For who runs blocks (jit/check.c) ---- */

void emu_check_begin_log(EmuCpu *cpu);
/* The first run is done: what it left in the pages is expected. */
void emu_check_end_log(EmuCheck *check);
/*
 * From now on shadows, as the pages were before the first run. fill: with entries in the
 * first-level TLB for the pages that may have them. thorough: no old entry survives.
 */
void emu_check_begin_shadow(EmuCpu *cpu, bool fill, bool thorough);
void emu_check_end_shadow(EmuCpu *cpu, bool thorough);
/* What the run on shadows left in them is expected. */
void emu_check_expect_shadow(EmuCheck *check);
/* The first byte that is not as expected; false: there is none. */
bool emu_check_find_difference(const EmuCheck *check, unsigned *page, unsigned *offset);

#endif
