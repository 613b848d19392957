/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The backup job: a copy of a disk as it was when the job started. What is still to be copied is
 * in a bitmap of clusters. A write hook on the disk copies, before a write, what it is about to
 * change; the job copies the rest. Both take the same lock around a cluster's copy, so that neither
 * copies what the other has in hand.
 *
 * Where copying before a write fails, the backup has failed, not the guest's write.
 */
#include "block/backup.h"

#include <errno.h>

#include "block/dirty-bitmap.h"
#include "block/io.h"
#include "block/job-copy.h"
#include "block/qmp-internal.h"
#include "qapi-commands-block-job.h"
#include "util/co-lock.h"
#include "util/error.h"

typedef struct BackupJob {
    Job job;
    BlockWriteHook hook;
    bool hooked;
    JobCopy copy;
    CoMutex lock;
    HBitmap *todo;          /* clusters to copy; on the node's loop, or with the hook away */
    int64_t cluster;        /* bytes */
    int64_t size;
    int hook_error;         /* -errno of a copy before a write; atomic */
    MirrorSyncMode sync;
    BlockdevOnError on_source_error, on_target_error;
    DirtyBitmap *bitmap;    /* with a successor; NULL: none */
    BitmapSyncMode bitmap_mode;
} BackupJob;

/* ---- Copying ---- */

/* One area of the bitmap, on the nodes' loop with the lock held. */
static int copy_area(BackupJob *backup, int64_t offset, int64_t bytes, bool *read_failed)
{
    int ret = job_copy_range(&backup->copy, offset, bytes, read_failed);

    if (ret >= 0) {
        hbitmap_clear(backup->todo, offset, bytes);
    }
    return ret;
}

static int before_write(BlockWriteHook *hook, BlockNode *node, int64_t offset, int64_t bytes)
{
    BackupJob *backup = (BackupJob *)((char *)hook - offsetof(BackupJob, hook));
    int64_t start = offset & ~(backup->cluster - 1), at, len;
    int64_t end = MIN((offset + bytes + backup->cluster - 1) & ~(backup->cluster - 1),
                      backup->size);
    bool read_failed;
    int ret = 0;

    if (__atomic_load_n(&backup->hook_error, __ATOMIC_RELAXED)) {
        return 0;
    }
    co_mutex_lock(&backup->lock);
    while (ret >= 0 &&
           hbitmap_next_area(backup->todo, start, end, JOB_COPY_CHUNK, &at, &len)) {
        ret = copy_area(backup, at, len, &read_failed);
        start = at + len;
    }
    co_mutex_unlock(&backup->lock);
    if (ret < 0) {
        __atomic_store_n(&backup->hook_error, ret, __ATOMIC_RELAXED);
    }
    return 0;
}

typedef struct Step {
    BackupJob *backup;
    int64_t from;           /* look from here */
    int64_t offset, bytes;  /* what was copied; bytes 0: nothing left */
    bool read_failed;
    int result;
} Step;

/* A cluster that the topmost image does not have is not copied with sync=top. */
static bool step_is_wanted(Step *step)
{
    BackupJob *backup = step->backup;
    int64_t n;
    int ret;

    if (backup->sync != MIRROR_SYNC_MODE_TOP) {
        return true;
    }
    ret = block_is_allocated(backup->copy.source->node, step->offset, step->bytes, &n);
    if (ret < 0) {
        step->result = ret;
        step->read_failed = true;
        return false;
    }
    if (ret == 0 && n < step->bytes) {
        return true; /* some of it is */
    }
    if (ret == 0) {
        hbitmap_clear(backup->todo, step->offset, step->bytes);
    }
    return ret;
}

static void run_step(void *opaque)
{
    Step *step = opaque;
    BackupJob *backup = step->backup;
    /* Small pieces where each is asked for. */
    int64_t max = backup->sync == MIRROR_SYNC_MODE_TOP ? backup->cluster : JOB_COPY_CHUNK;

    co_mutex_lock(&backup->lock);
    step->bytes = 0;
    if (hbitmap_next_area(backup->todo, step->from, backup->size, MAX(max, backup->cluster),
                          &step->offset, &step->bytes) && step_is_wanted(step)) {
        step->result = copy_area(backup, step->offset, step->bytes, &step->read_failed);
    }
    co_mutex_unlock(&backup->lock);
}

