/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The chardev object: writing with its bounded queue, log files, events, loops, and the registry in
 * /chardevs. What a frontend sees is in frontend.c; how options become a chardev in options.c.
 */
#include "chardev/chardev.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "chardev/backend.h"
#include "util/error.h"

int chardev_can_read(Chardev *chr)
{
    CharFrontend *fe = chr->fe;

    return fe && fe->ops && fe->ops->can_read ? fe->ops->can_read(fe->opaque) : 0;
}

void chardev_deliver(Chardev *chr, const uint8_t *buf, int len)
{
    CharFrontend *fe = chr->fe;

    if (fe && fe->ops && fe->ops->read) {
        fe->ops->read(fe->opaque, buf, len);
    }
}

void chardev_send_event(Chardev *chr, CharEvent event)
{
    CharFrontend *fe = chr->fe;

    if (event == CHAR_EVENT_OPENED || event == CHAR_EVENT_CLOSED) {
        bool open = event == CHAR_EVENT_OPENED;

        g_mutex_lock(&chr->lock);
        chr->be_open = open;
        chr->overrun = false;
        g_mutex_unlock(&chr->lock);
        if (!open) {
            chardev_drop_pending(chr);
        }
    }
    if (fe) {
        if (event == CHAR_EVENT_OPENED || event == CHAR_EVENT_CLOSED) {
            fe->opened = event == CHAR_EVENT_OPENED;
        }
        if (fe->ops && fe->ops->event) {
            fe->ops->event(fe->opaque, event);
        }
    }
    chardev_schedule_update(chr);
}

/* Writing. */

static void write_log(Chardev *chr, const uint8_t *buf, int len)
{
    int done = 0;

    while (chr->log_fd >= 0 && done < len) {
        ssize_t n = write(chr->log_fd, buf + done, len - done);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            warn_report("chardev '%s': log file '%s': %s; logging ends", chardev_id(chr),
                        chr->log_path, g_strerror(errno));
            close(chr->log_fd);
            chr->log_fd = -1;
            return;
        }
        done += n;
    }
}

static guint pending_length(const Chardev *chr)
{
    return chr->pending ? chr->pending->len - chr->pending_done : 0;
}

static int flush_locked(Chardev *chr)
{
    while (pending_length(chr)) {
        int n = chr->ops->write(chr, chr->pending->data + chr->pending_done, pending_length(chr));

        if (n <= 0) {
            return n;
        }
        chr->pending_done += n;
    }
    if (chr->pending) {
        g_clear_pointer(&chr->pending, g_byte_array_unref);
        chr->pending_done = 0;
    }
    return 0;
}

static void queue_locked(Chardev *chr, const uint8_t *buf, int len)
{
    if (!chr->pending) {
        chr->pending = g_byte_array_new();
        chr->pending_done = 0;
    }
    if (pending_length(chr) + (guint)len > CHARDEV_MAX_PENDING) {
        chr->overrun = true;
        return;
    }
    if (chr->pending_done > chr->pending->len / 2) {
        g_byte_array_remove_range(chr->pending, 0, chr->pending_done);
        chr->pending_done = 0;
    }
    g_byte_array_append(chr->pending, buf, len);
}

/* The rest of a write_all that did not fit. */
static int write_rest_locked(Chardev *chr, const uint8_t *buf, int len)
{
    int done = 0;

    if (!(chr->ops->flags & CHARDEV_PATIENT)) {
        queue_locked(chr, buf, len);
        return len;
    }
    while (done < len && chr->be_open) {
        int n;

        chr->ops->wait_writable(chr);
        n = flush_locked(chr);
        if (n == 0 && !pending_length(chr)) {
            n = chr->ops->write(chr, buf + done, len - done);
        }
        if (n < 0) {
            return n;
        }
        done += n;
    }
    return done;
}

