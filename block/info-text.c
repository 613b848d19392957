/* SPDX-License-Identifier: Apache-2.0 */
/* Images in words for people, as `vireo-img info` and the human monitor print them. */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "block/info.h"

/* Three significant digits in the largest unit that leaves at least one before the point. */
char *block_size_text(int64_t bytes)
{
    static const char units[] = "BKMGTPE";
    double value = bytes;
    unsigned unit = 0;

    while (value >= 1000 && unit < sizeof(units) - 2) {
        value /= 1024;
        unit++;
    }
    return unit ? g_strdup_printf("%0.3g %ciB", value, units[unit])
                : g_strdup_printf("%0.3g B", value);
}

/* ---- Snapshots ---- */

static void add_snapshot(GString *out, const SnapshotInfo *s)
{
    g_autofree char *size = block_size_text(s->vm_state_size);
    g_autofree char *clock = g_strdup_printf("%02d:%02d:%02d.%03d", (int)(s->vm_clock_sec / 3600),
                                             (int)(s->vm_clock_sec / 60 % 60),
                                             (int)(s->vm_clock_sec % 60),
                                             (int)(s->vm_clock_nsec / 1000000));
    time_t seconds = s->date_sec;
    struct tm when;
    char date[32];

    localtime_r(&seconds, &when);
    strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &when);
    g_string_append_printf(out, "%-9s %-16s %8s%20s%13s", s->id, s->name, size, date, clock);
    if (s->has_icount) {
        g_string_append_printf(out, "%11" PRId64, s->icount);
    }
    g_string_append(out, "\n");
}

void block_snapshots_text(GString *out, const GPtrArray *snapshots)
{
    g_string_append_printf(out, "Snapshot list:\n%-10s%-17s%8s%20s%13s%11s\n", "ID", "TAG",
                           "VM SIZE", "DATE", "VM CLOCK", "ICOUNT");
    for (guint i = 0; i < snapshots->len; i++) {
        add_snapshot(out, g_ptr_array_index(snapshots, i));
    }
}

/* ---- What only one format has: indented "key: value" lines ---- */

static void add_value(GString *out, json_object *value, int level);

static void add_member(GString *out, const char *name, json_object *value, int level)
{
    bool composite = json_object_is_type(value, json_type_object) ||
                     json_object_is_type(value, json_type_array);

    g_string_append_printf(out, "%*s%s:%s", level * 4, "", name, composite ? "\n" : " ");
    if (composite) {
        add_value(out, value, level + 1);
    } else {
        g_string_append_printf(out, "%s\n", value ? json_object_get_string(value) : "null");
    }
}

static void add_value(GString *out, json_object *value, int level)
{
    if (json_object_is_type(value, json_type_array)) {
        for (size_t i = 0; i < json_object_array_length(value); i++) {
            g_autofree char *name = g_strdup_printf("[%zu]", i);

            add_member(out, name, json_object_array_get_idx(value, i), level);
        }
        return;
    }
    json_object_object_foreach(value, key, member) {
        g_autofree char *name = g_strdelimit(g_strdup(key), "-", ' ');

        add_member(out, name, member, level);
    }
}

void block_info_specific_text(GString *out, const ImageInfoSpecific *specific)
{
    json_object *json, *data;

    if (!specific) {
        return;
    }
    json = ImageInfoSpecific_to_json(specific);
    if (json_object_object_get_ex(json, "data", &data) && json_object_object_length(data)) {
        g_string_append(out, "Format specific information:\n");
        add_value(out, data, 1);
    }
    json_object_put(json);
}

/* ---- An image ---- */

static void add_backing(GString *out, const ImageInfo *info)
{
    if (!info->backing_filename) {
        return;
    }
    g_string_append_printf(out, "backing file: %s", info->backing_filename);
    if (!info->full_backing_filename) {
        g_string_append(out, " (cannot determine actual path)");
    } else if (strcmp(info->backing_filename, info->full_backing_filename) != 0) {
        g_string_append_printf(out, " (actual path: %s)", info->full_backing_filename);
    }
    g_string_append(out, "\n");
    if (info->backing_filename_format) {
        g_string_append_printf(out, "backing file format: %s\n", info->backing_filename_format);
    }
}

void block_image_info_text(GString *out, const ImageInfo *info)
{
    g_autofree char *virtual_size = block_size_text(info->virtual_size);
    g_autofree char *disk_size = info->has_actual_size ? block_size_text(info->actual_size)
                                                       : g_strdup("unavailable");

    g_string_append_printf(out, "image: %s\nfile format: %s\nvirtual size: %s (%" PRId64
                           " bytes)\ndisk size: %s\n", info->filename, info->format, virtual_size,
                           info->virtual_size, disk_size);
    if (info->encrypted) {
        g_string_append(out, "encrypted: yes\n");
    }
    if (info->has_cluster_size) {
        g_string_append_printf(out, "cluster_size: %" PRId64 "\n", info->cluster_size);
    }
    if (info->dirty_flag) {
        g_string_append(out, "cleanly shut down: no\n");
    }
    add_backing(out, info);
    if (info->snapshots) {
        block_snapshots_text(out, info->snapshots);
    }
    block_info_specific_text(out, info->format_specific);
}
