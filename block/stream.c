/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stream job: what images below an image have is copied into it, until they are not needed any
 * more. Reading with copy-on-read does the copying, so that it and the guest's writes do not meet;
 * a copy-on-read filter above the image lets what the guest reads be copied, too.
 */
#include "block/commit.h"
#include "block/io.h"
#include "block/job-chain.h"
#include "block/job-copy.h"
#include "block/job-filter.h"
#include "block/open.h"
#include "block/node-internal.h"
#include "util/error.h"

typedef struct StreamJob {
    Job job;
    BlockNode *top, *base, *filter; /* references; base NULL: none; filter NULL: gone */
    bool was_read_only;
    char *backing_file;      /* NULL: the base's name */
    JobCopy *copy;
} StreamJob;

/* ---- The work ---- */

/* Not in the image itself, but above the base. */
static int is_below(JobCopy *copy, int64_t offset, int64_t bytes, int64_t *n)
{
    StreamJob *stream = job_copy_job(copy);
    BlockNode *next = block_backing_chain_next(stream->top);
    int ret = block_is_allocated(stream->top, offset, bytes, n);

    if (ret != 0 || !next || next == stream->base) {
        return MIN(ret, 0);
    }
    return block_is_allocated_above(next, stream->base, false, offset, *n, n);
}

static int prefetch(JobCopy *copy, int64_t offset, int64_t bytes, bool *read_failed)
{
    BlockChild *top = job_copy_params(copy)->source;
    int ret = 0;

    *read_failed = true;
    while (bytes > 0 && ret >= 0) {
        int64_t n = bytes;

        ret = is_below(copy, offset, bytes, &n);
        n = n > 0 ? MIN(n, bytes) : bytes;
        if (ret > 0) {
            ret = block_preadv(top, offset, n, NULL, 0,
                               BLOCK_REQ_COPY_ON_READ | BLOCK_REQ_PREFETCH);
        }
        offset += n;
        bytes -= n;
    }
    return MIN(ret, 0);
}

static bool stream_run(Job *job, GError **error)
{
    StreamJob *stream = (StreamJob *)job;

    /* Without an image below there is nothing to do, and no progress. */
    return !block_backing_chain_next(stream->top) || job_copy_run(stream->copy, error);
}

/* ---- The end ---- */

static bool take_filter_away(StreamJob *stream, GError **error)
{
    BlockNode *filter = stream->filter;

    if (!filter) {
        return true;
    }
    job_detach_all(&stream->job);
    if (!job_filter_remove(filter, error)) {
        return false;
    }
    stream->filter = NULL;
    block_node_unref(filter);
    return true;
}

static bool leave_chain_out(StreamJob *stream, GError **error)
{
    BlockNode *base = stream->base, *image = base ? block_skip_filters(base) : NULL;
    const char *file = stream->backing_file ? stream->backing_file
                                            : image ? image->filename : NULL;

    if (!stream->top->backing) {
        return true;
    }
    return (!stream->top->driver->change_backing_file ||
            job_change_backing_file(stream->top, image ? file : NULL,
                                    image ? image->driver->name : NULL, error)) &&
           block_node_set_backing(stream->top, base, error);
}

static bool stream_prepare(Job *job, GError **error)
{
    StreamJob *stream = (StreamJob *)job;
    bool ok;

    block_drain_begin(stream->top);
    ok = take_filter_away(stream, error) && leave_chain_out(stream, error);
    block_drain_end(stream->top);
    return ok;
}

static void stream_abort(Job *job)
{
    g_autoptr(GError) error = NULL;

    if (!take_filter_away((StreamJob *)job, &error)) {
        error_report("Cannot take the filter of job '%s' away: %s", job->id, error->message);
    }
}

static void stream_clean(Job *job)
{
    StreamJob *stream = (StreamJob *)job;

    job_detach_all(job);
    if (stream->was_read_only) {
        block_reopen_read_only(stream->top, true, NULL);
    }
}

static void stream_destroy(Job *job)
{
    StreamJob *stream = (StreamJob *)job;

    job_copy_free(stream->copy);
    block_node_unref(stream->filter);
    block_node_unref(stream->base);
    block_node_unref(stream->top);
    g_free(stream->backing_file);
}

static const JobOps stream_ops = {
    .type = JOB_TYPE_STREAM,
    .is_block_job = true,
    .instance_size = sizeof(StreamJob),
    .run = stream_run,
    .prepare = stream_prepare,
    .abort = stream_abort,
    .clean = stream_clean,
    .destroy = stream_destroy,
};

/* ---- Starting ---- */

static BlockNode *open_filter(const StreamArgs *args, GError **error)
{
    json_object *options = json_object_new_object();
    BlockNode *filter;

    json_object_object_add(options, "driver", json_object_new_string("copy-on-read"));
    json_object_object_add(options, "file", json_object_new_string(args->top->name));
    if (args->bottom) {
        json_object_object_add(options, "bottom", json_object_new_string(args->bottom->name));
    }
    if (args->filter_node_name) {
        json_object_object_add(options, "node-name",
                               json_object_new_string(args->filter_node_name));
    }
    filter = block_open(NULL, NULL, options, QAPI_JSON, 0, error);
    json_object_put(options);
    if (filter) {
        filter->p->implicit = !args->filter_node_name;
        filter->mode.discard_unmap = true;
    }
    return filter;
}

static bool set_up(StreamJob *stream, const StreamArgs *args, int64_t size, GError **error)
{
    unsigned intermediate = BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE_UNCHANGED;
    Job *job = &stream->job;
    BlockNodeInfo info = { 0 };
    JobCopyParams p = {
        .fn = prefetch, .wanted = is_below, .size = size, .granularity = 65536,
        .whole_disk = true, .skip_ignored = true,
        .on_source_error = args->on_error, .on_target_error = args->on_error,
    };

    stream->filter = open_filter(args, error);
    if (!stream->filter || !job_filter_take_over(stream->filter, args->top, error) ||
        !job_attach(job, stream->filter, "main node", 0, BLOCK_PERM_ALL, error)) {
        return false;
    }
    p.source = job_attach(job, args->top, "top",
                          BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE_UNCHANGED,
                          BLOCK_PERM_ALL & ~(unsigned)BLOCK_PERM_RESIZE, error);
    if (!p.source || !job_chain_hold(job, args->top, args->base, intermediate, error)) {
        return false;
    }
    if (block_get_info(args->top, &info) >= 0) {
        p.align = job_copy_cluster(&info);
    }
    stream->copy = job_copy_new(job, &p, error);
    return stream->copy && job_set_speed(job, args->speed, error);
}

static bool open_top_for_writing(StreamJob *stream, GError **error)
{
    if (!stream->top->mode.read_only) {
        return true;
    }
    stream->was_read_only = block_reopen_read_only(stream->top, false, error);
    return stream->was_read_only;
}

Job *block_stream_new(const StreamArgs *args, GError **error)
{
    int64_t size = job_node_length(args->top, error);
    StreamJob *stream;
    bool ok;

    if (size < 0) {
        return NULL;
    }
    stream = (StreamJob *)job_new(args->job_id, &stream_ops, NULL, &args->flags, error);
    if (!stream) {
        return NULL;
    }
    stream->top = block_node_ref(args->top);
    stream->base = args->base ? block_node_ref(args->base) : NULL;
    stream->backing_file = g_strdup(args->backing_file);
    block_drain_begin(args->top);
    ok = open_top_for_writing(stream, error) && set_up(stream, args, size, error);
    block_drain_end(args->top);
    if (!ok) {
        job_fail_early(&stream->job);
        return NULL;
    }
    return &stream->job;
}
