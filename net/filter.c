/* SPDX-License-Identifier: Apache-2.0 */
/* What all filters share: their place on the wire. */
#include "net/filter.h"

#include <string.h>

#include "net/net-internal.h"
#include "util/error.h"

static const NetFilterOps *filter_ops(const NetFilter *filter)
{
    return object_ops(filter);
}

/* ---- The way of a frame ---- */

static bool sees(const NetFilter *filter, NetFilterQueue direction)
{
    return !filter->off && (filter->queue == NET_FILTER_ALL || filter->queue == (int)direction);
}

/* *after: filters up to this one are behind the frame already; NULL once it is met. */
static bool pass(NetClient *nc, NetClient *from, const NetPacket *packet,
                 NetFilterQueue direction, NetFilter **after)
{
    guint n = nc->filters ? nc->filters->len : 0;

    for (guint i = 0; i < n && i < nc->filters->len; i++) {
        guint at = direction == NET_FILTER_TX ? i : nc->filters->len - 1 - i;
        NetFilter *filter = g_ptr_array_index(nc->filters, at);

        if (*after) {
            *after = filter == *after ? NULL : *after;
        } else if (sees(filter, direction) && filter_ops(filter)->receive(filter, from, packet)) {
            return false;
        }
    }
    return true;
}

bool net_filters_pass(NetClient *from, const NetPacket *packet, NetFilter *after)
{
    NetFilter *behind = after;

    if (!from->filters && !from->peer->filters) {
        return true;
    }
    /* A filter of the receiver's end: those of the sender's end are behind it too. */
    if (after && after->nc != from) {
        return pass(from->peer, from, packet, NET_FILTER_RX, &behind);
    }
    return pass(from, from, packet, NET_FILTER_TX, &behind) &&
           pass(from->peer, from, packet, NET_FILTER_RX, &behind);
}

void net_filters_detach(NetClient *nc)
{
    for (guint i = 0; nc->filters && i < nc->filters->len; i++) {
        NetFilter *filter = g_ptr_array_index(nc->filters, i);

        if (filter_ops(filter)->switched) {
            filter_ops(filter)->switched(filter, false);
        }
        filter->nc = NULL;
    }
    g_clear_pointer(&nc->filters, g_ptr_array_unref);
}

/* ---- Its place ---- */

static int find_filter(const NetClient *nc, const char *id)
{
    for (guint i = 0; nc->filters && i < nc->filters->len; i++) {
        const Object *obj = g_ptr_array_index(nc->filters, i);

        if (g_strcmp0(obj->name, id) == 0) {
            return i;
        }
    }
    return -1;
}

/* The index at which it is put in; -1 with the error set. */
static int choose_place(const NetFilter *filter, const NetClient *nc, GError **error)
{
    const char *position = filter->position ? filter->position : "tail";
    bool before = g_strcmp0(filter->insert, "before") == 0;
    int at;

    if (g_str_equal(position, "head")) {
        return 0;
    }
    if (g_str_equal(position, "tail")) {
        return nc->filters ? nc->filters->len : 0;
    }
    if (!g_str_has_prefix(position, "id=")) {
        error_setf(error, "position '%s' should be 'head', 'tail' or 'id=<id>'", position);
        return -1;
    }
    at = find_filter(nc, position + strlen("id="));
    if (at < 0) {
        error_setf(error, "netdev '%s' has no filter '%s' to stand beside", filter->netdev,
                   position + strlen("id="));
        return -1;
    }
    return before ? at : at + 1;
}

static bool filter_complete(Object *obj, GError **error)
{
    NetFilter *filter = (NetFilter *)obj;
    NetClient *nc;
    int at;

    if (!filter->netdev) {
        error_setf(error, "a filter needs netdev=ID");
        return false;
    }
    nc = net_client_find(filter->netdev);
    if (!nc || net_client_is_nic(nc)) {
        error_setf(error, "there is no netdev '%s' to filter", filter->netdev);
        return false;
    }
    if (net_client_queues(nc) > 1) {
        error_setf(error, "netdev '%s' has several queues, which filters do not support",
                   filter->netdev);
        return false;
    }
    if (filter->insert && !g_str_equal(filter->insert, "before") &&
        !g_str_equal(filter->insert, "behind")) {
        error_setf(error, "insert '%s' should be 'before' or 'behind'", filter->insert);
        return false;
    }
    at = choose_place(filter, nc, error);
    if (at < 0) {
        return false;
    }
    if (!nc->filters) {
        nc->filters = g_ptr_array_new();
    }
    g_ptr_array_insert(nc->filters, at, filter);
    filter->nc = nc;
    return true;
}

static void filter_finalize(Object *obj)
{
    NetFilter *filter = (NetFilter *)obj;

    if (filter->nc) {
        g_ptr_array_remove(filter->nc->filters, filter);
    }
}

/* ---- Properties ---- */

static json_object *get_status(Object *obj, const Property *prop)
{
    return json_object_new_string(((NetFilter *)obj)->off ? "off" : "on");
}

static bool set_status(Object *obj, const Property *prop, json_object *value, GError **error)
{
    NetFilter *filter = (NetFilter *)obj;
    const char *text = json_object_get_string(value);
    bool off = text && g_str_equal(text, "off");

    if (!off && !(text && g_str_equal(text, "on"))) {
        error_setf(error, "status should be 'on' or 'off'");
        return false;
    }
    if (off != filter->off) {
        filter->off = off;
        if (filter->nc && filter_ops(filter)->switched) {
            filter_ops(filter)->switched(filter, !off);
        }
    }
    return true;
}

static const char *const queue_names[] = { "all", "rx", "tx", NULL };

static const Property filter_properties[] = {
    PROP_STRING("netdev", NetFilter, netdev, NULL, "backend whose frames it sees"),
    PROP_ENUM("queue", NetFilter, queue, queue_names, NET_FILTER_ALL,
              "frames to the backend (rx), from it (tx), or both"),
    PROP_COMPUTED("status", prop_kind_string, get_status, set_status, "on or off"),
    PROP_STRING("position", NetFilter, position, NULL,
                "head, tail, or id=ID of the filter beside which it is put"),
    PROP_STRING("insert", NetFilter, insert, NULL, "before or behind that filter"),
    PROP_END,
};

static const UserObjectHooks filter_hooks = {
    .complete = filter_complete,
};

static const TypeInfo filter_type = {
    .name = TYPE_NET_FILTER,
    .parent = TYPE_USER_OBJECT,
    .description = "any network filter",
    .instance_size = sizeof(NetFilter),
    .is_abstract = true,
    .properties = filter_properties,
    .instance_finalize = filter_finalize,
    .hooks = &filter_hooks,
};
QOM_TYPE(filter_type);
