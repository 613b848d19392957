/* SPDX-License-Identifier: Apache-2.0 */
/*
 * -object iothread. The thread starts when the object is complete and ends with the object, which
 * devices keep alive by linking to it. Unlike 7.2 it does not poll unless told to: idle machines
 * cost no CPU.
 */
#include "backends/iothread.h"

#include <string.h>

#include "qapi/qapi-commands-misc.h"
#include "util/error.h"
#include "util/thread.h"

/* What 7.2 shows; the process's pool has this size. */
#define POOL_MAX_DEFAULT 64

struct IoThread {
    Object parent;
    int64_t poll_max_ns;
    int64_t poll_grow;
    int64_t poll_shrink;
    int64_t aio_max_batch;
    int64_t thread_pool_min;
    int64_t thread_pool_max;
    HostCpus cpus;     /* empty: wherever the process may run */
    Loop *loop;
    pthread_t thread;
    bool running;
    int tid;
};

bool iothread_pin(IoThread *iothread, const HostCpus *cpus, GError **error)
{
    if (!host_cpus_count(cpus)) {
        host_cpus_unpin(iothread->tid);
    } else if (!host_cpus_pin(iothread->tid, cpus, error)) {
        g_prefix_error(error, "iothread '%s': ", iothread->parent.name);
        return false;
    }
    iothread->cpus = *cpus;
    return true;
}

static bool check_pool(int64_t min, int64_t max, GError **error)
{
    if (max < MAX(min, 1)) {
        error_setf(error, "thread-pool-max must be at least 1 and at least thread-pool-min");
        return false;
    }
    return true;
}

/* Would the pool's bounds still be in order? */
static bool pool_fits(const IoThread *iothread, const Property *prop, int64_t value,
                      GError **error)
{
    bool is_min = prop->offset == offsetof(IoThread, thread_pool_min);
    bool is_max = prop->offset == offsetof(IoThread, thread_pool_max);

    return check_pool(is_min ? value : iothread->thread_pool_min,
                      is_max ? value : iothread->thread_pool_max, error);
}

static bool set_number(Object *obj, const Property *prop, json_object *value, GError **error)
{
    IoThread *iothread = (IoThread *)obj;

    if (json_object_is_type(value, json_type_int) && json_object_get_int64(value) < 0) {
        error_setf(error, "property '%s.%s': %s is negative", obj->type->name, prop->name,
                   json_object_get_string(value));
        return false;
    }
    /* Before it is complete the two may come in either order. */
    if (iothread->loop && !pool_fits(iothread, prop, json_object_get_int64(value), error)) {
        return false;
    }
    if (!prop->kind->set(obj, prop, (char *)obj + prop->offset, value, error)) {
        return false;
    }
    if (iothread->loop) {
        loop_set_polling(iothread->loop, iothread->poll_max_ns, iothread->poll_grow,
                         iothread->poll_shrink);
    }
    return true;
}

static bool set_cpus(Object *obj, const Property *prop, json_object *value, GError **error)
{
    IoThread *iothread = (IoThread *)obj;
    HostCpus cpus;

    if (!prop->kind->set(obj, prop, &cpus, value, error)) {
        return false;
    }
    if (iothread->running) {
        return iothread_pin(iothread, &cpus, error);
    }
    iothread->cpus = cpus;
    return true;
}

#define NUMBER(name_, field, initial, desc)                                                        \
    {                                                                                              \
        .name = (name_), .kind = &prop_kind_int64, .description = (desc),                          \
        .offset = offsetof(IoThread, field), .def.i = (initial), .flags = PROP_LIVE,               \
        .set = set_number,                                                                         \
    }

