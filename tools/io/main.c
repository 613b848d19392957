/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tools/image-options.h"
#include "tools/io/io.h"
#include "util/error.h"
#include "util/trace.h"
#include "util/vireo-config.h"
#include "util/vm-lock.h"

typedef struct Program {
    IoSession session;
    GPtrArray *commands; /* -c, borrowed */
    const char *filename;
    int status;
} Program;

/* ---- Lines ---- */

/* From a terminal or a pipe; waiting for a line must not stop requests, so it is asked for only
   when nothing is in flight or input is there. */
static int run_stdin(IoSession *session)
{
    bool prompt = true;
    int status = 0;
    char *line = NULL;
    size_t room = 0;

    while (!session->quit) {
        if (prompt) {
            printf("vireo-io> ");
            fflush(stdout);
        }
        io_wait_for_requests(session);
        if (getline(&line, &room, stdin) < 0) {
            break;
        }
        status |= io_run_line(session, line);
    }
    free(line);
    return status;
}

static void run_program(void *opaque)
{
    Program *program = opaque;
    IoSession *session = &program->session;

    if (program->filename && !io_open(session, program->filename, &session->defaults)) {
        program->status = 1;
        return;
    }
    for (guint i = 0; i < program->commands->len && !session->quit; i++) {
        program->status |= io_run_line(session, g_ptr_array_index(program->commands, i));
    }
    if (program->commands->len == 0) {
        program->status = run_stdin(session);
    }
    io_close(session);
}

/* ---- Options ---- */

enum { OPT_OBJECT = 256, OPT_IMAGE_OPTS };

static const struct option long_options[] = {
    { "help", no_argument, NULL, 'h' },
    { "version", no_argument, NULL, 'V' },
    { "cmd", required_argument, NULL, 'c' },
    { "format", required_argument, NULL, 'f' },
    { "read-only", no_argument, NULL, 'r' },
    { "snapshot", no_argument, NULL, 's' },
    { "nocache", no_argument, NULL, 'n' },
    { "copy-on-read", no_argument, NULL, 'C' },
    { "misalign", no_argument, NULL, 'm' },
    { "native-aio", no_argument, NULL, 'k' },
    { "aio", required_argument, NULL, 'i' },
    { "cache", required_argument, NULL, 't' },
    { "discard", required_argument, NULL, 'd' },
    { "trace", required_argument, NULL, 'T' },
    { "force-share", no_argument, NULL, 'U' },
    { "object", required_argument, NULL, OPT_OBJECT },
    { "image-opts", no_argument, NULL, OPT_IMAGE_OPTS },
    { 0 },
};

static void print_help(void)
{
    printf("usage: vireo-io [options] [-c command]... [file]\n"
           "Reads and writes disk images by hand.\n\n"
           "  --object OBJECT        make an object, such as a secret\n"
           "  --image-opts           FILE is options: driver=qcow2,file.filename=x\n"
           "  -c, --cmd COMMAND      run this command; else they are read from stdin\n"
           "  -f, --format FMT       the image's format\n"
           "  -r, --read-only        do not write\n"
           "  -n, --nocache          as -t none\n"
           "  -s, --snapshot         write into a temporary overlay\n"
           "  -C, --copy-on-read     keep what was read from backing files\n"
           "  -i, --aio MODE         threads, native or io_uring\n"
           "  -t, --cache MODE       none, writeback, writethrough, directsync, unsafe\n"
           "  -d, --discard MODE     ignore or unmap\n"
           "  -T, --trace SPEC       switch trace points on\n"
           "  -U, --force-share      accept that others use the image\n"
           "  -h, --help; -V, --version\n\n"
           "See 'vireo-io -c help' for the commands.\n");
}

/* False: stop; *status says how. */
static bool take_option(Program *program, int c, GError **error)
{
    IoOpen *open = &program->session.defaults;

    switch (c) {
    case 'c':
        g_ptr_array_add(program->commands, optarg);
        return true;
    case 'f':
        open->format = optarg;
        return true;
    case 'r':
        open->read_only = true;
        return true;
    case 's':
        open->snapshot = true;
        return true;
    case 'C':
        open->copy_on_read = true;
        return true;
    case 'U':
        open->force_share = true;
        return true;
    case 'n':
        open->cache = "none";
        return true;
    case 't':
        open->cache = optarg;
        return true;
    case 'k':
        open->aio = "native";
        return true;
    case 'i':
        open->aio = optarg;
        return true;
    case 'd':
        open->discard = optarg;
        return true;
    case 'm':
        return true;
    case 'T':
        return trace_option(optarg, error);
    case OPT_OBJECT:
        return tool_add_object(optarg, error);
    case OPT_IMAGE_OPTS:
        open->image_opts = true;
        return true;
    default:
        error_setf(error, "see 'vireo-io --help'");
        return false;
    }
}

static bool parse_options(Program *program, int argc, char **argv)
{
    GError *error = NULL;
    int c;

    while ((c = getopt_long(argc, argv, "hVc:d:f:rsnCmki:t:T:U", long_options, NULL)) != -1) {
        if (c == 'h') {
            print_help();
            return false;
        }
        if (c == 'V') {
            printf("vireo-io version 7.2.0 (Vireo %s)\n", VIREO_VERSION);
            return false;
        }
        if (!take_option(program, c, &error)) {
            error_report_err(error);
            program->status = 1;
            return false;
        }
    }
    if (argc - optind > 1) {
        error_report("at most one image file");
        program->status = 1;
        return false;
    }
    program->filename = optind < argc ? argv[optind] : NULL;
    return true;
}

int main(int argc, char **argv)
{
    Program program = { .commands = g_ptr_array_new() };

    error_init("vireo-io");
    vm_lock();
    loop_main();
    if (parse_options(&program, argc, argv)) {
        coroutine_run(run_program, &program);
    }
    g_ptr_array_unref(program.commands);
    return program.status;
}
