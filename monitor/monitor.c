/* SPDX-License-Identifier: Apache-2.0 */
/* What QMP and HMP monitors share: the list of them, buffered output, the monitor thread. */
#include "monitor/monitor.h"

#include <pthread.h>
#include <string.h>

#include "monitor/internal.h"
#include "qapi/qapi-types-control.h"
#include "util/error.h"
#include "util/thread.h"
#include "util/timer.h"

#define FLUSH_TIMEOUT_NS NS_PER_SEC

/* The registry of monitors is process-wide: events and exit reach all of them. */
static struct {
    const QapiCommandTable *table;
    GMutex lock; /* guards monitors */
    GPtrArray *monitors;
    Loop *thread_loop;
    pthread_t thread;
} state;

const QapiCommandTable *monitor_commands(void)
{
    return state.table;
}

const char *monitor_package(void)
{
    return "vireo-" VIREO_VERSION;
}

void monitor_init(const QapiCommandTable *table)
{
    state.table = table;
    state.monitors = g_ptr_array_new();
    monitor_events_init();
}

/* Output. */

static void on_writable(void *opaque);

/* Write what the frontend takes. Lock held. Returns true if the monitor may go on after a choke. */
static bool flush_locked(Monitor *mon)
{
    while (mon->out_done < mon->out->len) {
        int n = char_frontend_write(&mon->fe, mon->out->data + mon->out_done,
                                    (int)(mon->out->len - mon->out_done));

        if (n <= 0) {
            break;
        }
        mon->out_done += (guint)n;
    }
    if (mon->out_done == mon->out->len) {
        g_byte_array_set_size(mon->out, 0);
        mon->out_done = 0;
    } else if (mon->out_done > mon->out->len / 2) {
        g_byte_array_remove_range(mon->out, 0, mon->out_done);
        mon->out_done = 0;
    }
    if (mon->out->len && !mon->out_watch) {
        mon->out_watch = char_frontend_watch_writable(&mon->fe, on_writable, mon);
    }
    if (mon->choked && mon->out->len - mon->out_done <= MONITOR_OUT_LOW) {
        mon->choked = false;
        return true;
    }
    return false;
}

static void on_writable(void *opaque)
{
    Monitor *mon = opaque;
    bool resume;

    g_mutex_lock(&mon->lock);
    mon->out_watch = 0;
    resume = flush_locked(mon);
    g_mutex_unlock(&mon->lock);
    if (resume) {
        mon->ops->resume(mon);
    }
}

void monitor_write(Monitor *mon, const char *text, size_t len, const char *end)
{
    g_mutex_lock(&mon->lock);
    if (mon->open) {
        g_byte_array_append(mon->out, (const uint8_t *)text, (guint)len);
        g_byte_array_append(mon->out, (const uint8_t *)end, (guint)strlen(end));
        if (!mon->out_watch) {
            flush_locked(mon);
        }
        mon->choked = mon->choked || mon->out->len - mon->out_done > MONITOR_OUT_HIGH;
    }
    g_mutex_unlock(&mon->lock);
}

void monitor_write_event(Monitor *mon, const char *text, size_t len, const char *end)
{
    bool overrun;

    g_mutex_lock(&mon->lock);
    overrun = mon->open && mon->out->len - mon->out_done > MONITOR_EVENTS_MAX;
    if (overrun) {
        mon->open = false;
        g_byte_array_set_size(mon->out, 0);
        mon->out_done = 0;
    }
    g_mutex_unlock(&mon->lock);
    if (overrun) {
        char_frontend_disconnect(&mon->fe);
    } else {
        monitor_write(mon, text, len, end);
    }
}

bool monitor_is_choked(Monitor *mon)
{
    bool choked;

    g_mutex_lock(&mon->lock);
    choked = mon->choked;
    g_mutex_unlock(&mon->lock);
    return choked;
}

void monitor_drop_output(Monitor *mon)
{
    g_mutex_lock(&mon->lock);
    g_byte_array_set_size(mon->out, 0);
    mon->out_done = 0;
    mon->choked = false;
    if (mon->out_watch) {
        char_frontend_unwatch(&mon->fe, mon->out_watch);
        mon->out_watch = 0;
    }
    g_mutex_unlock(&mon->lock);
}

void monitor_set_open(Monitor *mon, bool open)
{
    g_mutex_lock(&mon->lock);
    mon->open = open;
    g_mutex_unlock(&mon->lock);
}

