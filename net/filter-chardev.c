/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filter-mirror and filter-redirector: frames on character devices (net/frame.h). A mirror copies
 * frames to outdev. A redirector sends them there instead of letting them go on, and lets those go
 * on that come from indev.
 */
#include <string.h>

#include "chardev/chardev.h"
#include "net/filter.h"
#include "net/frame.h"
#include "util/error.h"
#include "util/iov.h"

#define READ_CHUNK 65536

typedef struct ChardevFilter {
    NetFilter parent_obj;
    char *in_id, *out_id;
    bool vnet_headers;
    CharFrontend in, out;
    NetFrameReader reader;
} ChardevFilter;

static void write_frame(ChardevFilter *filter, const NetPacket *packet)
{
    uint8_t header[8 + NET_VNET_HEADER];
    unsigned header_len = net_frame_header(header, filter->vnet_headers, packet);
    g_autofree uint8_t *bytes = g_malloc(header_len + packet->size);

    /* In one piece, so that a peer which comes in between sees whole frames. */
    memcpy(bytes, header, header_len);
    iov_to_buf(packet->iov, packet->n, 0, bytes + header_len, packet->size);
    char_frontend_write_all(&filter->out, bytes, header_len + packet->size);
}

static bool mirror_receive(NetFilter *base, NetClient *from, const NetPacket *packet)
{
    write_frame((ChardevFilter *)base, packet);
    return false;
}

static bool redirector_receive(NetFilter *base, NetClient *from, const NetPacket *packet)
{
    ChardevFilter *filter = (ChardevFilter *)base;

    if (!filter->out.chr) {
        return false;
    }
    write_frame(filter, packet);
    return true;
}

/* ---- From indev ---- */

static int can_read(void *opaque)
{
    return READ_CHUNK;
}

static void pass_frame(const uint8_t *data, size_t size, const NetOffload *offload, void *opaque)
{
    NetFilter *filter = opaque;
    const struct iovec iov = { (void *)data, size };
    const NetPacket packet = { .iov = &iov, .n = 1, .size = size, .offload = *offload };

    if (!filter->nc || filter->off) {
        return;
    }
    if (filter->queue != NET_FILTER_RX) {
        net_filter_pass_on(filter, filter->nc, &packet);
    }
    if (filter->queue != NET_FILTER_TX && filter->nc->peer) {
        net_filter_pass_on(filter, filter->nc->peer, &packet);
    }
}

static void read_bytes(void *opaque, const uint8_t *buf, int size)
{
    ChardevFilter *filter = opaque;

    if (!net_frame_feed(&filter->reader, buf, size, pass_frame, filter)) {
        warn_report("filter-redirector: '%s' sends no frames; it is closed", filter->in_id);
        net_frame_reader_clear(&filter->reader);
        char_frontend_disconnect(&filter->in);
    }
}

static void event(void *opaque, CharEvent what)
{
    ChardevFilter *filter = opaque;

    if (what == CHAR_EVENT_CLOSED) {
        net_frame_reader_clear(&filter->reader);
    }
}

static const CharFrontendOps in_ops = {
    .can_read = can_read,
    .read = read_bytes,
    .event = event,
};

/* ---- Life ---- */

static bool attach(CharFrontend *fe, const char *id, GError **error)
{
    Chardev *chr = chardev_find(id, error);

    return chr && char_frontend_attach(fe, chr, error);
}

static bool mirror_complete(Object *obj, GError **error)
{
    ChardevFilter *filter = (ChardevFilter *)obj;

    if (!filter->out_id) {
        error_setf(error, "filter-mirror needs outdev=CHARDEV");
        return false;
    }
    return attach(&filter->out, filter->out_id, error);
}

static bool redirector_complete(Object *obj, GError **error)
{
    ChardevFilter *filter = (ChardevFilter *)obj;

    if (!filter->in_id && !filter->out_id) {
        error_setf(error, "filter-redirector needs indev=CHARDEV or outdev=CHARDEV");
        return false;
    }
    if (filter->in_id && g_strcmp0(filter->in_id, filter->out_id) == 0) {
        error_setf(error, "filter-redirector: indev and outdev must differ");
        return false;
    }
    if ((filter->out_id && !attach(&filter->out, filter->out_id, error)) ||
        (filter->in_id && !attach(&filter->in, filter->in_id, error))) {
        return false;
    }
    net_frame_reader_init(&filter->reader, filter->vnet_headers);
    char_frontend_set_handlers(&filter->in, &in_ops, filter, NULL);
    return true;
}

static void chardev_filter_finalize(Object *obj)
{
    ChardevFilter *filter = (ChardevFilter *)obj;

    char_frontend_detach(&filter->in);
    char_frontend_detach(&filter->out);
    net_frame_reader_clear(&filter->reader);
}

#define OUT_PROPERTIES \
    PROP_STRING("outdev", ChardevFilter, out_id, NULL, "character device that gets frames"), \
    PROP_BOOL("vnet_hdr_support", ChardevFilter, vnet_headers, false, \
              "with what is still to be done to each frame")

static const Property mirror_properties[] = {
    OUT_PROPERTIES,
    PROP_END,
};

static const Property redirector_properties[] = {
    PROP_STRING("indev", ChardevFilter, in_id, NULL, "character device from which frames come"),
    OUT_PROPERTIES,
    PROP_END,
};

static const NetFilterOps mirror_ops = {
    .receive = mirror_receive,
};

static const NetFilterOps redirector_ops = {
    .receive = redirector_receive,
};

static const UserObjectHooks mirror_hooks = {
    .complete = mirror_complete,
};

static const UserObjectHooks redirector_hooks = {
    .complete = redirector_complete,
};

static const TypeInfo mirror_type = {
    .name = "filter-mirror",
    .parent = TYPE_NET_FILTER,
    .description = "copies frames to a character device",
    .instance_size = sizeof(ChardevFilter),
    .user_creatable = true,
    .properties = mirror_properties,
    .instance_finalize = chardev_filter_finalize,
    .hooks = &mirror_hooks,
    .ops = &mirror_ops,
};
QOM_TYPE(mirror_type);

static const TypeInfo redirector_type = {
    .name = "filter-redirector",
    .parent = TYPE_NET_FILTER,
    .description = "leads frames over character devices",
    .instance_size = sizeof(ChardevFilter),
    .user_creatable = true,
    .properties = redirector_properties,
    .instance_finalize = chardev_filter_finalize,
    .hooks = &redirector_hooks,
    .ops = &redirector_ops,
};
QOM_TYPE(redirector_type);
