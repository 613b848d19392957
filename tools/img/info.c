/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "block/info.h"
#include "block/open.h"
#include "tools/dump.h"
#include "tools/img/img.h"
#include "tools/json-print.h"
#include "util/error.h"

static const struct option long_options[] = {
    IMG_LONG_COMMON, IMG_LONG_OUTPUT,
    { "format", required_argument, NULL, 'f' },
    { "backing-chain", no_argument, NULL, IMG_OPT_OWN },
    IMG_LONG_END,
};

void img_print_snapshots(GPtrArray *snapshots)
{
    printf("Snapshot list:\n%-10s%-17s%8s%20s%13s%11s\n", "ID", "TAG", "VM SIZE", "DATE",
           "VM CLOCK", "ICOUNT");
    for (guint i = 0; i < snapshots->len; i++) {
        const SnapshotInfo *s = g_ptr_array_index(snapshots, i);
        g_autofree char *size = img_size_text(s->vm_state_size);
        g_autofree char *clock = g_strdup_printf("%02d:%02d:%02d.%03d",
                                                 (int)(s->vm_clock_sec / 3600),
                                                 (int)(s->vm_clock_sec / 60 % 60),
                                                 (int)(s->vm_clock_sec % 60),
                                                 (int)(s->vm_clock_nsec / 1000000));
        time_t seconds = s->date_sec;
        struct tm when;
        char date[32];

        localtime_r(&seconds, &when);
        strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &when);
        printf("%-9s %-16s %8s%20s%13s", s->id, s->name, size, date, clock);
        if (s->has_icount) {
            printf("%11" PRId64, s->icount);
        }
        printf("\n");
    }
}

static void print_backing(const ImageInfo *info)
{
    if (!info->backing_filename) {
        return;
    }
    printf("backing file: %s", info->backing_filename);
    if (!info->full_backing_filename) {
        printf(" (cannot determine actual path)");
    } else if (strcmp(info->backing_filename, info->full_backing_filename) != 0) {
        printf(" (actual path: %s)", info->full_backing_filename);
    }
    printf("\n");
    if (info->backing_filename_format) {
        printf("backing file format: %s\n", info->backing_filename_format);
    }
}

static void print_info(const ImageInfo *info)
{
    g_autofree char *virtual_size = img_size_text(info->virtual_size);
    g_autofree char *disk_size = info->has_actual_size ? img_size_text(info->actual_size)
                                                       : g_strdup("unavailable");

    printf("image: %s\nfile format: %s\nvirtual size: %s (%" PRId64 " bytes)\ndisk size: %s\n",
           info->filename, info->format, virtual_size, info->virtual_size, disk_size);
    if (info->encrypted) {
        printf("encrypted: yes\n");
    }
    if (info->has_cluster_size) {
        printf("cluster_size: %" PRId64 "\n", info->cluster_size);
    }
    if (info->dirty_flag) {
        printf("cleanly shut down: no\n");
    }
    print_backing(info);
    if (info->snapshots) {
        img_print_snapshots(info->snapshots);
    }
    tool_print_specific(info->format_specific);
}

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
    json_object *json;

    if (options->json) {
        json = chain ? qapi_list_to_json(&ImageInfo_type, list)
                     : ImageInfo_to_json(g_ptr_array_index(list, 0));
        json_print(stdout, json);
        json_object_put(json);
        return;
    }
    for (guint i = 0; i < list->len; i++) {
        printf("%s", i ? "\n" : "");
        print_info(g_ptr_array_index(list, i));
    }
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