bool monitor_setup(Monitor *mon, MonitorKind kind, const MonitorOps *ops, Chardev *chr,
                   GError **error)
{
    mon->kind = kind;
    mon->ops = ops;
    g_mutex_init(&mon->lock);
    mon->out = g_byte_array_new();
    if (!char_frontend_attach(&mon->fe, chr, error)) {
        g_byte_array_unref(mon->out);
        g_mutex_clear(&mon->lock);
        return false;
    }
    return true;
}

void monitor_teardown(Monitor *mon)
{
    monitor_drop_output(mon);
    char_frontend_detach(&mon->fe);
    g_byte_array_unref(mon->out);
    g_mutex_clear(&mon->lock);
}

/* The list. */

bool monitor_new(MonitorKind kind, Chardev *chr, GError **error)
{
    Monitor *mon = kind == MONITOR_HMP ? hmp_session_new(chr, error)
                                       : qmp_session_new(chr, kind == MONITOR_QMP_PRETTY, error);

    if (!mon) {
        return false;
    }
    g_mutex_lock(&state.lock);
    g_ptr_array_add(state.monitors, mon);
    g_mutex_unlock(&state.lock);
    return true;
}

bool monitor_new_from_options(json_object *options, bool text, GError **error)
{
    g_autoptr(MonitorOptions) opts = NULL;
    bool control;
    Chardev *chr;

    if (!MonitorOptions_from_json(options, text ? QAPI_KEYVAL : QAPI_JSON, &opts, error)) {
        return false;
    }
    control = opts->has_mode && opts->mode == MONITOR_MODE_CONTROL;
    if (opts->has_pretty && !control) {
        error_setf(error, "'pretty' is for mode=control only");
        return false;
    }
    chr = chardev_find(opts->chardev, error);
    if (!chr) {
        return false;
    }
    return monitor_new(!control ? MONITOR_HMP : opts->pretty ? MONITOR_QMP_PRETTY : MONITOR_QMP,
                       chr, error);
}

void monitor_foreach(void (*fn)(Monitor *mon, void *opaque), void *opaque)
{
    g_mutex_lock(&state.lock);
    for (guint i = 0; i < state.monitors->len; i++) {
        fn(g_ptr_array_index(state.monitors, i), opaque);
    }
    g_mutex_unlock(&state.lock);
}

static void flush_one(Monitor *mon, void *opaque)
{
    bool *pending = opaque;

    g_mutex_lock(&mon->lock);
    if (mon->open) {
        flush_locked(mon);
        *pending = *pending || mon->out->len > 0;
    }
    g_mutex_unlock(&mon->lock);
}

void monitor_flush_all(void)
{
    int64_t end = vm_clock_ns(VM_CLOCK_REALTIME) + FLUSH_TIMEOUT_NS;
    bool pending;

    do {
        pending = false;
        monitor_foreach(flush_one, &pending);
        if (pending) {
            g_usleep(1000);
        }
    } while (pending && vm_clock_ns(VM_CLOCK_REALTIME) < end);
}

/* The monitor thread. */

static void *monitor_thread(void *opaque)
{
    loop_run(opaque);
    return NULL;
}

Loop *monitor_thread_loop(GError **error)
{
    Loop *loop = state.thread_loop;

    if (loop) {
        return loop;
    }
    loop = loop_new(error);
    if (!loop) {
        return NULL;
    }
    if (!thread_create(&state.thread, "monitor", monitor_thread, loop, error)) {
        loop_free(loop);
        return NULL;
    }
    state.thread_loop = loop;
    return loop;
}

void monitor_cleanup(void)
{
    if (!state.monitors) {
        return;
    }
    monitor_flush_all();
    monitor_events_cleanup();
    /* Leaving the thread's loop needs the thread. */
    for (guint i = 0; i < state.monitors->len; i++) {
        Monitor *mon = g_ptr_array_index(state.monitors, i);

        char_frontend_set_handlers(&mon->fe, NULL, NULL, NULL);
    }
    if (state.thread_loop) {
        loop_quit(state.thread_loop);
        pthread_join(state.thread, NULL);
    }
    for (guint i = 0; i < state.monitors->len; i++) {
        Monitor *mon = g_ptr_array_index(state.monitors, i);

        mon->ops->free(mon);
    }
    g_clear_pointer(&state.monitors, g_ptr_array_unref);
    g_clear_pointer(&state.thread_loop, loop_free);
}
