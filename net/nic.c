/* SPDX-License-Identifier: Apache-2.0 */
#include "net/nic.h"

#include <stdio.h>
#include <string.h>

#include "qapi/qapi-events-net.h"
#include "util/error.h"

/* Addresses that are given out: this one and those after it. */
static const uint8_t first_mac[NET_MAC_LEN] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 };
static const uint8_t no_mac[NET_MAC_LEN];

static GPtrArray *requests;

/* ---- Addresses ---- */

bool net_parse_mac(const char *text, uint8_t mac[NET_MAC_LEN], GError **error)
{
    unsigned bytes[NET_MAC_LEN];
    char separator = strchr(text, '-') ? '-' : ':';
    g_autofree char *colons = g_strdelimit(g_strdup(text), "-", ':');
    int used = 0;

    if (sscanf(colons, "%2x:%2x:%2x:%2x:%2x:%2x%n", &bytes[0], &bytes[1], &bytes[2], &bytes[3],
               &bytes[4], &bytes[5], &used) != NET_MAC_LEN || colons[used] ||
        (separator == '-' && strchr(text, ':'))) {
        error_setf(error, "'%s' is not a MAC address such as 52:54:00:12:34:56", text);
        return false;
    }
    for (unsigned i = 0; i < NET_MAC_LEN; i++) {
        mac[i] = bytes[i];
    }
    return true;
}

static bool set_mac(Object *obj, const Property *prop, void *field, json_object *value,
                    GError **error)
{
    uint8_t mac[NET_MAC_LEN];

    if (!json_object_is_type(value, json_type_string)) {
        error_setf(error, "property '%s' takes a MAC address", prop->name);
        return false;
    }
    if (!net_parse_mac(json_object_get_string(value), mac, error)) {
        g_prefix_error(error, "property '%s': ", prop->name);
        return false;
    }
    memcpy(field, mac, sizeof(mac));
    return true;
}

static json_object *get_mac(Object *obj, const Property *prop, const void *field)
{
    const uint8_t *mac = field;
    char text[18];

    g_snprintf(text, sizeof(text), NET_MAC_FORMAT, NET_MAC_ARGS(mac));
    return json_object_new_string(text);
}

const PropertyKind prop_kind_mac = {
    .type_name = "str",
    .json_type = "str",
    .set = set_mac,
    .get = get_mac,
};

static bool mac_is_taken(const uint8_t mac[NET_MAC_LEN])
{
    for (guint i = 0; requests && i < requests->len; i++) {
        const NicRequest *request = g_ptr_array_index(requests, i);

        if (!request->claimed && memcmp(request->mac, mac, NET_MAC_LEN) == 0) {
            return true;
        }
    }
    return false;
}

typedef struct MacSearch {
    const uint8_t *mac;
    bool found;
} MacSearch;

static bool has_mac(NetClient *nc, void *opaque)
{
    MacSearch *search = opaque;

    search->found = net_client_is_nic(nc) && memcmp(nc->mac, search->mac, NET_MAC_LEN) == 0;
    return !search->found;
}

static void choose_mac(uint8_t mac[NET_MAC_LEN])
{
    memcpy(mac, first_mac, NET_MAC_LEN);
    for (;; mac[5]++) {
        MacSearch search = { .mac = mac };

        net_client_foreach(has_mac, &search);
        if ((!search.found && !mac_is_taken(mac)) || mac[5] == (uint8_t)(first_mac[5] - 1)) {
            return;
        }
    }
}

/* ---- The backend's name as a property ---- */

