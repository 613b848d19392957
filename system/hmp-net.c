/* SPDX-License-Identifier: Apache-2.0 */
/* Human monitor: networks. */
#include "system/hmp-net.h"

#include "monitor/hmp.h"
#include "net/netdev.h"
#include "net/user.h"

/* Rounds as after a migration. */
#define ANNOUNCE_INITIAL_MS 50
#define ANNOUNCE_MAX_MS 550
#define ANNOUNCE_ROUNDS 5
#define ANNOUNCE_STEP_MS 100

static bool add_netdev(Hmp *hmp, const HmpValue *values, GError **error)
{
    return netdev_option(values[0].text, error);
}

/* [netdev] rule: the last word is the rule. */
static bool add_forward(Hmp *hmp, const HmpValue *values, GError **error)
{
    return values[1].present ? net_user_add_forward(values[0].text, values[1].text, error)
                             : net_user_add_forward(NULL, values[0].text, error);
}

static bool remove_forward(Hmp *hmp, const HmpValue *values, GError **error)
{
    bool ok = values[1].present ? net_user_remove_forward(values[0].text, values[1].text, error)
                                : net_user_remove_forward(NULL, values[0].text, error);

    if (ok) {
        hmp_printf(hmp, "host forwarding rule for %s removed\n",
                   values[values[1].present ? 1 : 0].text);
    }
    return ok;
}

static bool announce(Hmp *hmp, const HmpValue *values, GError **error)
{
    g_autoptr(GPtrArray) names = NULL;
    const AnnounceParameters parameters = {
        .initial = ANNOUNCE_INITIAL_MS,
        .max = ANNOUNCE_MAX_MS,
        .rounds = ANNOUNCE_ROUNDS,
        .step = ANNOUNCE_STEP_MS,
        .id = values[1].present ? values[1].text : NULL,
        .interfaces = values[0].present ? (names = g_ptr_array_new_with_free_func(g_free)) : NULL,
    };
    g_auto(GStrv) words = values[0].present ? g_strsplit(values[0].text, ",", -1) : NULL;

    for (unsigned i = 0; words && words[i]; i++) {
        g_ptr_array_add(names, g_strdup(words[i]));
    }
    return net_announce(&parameters, error);
}

static const HmpCommand net_commands[] = {
    {
        .name = "netdev_add",
        .help = "add a network backend, as -netdev does",
        .args = { { "options", HMP_REST } },
        .run = add_netdev,
    },
    {
        .name = "netdev_del",
        .help = "remove a network backend",
        .args = { { "id", HMP_WORD } },
        .qmp = "netdev_del",
    },
    {
        .name = "set_link",
        .help = "plug or unplug the cable of a network device or backend",
        .args = { { "name", HMP_WORD }, { "up", HMP_BOOL } },
        .qmp = "set_link",
    },
    {
        .name = "hostfwd_add",
        .help = "lead a host port into the guest: [netdev] [tcp|udp]:[host]:port-[guest]:port",
        .args = { { "netdev-or-rule", HMP_WORD }, { "rule", HMP_WORD, .optional = true } },
        .run = add_forward,
    },
    {
        .name = "hostfwd_remove",
        .help = "undo hostfwd_add: [netdev] [tcp|udp]:[host]:port",
        .args = { { "netdev-or-rule", HMP_WORD }, { "rule", HMP_WORD, .optional = true } },
        .run = remove_forward,
    },
    {
        .name = "announce_self",
        .help = "make switches learn where network devices are: [device,...] [id]",
        .args = { { "interfaces", HMP_WORD, .optional = true },
                  { "id", HMP_WORD, .optional = true } },
        .run = announce,
    },
    { .name = NULL },
};

static bool info_network(Hmp *hmp, const HmpValue *values, GError **error)
{
    g_autofree char *text = net_describe();

    hmp_puts(hmp, text);
    return true;
}

static bool info_usernet(Hmp *hmp, const HmpValue *values, GError **error)
{
    g_autofree char *text = net_user_describe();

    hmp_puts(hmp, text);
    return true;
}

static const HmpCommand net_info[] = {
    {
        .name = "network",
        .help = "network devices and backends, and how they are connected",
        .run = info_network,
    },
    {
        .name = "usernet",
        .help = "connections of user networks",
        .run = info_usernet,
    },
    { .name = NULL },
};

void hmp_net_register(void)
{
    hmp_add_commands(net_commands);
    hmp_add_info(net_info);
}
