/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A filter that keeps its disk's state of the moment when it was opened: before a write reaches a
 * cluster for the first time, the old cluster is copied to the target. The old state is then what
 * the target has of such clusters, and what the disk has of all others; snapshot-access reads it.
 *
 *   kept   clusters that may be read; at first all, or those that the bitmap marks
 *   saved  those of them that are in the target
 *
 * A reader of the old state who takes a cluster from the disk is in the way of a write there: the
 * write waits for those who read, after it has seen to it that all who come later find the cluster
 * in the target.
 *
 * A backup job puts such a filter above its disk, but keeps the old state in its own way: the
 * filter then only tells it of each write beforehand.
 */
#include "block/copy-before-write.h"

#include <errno.h>
#include <string.h>

#include "block/dirty-bitmap.h"
#include "block/filter.h"
#include "block/io.h"
#include "block/job-filter.h"
#include "block/open.h"
#include "util/error.h"
#include "util/hbitmap.h"
#include "util/timer.h"

#define DEFAULT_CLUSTER 65536

/* A range that somebody copies or reads. */
typedef struct Range {
    GList link;
    int64_t offset, bytes;
    CoQueue waiters;
} Range;

typedef struct Cbw {
    BlockNode *node;
    JobCopyParams copy;
    int64_t cluster, size;
    bool break_snapshot;    /* if saving fails; else the write fails */
    int64_t timeout_ns;     /* 0: none */
    bool for_job;           /* a backup's: then the rest is not used, but for */
    JobCopy *job;           /* who is told of writes; NULL: nobody */
    CoMutex lock;           /* for all below */
    HBitmap *kept, *saved;
    GQueue copying, reading; /* Range */
    int broken;             /* -errno: nothing is kept any more */
} Cbw;

/* ---- Ranges ---- */

static Range *find_overlap(const GQueue *ranges, int64_t offset, int64_t bytes)
{
    for (GList *l = ranges->head; l; l = l->next) {
        Range *range = l->data;

        if (range->offset < offset + bytes && offset < range->offset + range->bytes) {
            return range;
        }
    }
    return NULL;
}

/* With the lock held. */
static void wait_for_all(Cbw *cbw, const GQueue *ranges, int64_t offset, int64_t bytes)
{
    Range *range;

    while ((range = find_overlap(ranges, offset, bytes))) {
        co_queue_wait(&range->waiters, &cbw->lock);
    }
}

static void begin_range(Range *range, GQueue *ranges, int64_t offset, int64_t bytes)
{
    *range = (Range){ .offset = offset, .bytes = bytes, .link.data = range };
    g_queue_push_tail_link(ranges, &range->link);
}

static void end_range(Range *range, GQueue *ranges)
{
    g_queue_unlink(ranges, &range->link);
    co_queue_wake_all(&range->waiters);
}

/* ---- Saving ---- */

/* With the lock held: the first part of the range that must be saved; false: none is left. */
static bool next_unsaved(const Cbw *cbw, int64_t start, int64_t end, int64_t *offset,
                         int64_t *bytes)
{
    int64_t at, len, stop;

    while (hbitmap_next_area(cbw->kept, start, end, 0, &at, &len)) {
        *offset = hbitmap_next_clear(cbw->saved, at, at + len);
        if (*offset >= 0) {
            stop = hbitmap_next_set(cbw->saved, *offset, at + len);
            stop = stop < 0 ? at + len : stop;
            *bytes = MIN(stop - *offset, MAX(JOB_COPY_CHUNK, cbw->cluster));
            return true;
        }
        start = at + len;
    }
    return false;
}

/* With the lock held, which is not while data moves. */
static int save_part(Cbw *cbw, int64_t offset, int64_t bytes)
{
    bool read_failed;
    Range range;
    int ret;

    begin_range(&range, &cbw->copying, offset, bytes);
    co_mutex_unlock(&cbw->lock);
    ret = job_copy_range(&cbw->copy, offset, bytes, &read_failed);
    co_mutex_lock(&cbw->lock);
    end_range(&range, &cbw->copying);
    if (ret >= 0) {
        hbitmap_set(cbw->saved, offset, bytes);
    }
    return MIN(ret, 0);
}

