/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the copy engine is made of: ranges, the workers that copy them, and the loop in the job's
 * coroutine that starts workers (job-copy-run.c).
 *
 * The lock covers the list of ranges and the counters. It is never held across a yield. Bits have
 * their node's own lock, which is taken inside this one.
 */
#include "block/job-copy.h"

#include <errno.h>
#include <stdlib.h>

#include "block/job-copy-internal.h"
#include "util/error.h"
#include "util/zero.h"

/* Clusters larger than this are not kept to. */
#define MAX_CLUSTER (64 << 20)

/* ---- Life ---- */

static void kicked(void *opaque)
{
    JobCopy *copy = opaque;

    job_wake(copy->job);
}

static int copy_by_default(JobCopy *copy, int64_t offset, int64_t bytes, bool *read_failed)
{
    return job_copy_range(&copy->p, offset, bytes, read_failed);
}

uint32_t job_copy_cluster(const BlockNodeInfo *info)
{
    int64_t size = info->cluster_size;

    return size > 0 && size <= MAX_CLUSTER && !(size & (size - 1)) ? (uint32_t)size : 0;
}

JobCopy *job_copy_new(Job *job, const JobCopyParams *params, GError **error)
{
    JobCopy *copy = g_new0(JobCopy, 1);
    BlockNode *node = params->source->node;

    copy->job = job;
    copy->p = *params;
    copy->p.fn = params->fn ? params->fn : copy_by_default;
    copy->p.align = MAX(params->align, params->granularity);
    copy->p.max_workers = params->max_workers ? params->max_workers : JOB_COPY_WORKERS;
    copy->p.max_chunk = MAX(params->max_chunk ? params->max_chunk : JOB_COPY_CHUNK,
                            (int64_t)copy->p.align);
    copy->p.max_memory = params->max_memory ? params->max_memory : JOB_COPY_MEMORY;
    copy->scanned = params->wanted ? 0 : params->size;
    copy->todo = block_dirty_bitmap_new(node, NULL, params->granularity, error);
    if (!copy->todo) {
        g_free(copy);
        return NULL;
    }
    block_dirty_bitmap_change_flags(copy->todo, params->shown ? 0 : BLOCK_BITMAP_HIDDEN,
                                    params->records ? 0 : BLOCK_BITMAP_ENABLED);
    if (params->premarked) {
        block_dirty_bitmap_set(copy->todo, 0, params->size);
    }
    g_mutex_init(&copy->lock);
    copy->kick = loop_bh_new(loop_main(), kicked, copy);
    return copy;
}

void job_copy_free(JobCopy *copy)
{
    if (!copy) {
        return;
    }
    g_assert(!copy->workers && !copy->ranges.length);
    block_dirty_bitmap_free(copy->todo);
    loop_bh_free(copy->kick);
    g_mutex_clear(&copy->lock);
    g_free(copy);
}

const JobCopyParams *job_copy_params(const JobCopy *copy)
{
    return &copy->p;
}

DirtyBitmap *job_copy_bitmap(JobCopy *copy)
{
    return copy->todo;
}

void *job_copy_job(JobCopy *copy)
{
    return copy->job;
}

void job_copy_kick(JobCopy *copy)
{
    loop_bh_schedule(copy->kick);
}

/* ---- Ranges ---- */

static JobCopyRange *find_overlap(JobCopy *copy, int64_t offset, int64_t bytes)
{
    for (GList *l = copy->ranges.head; l; l = l->next) {
        JobCopyRange *other = l->data;

        if (other->offset < offset + bytes && offset < other->offset + other->bytes) {
            return other;
        }
    }
    return NULL;
}

/* Locked. */
static void insert_range(JobCopy *copy, JobCopyRange *range, int64_t offset, int64_t bytes)
{
    *range = (JobCopyRange){ .offset = offset, .bytes = bytes, .link = { .data = range } };
    g_queue_push_tail_link(&copy->ranges, &range->link);
}

/* Locked; unlocks while it waits. True: there was somebody, look again. */
static bool wait_for_overlap(JobCopy *copy, int64_t offset, int64_t bytes)
{
    JobCopyRange *other = find_overlap(copy, offset, bytes);
    GList link = { .data = coroutine_current() };

    if (!other) {
        return false;
    }
    g_queue_push_tail_link(&other->waiters, &link);
    g_mutex_unlock(&copy->lock);
    coroutine_yield();
    g_mutex_lock(&copy->lock);
    return true;
}

/* To whole units, as far as the disk goes. */
static void widen(const JobCopy *copy, int64_t *offset, int64_t *bytes)
{
    int64_t mask = (int64_t)copy->p.align - 1;
    int64_t end = MIN((*offset + *bytes + mask) & ~mask, copy->p.size);

    *offset &= ~mask;
    *bytes = MAX(end - *offset, 0);
}

