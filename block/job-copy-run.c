/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop of the copy engine: in the job's coroutine it starts workers as memory and speed allow,
 * and sleeps while they work. What a client or a drained section wants it learns when it is woken.
 */
#include "block/job-copy-internal.h"
#include "util/error.h"
#include "util/timer.h"

/* One look along the disk takes no longer than so many questions. */
#define SCAN_QUESTIONS 256
/* If so long little is left, and nothing less, the guest writes as fast as we copy. */
#define SETTLE_NS (50 * NS_PER_MS)
#define LITTLE (8 << 20)
/* Before an ignored error's range is tried again. */
#define RETRY_NS (10 * NS_PER_MS)
#define TURN_NS (10 * NS_PER_MS)

/* ---- Progress ---- */

static int64_t bytes_in_ranges(JobCopy *copy)
{
    int64_t bytes = 0;

    for (GList *l = copy->ranges.head; l; l = l->next) {
        bytes += ((JobCopyRange *)l->data)->bytes;
    }
    return bytes;
}

/* Returns how many bytes are left, as far as is known. */
static int64_t update_progress(JobCopy *copy)
{
    int64_t left = block_dirty_bitmap_count(copy->todo), copied;

    g_mutex_lock(&copy->lock);
    left += bytes_in_ranges(copy);
    copied = copy->copied;
    g_mutex_unlock(&copy->lock);
    if (copy->p.whole_disk) {
        copied = MAX(copy->scanned - left, 0);
        left = copy->p.size - copied;
    }
    job_set_progress(copy->job, copied, copied + left);
    return left;
}

bool job_copy_is_idle(JobCopy *copy)
{
    return !copy->workers && copy->scanned >= copy->p.size &&
           block_dirty_bitmap_next_dirty(copy->todo, 0, copy->p.size) < 0;
}

static void wait_for_workers(JobCopy *copy)
{
    while (copy->workers) {
        job_yield(copy->job, -1);
    }
    update_progress(copy);
}

/* ---- Errors ---- */

static JobCopyError take_error(JobCopy *copy, bool is_read)
{
    JobCopyError found;

    g_mutex_lock(&copy->lock);
    found = copy->errors[is_read];
    copy->errors[is_read].error = 0;
    g_mutex_unlock(&copy->lock);
    return found;
}

static void tell_error(const JobCopyError *found, bool is_read, GError **error)
{
    error_set_errno(error, found->error, "Cannot %s at %" G_GINT64_FORMAT,
                    is_read ? "read the disk" : "write the copy", found->offset);
}

static void ignore_error(JobCopy *copy, const JobCopyError *found)
{
    if (!job_copy_skips(copy)) {
        copy->resume_at = vm_clock_ns(VM_CLOCK_REALTIME) + RETRY_NS;
    } else if (!copy->skipped.error) {
        copy->skipped = *found;
    }
}

static bool act_on_error(JobCopy *copy, bool is_read, GError **error)
{
    BlockdevOnError policy = is_read ? copy->p.on_source_error : copy->p.on_target_error;
    JobCopyError found = take_error(copy, is_read);

    if (!found.error) {
        return true;
    }
    switch (job_error_action(copy->job, policy, is_read, found.error)) {
    case BLOCK_ERROR_ACTION_REPORT:
        tell_error(&found, is_read, error);
        return false;
    case BLOCK_ERROR_ACTION_IGNORE:
        ignore_error(copy, &found);
        return true;
    default:
        return true;
    }
}

static bool act_on_errors(JobCopy *copy, GError **error)
{
    return act_on_error(copy, true, error) && act_on_error(copy, false, error);
}

/* Between two steps: pauses, errors, cancelling. False: it is over, and no worker works. */
static bool may_go_on(JobCopy *copy, GError **error)
{
    bool ok = job_copy_is_sound(copy, error) && act_on_errors(copy, error);

    if (!ok || job_wants_rest(copy->job)) {
        wait_for_workers(copy);
    }
    return ok && job_pause_point(copy->job);
}

