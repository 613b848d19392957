/* SPDX-License-Identifier: Apache-2.0 */
/* vireo: one process is one virtual machine. main() is the list of what happens, in order. */
#include <stdio.h>
#include <stdlib.h>

#include "accel/accel.h"
#include "block/drive.h"
#include "block/job.h"
#include "block/open.h"
#include "chardev/chardev.h"
#include "hw/core/device.h"
#include "memory/memory.h"
#include "memory/ram-backend.h"
#include "monitor/monitor.h"
#include "net/netdev.h"
#include "qapi/qapi-commands.h"
#include "system/gdb.h"
#include "system/hmp-block.h"
#include "system/hmp-machine.h"
#include "system/hmp-net.h"
#include "system/machine-setup.h"
#include "system/machine-state.h"
#include "system/migration-setup.h"
#include "system/process.h"
#include "system/qtest.h"
#include "system/runstate.h"
#include "util/error.h"
#include "util/log.h"
#include "util/loop.h"
#include "util/trace.h"
#include "util/vm-lock.h"

static bool apply_actions(const VmOptions *options, GError **error)
{
    RunStateActions *actions = runstate_actions();

    if (options->no_reboot) {
        actions->reboot = REBOOT_ACTION_SHUTDOWN;
    }
    if (options->no_shutdown) {
        actions->shutdown = SHUTDOWN_ACTION_PAUSE;
    }
    json_object_object_foreach(options->action, key, value) {
        const char *text = json_object_get_string(value);
        bool ok = g_str_equal(key, "reboot")     ? RebootAction_parse(text, &actions->reboot, error)
                  : g_str_equal(key, "shutdown") ? ShutdownAction_parse(text, &actions->shutdown,
                                                                        error)
                  : g_str_equal(key, "panic")    ? PanicAction_parse(text, &actions->panic, error)
                                                 : WatchdogAction_parse(text, &actions->watchdog,
                                                                        error);

        if (!ok) {
            g_prefix_error(error, "-action %s=%s: ", key, text);
            return false;
        }
    }
    return true;
}

static bool set_trace(const VmOptions *options, GError **error)
{
    for (guint i = 0; i < options->trace->len; i++) {
        if (!trace_option(g_ptr_array_index(options->trace, i), error)) {
            g_prefix_error(error, "-trace: ");
            return false;
        }
    }
    return true;
}

static bool open_log(const VmOptions *options, GError **error)
{
    return (!options->log_file || log_set_file(options->log_file, error)) &&
           (!options->log_items || log_set_items(options->log_items, error)) &&
           set_trace(options, error);
}

static bool start_process(VmOptions *options, GError **error)
{
    return setup_fds(options, error) && process_apply_settings(options, error) &&
           open_log(options, error) &&
           (!options->daemonize || process_daemonize(error)) &&
           (!options->pidfile || process_write_pidfile(options->pidfile, error)) &&
           process_handle_signals(error);
}

/*
 * Two memory transactions, RAM and then devices: the accelerator and other listeners see what is
 * finished, not its growth.
 */
static bool build_board(VmOptions *options, GError **error)
{
    bool ok;

    memory_transaction_begin();
    ok = setup_memory(options, error);
    memory_transaction_commit();
    if (!ok) {
        return false;
    }
    memory_transaction_begin();
    ok = setup_board(options, error) && setup_devices(options, error);
    memory_transaction_commit();
    return ok;
}

static bool build_machine(VmOptions *options, GError **error)
{
    memory_init();
    return setup_machine_object(options, error) && setup_early_objects(options, error) &&
           setup_chardevs(options, error) && setup_objects(options, error) &&
           setup_pins(options, error) && setup_accelerator(options, error) &&
           setup_drives(options, error) && setup_networks(options, error) &&
           setup_filters(options, error) && build_board(options, error) &&
           setup_finish(options, error) && setup_main_pin(options, error);
}

static bool start_debugging(const VmOptions *options, GError **error)
{
    if (options->gdb && !gdb_server_start(options->gdb, error)) {
        g_prefix_error(error, "-gdb %s: ", options->gdb);
        return false;
    }
    return true;
}

static bool open_consoles(VmOptions *options, GError **error)
{
    monitor_init(&qapi_commands);
    hmp_machine_register();
    hmp_block_register();
    hmp_net_register();
    gdb_hmp_register();
    machine_state_register();
    migration_setup_register();
    return setup_monitors(options, error) && start_debugging(options, error) &&
           (!options->qtest || qtest_server_init(options->qtest, options->qtest_log, error));
}

static bool run(VmOptions *options, GError **error)
{
    if (!migration_setup_incoming(options->incoming, error) ||
        (!options->start_stopped && !runstate_start(error))) {
        return false;
    }
    process_ready();
    loop_run(loop_main());
    return true;
}

/*
 * The process ends: what outlives it is put in order (peers' last words, the terminal, the pid
 * file). Memory and descriptors are left to the kernel, which frees them faster than we could.
 */
static void clean_up(void)
{
    vcpus_pause_all();
    migration_setup_cleanup();
    notifier_list_run(exit_notifiers(), NULL);
    job_cancel_all();
    drive_close_all();
    block_monitor_close_all();
    net_announce_cleanup();
    net_cleanup();
    ram_backends_discard();
    qtest_server_cleanup();
    gdb_server_cleanup();
    monitor_cleanup();
    chardev_cleanup_all();
    process_cleanup();
}

int main(int argc, char **argv)
{
    g_autoptr(VmOptions) options = NULL;
    GError *error = NULL;

    error_init("vireo");
    if (!options_parse(argc, argv, &options, &error)) {
        if (!error) {
            return EXIT_SUCCESS;
        }
        error_report_err(error);
        return EXIT_FAILURE;
    }
    vm_lock();
    runstate_init();
    if (!apply_actions(options, &error) || !start_process(options, &error) ||
        !build_machine(options, &error) || !open_consoles(options, &error) ||
        !run(options, &error)) {
        error_report_err(error);
        chardev_cleanup_all();
        process_cleanup();
        return EXIT_FAILURE;
    }
    clean_up();
    return runstate_exit_code();
}
