/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/thread-context.h"

#include <pthread.h>

#include "memory/ram-host.h"
#include "util/error.h"
#include "util/thread.h"

struct ThreadContext {
    Object parent;
    HostCpus cpus;
    HostCpus nodes; /* numbers of NUMA nodes */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool running;   /* under lock, as the next two */
    bool quit;
    int tid;        /* 0: it has not begun yet */
};

/* ---- The thread ---- */

static void *stay_until_the_end(void *opaque)
{
    ThreadContext *context = opaque;

    pthread_mutex_lock(&context->lock);
    context->tid = thread_current_tid();
    pthread_cond_broadcast(&context->changed);
    while (!context->quit) {
        pthread_cond_wait(&context->changed, &context->lock);
    }
    pthread_mutex_unlock(&context->lock);
    return NULL;
}

static bool start_thread(ThreadContext *context, GError **error)
{
    g_autofree char *name = g_strdup_printf("TC %s", context->parent.name);

    if (!thread_create(&context->thread, name, stay_until_the_end, context, error)) {
        return false;
    }
    context->running = true;
    pthread_mutex_lock(&context->lock);
    while (!context->tid) {
        pthread_cond_wait(&context->changed, &context->lock);
    }
    pthread_mutex_unlock(&context->lock);
    return true;
}

void thread_context_cpus(const ThreadContext *context, HostCpus *cpus)
{
    host_cpus_of_thread(context->tid, cpus);
}

/* ---- Properties ---- */

static bool cpus_of_nodes(const HostCpus *nodes, HostCpus *cpus, GError **error)
{
    *cpus = (HostCpus) { 0 };
    for (unsigned node = 0; node < HOST_CPUS_MAX; node++) {
        g_autofree char *path = g_strdup_printf("/sys/devices/system/node/node%u/cpulist", node);
        g_autofree char *text = NULL;
        HostCpus some;

        if (!host_cpus_test(nodes, node)) {
            continue;
        }
        if (!g_file_get_contents(path, &text, NULL, NULL)) {
            error_setf(error, "the host has no NUMA node %u", node);
            return false;
        }
        if (*g_strstrip(text) && !host_cpus_parse(text, &some, error)) {
            return false;
        }
        if (*text) {
            CPU_OR(&cpus->set, &cpus->set, &some.set);
        }
    }
    if (!host_cpus_count(cpus)) {
        error_setf(error, "these NUMA nodes have no CPUs");
        return false;
    }
    return true;
}

static bool move(int tid, const HostCpus *cpus, const HostCpus *nodes, GError **error)
{
    HostCpus of_nodes;

    if (host_cpus_count(nodes) && host_cpus_count(cpus)) {
        error_setf(error, "cpu-affinity and node-affinity exclude each other");
        return false;
    }
    if (host_cpus_count(nodes)) {
        return cpus_of_nodes(nodes, &of_nodes, error) && host_cpus_pin(tid, &of_nodes, error);
    }
    return !host_cpus_count(cpus) || host_cpus_pin(tid, cpus, error);
}

/* Before it is complete: what to do then. Afterwards: at once, instead of what was asked before. */
static bool set_affinity(Object *obj, const Property *prop, json_object *value, GError **error)
{
    static const HostCpus none;
    ThreadContext *context = (ThreadContext *)obj;
    bool is_nodes = prop->offset == offsetof(ThreadContext, nodes);
    HostCpus wanted;

    if (!prop->kind->set(obj, prop, &wanted, value, error) ||
        (context->running && !move(context->tid, is_nodes ? &none : &wanted,
                                   is_nodes ? &wanted : &none, error))) {
        return false;
    }
    if (context->running) {
        context->cpus = context->nodes = none;
    }
    *(is_nodes ? &context->nodes : &context->cpus) = wanted;
    return true;
}

static json_object *get_cpus(Object *obj, const Property *prop)
{
    HostCpus cpus = ((ThreadContext *)obj)->cpus;

    if (((ThreadContext *)obj)->running) {
        thread_context_cpus((ThreadContext *)obj, &cpus);
    }
    return prop->kind->get(obj, prop, &cpus);
}

static json_object *get_thread_id(Object *obj, const Property *prop)
{
    return json_object_new_int(((ThreadContext *)obj)->tid);
}

static const Property thread_context_properties[] = {
    { PROP_FIELD_(prop_kind_host_cpus, "cpu-affinity", ThreadContext, cpus,
                  "host CPUs that the threads run on, such as 0-3"),
      .flags = PROP_LIVE, .set = set_affinity, .get = get_cpus },
    { PROP_FIELD_(prop_kind_host_cpus, "node-affinity", ThreadContext, nodes,
                  "host NUMA nodes whose CPUs they run on, such as 0-1"),
      .flags = PROP_LIVE, .set = set_affinity },
    PROP_COMPUTED("thread-id", prop_kind_uint64, get_thread_id, NULL, "its thread"),
    PROP_END,
};

/* ---- Life ---- */

static void thread_context_init(Object *obj)
{
    ThreadContext *context = (ThreadContext *)obj;

    pthread_mutex_init(&context->lock, NULL);
    pthread_cond_init(&context->changed, NULL);
}

static bool thread_context_complete(Object *obj, GError **error)
{
    ThreadContext *context = (ThreadContext *)obj;

    return start_thread(context, error) &&
           move(context->tid, &context->cpus, &context->nodes, error);
}

static void thread_context_finalize(Object *obj)
{
    ThreadContext *context = (ThreadContext *)obj;

    if (context->running) {
        pthread_mutex_lock(&context->lock);
        context->quit = true;
        pthread_cond_broadcast(&context->changed);
        pthread_mutex_unlock(&context->lock);
        pthread_join(context->thread, NULL);
    }
    pthread_cond_destroy(&context->changed);
    pthread_mutex_destroy(&context->lock);
}

static bool thread_context_may_delete(Object *obj, GError **error)
{
    if (__atomic_load_n(&obj->refs, __ATOMIC_RELAXED) > 1) { /* one is the tree's */
        error_setf(error, "thread-context '%s' is in use", obj->name);
        return false;
    }
    return true;
}

static const UserObjectHooks thread_context_hooks = {
    .may_delete = thread_context_may_delete,
    .complete = thread_context_complete,
};

static const TypeInfo thread_context_type = {
    .name = TYPE_THREAD_CONTEXT,
    .parent = TYPE_USER_OBJECT,
    .description = "place on the host for threads that others make",
    .instance_size = sizeof(ThreadContext),
    .user_creatable = true,
    .properties = thread_context_properties,
    .instance_init = thread_context_init,
    .instance_finalize = thread_context_finalize,
    .hooks = &thread_context_hooks,
};
QOM_TYPE(thread_context_type);