/* How long no new worker may be started. */
static int64_t time_to_wait(JobCopy *copy)
{
    if (copy->resume_at && copy->speed != job_speed(copy->job)) {
        copy->resume_at = 0;
    }
    return copy->resume_at ? copy->resume_at - vm_clock_ns(VM_CLOCK_REALTIME) : 0;
}

/* ---- Looking for what is to be copied ---- */

typedef struct Scan {
    JobCopy *copy;
    int64_t from, to;
    int result;
} Scan;

static void mark(JobCopy *copy, int64_t offset, int64_t bytes, bool wanted)
{
    if (wanted && !copy->p.premarked) {
        block_dirty_bitmap_set(copy->todo, offset, bytes);
    } else if (!wanted && copy->p.premarked) {
        block_dirty_bitmap_reset(copy->todo, offset, bytes);
    }
}

static void scan_some(void *opaque)
{
    Scan *scan = opaque;
    JobCopy *copy = scan->copy;

    for (unsigned i = 0; i < SCAN_QUESTIONS && scan->to < copy->p.size; i++) {
        int64_t left = copy->p.size - scan->to, n = left;
        int wanted = copy->p.wanted(copy, scan->to, left, &n);

        if (wanted < 0) {
            scan->result = wanted;
            return;
        }
        n = n > 0 ? MIN(n, left) : left;
        mark(copy, scan->to, n, wanted);
        scan->to += n;
    }
}

static void scan_next(JobCopy *copy)
{
    Scan scan = { copy, copy->scanned, copy->scanned, 0 };

    block_run(copy->p.source->node, scan_some, &scan);
    if (scan.result < 0) {
        job_copy_note_error(copy, true, -scan.result, scan.to);
        if (job_copy_skips(copy)) {
            scan.to = MIN(scan.to + copy->p.align, copy->p.size);
        }
    }
    copy->scanned = scan.to;
}

bool job_copy_scan(JobCopy *copy, GError **error)
{
    while (copy->scanned < copy->p.size) {
        scan_next(copy);
        update_progress(copy);
        if (!may_go_on(copy, error)) {
            return false;
        }
        job_yield(copy->job, MAX(time_to_wait(copy), 0));
    }
    return may_go_on(copy, error);
}

/* ---- Copying ---- */

static void account_speed(JobCopy *copy, int64_t bytes)
{
    int64_t delay = job_speed_delay(copy->job, bytes);

    copy->speed = job_speed(copy->job);
    copy->resume_at = delay > 0 ? vm_clock_ns(VM_CLOCK_REALTIME) + delay : 0;
}

/* One thing more under way. False: there is nothing that could be begun now. */
static bool begin_more(JobCopy *copy)
{
    int64_t bytes = job_copy_start_worker(copy);

    if (bytes) {
        account_speed(copy, bytes);
        return true;
    }
    if (copy->workers || copy->scanned >= copy->p.size) {
        return false;
    }
    scan_next(copy);
    return true;
}

/* The guest writes as fast as we copy: it does not get less than this. */
static bool has_settled(JobCopy *copy, int64_t left, int64_t *since)
{
    int64_t now = vm_clock_ns(VM_CLOCK_REALTIME);

    if (!copy->p.records || copy->scanned < copy->p.size || left > LITTLE) {
        *since = 0;
        return false;
    }
    *since = *since ? *since : now;
    return now - *since > SETTLE_NS;
}

static bool run(JobCopy *copy, GError **error)
{
    int64_t turn = vm_clock_ns(VM_CLOCK_REALTIME), little_since = 0;

    for (;;) {
        int64_t wait;

        if (!may_go_on(copy, error)) {
            return false;
        }
        wait = time_to_wait(copy);
        if (wait <= 0 && has_settled(copy, update_progress(copy), &little_since)) {
            wait_for_workers(copy);
            return true;
        }
        if (wait <= 0 && begin_more(copy)) {
            if (vm_clock_ns(VM_CLOCK_REALTIME) - turn < TURN_NS) {
                continue;
            }
            wait = 0; /* others' turn */
        } else if (wait <= 0 && job_copy_is_idle(copy)) {
            update_progress(copy);
            return true;
        } else if (wait <= 0) {
            wait = -1; /* until a worker, or somebody who has a range, has ended */
        }
        job_yield(copy->job, wait);
        turn = vm_clock_ns(VM_CLOCK_REALTIME);
    }
}