static const Property iothread_properties[] = {
    NUMBER("poll-max-ns", poll_max_ns, 0, "how long to look for work before sleeping"),
    NUMBER("poll-grow", poll_grow, 0, "factor by which that time grows, 0 for 2"),
    NUMBER("poll-shrink", poll_shrink, 0, "divisor by which it shrinks, 0 for down to nothing"),
    NUMBER("aio-max-batch", aio_max_batch, 0, "most disk requests handed over together"),
    NUMBER("thread-pool-min", thread_pool_min, 0, "accepted; the process has one pool"),
    NUMBER("thread-pool-max", thread_pool_max, POOL_MAX_DEFAULT, "accepted, as thread-pool-min"),
    { PROP_FIELD_(prop_kind_host_cpus, "cpu-affinity", IoThread, cpus,
                  "host CPUs that it runs on, such as 2-3"), .flags = PROP_LIVE, .set = set_cpus },
    PROP_END,
};

static void record_tid(void *opaque)
{
    ((IoThread *)opaque)->tid = thread_current_tid();
}

static void *iothread_main(void *opaque)
{
    loop_run(opaque);
    return NULL;
}

static bool iothread_complete(Object *obj, GError **error)
{
    IoThread *iothread = (IoThread *)obj;
    g_autofree char *name = g_strdup_printf("IO %s", obj->name);

    if (!check_pool(iothread->thread_pool_min, iothread->thread_pool_max, error)) {
        return false;
    }
    iothread->loop = loop_new(error);
    if (!iothread->loop ||
        !thread_create(&iothread->thread, name, iothread_main, iothread->loop, error)) {
        return false;
    }
    iothread->running = true;
    loop_set_polling(iothread->loop, iothread->poll_max_ns, iothread->poll_grow,
                     iothread->poll_shrink);
    loop_post_wait(iothread->loop, record_tid, iothread);
    return iothread_pin(iothread, &iothread->cpus, error);
}

static bool iothread_may_delete(Object *obj, GError **error)
{
    if (__atomic_load_n(&obj->refs, __ATOMIC_RELAXED) > 1) { /* one is the tree's */
        error_setf(error, "iothread '%s' is in use", obj->name);
        return false;
    }
    return true;
}

static void iothread_finalize(Object *obj)
{
    IoThread *iothread = (IoThread *)obj;

    if (iothread->running) {
        loop_quit(iothread->loop);
        pthread_join(iothread->thread, NULL);
    }
    loop_free(iothread->loop);
}

static const UserObjectHooks iothread_hooks = {
    .complete = iothread_complete,
    .may_delete = iothread_may_delete,
};

static const TypeInfo iothread_type = {
    .name = TYPE_IOTHREAD,
    .parent = TYPE_USER_OBJECT,
    .description = "thread with an event loop",
    .instance_size = sizeof(IoThread),
    .user_creatable = true,
    .properties = iothread_properties,
    .instance_finalize = iothread_finalize,
    .hooks = &iothread_hooks,
};
QOM_TYPE(iothread_type);

IoThread *iothread_find(const char *id, GError **error)
{
    Object *obj = user_object_find(id, TYPE_IOTHREAD, error);

    return obj ? (IoThread *)object_ref(obj) : NULL;
}

Loop *iothread_loop(const IoThread *iothread)
{
    return iothread->loop;
}

int iothread_tid(const IoThread *iothread)
{
    return iothread->tid;
}

static bool add_info(Object *child, void *opaque)
{
    const IoThread *iothread = (const IoThread *)child;
    IOThreadInfo *info;

    if (object_is_a(child, TYPE_IOTHREAD) && iothread->running) {
        info = g_new0(IOThreadInfo, 1);
        info->id = g_strdup(child->name);
        info->thread_id = iothread->tid;
        info->poll_max_ns = iothread->poll_max_ns;
        info->poll_grow = iothread->poll_grow;
        info->poll_shrink = iothread->poll_shrink;
        info->aio_max_batch = iothread->aio_max_batch;
        g_ptr_array_add(opaque, info);
    }
    return true;
}

GPtrArray *qmp_query_iothreads(GError **error)
{
    GPtrArray *list = IOThreadInfo_list_new();

    object_foreach_child(object_container("/objects"), add_info, list);
    return list;
}
