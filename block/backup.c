/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The backup job: a copy of a disk as it was when the job started. What is still to be copied is
 * in the copy engine's bitmap. A copy-before-write filter above the disk copies, before a write,
 * what it is about to change; the job copies the rest. The engine sees to it that neither copies
 * what the other has in hand.
 *
 * Where copying before a write fails, the backup has failed, not the guest's write.
 */
#include "block/backup.h"

#include <errno.h>

#include "block/copy-before-write.h"
#include "block/job-filter.h"
#include "block/qmp-internal.h"
#include "qapi-commands-block-job.h"
#include "util/error.h"

/* Where x-perf does not say otherwise. */
#define DEFAULT_WORKERS 64

typedef struct BackupJob {
    Job job;
    BlockNode *filter;      /* a reference; NULL: not yet, or gone */
    JobCopy *copy;
    MirrorSyncMode sync;
    DirtyBitmap *bitmap;    /* with a successor; NULL: none */
    BitmapSyncMode bitmap_mode;
} BackupJob;

/* ---- Copying ---- */

/* With sync=top: a cluster that the topmost image does not have is not copied. */
static int is_in_top(JobCopy *copy, int64_t offset, int64_t bytes, int64_t *n)
{
    const JobCopyParams *p = job_copy_params(copy);
    int ret = block_is_allocated(p->source->node, offset, bytes, n);

    if (ret != 0) {
        return ret;
    }
    *n = *n < bytes ? *n & ~((int64_t)p->align - 1) : bytes;
    if (*n == 0) {
        /* Some of the cluster is there. */
        *n = p->align;
        return 1;
    }
    return 0;
}

static bool backup_run(Job *job, GError **error)
{
    BackupJob *backup = (BackupJob *)job;

    /* Of none, only what is written; until somebody ends it. */
    return backup->sync == MIRROR_SYNC_MODE_NONE ? job_copy_watch(backup->copy, error)
                                                 : job_copy_run(backup->copy, error);
}

/* ---- The end ---- */

static void take_filter_away(BackupJob *backup)
{
    g_autoptr(BlockNode) filter = g_steal_pointer(&backup->filter);
    g_autoptr(GError) error = NULL;

    if (!filter) {
        return;
    }
    block_drain_begin(filter);
    block_cbw_set_job(filter, NULL);
    job_detach_all(&backup->job);
    if (!job_filter_remove(filter, &error)) {
        error_report("Cannot take the filter of job '%s' away: %s", backup->job.id,
                     error->message);
    }
    block_drain_end(filter);
}

/* What of the bitmap was copied is clean, where the mode says so. */
static void settle_bitmap(BackupJob *backup, bool ok)
{
    DirtyBitmap *bitmap = backup->bitmap;
    int64_t at = 0, bytes, size;

    if (!bitmap) {
        return;
    }
    if (backup->bitmap_mode != BITMAP_SYNC_MODE_NEVER &&
        (ok || backup->bitmap_mode == BITMAP_SYNC_MODE_ALWAYS)) {
        block_dirty_bitmap_abdicate(bitmap);
        /* With "always", what a failed job did not copy stays. */
        size = ok ? 0 : job_copy_params(backup->copy)->size;
        while (block_dirty_bitmap_next_area(job_copy_bitmap(backup->copy), at, size, 0, &at,
                                            &bytes)) {
            block_dirty_bitmap_set(bitmap, at, bytes);
            at += bytes;
        }
    } else {
        block_dirty_bitmap_reclaim(bitmap);
    }
    backup->bitmap = NULL;
}

static void backup_commit(Job *job)
{
    take_filter_away((BackupJob *)job);
    settle_bitmap((BackupJob *)job, true);
}

static void backup_abort(Job *job)
{
    take_filter_away((BackupJob *)job);
    settle_bitmap((BackupJob *)job, false);
}

static void backup_destroy(Job *job)
{
    BackupJob *backup = (BackupJob *)job;

    job_copy_free(backup->copy);
}

static const JobOps backup_ops = {
    .type = JOB_TYPE_BACKUP,
    .is_block_job = true,
    .instance_size = sizeof(BackupJob),
    .run = backup_run,
    .commit = backup_commit,
    .abort = backup_abort,
    .destroy = backup_destroy,
};

/* ---- Starting ---- */

