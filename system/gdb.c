/* SPDX-License-Identifier: Apache-2.0 */
#include "system/gdb.h"

#include <string.h>

#include "chardev/chardev.h"
#include "gdbstub/gdbstub.h"
#include "hw/core/device.h"
#include "monitor/hmp.h"
#include "monitor/monitor.h"
#include "system/runstate.h"
#include "util/error.h"

#define GDB_CHARDEV "gdb"
#define GDB_DEFAULT "tcp::1234"

static struct {
    GdbStub *stub;
    Notifier notifier;
    bool registered, own_chardev;
} gdb;

static void host_stop(void)
{
    runstate_stop(RUN_STATE_PAUSED);
}

static GdbSignal host_stop_signal(void)
{
    switch (runstate_get()) {
    case RUN_STATE_PAUSED:
        return GDB_SIGNAL_INT;
    case RUN_STATE_SHUTDOWN:
        return GDB_SIGNAL_QUIT;
    case RUN_STATE_IO_ERROR:
        return GDB_SIGNAL_STOP;
    case RUN_STATE_WATCHDOG:
        return GDB_SIGNAL_ALRM;
    case RUN_STATE_INTERNAL_ERROR:
    case RUN_STATE_GUEST_PANICKED:
        return GDB_SIGNAL_ABRT;
    default:
        return GDB_SIGNAL_TRAP;
    }
}

static void host_quit(void)
{
    vm_request_shutdown(VM_CAUSE_HOST_QMP_QUIT);
}

static char *host_monitor(const char *line, unsigned cpu, GError **error)
{
    return monitor_run_line(line, (int)cpu, error);
}

static const GdbHost gdb_host = {
    .is_running = runstate_is_running,
    .stop = host_stop,
    .start = runstate_start,
    .stop_signal = host_stop_signal,
    .quit = host_quit,
    .monitor = host_monitor,
};

static void on_run_state(Notifier *notifier, void *data)
{
    const bool *running = data;

    if (gdb.stub) {
        gdb_stub_run_state(gdb.stub, *running);
    }
}

/* Sockets listen without waiting, unless the user said otherwise. */
static char *complete_device(const char *device)
{
    bool is_socket = g_str_has_prefix(device, "tcp:") || g_str_has_prefix(device, "unix:");

    return g_strdup_printf("%s%s%s%s", device,
                           is_socket && !strstr(device, ",server") ? ",server=on" : "",
                           is_socket && !strstr(device, "wait") ? ",wait=off" : "",
                           is_socket && !strstr(device, "nodelay") ? ",nodelay=on" : "");
}

static void end_server(bool exiting)
{
    gdb_stub_free(gdb.stub, exiting);
    gdb.stub = NULL;
    if (gdb.own_chardev && !exiting) {
        chardev_remove(GDB_CHARDEV, NULL);
    }
    gdb.own_chardev = false;
}

bool gdb_server_start(const char *device, GError **error)
{
    g_autofree char *text = device ? complete_device(device) : NULL;
    GError *inner = NULL;
    Chardev *chr;

    if (gdb.stub && gdb_stub_is_busy(gdb.stub)) {
        error_setf(error, "the debugger that asks is connected to the server that would end");
        return false;
    }
    end_server(false);
    if (!device || g_str_equal(device, "none")) {
        return true;
    }
    if (!gdb.registered) {
        gdb.notifier.notify = on_run_state;
        notifier_list_add(run_state_notifiers(), &gdb.notifier);
        gdb.registered = true;
    }
    chr = chardev_new_from_short(GDB_CHARDEV, text, &inner);
    if (inner) {
        g_propagate_error(error, inner);
        return false;
    }
    if (!chr) {
        return true;
    }
    gdb.own_chardev = g_str_equal(chardev_id(chr), GDB_CHARDEV);
    gdb.stub = gdb_stub_new(chr, &gdb_host, error);
    if (!gdb.stub) {
        end_server(false);
        return false;
    }
    return true;
}

void gdb_server_cleanup(void)
{
    end_server(true);
}

/* ---- The monitor ---- */

static bool hmp_gdbserver(Hmp *hmp, const HmpValue *values, GError **error)
{
    const char *device = values[0].present ? values[0].text : GDB_DEFAULT;

    if (!gdb_server_start(device, error)) {
        return false;
    }
    if (g_str_equal(device, "none")) {
        hmp_puts(hmp, "Disabled gdbserver\n");
    } else {
        hmp_printf(hmp, "Waiting for gdb connection on device '%s'\n", device);
    }
    return true;
}

void gdb_hmp_register(void)
{
    static const HmpCommand commands[] = {
        { "gdbserver", .help = "let GDB connect on this device (tcp::1234), or no longer (none)",
          .args = { { "device", HMP_WORD, .optional = true } }, .run = hmp_gdbserver },
        { NULL },
    };

    hmp_add_commands(commands);
}
