/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tools/img/img.h"
#include "util/error.h"

enum { OPT_PREALLOCATION = IMG_OPT_OWN, OPT_SHRINK };

static const struct option long_options[] = {
    IMG_LONG_COMMON, { "preallocation", required_argument, NULL, OPT_PREALLOCATION },
    { "shrink", no_argument, NULL, OPT_SHRINK }, IMG_LONG_END,
};

typedef struct ResizeArgs {
    ImgOptions common;
    PreallocMode prealloc;
    bool shrink;
    int sign;       /* -1, 0 (absolute), 1 */
    int64_t amount;
} ResizeArgs;

static bool own_option(void *opaque, int c)
{
    ResizeArgs *args = opaque;
    GError *error = NULL;

    if (c == OPT_SHRINK) {
        args->shrink = true;
    } else if (!PreallocMode_parse(optarg, &args->prealloc, &error)) {
        error_report("Invalid preallocation mode '%s'", optarg);
        g_error_free(error);
        return false;
    }
    return true;
}

static bool parse_amount(ResizeArgs *args, const char *text)
{
    args->sign = text[0] == '+' ? 1 : text[0] == '-' ? -1 : 0;
    return img_parse_size("image size", text + (args->sign != 0), &args->amount);
}

static bool new_size(const ResizeArgs *args, int64_t current, int64_t *size, GError **error)
{
    *size = args->sign ? current + args->sign * args->amount : args->amount;
    if (*size <= 0 || *size > BLOCK_MAX_LENGTH) {
        error_setf(error, "New image size must be positive");
        return false;
    }
    if (*size < current && args->prealloc != PREALLOC_MODE_OFF) {
        error_setf(error, "Preallocation can only be used for growing images");
        return false;
    }
    if (*size < current && !args->shrink) {
        error_setf(error, "Use the --shrink option to perform a shrink operation: all data beyond "
                   "the new end will be gone");
        return false;
    }
    return true;
}

static bool resize(const ResizeArgs *args, BlockBackend *blk, GError **error)
{
    int64_t current = block_backend_getlength(blk);
    BlockTruncate truncate = { .exact = true, .prealloc = args->prealloc };

    if (current < 0) {
        error_set_errno(error, -current, "Could not get the image's size");
        return false;
    }
    return new_size(args, current, &truncate.size, error) &&
           block_backend_truncate(blk, &truncate, error) >= 0;
}

int img_resize(int argc, char **argv)
{
    ResizeArgs args = { .common.command = "resize" };
    g_autoptr(BlockBackend) blk = NULL;
    GError *error = NULL;
    const char *size;
    ImgParse parsed;
    ImgOpen open;

    /* The size may look like an option ("-1G"): it is the last word in any case. */
    if (argc < 3) {
        return argc == 2 && !strcmp(argv[1], "--help")
                   ? (img_parse(&args.common, argc, argv, ":h", long_options, NULL, NULL), 0)
                   : img_usage_error("Expecting image file name and size");
    }
    size = argv[--argc];
    parsed = img_parse(&args.common, argc, argv, ":f:hq", long_options, own_option, &args);
    if (parsed != IMG_PARSED) {
        return parsed == IMG_EXIT_BAD;
    }
    if (optind != argc - 1) {
        return img_usage_error("Expecting image file name and size");
    }
    if (!parse_amount(&args, size)) {
        return 1;
    }
    open = img_open_from(&args.common);
    open.writable = open.resize = true;
    blk = img_open(argv[optind], &open, &error);
    if (!blk || !resize(&args, blk, &error)) {
        return img_fail(NULL, error);
    }
    if (!args.common.quiet) {
        printf("Image resized.\n");
    }
    return 0;
}