/* False: the job fails. */
static bool handle_error(BackupJob *backup, const Step *step, GError **error)
{
    BlockdevOnError policy = step->read_failed ? backup->on_source_error
                                               : backup->on_target_error;

    if (job_error_action(&backup->job, policy, step->read_failed, -step->result) !=
        BLOCK_ERROR_ACTION_REPORT) {
        return true;
    }
    error_set_errno(error, -step->result, "Cannot %s at %" G_GINT64_FORMAT,
                    step->read_failed ? "read the disk" : "write the copy", step->offset);
    return false;
}

static bool hook_has_failed(BackupJob *backup, GError **error)
{
    int err = __atomic_load_n(&backup->hook_error, __ATOMIC_RELAXED);

    if (err < 0) {
        error_set_errno(error, -err, "Cannot copy before a write of the guest");
    }
    return err < 0;
}

static bool copy_all(BackupJob *backup, GError **error)
{
    Step step = { .backup = backup };

    for (;;) {
        step.result = 0;
        block_run(backup->copy.source->node, run_step, &step);
        if (hook_has_failed(backup, error) ||
            (step.result < 0 && !handle_error(backup, &step, error))) {
            return false;
        }
        if (step.result == 0 && step.bytes == 0) {
            return true;
        }
        if (step.result == 0) {
            step.from = step.offset + step.bytes;
            job_add_progress(&backup->job, step.bytes);
        }
        if (!job_throttle(&backup->job, (uint64_t)step.bytes)) {
            return false;
        }
    }
}

static bool backup_run(Job *job, GError **error)
{
    BackupJob *backup = (BackupJob *)job;

    job_set_total(job, hbitmap_count(backup->todo));
    if (backup->sync != MIRROR_SYNC_MODE_NONE) {
        return copy_all(backup, error);
    }
    /* Only what is written; until somebody ends it. */
    while (job_sleep(job, 100000000)) {
        if (hook_has_failed(backup, error)) {
            return false;
        }
    }
    return false;
}

/* ---- The end ---- */

static void remove_hook(BackupJob *backup)
{
    BlockNode *node;

    if (backup->hooked) {
        node = backup->copy.source->node;
        block_drain_begin(node);
        block_node_remove_write_hook(node, &backup->hook);
        backup->hooked = false;
        block_drain_end(node);
    }
}

