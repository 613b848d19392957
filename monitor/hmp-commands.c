/* SPDX-License-Identifier: Apache-2.0 */
/* The human monitor's commands. Those without a function are QMP commands by another name. */
#include <string.h>

#include "chardev/chardev.h"
#include "monitor/hmp-internal.h"
#include "qapi/keyval.h"
#include "qom/object.h"
#include "util/error.h"
#include "util/log.h"

/* Completion. */

static GPtrArray *complete_chardev(Hmp *hmp, const char *prefix)
{
    return hmp_qmp_names(hmp, "query-chardev", NULL, "label");
}

static GPtrArray *complete_chardev_backend(Hmp *hmp, const char *prefix)
{
    return hmp_qmp_names(hmp, "query-chardev-backends", NULL, "name");
}

static GPtrArray *complete_command(Hmp *hmp, const char *prefix)
{
    return hmp_command_names(false, prefix);
}

static GPtrArray *complete_trace_event(Hmp *hmp, const char *prefix)
{
    return hmp_qmp_names(hmp, "trace-event-get-state",
                         hmp_object("name", json_object_new_string("*"), NULL), "name");
}

static GPtrArray *complete_object_type(Hmp *hmp, const char *prefix)
{
    return hmp_qmp_names(hmp, "qom-list-types",
                         hmp_object("implements", json_object_new_string(TYPE_USER_OBJECT), NULL),
                         "name");
}

static GPtrArray *complete_device_type(Hmp *hmp, const char *prefix)
{
    return hmp_qmp_names(hmp, "qom-list-types",
                         hmp_object("implements", json_object_new_string("device"), NULL), "name");
}

/* Names of the children of one object. */
static GPtrArray *children(Hmp *hmp, const char *path)
{
    json_object *list = hmp_qmp(hmp, "qom-list",
                                hmp_object("path", json_object_new_string(path), NULL), NULL);
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);

    for (size_t i = 0; list && i < json_object_array_length(list); i++) {
        json_object *item = json_object_array_get_idx(list, i);

        if (g_str_has_prefix(hmp_get_str(item, "type", ""), "child<")) {
            g_ptr_array_add(names, g_strdup(hmp_get_str(item, "name", "")));
        }
    }
    json_object_put(list);
    return names;
}

static GPtrArray *complete_object(Hmp *hmp, const char *prefix)
{
    return children(hmp, "/objects");
}

static GPtrArray *complete_device(Hmp *hmp, const char *prefix)
{
    return children(hmp, "/machine/peripheral");
}

static GPtrArray *complete_path(Hmp *hmp, const char *prefix)
{
    const char *slash = strrchr(prefix, '/');
    g_autofree char *parent = slash ? g_strndup(prefix, (gsize)(slash - prefix)) : g_strdup("");
    GPtrArray *names = children(hmp, *parent ? parent : "/");

    for (guint i = 0; i < names->len; i++) {
        char *full = g_strdup_printf("%s/%s/", parent, (char *)g_ptr_array_index(names, i));

        g_free(g_ptr_array_index(names, i));
        g_ptr_array_index(names, i) = full;
    }
    return names;
}

static GPtrArray *complete_watchdog(Hmp *hmp, const char *prefix)
{
    static const char *const actions[] = { "reset", "shutdown", "poweroff", "pause",
                                           "debug", "none", "inject-nmi" };
    GPtrArray *words = g_ptr_array_new_with_free_func(g_free);

    for (size_t i = 0; i < G_N_ELEMENTS(actions); i++) {
        g_ptr_array_add(words, g_strdup(actions[i]));
    }
    return words;
}

/* Commands. */

static bool cmd_help(Hmp *hmp, const HmpValue *values, GError **error)
{
    return hmp_help(hmp, values[0].present ? values[0].text : NULL, error);
}

/* Only reached through `help`: hmp_run() sends `info X` to its own table. */
static bool cmd_info(Hmp *hmp, const HmpValue *values, GError **error)
{
    hmp_info_help(hmp);
    return true;
}

static bool cmd_quit(Hmp *hmp, const HmpValue *values, GError **error)
{
    json_object *ret = hmp_qmp(hmp, "quit", NULL, error);

    hmp->quitting = ret != NULL;
    json_object_put(ret);
    return hmp->quitting;
}

static bool cmd_object_add(Hmp *hmp, const HmpValue *values, GError **error)
{
    const char *text = values[0].text;
    json_object *options = keyval_parse(text, "qom-type", NULL, error);
    bool ok = options && user_object_create(options, !keyval_is_json(text), error);

    json_object_put(options);
    return ok;
}

static bool cmd_device_add(Hmp *hmp, const HmpValue *values, GError **error)
{
    json_object *options = keyval_parse(values[0].text, "driver", NULL, error);
    json_object *ret = options ? hmp_qmp(hmp, "device_add", options, error) : NULL;

    json_object_put(ret);
    return ret != NULL;
}