bool job_copy_run(JobCopy *copy, GError **error)
{
    bool ok;

    __atomic_store_n(&copy->running, true, __ATOMIC_SEQ_CST);
    ok = run(copy, error);
    __atomic_store_n(&copy->running, false, __ATOMIC_SEQ_CST);
    if (ok && copy->skipped.error) {
        tell_error(&copy->skipped, true, error);
        return false;
    }
    return ok;
}

bool job_copy_watch(JobCopy *copy, GError **error)
{
    __atomic_store_n(&copy->running, true, __ATOMIC_SEQ_CST);
    do {
        update_progress(copy);
    } while (job_copy_is_sound(copy, error) && job_wait(copy->job));
    __atomic_store_n(&copy->running, false, __ATOMIC_SEQ_CST);
    return false;
}

static bool has_failed(JobCopy *copy)
{
    bool failed;

    g_mutex_lock(&copy->lock);
    failed = copy->errors[0].error || copy->errors[1].error;
    g_mutex_unlock(&copy->lock);
    return failed || job_is_cancelled(copy->job);
}

bool job_copy_rest(JobCopy *copy)
{
    while (!has_failed(copy) && !job_copy_is_idle(copy)) {
        if (!job_copy_start_worker(copy)) {
            job_yield(copy->job, copy->workers ? -1 : 0);
        }
    }
    wait_for_workers(copy);
    return !has_failed(copy);
}

/* Copy so many bytes, if there are. */
static void copy_some(JobCopy *copy, int64_t budget)
{
    while (budget > 0 && !has_failed(copy)) {
        int64_t bytes = job_copy_start_worker(copy);

        budget -= bytes;
        if (!bytes && !copy->workers) {
            break;
        }
        if (!bytes) {
            job_yield(copy->job, -1);
        }
    }
    wait_for_workers(copy);
}

bool job_copy_catch_up(JobCopy *copy)
{
    int64_t left = update_progress(copy), before = INT64_MAX;

    /* The guest may have been told of them, and what failed is still marked. */
    take_error(copy, true);
    take_error(copy, false);
    while (left > LITTLE && left < before && !has_failed(copy)) {
        copy_some(copy, left);
        before = left;
        left = update_progress(copy);
    }
    return !has_failed(copy);
}

void job_copy_tell_failure(JobCopy *copy, GError **error)
{
    for (int is_read = 1; is_read >= 0; is_read--) {
        JobCopyError found = take_error(copy, is_read);

        if (found.error) {
            tell_error(&found, is_read, error);
            return;
        }
    }
    error_setf(error, "Operation canceled");
}

/* ---- Flushing ---- */

typedef struct FlushRun {
    JobCopy *copy;
    int result;
} FlushRun;

static void run_flush(void *opaque)
{
    FlushRun *run = opaque;

    run->result = block_flush(run->copy->p.target->node);
}

bool job_copy_flush_once(JobCopy *copy)
{
    FlushRun run = { copy, 0 };

    block_run(copy->p.target->node, run_flush, &run);
    if (run.result < 0) {
        job_copy_note_error(copy, false, -run.result, 0);
    }
    return run.result >= 0;
}

bool job_copy_flush(JobCopy *copy, GError **error)
{
    while (!job_copy_flush_once(copy)) {
        if (!may_go_on(copy, error)) {
            return false;
        }
        if (time_to_wait(copy) > 0) {
            job_yield(copy->job, time_to_wait(copy));
        }
    }
    return true;
}
