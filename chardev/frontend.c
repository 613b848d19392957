/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frontend's side of a chardev: attaching, writing, and the property kind that names a
 * chardev.
 */
#include <errno.h>
#include <glib/gprintf.h>
#include <stdarg.h>

#include "chardev/backend.h"
#include "util/error.h"

bool char_frontend_attach(CharFrontend *fe, Chardev *chr, GError **error)
{
    g_return_val_if_fail(!fe->chr, false);
    if (chr->is_mux) {
        return chardev_mux_attach(chr, fe, error);
    }
    if (chr->fe) {
        error_setf(error, "chardev '%s' is already in use; make it with mux=on to share it",
                   chardev_id(chr));
        return false;
    }
    chr->fe = fe;
    fe->chr = chr;
    fe->opened = false;
    return true;
}

void char_frontend_detach(CharFrontend *fe)
{
    Chardev *chr = fe->chr;

    if (!chr) {
        return;
    }
    char_frontend_set_handlers(fe, NULL, NULL, NULL);
    if (chr->is_mux) {
        chardev_mux_detach(chr, fe);
    } else {
        chr->fe = NULL;
    }
    fe->chr = NULL;
    fe->opened = false;
}

void char_frontend_set_handlers(CharFrontend *fe, const CharFrontendOps *ops, void *opaque,
                                Loop *loop)
{
    Chardev *chr = fe->chr;

    if (!chr) {
        return;
    }
    /* A mux serves several frontends and stays on the main loop. */
    if (!chr->is_mux) {
        chardev_set_loop(chr, loop);
    }
    fe->ops = ops;
    fe->opaque = opaque;
    fe->loop = loop;
    if (chr->is_mux) {
        chardev_mux_handlers_set(chr, fe);
        return;
    }
    fe->opened = chr->be_open;
    if (ops && ops->event && chr->be_open) {
        ops->event(opaque, CHAR_EVENT_OPENED);
    }
    chardev_schedule_update(chr);
}

int char_frontend_write(CharFrontend *fe, const uint8_t *buf, int len)
{
    return fe->chr ? chardev_write(fe->chr, buf, len, false) : len;
}

int char_frontend_write_all(CharFrontend *fe, const uint8_t *buf, int len)
{
    return fe->chr ? chardev_write(fe->chr, buf, len, true) : len;
}

int char_frontend_printf(CharFrontend *fe, const char *fmt, ...)
{
    g_autofree char *text = NULL;
    va_list args;
    int len;

    va_start(args, fmt);
    len = g_vasprintf(&text, fmt, args);
    va_end(args);
    return len < 0 ? -EINVAL : char_frontend_write_all(fe, (const uint8_t *)text, len);
}

unsigned char_frontend_watch_writable(CharFrontend *fe, LoopFn *fn, void *opaque)
{
    return fe->chr ? chardev_add_waiter(chardev_base(fe->chr), fn, opaque) : 0;
}

void char_frontend_unwatch(CharFrontend *fe, unsigned tag)
{
    if (fe->chr && tag) {
        chardev_remove_waiter(chardev_base(fe->chr), tag);
    }
}

void char_frontend_accept_input(CharFrontend *fe)
{
    if (!fe->chr) {
        return;
    }
    if (fe->chr->is_mux) {
        chardev_mux_accept_input(fe->chr, fe);
    } else {
        chardev_schedule_update(fe->chr);
    }
}

int char_frontend_ioctl(CharFrontend *fe, CharIoctl cmd, void *arg)
{
    Chardev *chr = fe->chr ? chardev_base(fe->chr) : NULL;

    return chr && chr->ops->ioctl ? chr->ops->ioctl(chr, cmd, arg) : -ENOTSUP;
}

void char_frontend_set_echo(CharFrontend *fe, bool echo)
{
    Chardev *chr = fe->chr ? chardev_base(fe->chr) : NULL;

    if (chr && chr->ops->set_echo) {
        chr->ops->set_echo(chr, echo);
    }
}

void char_frontend_take_focus(CharFrontend *fe)
{
    if (fe->chr && fe->chr->is_mux) {
        chardev_mux_take_focus(fe->chr, fe);
    }
}

void char_frontend_set_open(CharFrontend *fe, bool open)
{
    fe->closed = !open;
}

void char_frontend_disconnect(CharFrontend *fe)
{
    Chardev *chr = fe->chr ? chardev_base(fe->chr) : NULL;

    if (chr && chr->ops->disconnect) {
        chr->ops->disconnect(chr);
    }
}

bool char_frontend_wait_connected(CharFrontend *fe, GError **error)
{
    Chardev *chr = fe->chr;

    if (chr->be_open) {
        return true;
    }
    if (!chr->ops || !chr->ops->wait_connected) {
        error_setf(error, "chardev '%s' is not connected", chardev_id(chr));
        return false;
    }
    return chr->ops->wait_connected(chr, error);
}

int char_frontend_socket(CharFrontend *fe)
{
    Chardev *chr = fe->chr && !fe->chr->is_mux ? fe->chr : NULL;

    return chr && chr->ops->socket ? chr->ops->socket(chr) : -1;
}

int char_frontend_get_fds(CharFrontend *fe, int *fds, int max)
{
    Chardev *chr = fe->chr ? chardev_base(fe->chr) : NULL;

    return chr && chr->ops->get_fds ? chr->ops->get_fds(chr, fds, max) : 0;
}

/* A property whose field is a CharFrontend and whose value is the chardev's id. */

static bool set_chardev(Object *obj, const Property *prop, void *field, json_object *value,
                        GError **error)
{
    CharFrontend *fe = field;
    Chardev *chr;

    if (!json_object_is_type(value, json_type_string)) {
        error_setf(error, "property '%s' takes the id of a chardev", prop->name);
        return false;
    }
    chr = chardev_find(json_object_get_string(value), error);
    if (!chr) {
        g_prefix_error(error, "property '%s': ", prop->name);
        return false;
    }
    char_frontend_detach(fe);
    if (!char_frontend_attach(fe, chr, error)) {
        g_prefix_error(error, "property '%s': ", prop->name);
        return false;
    }
    return true;
}

static json_object *get_chardev(Object *obj, const Property *prop, const void *field)
{
    const CharFrontend *fe = field;

    return json_object_new_string(fe->chr ? chardev_id(fe->chr) : "");
}

static void release_chardev(Object *obj, const Property *prop, void *field)
{
    char_frontend_detach(field);
}

const PropertyKind prop_kind_chardev = {
    .type_name = "str",
    .json_type = "str",
    .set = set_chardev,
    .get = get_chardev,
    .release = release_chardev,
};
