/* SPDX-License-Identifier: Apache-2.0 */
/* vireo-img: making, looking at and converting disk images. */
#include <stdio.h>
#include <string.h>

#include "block/driver.h"
#include "tools/img/img.h"
#include "util/coroutine.h"
#include "util/error.h"
#include "util/trace.h"
#include "util/vireo-config.h"
#include "util/vm-lock.h"

const ImgCommand img_commands[] = {
    { "create", "[--object objectdef] [-q] [-f fmt] [-b backing_file [-F backing_fmt]] [-u] "
      "[-o options] filename [size]", "Make a new image.", img_create },
    { "convert", "[--object objectdef] [--image-opts] [--target-image-opts] [--target-is-zero] "
      "[--bitmaps [--skip-broken-bitmaps]] [-U] [-C] [-c] [-p] [--progress=json] [-q] [-n] "
      "[-f fmt] [-t cache] [-T src_cache] [-O output_fmt] [-B backing_file [-F backing_fmt]] "
      "[-o options] [-l snapshot_param] [-S sparse_size] [-r rate_limit] [-m num_coroutines] [-W] "
      "[--salvage] [--resume] filename [filename2 [...]] output_filename",
      "Copy an image into another, of any format.", img_convert },
    { "compare", "[--object objectdef] [--image-opts] [-f fmt] [-F fmt] [-T src_cache] [-p] [-q] "
      "[-s] [-U] filename1 filename2", "Say whether two images have the same content.",
      img_compare },
    { "commit", "[--object objectdef] [--image-opts] [-q] [-f fmt] [-t cache] [-b base] "
      "[-r rate_limit] [-d] [-p] filename", "Move an image's content into its backing file.",
      img_commit },
    { "rebase", "[--object objectdef] [--image-opts] [-U] [-q] [-f fmt] [-t cache] [-T src_cache] "
      "[-p] [-u] -b backing_file [-F backing_fmt] filename", "Change an image's backing file.",
      img_rebase },
    { "amend", "[--object objectdef] [--image-opts] [-p] [-q] [-f fmt] [-t cache] [--force] "
      "-o options filename", "Change the options that an image was made with.", img_amend },
    { "dd", "[--object objectdef] [--image-opts] [-U] [-f fmt] [-O output_fmt] [bs=block_size] "
      "[count=blocks] [skip=blocks] if=input of=output", "Copy a part of an image.", img_dd },
    { "bench", "[-c count] [-d depth] [-f fmt] [--flush-interval=flush_interval] [-i aio] [-n] "
      "[--no-drain] [-o offset] [--pattern=pattern] [-q] [-s buffer_size] [-S step_size] "
      "[-t cache] [-w] [-U] filename", "Measure how fast requests are.", img_bench },
    { "bitmap", "(--merge source | --add | --remove | --clear | --enable | --disable)... "
      "[-b source_file [-F source_fmt]] [-g granularity] [--object objectdef] "
      "[--image-opts | -f fmt] filename bitmap", "Change a dirty bitmap that an image keeps.",
      img_bitmap },
    { "info", "[--object objectdef] [--image-opts] [-f fmt] [--output=human|json] "
      "[--backing-chain] [-U] filename", "Say what an image is.", img_info },
    { "check", "[--object objectdef] [--image-opts] [-q] [-f fmt] [--output=human|json] "
      "[-r leaks|all] [-T src_cache] [-U] filename", "Look for damage, and repair it.", img_check },
    { "map", "[--object objectdef] [--image-opts] [-f fmt] [--start-offset=offset] "
      "[--max-length=len] [--output=human|json] [-U] filename", "Say where the data is.", img_map },
    { "measure", "[--output=human|json] [-O output_fmt] [-o options] [--size N | "
      "[--object objectdef] [--image-opts] [-f fmt] [-U] filename]",
      "Say how large an image will be.", img_measure },
    { "resize", "[--object objectdef] [--image-opts] [-f fmt] [--preallocation=mode] [-q] "
      "[--shrink] filename [+|-]size", "Change the size of a disk.", img_resize },
    { "snapshot", "[--object objectdef] [--image-opts] [-U] [-q] [-l | -a snapshot | -c snapshot | "
      "-d snapshot] filename", "List, make, apply and delete internal snapshots.", img_snapshot },
    { 0 },
};

static void print_formats(void)
{
    g_autoptr(GPtrArray) drivers = block_driver_list();

    printf("\nSupported formats:");
    for (guint i = 0; i < drivers->len; i++) {
        printf(" %s", ((const BlockDriver *)g_ptr_array_index(drivers, i))->name);
    }
    printf("\n");
}

static int print_help(void)
{
    printf("usage: vireo-img [standard options] command [command options]\n"
           "Makes, converts and repairs disk images.\n\n"
           "    -h, --help       this text\n"
           "    -V, --version    the version\n"
           "    -T, --trace      [[enable=]pattern][,events=file][,file=file]\n\n"
           "Commands (each says more with --help):\n");
    for (const ImgCommand *c = img_commands; c->name; c++) {
        printf("  %-9s %s\n", c->name, c->usage);
    }
    print_formats();
    return 0;
}

static int print_version(void)
{
    printf("vireo-img version 7.2.0 (Vireo %s)\n", VIREO_VERSION);
    return 0;
}

typedef struct CommandRun {
    const ImgCommand *command;
    int argc;
    char **argv;
    int status;
} CommandRun;

static void run_command(void *opaque)
{
    CommandRun *run = opaque;

    run->status = run->command->run(run->argc, run->argv);
}

static const ImgCommand *find_command(const char *name)
{
    for (const ImgCommand *c = img_commands; c->name; c++) {
        if (!strcmp(c->name, name)) {
            return c;
        }
    }
    return NULL;
}

static void unknown_command(const char *name)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    const char *nearest;

    for (const ImgCommand *c = img_commands; c->name; c++) {
        g_ptr_array_add(names, (void *)c->name);
    }
    g_ptr_array_add(names, NULL);
    nearest = nearest_word(name, (const char *const *)names->pdata);
    if (nearest) {
        img_usage_error("Command not found: %s; did you mean '%s'?", name, nearest);
    } else {
        img_usage_error("Command not found: %s", name);
    }
}

int main(int argc, char **argv)
{
    static const struct option long_options[] = {
        { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, 'V' },
        { "trace", required_argument, NULL, 'T' },
        { 0 },
    };
    CommandRun run = { 0 };
    GError *error = NULL;
    int c;

    error_init("vireo-img");
    vm_lock();
    loop_allow_waiting(loop_main(), IMG_SHORT_WRITE);
    while ((c = getopt_long(argc, argv, "+hVT:", long_options, NULL)) != -1) {
        if (c == 'h') {
            return print_help();
        }
        if (c == 'V') {
            return print_version();
        }
        if (c != 'T' || !trace_option(optarg, &error)) {
            return error ? img_fail(NULL, error) : img_usage_error("Bad option");
        }
    }
    if (optind >= argc) {
        return img_usage_error("Not enough arguments");
    }
    run.command = find_command(argv[optind]);
    if (!run.command) {
        unknown_command(argv[optind]);
        return 1;
    }
    run.argc = argc - optind;
    run.argv = argv + optind;
    optind = 0;
    coroutine_run(run_command, &run);
    return run.status;
}