/* Whole clusters; somebody else may be saving part of them. */
static int save_range(Cbw *cbw, int64_t start, int64_t end)
{
    int64_t at, len;
    int ret = 0;

    co_mutex_lock(&cbw->lock);
    while (ret >= 0 && !cbw->broken && next_unsaved(cbw, start, end, &at, &len)) {
        if (find_overlap(&cbw->copying, at, len)) {
            wait_for_all(cbw, &cbw->copying, at, len);
        } else {
            ret = save_part(cbw, at, len);
        }
    }
    co_mutex_unlock(&cbw->lock);
    return ret;
}

/* ---- With a limit of time: the copying goes on by itself if it is over ---- */

typedef struct Attempt {
    Cbw *cbw;
    int64_t start, end;
    int result;
    bool ended;          /* the copying has */
    bool expired;
    bool abandoned;      /* nobody waits any more: who ends last frees this */
    Coroutine *waiter;   /* while it sleeps */
} Attempt;

static void wake_waiter(Attempt *attempt)
{
    Coroutine *co = g_steal_pointer(&attempt->waiter);

    if (co) {
        coroutine_wake(co);
    }
}

static void attempt_run(void *opaque)
{
    Attempt *attempt = opaque;
    BlockNode *node = attempt->cbw->node;

    attempt->result = save_range(attempt->cbw, attempt->start, attempt->end);
    attempt->ended = true;
    if (attempt->abandoned) {
        g_free(attempt);
    } else {
        wake_waiter(attempt);
    }
    block_dec_in_flight(node);
}

static void attempt_expired(void *opaque)
{
    Attempt *attempt = opaque;

    attempt->expired = true;
    wake_waiter(attempt);
}

static int save_in_time(Cbw *cbw, int64_t start, int64_t end)
{
    Attempt *attempt = g_new0(Attempt, 1);
    Timer *timer = timer_new(cbw->node->loop, VM_CLOCK_REALTIME, attempt_expired, attempt);
    int ret = -ETIMEDOUT;

    attempt->cbw = cbw;
    attempt->start = start;
    attempt->end = end;
    timer_mod(timer, vm_clock_ns(VM_CLOCK_REALTIME) + cbw->timeout_ns);
    block_inc_in_flight(cbw->node);
    coroutine_start(attempt_run, attempt);
    while (!attempt->ended && !attempt->expired) {
        attempt->waiter = coroutine_current();
        coroutine_yield();
    }
    timer_free(timer);
    if (attempt->ended) {
        ret = attempt->result;
        g_free(attempt);
    } else {
        attempt->abandoned = true;
    }
    return ret;
}

/* Where the job fails to copy, it has failed, and not the write. */
static int tell_job(Cbw *cbw, int64_t offset, int64_t bytes)
{
    if (cbw->job) {
        job_copy_before_write(cbw->job, offset, bytes);
    }
    return 0;
}

static int keep_old(Cbw *cbw, int64_t offset, int64_t bytes)
{
    int64_t start = offset & ~(cbw->cluster - 1);
    int64_t end = MIN((offset + bytes + cbw->cluster - 1) & ~(cbw->cluster - 1), cbw->size);
    int ret = 0;

    if (start >= end) {
        return 0;
    }
    if (!cbw->broken) {
        ret = cbw->timeout_ns ? save_in_time(cbw, start, end) : save_range(cbw, start, end);
    }
    co_mutex_lock(&cbw->lock);
    if (ret < 0 && cbw->break_snapshot) {
        cbw->broken = cbw->broken ? cbw->broken : ret;
        ret = 0;
    }
    if (ret >= 0) {
        wait_for_all(cbw, &cbw->reading, offset, bytes);
    }
    co_mutex_unlock(&cbw->lock);
    return ret;
}

static int before_write(BlockNode *node, int64_t offset, int64_t bytes)
{
    Cbw *cbw = node->opaque;

    return cbw->for_job ? tell_job(cbw, offset, bytes) : keep_old(cbw, offset, bytes);
}

/* ---- The disk's own requests ---- */

static int cbw_pwritev(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                       size_t vec_offset, unsigned flags)
{
    int ret = before_write(node, offset, bytes);

    return ret < 0 ? ret : block_filter_pwritev(node, offset, bytes, vec, vec_offset, flags);
}

static int cbw_pwritev_compressed(BlockNode *node, int64_t offset, int64_t bytes,
                                  const BlockVec *vec, size_t vec_offset)
{
    int ret = before_write(node, offset, bytes);

    return ret < 0 ? ret : block_filter_pwritev_compressed(node, offset, bytes, vec, vec_offset);
}

static int cbw_pwrite_zeroes(BlockNode *node, int64_t offset, int64_t bytes, unsigned flags)
{
    int ret = before_write(node, offset, bytes);

    return ret < 0 ? ret : block_filter_pwrite_zeroes(node, offset, bytes, flags);
}

