/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The iothread object. Its loop sleeps in epoll; the polling properties are accepted and shown because managers
 * set them, and say how long a loop may spin before it sleeps (0 here: never).
 */
#include "backends/iothread.h"

#include "qapi/qapi-commands-misc.h"
#include "util/error.h"
#include "util/thread.h"

#define POLL_MAX_NS_DEFAULT 32768
#define THREAD_POOL_MAX_DEFAULT 64

struct IoThread {
    Object parent_obj;
    Loop *loop;
    pthread_t thread;
    int tid; /* written by the thread before `started` */
    bool running;
    GMutex lock;
    GCond started;
    int64_t poll_max_ns, poll_grow, poll_shrink, aio_max_batch;
    int64_t thread_pool_min, thread_pool_max;
};

Loop *iothread_loop(IoThread *iothread)
{
    return iothread->loop;
}

int iothread_tid(const IoThread *iothread)
{
    return iothread->tid;
}

static void *iothread_main(void *opaque)
{
    IoThread *iothread = opaque;

    g_mutex_lock(&iothread->lock);
    iothread->tid = thread_current_tid();
    g_cond_signal(&iothread->started);
    g_mutex_unlock(&iothread->lock);
    loop_run(iothread->loop);
    return NULL;
}

static bool check_ranges(const IoThread *iothread, GError **error)
{
    const struct {
        const char *name;
        int64_t value;
    } values[] = {
        { "poll-max-ns", iothread->poll_max_ns }, { "poll-grow", iothread->poll_grow },
        { "poll-shrink", iothread->poll_shrink }, { "aio-max-batch", iothread->aio_max_batch },
        { "thread-pool-min", iothread->thread_pool_min },
        { "thread-pool-max", iothread->thread_pool_max },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(values); i++) {
        if (values[i].value < 0) {
            error_setf(error, "%s must not be negative", values[i].name);
            return false;
        }
    }
    if (iothread->thread_pool_max < MAX(iothread->thread_pool_min, 1)) {
        error_setf(error, "thread-pool-max must be at least 1 and at least thread-pool-min");
        return false;
    }
    return true;
}

static bool iothread_complete(Object *obj, GError **error)
{
    IoThread *iothread = (IoThread *)obj;
    g_autofree char *name = g_strdup_printf("IO %s", obj->name ? obj->name : "thread");

    if (!check_ranges(iothread, error)) {
        return false;
    }
    iothread->loop = loop_new(error);
    if (!iothread->loop) {
        return false;
    }
    if (!thread_create(&iothread->thread, name, iothread_main, iothread, error)) {
        return false;
    }
    iothread->running = true;
    g_mutex_lock(&iothread->lock);
    while (!iothread->tid) {
        g_cond_wait(&iothread->started, &iothread->lock);
    }
    g_mutex_unlock(&iothread->lock);
    return true;
}

static void iothread_init(Object *obj)
{
    IoThread *iothread = (IoThread *)obj;

    g_mutex_init(&iothread->lock);
    g_cond_init(&iothread->started);
}

static void iothread_finalize(Object *obj)
{
    IoThread *iothread = (IoThread *)obj;

    if (iothread->running) {
        loop_quit(iothread->loop);
        pthread_join(iothread->thread, NULL);
    }
    g_clear_pointer(&iothread->loop, loop_free);
    g_mutex_clear(&iothread->lock);
    g_cond_clear(&iothread->started);
}

static bool collect(Object *child, void *opaque)
{
    const IoThread *iothread = (const IoThread *)child;
    IOThreadInfo *info;

    if (!object_is_a(child, TYPE_IOTHREAD)) {
        return true;
    }
    info = g_new0(IOThreadInfo, 1);
    info->id = g_strdup(child->name);
    info->thread_id = iothread->tid;
    info->poll_max_ns = iothread->poll_max_ns;
    info->poll_grow = iothread->poll_grow;
    info->poll_shrink = iothread->poll_shrink;
    info->aio_max_batch = iothread->aio_max_batch;
    g_ptr_array_add(opaque, info);
    return true;
}

GPtrArray *qmp_query_iothreads(GError **error)
{
    GPtrArray *list = IOThreadInfo_list_new();

    object_foreach_child(object_container("/objects"), collect, list);
    return list;
}

static const Property iothread_properties[] = {
    PROP_INT64("poll-max-ns", IoThread, poll_max_ns, POLL_MAX_NS_DEFAULT,
               "longest time to poll before sleeping"),
    PROP_INT64("poll-grow", IoThread, poll_grow, 0, "factor by which polling time grows"),
    PROP_INT64("poll-shrink", IoThread, poll_shrink, 0, "divisor by which it shrinks"),
    PROP_INT64("aio-max-batch", IoThread, aio_max_batch, 0, "most requests of one submission"),
    PROP_INT64("thread-pool-min", IoThread, thread_pool_min, 0, "worker threads kept ready"),
    PROP_INT64("thread-pool-max", IoThread, thread_pool_max, THREAD_POOL_MAX_DEFAULT,
               "most worker threads"),
    PROP_END,
};

static const UserObjectHooks iothread_hooks = { .complete = iothread_complete };

static const TypeInfo iothread_info = {
    .name = TYPE_IOTHREAD,
    .parent = TYPE_USER_OBJECT,
    .description = "thread for device queues and block I/O",
    .instance_size = sizeof(IoThread),
    .user_creatable = true,
    .properties = iothread_properties,
    .instance_init = iothread_init,
    .instance_finalize = iothread_finalize,
    .hooks = &iothread_hooks,
};
QOM_TYPE(iothread_info);