/* The bitmap that says what to copy, or NULL; false: error. */
static bool find_bitmap(const BlockdevBackup *arg, BlockNode *node, DirtyBitmap **bitmap,
                        GError **error)
{
    bool by_bitmap = arg->sync == MIRROR_SYNC_MODE_INCREMENTAL ||
                     arg->sync == MIRROR_SYNC_MODE_BITMAP;

    *bitmap = NULL;
    if (!arg->bitmap && by_bitmap) {
        error_setf(error, "must provide a valid bitmap name for '%s' sync mode",
                   MirrorSyncMode_str(arg->sync));
    } else if (arg->bitmap && !by_bitmap) {
        error_setf(error, "Sync mode '%s' takes no bitmap", MirrorSyncMode_str(arg->sync));
    } else if (arg->sync == MIRROR_SYNC_MODE_BITMAP && !arg->has_bitmap_mode) {
        error_setf(error, "Bitmap sync mode must be given when providing a bitmap");
    } else if (arg->sync == MIRROR_SYNC_MODE_INCREMENTAL && arg->has_bitmap_mode &&
               arg->bitmap_mode != BITMAP_SYNC_MODE_ON_SUCCESS) {
        error_setf(error, "Bitmap sync mode must be 'on-success' when using sync mode "
                   "'incremental'");
    } else if (!arg->bitmap) {
        return true;
    } else if (!(*bitmap = block_dirty_bitmap_find(node, arg->bitmap))) {
        error_setf(error, "Bitmap '%s' could not be found", arg->bitmap);
    } else {
        return block_dirty_bitmap_check(*bitmap, BLOCK_BITMAP_NOT_FOR_CHANGES, error);
    }
    return false;
}

typedef struct Facts {
    BlockNode *source, *target;
    int64_t source_size, target_size;
    uint32_t cluster;
} Facts;

#define MIN_CLUSTER 65536

static void ask_facts(void *opaque)
{
    Facts *facts = opaque;
    BlockNodeInfo info = { 0 };

    facts->source_size = block_getlength(facts->source);
    facts->target_size = block_getlength(facts->target);
    facts->cluster = MIN_CLUSTER;
    if (block_get_info(facts->target, &info) >= 0) {
        facts->cluster = MAX(job_copy_cluster(&info), MIN_CLUSTER);
    }
}

static bool check_sizes(const Facts *facts, GError **error)
{
    if (facts->source_size < 0 || facts->target_size < 0) {
        error_setf(error, "Unable to get length for '%s'", facts->source_size < 0
                                                               ? facts->source->name
                                                               : facts->target->name);
        return false;
    }
    if (facts->source_size != facts->target_size) {
        error_setf(error, "Source and target image have different sizes");
        return false;
    }
    return true;
}

static bool can_compress(BlockNode *node)
{
    node = block_skip_filters(node);
    return node->driver->pwritev_compressed;
}

static bool check_perf(const BlockdevBackup *arg, int64_t cluster, GError **error)
{
    const BackupPerf *perf = arg->x_perf;

    if (!perf) {
        return true;
    }
    if (perf->has_max_workers && (perf->max_workers < 1 || perf->max_workers > INT_MAX)) {
        error_setf(error, "max-workers must be between 1 and %d", INT_MAX);
    } else if (perf->has_max_chunk && perf->max_chunk < 0) {
        error_setf(error, "max-chunk must be zero (which means no limit) or positive");
    } else if (perf->has_max_chunk && perf->max_chunk && perf->max_chunk < cluster) {
        error_setf(error, "Required max-chunk (%" G_GINT64_FORMAT ") is less than backup cluster "
                   "size (%" G_GINT64_FORMAT ")", perf->max_chunk, cluster);
    } else {
        return true;
    }
    return false;
}

/* The target shows what the disk had, as it stands on it and hides what has changed. */
static bool reads_source(const Facts *facts)
{
    return block_chain_contains(facts->target, facts->source);
}

static void fill_params(BackupJob *backup, const BlockdevBackup *arg, const Facts *facts,
                        JobCopyParams *p)
{
    const BackupPerf *perf = arg->x_perf;

    p->size = facts->source_size;
    p->granularity = p->align = facts->cluster;
    p->max_workers = perf && perf->has_max_workers ? (unsigned)perf->max_workers
                                                   : DEFAULT_WORKERS;
    p->max_chunk = perf && perf->has_max_chunk ? perf->max_chunk & ~((int64_t)p->align - 1) : 0;
    p->max_chunk = MIN(p->max_chunk ? p->max_chunk : JOB_COPY_CHUNK, JOB_COPY_MEMORY);
    p->write_flags = arg->has_compress && arg->compress ? BLOCK_REQ_COMPRESSED : 0;
    if (reads_source(facts)) {
        /* Who reads the disk through the target must have ended before the disk changes. */
        p->write_flags |= BLOCK_REQ_SERIALISING;
    }
    p->unmap = true;
    p->premarked = !backup->bitmap;
    p->wanted = backup->sync == MIRROR_SYNC_MODE_TOP ? is_in_top : NULL;
    p->on_source_error = arg->has_on_source_error ? arg->on_source_error
                                                  : BLOCKDEV_ON_ERROR_REPORT;
    p->on_target_error = arg->has_on_target_error ? arg->on_target_error
                                                  : BLOCKDEV_ON_ERROR_REPORT;
}

