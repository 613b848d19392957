/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line: a table of options. They are read twice; what one names the next may use, so
 * the second time each takes effect at once.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "block/export.h"
#include "block/nbd-server.h"
#include "block/open.h"
#include "chardev/chardev.h"
#include "monitor/monitor.h"
#include "qapi/keyval.h"
#include "qapi-types-block-export.h"
#include "qapi-types-block-options.h"
#include "tools/storage-daemon/daemon.h"
#include "util/error.h"
#include "util/trace.h"
#include "util/vireo-config.h"

typedef DaemonOptionResult OptionFn(const char *argument, GError **error);

typedef struct Option {
    const char *name;
    char letter;          /* 0: none */
    OptionFn *apply;      /* the second time; NULL: all is done the first time */
    const char *argument; /* for help; NULL: it takes none */
    const char *help;
} Option;

static DaemonOptionResult result_of(bool ok)
{
    return ok ? DAEMON_OPTION_OK : DAEMON_OPTION_FAILED;
}

/* A key=value text or JSON as one type of the schema. Free *out by its own function. */
#define PARSE(Type, argument, key, out, error)                                                     \
    parse_with(argument, key, (FromJsonFn *)Type##_from_json, (void **)(out), error)

typedef bool FromJsonFn(json_object *json, QapiFlags flags, void **out, GError **error);

static bool parse_with(const char *argument, const char *key, FromJsonFn *from_json, void **out,
                       GError **error)
{
    json_object *json = keyval_parse(argument, key, NULL, error);
    bool ok = json && from_json(json, keyval_flags(argument), out, error);

    json_object_put(json);
    return ok;
}

static DaemonOptionResult apply_blockdev(const char *argument, GError **error)
{
    g_autoptr(BlockdevOptions) options = NULL;

    return result_of(PARSE(BlockdevOptions, argument, "driver", &options, error) &&
                     block_open_blockdev(options, error));
}

static DaemonOptionResult apply_export(const char *argument, GError **error)
{
    g_autoptr(BlockExportOptions) options = NULL;

    return result_of(PARSE(BlockExportOptions, argument, "type", &options, error) &&
                     block_export_add(options, error));
}

static DaemonOptionResult apply_nbd_server(const char *argument, GError **error)
{
    g_autoptr(NbdServerOptions) options = NULL;
    NbdServerParams params = { 0 };

    if (!PARSE(NbdServerOptions, argument, NULL, &options, error)) {
        return DAEMON_OPTION_FAILED;
    }
    params.tls_creds = options->tls_creds;
    params.tls_authz = options->tls_authz;
    params.max_connections = options->max_connections;
    return result_of(nbd_server_start(&params, error) && nbd_server_listen(options->addr, error));
}

static DaemonOptionResult print(char *text)
{
    if (!text) {
        return DAEMON_OPTION_FAILED;
    }
    printf("%s", text);
    g_free(text);
    return DAEMON_OPTION_HELP;
}

static DaemonOptionResult apply_chardev(const char *argument, GError **error)
{
    bool help = false;
    json_object *options = chardev_parse_options(argument, &help, error), *backend;
    DaemonOptionResult result = DAEMON_OPTION_FAILED;

    if (help && options && json_object_object_get_ex(options, "backend", &backend)) {
        result = print(chardev_backend_help(json_object_get_string(backend), error));
    } else if (help) {
        result = print(chardev_backends_help());
    } else if (options) {
        result = result_of(chardev_new_from_options(options, error));
    }
    json_object_put(options);
    return result;
}

static DaemonOptionResult apply_monitor(const char *argument, GError **error)
{
    json_object *options = keyval_parse(argument, "chardev", NULL, error), *mode;
    bool ok = options != NULL;

    if (ok && !json_object_object_get_ex(options, "mode", &mode)) {
        json_object_object_add(options, "mode", json_object_new_string("control"));
    } else if (ok && strcmp(json_object_get_string(mode), "readline") == 0) {
        error_setf(error, "Only QMP is supported");
        ok = false;
    }
    ok = ok && monitor_new_from_options(options, !keyval_is_json(argument), error);
    json_object_put(options);
    return result_of(ok);
}

/* ---- Objects ---- */

static int compare_names(gconstpointer a, gconstpointer b)
{
    const TypeInfo *const *left = a, *const *right = b;

    return strcmp((*left)->name, (*right)->name);
}

static void list_object_types(void)
{
    g_autoptr(GPtrArray) types = type_list(TYPE_USER_OBJECT, false);

    g_ptr_array_sort(types, compare_names);
    printf("List of user creatable objects:\n");
    for (guint i = 0; i < types->len; i++) {
        printf("  %s\n", ((const TypeInfo *)g_ptr_array_index(types, i))->name);
    }
}

static bool print_property(const TypeInfo *owner, const Property *prop, void *opaque)
{
    if (!(prop->flags & (PROP_HIDDEN | PROP_READ_ONLY))) {
        printf("  %s=<%s>%s%s\n", prop->name, prop->kind->type_name,
               prop->description ? " - " : "", prop->description ? prop->description : "");
    }
    return true;
}

static DaemonOptionResult object_help(json_object *options, GError **error)
{
    const TypeInfo *type;
    json_object *name;

    if (!json_object_object_get_ex(options, "qom-type", &name)) {
        list_object_types();
        return DAEMON_OPTION_HELP;
    }
    type = type_find(json_object_get_string(name));
    if (!type || !type_is_a(type, TYPE_USER_OBJECT)) {
        error_setf(error, "'%s' is not a type of object that can be created",
                   json_object_get_string(name));
        return DAEMON_OPTION_FAILED;
    }
    printf("%s options:\n", type->name);
    type_foreach_property(type, print_property, NULL);
    return DAEMON_OPTION_HELP;
}

static DaemonOptionResult apply_object(const char *argument, GError **error)
{
    bool help = false;
    json_object *options = keyval_parse(argument, "qom-type", &help, error);
    DaemonOptionResult result =
        !options ? DAEMON_OPTION_FAILED
        : help   ? object_help(options, error)
                 : result_of(user_object_create(options, !keyval_is_json(argument), error));

    json_object_put(options);
    return result;
}

/* ---- The table ---- */

static const Option options_table[] = {
    { "help", 'h', NULL, NULL, "this text" },
    { "version", 'V', NULL, NULL, "the version" },
    { "trace", 'T', NULL, "[[enable=]PATTERN][,events=FILE][,file=FILE]",
      "write trace points to the log" },
    { "blockdev", 0, apply_blockdev,
      "[driver=]DRIVER[,node-name=NAME][,discard=ignore|unmap]\n"
      "[,cache.direct=on|off][,cache.no-flush=on|off][,read-only=on|off]\n"
      "[,auto-read-only=on|off][,force-share=on|off]\n"
      "[,detect-zeroes=on|off|unmap][,...]", "make a block node" },
    { "chardev", 0, apply_chardev, "[backend=]KIND,id=ID[,...]", "make a character device" },
    { "daemonize", 0, NULL, NULL, "go into the background when all is ready" },
    { "export", 0, apply_export,
      "[type=]nbd,id=ID,node-name=NODE[,name=NAME]\n"
      "[,description=TEXT][,writable=on|off][,bitmaps.0=NAME]\n"
      "[,allocation-depth=on|off]\n"
      "[type=]vhost-user-blk,id=ID,node-name=NODE,\n"
      "addr.type=unix,addr.path=PATH|addr.type=fd,addr.str=FD\n"
      "[,writable=on|off][,logical-block-size=SIZE][,num-queues=N]\n"
      "[type=]fuse,id=ID,node-name=NODE,mountpoint=FILE\n"
      "[,growable=on|off][,writable=on|off][,allow-other=on|off|auto]",
      "serve a block node; each kind takes iothread=ID,\nfixed-iothread=on|off and "
      "writethrough=on|off too" },
    { "monitor", 0, apply_monitor, "[chardev=]ID[,mode=control][,pretty=on|off]",
      "offer QMP on a character device" },
    { "nbd-server", 0, apply_nbd_server,
      "addr.type=inet,addr.host=HOST,addr.port=PORT\n"
      "addr.type=unix,addr.path=PATH\n"
      "[,tls-creds=ID][,tls-authz=ID][,max-connections=N]",
      "start the server that nbd exports need" },
    { "object", 0, apply_object, "[qom-type=]TYPE,id=ID[,...]",
      "make an object, such as a secret or an iothread;\n'help' lists the types" },
    { "pidfile", 0, NULL, "PATH", "write the process number there when all is ready" },
};

static void print_lines(const char *indent, const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (char **line = lines; *line; line++) {
        printf("%s%s\n", indent, *line);
    }
}

static void print_help(void)
{
    printf("usage: vireo-storage-daemon [options]\n"
           "Serves disk images, controlled by QMP.\n\n");
    for (size_t i = 0; i < G_N_ELEMENTS(options_table); i++) {
        const Option *option = &options_table[i];

        if (option->letter) {
            printf("  -%c, --%s\n", option->letter, option->name);
        } else {
            printf("  --%s\n", option->name);
        }
        if (option->argument) {
            print_lines("         ", option->argument);
        }
        print_lines("                 ", option->help);
    }
}

/* The table's index of the next option; -1: there is none; -2: getopt has complained. */
static int next_option(int argc, char **argv)
{
    struct option long_options[G_N_ELEMENTS(options_table) + 1] = { 0 };
    int c;

    for (size_t i = 0; i < G_N_ELEMENTS(options_table); i++) {
        const Option *option = &options_table[i];

        long_options[i] = (struct option){
            option->name, option->argument ? required_argument : no_argument, NULL,
            option->letter ? option->letter : 256 + (int)i,
        };
    }
    c = getopt_long(argc, argv, "-hT:V", long_options, NULL);
    for (size_t i = 0; c > 1 && c < 256 && i < G_N_ELEMENTS(options_table); i++) {
        c = options_table[i].letter == c ? 256 + (int)i : c;
    }
    return c == -1 ? -1 : c >= 256 ? c - 256 : c == 1 ? -3 : -2;
}

static DaemonOptionResult scan_one(const Option *option, DaemonOptions *options, GError **error)
{
    if (option->letter == 'h') {
        print_help();
        return DAEMON_OPTION_HELP;
    }
    if (option->letter == 'V') {
        printf("vireo-storage-daemon version 7.2.0 (Vireo %s)\n", VIREO_VERSION);
        return DAEMON_OPTION_HELP;
    }
    if (option->letter == 'T') {
        return strcmp(optarg, "help") == 0 ? print(trace_help())
                                           : result_of(trace_option(optarg, error));
    }
    options->daemonize |= strcmp(option->name, "daemonize") == 0;
    if (strcmp(option->name, "pidfile") == 0) {
        options->pidfile = optarg;
    }
    return DAEMON_OPTION_OK;
}

DaemonOptionResult daemon_options_scan(int argc, char **argv, DaemonOptions *options,
                                       GError **error)
{
    int index;

    optind = 0;
    while ((index = next_option(argc, argv)) >= 0) {
        DaemonOptionResult result = scan_one(&options_table[index], options, error);

        if (result != DAEMON_OPTION_OK) {
            return result;
        }
    }
    if (index == -3) {
        error_setf(error, "%s: Unexpected argument", optarg);
    } else if (index == -1 && optind < argc) {
        error_setf(error, "%s: Unexpected argument", argv[optind]);
    }
    return index == -1 && optind == argc ? DAEMON_OPTION_OK : DAEMON_OPTION_FAILED;
}

DaemonOptionResult daemon_options_apply(int argc, char **argv, GError **error)
{
    int index;

    optind = 0;
    while ((index = next_option(argc, argv)) >= 0) {
        const Option *option = &options_table[index];
        DaemonOptionResult result = option->apply ? option->apply(optarg, error)
                                                  : DAEMON_OPTION_OK;

        if (result != DAEMON_OPTION_OK) {
            g_prefix_error(error, "--%s %s: ", option->name, optarg);
            return result;
        }
    }
    return DAEMON_OPTION_OK;
}