static bool cmd_chardev_add(Hmp *hmp, const HmpValue *values, GError **error)
{
    json_object *options = chardev_parse_options(values[0].text, NULL, error);
    bool ok = options && chardev_new_from_options(options, error);

    json_object_put(options);
    return ok;
}

static bool cmd_chardev_change(Hmp *hmp, const HmpValue *values, GError **error)
{
    json_object *options = chardev_parse_options(values[1].text, NULL, error);
    bool ok = options && chardev_change(values[0].text, options, error);

    json_object_put(options);
    return ok;
}

static bool cmd_ringbuf_read(Hmp *hmp, const HmpValue *values, GError **error)
{
    json_object *text = hmp_qmp(hmp, "ringbuf-read",
                                hmp_object("device", json_object_new_string(values[0].text), "size",
                                           json_object_new_uint64(values[1].number), NULL), error);

    if (!text) {
        return false;
    }
    for (const char *p = json_object_get_string(text); *p; p++) {
        if (*p == '\\') {
            hmp_puts(hmp, "\\\\");
        } else if (g_ascii_iscntrl(*p) && *p != '\n') {
            hmp_printf(hmp, "\\u%04X", (unsigned)*p);
        } else {
            hmp_printf(hmp, "%c", *p);
        }
    }
    hmp_puts(hmp, "\n");
    json_object_put(text);
    return true;
}

static void print_property(Hmp *hmp, json_object *item)
{
    hmp_printf(hmp, "%s (%s)\n", hmp_get_str(item, "name", ""), hmp_get_str(item, "type", ""));
}

static bool cmd_qom_list(Hmp *hmp, const HmpValue *values, GError **error)
{
    const char *path = values[0].present ? values[0].text : "/";

    return hmp_qmp_each(hmp, "qom-list", hmp_object("path", json_object_new_string(path), NULL),
                        print_property, error);
}