int chardev_write(Chardev *chr, const uint8_t *buf, int len, bool all)
{
    int n = 0;

    if (chr->is_mux) {
        return chardev_mux_write(chr, buf, len, all);
    }
    g_mutex_lock(&chr->lock);
    if (!chr->be_open || chr->overrun) {
        write_log(chr, buf, len);
        g_mutex_unlock(&chr->lock);
        return len;
    }
    if (!pending_length(chr)) {
        n = chr->ops->write(chr, buf, len);
    }
    if (n >= 0 && n < len && all) {
        int rest = write_rest_locked(chr, buf + n, len - n);

        n = rest < 0 ? rest : n + rest;
        chardev_schedule_update(chr);
    }
    if (n > 0) {
        write_log(chr, buf, n);
    }
    g_mutex_unlock(&chr->lock);
    return n;
}

bool chardev_wants_room(Chardev *chr)
{
    bool wants;

    g_mutex_lock(&chr->lock);
    wants = pending_length(chr) || chr->waiters->len;
    g_mutex_unlock(&chr->lock);
    return wants;
}

static void run_waiters(Chardev *chr)
{
    GArray *waiters = NULL;

    g_mutex_lock(&chr->lock);
    if (chr->waiters->len) {
        waiters = chr->waiters;
        chr->waiters = g_array_new(false, false, sizeof(ChardevWaiter));
    }
    g_mutex_unlock(&chr->lock);
    for (guint i = 0; waiters && i < waiters->len; i++) {
        ChardevWaiter *waiter = &g_array_index(waiters, ChardevWaiter, i);

        waiter->fn(waiter->opaque);
    }
    if (waiters) {
        g_array_unref(waiters);
    }
}

int chardev_flush(Chardev *chr)
{
    int ret;
    bool room;

    g_mutex_lock(&chr->lock);
    ret = flush_locked(chr);
    room = !pending_length(chr);
    g_mutex_unlock(&chr->lock);
    if (room || ret < 0) {
        run_waiters(chr);
    }
    return ret;
}

void chardev_drop_pending(Chardev *chr)
{
    g_mutex_lock(&chr->lock);
    g_clear_pointer(&chr->pending, g_byte_array_unref);
    chr->pending_done = 0;
    g_mutex_unlock(&chr->lock);
    /* Who waits for room may as well write: what they write now vanishes. */
    run_waiters(chr);
}

unsigned chardev_add_waiter(Chardev *chr, LoopFn *fn, void *opaque)
{
    ChardevWaiter waiter = { .fn = fn, .opaque = opaque };

    if (!(chr->ops->flags & CHARDEV_CAN_BLOCK)) {
        return 0;
    }
    g_mutex_lock(&chr->lock);
    if (++chr->last_tag == 0) {
        chr->last_tag = 1;
    }
    waiter.tag = chr->last_tag;
    g_array_append_val(chr->waiters, waiter);
    g_mutex_unlock(&chr->lock);
    chardev_schedule_update(chr);
    return waiter.tag;
}

void chardev_remove_waiter(Chardev *chr, unsigned tag)
{
    g_mutex_lock(&chr->lock);
    for (guint i = 0; i < chr->waiters->len; i++) {
        if (g_array_index(chr->waiters, ChardevWaiter, i).tag == tag) {
            g_array_remove_index(chr->waiters, i);
            break;
        }
    }
    g_mutex_unlock(&chr->lock);
}

/* Loops. */

void chardev_schedule_update(Chardev *chr)
{
    if (chr->update_bh) {
        loop_bh_schedule(chr->update_bh);
    }
}

static void run_update(void *opaque)
{
    Chardev *chr = opaque;

    object_ref(OBJECT(chr));
    /* Waiters of a closed chardev would wait for ever. */
    if (!chr->be_open) {
        run_waiters(chr);
    }
    chr->ops->update(chr);
    object_unref(OBJECT(chr));
}

static void leave_loop(void *opaque)
{
    Chardev *chr = opaque;

    if (chr->ops->detach_loop) {
        chr->ops->detach_loop(chr);
    }
    if (chr->update_bh) {
        g_clear_pointer(&chr->update_bh, loop_bh_free);
    }
}

static void enter_loop(Chardev *chr)
{
    if (chr->ops->update) {
        chr->update_bh = loop_bh_new(chr->loop, run_update, chr);
        loop_bh_schedule(chr->update_bh);
    }
}

