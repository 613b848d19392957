/* SPDX-License-Identifier: Apache-2.0 */
/* The client of a user network, and the rules that come and go while it runs. */
#include "net/user.h"

#include <arpa/inet.h>
#include <string.h>

#include "net/backend.h"
#include "net/hub.h"
#include "util/error.h"
#include "util/iov.h"
#include "util/module.h"

typedef struct UserNet {
    const NetUserModule *module;
    NetUserConfig config;
    void *state;   /* NULL: not started; nobody has sent anything */
    bool broken;   /* it could not be started */
} UserNet;

static bool start(NetClient *nc, GError **error)
{
    UserNet *net = nc->opaque;

    if (!net->module) {
        net->module = module_symbol(NET_USER_MODULE, NET_USER_SYMBOL, error);
    }
    net->state = net->module ? net->module->start(nc, &net->config, error) : NULL;
    net->broken = !net->state;
    return net->state != NULL;
}

/* A default network starts when the guest sends its first frame. */
static bool started(NetClient *nc)
{
    UserNet *net = nc->opaque;
    g_autoptr(GError) error = NULL;

    if (!net->state && !net->broken && !start(nc, &error)) {
        warn_report("user network '%s': %s", nc->name, error->message);
    }
    return net->state != NULL;
}

static int user_receive(NetClient *nc, const NetPacket *packet)
{
    UserNet *net = nc->opaque;
    g_autofree uint8_t *copy = NULL;
    const uint8_t *frame = iov_contiguous(packet->iov, packet->n, 0, packet->size);

    if (!started(nc)) {
        return 0;
    }
    if (!frame) {
        copy = g_malloc(packet->size);
        iov_to_buf(packet->iov, packet->n, 0, copy, packet->size);
        frame = copy;
    }
    net->module->input(net->state, frame, packet->size);
    return 0;
}

static void user_cleanup(NetClient *nc)
{
    UserNet *net = nc->opaque;

    if (net->state) {
        net->module->stop(net->state);
    }
    net_user_config_clear(&net->config);
    g_free(net);
}

static const NetClientOps user_ops = {
    .kind = NET_CLIENT_DRIVER_USER,
    .receive = user_receive,
    .cleanup = user_cleanup,
};

static bool add_host_forward(UserNet *net, const char *rule, GError **error)
{
    NetHostForward forward;

    return net_parse_host_forward(rule, &forward, error) &&
           net->module->add_host_forward(net->state, &forward, error);
}

static bool add_guest_forward(UserNet *net, const char *rule, GError **error)
{
    NetGuestForward forward;
    bool ok;

    ok = net_parse_guest_forward(rule, &forward, error) &&
         net->module->add_guest_forward(net->state, &forward, error);
    net_guest_forward_clear(&forward);
    return ok;
}

static bool add_rules(UserNet *net, const GPtrArray *rules,
                      bool (*add)(UserNet *net, const char *rule, GError **error), GError **error)
{
    for (guint i = 0; rules && i < rules->len; i++) {
        if (!add(net, ((const String *)g_ptr_array_index(rules, i))->str, error)) {
            return false;
        }
    }
    return true;
}

static NetClient *user_open(const Netdev *netdev, bool default_net, GError **error)
{
    const NetdevUserOptions *options = &netdev->u.user;
    NetUserConfig config;
    UserNet *net;
    NetClient *nc;

    if (!net_user_config(options, &config, error)) {
        return NULL;
    }
    net = g_new0(UserNet, 1);
    net->config = config;
    nc = net_client_new(&user_ops, "user", netdev->id, 0, net);
    net_client_set_info(nc, "net=%s,restrict=%s", inet_ntoa(config.net),
                        config.restricted ? "on" : "off");
    if (!default_net &&
        (!start(nc, error) || !add_rules(net, options->hostfwd, add_host_forward, error) ||
         !add_rules(net, options->guestfwd, add_guest_forward, error))) {
        net_client_free(nc);
        return NULL;
    }
    return nc;
}

const NetBackend net_backend_user = {
    .kind = NET_CLIENT_DRIVER_USER,
    .description = "a network inside this program, which reaches others by the host's sockets",
    .open = user_open,
};

/* ---- While it runs ---- */

static bool find_first(NetClient *nc, void *opaque)
{
    NetClient **found = opaque;

    if (nc->ops == &user_ops) {
        *found = nc;
        return false;
    }
    return true;
}

static NetClient *find(const char *id, GError **error)
{
    NetClient *nc = NULL;

    if (!id) {
        net_client_foreach(find_first, &nc);
        if (!nc) {
            error_setf(error, "user mode network stack not in use");
        }
    } else {
        nc = net_client_find(id);
        if (!nc) {
            error_setf(error, "unrecognized netdev id '%s'", id);
        } else if (nc->ops != &user_ops) {
            error_setf(error, "invalid device specified");
            nc = NULL;
        }
    }
    return nc && (((UserNet *)nc->opaque)->state || start(nc, error)) ? nc : NULL;
}

bool net_user_add_forward(const char *id, const char *rule, GError **error)
{
    NetClient *nc = find(id, error);

    return nc && add_host_forward(nc->opaque, rule, error);
}

bool net_user_remove_forward(const char *id, const char *rule, GError **error)
{
    NetClient *nc = find(id, error);
    NetHostForward forward;
    UserNet *net;

    if (!nc || !net_parse_host_port(rule, &forward, error)) {
        return false;
    }
    net = nc->opaque;
    if (!net->state || !net->module->remove_host_forward(net->state, &forward)) {
        error_setf(error, "host forwarding rule for %s not found", rule);
        return false;
    }
    return true;
}

static bool describe(NetClient *nc, void *opaque)
{
    GString *out = opaque;
    UserNet *net = nc->opaque;
    g_autofree char *connections = NULL;

    if (nc->ops != &user_ops) {
        return true;
    }
    connections = net->state ? net->module->describe(net->state)
                             : g_strdup("  not started: the guest has sent nothing yet\n");
    g_string_append_printf(out, "Hub %d (%s):\n%s", net_hub_id(nc), nc->name, connections);
    return true;
}

char *net_user_describe(void)
{
    GString *out = g_string_new(NULL);

    net_client_foreach(describe, out);
    return g_string_free(out, false);
}
