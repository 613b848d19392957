/* SPDX-License-Identifier: Apache-2.0 */
#include "block/open.h"
#include "qapi/keyval.h"
#include "tools/image-options.h"
#include "tools/img/img.h"
#include "util/error.h"

/* The options of the file name or of --image-opts, and what the command wants. */
static json_object *open_options(const char *filename, ImgOpen *open, bool as_text, GError **error)
{
    json_object *options = open->image_opts ? keyval_parse(filename, "file", NULL, error)
                                            : json_object_new_object();

    if (!options) {
        return NULL;
    }
    if (open->format) {
        if (open->image_opts) {
            error_setf(error, "--image-opts and --format are mutually exclusive");
            json_object_put(options);
            return NULL;
        }
        json_object_object_add(options, "driver", json_object_new_string(open->format));
    }
    tool_set_switch(options, "read-only", !open->writable, as_text);
    if (open->force_share) {
        tool_set_switch(options, "force-share", true, as_text);
    }
    tool_set_text(options, "discard", open->writable ? "unmap" : NULL);
    tool_set_aio(options, open->aio);
    if (!tool_set_cache(options, open->cache, as_text, &open->writethrough)) {
        error_setf(error, "Invalid cache option: %s", open->cache);
        json_object_put(options);
        return NULL;
    }
    return options;
}

ImgOpen img_open_from(const ImgOptions *options)
{
    return (ImgOpen){ .format = options->format, .image_opts = options->image_opts,
                      .force_share = options->force_share, .cache = options->cache };
}

BlockBackend *img_open(const char *filename, ImgOpen *open, GError **error)
{
    QapiFlags flags = open->image_opts ? keyval_flags(filename) : QAPI_KEYVAL;
    json_object *options = open_options(filename, open, flags & QAPI_KEYVAL, error);
    unsigned perm = BLOCK_PERM_CONSISTENT_READ;
    unsigned shared = BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE_UNCHANGED;
    unsigned open_flags = open->open_flags;
    BlockBackend *blk;

    if (!options) {
        return NULL;
    }
    open_flags |= open->writable || open->bitmaps ? 0 : BLOCK_OPEN_NO_BITMAPS;
    if (open->writable) {
        perm |= BLOCK_PERM_WRITE;
    } else if (open->force_share) {
        shared = BLOCK_PERM_ALL;
    }
    if (open->resize) {
        perm |= BLOCK_PERM_RESIZE;
    }
    if (open_flags & BLOCK_OPEN_NO_IO) {
        perm = 0;
    }
    blk = block_backend_open(open->image_opts ? NULL : filename, NULL, options, flags,
                             open_flags, perm, shared, error);
    json_object_put(options);
    return blk;
}

bool img_settle(BlockBackend *blk, GError **error)
{
    BlockNode *node = block_backend_node(blk);

    return block_backend_set_perm(blk, 0, BLOCK_PERM_ALL, error) &&
           block_reopen_read_only(node, true, error);
}
