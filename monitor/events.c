/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events on their way to QMP sessions. Some a guest can cause as often as it likes: those are sent
 * at most once a second. The first goes out at once; of those that follow within the second only
 * the last is kept, and goes out when the second is over.
 */
#include <string.h>

#include "monitor/internal.h"
#include "qapi/event.h"
#include "util/timer.h"

/* Which events are rate-limited, and the member (or NULL) whose value makes them distinct. */
static const struct {
    const char *name;
    const char *key;
} limited[] = {
    { "BALLOON_CHANGE", NULL },
    { "MEMORY_DEVICE_SIZE_CHANGE", "qom-path" },
    { "QUORUM_FAILURE", NULL },
    { "QUORUM_REPORT_BAD", "node-name" },
    { "RTC_CHANGE", NULL },
    { "VSERPORT_CHANGE", "id" },
    { "WATCHDOG", NULL },
};

#define LIMIT_NS NS_PER_SEC
/* Distinct keys kept at once; a key beyond that shares the entry of the event without key. */
#define MAX_ENTRIES 1024

typedef struct Limit {
    char *id;            /* event name and key */
    int64_t ready_ns;    /* when the next may go out */
    json_object *latest; /* waiting, or NULL */
} Limit;

/* One sink for the process: see qapi/event.h. */
static struct {
    GMutex lock;
    GHashTable *limits; /* id -> Limit */
    Timer *timer;
} events;

static void send_to(Monitor *mon, void *opaque)
{
    if (mon->kind != MONITOR_HMP) {
        qmp_session_send_event(mon, opaque);
    }
}

static json_object *make_event(const char *name, json_object *data)
{
    json_object *event = json_object_new_object();
    json_object *stamp = json_object_new_object();
    int64_t us = g_get_real_time();

    json_object_object_add(stamp, "seconds", json_object_new_int64(us / G_USEC_PER_SEC));
    json_object_object_add(stamp, "microseconds", json_object_new_int64(us % G_USEC_PER_SEC));
    json_object_object_add(event, "timestamp", stamp);
    json_object_object_add(event, "event", json_object_new_string(name));
    if (data) {
        json_object_object_add(event, "data", json_object_get(data));
    }
    return event;
}

/* NULL if the event is not rate-limited. */
static char *limit_id(const char *name, json_object *data)
{
    for (size_t i = 0; i < G_N_ELEMENTS(limited); i++) {
        json_object *value;

        if (strcmp(limited[i].name, name)) {
            continue;
        }
        if (limited[i].key && g_hash_table_size(events.limits) < MAX_ENTRIES &&
            json_object_object_get_ex(data, limited[i].key, &value)) {
            return g_strdup_printf("%s %s", name, json_object_get_string(value));
        }
        return g_strdup(name);
    }
    return NULL;
}

static void limit_free(void *opaque)
{
    Limit *limit = opaque;

    g_free(limit->id);
    json_object_put(limit->latest);
    g_free(limit);
}

/* Lock held. True if the event may go out now; else it was kept for later. */
static bool pass_limit(const char *id, json_object *event)
{
    int64_t now = vm_clock_ns(VM_CLOCK_REALTIME);
    Limit *limit = g_hash_table_lookup(events.limits, id);

    if (!limit) {
        limit = g_new0(Limit, 1);
        limit->id = g_strdup(id);
        g_hash_table_insert(events.limits, limit->id, limit);
    }
    if (now >= limit->ready_ns && !limit->latest) {
        limit->ready_ns = now + LIMIT_NS;
        return true;
    }
    json_object_put(limit->latest);
    limit->latest = json_object_get(event);
    if (!timer_pending(events.timer) || timer_expire_ns(events.timer) > limit->ready_ns) {
        timer_mod(events.timer, limit->ready_ns);
    }
    return false;
}

/* Send what waited long enough, forget what is quiet, and arm for the rest. */
static void on_timer(void *opaque)
{
    g_autoptr(GPtrArray) due = g_ptr_array_new();
    int64_t now = vm_clock_ns(VM_CLOCK_REALTIME), next = INT64_MAX;
    GHashTableIter iter;
    Limit *limit;

    g_mutex_lock(&events.lock);
    g_hash_table_iter_init(&iter, events.limits);
    while (g_hash_table_iter_next(&iter, NULL, (void **)&limit)) {
        if (limit->latest && now >= limit->ready_ns) {
            g_ptr_array_add(due, g_steal_pointer(&limit->latest));
            limit->ready_ns = now + LIMIT_NS;
        } else if (!limit->latest && now >= limit->ready_ns) {
            g_hash_table_iter_remove(&iter);
            continue;
        }
        next = MIN(next, limit->ready_ns);
    }
    if (next != INT64_MAX) {
        timer_mod(events.timer, next);
    }
    g_mutex_unlock(&events.lock);
    for (guint i = 0; i < due->len; i++) {
        monitor_foreach(send_to, g_ptr_array_index(due, i));
        json_object_put(g_ptr_array_index(due, i));
    }
}

static void sink(int event_number, const char *name, json_object *data, void *opaque)
{
    json_object *event = make_event(name, data);
    g_autofree char *id = NULL;
    bool pass = true;

    g_mutex_lock(&events.lock);
    id = limit_id(name, data);
    if (id) {
        pass = pass_limit(id, event);
    }
    g_mutex_unlock(&events.lock);
    if (pass) {
        monitor_foreach(send_to, event);
    }
    json_object_put(event);
}

void monitor_events_init(void)
{
    events.limits = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, limit_free);
    events.timer = timer_new(loop_main(), VM_CLOCK_REALTIME, on_timer, NULL);
    qapi_set_event_sink(sink, NULL);
}

void monitor_events_cleanup(void)
{
    qapi_set_event_sink(NULL, NULL);
    g_clear_pointer(&events.timer, timer_free);
    g_clear_pointer(&events.limits, g_hash_table_unref);
}
