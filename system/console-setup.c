/* SPDX-License-Identifier: Apache-2.0 */
/* Character devices, serial ports, monitors: what was asked for, and the defaults. */
#include <string.h>

#include "accel/vm-events.h"
#include "chardev/chardev.h"
#include "monitor/monitor.h"
#include "system/machine-setup.h"
#include "system/runstate.h"
#include "util/error.h"

static bool create_chardevs(const GPtrArray *values, GError **error)
{
    for (unsigned i = 0; i < values->len; i++) {
        const OptionValue *value = g_ptr_array_index(values, i);

        if (!chardev_new_from_options(value->json, error)) {
            g_prefix_error(error, "-chardev %s: ",
                           json_object_to_json_string_ext(value->json, JSON_C_TO_STRING_PLAIN));
            return false;
        }
    }
    return true;
}

/* *id becomes the chardev's id (the caller's), or NULL for "none". */
static bool short_chardev(const char *option, unsigned index, const char *text, char **id,
                          GError **error)
{
    g_autofree char *name = g_strdup_printf("%s%u", option, index);
    GError *inner = NULL;
    Chardev *chr = chardev_new_from_short(name, text, &inner);

    if (inner) {
        g_propagate_prefixed_error(error, inner, "-%s %s: ", option, text);
        return false;
    }
    *id = chr ? g_strdup(chardev_id(chr)) : NULL;
    return true;
}

static bool create_ports(const char *option, const GPtrArray *texts, char **ids, unsigned max,
                         GError **error)
{
    if (texts->len > max) {
        error_setf(error, "-%s was given %u times; there are %u such ports", option, texts->len,
                   max);
        return false;
    }
    for (unsigned i = 0; i < texts->len; i++) {
        if (!short_chardev(option, i, g_ptr_array_index(texts, i), &ids[i], error)) {
            return false;
        }
    }
    return true;
}

/*
 * With -nographic the terminal serves the serial port and the monitor; without, nothing is shown.
 */
static void add_defaults(VmOptions *options, const MachineOps *ops)
{
    if (options->no_defaults) {
        return;
    }
    if (!options->serial->len && !ops->no_serial) {
        g_ptr_array_add(options->serial, g_strdup(!options->nographic ? "null"
                                                  : options->monitor->len ? "stdio"
                                                                          : "mon:stdio"));
        if (options->nographic && !options->monitor->len) {
            g_ptr_array_add(options->monitor, g_strdup("none"));
        }
    } else if (options->nographic && !options->monitor->len) {
        g_ptr_array_add(options->monitor, g_strdup(ops->no_serial ? "stdio" : "none"));
    }
    if (!options->parallel->len && !ops->no_parallel && !options->nographic) {
        g_ptr_array_add(options->parallel, g_strdup("null"));
    }
}

bool setup_chardevs(VmOptions *options, GError **error)
{
    Machine *machine = machine_current();
    char *debugcons[8] = { NULL };
    bool ok;

    add_defaults(options, machine->ops);
    ok = create_chardevs(options->chardev, error) &&
         create_ports("serial", options->serial, machine->serial,
                      G_N_ELEMENTS(machine->serial), error) &&
         create_ports("parallel", options->parallel, machine->parallel,
                      G_N_ELEMENTS(machine->parallel), error) &&
         create_ports("debugcon", options->debugcon, debugcons, G_N_ELEMENTS(debugcons), error);
    for (unsigned i = 0; i < G_N_ELEMENTS(debugcons); i++) {
        g_free(debugcons[i]);
    }
    return ok;
}

static bool create_monitors(const char *option, const GPtrArray *texts, MonitorKind kind,
                            GError **error)
{
    for (unsigned i = 0; i < texts->len; i++) {
        const char *text = g_ptr_array_index(texts, i);
        g_autofree char *id = NULL;
        Chardev *chr;

        if (!short_chardev(option, i, text, &id, error)) {
            return false;
        }
        chr = id ? chardev_find(id, error) : NULL;
        if (id && (!chr || !monitor_new(kind, chr, error))) {
            g_prefix_error(error, "-%s %s: ", option, text);
            return false;
        }
    }
    return true;
}

/* "mon:stdio" and the like on a port: its multiplexer serves a monitor too. */
static bool create_port_monitors(const char *option, const GPtrArray *texts, GError **error)
{
    for (unsigned i = 0; i < texts->len; i++) {
        g_autofree char *id = g_strdup_printf("%s%u", option, i);
        Chardev *chr;

        if (!g_str_has_prefix(g_ptr_array_index(texts, i), "mon:")) {
            continue;
        }
        chr = chardev_find(id, error);
        if (!chr || !monitor_new(MONITOR_HMP, chr, error)) {
            return false;
        }
    }
    return true;
}

/* Ctrl-a x means it, also with -no-shutdown. */
static void quit_from_keyboard(void)
{
    runstate_actions()->shutdown = SHUTDOWN_ACTION_POWEROFF;
    vm_request_shutdown(VM_CAUSE_HOST_UI);
}

bool setup_monitors(VmOptions *options, GError **error)
{
    static const ChardevMuxHooks mux_hooks = { .quit = quit_from_keyboard };

    chardev_mux_set_hooks(&mux_hooks);
    for (unsigned i = 0; i < options->mon->len; i++) {
        const OptionValue *value = g_ptr_array_index(options->mon, i);

        if (!monitor_new_from_options(value->json, value->text, error)) {
            g_prefix_error(error, "-mon: ");
            return false;
        }
    }
    return create_port_monitors("serial", options->serial, error) &&
           create_port_monitors("parallel", options->parallel, error) &&
           create_port_monitors("debugcon", options->debugcon, error) &&
           create_monitors("monitor", options->monitor, MONITOR_HMP, error) &&
           create_monitors("qmp", options->qmp, MONITOR_QMP, error) &&
           create_monitors("qmp-pretty", options->qmp_pretty, MONITOR_QMP_PRETTY, error);
}
