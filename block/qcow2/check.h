/* SPDX-License-Identifier: Apache-2.0 */
/* Checking and repairing. In a coroutine, while nothing else is in flight. */
#ifndef VIREO_BLOCK_QCOW2_CHECK_H
#define VIREO_BLOCK_QCOW2_CHECK_H

#include "block/qcow2/qcow2.h"

/* How often clusters are referred to, of those that are at all. */
typedef struct RefMap {
    GHashTable *chunks; /* index -> REFMAP_CHUNK counts */
    uint32_t *last;
    int64_t last_index;
    int64_t end;        /* no cluster at or beyond is referred to */
} RefMap;
#define REFMAP_CHUNK 1024

void refmap_init(RefMap *map);
void refmap_cleanup(RefMap *map);
uint32_t refmap_get(RefMap *map, int64_t cluster);
void refmap_add(RefMap *map, int64_t cluster, uint32_t n);
/* Are all of this chunk's counts zero? */
bool refmap_chunk_is_empty(RefMap *map, int64_t cluster);

/* One run of checking. */
typedef struct Check {
    Qcow2 *q;
    BlockCheckResult *result;
    unsigned fix;
    RefMap refs;
    GHashTable *tables;    /* L2 tables: offset -> CheckTable */
    int64_t file_clusters; /* that begin before the file's end */
    int64_t next_host;     /* where the next cluster would be, were there no fragments */
    bool rebuild;          /* the counts themselves are damaged */
    bool quiet;
} Check;

int qcow2_check(BlockNode *node, BlockCheckResult *result, unsigned fix, GError **error);
/* The counts of an image that was not closed, when it is opened for writing. */
bool qcow2_repair_dirty(Qcow2 *q, GError **error);

/* check-map.c: count references of all but the counts' own structures; damaged entries go. */
int check_references(Check *check);
/* The "copied" flags of the active tables, by what the file counts. */
int check_flags(Check *check);
/* A reference to bytes of the file. */
void check_count(Check *check, int64_t offset, int64_t bytes, uint32_t n);
/* check-refcount.c */
int check_refblocks(Check *check);
int check_counts(Check *check);
int check_rebuild(Check *check);

void check_say(const Check *check, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
/* A defect: fixed (says the fix flag) or not. Returns whether to fix it. */
bool check_defect(Check *check, unsigned kind, const char *fmt, ...) G_GNUC_PRINTF(3, 4);

#endif