void job_copy_take(JobCopy *copy, JobCopyRange *range, int64_t offset, int64_t bytes)
{
    widen(copy, &offset, &bytes);
    g_mutex_lock(&copy->lock);
    while (wait_for_overlap(copy, offset, bytes)) {
    }
    insert_range(copy, range, offset, bytes);
    g_mutex_unlock(&copy->lock);
}

/* Locked. */
static void remove_range(JobCopy *copy, JobCopyRange *range)
{
    GList *link;

    g_queue_unlink(&copy->ranges, &range->link);
    while ((link = g_queue_pop_head_link(&range->waiters))) {
        coroutine_wake(link->data);
    }
    if (__atomic_load_n(&copy->running, __ATOMIC_SEQ_CST)) {
        job_copy_kick(copy);
    }
}

void job_copy_give_back(JobCopy *copy, JobCopyRange *range)
{
    g_mutex_lock(&copy->lock);
    remove_range(copy, range);
    g_mutex_unlock(&copy->lock);
}

/* ---- Copying one range ---- */

/* What holds for zeroes as well. */
#define PASSED_ON (BLOCK_REQ_WRITE_UNCHANGED | BLOCK_REQ_SERIALISING)

static int write_zeroes(const JobCopyParams *p, int64_t offset, int64_t bytes)
{
    return block_pwrite_zeroes(p->target, offset, bytes,
                               (p->unmap ? BLOCK_REQ_MAY_UNMAP : 0) |
                                   (p->write_flags & PASSED_ON));
}

/* How far the answer holds in whole units. 0: not even for one, which is then data. */
static int64_t whole_units(const JobCopyParams *p, int64_t n, int64_t bytes)
{
    return n >= bytes || !p->align ? MIN(n, bytes) : n & ~((int64_t)p->align - 1);
}

/* What the first bytes need. Sets *n to how many. 1: data, 2: zeroes, 0: nothing, -errno. */
static int ask_source(const JobCopyParams *p, int64_t offset, int64_t bytes, int64_t *n)
{
    BlockStatus status;
    int ret = block_status_above(p->source->node, p->base, false, offset, bytes, &status);

    if (ret < 0) {
        return ret;
    }
    if (!status.bytes) {
        *n = bytes; /* beyond the end */
        return 2;
    }
    *n = whole_units(p, status.bytes, bytes);
    if (p->base && !(status.flags & BLOCK_STATUS_ALLOCATED) && *n) {
        return 0;
    }
    if ((status.flags & BLOCK_STATUS_ZERO) && *n) {
        return 2;
    }
    *n = MIN(MAX(*n, (int64_t)p->align), bytes);
    return 1;
}

static int copy_data(const JobCopyParams *p, int64_t offset, int64_t bytes, void *buf,
                     bool *read_failed)
{
    int ret = block_pread(p->source, offset, bytes, buf);

    *read_failed = ret < 0;
    if (ret < 0) {
        return ret;
    }
    if (buffer_is_zero(buf, (size_t)bytes)) {
        return write_zeroes(p, offset, bytes);
    }
    return block_pwrite(p->target, offset, bytes, buf, p->write_flags);
}

int job_copy_range(const JobCopyParams *p, int64_t offset, int64_t bytes, bool *read_failed)
{
    int64_t capacity = MIN(bytes, p->write_flags & BLOCK_REQ_COMPRESSED ? (int64_t)p->align
                                                                       : JOB_COPY_CHUNK);
    void *buf = NULL;
    int ret = 0;

    while (bytes > 0 && ret >= 0) {
        int64_t n = 0;
        int kind = ask_source(p, offset, bytes, &n);

        *read_failed = kind < 0;
        if (kind == 1) {
            n = MIN(n, capacity);
            buf = buf ? buf : block_alloc(p->source->node, (size_t)capacity);
            ret = buf ? copy_data(p, offset, n, buf, read_failed) : -ENOMEM;
        } else {
            ret = kind == 2 ? write_zeroes(p, offset, n) : kind;
        }
        offset += n;
        bytes -= n;
    }
    free(buf);
    return MIN(ret, 0);
}

/* ---- Errors and progress, from any thread ---- */

/* Locked. */
static void note_error(JobCopy *copy, bool is_read, int error, int64_t offset)
{
    JobCopyError *slot = &copy->errors[is_read];

    if (!slot->error) {
        *slot = (JobCopyError){ error, offset };
    }
}

void job_copy_note_error(JobCopy *copy, bool is_read, int error, int64_t offset)
{
    g_mutex_lock(&copy->lock);
    note_error(copy, is_read, error, offset);
    g_mutex_unlock(&copy->lock);
    job_copy_kick(copy);
}

void job_copy_account(JobCopy *copy, int64_t bytes)
{
    g_mutex_lock(&copy->lock);
    copy->copied += bytes;
    g_mutex_unlock(&copy->lock);
}

/* ---- Before a write ---- */