static int cbw_pdiscard(BlockNode *node, int64_t offset, int64_t bytes)
{
    int ret = before_write(node, offset, bytes);

    return ret < 0 ? ret : block_filter_pdiscard(node, offset, bytes);
}

static int cbw_truncate(BlockNode *node, const BlockTruncate *truncate, GError **error)
{
    const Cbw *cbw = node->opaque;

    if (truncate->size < cbw->size && !cbw->broken && !cbw->for_job) {
        error_setf(error, "Node '%s' keeps the old state of its disk, which cannot become shorter "
                   "meanwhile", node->name);
        return -EBUSY;
    }
    return block_filter_truncate(node, truncate, error);
}

/* ---- The old state ---- */

/*
 * With the lock held: how far from offset on the old state stands in one place. saved: in the
 * target. -EACCES if it is not kept.
 */
static int find_old(const Cbw *cbw, int64_t offset, int64_t bytes, bool *saved, int64_t *n)
{
    int64_t end = offset + bytes, other;

    if (cbw->broken || cbw->for_job || end > cbw->size ||
        hbitmap_next_clear(cbw->kept, offset, end) >= 0) {
        return -EACCES;
    }
    *saved = hbitmap_get(cbw->saved, offset);
    other = *saved ? hbitmap_next_clear(cbw->saved, offset, end)
                   : hbitmap_next_set(cbw->saved, offset, end);
    *n = (other < 0 ? end : other) - offset;
    return 0;
}

static int read_part(Cbw *cbw, int64_t offset, int64_t bytes, const BlockVec *vec,
                     size_t vec_offset, int64_t *n)
{
    Range range;
    bool saved;
    int ret;

    co_mutex_lock(&cbw->lock);
    ret = find_old(cbw, offset, bytes, &saved, n);
    if (ret >= 0 && !saved) {
        begin_range(&range, &cbw->reading, offset, *n);
    }
    co_mutex_unlock(&cbw->lock);
    if (ret < 0) {
        return ret;
    }
    ret = block_preadv(saved ? cbw->copy.target : cbw->copy.source, offset, *n, vec, vec_offset, 0);
    if (!saved) {
        co_mutex_lock(&cbw->lock);
        end_range(&range, &cbw->reading);
        co_mutex_unlock(&cbw->lock);
    }
    return ret;
}

int block_cbw_read_old(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                       size_t vec_offset)
{
    int ret = 0;

    block_inc_in_flight(node);
    while (bytes > 0 && ret >= 0) {
        int64_t n;

        ret = read_part(node->opaque, offset, bytes, vec, vec_offset, &n);
        if (ret >= 0) {
            offset += n;
            bytes -= n;
            vec_offset += (size_t)n;
        }
    }
    block_dec_in_flight(node);
    return ret;
}

/* Nobody may write there while the disk is asked. */
static int status_locked(Cbw *cbw, int64_t offset, int64_t bytes, BlockStatus *below)
{
    int64_t n = bytes;
    bool saved;
    Range range;
    int ret;

    co_mutex_lock(&cbw->lock);
    /* What follows may not be kept: the answer is about as much as is. */
    if (!cbw->for_job && hbitmap_get(cbw->kept, offset)) {
        int64_t end = hbitmap_next_clear(cbw->kept, offset, offset + bytes);

        n = end < 0 ? bytes : end - offset;
    }
    ret = find_old(cbw, offset, n, &saved, &n);
    if (ret < 0) {
        co_mutex_unlock(&cbw->lock);
        return ret;
    }
    begin_range(&range, &cbw->reading, offset, n);
    co_mutex_unlock(&cbw->lock);
    ret = block_status_above((saved ? cbw->copy.target : cbw->copy.source)->node, NULL, false,
                             offset, n, below);
    co_mutex_lock(&cbw->lock);
    end_range(&range, &cbw->reading);
    co_mutex_unlock(&cbw->lock);
    return ret;
}

int block_cbw_old_status(BlockNode *node, int64_t offset, int64_t bytes, BlockStatus *status)
{
    BlockStatus below;
    int ret;

    block_inc_in_flight(node);
    ret = status_locked(node->opaque, offset, bytes, &below);
    block_dec_in_flight(node);
    if (ret >= 0) {
        *status = (BlockStatus){
            .flags = BLOCK_STATUS_ALLOCATED |
                     (below.flags & (BLOCK_STATUS_DATA | BLOCK_STATUS_ZERO)),
            .bytes = below.bytes,
        };
    }
    return ret;
}

