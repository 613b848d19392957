/* SPDX-License-Identifier: Apache-2.0 */
/* Serving: the export, the sockets, and when to end. */
#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block/export.h"
#include "block/nbd-server.h"
#include "tools/nbd/nbd.h"
#include "util/background.h"
#include "util/error.h"

/* The first descriptor that a service manager passes (sd_listen_fds(3)). */
#define PASSED_FD 3

typedef struct Serving {
    const NbdToolOptions *options;
    bool had_client;
} Serving;

static void clients_changed(void *opaque, unsigned clients)
{
    Serving *serving = opaque;

    if (clients) {
        serving->had_client = true;
    } else if (serving->had_client && !serving->options->persistent) {
        loop_quit(loop_main());
    }
}

static gboolean end_by_signal(void *opaque)
{
    loop_quit(loop_main());
    return G_SOURCE_CONTINUE;
}

/* How many listening sockets a service manager passed. */
static int passed_sockets(void)
{
    const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");

    return pid && fds && atol(pid) == (long)getpid() ? atoi(fds) : 0;
}

/*
 * The label of sockets that this thread makes from now on; what libselinux's setsockcreatecon(3)
 * does. NULL: the usual one again.
 */
static bool set_socket_label(const char *label, GError **error)
{
    int fd = open("/proc/thread-self/attr/sockcreate", O_RDWR | O_CLOEXEC);
    ssize_t len = label ? (ssize_t)strlen(label) + 1 : 0;
    bool ok = fd >= 0 && write(fd, label, (size_t)len) == len;

    if (!ok && label) {
        error_set_errno(error, errno, "Cannot set SELinux socket create context to '%s'", label);
    }
    if (fd >= 0) {
        close(fd);
    }
    return ok;
}

static bool listen_somewhere(const NbdToolOptions *o, GError **error)
{
    g_autoptr(SocketAddress) address = nbd_tool_address(o);
    int passed = passed_sockets();
    bool ok;

    if (passed > 1) {
        error_setf(error, "One socket can be passed (LISTEN_FDS), not %d", passed);
        return false;
    }
    if (passed == 1) {
        nbd_server_listen_fd(PASSED_FD);
        return true;
    }
    if (o->device && !o->socket && !o->port) {
        return true; /* for the kernel alone */
    }
    if (!o->selinux_label) {
        return nbd_server_listen(address, error);
    }
    if (!set_socket_label(o->selinux_label, error)) {
        return false;
    }
    ok = nbd_server_listen(address, error);
    set_socket_label(NULL, NULL);
    return ok;
}

static bool add_export(const NbdToolOptions *o, GError **error)
{
    g_autoptr(BlockExportOptions) options = g_new0(BlockExportOptions, 1);
    bool writethrough = false;
    g_autoptr(BlockNode) node = nbd_tool_open(o, &writethrough, error);

    if (!node) {
        return false;
    }
    options->type = BLOCK_EXPORT_TYPE_NBD;
    options->id = g_strdup("vireo-nbd-export");
    options->node_name = g_strdup(node->name);
    options->has_writethrough = options->has_writable = true;
    options->writethrough = writethrough;
    options->writable = !o->read_only;
    options->u.nbd.name = g_strdup(o->export_name ? o->export_name : "");
    options->u.nbd.description = g_strdup(o->description);
    options->u.nbd.has_allocation_depth = true;
    options->u.nbd.allocation_depth = o->allocation_depth;
    if (o->bitmap) {
        BlockDirtyBitmapOrStr *bitmap = g_new0(BlockDirtyBitmapOrStr, 1);

        bitmap->type = QAPI_JSON_STRING;
        bitmap->u.local = g_strdup(o->bitmap);
        options->u.nbd.bitmaps = BlockDirtyBitmapOrStr_list_new();
        g_ptr_array_add(options->u.nbd.bitmaps, bitmap);
    }
    return block_export_add(options, error) != NULL;
}

int nbd_tool_serve(const NbdToolOptions *o)
{
    Serving serving = { .options = o };
    NbdServerParams params = {
        .tls_creds = o->tls_creds, .tls_authz = o->tls_authz,
        .max_connections = (uint32_t)o->shared, .clients_changed = clients_changed,
        .opaque = &serving,
    };
    GError *error = NULL;
    int ready_fd = o->parent_fd;
    NbdKernel *kernel = NULL;

    if (!nbd_server_start(&params, &error)) {
        error_report_err(error);
        return 1;
    }
    if (!add_export(o, &error) || !listen_somewhere(o, &error) ||
        (o->pid_file && pid_file_create(o->pid_file, &error) < 0) ||
        (o->device && !(kernel = nbd_kernel_attach(o, &error)))) {
        error_report_err(error);
        nbd_server_stop();
        return 1;
    }
    g_unix_signal_add(SIGTERM, end_by_signal, NULL);
    g_unix_signal_add(SIGINT, end_by_signal, NULL);
    g_unix_signal_add(SIGHUP, end_by_signal, NULL);
    background_ready(&ready_fd);
    loop_run(loop_main());
    nbd_kernel_detach(kernel);
    nbd_server_stop();
    if (o->pid_file) {
        unlink(o->pid_file);
    }
    return 0;
}
