/* SPDX-License-Identifier: Apache-2.0 */
/* --list: what a server exports. */
#include <inttypes.h>
#include <stdio.h>

#include "io/channel-socket.h"
#include "io/socket.h"
#include "nbd/client.h"
#include "tools/nbd/nbd.h"
#include "util/error.h"

static const char *const flag_names[] = {
    NULL, "readonly", "flush", "fua", "rotational", "trim", "zeroes", "df", "multi", "resize",
    "cache", "fast-zero",
};

static void print_export(const NbdListed *listed)
{
    const NbdExportInfo *info = &listed->info;

    printf(" export: '%s'\n", info->name);
    if (info->description && *info->description) {
        printf("  description: %s\n", info->description);
    }
    if (!(info->flags & NBD_FLAG_HAS_FLAGS)) {
        return;
    }
    printf("  size:  %" PRIu64 "\n  flags: 0x%x (", info->size, info->flags);
    for (size_t i = 1; i < G_N_ELEMENTS(flag_names); i++) {
        if (info->flags >> i & 1) {
            printf(" %s", flag_names[i]);
        }
    }
    printf(" )\n");
    if (info->min_block) {
        printf("  min block: %" PRIu32 "\n  opt block: %" PRIu32 "\n  max block: %" PRIu32 "\n",
               info->min_block, info->opt_block, info->max_block);
    }
    if (listed->contexts->len) {
        printf("  available meta contexts: %u\n", listed->contexts->len);
    }
    for (guint i = 0; i < listed->contexts->len; i++) {
        printf("   %s\n", (char *)g_ptr_array_index(listed->contexts, i));
    }
}

static GPtrArray *list_exports(const NbdToolOptions *o, GError **error)
{
    g_autoptr(SocketAddress) address = nbd_tool_address(o);
    g_autoptr(Channel) channel = NULL;
    const char *hostname = o->tls_hostname;
    TlsCreds *creds = NULL;

    if (o->tls_creds) {
        creds = tls_creds_find(o->tls_creds, QCRYPTO_TLS_CREDS_ENDPOINT_CLIENT, error);
        if (!creds) {
            return NULL;
        }
        if (!hostname && !o->socket) {
            hostname = o->bind;
        }
    }
    channel = socket_connect(address, error);
    return channel ? nbd_client_list(channel, creds, hostname, error) : NULL;
}

int nbd_tool_list(const NbdToolOptions *o)
{
    GError *error = NULL;
    g_autoptr(GPtrArray) list = list_exports(o, &error);

    if (!list) {
        error_report_err(error);
        return 1;
    }
    printf("exports available: %u\n", list->len);
    for (guint i = 0; i < list->len; i++) {
        print_export(g_ptr_array_index(list, i));
    }
    return 0;
}
