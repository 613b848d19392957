/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "block/create.h"
#include "tools/img/img.h"
#include "util/error.h"

static const struct option long_options[] = { IMG_LONG_COMMON, IMG_LONG_END };

static const char *kind_text(BlockOptionKind kind)
{
    static const char *const texts[] = {
        [BLOCK_OPTION_STRING] = "str", [BLOCK_OPTION_BOOL] = "bool (on/off)",
        [BLOCK_OPTION_NUMBER] = "num", [BLOCK_OPTION_SIZE] = "size",
    };

    return texts[kind];
}

void img_print_options(const BlockOption *table, const BlockOption *hidden, bool amendable)
{
    for (const BlockOption *o = table; o && o->name; o++) {
        g_autofree char *left = g_strdup_printf("%s=<%s>", o->name, kind_text(o->kind));

        if (!block_option_find(hidden, o->name) && (!amendable || o->amendable)) {
            printf("  %-22s - %s\n", left, o->help);
        }
    }
}

int img_create_help(const char *filename, const char *format)
{
    GError *error = NULL;
    const BlockDriver *driver = block_driver_find(format, &error);
    const BlockDriver *protocol = driver && filename ? block_driver_find_protocol(filename, &error)
                                                     : NULL;

    if (error) {
        return img_fail(NULL, error);
    }
    printf("Supported %s options:\n", driver->name);
    img_print_options(driver->create_options, NULL, false);
    if (protocol) {
        img_print_options(protocol->create_options, driver->create_options, false);
    }
    return 0;
}

/* What will be done, defaults included, as scripts know the line. */
static void print_formatting(const char *filename, const char *format, json_object *options)
{
    const BlockDriver *driver = block_driver_find(format, NULL);

    printf("Formatting '%s', fmt=%s", filename, format);
    for (const BlockOption *o = driver ? driver->create_options : NULL; o && o->name; o++) {
        json_object *value;

        if (json_object_object_get_ex(options, o->name, &value)) {
            printf(" %s=%s", o->name, json_object_get_string(value));
        } else if (o->default_value) {
            printf(" %s=%s", o->name, o->default_value);
        }
    }
    printf("\n");
}

typedef struct CreateArgs {
    ImgOptions common;
    const char *backing, *backing_format;
    bool unsafe;
} CreateArgs;

static bool own_option(void *opaque, int c)
{
    CreateArgs *args = opaque;

    if (c == 'b') {
        args->backing = optarg;
    } else if (c == 'F') {
        args->backing_format = optarg;
    } else {
        args->unsafe = true;
    }
    return true;
}

static json_object *all_options(CreateArgs *args, const char *size)
{
    json_object *given = args->common.create_options;
    json_object *options = given ? json_object_get(given) : json_object_new_object();

    if (args->backing) {
        json_object_object_add(options, "backing_file", json_object_new_string(args->backing));
    }
    if (args->backing_format) {
        json_object_object_add(options, "backing_fmt",
                               json_object_new_string(args->backing_format));
    }
    if (size) {
        g_autofree char *bytes = NULL;
        int64_t value;

        if (!img_parse_size("image size", size, &value)) {
            json_object_put(options);
            return NULL;
        }
        bytes = g_strdup_printf("%" PRId64, value);
        json_object_object_add(options, "size", json_object_new_string(bytes));
    }
    return options;
}

static int create(CreateArgs *args, const char *filename, const char *size)
{
    const char *format = args->common.format ? args->common.format : "raw";
    json_object *options = all_options(args, size);
    GError *error = NULL;
    bool ok;

    if (!options) {
        return 1;
    }
    if (!args->common.quiet) {
        print_formatting(filename, format, options);
    }
    ok = block_create_image(filename, format, options, args->unsafe, &error);
    json_object_put(options);
    return ok ? 0 : img_fail(filename, error);
}

int img_create(int argc, char **argv)
{
    CreateArgs args = { .common.command = "create" };
    ImgParse parsed = img_parse(&args.common, argc, argv, ":F:b:f:ho:qu", long_options, own_option,
                                &args);
    const char *filename = optind < argc ? argv[optind] : NULL;
    int status;

    if (parsed != IMG_PARSED) {
        status = parsed == IMG_EXIT_BAD;
    } else if (args.common.create_help) {
        status = img_create_help(filename, args.common.format ? args.common.format : "raw");
    } else if (!filename) {
        status = img_usage_error("Expecting image file name");
    } else if (optind + 2 < argc) {
        status = img_usage_error("Unexpected argument: %s", argv[optind + 2]);
    } else {
        status = create(&args, filename, optind + 1 < argc ? argv[optind + 1] : NULL);
    }
    img_options_cleanup(&args.common);
    return status;
}
