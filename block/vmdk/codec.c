/* SPDX-License-Identifier: Apache-2.0 */
/* Many grains at once, by all processors. */
#include <errno.h>

#include "block/vmdk/vmdk.h"
#include "util/thread-pool.h"

struct VmdkCodec {
    GPtrArray *idle[2]; /* states of the library: to decompress, to compress */
};

typedef struct Batch {
    VmdkCodecJob *jobs;
    Coroutine *waiter;
    unsigned n, running;
    unsigned next;      /* atomic: the first job that nobody has taken */
    bool compress;
} Batch;

typedef struct Worker {
    Batch *batch;
    void *state;
} Worker;

VmdkCodec *vmdk_codec_new(void)
{
    VmdkCodec *codec = g_new0(VmdkCodec, 1);

    codec->idle[0] = g_ptr_array_new();
    codec->idle[1] = g_ptr_array_new();
    return codec;
}

void vmdk_codec_free(VmdkCodec *codec)
{
    for (unsigned kind = 0; codec && kind < 2; kind++) {
        for (guint i = 0; i < codec->idle[kind]->len; i++) {
            vmdk_zlib_state_free(kind, g_ptr_array_index(codec->idle[kind], i));
        }
        g_ptr_array_unref(codec->idle[kind]);
    }
    g_free(codec);
}

static int work(void *opaque)
{
    Worker *worker = opaque;
    Batch *batch = worker->batch;
    unsigned i;

    while ((i = __atomic_fetch_add(&batch->next, 1, __ATOMIC_RELAXED)) < batch->n) {
        if (batch->compress) {
            vmdk_zlib_compress(worker->state, &batch->jobs[i]);
        } else {
            vmdk_zlib_decompress(worker->state, &batch->jobs[i]);
        }
    }
    return 0;
}

static void work_done(int result, void *opaque)
{
    Worker *worker = opaque;

    if (--worker->batch->running == 0) {
        coroutine_wake(worker->batch->waiter);
    }
}

static void *take_state(GPtrArray *idle, bool compress)
{
    return idle->len ? g_ptr_array_steal_index_fast(idle, idle->len - 1)
                     : vmdk_zlib_state_new(compress);
}

/* As many workers as have a state; none: no memory. */
static int run_batch(GPtrArray *idle, Batch *batch, Worker *workers, unsigned max)
{
    unsigned n = 0;

    while (n < max && (workers[n].state = take_state(idle, batch->compress))) {
        workers[n++].batch = batch;
    }
    if (n == 0) {
        return -ENOMEM;
    }
    batch->running = n;
    for (unsigned i = 0; i < n; i++) {
        thread_pool_submit(loop_current(), work, work_done, &workers[i]);
    }
    coroutine_yield();
    for (unsigned i = 0; i < n; i++) {
        g_ptr_array_add(idle, workers[i].state);
    }
    return 0;
}

int vmdk_codec_run(VmdkCodec *codec, bool compress, VmdkCodecJob *jobs, unsigned n)
{
    unsigned max = MIN(n, g_get_num_processors());
    g_autofree Worker *workers = g_new(Worker, MAX(max, 1));
    Batch batch = {
        .jobs = jobs, .waiter = coroutine_current(), .n = n, .compress = compress,
    };
    int ret = run_batch(codec->idle[compress], &batch, workers, max);

    for (unsigned i = 0; i < n && ret >= 0; i++) {
        ret = jobs[i].result < 0 ? (int)jobs[i].result : 0;
    }
    return ret;
}
