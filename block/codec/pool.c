/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches of jobs stand in a queue. A worker, which is one job of the thread pool, takes from it
 * until it is empty: so a thread that has just done a piece goes on with the next, whosever it is,
 * and nobody has to be woken for it.
 */
#include "block/codec/pool.h"

#include <errno.h>

#include "util/coroutine.h"
#include "util/error.h"
#include "util/thread-pool.h"

/* On the waiting coroutine's stack. */
typedef struct Batch {
    CodecJob *jobs;
    unsigned n, taken, done;
    bool compress;
    Coroutine *waiter;
    GList link;
} Batch;

struct CodecPool {
    int refs;             /* atomic: the owner's, and one for each worker */
    CodecMethod method;
    const Codec *codec;   /* NULL: not asked for yet; atomic */
    gint reported;        /* that it cannot be had; atomic */
    unsigned max;
    GMutex lock;          /* guards the rest */
    GQueue batches;       /* those that have jobs left which nobody has taken */
    unsigned workers;
    GPtrArray *idle;      /* states that no worker has */
};

CodecPool *codec_pool_new(CodecMethod method)
{
    CodecPool *pool = g_new0(CodecPool, 1);

    pool->refs = 1;
    pool->method = method;
    pool->max = g_get_num_processors();
    pool->idle = g_ptr_array_new();
    g_mutex_init(&pool->lock);
    return pool;
}

static void pool_unref(CodecPool *pool)
{
    if (!g_atomic_int_dec_and_test(&pool->refs)) {
        return;
    }
    for (guint i = 0; i < pool->idle->len; i++) {
        pool->codec->state_free(g_ptr_array_index(pool->idle, i));
    }
    g_ptr_array_unref(pool->idle);
    g_mutex_clear(&pool->lock);
    g_free(pool);
}

void codec_pool_free(CodecPool *pool)
{
    if (pool) {
        pool_unref(pool);
    }
}

const Codec *codec_pool_codec(CodecPool *pool)
{
    const Codec *codec = g_atomic_pointer_get(&pool->codec);

    if (!codec) {
        g_autoptr(GError) error = NULL;

        codec = codec_load(pool->method, &error);
        if (!codec && g_atomic_int_compare_and_exchange(&pool->reported, false, true)) {
            error_report("%s", error->message);
        }
        g_atomic_pointer_set(&pool->codec, codec);
    }
    return codec;
}

/* ---- Workers ---- */

static void do_job(const Codec *codec, void *state, const Batch *batch, CodecJob *job)
{
    ssize_t (*run)(void *state, void *dst, size_t dst_size, const void *src, size_t src_size) =
        batch->compress ? codec->compress : codec->decompress;

    job->result = run(state, job->dst, job->dst_size, job->src, job->src_size);
}

/* With the lock held. The batch may be gone afterwards. */
static void finish_job(Batch *batch)
{
    if (++batch->done == batch->n) {
        coroutine_wake(batch->waiter);
    }
}

static int work(void *opaque)
{
    CodecPool *pool = opaque;
    const Codec *codec = pool->codec;
    GList *first;
    void *state;

    g_mutex_lock(&pool->lock);
    state = pool->idle->len ? g_ptr_array_steal_index_fast(pool->idle, pool->idle->len - 1)
                            : codec->state_new();
    while ((first = pool->batches.head)) {
        Batch *batch = first->data;
        CodecJob *job = &batch->jobs[batch->taken++];

        if (batch->taken == batch->n) {
            g_queue_unlink(&pool->batches, &batch->link);
        }
        g_mutex_unlock(&pool->lock);
        do_job(codec, state, batch, job);
        g_mutex_lock(&pool->lock);
        finish_job(batch);
    }
    g_ptr_array_add(pool->idle, state);
    pool->workers--;
    g_mutex_unlock(&pool->lock);
    return 0;
}

static void work_done(int result, void *opaque)
{
    pool_unref(opaque);
}

int codec_pool_run(CodecPool *pool, bool compress, CodecJob *jobs, unsigned n)
{
    const Codec *codec = codec_pool_codec(pool);
    Batch batch = { .jobs = jobs, .n = n, .compress = compress, .waiter = coroutine_current() };
    unsigned more;

    if (!codec || !(compress ? codec->compress : codec->decompress)) {
        return -ENOTSUP;
    }
    if (n == 0) {
        return 0;
    }
    batch.link.data = &batch;
    g_mutex_lock(&pool->lock);
    g_queue_push_tail_link(&pool->batches, &batch.link);
    more = MIN(pool->max - pool->workers, n);
    pool->workers += more;
    g_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < more; i++) {
        g_atomic_int_inc(&pool->refs);
        thread_pool_submit(loop_current(), work, work_done, pool);
    }
    coroutine_yield();
    return 0;
}