int block_cbw_forget_old(BlockNode *node, int64_t offset, int64_t bytes)
{
    Cbw *cbw = node->opaque;
    int64_t start = (offset + cbw->cluster - 1) & ~(cbw->cluster - 1);
    int64_t end = MIN(offset + bytes, cbw->size);
    int ret;

    if (end < cbw->size) {
        end &= ~(cbw->cluster - 1);
    }
    if (start >= end || cbw->for_job) {
        return 0;
    }
    block_inc_in_flight(node);
    co_mutex_lock(&cbw->lock);
    hbitmap_clear(cbw->kept, start, end - start);
    /* Who copies there has not asked yet whether that is still wanted. */
    wait_for_all(cbw, &cbw->copying, start, end - start);
    hbitmap_clear(cbw->saved, start, end - start);
    co_mutex_unlock(&cbw->lock);
    ret = block_pdiscard(cbw->copy.target, start, end - start);
    block_dec_in_flight(node);
    return ret;
}

/* ---- Opening ---- */

static BlockChild *find_child(BlockNode *node, const char *name)
{
    for (guint i = 0; i < node->children->len; i++) {
        BlockChild *child = g_ptr_array_index(node->children, i);

        if (!strcmp(child->name, name)) {
            return child;
        }
    }
    return NULL;
}

static bool check_sizes(Cbw *cbw, GError **error)
{
    BlockNode *source = cbw->copy.source->node, *target = cbw->copy.target->node;
    BlockNodeInfo info = { 0 };
    int64_t room = block_getlength(target);

    cbw->size = block_getlength(source);
    if (cbw->size < 0 || room < cbw->size) {
        error_setf(error, cbw->size < 0 ? "Cannot get the size of node '%s'"
                                        : "The target must be at least as long as node '%s'",
                   source->name);
        return false;
    }
    cbw->cluster = DEFAULT_CLUSTER;
    if (block_get_info(target, &info) >= 0 && info.cluster_size > cbw->cluster) {
        cbw->cluster = info.cluster_size;
    }
    return true;
}

/* Everything is kept, or what a bitmap marks. */
static bool fill_kept(Cbw *cbw, const BlockDirtyBitmap *wanted, GError **error)
{
    BlockNode *node = wanted ? block_node_find(wanted->node) : NULL;
    DirtyBitmap *bitmap = node ? block_dirty_bitmap_find(node, wanted->name) : NULL;
    int64_t at = 0, bytes;

    if (!wanted) {
        hbitmap_set(cbw->kept, 0, cbw->size);
        return true;
    }
    if (!bitmap) {
        error_setf(error, "Dirty bitmap '%s' of node '%s' not found", wanted->name, wanted->node);
        return false;
    }
    if (!block_dirty_bitmap_check(bitmap, BLOCK_BITMAP_NOT_FOR_READING, error)) {
        return false;
    }
    if (block_dirty_bitmap_size(bitmap) != cbw->size) {
        error_setf(error, "Dirty bitmap '%s' is not as long as the disk", wanted->name);
        return false;
    }
    while (block_dirty_bitmap_next_area(bitmap, at, cbw->size, 0, &at, &bytes)) {
        hbitmap_set(cbw->kept, at, bytes);
        at += bytes;
    }
    return true;
}

static bool make_bitmaps(Cbw *cbw, const BlockDirtyBitmap *wanted, GError **error)
{
    unsigned shift = (unsigned)__builtin_ctzll((uint64_t)cbw->cluster);

    cbw->kept = hbitmap_new(cbw->size, shift);
    cbw->saved = hbitmap_new(cbw->size, shift);
    if (!cbw->kept || !cbw->saved) {
        error_setf(error, "There is not enough memory for the filter's bitmaps");
        return false;
    }
    return fill_kept(cbw, wanted, error);
}

static void cbw_close(BlockNode *node)
{
    Cbw *cbw = node->opaque;

    hbitmap_free(cbw->kept);
    hbitmap_free(cbw->saved);
    co_mutex_cleanup(&cbw->lock);
}

