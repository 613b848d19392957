/* SPDX-License-Identifier: Apache-2.0 */
/* QMP commands of qapi/net.json. */
#include "net/netdev.h"
#include "qapi/qapi-commands-net.h"
#include "util/error.h"

bool qmp_set_link(const char *name, bool up, GError **error)
{
    return net_set_link(name, up, error);
}

bool qmp_netdev_add(const Netdev *arg, GError **error)
{
    return netdev_add(arg, error);
}

bool qmp_netdev_del(const char *id, GError **error)
{
    return netdev_del(id, error);
}

bool qmp_announce_self(const AnnounceParameters *arg, GError **error)
{
    return net_announce(arg, error);
}

static void add_rx_filter(GPtrArray *list, NetClient *nc)
{
    g_ptr_array_add(list, nc->ops->rx_filter(nc));
    nc->rx_filter_told = false;
}

static bool collect(NetClient *nc, void *opaque)
{
    if (nc->ops->rx_filter && nc->queue_index == 0) {
        add_rx_filter(opaque, nc);
    }
    return true;
}

GPtrArray *qmp_query_rx_filter(const char *name, GError **error)
{
    g_autoptr(GPtrArray) list = RxFilterInfo_list_new();
    NetClient *nc;

    if (!name) {
        net_client_foreach(collect, list);
        return g_steal_pointer(&list);
    }
    nc = net_client_find(name);
    if (!nc) {
        error_setf(error, "invalid net client name: %s", name);
    } else if (!net_client_is_nic(nc)) {
        error_setf(error, "net client(%s) isn't a NIC", name);
    } else if (!nc->ops->rx_filter) {
        error_setf(error, "net client(%s) doesn't support rx-filter querying", name);
    } else {
        add_rx_filter(list, nc);
        return g_steal_pointer(&list);
    }
    return NULL;
}
