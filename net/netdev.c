/* SPDX-License-Identifier: Apache-2.0 */
/* Backends by kind, and the texts of -netdev, -nic and -net. */
#include "net/netdev.h"

#include <string.h>

#include "net/backend.h"
#include "net/hub.h"
#include "net/nic.h"
#include "qapi/keyval.h"
#include "util/error.h"
#include "util/parse.h"

static const NetBackend *const backends[] = {
    &net_backend_user, &net_backend_tap, &net_backend_bridge, &net_backend_socket,
    &net_backend_stream, &net_backend_dgram, &net_backend_hubport,
    &net_backend_vhost_user,
};

static const NetBackend *find_backend(NetClientDriver kind)
{
    for (size_t i = 0; i < G_N_ELEMENTS(backends); i++) {
        if (backends[i]->kind == kind) {
            return backends[i];
        }
    }
    return NULL;
}

char *netdev_help(void)
{
    GString *text = g_string_new("Network backends (-netdev TYPE,id=ID,...):\n");

    for (size_t i = 0; i < G_N_ELEMENTS(backends); i++) {
        g_string_append_printf(text, "  %-10s %s\n", NetClientDriver_str(backends[i]->kind),
                               backends[i]->description);
    }
    return g_string_free(text, false);
}

static NetClient *create(const Netdev *options, bool default_net, GError **error)
{
    const NetBackend *backend = find_backend(options->type);
    NetClient *nc;

    if (!backend) {
        error_setf(error, "Parameter 'type' expects a netdev backend type; '%s' is none",
                   NetClientDriver_str(options->type));
        return NULL;
    }
    if (net_client_find(options->id)) {
        error_setf(error, "Duplicate ID '%s' for netdev", options->id);
        return NULL;
    }
    nc = backend->open(options, default_net, error);
    if (!nc) {
        return NULL;
    }
    for (unsigned i = 0, n = net_client_queues(nc); i < n; i++) {
        net_client_queue(nc, i)->is_netdev = true;
    }
    return nc;
}

bool netdev_add(const Netdev *options, GError **error)
{
    if (!object_id_is_valid(options->id)) {
        error_setf(error, "Parameter 'id' expects an identifier: a letter, then letters, digits, "
                   "'-', '.' and '_'");
        return false;
    }
    return create(options, false, error) != NULL;
}

bool netdev_del(const char *id, GError **error)
{
    NetClient *nc = net_client_find(id);

    if (!nc || net_client_is_nic(nc)) {
        error_set_code(error, VIREO_ERROR_DEVICE_NOT_FOUND, "Device '%s' not found", id);
        return false;
    }
    if (!nc->is_netdev || nc->is_legacy) {
        error_setf(error, "Device '%s' is not a netdev", id);
        return false;
    }
    for (unsigned i = net_client_queues(nc); i > 0; i--) {
        net_client_free(net_client_queue(nc, i - 1));
    }
    return true;
}

/* ---- Text ---- */

/* Keys that may come several times. */
static bool is_list(const char *key)
{
    return g_str_equal(key, "hostfwd") || g_str_equal(key, "guestfwd") ||
           g_str_equal(key, "dnssearch");
}

static void add_value(json_object *json, const char *key, const char *value)
{
    json_object *list = NULL, *element;

    if (!is_list(key)) {
        json_object_object_add(json, key, json_object_new_string(value));
        return;
    }
    if (!json_object_object_get_ex(json, key, &list)) {
        list = json_object_new_array();
        json_object_object_add(json, key, list);
    }
    element = json_object_new_object();
    json_object_object_add(element, "str", json_object_new_string(value));
    json_object_array_add(list, element);
}

/* "ipv6-net=fec0::/64" is an old way to say two things. */
static void add_ipv6_net(json_object *json, const char *value)
{
    g_auto(GStrv) parts = g_strsplit(value, "/", 2);

    add_value(json, "ipv6-prefix", parts[0] ? parts[0] : "");
    if (parts[0] && parts[1]) {
        add_value(json, "ipv6-prefixlen", parts[1]);
    }
}

static void add_part(json_object *json, const char *part, bool first)
{
    const char *equals = strchr(part, '=');
    g_autofree char *key = equals ? g_strndup(part, equals - part) : g_strdup(part);

    if (!*part) {
        return;
    }
    if (!equals && first) {
        add_value(json, "type", part);
    } else if (!equals && g_str_has_prefix(part, "no") && part[2]) {
        add_value(json, part + 2, "off");
    } else if (!equals) {
        add_value(json, part, "on");
    } else if (g_str_equal(key, "ipv6-net")) {
        add_ipv6_net(json, equals + 1);
    } else {
        add_value(json, key, equals + 1);
    }
}

