/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "tools/img/img.h"
#include "tools/json-print.h"
#include "util/error.h"

static const struct option long_options[] = {
    IMG_LONG_COMMON, IMG_LONG_OUTPUT, { "size", required_argument, NULL, IMG_OPT_OWN },
    IMG_LONG_END,
};

typedef struct MeasureArgs {
    ImgOptions common;
    const char *output_format;
    int64_t size; /* -1: that of the image */
} MeasureArgs;

static bool own_option(void *opaque, int c)
{
    MeasureArgs *args = opaque;

    if (c == 'O') {
        args->output_format = optarg;
        return true;
    }
    return img_parse_size("image size", optarg, &args->size);
}

static void print_result(const MeasureArgs *args, const BlockMeasureInfo *info)
{
    if (args->common.json) {
        json_object *json = BlockMeasureInfo_to_json(info);

        json_print(stdout, json);
        json_object_put(json);
        return;
    }
    printf("required size: %" PRId64 "\nfully allocated size: %" PRId64 "\n", info->required,
           info->fully_allocated);
    if (info->has_bitmaps) {
        printf("bitmaps size: %" PRId64 "\n", info->bitmaps);
    }
}

static int measure(const MeasureArgs *args, BlockNode *in)
{
    GError *error = NULL;
    const BlockDriver *driver = block_driver_find(args->output_format, &error);
    g_autoptr(BlockMeasureInfo) info = NULL;
    json_object *options = args->common.create_options;
    int64_t size = in ? block_getlength(in) : args->size;

    if (driver && !driver->measure) {
        error_setf(&error, "Block driver '%s' does not support size measurement", driver->name);
    } else if (driver && size < 0) {
        error_set_errno(&error, -size, "Could not get the image's size");
    } else if (driver) {
        options = options ? json_object_get(options) : json_object_new_object();
        info = driver->measure(options, in, size, &error);
        json_object_put(options);
    }
    if (!info) {
        return img_fail(NULL, error);
    }
    print_result(args, info);
    return 0;
}

int img_measure(int argc, char **argv)
{
    MeasureArgs args = { .common.command = "measure", .output_format = "raw", .size = -1 };
    ImgParse parsed = img_parse(&args.common, argc, argv, ":hf:o:O:U", long_options, own_option,
                                &args);
    g_autoptr(BlockBackend) blk = NULL;
    GError *error = NULL;
    int status;

    if (parsed != IMG_PARSED) {
        status = parsed == IMG_EXIT_BAD;
    } else if (optind + 1 < argc) {
        status = img_usage_error("At most one filename argument is allowed.");
    } else if ((optind < argc) == (args.size >= 0)) {
        status = img_usage_error("Either --size N or one filename must be specified.");
    } else if (optind < argc) {
        ImgOpen open = img_open_from(&args.common);

        blk = img_open(argv[optind], &open, &error);
        status = blk ? measure(&args, block_backend_node(blk)) : img_fail(NULL, error);
    } else {
        status = measure(&args, NULL);
    }
    img_options_cleanup(&args.common);
    return status;
}
