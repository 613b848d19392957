/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "block/info.h"
#include "block/open.h"
#include "tools/img/img.h"
#include "tools/json-print.h"
#include "util/error.h"

static const struct option long_options[] = {
    IMG_LONG_COMMON, IMG_LONG_OUTPUT,
    { "format", required_argument, NULL, 'f' },
    { "backing-chain", no_argument, NULL, IMG_OPT_OWN },
    IMG_LONG_END,
};

/* The next file of the chain by its header; a chain that comes back to itself is an error. */
static bool next_of_chain(const ImageInfo *info, char **filename, char **format, GHashTable *seen,
                          GError **error)
{
    g_free(*filename);
    g_free(*format);
    *filename = g_strdup(info->full_backing_filename);
    *format = g_strdup(info->backing_filename_format);
    if (info->backing_filename && !*filename) {
        error_setf(error, "Could not tell where the backing file '%s' is", info->backing_filename);
        return false;
    }
    if (*filename && !g_hash_table_add(seen, g_strdup(*filename))) {
        error_setf(error, "Backing file '%s' creates an infinite loop.", *filename);
        return false;
    }
    return true;
}

/* Each image of the chain on its own: one that cannot be opened does not hide the ones above. */
static GPtrArray *collect(const ImgOptions *options, const char *image, bool chain, GError **error)
{
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GPtrArray) list = ImageInfo_list_new();
    g_autofree char *filename = g_strdup(image);
    g_autofree char *format = g_strdup(options->format);
    bool image_opts = options->image_opts;

    g_hash_table_add(seen, g_strdup(image));
    while (filename) {
        ImgOpen open = { .format = format, .image_opts = image_opts,
                         .force_share = options->force_share,
                         .open_flags = BLOCK_OPEN_NO_BACKING | BLOCK_OPEN_NO_IO };
        g_autoptr(BlockBackend) blk = img_open(filename, &open, error);
        ImageInfo *info = blk ? block_image_info(block_backend_node(blk), error) : NULL;

        if (!info) {
            return NULL;
        }
        g_ptr_array_add(list, info);
        image_opts = false;
        if (!chain) {
            break;
        }
        if (!next_of_chain(info, &filename, &format, seen, error)) {
            return NULL;
        }
    }
    return g_steal_pointer(&list);
}

static void print_list(const ImgOptions *options, GPtrArray *list, bool chain)
{
    g_autoptr(GString) text = g_string_new(NULL);
    json_object *json;

    if (options->json) {
        json = chain ? qapi_list_to_json(&ImageInfo_type, list)
                     : ImageInfo_to_json(g_ptr_array_index(list, 0));
        json_print(stdout, json);
        json_object_put(json);
        return;
    }
    for (guint i = 0; i < list->len; i++) {
        g_string_append(text, i ? "\n" : "");
        block_image_info_text(text, g_ptr_array_index(list, i));
    }
    fputs(text->str, stdout);
}

static bool own_option(void *opaque, int c)
{
    *(bool *)opaque = true; /* --backing-chain, the only one */
    return true;
}

int img_info(int argc, char **argv)
{
    ImgOptions options = { .command = "info" };
    g_autoptr(GPtrArray) list = NULL;
    GError *error = NULL;
    bool chain = false;
    ImgParse parsed = img_parse(&options, argc, argv, ":hf:U", long_options, own_option, &chain);

    if (parsed != IMG_PARSED) {
        return parsed == IMG_EXIT_BAD;
    }
    if (optind != argc - 1) {
        return img_usage_error("Expecting one image file name");
    }
    list = collect(&options, argv[optind], chain, &error);
    if (!list) {
        return img_fail(NULL, error);
    }
    print_list(&options, list, chain);
    return 0;
}
