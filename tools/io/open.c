/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "block/open.h"
#include "qapi/keyval.h"
#include "tools/image-options.h"
#include "tools/io/io.h"
#include "util/error.h"

static bool set_cache(IoSession *session, json_object *options, const char *cache, GError **error)
{
    session->writethrough = false;
    if (!tool_set_cache(options, cache, true, &session->writethrough)) {
        error_setf(error, "Invalid cache option: %s", cache);
        return false;
    }
    return true;
}

static json_object *open_options(IoSession *session, const char *filename, const IoOpen *open,
                                 GError **error)
{
    const char *given = open->image_opts ? filename : open->options;
    json_object *options = given ? keyval_parse(given, NULL, NULL, error)
                                 : json_object_new_object();

    if (!options) {
        return NULL;
    }
    tool_set_text(options, "driver", open->format);
    tool_set_text(options, "read-only", open->read_only ? "on" : "off");
    tool_set_text(options, "force-share", open->force_share ? "on" : "off");
    tool_set_text(options, "discard", open->discard ? open->discard : "unmap");
    if (!set_cache(session, options, open->cache, error)) {
        json_object_put(options);
        return NULL;
    }
    return options;
}

/* Writes go to a temporary overlay on the image. */
static BlockBackend *open_snapshot(const char *filename, json_object *options, bool read_only,
                                   unsigned perm, GError **error)
{
    g_autoptr(BlockNode) base = NULL, top = NULL;
    BlockBackend *blk;

    tool_set_text(options, "read-only", "on");
    base = block_open(filename, NULL, options, QAPI_KEYVAL, BLOCK_OPEN_NO_BITMAPS, error);
    top = base ? block_open_temporary_overlay(base, read_only, error) : NULL;
    if (!top) {
        return NULL;
    }
    blk = block_backend_new(loop_main(), perm, BLOCK_PERM_ALL);
    if (!block_backend_insert(blk, top, error)) {
        g_clear_pointer(&blk, block_backend_unref);
    }
    return blk;
}

bool io_open(IoSession *session, const char *filename, const IoOpen *open)
{
    unsigned perm = BLOCK_PERM_CONSISTENT_READ |
                    (open->read_only ? 0 : BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE);
    const char *name = open->image_opts ? NULL : filename;
    /* Nobody can ask for them here; who writes makes those of his image record it. */
    unsigned flags = open->read_only ? BLOCK_OPEN_NO_BITMAPS : 0;
    GError *error = NULL;
    json_object *options = open_options(session, filename, open, &error);

    if (options) {
        tool_set_aio(options, open->aio);
        session->blk = open->snapshot
                           ? open_snapshot(name, options, open->read_only, perm, &error)
                           : block_backend_open(name, NULL, options, QAPI_KEYVAL, flags, perm,
                                                BLOCK_PERM_ALL, &error);
        json_object_put(options);
    }
    if (!session->blk) {
        g_prefix_error(&error, "can't open%s%s: ", filename ? " device " : "",
                       filename ? filename : "");
        error_report_err(error);
        return false;
    }
    block_backend_set_write_cache(session->blk, !session->writethrough);
    block_backend_set_copy_on_read(session->blk, open->copy_on_read && !open->read_only);
    return true;
}

void io_close(IoSession *session)
{
    io_wait_for_requests(session);
    g_clear_pointer(&session->blk, block_backend_unref);
}

static bool take_open_option(IoOpen *open, int c)
{
    static const struct {
        char letter;
        size_t offset;
    } switches[] = {
        { 'r', offsetof(IoOpen, read_only) }, { 's', offsetof(IoOpen, snapshot) },
        { 'C', offsetof(IoOpen, copy_on_read) }, { 'U', offsetof(IoOpen, force_share) },
    }, texts[] = {
        { 't', offsetof(IoOpen, cache) }, { 'd', offsetof(IoOpen, discard) },
        { 'i', offsetof(IoOpen, aio) }, { 'o', offsetof(IoOpen, options) },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(switches); i++) {
        if (switches[i].letter == c) {
            *(bool *)((char *)open + switches[i].offset) = true;
            return true;
        }
    }
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        if (texts[i].letter == c) {
            *(const char **)((char *)open + texts[i].offset) = optarg;
            return true;
        }
    }
    if (c == 'n') {
        open->cache = "none";
    } else if (c == 'k') {
        open->aio = "native";
    }
    return c == 'n' || c == 'k';
}

int io_cmd_open(IoSession *session, int argc, char **argv)
{
    IoOpen open = session->defaults;
    int c;

    if (session->blk) {
        printf("file open already, try 'help close'\n");
        return 1;
    }
    optind = 0;
    while ((c = getopt(argc, argv, "rsCnkUt:d:i:o:")) != -1) {
        if (!take_open_option(&open, c)) {
            printf("open: unknown option; see 'help open'\n");
            return 1;
        }
    }
    return io_open(session, optind < argc ? argv[optind] : NULL, &open) ? 0 : 1;
}

int io_cmd_close(IoSession *session, int argc, char **argv)
{
    io_close(session);
    return 0;
}

/* ---- reopen ---- */

static bool reopen_node(IoSession *session, const char *options_text, int read_only,
                        const char *cache, GError **error)
{
    BlockNode *node = block_backend_node(session->blk);
    json_object *options = NULL;
    json_object *changes = options_text ? keyval_parse(options_text, NULL, NULL, error)
                                        : json_object_new_object();
    g_autoptr(GPtrArray) list = BlockdevOptions_list_new();
    BlockdevOptions *typed = NULL;

    if (!changes) {
        return false;
    }
    if (read_only >= 0 && json_object_object_get_ex(changes, "read-only", NULL)) {
        json_object_put(changes);
        error_setf(error, "Give either -r or -w, or the option 'read-only'");
        return false;
    }
    if (read_only >= 0) {
        tool_set_text(changes, "read-only", read_only ? "on" : "off");
    }
    if (!set_cache(session, changes, cache, error)) {
        json_object_put(changes);
        return false;
    }
    options = block_options_with(node, changes);
    json_object_put(changes);
    if (BlockdevOptions_from_json(options, QAPI_KEYVAL, &typed, error)) {
        g_ptr_array_add(list, typed);
    }
    json_object_put(options);
    return typed && block_reopen(list, error);
}

int io_cmd_reopen(IoSession *session, int argc, char **argv)
{
    const char *options = NULL, *cache = NULL;
    GError *error = NULL;
    int read_only = -1;
    int c;

    optind = 0;
    while ((c = getopt(argc, argv, "c:o:rw")) != -1) {
        if (c == 'c') {
            cache = optarg;
        } else if (c == 'o') {
            options = optarg;
        } else if ((c == 'r' || c == 'w') && read_only >= 0) {
            error_report("Only one of -r and -w can be given, once");
            return 1;
        } else if (c == 'r' || c == 'w') {
            read_only = c == 'r';
        } else {
            printf("reopen: unknown option; see 'help reopen'\n");
            return 1;
        }
    }
    if (!block_backend_set_perm(session->blk, BLOCK_PERM_CONSISTENT_READ, BLOCK_PERM_ALL, &error) ||
        !reopen_node(session, options, read_only, cache, &error) ||
        (!block_backend_node(session->blk)->mode.read_only &&
         !block_backend_set_perm(session->blk, BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE |
                                 BLOCK_PERM_RESIZE, BLOCK_PERM_ALL, &error))) {
        error_report_err(error);
        return 1;
    }
    if (cache) {
        block_backend_set_write_cache(session->blk, !session->writethrough);
    }
    return 0;
}
