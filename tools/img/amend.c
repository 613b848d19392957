/* SPDX-License-Identifier: Apache-2.0 */
/* Change the options that an image was made with. */
#include <stdio.h>

#include "block/create.h"
#include "tools/img/img.h"
#include "util/error.h"

enum { OPT_FORCE = IMG_OPT_OWN };

static const struct option long_options[] = {
    IMG_LONG_COMMON, IMG_LONG_PROGRESS, { "force", no_argument, NULL, OPT_FORCE }, IMG_LONG_END,
};

typedef struct AmendArgs {
    ImgOptions common;
    bool force;
} AmendArgs;

static bool can_amend(const BlockDriver *driver, GError **error)
{
    bool ok = driver->amend || driver->amend_image;

    if (!ok) {
        error_setf(error, "The '%s' format has no options that can be amended", driver->name);
    }
    return ok;
}

static int print_help(const AmendArgs *args)
{
    GError *error = NULL;
    const BlockDriver *driver;

    if (!args->common.format) {
        return img_usage_error("-o help needs the format (-f)");
    }
    driver = block_driver_find(args->common.format, &error);
    if (!driver || !can_amend(driver, &error)) {
        return img_fail(NULL, error);
    }
    printf("Amend options for '%s':\n", driver->name);
    img_print_options(driver->create_options, NULL, true);
    if (driver->amend_options) {
        img_print_options(driver->amend_options, NULL, true);
    }
    return 0;
}

static const BlockOption *find_option(const BlockDriver *driver, const char *name)
{
    const BlockOption *option = block_option_find(driver->create_options, name);

    return option || !driver->amend_options ? option
                                            : block_option_find(driver->amend_options, name);
}

static bool options_are_known(const BlockDriver *driver, json_object *options, GError **error)
{
    json_object_object_foreach(options, name, value) {
        const BlockOption *option = find_option(driver, name);

        if (!option) {
            error_setf(error, "Invalid parameter '%s'", name);
            return false;
        }
        if (!option->amendable) {
            error_setf(error, "'%s' can be given only when an image is created", name);
            return false;
        }
    }
    return true;
}

static BlockdevAmendOptions *typed_options(const BlockDriver *driver, json_object *options,
                                           GError **error)
{
    json_object *mapped = block_options_to_qapi(driver->create_options, options);
    BlockdevAmendOptions *typed = NULL;

    if (driver->amend_options) {
        json_object *more = block_options_to_qapi(driver->amend_options, options);

        json_object_object_foreach(more, key, value) {
            json_object_object_add(mapped, key, json_object_get(value));
        }
        json_object_put(more);
    }
    json_object_object_add(mapped, "driver", json_object_new_string(driver->name));
    if (!driver->translate_create_options || driver->translate_create_options(mapped, error)) {
        BlockdevAmendOptions_from_json(mapped, QAPI_KEYVAL, &typed, error);
    }
    json_object_put(mapped);
    return typed;
}

static bool amend(const AmendArgs *args, BlockBackend *blk, GError **error)
{
    BlockNode *node = block_backend_node(blk);
    g_autoptr(BlockdevAmendOptions) typed = NULL;
    Progress progress;
    bool ok;

    if (!can_amend(node->driver, error) ||
        !options_are_known(node->driver, args->common.create_options, error)) {
        return false;
    }
    if (!node->driver->amend_image) {
        typed = typed_options(node->driver, args->common.create_options, error);
        if (!typed) {
            return false;
        }
    }
    progress_begin(&progress, "amend", img_progress_style(&args->common), 0);
    ok = typed ? node->driver->amend(node, typed, args->force, progress_set, &progress, error)
               : node->driver->amend_image(node, args->common.create_options, args->force,
                                           progress_set, &progress, error);
    progress_end(&progress, ok ? PROGRESS_COMPLETED : PROGRESS_FAILED);
    return ok;
}

static int run(const AmendArgs *args, const char *filename)
{
    ImgOpen open = img_open_from(&args->common);
    GError *error = NULL;
    g_autoptr(BlockBackend) blk = NULL;

    open.writable = open.resize = true;
    blk = img_open(filename, &open, &error);
    if (!blk || !amend(args, blk, &error)) {
        return img_fail(NULL, error);
    }
    return 0;
}

static bool own_option(void *opaque, int c)
{
    ((AmendArgs *)opaque)->force = true; /* --force, the only one */
    return true;
}

int img_amend(int argc, char **argv)
{
    AmendArgs args = { .common.command = "amend" };
    ImgParse parsed = img_parse(&args.common, argc, argv, ":ho:f:t:pq", long_options, own_option,
                                &args);
    int status;

    if (parsed != IMG_PARSED) {
        status = parsed == IMG_EXIT_BAD;
    } else if (args.common.create_help) {
        status = print_help(&args);
    } else if (!args.common.create_options) {
        status = img_usage_error("Must specify options (-o)");
    } else if (optind != argc - 1) {
        status = img_usage_error("Expecting one image file name");
    } else {
        status = run(&args, argv[optind]);
    }
    img_options_cleanup(&args.common);
    return status;
}