static bool cbw_open(BlockNode *node, const BlockdevOptions *options, unsigned flags,
                     GError **error)
{
    const BlockdevOptionsCbw *o = &options->u.copy_before_write;
    Cbw *cbw = node->opaque;

    cbw->node = node;
    cbw->copy.source = node->file;
    cbw->copy.target = find_child(node, "target");
    cbw->copy.unmap = true;
    cbw->break_snapshot = o->has_on_cbw_error &&
                          o->on_cbw_error == ON_CBW_ERROR_BREAK_SNAPSHOT;
    cbw->timeout_ns = (int64_t)o->cbw_timeout * NS_PER_SEC;
    if (block_chain_contains(cbw->copy.target->node, node->file->node)) {
        /* Who reads the disk through the target must have ended before the disk changes. */
        cbw->copy.write_flags = BLOCK_REQ_SERIALISING;
    }
    co_mutex_init(&cbw->lock);
    block_filter_take_flags(node);
    if (!check_sizes(cbw, error) || !make_bitmaps(cbw, o->bitmap, error)) {
        cbw_close(node);
        return false;
    }
    return true;
}

/* Nobody else may change the disk, as soon as somebody may change it through us. */
static void cbw_child_perm(BlockNode *node, const char *child_name, unsigned role, unsigned perm,
                           unsigned shared, unsigned *child_perm, unsigned *child_shared)
{
    const Cbw *cbw = node->opaque;

    if (role & BLOCK_ROLE_FILTERED) {
        *child_perm = perm;
        *child_shared = shared;
        if (node->parents->len) {
            *child_perm |= perm & BLOCK_PERM_WRITE ? BLOCK_PERM_CONSISTENT_READ : 0;
            *child_shared &= ~(unsigned)(BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE);
        }
    } else if (cbw->for_job) {
        /* The job has an edge of its own. */
        *child_perm = 0;
        *child_shared = BLOCK_PERM_ALL;
    } else {
        /* The disk that is written may be the target's backing file. */
        *child_perm = BLOCK_PERM_WRITE;
        *child_shared = BLOCK_PERM_ALL & ~(unsigned)BLOCK_PERM_RESIZE;
    }
}

/* ---- For a backup ---- */

static json_object *filter_options(const char *name, BlockNode *source, BlockNode *target)
{
    json_object *options = json_object_new_object();

    json_object_object_add(options, "driver", json_object_new_string("copy-before-write"));
    json_object_object_add(options, "file", json_object_new_string(source->name));
    json_object_object_add(options, "target", json_object_new_string(target->name));
    json_object_object_add(options, "read-only", json_object_new_boolean(source->mode.read_only));
    json_object_object_add(options, "discard", json_object_new_string("unmap"));
    if (name) {
        json_object_object_add(options, "node-name", json_object_new_string(name));
    }
    return options;
}

BlockNode *block_cbw_insert(const char *name, BlockNode *source, BlockNode *target,
                            GError **error)
{
    json_object *options = filter_options(name, source, target);
    g_autoptr(BlockNode) filter = block_open(NULL, NULL, options, QAPI_JSON, 0, error);

    json_object_put(options);
    if (!filter) {
        return NULL;
    }
    ((Cbw *)filter->opaque)->for_job = true;
    return block_node_refresh_perms(filter, error) && job_filter_take_over(filter, source, error)
               ? g_steal_pointer(&filter) : NULL;
}

void block_cbw_set_job(BlockNode *filter, JobCopy *copy)
{
    ((Cbw *)filter->opaque)->job = copy;
}

bool block_cbw_is_filter(const BlockNode *node)
{
    return node->driver->kind == BLOCKDEV_DRIVER_COPY_BEFORE_WRITE;
}

static const BlockChildSpec cbw_children[] = {
    { "file", BLOCK_ROLE_FILTERED | BLOCK_ROLE_PRIMARY, .required = true },
    { "target", BLOCK_ROLE_DATA, .required = true },
    { NULL },
};

static const BlockDriver cbw_driver = {
    .name = "copy-before-write",
    .kind = BLOCKDEV_DRIVER_COPY_BEFORE_WRITE,
    .instance_size = sizeof(Cbw),
    .is_filter = true,
    .children = cbw_children,
    .open = cbw_open,
    .close = cbw_close,
    .child_perm = cbw_child_perm,
    .preadv = block_filter_preadv,
    .pwritev = cbw_pwritev,
    .pwritev_compressed = cbw_pwritev_compressed,
    .pwrite_zeroes = cbw_pwrite_zeroes,
    .pdiscard = cbw_pdiscard,
    .truncate = cbw_truncate,
    .getlength = block_filter_getlength,
    .get_info = block_filter_get_info,
    .has_zero_init = block_filter_has_zero_init,
};
BLOCK_DRIVER(cbw_driver);
