/* SPDX-License-Identifier: Apache-2.0 */
/* Internal snapshots. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "block/info.h"
#include "tools/img/img.h"
#include "util/error.h"

static const struct option long_options[] = { IMG_LONG_COMMON, IMG_LONG_END };

typedef struct SnapshotArgs {
    ImgOptions common;
    int action; /* 'l', 'a', 'c', 'd'; 0: none yet */
    const char *name;
} SnapshotArgs;

static bool own_option(void *opaque, int c)
{
    SnapshotArgs *args = opaque;

    if (args->action) {
        img_usage_error("Cannot mix '-l', '-a', '-c', '-d'");
        return false;
    }
    args->action = c;
    args->name = optarg;
    return true;
}

/* A snapshot by its id, else by its name. The caller's; NULL if there is none. */
static char *find_id(BlockNode *node, const char *wanted, GError **error)
{
    g_autoptr(GPtrArray) list = node->driver->snapshot_list(node, error);
    const char *by_name = NULL;

    for (guint i = 0; list && i < list->len; i++) {
        const BlockSnapshot *s = g_ptr_array_index(list, i);

        if (!strcmp(s->id, wanted)) {
            return g_strdup(s->id);
        }
        if (!by_name && !g_strcmp0(s->name, wanted)) {
            by_name = s->id;
        }
    }
    if (list && !by_name) {
        error_setf(error, "no snapshot has this name or id");
    }
    return g_strdup(by_name);
}

static bool create_snapshot(BlockNode *node, const char *name, GError **error)
{
    int64_t now = g_get_real_time();
    BlockSnapshot snapshot = {
        .id = g_strdup(""), .name = g_strdup(name), .date_s = now / G_USEC_PER_SEC,
        .date_ns = now % G_USEC_PER_SEC * 1000, .icount = -1,
    };
    bool ok;

    if (!node->driver->snapshot_create) {
        error_setf(error, "the '%s' format has no internal snapshots", node->driver->name);
        ok = false;
    } else {
        ok = node->driver->snapshot_create(node, &snapshot, error);
    }
    g_free(snapshot.id);
    g_free(snapshot.name);
    return ok;
}

static bool with_id(BlockNode *node, const char *name,
                    bool (*fn)(BlockNode *node, const char *id, GError **error), GError **error)
{
    g_autofree char *id = NULL;

    if (!fn || !node->driver->snapshot_list) {
        error_setf(error, "the '%s' format has no internal snapshots", node->driver->name);
        return false;
    }
    id = find_id(node, name, error);
    return id && fn(node, id, error);
}

static bool act(const SnapshotArgs *args, BlockNode *node, GError **error)
{
    const char *verb = NULL;
    bool ok = false;

    switch (args->action) {
    case 'c':
        verb = "create";
        ok = create_snapshot(node, args->name, error);
        break;
    case 'a':
        verb = "apply";
        ok = with_id(node, args->name, node->driver->snapshot_goto, error);
        break;
    case 'd':
        verb = "delete";
        ok = with_id(node, args->name, node->driver->snapshot_delete, error);
        break;
    }
    if (!ok) {
        g_prefix_error(error, "Could not %s snapshot '%s': ", verb, args->name);
    }
    return ok;
}

static bool list(BlockNode *node, GError **error)
{
    GError *local = NULL;
    g_autoptr(GPtrArray) snapshots = block_snapshot_info_list(node, &local);

    if (local) {
        g_propagate_error(error, local);
        return false;
    }
    if (snapshots && snapshots->len) {
        g_autoptr(GString) text = g_string_new(NULL);

        block_snapshots_text(text, snapshots);
        fputs(text->str, stdout);
    }
    return true;
}

int img_snapshot(int argc, char **argv)
{
    SnapshotArgs args = { .common.command = "snapshot" };
    ImgParse parsed = img_parse(&args.common, argc, argv, ":la:c:d:hqUf:", long_options,
                                own_option, &args);
    g_autoptr(BlockBackend) blk = NULL;
    GError *error = NULL;
    bool change = args.action && args.action != 'l';
    ImgOpen open;

    if (parsed != IMG_PARSED) {
        return parsed == IMG_EXIT_BAD;
    }
    if (optind != argc - 1) {
        return img_usage_error("Expecting one image file name");
    }
    open = img_open_from(&args.common);
    open.writable = open.resize = change;
    blk = img_open(argv[optind], &open, &error);
    if (!blk || !(change ? act(&args, block_backend_node(blk), &error)
                         : list(block_backend_node(blk), &error))) {
        return img_fail(NULL, error);
    }
    return 0;
}
