/* SPDX-License-Identifier: Apache-2.0 */
#include "block/qcow2/codec-pool.h"

#include <errno.h>

#include "util/thread-pool.h"

typedef struct Batch {
    const Qcow2Codec *codec;
    bool compress;
    CodecJob *jobs;
    unsigned n, next;     /* next: atomic */
    unsigned running;
    Coroutine *waiter;
} Batch;

typedef struct Worker {
    Batch *batch;
    void *state;
} Worker;

static const Qcow2Codec *codec_of(const Qcow2 *q)
{
    return q->compression_type ? &qcow2_zstd : &qcow2_deflate;
}

static int work(void *opaque)
{
    Worker *worker = opaque;
    Batch *batch = worker->batch;
    unsigned i;

    while ((i = __atomic_fetch_add(&batch->next, 1, __ATOMIC_RELAXED)) < batch->n) {
        CodecJob *job = &batch->jobs[i];

        job->result = (batch->compress ? batch->codec->compress(worker->state, job->dst,
                                                                job->dst_size, job->src,
                                                                job->src_size)
                                       : batch->codec->decompress(worker->state, job->dst,
                                                                  job->dst_size, job->src,
                                                                  job->src_size));
    }
    return 0;
}

static void work_done(int result, void *opaque)
{
    Worker *worker = opaque;
    Batch *batch = worker->batch;

    if (--batch->running == 0) {
        coroutine_wake(batch->waiter);
    }
}

static void *take_state(Qcow2 *q)
{
    return q->codec_states->len ? g_ptr_array_steal_index_fast(q->codec_states,
                                                               q->codec_states->len - 1)
                                : codec_of(q)->state_new();
}

int codec_run(Qcow2 *q, bool compress, CodecJob *jobs, unsigned n)
{
    unsigned workers = MIN(n, g_get_num_processors());
    g_autofree Worker *all = g_new(Worker, workers);
    Batch batch = { codec_of(q), compress, jobs, n, 0, workers, coroutine_current() };

    if (!codec_of(q)->state_new) {
        return -ENOTSUP;
    }
    if (!q->codec_states) {
        q->codec_states = g_ptr_array_new();
    }
    for (unsigned i = 0; i < workers; i++) {
        all[i] = (Worker) { &batch, take_state(q) };
    }
    for (unsigned i = 0; i < workers; i++) {
        thread_pool_submit(loop_current(), work, work_done, &all[i]);
    }
    coroutine_yield();
    for (unsigned i = 0; i < workers; i++) {
        g_ptr_array_add(q->codec_states, all[i].state);
    }
    return 0;
}

void codec_pool_free(Qcow2 *q)
{
    for (guint i = 0; q->codec_states && i < q->codec_states->len; i++) {
        codec_of(q)->state_free(g_ptr_array_index(q->codec_states, i));
    }
    g_clear_pointer(&q->codec_states, g_ptr_array_unref);
}
