/* SPDX-License-Identifier: Apache-2.0 */
/* main() is the list of what happens, in order. */
#include <glib-unix.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "block/export.h"
#include "block/job.h"
#include "block/nbd-server.h"
#include "block/open.h"
#include "chardev/chardev.h"
#include "monitor/monitor.h"
#include "qapi-commands-control.h"
#include "storage-daemon-qapi-commands.h"
#include "tools/storage-daemon/daemon.h"
#include "util/background.h"
#include "util/error.h"
#include "util/loop.h"
#include "util/vm-lock.h"

/* QMP's quit. */
bool qmp_quit(GError **error)
{
    loop_quit(loop_main());
    return true;
}

static gboolean end_by_signal(void *opaque)
{
    loop_quit(loop_main());
    return G_SOURCE_CONTINUE;
}

static void handle_signals(void)
{
    signal(SIGPIPE, SIG_IGN);
    g_unix_signal_add(SIGINT, end_by_signal, NULL);
    g_unix_signal_add(SIGTERM, end_by_signal, NULL);
    g_unix_signal_add(SIGHUP, end_by_signal, NULL);
}

/* Who serves goes before what is served; disks are flushed before the last words are spoken. */
static void clean_up(void)
{
    job_cancel_all();
    if (nbd_server_is_running()) {
        nbd_server_stop();
    }
    for (int type = 0; type < BLOCK_EXPORT_TYPE__MAX; type++) {
        block_export_shut_down_all(type);
    }
    block_monitor_close_all();
    monitor_cleanup();
    chardev_cleanup_all();
}

static int run(int argc, char **argv, DaemonOptions *options)
{
    GError *error = NULL;
    int ready_fd = -1;
    DaemonOptionResult result;

    if (options->daemonize && !background_fork(&ready_fd, &error)) {
        error_report_err(error);
        return EXIT_FAILURE;
    }
    vm_lock();
    loop_main();
    handle_signals();
    monitor_init(&storage_daemon_qapi_commands);
    result = daemon_options_apply(argc, argv, &error);
    if (result == DAEMON_OPTION_OK && options->pidfile &&
        pid_file_create(options->pidfile, &error) < 0) {
        result = DAEMON_OPTION_FAILED;
    }
    if (result == DAEMON_OPTION_OK) {
        background_ready(&ready_fd);
        loop_run(loop_main());
    } else if (error) {
        error_report_err(error);
    }
    clean_up();
    if (result == DAEMON_OPTION_OK && options->pidfile) {
        unlink(options->pidfile);
    }
    return result == DAEMON_OPTION_FAILED ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    DaemonOptions options = { 0 };
    GError *error = NULL;
    DaemonOptionResult result;

    error_init("vireo-storage-daemon");
    result = daemon_options_scan(argc, argv, &options, &error);
    if (result == DAEMON_OPTION_OK) {
        return run(argc, argv, &options);
    }
    if (error) {
        error_report_err(error);
    }
    return result == DAEMON_OPTION_HELP ? EXIT_SUCCESS : EXIT_FAILURE;
}
