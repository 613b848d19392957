/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is left of an image after a power cut, or after the disk below has failed. A format does
 * random work on a disk in memory; then what a guest may rely on is compared with what is there.
 */
#ifndef VIREO_BLOCK_TESTS_POWER_CUT_H
#define VIREO_BLOCK_TESTS_POWER_CUT_H

#include "block/tests/log-disk.h"

/* What an image has beside its first file. Each is a disk with a cache of its own. */
typedef enum CutFiles {
    CUT_ONE_FILE,
    CUT_DATA_FILE, /* qcow2: an external data file */
    CUT_EXTENT,    /* vmdk: one extent, made by blockdev-create */
    CUT_SPLIT,     /* vmdk: two extents of extent_type, and a descriptor made here: small ones */
} CutFiles;

typedef struct CutVariant {
    const char *name, *format;
    /* Members of its JSON with a comma before: for blockdev-create, and for opening. */
    const char *create, *open;
    unsigned sectors;
    bool backing;      /* it lies over a backing image */
    bool compressed;   /* some writes are compressed, and there are snapshots (qcow2) */
    bool filled;       /* its sectors must be written before they can be read (luks) */
    bool keeps_discard; /* discarded sectors may be anything (raw) */
    bool resizes, only_grows;
    bool size_of_file; /* and its size is the file's */
    int stride;        /* between the places of failures, in place of the usual one; 0: that */
    CutFiles files;
    const char *extent_type;
} CutVariant;

/*
 * Random work, all of it logged, and then the power is cut at many moments of that log: of what was
 * written since the last flush, any part is lost; of several files each has its own last flush, so
 * what was written to one may be there without what was written to another before. Whatever is
 * left must open, check without corruption, and have all that the guest flushed. One round.
 */
void power_cut(const CutVariant *variant);
/* The same during blockdev-create: what is left opens or is refused. */
void power_cut_create(const CutVariant *variant);
/*
 * The same work again and again; in each run one write or flush of the disk below, another one each
 * time, fails, and if sticky all that follow. What was acknowledged is there when the image is
 * opened again, check finds leaks at most, and the work can be done again. stride: so many writes
 * at most are passed over between two runs.
 */
void power_fail(const CutVariant *variant, int err, bool sticky, int stride);
/* The same where a snapshot is deleted. */
void power_fail_delete(const CutVariant *variant, int err, bool sticky, int stride);
/*
 * The same where a snapshot is made; nor does anything leak, except where nobody knows whether the
 * image's header names it already. Only for a disk that works again.
 */
void power_fail_snapshot(const CutVariant *variant, int err);

#endif
