/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "qapi/keyval.h"
#include "tools/img/convert.h"
#include "util/error.h"
#include "util/parse.h"

#define MAX_SPARSE (16 * 1024 * 1024)

enum { OPT_TARGET_IS_ZERO = IMG_OPT_OWN, OPT_SALVAGE, OPT_BITMAPS, OPT_SKIP_BROKEN, OPT_RESUME };

static const struct option long_options[] = {
    IMG_LONG_COMMON, IMG_LONG_PROGRESS,
    { "target-image-opts", no_argument, NULL, IMG_OPT_TARGET_IMAGE_OPTS },
    { "target-is-zero", no_argument, NULL, OPT_TARGET_IS_ZERO },
    { "salvage", no_argument, NULL, OPT_SALVAGE },
    { "bitmaps", no_argument, NULL, OPT_BITMAPS },
    { "skip-broken-bitmaps", no_argument, NULL, OPT_SKIP_BROKEN },
    { "resume", no_argument, NULL, OPT_RESUME },
    IMG_LONG_END,
};

static bool parse_sparse(ConvertArgs *args, const char *text)
{
    if (!img_parse_size("size for -S", text, &args->sparse)) {
        return false;
    }
    if (args->sparse % BLOCK_SECTOR || args->sparse > MAX_SPARSE) {
        error_report("-S takes a multiple of %d up to %d, or 0 to write zeroes as well",
                     BLOCK_SECTOR, MAX_SPARSE);
        return false;
    }
    return true;
}

static bool parse_workers(ConvertArgs *args, const char *text)
{
    if (!parse_int64(text, &args->workers, NULL) || args->workers < 1 ||
        args->workers > CONVERT_MAX_WORKERS) {
        error_report("-m takes a number of coroutines from 1 to %d", CONVERT_MAX_WORKERS);
        return false;
    }
    return true;
}

/* "snapshot.id=...,snapshot.name=...", or a word that may be either. */
static bool parse_snapshot(ConvertArgs *args, const char *text)
{
    GError *error = NULL;
    json_object *options, *snapshot = NULL, *value;

    g_clear_pointer(&args->snapshot_id, g_free);
    g_clear_pointer(&args->snapshot_name, g_free);
    if (!g_str_has_prefix(text, "snapshot.")) {
        args->snapshot_id = g_strdup(text);
        args->snapshot_name = g_strdup(text);
        return true;
    }
    options = keyval_parse(text, NULL, NULL, &error);
    if (!options) {
        img_fail(NULL, error);
        return false;
    }
    json_object_object_get_ex(options, "snapshot", &snapshot);
    if (json_object_object_get_ex(snapshot, "id", &value)) {
        args->snapshot_id = g_strdup(json_object_get_string(value));
    }
    if (json_object_object_get_ex(snapshot, "name", &value)) {
        args->snapshot_name = g_strdup(json_object_get_string(value));
    }
    json_object_put(options);
    return true;
}

/* Options without an argument. */
static bool set_flag(ConvertArgs *args, int c)
{
    static const struct {
        int option;
        size_t field;
    } flags[] = {
        { 'C', offsetof(ConvertArgs, copy_range) },
        { 'c', offsetof(ConvertArgs, compressed) },
        { 'n', offsetof(ConvertArgs, no_create) },
        { 'W', offsetof(ConvertArgs, any_order) },
        { IMG_OPT_TARGET_IMAGE_OPTS, offsetof(ConvertArgs, target_image_opts) },
        { OPT_TARGET_IS_ZERO, offsetof(ConvertArgs, target_is_zero) },
        { OPT_SALVAGE, offsetof(ConvertArgs, salvage) },
        { OPT_BITMAPS, offsetof(ConvertArgs, bitmaps) },
        { OPT_SKIP_BROKEN, offsetof(ConvertArgs, skip_broken_bitmaps) },
        { OPT_RESUME, offsetof(ConvertArgs, resume) },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(flags); i++) {
        if (flags[i].option == c) {
            *(bool *)((char *)args + flags[i].field) = true;
            return true;
        }
    }
    return false;
}

static bool own_option(void *opaque, int c)
{
    ConvertArgs *args = opaque;

    switch (c) {
    case 'O':
        args->output_format = optarg;
        return true;
    case 'B':
        args->backing = optarg;
        return true;
    case 'F':
        args->backing_format = optarg;
        return true;
    case 'S':
        return parse_sparse(args, optarg);
    case 'm':
        return parse_workers(args, optarg);
    case 'r':
        return img_parse_size("rate limit", optarg, &args->rate);
    case 'l':
        return parse_snapshot(args, optarg);
    default:
        return set_flag(args, c);
    }
}

static bool options_agree(const ConvertArgs *args)
{
    const struct {
        bool wrong;
        const char *why;
    } rules[] = {
        { args->copy_range && args->sparse >= 0, "-C cannot be used with -S" },
        { args->copy_range && args->compressed, "-C cannot be used with -c" },
        { args->target_image_opts && !args->no_create, "--target-image-opts needs -n" },
        { args->target_image_opts && args->output_format,
          "--target-image-opts and -O are mutually exclusive" },
        { args->target_is_zero && !args->no_create, "--target-is-zero needs -n" },
        { args->target_is_zero && args->backing,
          "a target with a backing file does not read as zeroes: drop --target-is-zero or -B" },
        { args->no_create && args->common.create_options,
          "-o has no effect where the target is not created (-n)" },
        { args->skip_broken_bitmaps && !args->bitmaps, "--skip-broken-bitmaps needs --bitmaps" },
        { args->resume && args->no_create, "--resume cannot be used with -n" },
        { args->n_sources > 1 && args->backing,
          "several source images cannot share a backing file: drop -B" },
        { args->n_sources > 1 && (args->snapshot_id || args->snapshot_name),
          "-l takes one source image" },
        { args->n_sources > 1 && args->bitmaps, "--bitmaps takes one source image" },
        { args->bitmaps && (args->snapshot_id || args->snapshot_name),
          "dirty bitmaps belong to an image's present, not to a snapshot: drop --bitmaps or -l" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rules); i++) {
        if (rules[i].wrong) {
            error_report("%s", rules[i].why);
            return false;
        }
    }
    return true;
}

ImgParse convert_parse(ConvertArgs *args, int argc, char **argv)
{
    ImgParse parsed;

    *args = (ConvertArgs){ .common.command = "convert", .sparse = -1 };
    parsed = img_parse(&args->common, argc, argv, ":hf:O:B:CcF:o:l:S:pt:T:qnm:WUr:", long_options,
                       own_option, args);
    if (parsed != IMG_PARSED) {
        return parsed;
    }
    args->sources = argv + optind;
    args->n_sources = argc - optind - 1;
    args->target = args->n_sources >= 0 ? argv[argc - 1] : NULL;
    if (args->common.create_help) {
        return IMG_PARSED;
    }
    if (args->n_sources < 1) {
        img_usage_error("Expecting the names of a source and a target");
        return IMG_EXIT_BAD;
    }
    return options_agree(args) ? IMG_PARSED : IMG_EXIT_BAD;
}

void convert_args_cleanup(ConvertArgs *args)
{
    img_options_cleanup(&args->common);
    g_free(args->snapshot_id);
    g_free(args->snapshot_name);
}