static void take_bits(BackupJob *backup, int64_t size)
{
    int64_t at = 0, bytes;

    while (backup->bitmap &&
           block_dirty_bitmap_next_area(backup->bitmap, at, size, 0, &at, &bytes)) {
        block_dirty_bitmap_set(job_copy_bitmap(backup->copy), at, bytes);
        at += bytes;
    }
}

static bool attach_nodes(BackupJob *backup, const Facts *facts, JobCopyParams *p, GError **error)
{
    Job *job = &backup->job;
    unsigned shared = BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE_UNCHANGED;

    if (reads_source(facts)) {
        /* Then the guest's writes change what the target stands on. */
        shared |= BLOCK_PERM_WRITE;
    }
    if (!job_attach(job, backup->filter, "main node", 0, BLOCK_PERM_ALL, error)) {
        return false;
    }
    p->source = job_attach_shared(job, facts->source, "source", BLOCK_PERM_CONSISTENT_READ,
                                  BLOCK_PERM_ALL & ~(unsigned)BLOCK_PERM_RESIZE, error);
    p->target = p->source ? job_attach(job, facts->target, "target", BLOCK_PERM_WRITE, shared,
                                       error)
                          : NULL;
    return p->target;
}

/* Nodes, and what is to be copied. The disk is drained, so that this is one moment. */
static bool set_up(BackupJob *backup, const BlockdevBackup *arg, const Facts *facts,
                   DirtyBitmap *bitmap, GError **error)
{
    JobCopyParams p = { 0 };

    backup->filter = block_cbw_insert(arg->filter_node_name, facts->source, facts->target, error);
    if (!backup->filter || !attach_nodes(backup, facts, &p, error) ||
        (bitmap && !block_dirty_bitmap_create_successor(bitmap, error))) {
        return false;
    }
    backup->bitmap = bitmap;
    fill_params(backup, arg, facts, &p);
    backup->copy = job_copy_new(&backup->job, &p, error);
    if (!backup->copy) {
        return false;
    }
    take_bits(backup, p.size);
    block_cbw_set_job(backup->filter, backup->copy);
    return !arg->has_speed || job_set_speed(&backup->job, arg->speed, error);
}

static BackupJob *new_backup(const BlockdevBackup *arg, BlockNode *source,
                             JobTransaction *transaction, GError **error)
{
    JobFlags flags = {
        .manual_finalize = arg->has_auto_finalize && !arg->auto_finalize,
        .manual_dismiss = arg->has_auto_dismiss && !arg->auto_dismiss,
    };
    const char *id = arg->job_id ? arg->job_id : block_qmp_job_id(source);
    BackupJob *backup = (BackupJob *)job_new(id, &backup_ops, transaction, &flags, error);

    if (backup) {
        backup->sync = arg->sync;
        backup->bitmap_mode = arg->has_bitmap_mode ? arg->bitmap_mode
                                                   : BITMAP_SYNC_MODE_ON_SUCCESS;
    }
    return backup;
}

Job *block_backup_new_to(const BlockdevBackup *arg, BlockNode *source, BlockNode *target,
                              JobTransaction *transaction, GError **error)
{
    Facts facts = { .source = source, .target = target };
    DirtyBitmap *bitmap;
    BackupJob *backup;
    bool ok;

    if (source == target) {
        error_setf(error, "Source and target cannot be the same");
        return NULL;
    }
    if (block_chain_contains(source, target)) {
        error_setf(error, "Target '%s' is part of the source's backing chain, and would change "
                   "what '%s' reads", target->name, source->name);
        return NULL;
    }
    if (!job_node_is_free(source, error) || !job_node_is_free(target, error)) {
        return NULL;
    }
    if (arg->has_compress && arg->compress && !can_compress(target)) {
        error_setf(error, "Compression is not supported for this drive %s", target->name);
        return NULL;
    }
    if (!find_bitmap(arg, source, &bitmap, error) ||
        !block_node_set_loop(target, source->loop, error)) {
        return NULL;
    }
    block_run(source, ask_facts, &facts);
    if (!check_sizes(&facts, error) || !check_perf(arg, facts.cluster, error) ||
        !(backup = new_backup(arg, source, transaction, error))) {
        return NULL;
    }
    block_drain_begin(source);
    ok = set_up(backup, arg, &facts, bitmap, error);
    block_drain_end(source);
    if (!ok) {
        job_fail_early(&backup->job);
        return NULL;
    }
    return &backup->job;
}

Job *block_backup_new(const BlockdevBackup *arg, JobTransaction *transaction, GError **error)
{
    BlockNode *source = block_qmp_find(arg->device, error);
    BlockNode *target = source ? block_qmp_find(arg->target, error) : NULL;

    return target ? block_backup_new_to(arg, source, target, transaction, error) : NULL;
}

bool qmp_blockdev_backup(const BlockdevBackup *arg, GError **error)
{
    return block_qmp_start_job(block_backup_new(arg, NULL, error));
}
