/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "nbd/proto.h"
#include "tools/image-options.h"
#include "tools/nbd/nbd.h"
#include "util/background.h"
#include "util/error.h"
#include "util/parse.h"
#include "util/trace.h"
#include "util/vireo-config.h"
#include "util/vm-lock.h"

/* Long options without a letter. */
enum {
    OPT_CACHE = 256,
    OPT_AIO,
    OPT_DISCARD,
    OPT_DETECT_ZEROES,
    OPT_OBJECT,
    OPT_TLS_CREDS,
    OPT_TLS_HOSTNAME,
    OPT_TLS_AUTHZ,
    OPT_IMAGE_OPTS,
    OPT_FORK,
    OPT_PID_FILE,
    OPT_SELINUX_LABEL,
};

static const struct option long_options[] = {
    { "help", no_argument, NULL, 'h' },
    { "version", no_argument, NULL, 'V' },
    { "port", required_argument, NULL, 'p' },
    { "bind", required_argument, NULL, 'b' },
    { "socket", required_argument, NULL, 'k' },
    { "shared", required_argument, NULL, 'e' },
    { "persistent", no_argument, NULL, 't' },
    { "verbose", no_argument, NULL, 'v' },
    { "export-name", required_argument, NULL, 'x' },
    { "description", required_argument, NULL, 'D' },
    { "offset", required_argument, NULL, 'o' },
    { "allocation-depth", no_argument, NULL, 'A' },
    { "bitmap", required_argument, NULL, 'B' },
    { "list", no_argument, NULL, 'L' },
    { "format", required_argument, NULL, 'f' },
    { "read-only", no_argument, NULL, 'r' },
    { "snapshot", no_argument, NULL, 's' },
    { "load-snapshot", required_argument, NULL, 'l' },
    { "nocache", no_argument, NULL, 'n' },
    { "cache", required_argument, NULL, OPT_CACHE },
    { "aio", required_argument, NULL, OPT_AIO },
    { "discard", required_argument, NULL, OPT_DISCARD },
    { "detect-zeroes", required_argument, NULL, OPT_DETECT_ZEROES },
    { "object", required_argument, NULL, OPT_OBJECT },
    { "tls-creds", required_argument, NULL, OPT_TLS_CREDS },
    { "tls-hostname", required_argument, NULL, OPT_TLS_HOSTNAME },
    { "tls-authz", required_argument, NULL, OPT_TLS_AUTHZ },
    { "image-opts", no_argument, NULL, OPT_IMAGE_OPTS },
    { "fork", no_argument, NULL, OPT_FORK },
    { "pid-file", required_argument, NULL, OPT_PID_FILE },
    { "selinux-label", required_argument, NULL, OPT_SELINUX_LABEL },
    { "connect", required_argument, NULL, 'c' },
    { "disconnect", no_argument, NULL, 'd' },
    { "trace", required_argument, NULL, 'T' },
    { 0 },
};

static const char usage[] =
    "usage: vireo-nbd [options] file\n"
    "  or:  vireo-nbd -L [options]\n"
    "Serves a disk image by NBD, or lists what another server has.\n\n"
    "  -h, --help                 this text\n"
    "  -V, --version              the version\n\n"
    "The connection:\n"
    "  -p, --port=PORT            port to listen on (10809)\n"
    "  -b, --bind=ADDRESS         address to listen on (0.0.0.0)\n"
    "  -k, --socket=PATH          UNIX domain socket instead\n"
    "  -e, --shared=NUM           so many clients at once (1); 0 is no limit\n"
    "  -t, --persistent           stay when the last client has left\n"
    "  -x, --export-name=NAME     name of the export (empty)\n"
    "  -D, --description=TEXT     words for people about the export\n"
    "  -v, --verbose              more messages\n\n"
    "What clients see:\n"
    "  -o, --offset=OFFSET        the image from here on\n"
    "  -A, --allocation-depth     which image of the chain has what\n"
    "  -B, --bitmap=NAME          a dirty bitmap\n\n"
    "The image:\n"
    "  -f, --format=FORMAT        its format, instead of guessing\n"
    "  -r, --read-only            clients may not write\n"
    "  -s, --snapshot             writes go to a temporary file\n"
    "  -l, --load-snapshot=NAME   an internal snapshot, read-only\n"
    "  -n, --nocache              as --cache=none\n"
    "      --cache=MODE           none, writeback, writethrough, directsync, unsafe\n"
    "      --aio=MODE             threads, native, io_uring\n"
    "      --discard=MODE         ignore, unmap\n"
    "      --detect-zeroes=MODE   off, on, unmap\n"
    "      --image-opts           file is a set of options\n\n"
    "The kernel's NBD client:\n"
    "  -c, --connect=DEVICE       attach the image to this device, such as /dev/nbd0\n"
    "  -d, --disconnect           detach the device that is named in place of the file\n\n"
    "Everything else:\n"
    "  -L, --list                 list another server's exports\n"
    "      --object TYPE,id=ID... make an object, such as a secret\n"
    "      --tls-creds=ID         use TLS with this object\n"
    "      --tls-hostname=NAME    whom the server's certificate must name (-L)\n"
    "      --tls-authz=ID         this object says which clients may connect\n"
    "      --fork                 return when the server is ready, which stays behind\n"
    "      --pid-file=PATH        write the process number there\n"
    "      --selinux-label=LABEL  label of the listening socket\n"
    "  -T, --trace [[enable=]PATTERN][,events=FILE][,file=FILE]\n";