/* What of the bitmap was copied is clean, where the mode says so. */
static void settle_bitmap(BackupJob *backup, bool ok)
{
    DirtyBitmap *bitmap = backup->bitmap;
    int64_t at = 0, bytes;

    if (!bitmap) {
        return;
    }
    if (backup->bitmap_mode != BITMAP_SYNC_MODE_NEVER &&
        (ok || backup->bitmap_mode == BITMAP_SYNC_MODE_ALWAYS)) {
        block_dirty_bitmap_abdicate(bitmap);
        /* With "always", what a failed job did not copy stays. */
        while (!ok && hbitmap_next_area(backup->todo, at, backup->size, 0, &at, &bytes)) {
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
    remove_hook((BackupJob *)job);
    settle_bitmap((BackupJob *)job, true);
}

static void backup_abort(Job *job)
{
    remove_hook((BackupJob *)job);
    settle_bitmap((BackupJob *)job, false);
}

static void backup_destroy(Job *job)
{
    BackupJob *backup = (BackupJob *)job;

    hbitmap_free(backup->todo);
    co_mutex_cleanup(&backup->lock);
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
    int64_t cluster;
} Facts;

static void ask_facts(void *opaque)
{
    Facts *facts = opaque;
    BlockNodeInfo info = { 0 };

    facts->source_size = block_getlength(facts->source);
    facts->target_size = block_getlength(facts->target);
    facts->cluster = block_get_info(facts->target, &info) >= 0 && info.cluster_size > 65536
                         ? info.cluster_size : 65536;
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

/* Nodes, and what is to be copied. The disk is drained, so that this is one moment. */
static bool set_up(BackupJob *backup, const Facts *facts, DirtyBitmap *bitmap, GError **error)
{
    Job *job = &backup->job;
    int64_t at = 0, bytes;

    backup->copy.source = job_attach(job, facts->source, "source", BLOCK_PERM_CONSISTENT_READ,
                                     BLOCK_PERM_ALL & ~BLOCK_PERM_RESIZE, error);
    backup->copy.target = backup->copy.source
                              ? job_attach(job, facts->target, "target", BLOCK_PERM_WRITE,
                                           BLOCK_PERM_CONSISTENT_READ |
                                               BLOCK_PERM_WRITE_UNCHANGED, error)
                              : NULL;
    if (!backup->copy.target) {
        return false;
    }
    backup->todo = hbitmap_new(backup->size, (unsigned)__builtin_ctzll((uint64_t)backup->cluster));
    if (!backup->todo) {
        error_setf(error, "There is not enough memory for the job's bitmap");
        return false;
    }
    if (bitmap && !block_dirty_bitmap_create_successor(bitmap, error)) {
        return false;
    }
    backup->bitmap = bitmap;
    if (!bitmap) {
        hbitmap_set(backup->todo, 0, backup->size);
    }
    while (bitmap && block_dirty_bitmap_next_area(bitmap, at, backup->size, 0, &at, &bytes)) {
        hbitmap_set(backup->todo, at, bytes);
        at += bytes;
    }
    backup->hook.before = before_write;
    block_node_add_write_hook(facts->source, &backup->hook);
    backup->hooked = true;
    return true;
}

static BackupJob *new_backup(const BlockdevBackup *arg, const Facts *facts,
                             JobTransaction *transaction, GError **error)
{
    JobFlags flags = {
        .manual_finalize = arg->has_auto_finalize && !arg->auto_finalize,
        .manual_dismiss = arg->has_auto_dismiss && !arg->auto_dismiss,
    };
    const char *id = arg->job_id ? arg->job_id : arg->device;
    BackupJob *backup = (BackupJob *)job_new(id, &backup_ops, transaction, &flags, error);

    if (!backup) {
        return NULL;
    }
    co_mutex_init(&backup->lock);
    backup->sync = arg->sync;
    backup->size = facts->source_size;
    backup->cluster = facts->cluster;
    backup->copy.zeroes_unmap = true;
    backup->copy.write_flags = arg->has_compress && arg->compress ? BLOCK_REQ_COMPRESSED : 0;
    backup->on_source_error = arg->has_on_source_error ? arg->on_source_error
                                                       : BLOCKDEV_ON_ERROR_REPORT;
    backup->on_target_error = arg->has_on_target_error ? arg->on_target_error
                                                       : BLOCKDEV_ON_ERROR_REPORT;
    backup->bitmap_mode = arg->has_bitmap_mode ? arg->bitmap_mode : BITMAP_SYNC_MODE_ON_SUCCESS;
    return backup;
}

Job *block_backup_new(const BlockdevBackup *arg, JobTransaction *transaction, GError **error)
{
    Facts facts = { .source = block_qmp_find(arg->device, error) };
    DirtyBitmap *bitmap;
    BackupJob *backup;
    bool ok;

    facts.target = facts.source ? block_qmp_find(arg->target, error) : NULL;
    if (!facts.target) {
        return NULL;
    }
    if (facts.source == facts.target) {
        error_setf(error, "Source and target cannot be the same");
        return NULL;
    }
    if (!find_bitmap(arg, facts.source, &bitmap, error) ||
        !block_node_set_loop(facts.target, facts.source->loop, error)) {
        return NULL;
    }
    block_run(facts.source, ask_facts, &facts);
    if (!check_sizes(&facts, error) ||
        !(backup = new_backup(arg, &facts, transaction, error))) {
        return NULL;
    }
    block_drain_begin(facts.source);
    ok = set_up(backup, &facts, bitmap, error) &&
         (!arg->has_speed || job_set_speed(&backup->job, arg->speed, error));
    block_drain_end(facts.source);
    if (!ok) {
        job_discard(&backup->job);
        return NULL;
    }
    return &backup->job;
}

bool qmp_blockdev_backup(const BlockdevBackup *arg, GError **error)
{
    Job *job = block_backup_new(arg, NULL, error);

    if (job) {
        job_start(job);
    }
    return job != NULL;
}
