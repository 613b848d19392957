/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blkverify: writes go to two nodes, and what is read from the one under test is compared with what
 * the other, a raw image that is right by definition, gives. A difference ends the process: this is
 * a test tool, and the first difference is what its user wants to see.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/image-options.h"
#include "block/io.h"
#include "util/coroutine.h"
#include "util/error.h"

typedef struct BlkverifyState {
    BlockChild *test, *raw;
} BlkverifyState;

/* The same request to one of the two, in a coroutine of its own. */
typedef struct Half {
    BlockChild *child;
    int64_t offset, bytes;
    const BlockVec *vec;
    size_t vec_offset;
    unsigned flags;
    bool is_write;
    int result;
    bool done;
    Coroutine *waiter; /* of the other half, if it was first */
} Half;

static void run_half(void *opaque)
{
    Half *half = opaque;

    half->result = (half->is_write ? block_pwritev : block_preadv)(
        half->child, half->offset, half->bytes, half->vec, half->vec_offset, half->flags);
    half->done = true;
    if (half->waiter) {
        coroutine_wake(half->waiter);
    }
}

static G_GNUC_PRINTF(2, 3) void fail(const Half *half, const char *fmt, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, fmt);
    text = g_strdup_vprintf(fmt, args);
    va_end(args);
    error_report("blkverify: %s offset=%" PRId64 " bytes=%" PRId64 " %s",
                 half->is_write ? "write" : "read", half->offset, half->bytes, text);
    exit(1);
}

/* Both at once, as it is two disks; the results must agree. */
static int run_both(Half *test, Half *raw)
{
    coroutine_start(run_half, raw);
    run_half(test);
    if (!raw->done) {
        raw->waiter = coroutine_current();
        coroutine_yield();
    }
    if (test->result != raw->result) {
        fail(test, "return value mismatch: %d != %d", test->result, raw->result);
    }
    return test->result;
}

static int64_t first_difference(const Half *test, const uint8_t *right)
{
    size_t start = test->vec_offset;
    int64_t done = 0;

    for (unsigned i = 0; i < test->vec->n && done < test->bytes; i++) {
        const uint8_t *data = test->vec->iov[i].iov_base;
        size_t len = test->vec->iov[i].iov_len;
        size_t skip = MIN(start, len);

        start -= skip;
        for (size_t at = skip; at < len && done < test->bytes; at++, done++) {
            if (data[at] != right[done]) {
                return done;
            }
        }
    }
    return -1;
}

static int blkverify_preadv(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                            size_t vec_offset, unsigned flags)
{
    BlkverifyState *state = node->opaque;
    uint8_t *right = block_alloc(state->raw->node, (size_t)bytes);
    Half test = {
        .child = state->test, .offset = offset, .bytes = bytes, .vec = vec,
        .vec_offset = vec_offset, .flags = flags,
    };
    Half raw = {
        .child = state->raw, .offset = offset, .bytes = bytes,
        .vec = BLOCK_VEC_BUF(right, (size_t)bytes), .flags = flags,
    };
    int result;

    if (!right) {
        return -ENOMEM;
    }
    result = run_both(&test, &raw);
    if (result == 0) {
        int64_t at = first_difference(&test, right);

        if (at >= 0) {
            fail(&test, "contents mismatch at offset %" PRId64, offset + at);
        }
    }
    free(right);
    return result;
}

static int blkverify_pwritev(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                             size_t vec_offset, unsigned flags)
{
    BlkverifyState *state = node->opaque;
    Half test = {
        .child = state->test, .offset = offset, .bytes = bytes, .vec = vec,
        .vec_offset = vec_offset, .flags = flags, .is_write = true,
    };
    Half raw = test;

    raw.child = state->raw;
    return run_both(&test, &raw);
}

static bool blkverify_open(BlockNode *node, const BlockdevOptions *options, unsigned flags,
                           GError **error)
{
    BlkverifyState *state = node->opaque;

    for (guint i = 0; i < node->children->len; i++) {
        BlockChild *child = g_ptr_array_index(node->children, i);

        if (strcmp(child->name, "test") == 0) {
            state->test = child;
        } else {
            state->raw = child;
        }
    }
    node->size = state->test->node->size;
    node->write_flags = BLOCK_REQ_WRITE_UNCHANGED;
    return true;
}

static int64_t blkverify_getlength(BlockNode *node)
{
    BlkverifyState *state = node->opaque;

    return block_getlength(state->test->node);
}

/* Both are read and written at once, so both have to be able to. */
static void blkverify_refresh_limits(BlockNode *node)
{
    BlkverifyState *state = node->opaque;

    node->limits.request_alignment = MAX(state->test->node->limits.request_alignment,
                                         state->raw->node->limits.request_alignment);
}

/* "blkverify:RAW:TEST", where TEST's format is found out by its content. */
static bool blkverify_parse_filename(const char *filename, json_object *options, GError **error)
{
    const char *rest = filename + strlen("blkverify:");
    g_autofree char *raw_name = NULL;
    const char *colon;
    json_object *raw, *test;

    if (!g_str_has_prefix(filename, "blkverify:") || !(colon = strchr(rest, ':'))) {
        error_setf(error, "A name like 'blkverify:RAW:TEST' is wanted, not '%s'", filename);
        return false;
    }
    raw_name = g_strndup(rest, (gsize)(colon - rest));
    raw = block_image_options(raw_name, error);
    test = raw ? block_image_options(colon + 1, error) : NULL;
    if (!test) {
        json_object_put(raw);
        return false;
    }
    json_object_object_add(options, "raw", raw);
    json_object_object_add(options, "test", json_object_new_object());
    json_object_object_add(json_object_object_get(options, "test"), "file", test);
    return true;
}

static bool blkverify_refresh_filename(BlockNode *node)
{
    BlkverifyState *state = node->opaque;
    const char *raw = state->raw->node->filename;
    const char *test = state->test->node->filename;

    if (!*raw || !*test || strchr(raw, ':') || g_str_has_prefix(test, "json:")) {
        return false;
    }
    g_free(node->filename);
    node->filename = g_strdup_printf("blkverify:%s:%s", raw, test);
    return true;
}

static const BlockChildSpec blkverify_children[] = {
    { "raw", BLOCK_ROLE_DATA, .required = true },
    { "test", BLOCK_ROLE_DATA | BLOCK_ROLE_PRIMARY, .required = true },
    { NULL },
};

static const BlockDriver blkverify_driver = {
    .name = "blkverify",
    .kind = BLOCKDEV_DRIVER_BLKVERIFY,
    .protocol = "blkverify",
    .instance_size = sizeof(BlkverifyState),
    .children = blkverify_children,
    .parse_filename = blkverify_parse_filename,
    .open = blkverify_open,
    .refresh_limits = blkverify_refresh_limits,
    .refresh_filename = blkverify_refresh_filename,
    .preadv = blkverify_preadv,
    .pwritev = blkverify_pwritev,
    .getlength = blkverify_getlength,
};
BLOCK_DRIVER(blkverify_driver);
