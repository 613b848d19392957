/* SPDX-License-Identifier: Apache-2.0 */
#include "hw/net/pci-nics.h"

#include <string.h>

#include "net/nic.h"
#include "util/error.h"

/* What people call "virtio" is one of three devices. */
static const char *type_name(const char *model)
{
    return g_str_equal(model, "virtio") ? "virtio-net-pci" : model;
}

static const TypeInfo *find_model(const char *model, GError **error)
{
    const TypeInfo *type = type_find(type_name(model));
    const DeviceHooks *hooks = type ? type->hooks : NULL;

    if (!type || !type_is_a(type, TYPE_PCI_DEVICE) || !type->user_creatable || !hooks ||
        hooks->category != DEVICE_CATEGORY_NETWORK) {
        error_setf(error, "Unsupported NIC model: %s (-nic user,model=help lists them)", model);
        return NULL;
    }
    return type;
}

static bool set_properties(Object *dev, const NicRequest *request, GError **error)
{
    static const uint8_t none[NET_MAC_LEN];
    char mac[18];

    g_snprintf(mac, sizeof(mac), NET_MAC_FORMAT, NET_MAC_ARGS(request->mac));
    return (memcmp(request->mac, none, NET_MAC_LEN) == 0 ||
            object_property_set_str(dev, "mac", mac, error)) &&
           (!request->peer ||
            object_property_set_str(dev, "netdev", request->peer->name, error)) &&
           (!request->addr || object_property_parse(dev, "addr", request->addr, error)) &&
           (request->vectors < 0 ||
            object_property_set_int(dev, "vectors", request->vectors, error));
}

static bool create(PciBus *bus, NicRequest *request, const char *default_model, GError **error)
{
    const TypeInfo *type = find_model(request->model ? request->model : default_model, error);
    g_autoptr(Object) dev = NULL;

    if (!type) {
        return false;
    }
    request->claimed = true;
    dev = object_new_with_type(type);
    ((Device *)dev)->id = g_strdup(request->id);
    return set_properties(dev, request, error) &&
           device_realize_and_unref((Device *)g_steal_pointer(&dev), (Bus *)bus, error);
}

bool pci_nics_create(PciBus *bus, const char *default_model, GError **error)
{
    GPtrArray *requests = nic_requests();

    for (guint i = 0; i < requests->len; i++) {
        if (!create(bus, g_ptr_array_index(requests, i), default_model, error)) {
            return false;
        }
    }
    return true;
}