static bool cmd_qom_get(Hmp *hmp, const HmpValue *values, GError **error)
{
    json_object *value = hmp_qmp(hmp, "qom-get",
                                 hmp_object("path", json_object_new_string(values[0].text),
                                            "property", json_object_new_string(values[1].text),
                                            NULL), error);

    if (!value) {
        return false;
    }
    hmp_printf(hmp, "%s\n", json_object_to_json_string_ext(value, JSON_C_TO_STRING_PRETTY |
                                                           JSON_C_TO_STRING_SPACED |
                                                           JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(value);
    return true;
}

static bool cmd_qom_set(Hmp *hmp, const HmpValue *values, GError **error)
{
    bool ambiguous = false;
    const char *path = values[1].text;
    json_object *value, *ret;
    Object *obj;

    if (values[0].present) {
        value = json_parse_text(values[3].text, error);
        if (!value && *error) {
            return false;
        }
        ret = hmp_qmp(hmp, "qom-set",
                      hmp_object("path", json_object_new_string(path), "property",
                                 json_object_new_string(values[2].text), "value", value, NULL),
                      error);
        json_object_put(ret);
        return ret != NULL;
    }
    obj = object_resolve(path, &ambiguous);
    if (!obj) {
        error_set_code(error, VIREO_ERROR_DEVICE_NOT_FOUND,
                       ambiguous ? "Path '%s' fits several objects" : "There is no object '%s'",
                       path);
        return false;
    }
    return object_property_parse(obj, values[2].text, values[3].text, error);
}

static bool cmd_balloon(Hmp *hmp, const HmpValue *values, GError **error)
{
    uint64_t mebibytes = MIN(values[0].number, INT64_MAX >> 20);
    json_object *ret = hmp_qmp(hmp, "balloon",
                               hmp_object("value", json_object_new_int64(mebibytes << 20), NULL),
                               error);

    json_object_put(ret);
    return ret != NULL;
}

static bool cmd_log(Hmp *hmp, const HmpValue *values, GError **error)
{
    const char *items = values[0].text;

    if (!strcmp(items, "help")) {
        g_autofree char *help = log_items_help();

        hmp_printf(hmp, "Items, separated by commas:\n%-15s no items\n%s", "none", help);
        return true;
    }
    return log_set_items(strcmp(items, "none") ? items : "", error);
}

static bool cmd_logfile(Hmp *hmp, const HmpValue *values, GError **error)
{
    return log_set_file(values[0].text, error);
}

const HmpCommand hmp_builtin_commands[] = {
    {
        .name = "help",
        .alias = "?",
        .help = "this list, or one command of it",
        .args = { { "command", HMP_REST, .optional = true, .complete = complete_command } },
        .run = cmd_help,
    },
    {
        .name = "info",
        .help = "information; alone, it lists the subjects",
        .args = { { "subject", HMP_REST, .optional = true } },
        .run = cmd_info,
    },
    { .name = "quit", .alias = "q", .help = "end the program", .run = cmd_quit },
    { .name = "stop", .alias = "s", .help = "stop the CPUs", .qmp = "stop" },
    { .name = "cont", .alias = "c", .help = "let the CPUs run", .qmp = "cont" },
    { .name = "system_reset", .help = "reset the machine", .qmp = "system_reset" },
    {
        .name = "system_powerdown",
        .help = "press the power button",
        .qmp = "system_powerdown",
    },
    { .name = "system_wakeup", .help = "wake a sleeping guest", .qmp = "system_wakeup" },
    { .name = "nmi", .help = "send the guest an NMI", .qmp = "inject-nmi" },
    {
        .name = "watchdog_action",
        .help = "what happens when a watchdog expires",
        .args = { { "action", HMP_WORD, .complete = complete_watchdog } },
        .qmp = "watchdog-set-action",
    },
    {
        .name = "balloon",
        .help = "ask the guest to use so many MiB of memory",
        .args = { { "value", HMP_EXPR } },
        .run = cmd_balloon,
    },
    {
        .name = "memsave",
        .help = "write memory at a virtual address to a file",
        .args = { { "val", HMP_EXPR }, { "size", HMP_EXPR }, { "filename", HMP_WORD } },
        .qmp = "memsave",
    },
    {
        .name = "pmemsave",
        .help = "write memory at a physical address to a file",
        .args = { { "val", HMP_EXPR }, { "size", HMP_EXPR }, { "filename", HMP_WORD } },
        .qmp = "pmemsave",
    },
    {
        .name = "dumpdtb",
        .help = "write the machine's device tree to a file",
        .args = { { "filename", HMP_WORD } },
        .qmp = "dumpdtb",
    },
    {
        .name = "chardev-add",
        .help = "make a character device, as -chardev does",
        .args = { { "options", HMP_REST, .complete = complete_chardev_backend } },
        .run = cmd_chardev_add,
    },
    {
        .name = "chardev-change",
        .help = "replace what a character device is connected to",
        .args = { { "id", HMP_WORD, .complete = complete_chardev },
                  { "options", HMP_REST, .complete = complete_chardev_backend } },
        .run = cmd_chardev_change,
    },
    {
        .name = "chardev-remove",
        .help = "delete a character device",
        .args = { { "id", HMP_WORD, .complete = complete_chardev } },
        .qmp = "chardev-remove",
    },
    {
        .name = "chardev-send-break",
        .help = "send a break to the user of a character device",
        .args = { { "id", HMP_WORD, .complete = complete_chardev } },
        .qmp = "chardev-send-break",
    },
    {
        .name = "ringbuf_write",
        .help = "write into a ring buffer",
        .args = { { "device", HMP_WORD, .complete = complete_chardev }, { "data", HMP_REST } },
        .qmp = "ringbuf-write",
    },
    {
        .name = "ringbuf_read",
        .help = "take bytes out of a ring buffer",
        .args = { { "device", HMP_WORD, .complete = complete_chardev }, { "size", HMP_EXPR } },
        .run = cmd_ringbuf_read,
    },
    {
        .name = "object_add",
        .help = "make an object, as -object does",
        .args = { { "options", HMP_REST, .complete = complete_object_type } },
        .run = cmd_object_add,
    },
    {
        .name = "object_del",
        .help = "delete an object",
        .args = { { "id", HMP_WORD, .complete = complete_object } },
        .qmp = "object-del",
    },
    {
        .name = "device_add",
        .help = "plug a device, as -device does",
        .args = { { "options", HMP_REST, .complete = complete_device_type } },
        .run = cmd_device_add,
    },
    {
        .name = "device_del",
        .help = "unplug a device",
        .args = { { "id", HMP_WORD, .complete = complete_device } },
        .qmp = "device_del",
    },
    {
        .name = "qom-list",
        .help = "properties and children of an object",
        .args = { { "path", HMP_WORD, .optional = true, .complete = complete_path } },
        .run = cmd_qom_list,
    },
    {
        .name = "qom-get",
        .help = "a property's value",
        .args = { { "path", HMP_WORD, .complete = complete_path }, { "property", HMP_WORD } },
        .run = cmd_qom_get,
    },
    {
        .name = "qom-set",
        .help = "set a property; -j: the value is JSON",
        .args = { { "-j", HMP_FLAG },
                  { "path", HMP_WORD, .complete = complete_path },
                  { "property", HMP_WORD },
                  { "value", HMP_REST } },
        .run = cmd_qom_set,
    },
    {
        .name = "trace-event",
        .help = "switch trace points; the name may have * and ?",
        .args = { { "name", HMP_WORD, .complete = complete_trace_event }, { "enable", HMP_BOOL } },
        .qmp = "trace-event-set-state",
    },
    {
        .name = "log",
        .help = "what is logged: items, none, or help",
        .args = { { "items", HMP_WORD } },
        .run = cmd_log,
    },
    {
        .name = "logfile",
        .help = "where the log is written",
        .args = { { "filename", HMP_WORD } },
        .run = cmd_logfile,
    },
    {
        .name = "getfd",
        .help = "keep a file descriptor that came with this line",
        .args = { { "fdname", HMP_WORD } },
        .qmp = "getfd",
    },
    {
        .name = "closefd",
        .help = "close a kept file descriptor",
        .args = { { "fdname", HMP_WORD } },
        .qmp = "closefd",
    },
    { .name = NULL },
};