static bool usage_error(const char *fmt, ...) G_GNUC_PRINTF(1, 2);
static bool usage_error(const char *fmt, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, fmt);
    text = g_strdup_vprintf(fmt, args);
    va_end(args);
    error_report("%s", text);
    return false;
}

typedef struct TextOption {
    int c;
    size_t offset;
} TextOption;

/* Those that are only remembered. */
static bool take_text_option(NbdToolOptions *o, int c)
{
    static const TextOption texts[] = {
        { 'p', offsetof(NbdToolOptions, port) },
        { 'b', offsetof(NbdToolOptions, bind) },
        { 'k', offsetof(NbdToolOptions, socket) },
        { 'x', offsetof(NbdToolOptions, export_name) },
        { 'D', offsetof(NbdToolOptions, description) },
        { 'B', offsetof(NbdToolOptions, bitmap) },
        { 'f', offsetof(NbdToolOptions, format) },
        { 'l', offsetof(NbdToolOptions, load_snapshot) },
        { OPT_AIO, offsetof(NbdToolOptions, aio) },
        { OPT_DISCARD, offsetof(NbdToolOptions, discard) },
        { OPT_DETECT_ZEROES, offsetof(NbdToolOptions, detect_zeroes) },
        { OPT_TLS_CREDS, offsetof(NbdToolOptions, tls_creds) },
        { OPT_TLS_HOSTNAME, offsetof(NbdToolOptions, tls_hostname) },
        { OPT_TLS_AUTHZ, offsetof(NbdToolOptions, tls_authz) },
        { OPT_PID_FILE, offsetof(NbdToolOptions, pid_file) },
        { OPT_SELINUX_LABEL, offsetof(NbdToolOptions, selinux_label) },
        { 'c', offsetof(NbdToolOptions, device) },
    }, switches[] = {
        { 't', offsetof(NbdToolOptions, persistent) },
        { 'v', offsetof(NbdToolOptions, verbose) },
        { 'A', offsetof(NbdToolOptions, allocation_depth) },
        { 'L', offsetof(NbdToolOptions, list) },
        { 'd', offsetof(NbdToolOptions, disconnect) },
        { 'r', offsetof(NbdToolOptions, read_only) },
        { 's', offsetof(NbdToolOptions, snapshot) },
        { OPT_IMAGE_OPTS, offsetof(NbdToolOptions, image_opts) },
        { OPT_FORK, offsetof(NbdToolOptions, fork) },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        if (texts[i].c == c) {
            *(const char **)((char *)o + texts[i].offset) = optarg;
            return true;
        }
    }
    for (size_t i = 0; i < G_N_ELEMENTS(switches); i++) {
        if (switches[i].c == c) {
            *(bool *)((char *)o + switches[i].offset) = true;
            return true;
        }
    }
    return false;
}