/* A marked range in [*at, end) that nobody has; waits for those who have one. */
static bool take_marked(JobCopy *copy, JobCopyRange *range, int64_t at, int64_t end)
{
    int64_t offset, bytes;
    bool found;

    g_mutex_lock(&copy->lock);
    while (wait_for_overlap(copy, at, end - at)) {
    }
    found = block_dirty_bitmap_next_area(copy->todo, at, end, copy->p.max_chunk, &offset, &bytes);
    if (found) {
        widen(copy, &offset, &bytes);
        insert_range(copy, range, offset, bytes);
        block_dirty_bitmap_reset(copy->todo, offset, bytes);
    }
    g_mutex_unlock(&copy->lock);
    return found;
}

void job_copy_before_write(JobCopy *copy, int64_t offset, int64_t bytes)
{
    JobCopyRange range;
    int ret = 0;

    widen(copy, &offset, &bytes);
    while (ret >= 0 && bytes > 0 && !__atomic_load_n(&copy->broken, __ATOMIC_RELAXED) &&
           take_marked(copy, &range, offset, offset + bytes)) {
        bool read_failed;

        ret = copy->p.fn(copy, range.offset, range.bytes, &read_failed);
        job_copy_finish(copy, &range, ret);
    }
    if (ret < 0) {
        __atomic_store_n(&copy->broken, -ret, __ATOMIC_RELAXED);
        job_copy_kick(copy);
    }
}

bool job_copy_is_sound(JobCopy *copy, GError **error)
{
    int broken = __atomic_load_n(&copy->broken, __ATOMIC_RELAXED);

    if (broken) {
        error_set_errno(error, broken, "Cannot copy before a write of the guest");
    }
    return !broken;
}

bool job_copy_skips(const JobCopy *copy)
{
    return copy->p.skip_ignored && copy->p.on_source_error == BLOCKDEV_ON_ERROR_IGNORE;
}

void job_copy_finish(JobCopy *copy, JobCopyRange *range, int result)
{
    g_mutex_lock(&copy->lock);
    if (result < 0 && !job_copy_skips(copy)) {
        block_dirty_bitmap_set(copy->todo, range->offset, range->bytes);
    } else {
        copy->copied += range->bytes;
    }
    remove_range(copy, range);
    g_mutex_unlock(&copy->lock);
}

/* ---- Workers ---- */

typedef struct Worker {
    JobCopy *copy;
    JobCopyRange range;
} Worker;

static void run_worker(void *opaque)
{
    Worker *worker = opaque;
    JobCopy *copy = worker->copy;
    int64_t bytes = worker->range.bytes;
    bool read_failed = false;
    int ret;

    coroutine_move(copy->p.source->node->loop);
    ret = copy->p.fn(copy, worker->range.offset, bytes, &read_failed);
    if (ret < 0) {
        job_copy_note_error(copy, read_failed, -ret, worker->range.offset);
    }
    job_copy_finish(copy, &worker->range, ret);
    coroutine_move(loop_main());
    copy->workers--;
    copy->bytes_under_way -= bytes;
    job_dec_in_flight(copy->job);
    g_free(worker);
}

/* Locked. The first marked range in [at, end) that nobody has a part of. */
static bool find_free(JobCopy *copy, int64_t at, int64_t end, int64_t *offset, int64_t *bytes)
{
    while (block_dirty_bitmap_next_area(copy->todo, at, end, copy->p.max_chunk, offset, bytes)) {
        JobCopyRange *other;

        widen(copy, offset, bytes);
        at = *offset + *bytes;
        while (*bytes > 0 && (other = find_overlap(copy, *offset, *bytes))) {
            *bytes = MAX(other->offset - *offset, 0);
            at = *bytes ? at : other->offset + other->bytes;
        }
        if (*bytes > 0) {
            return true;
        }
    }
    return false;
}

static Worker *take_next(JobCopy *copy)
{
    int64_t offset = 0, bytes = 0;
    Worker *worker = NULL;

    g_mutex_lock(&copy->lock);
    if (find_free(copy, copy->cursor, copy->scanned, &offset, &bytes) ||
        find_free(copy, 0, MIN(copy->cursor, copy->scanned), &offset, &bytes)) {
        worker = g_new0(Worker, 1);
        worker->copy = copy;
        insert_range(copy, &worker->range, offset, bytes);
        block_dirty_bitmap_reset(copy->todo, offset, bytes);
        copy->cursor = offset + bytes;
    }
    g_mutex_unlock(&copy->lock);
    return worker;
}

int64_t job_copy_start_worker(JobCopy *copy)
{
    Worker *worker;
    int64_t bytes;

    if (copy->workers && (copy->workers >= copy->p.max_workers ||
                          copy->bytes_under_way + copy->p.max_chunk > copy->p.max_memory)) {
        return 0;
    }
    worker = take_next(copy);
    if (!worker) {
        return 0;
    }
    bytes = worker->range.bytes;
    copy->workers++;
    copy->bytes_under_way += bytes;
    job_inc_in_flight(copy->job);
    coroutine_start(run_worker, worker);
    return bytes;
}
