/* SPDX-License-Identifier: Apache-2.0 */
/* The thread pool. It belongs to the process, as its threads do. */
#include "util/thread-pool.h"

#include "util/coroutine.h"
#include "util/error.h"
#include "util/thread.h"

#define MAX_THREADS 64
#define IDLE_SECONDS 10

typedef struct Job {
    Loop *loop;
    ThreadPoolWork *work;
    ThreadPoolDone *done;
    void *opaque;
    int result;
} Job;

static struct {
    GMutex lock;
    GCond wake;
    GQueue jobs;
    unsigned threads;
    unsigned idle;
} pool;

static void job_finish(void *opaque)
{
    Job *job = opaque;

    job->done(job->result, job->opaque);
    g_free(job);
}

/* The next job, or NULL after a long time without one. */
static Job *next_job_locked(void)
{
    gint64 until = g_get_monotonic_time() + IDLE_SECONDS * G_USEC_PER_SEC;
    bool timely = true;

    while (g_queue_is_empty(&pool.jobs) && timely) {
        pool.idle++;
        timely = g_cond_wait_until(&pool.wake, &pool.lock, until);
        pool.idle--;
    }
    return g_queue_pop_head(&pool.jobs);
}

static void *pool_thread(void *opaque)
{
    Job *job;

    g_mutex_lock(&pool.lock);
    while ((job = next_job_locked())) {
        g_mutex_unlock(&pool.lock);
        job->result = job->work(job->opaque);
        loop_post(job->loop, job_finish, job);
        g_mutex_lock(&pool.lock);
    }
    pool.threads--;
    g_mutex_unlock(&pool.lock);
    return NULL;
}

void thread_pool_submit(Loop *loop, ThreadPoolWork *work, ThreadPoolDone *done, void *opaque)
{
    Job *job = g_new0(Job, 1);
    g_autoptr(GError) error = NULL;
    pthread_t thread;

    job->loop = loop;
    job->work = work;
    job->done = done;
    job->opaque = opaque;
    g_mutex_lock(&pool.lock);
    g_queue_push_tail(&pool.jobs, job);
    if (pool.idle >= pool.jobs.length) {
        g_cond_signal(&pool.wake);
    } else if (pool.threads < MAX_THREADS) {
        if (thread_create(&thread, "worker", pool_thread, NULL, &error)) {
            pthread_detach(thread);
            pool.threads++;
        } else if (pool.threads == 0) {
            g_error("%s", error->message); /* nobody would ever do the work */
        }
    }
    g_mutex_unlock(&pool.lock);
}

typedef struct PoolRun {
    Coroutine *co;
    ThreadPoolWork *work;
    void *opaque;
    int result;
} PoolRun;

static int run_work(void *opaque)
{
    PoolRun *run = opaque;

    return run->work(run->opaque);
}

static void run_done(int result, void *opaque)
{
    PoolRun *run = opaque;

    run->result = result;
    coroutine_enter(run->co);
}

int thread_pool_run(ThreadPoolWork *work, void *opaque)
{
    PoolRun run = { .co = coroutine_current(), .work = work, .opaque = opaque };

    g_assert(run.co);
    thread_pool_submit(loop_current(), run_work, run_done, &run);
    coroutine_yield();
    return run.result;
}