/* type[,key=value]...; a doubled comma stands for one. */
static json_object *split(const char *text)
{
    json_object *json = json_object_new_object();
    g_autoptr(GString) part = g_string_new(NULL);
    bool first = true;

    for (const char *p = text;; p++) {
        if (p[0] == ',' && p[1] == ',') {
            g_string_append_c(part, *p++);
        } else if (*p == ',' || !*p) {
            add_part(json, part->str, first);
            g_string_truncate(part, 0);
            first = false;
            if (!*p) {
                return json;
            }
        } else {
            g_string_append_c(part, *p);
        }
    }
}

static const char *member(json_object *json, const char *key)
{
    json_object *value;

    return json_object_object_get_ex(json, key, &value) ? json_object_get_string(value) : NULL;
}

/* Dotted keys came with the newer backends; the others' values may hold dots anywhere. */
static json_object *parse(const char *text, GError **error)
{
    json_object *json;
    const char *type;

    if (keyval_is_json(text)) {
        return keyval_parse(text, NULL, NULL, error);
    }
    json = split(text);
    type = member(json, "type");
    if (type && (g_str_equal(type, "stream") || g_str_equal(type, "dgram"))) {
        json_object_put(json);
        json = keyval_parse(text, "type", NULL, error);
    }
    return json;
}

/* A member goes from json to *field, as text; the caller's. */
static void take(json_object *json, const char *key, char **field)
{
    const char *value = member(json, key);

    g_free(*field);
    *field = g_strdup(value);
    json_object_object_del(json, key);
}

static NetClient *create_from(json_object *json, bool text, bool default_net, GError **error)
{
    g_autoptr(Netdev) options = NULL;

    return Netdev_from_json(json, text ? QAPI_KEYVAL : QAPI_JSON, &options, error)
               ? create(options, default_net, error) : NULL;
}

bool netdev_option(const char *text, GError **error)
{
    json_object *json = parse(text, error);
    g_autoptr(Netdev) options = NULL;
    bool ok;

    if (!json) {
        return false;
    }
    ok = Netdev_from_json(json, keyval_flags(text), &options, error) && netdev_add(options, error);
    json_object_put(json);
    return ok;
}

/* Backends without a name of the user's get one that he cannot have given. */
static void make_up_id(json_object *json)
{
    g_autofree char *id = NULL;

    for (unsigned i = 0; !id || net_client_find(id); i++) {
        g_free(id);
        id = g_strdup_printf("#net%03u", i);
    }
    json_object_object_add(json, "id", json_object_new_string(id));
}

static bool take_mac(json_object *json, const char *key, uint8_t mac[NET_MAC_LEN], GError **error)
{
    const char *text = member(json, key);

    if (text && !net_parse_mac(text, mac, error)) {
        return false;
    }
    if (text && (mac[0] & 1)) {
        error_setf(error, "NIC cannot have multicast MAC address (odd 1st byte)");
        return false;
    }
    json_object_object_del(json, key);
    return true;
}

static bool nic_from(json_object *json, GError **error)
{
    NicRequest request = { .vectors = -1 }, *kept;
    const char *type = member(json, "type");

    if (type && g_str_equal(type, "none")) {
        return true;
    }
    if (!type) {
        error_setf(error, "Parameter 'type' is missing");
        return false;
    }
    if (!take_mac(json, "mac", request.mac, error)) {
        return false;
    }
    if (g_str_equal(type, "nic")) {
        error_setf(error, "Parameter 'type' expects a netdev backend type; 'nic' is none");
        return false;
    }
    take(json, "model", &request.model);
    take(json, "id", &request.id);
    make_up_id(json);
    request.peer = create_from(json, true, false, error);
    if (!request.peer) {
        g_free(request.model);
        g_free(request.id);
        return false;
    }
    kept = nic_request_new();
    *kept = request;
    return true;
}

bool nic_option(const char *text, GError **error)
{
    json_object *json = parse(text, error);
    bool ok = json && nic_from(json, error);

    json_object_put(json);
    return ok;
}

