/* SPDX-License-Identifier: Apache-2.0 */
/* Dirty bitmaps that stand in an image: one or more changes of one of them, in order. */
#include <stdio.h>
#include <string.h>

#include "qapi-commands-block-snapshot.h"
#include "tools/img/img.h"
#include "util/error.h"

enum {
    OPT_ADD = IMG_OPT_OWN,
    OPT_REMOVE,
    OPT_CLEAR,
    OPT_ENABLE,
    OPT_DISABLE,
    OPT_MERGE,
};

static const struct option long_options[] = {
    IMG_LONG_COMMON,
    { "add", no_argument, NULL, OPT_ADD },
    { "remove", no_argument, NULL, OPT_REMOVE },
    { "clear", no_argument, NULL, OPT_CLEAR },
    { "enable", no_argument, NULL, OPT_ENABLE },
    { "disable", no_argument, NULL, OPT_DISABLE },
    { "merge", required_argument, NULL, OPT_MERGE },
    { "source-file", required_argument, NULL, 'b' },
    { "source-format", required_argument, NULL, 'F' },
    { "granularity", required_argument, NULL, 'g' },
    IMG_LONG_END,
};

typedef struct Action {
    int kind;           /* OPT_* */
    const char *source; /* of a merge */
} Action;

typedef struct BitmapArgs {
    ImgOptions common;
    GArray *actions;    /* Action */
    const char *source_file, *source_format;
    int64_t granularity; /* 0: the format's default */
} BitmapArgs;

static bool own_option(void *opaque, int c)
{
    BitmapArgs *args = opaque;
    Action action = { .kind = c };

    switch (c) {
    case 'b':
        args->source_file = optarg;
        return true;
    case 'F':
        args->source_format = optarg;
        return true;
    case 'g':
        return img_parse_size("granularity", optarg, &args->granularity);
    case OPT_MERGE:
        action.source = optarg;
        break;
    }
    g_array_append_val(args->actions, action);
    return true;
}

/* ---- The actions ---- */

static bool add(const char *node, const char *name, const BitmapArgs *args, GError **error)
{
    if (args->granularity > UINT32_MAX) {
        error_setf(error, "Granularity must be a power of two of at least %d and at most 2 GiB",
                   BLOCK_SECTOR);
        return false;
    }
    return qmp_block_dirty_bitmap_add(node, name, args->granularity,
                                      (uint32_t)args->granularity, true, true, false, false,
                                      error);
}

/* source_node is the image itself, or that of -b. */
static bool merge(const char *node, const char *name, const char *source_node, const char *source,
                  GError **error)
{
    BlockDirtyBitmap external = { .node = (char *)source_node, .name = (char *)source };
    BlockDirtyBitmapOrStr bitmap = { .type = QAPI_JSON_OBJECT, .u.external = &external };
    g_autoptr(GPtrArray) list = g_ptr_array_new();

    g_ptr_array_add(list, &bitmap);
    return qmp_block_dirty_bitmap_merge(node, name, list, error);
}

static bool act(const BitmapArgs *args, const Action *action, const char *node, const char *name,
                const char *source_node, GError **error)
{
    switch (action->kind) {
    case OPT_ADD:
        return add(node, name, args, error);
    case OPT_REMOVE:
        return qmp_block_dirty_bitmap_remove(node, name, error);
    case OPT_CLEAR:
        return qmp_block_dirty_bitmap_clear(node, name, error);
    case OPT_ENABLE:
        return qmp_block_dirty_bitmap_enable(node, name, error);
    case OPT_DISABLE:
        return qmp_block_dirty_bitmap_disable(node, name, error);
    default:
        return merge(node, name, source_node, action->source, error);
    }
}

static const char *verb_of(int kind)
{
    for (const struct option *o = long_options; o->name; o++) {
        if (o->val == kind) {
            return o->name;
        }
    }
    return "";
}

static bool act_all(const BitmapArgs *args, BlockBackend *blk, BlockBackend *source,
                    const char *name, GError **error)
{
    const char *node = block_backend_node(blk)->name;
    const char *source_node = source ? block_backend_node(source)->name : node;

    for (guint i = 0; i < args->actions->len; i++) {
        const Action *action = &g_array_index(args->actions, Action, i);

        if (!act(args, action, node, name, source_node, error)) {
            g_prefix_error(error, "Operation %s on bitmap %s failed: ", verb_of(action->kind),
                           name);
            return false;
        }
    }
    return true;
}

/* ---- The command ---- */

static bool has_action(const BitmapArgs *args, int kind)
{
    for (guint i = 0; i < args->actions->len; i++) {
        if (g_array_index(args->actions, Action, i).kind == kind) {
            return true;
        }
    }
    return false;
}

static bool is_sensible(const BitmapArgs *args, int operands)
{
    const struct {
        bool wrong;
        const char *why;
    } rules[] = {
        { operands != 2, "Expecting filename and bitmap name" },
        { !args->actions->len,
          "Need at least one of --add, --remove, --clear, --enable, --disable, or --merge" },
        { args->granularity && !has_action(args, OPT_ADD), "-g is only for --add" },
        { args->source_file && !has_action(args, OPT_MERGE), "-b is only for --merge" },
        { args->source_format && !args->source_file, "-F is only for -b" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rules); i++) {
        if (rules[i].wrong) {
            img_usage_error("%s", rules[i].why);
            return false;
        }
    }
    return true;
}

/* What was done before something failed stays. */
static int run(const BitmapArgs *args, const char *filename, const char *name)
{
    ImgOpen open = img_open_from(&args->common), source_open;
    g_autoptr(BlockBackend) blk = NULL, source = NULL;
    GError *error = NULL;
    bool ok;

    open.writable = true;
    source_open = (ImgOpen){ .format = args->source_format, .bitmaps = true };
    blk = img_open(filename, &open, &error);
    if (blk && args->source_file) {
        source = img_open(args->source_file, &source_open, &error);
    }
    if (error) {
        return img_fail(NULL, error);
    }
    ok = act_all(args, blk, source, name, &error);
    if (!ok) {
        img_fail(NULL, g_steal_pointer(&error));
    }
    if (!img_settle(blk, &error)) {
        return img_fail(NULL, error);
    }
    return !ok;
}

int img_bitmap(int argc, char **argv)
{
    BitmapArgs args = { .common.command = "bitmap",
                        .actions = g_array_new(FALSE, FALSE, sizeof(Action)) };
    ImgParse parsed = img_parse(&args.common, argc, argv, ":hb:f:F:g:U", long_options, own_option,
                                &args);
    int status;

    if (parsed != IMG_PARSED) {
        status = parsed == IMG_EXIT_BAD;
    } else if (!is_sensible(&args, argc - optind)) {
        status = 1;
    } else {
        status = run(&args, argv[optind], argv[optind + 1]);
    }
    g_array_unref(args.actions);
    img_options_cleanup(&args.common);
    return status;
}
