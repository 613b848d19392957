/* SPDX-License-Identifier: Apache-2.0 */
/* -netdev, -nic and -net. */
#include <stdio.h>
#include <string.h>

#include "hw/core/device.h"
#include "net/netdev.h"
#include "net/nic.h"
#include "system/help.h"
#include "system/machine-setup.h"
#include "system/options-internal.h"
#include "util/error.h"

static bool is_network_device(const TypeInfo *type)
{
    const DeviceHooks *hooks = type->hooks;

    return type->user_creatable && hooks && hooks->category == DEVICE_CATEGORY_NETWORK;
}

static char *models_help(void)
{
    g_autoptr(GPtrArray) types = type_list(TYPE_DEVICE, false);
    GString *text = g_string_new("Supported NIC models:\n");

    for (guint i = 0; i < types->len; i++) {
        const TypeInfo *type = g_ptr_array_index(types, i);

        if (is_network_device(type)) {
            g_string_append_printf(text, "%s\n", type->name);
        }
    }
    return g_string_free(text, false);
}

/* -netdev, -nic, -net; "help" lists backends, "model=help" devices. */
OptionResult opt_network(VmOptions *options, const Option *option, const char *argument,
                         GError **error)
{
    g_autofree char *enclosed = g_strdup_printf(",%s,", argument);

    if (g_str_equal(argument, "help") || g_str_equal(argument, "?")) {
        return help_print(netdev_help(), error);
    }
    if (strstr(enclosed, ",model=help,") || strstr(enclosed, ",model=?,")) {
        return help_print(models_help(), error);
    }
    return opt_string_list(options, option, argument, error);
}

static bool apply(const char *name, const GPtrArray *texts,
                  bool (*fn)(const char *text, GError **error), GError **error)
{
    for (guint i = 0; i < texts->len; i++) {
        const char *text = g_ptr_array_index(texts, i);

        if (!fn(text, error)) {
            g_prefix_error(error, "-%s %s: ", name, text);
            return false;
        }
    }
    return true;
}

bool setup_networks(VmOptions *options, GError **error)
{
    bool asked = options->netdev->len || options->nic->len || options->net->len;

    if (!apply("netdev", options->netdev, netdev_option, error) ||
        !apply("nic", options->nic, nic_option, error) ||
        !apply("net", options->net, net_option, error)) {
        return false;
    }
    if (!asked && !options->no_defaults && machine_current()->ops->default_nic) {
        net_make_default();
    }
    return true;
}
