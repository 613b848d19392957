/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The copy engine of mirror, commit, backup and stream. A dirty bitmap says what is still to be
 * copied; ranges of it are copied by several coroutines at a time, on the nodes' loop, with bounded
 * memory. No two of them, nor anybody else who asks, work on the same place at once: who takes a
 * range has it alone until it is given back.
 *
 * A range's bits are cleared when it is taken, and set again if copying fails. So a write that is
 * recorded meanwhile is not lost.
 *
 * Source and target are on one loop. Functions: main thread, in the job's coroutine, unless said
 * otherwise.
 */
#ifndef VIREO_BLOCK_JOB_COPY_H
#define VIREO_BLOCK_JOB_COPY_H

#include "block/dirty-bitmap.h"
#include "block/io.h"
#include "block/job.h"

/* What is copied at once, unless the granularity is larger. */
#define JOB_COPY_CHUNK (1 << 20)
#define JOB_COPY_WORKERS 16
#define JOB_COPY_MEMORY (16 << 20)

typedef struct JobCopy JobCopy;

/* Copy one range, on the nodes' loop. 0 or -errno; *read_failed says on which side. */
typedef int JobCopyFn(JobCopy *copy, int64_t offset, int64_t bytes, bool *read_failed);
/* Is what begins at offset to be copied? 1 or 0 for *n bytes, or -errno. On the nodes' loop. */
typedef int JobCopyWantedFn(JobCopy *copy, int64_t offset, int64_t bytes, int64_t *n);

typedef struct JobCopyParams {
    BlockChild *source, *target; /* target NULL: fn needs none */
    JobCopyFn *fn;               /* NULL: read the source and write the target */
    /*
     * Asked along the disk before its parts are copied. NULL: the bitmap says all. Its answer 1
     * sets bits, unless all bits were set at first (premarked): then 0 clears them.
     */
    JobCopyWantedFn *wanted;
    bool premarked;
    BlockNode *base;             /* what source has not above it is not copied; NULL: all is */
    int64_t size;
    uint32_t granularity;        /* bytes a bit stands for, a power of two */
    uint32_t align;              /* ranges are whole units of it: clusters; 0: no matter */
    unsigned max_workers;        /* 0: JOB_COPY_WORKERS */
    int64_t max_chunk;           /* 0: JOB_COPY_CHUNK */
    int64_t max_memory;          /* 0: JOB_COPY_MEMORY; at least one chunk is always under way */
    unsigned write_flags;        /* BlockReqFlags */
    bool unmap;                  /* zeroes may become holes */
    bool records;                /* the source's writes set bits */
    bool shown;                  /* clients see the bitmap */
    bool whole_disk;             /* progress is along the disk, not of what is to be copied */
    bool skip_ignored;           /* ranges of ignored errors are left out; then all has failed */
    BlockdevOnError on_source_error, on_target_error;
} JobCopyParams;

/* A range that somebody has alone; on his stack. */
typedef struct JobCopyRange {
    int64_t offset, bytes;
    GList link;
    GQueue waiters;
} JobCopyRange;

/* The cluster size, if ranges should keep to it; else 0. */
uint32_t job_copy_cluster(const BlockNodeInfo *info);
/* The edges are the job's. All bits are clear, or with premarked set. NULL with the error set. */
JobCopy *job_copy_new(Job *job, const JobCopyParams *params, GError **error);
/* Nothing is under way. NULL is ignored. */
void job_copy_free(JobCopy *copy);
const JobCopyParams *job_copy_params(const JobCopy *copy);
DirtyBitmap *job_copy_bitmap(JobCopy *copy);
void *job_copy_job(JobCopy *copy);

/* Ask `wanted` for the whole disk now. False: cancelled, or failed with the error set. */
bool job_copy_scan(JobCopy *copy, GError **error);
/*
 * Copy until no bit is set and nothing is under way; or, if the source is written to as fast as it
 * is copied, until little is left. Pauses, keeps to the job's speed, does what
 * the policies say about errors, and accounts for the progress. False: cancelled, or failed with
 * the error set.
 */
bool job_copy_run(JobCopy *copy, GError **error);
/*
 * Until the job is cancelled, only account for what job_copy_before_write() copies. False always:
 * cancelled, or that has failed and the error is set.
 */
bool job_copy_watch(JobCopy *copy, GError **error);
/*
 * In a drained section of the source, so that it does not take long: copy what is left. False:
 * cancelled, or an error for job_copy_run() to treat.
 */
bool job_copy_rest(JobCopy *copy);
/*
 * After the work, in prepare (job_work_again()): nobody sees to errors then, which end it. With no
 * drained section, copy until little is left, or it does not become less. False: a failure.
 */
bool job_copy_catch_up(JobCopy *copy);
/* What has failed since job_copy_run(), whose policies do not count any more. */
void job_copy_tell_failure(JobCopy *copy, GError **error);
/* False with the error set: job_copy_before_write() has failed. */
bool job_copy_is_sound(JobCopy *copy, GError **error);
/* Is nothing to be done at this moment? */
bool job_copy_is_idle(JobCopy *copy);
/* Make the target stable, as job_copy_run() copies. */
bool job_copy_flush(JobCopy *copy, GError **error);
/* The same once, in a drained section: false after a failure, which job_copy_run() will treat. */
bool job_copy_flush_once(JobCopy *copy);

/* ---- On the nodes' loop, in a coroutine ---- */

/*
 * Without an engine: copy a range as source, target, base, align, write_flags and unmap say; zeroes
 * as zeroes. 0 or -errno; *read_failed says on which side.
 */
int job_copy_range(const JobCopyParams *params, int64_t offset, int64_t bytes, bool *read_failed);

/* Wait until nobody has a part of it, and take it: in whole units. */
void job_copy_take(JobCopy *copy, JobCopyRange *range, int64_t offset, int64_t bytes);
void job_copy_give_back(JobCopy *copy, JobCopyRange *range);
/*
 * All of the range that is marked is copied when this returns. If that fails, what was there is
 * lost, and so is the whole copy.
 */
void job_copy_before_write(JobCopy *copy, int64_t offset, int64_t bytes);
/* Any thread: bytes were copied by somebody else / his copying failed (positive errno). */
void job_copy_account(JobCopy *copy, int64_t bytes);
void job_copy_note_error(JobCopy *copy, bool is_read, int error, int64_t offset);
/* Any thread: something may be to do again. */
void job_copy_kick(JobCopy *copy);

#endif