static bool take_option(NbdToolOptions *o, int c)
{
    GError *error = NULL;
    int64_t number;

    switch (c) {
    case 'e':
        if (!parse_int64(optarg, &number, NULL) || number < 0 || number > INT32_MAX) {
            return usage_error("Invalid shared device number '%s'", optarg);
        }
        o->shared = (int)number;
        return true;
    case 'o':
        return parse_size(optarg, 1, &o->offset, NULL) ||
               usage_error("Invalid offset '%s'", optarg);
    case 'n':
    case OPT_CACHE:
        if (o->cache) {
            return usage_error("-n and --cache can only be specified once");
        }
        o->cache = c == 'n' ? "none" : optarg;
        return true;
    case OPT_OBJECT:
        g_ptr_array_add(o->objects, optarg);
        return true;
    case 'T':
        if (!trace_option(optarg, &error)) {
            error_report_err(error);
            return false;
        }
        return true;
    default:
        return take_text_option(o, c) || usage_error("Try `vireo-nbd --help' for more "
                                                     "information.");
    }
}

/* What must not stand together. */
static bool check(NbdToolOptions *o, int operands)
{
    if (o->list && operands) {
        return usage_error("List mode is incompatible with a file name");
    }
    if (o->list && (o->export_name || o->description || o->bitmap || o->offset || o->cache ||
                    o->format || o->snapshot || o->load_snapshot)) {
        return usage_error("List mode is incompatible with per-device settings");
    }
    if (o->list && (o->fork || o->pid_file)) {
        return usage_error("List mode is incompatible with running a server");
    }
    if (!o->list && operands != 1) {
        return usage_error("Invalid number of arguments\nTry `vireo-nbd --help' for more "
                           "information.");
    }
    if (!o->list && o->tls_hostname) {
        return usage_error("TLS hostname is only supported with --list");
    }
    if (o->socket && (o->port || o->bind)) {
        return usage_error("A UNIX socket has neither port nor address (-k with -p or -b)");
    }
    if (o->socket && *o->socket != '/') {
        return usage_error("socket path must be absolute");
    }
    if (o->image_opts && o->format) {
        return usage_error("--image-opts and -f are mutually exclusive");
    }
    if (o->snapshot && o->load_snapshot) {
        return usage_error("-s and -l are mutually exclusive");
    }
    if (o->device && (o->list || o->disconnect)) {
        return usage_error("--connect is incompatible with --list and --disconnect");
    }
    if (o->device && o->tls_creds) {
        return usage_error("TLS is not supported with a host device");
    }
    o->read_only |= o->load_snapshot != NULL;
    o->fork |= o->device && !o->verbose;
    return true;
}

SocketAddress *nbd_tool_address(const NbdToolOptions *o)
{
    SocketAddress *address = g_new0(SocketAddress, 1);

    if (o->socket) {
        address->type = SOCKET_ADDRESS_TYPE_UNIX;
        address->u.q_unix.path = g_strdup(o->socket);
    } else {
        address->type = SOCKET_ADDRESS_TYPE_INET;
        address->u.inet.host = g_strdup(o->bind ? o->bind : "0.0.0.0");
        address->u.inet.port = g_strdup(o->port ? o->port : G_STRINGIFY(NBD_DEFAULT_PORT));
    }
    return address;
}

static bool make_objects(const NbdToolOptions *o)
{
    for (guint i = 0; i < o->objects->len; i++) {
        GError *error = NULL;

        if (!tool_add_object(g_ptr_array_index(o->objects, i), &error)) {
            error_report_err(error);
            return false;
        }
    }
    return true;
}

static int run(NbdToolOptions *o)
{
    GError *error = NULL;

    if (o->fork && !background_fork(&o->parent_fd, &error)) {
        error_report_err(error);
        return 1;
    }
    vm_lock();
    loop_main();
    if (!make_objects(o)) {
        return 1;
    }
    return o->list ? nbd_tool_list(o) : nbd_tool_serve(o);
}

int main(int argc, char **argv)
{
    g_autoptr(GPtrArray) objects = g_ptr_array_new();
    NbdToolOptions options = { .shared = 1, .objects = objects, .parent_fd = -1 };
    int c;

    error_init("vireo-nbd");
    while ((c = getopt_long(argc, argv, "hVb:o:p:rsnl:c:df:tvk:e:x:D:AB:LT:", long_options,
                            NULL)) != -1) {
        if (c == 'h') {
            printf("%s", usage);
            return 0;
        }
        if (c == 'V') {
            printf("vireo-nbd 7.2.0 (Vireo %s)\n", VIREO_VERSION);
            return 0;
        }
        if (!take_option(&options, c)) {
            return 1;
        }
    }
    if (!check(&options, argc - optind)) {
        return 1;
    }
    options.file = argv[optind];
    return options.disconnect ? nbd_tool_disconnect(options.file) : run(&options);
}
