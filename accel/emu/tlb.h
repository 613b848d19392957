/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two levels of software TLB, as in hardware.
 *
 * The first is small and direct-mapped: one table each for reading, writing and each kind of
 * privilege, so that a hit proves the right to do the access. Handlers (mem.h) and translated code
 * look into it inline. An entry holds the negated page address; with `linear + size - 1 + negated`
 * below 4096 the access hits and stays inside the page. (An addition, so that translated code can
 * check without touching the flags.) Pages whose accesses need more than a copy never get an entry
 * in the table concerned: I/O, ROM being written, pages with cached code or a clean dirty bit being
 * written, watched pages.
 *
 * The second (mmu.h) is larger, tagged with PCID, global bit and a generation number, and holds
 * what a page walk found. Flushing it is a new generation; a miss there walks the guest's page
 * tables.
 *
 * Filled and looked up by the owner's thread. Another thread that makes a page's writes slow (code
 * was decoded from it, dirty logging began) removes entries under `lock`, which filling takes too.
 */
#ifndef VIREO_ACCEL_EMU_TLB_H
#define VIREO_ACCEL_EMU_TLB_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define EMU_PAGE_BITS 12
#define EMU_PAGE_SIZE 4096u
#define EMU_TLB_BITS 10
#define EMU_TLB_SIZE (1u << EMU_TLB_BITS)

#define EMU_TLB_STAGGER 8 /* so that one index of all arrays is not one set of the host's cache */

/* Two arrays: a scaled index of translated code reaches an element of 8 bytes. */
typedef struct EmuTlbTable {
    uint64_t negated[EMU_TLB_SIZE]; /* -(linear page address); EMU_TLB_NONE(index): never hits */
    uint64_t stagger_negated[EMU_TLB_STAGGER];
    uint64_t addend[EMU_TLB_SIZE];  /* host address - linear address */
    uint64_t stagger_addend[EMU_TLB_STAGGER];
} EmuTlbTable;

/*
 * Of an empty entry: the tag of a page that has another index. (Not a neighbour's: the end of an
 * access that crosses into the next page must not hit either.)
 */
#define EMU_TLB_NONE(index) (-(((uint64_t)(index) ^ 2) << EMU_PAGE_BITS))

typedef enum EmuTlbKind {
    EMU_TLB_USER,           /* CPL 3 */
    EMU_TLB_USER_ALIGN,     /* CPL 3 in EMU_MODE_ALIGN: never filled, so that all accesses get to
                               the slow path, which checks alignment */
    EMU_TLB_SUPER,          /* CPL 0-2, user pages allowed */
    EMU_TLB_SUPER_SMAP,     /* CPL 0-2 where SMAP forbids user pages; implicit accesses too */
    EMU_TLB_KINDS
} EmuTlbKind;

typedef struct EmuTlbTables {
    EmuTlbTable read, write;
    /* One bit an index: an entry there may be of a page that is not global. */
    uint64_t local[EMU_TLB_SIZE / 64];
} EmuTlbTables;

typedef struct EmuTlb2 EmuTlb2; /* mmu.h */

typedef struct EmuTlb {
    EmuTlbTables kind[EMU_TLB_KINDS];
    unsigned current;       /* EmuTlbKind of explicit data accesses; kept by emu_update_mode() */
    bool used[EMU_TLB_KINDS]; /* something was filled since the last flush */
    pthread_mutex_t lock;
    EmuTlb2 *second;
} EmuTlb;

#endif