/* NULL: the two cannot be wired. nc NULL: a port for a device. */
static NetClient *hub_port_for(NetClient *nc, GError **error)
{
    NetClient *port = net_hub_port_new(0, NULL);

    if (nc && !net_hub_may_connect(port, nc, error)) {
        net_client_free(port);
        return NULL;
    }
    if (nc) {
        nc->is_legacy = true;
        net_client_connect(port, nc);
    }
    return port;
}

/* -net nic,...: a NIC at the named backend, or at hub 0. */
static bool legacy_nic(json_object *json, GError **error)
{
    NicRequest request = { .vectors = -1 }, *kept;
    g_autofree char *netdev = NULL;
    g_autofree char *vectors = NULL;
    uint64_t number;

    if (!take_mac(json, "macaddr", request.mac, error)) {
        return false;
    }
    take(json, "netdev", &netdev);
    take(json, "vectors", &vectors);
    if (vectors && (!parse_uint64(vectors, &number, error) || number > 0x7ffffff)) {
        if (error && !*error) {
            error_setf(error, "invalid # of vectors: %s", vectors);
        }
        return false;
    }
    if (netdev) {
        request.peer = net_client_find(netdev);
        if (!request.peer || request.peer->peer) {
            error_setf(error, request.peer ? "netdev '%s' is in use already"
                                           : "netdev '%s' not found", netdev);
            return false;
        }
    }
    request.vectors = vectors ? (int64_t)number : -1;
    request.peer = request.peer ? request.peer : hub_port_for(NULL, NULL);
    take(json, "model", &request.model);
    take(json, "addr", &request.addr);
    take(json, "name", &request.id);
    if (member(json, "id")) {
        take(json, "id", &request.id);
    }
    kept = nic_request_new();
    *kept = request;
    json_object_object_del(json, "type");
    json_object_object_foreach(json, key, value) {
        error_setf(error, "Parameter '%s' is unexpected", key);
        return false;
    }
    return true;
}

static bool legacy_from(json_object *json, GError **error)
{
    const char *type = member(json, "type");
    g_autofree char *name = NULL;
    NetClient *nc;

    if (type && g_str_equal(type, "none")) {
        return true;
    }
    if (type && g_str_equal(type, "nic")) {
        return legacy_nic(json, error);
    }
    take(json, "name", &name);
    if (name) {
        json_object_object_add(json, "id", json_object_new_string(name));
    } else if (!member(json, "id")) {
        make_up_id(json);
    }
    nc = create_from(json, true, false, error);
    if (!nc) {
        return false;
    }
    if (net_client_queues(nc) > 1) {
        netdev_del(nc->name, NULL);
        error_setf(error, "a hub has no ports with several queues");
        return false;
    }
    if (!hub_port_for(nc, error)) {
        net_client_free(nc);
        return false;
    }
    return true;
}

bool net_option(const char *text, GError **error)
{
    json_object *json = parse(text, error);
    bool ok = json && legacy_from(json, error);

    json_object_put(json);
    return ok;
}

void net_make_default(void)
{
    json_object *json = split("user");
    NicRequest *request;
    NetClient *nc;

    make_up_id(json);
    nc = create_from(json, true, true, NULL);
    json_object_put(json);
    request = nic_request_new();
    request->is_default = true;
    request->peer = hub_port_for(NULL, NULL);
    if (nc) {
        hub_port_for(nc, NULL);
    }
}

static bool warn_without_peer(NetClient *nc, void *opaque)
{
    if (!nc->peer && nc->queue_index == 0) {
        warn_report("%s %s has no peer", net_client_is_nic(nc) ? "nic" : "netdev", nc->name);
    }
    return true;
}

void net_check(void)
{
    net_hub_check();
    net_client_foreach(warn_without_peer, NULL);
    nic_requests_check();
}

/* ---- For people ---- */

static void describe_client(GString *out, NetClient *nc)
{
    g_string_append_printf(out, "%s: index=%u,type=%s,%s\n", nc->name, nc->queue_index,
                           NetClientDriver_str(nc->ops->kind), nc->info ? nc->info : "");
}

static bool describe(NetClient *nc, void *opaque)
{
    GString *out = opaque;

    if (net_hub_id(nc) >= 0) {
        return true;
    }
    if (!nc->peer || net_client_is_nic(nc)) {
        describe_client(out, nc);
        if (nc->peer) {
            g_string_append(out, " \\ ");
            describe_client(out, nc->peer);
        }
    }
    return true;
}

char *net_describe(void)
{
    GString *out = g_string_new(NULL);

    net_hub_describe(out, describe_client);
    net_client_foreach(describe, out);
    return g_string_free(out, false);
}