void chardev_set_loop(Chardev *chr, Loop *loop)
{
    loop = loop ? loop : loop_main();
    if (chr->loop == loop) {
        return;
    }
    if (chr->loop == loop_main()) {
        leave_loop(chr);
    } else {
        loop_post_wait(chr->loop, leave_loop, chr);
    }
    chr->loop = loop;
    enter_loop(chr);
}

/* The type. */

static void chardev_init(Object *obj)
{
    Chardev *chr = (Chardev *)obj;

    chr->ops = object_ops(obj);
    chr->log_fd = -1;
    g_mutex_init(&chr->lock);
    chr->waiters = g_array_new(false, false, sizeof(ChardevWaiter));
    chr->loop = loop_main();
    enter_loop(chr);
}

static void chardev_finalize(Object *obj)
{
    Chardev *chr = (Chardev *)obj;

    if (chr->update_bh) {
        loop_bh_free(chr->update_bh);
    }
    if (chr->log_fd >= 0) {
        close(chr->log_fd);
    }
    if (chr->pending) {
        g_byte_array_unref(chr->pending);
    }
    g_array_unref(chr->waiters);
    g_mutex_clear(&chr->lock);
}

static const Property chardev_properties[] = {
    PROP_STRING("logfile", Chardev, log_path, NULL, "file that gets a copy of all output"),
    PROP_BOOL("logappend", Chardev, log_append, false, "append to the log file"),
    PROP_END,
};

static const TypeInfo chardev_type = {
    .name = TYPE_CHARDEV,
    .parent = TYPE_OBJECT,
    .description = "character backend",
    .instance_size = sizeof(Chardev),
    .is_abstract = true,
    .properties = chardev_properties,
    .instance_init = chardev_init,
    .instance_finalize = chardev_finalize,
};
QOM_TYPE(chardev_type);

/* The registry. */

static bool collect_id(Object *child, void *opaque)
{
    g_ptr_array_add(opaque, child->name);
    return true;
}

static GPtrArray *all_ids(void)
{
    GPtrArray *ids = g_ptr_array_new();

    object_foreach_child(object_container("/chardevs"), collect_id, ids);
    g_ptr_array_add(ids, NULL);
    return ids;
}

Chardev *chardev_find(const char *id, GError **error)
{
    Object *obj = object_child(object_container("/chardevs"), id);
    g_autoptr(GPtrArray) ids = NULL;
    g_autofree char *list = NULL;

    if (obj) {
        return object_cast(obj, TYPE_CHARDEV);
    }
    ids = all_ids();
    list = g_strjoinv(", ", (char **)ids->pdata);
    error_set_code(error, VIREO_ERROR_DEVICE_NOT_FOUND, "there is no chardev '%s'%s%s", id,
                   *list ? "; there are: " : "", list);
    return NULL;
}

const char *chardev_id(const Chardev *chr)
{
    return chr->parent_obj.name ? chr->parent_obj.name : "?";
}

char *chardev_filename(Chardev *chr)
{
    return chr->ops->filename ? chr->ops->filename(chr) : g_strdup(chr->ops->backend);
}

static bool is_busy(Chardev *chr)
{
    return chr->is_mux ? chardev_mux_has_frontends(chr) : chr->fe != NULL;
}

bool chardev_remove(const char *id, GError **error)
{
    Chardev *chr = chardev_find(id, error);

    if (!chr) {
        return false;
    }
    if (is_busy(chr)) {
        error_setf(error, "chardev '%s' is in use", id);
        return false;
    }
    object_unparent(OBJECT(chr));
    return true;
}

static bool collect_object(Object *child, void *opaque)
{
    g_ptr_array_add(opaque, object_ref(child));
    return true;
}

void chardev_cleanup_all(void)
{
    g_autoptr(GPtrArray) all = g_ptr_array_new_with_free_func((GDestroyNotify)object_unref);

    object_foreach_child(object_container("/chardevs"), collect_object, all);
    for (guint i = 0; i < all->len; i++) {
        Chardev *chr = g_ptr_array_index(all, i);

        /* Nobody is told any more. */
        if (chr->fe) {
            chr->fe->chr = NULL;
            chr->fe = NULL;
        }
    }
    for (guint i = 0; i < all->len; i++) {
        object_unparent(g_ptr_array_index(all, i));
    }
}