static bool set_netdev(Object *obj, const Property *prop, void *field, json_object *value,
                       GError **error)
{
    const char *id = json_object_get_string(value);
    NetClient *nc;

    if (!json_object_is_type(value, json_type_string)) {
        error_setf(error, "property '%s' takes the id of a network backend", prop->name);
        return false;
    }
    nc = net_client_find(id);
    if (!nc || net_client_is_nic(nc)) {
        error_setf(error, "Property '%s.%s' can't find value '%s'", object_type_name(obj),
                   prop->name, id);
        return false;
    }
    if (nc->peer) {
        error_setf(error, "Property '%s.%s' can't take value '%s', it's in use",
                   object_type_name(obj), prop->name, id);
        return false;
    }
    if (nc->ops->kind == NET_CLIENT_DRIVER_VHOST_USER &&
        !g_str_has_prefix(object_type_name(obj), "virtio-net-")) {
        error_setf(error, "netdev '%s' of type vhost-user requires frontend driver virtio-net-*",
                   id);
        return false;
    }
    *(NetClient **)field = nc;
    return true;
}

static json_object *get_netdev(Object *obj, const Property *prop, const void *field)
{
    NetClient *nc = *(NetClient *const *)field;

    return json_object_new_string(nc ? nc->name : "");
}

const PropertyKind prop_kind_netdev = {
    .type_name = "str",
    .json_type = "str",
    .set = set_netdev,
    .get = get_netdev,
};

/* ---- The device's clients ---- */

void nic_start(NicConfig *nic, const NetClientOps *ops, const char *model, const char *id,
               unsigned queues, void *opaque)
{
    g_autofree char *name = NULL;

    if (memcmp(nic->mac, no_mac, NET_MAC_LEN) == 0) {
        choose_mac(nic->mac);
    }
    nic->queues = queues;
    nic->clients = g_new0(NetClient *, queues);
    for (unsigned i = 0; i < queues; i++) {
        NetClient *peer = nic->netdev ? net_client_queue(nic->netdev, i) : NULL;

        nic->clients[i] = net_client_new(ops, model, i ? name : id, i, opaque);
        if (i == 0) {
            name = g_strdup(nic->clients[0]->name);
        }
        if (peer) {
            /* A cable that set_link unplugged before the device came. */
            nic->clients[i]->link_down = peer->link_down;
            net_client_connect(nic->clients[i], peer);
        }
    }
    nic_set_mac(nic, nic->mac);
}

void nic_stop(NicConfig *nic)
{
    for (unsigned i = nic->queues; i > 0; i--) {
        net_client_free(nic->clients[i - 1]);
    }
    g_clear_pointer(&nic->clients, g_free);
    nic->queues = 0;
    nic->netdev = NULL;
}

void nic_set_mac(NicConfig *nic, const uint8_t mac[NET_MAC_LEN])
{
    for (unsigned i = 0; i < nic->queues; i++) {
        NetClient *nc = nic->clients[i];

        memcpy(nc->mac, mac, NET_MAC_LEN);
        net_client_set_info(nc, "model=%s,macaddr=" NET_MAC_FORMAT, nc->model, NET_MAC_ARGS(mac));
    }
}

void nic_rx_filter_changed(NicConfig *nic, const Object *device)
{
    NetClient *nc = nic->queues ? nic->clients[0] : NULL;
    g_autofree char *path = NULL;

    if (!nc || nc->rx_filter_told) {
        return;
    }
    nc->rx_filter_told = true;
    path = object_path(device);
    if (path) {
        qapi_event_send_nic_rx_filter_changed(nc->name, path);
    }
}

/* ---- What the command line asks the board for ---- */

static void request_free(void *data)
{
    NicRequest *request = data;

    g_free(request->model);
    g_free(request->id);
    g_free(request->addr);
    g_free(request);
}

GPtrArray *nic_requests(void)
{
    if (!requests) {
        requests = g_ptr_array_new_with_free_func(request_free);
    }
    return requests;
}

NicRequest *nic_request_new(void)
{
    NicRequest *request = g_new0(NicRequest, 1);

    request->vectors = -1;
    g_ptr_array_add(nic_requests(), request);
    return request;
}

void nic_requests_check(void)
{
    for (guint i = 0; requests && i < requests->len; i++) {
        const NicRequest *request = g_ptr_array_index(requests, i);

        if (!request->claimed && !request->is_default) {
            warn_report("requested NIC (%s, model %s) was not created (not supported by this "
                        "machine?)", request->id ? request->id : "anonymous",
                        request->model ? request->model : "unspecified");
        }
    }
}
