/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blkdebug: a filter that makes errors by rules (blkdebug-internal.h), and that pretends to have
 * other limits than its image. It lives on the node's loop.
 */
#include <errno.h>
#include <string.h>

#include "block/blkdebug-internal.h"
#include "block/image-options.h"
#include "util/bits.h"
#include "util/error.h"

typedef struct BlkdebugState {
    GPtrArray *rules;
    int64_t state;
    GQueue suspended; /* Suspended */
    BlockLimits limits;
    unsigned take_perms, unshare_perms;
    char *config;
} BlkdebugState;

/* On the stopped coroutine's stack. */
typedef struct Suspended {
    char *tag;
    Coroutine *co;
    GList link;
} Suspended;

/* ---- Events ---- */

static void suspend(BlkdebugState *state, char *tag)
{
    Suspended self = { .tag = tag, .co = coroutine_current() };

    self.link.data = &self;
    g_queue_push_tail_link(&state->suspended, &self.link);
    coroutine_yield();
    g_free(tag);
}

static void resume(BlkdebugState *state, Suspended *suspended)
{
    g_queue_unlink(&state->suspended, &suspended->link);
    coroutine_wake(suspended->co);
}

static void activate(BlkdebugState *state, BlkdebugRule *rule, bool first)
{
    for (guint i = 0; first && i < state->rules->len; i++) {
        ((BlkdebugRule *)g_ptr_array_index(state->rules, i))->active = false;
    }
    rule->active = true;
}

/* Rules that were removed meanwhile are not looked at again: breaks are collected first. */
static void blkdebug_event(BlockNode *node, BlkdebugEvent event)
{
    BlkdebugState *state = node->opaque;
    g_autoptr(GPtrArray) breaks = NULL;
    int64_t new_state = state->state;
    bool first = true;

    for (guint i = 0; i < state->rules->len; i++) {
        BlkdebugRule *rule = g_ptr_array_index(state->rules, i);

        if (rule->event != event || (rule->state && rule->state != state->state)) {
            continue;
        }
        if (rule->action == BLKDEBUG_INJECT_ERROR) {
            activate(state, rule, first);
            first = false;
        } else if (rule->action == BLKDEBUG_SET_STATE) {
            new_state = rule->new_state;
        } else if (coroutine_current()) {
            breaks = breaks ? breaks : g_ptr_array_new();
            g_ptr_array_add(breaks, g_steal_pointer(&rule->tag));
            g_ptr_array_remove_index(state->rules, i--);
        }
    }
    state->state = new_state;
    for (guint i = 0; breaks && i < breaks->len; i++) {
        suspend(state, g_ptr_array_index(breaks, i));
    }
}

/* ---- Errors ---- */

static BlkdebugRule *find_error(BlkdebugState *state, BlkdebugIOType type, int64_t offset,
                                int64_t bytes)
{
    for (guint i = 0; i < state->rules->len; i++) {
        BlkdebugRule *rule = g_ptr_array_index(state->rules, i);

        if (rule->active && rule->iotypes >> type & 1
            && (rule->offset < 0 || (rule->offset >= offset && rule->offset - offset < bytes))) {
            return rule;
        }
    }
    return NULL;
}

/* 0, or the error that this request is to have. */
static int check(BlockNode *node, BlkdebugIOType type, int64_t offset, int64_t bytes)
{
    BlkdebugState *state = node->opaque;
    BlkdebugRule *rule = find_error(state, type, offset, bytes);
    bool immediately;
    int error;

    if (!rule || rule->error == 0) {
        return 0;
    }
    error = rule->error;
    immediately = rule->immediately;
    if (rule->once) {
        g_ptr_array_remove(state->rules, rule);
    }
    if (!immediately) {
        coroutine_wake(coroutine_current());
        coroutine_yield();
    }
    return -error;
}

/* ---- Requests ---- */

static int blkdebug_preadv(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                           size_t vec_offset, unsigned flags)
{
    int result = check(node, BLKDEBUG_IO_TYPE_READ, offset, bytes);

    return result ? result : block_preadv(node->file, offset, bytes, vec, vec_offset, flags);
}

static int blkdebug_pwritev(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                            size_t vec_offset, unsigned flags)
{
    int result = check(node, BLKDEBUG_IO_TYPE_WRITE, offset, bytes);

    return result ? result : block_pwritev(node->file, offset, bytes, vec, vec_offset, flags);
}

/* Is this a whole number of the units that we pretend to have? */
static bool fits(const BlockNode *node, uint32_t unit, int64_t offset, int64_t bytes)
{
    int64_t alignment = MAX(unit, node->limits.request_alignment);

    return IS_ALIGNED(offset, alignment)
           && (IS_ALIGNED(bytes, alignment) || offset + bytes == node->size);
}

static int blkdebug_pwrite_zeroes(BlockNode *node, int64_t offset, int64_t bytes, unsigned flags)
{
    int result;

    /* So that heads and tails are written by other means, as with disks that cannot. */
    if (!fits(node, node->limits.write_zeroes_alignment, offset, bytes)) {
        return -ENOTSUP;
    }
    result = check(node, BLKDEBUG_IO_TYPE_WRITE_ZEROES, offset, bytes);
    return result ? result : block_pwrite_zeroes(node->file, offset, bytes, flags);
}

static int blkdebug_pdiscard(BlockNode *node, int64_t offset, int64_t bytes)
{
    int result;

    if (!fits(node, node->limits.discard_alignment, offset, bytes)) {
        return -ENOTSUP;
    }
    result = check(node, BLKDEBUG_IO_TYPE_DISCARD, offset, bytes);
    return result ? result : block_pdiscard(node->file, offset, bytes);
}

static int blkdebug_flush(BlockNode *node)
{
    return check(node, BLKDEBUG_IO_TYPE_FLUSH, 0, 0);
}

static int blkdebug_block_status(BlockNode *node, bool exact, int64_t offset, int64_t bytes,
                                 BlockStatus *status)
{
    int result = check(node, BLKDEBUG_IO_TYPE_BLOCK_STATUS, offset, bytes);

    *status = (BlockStatus) {
        .flags = BLOCK_STATUS_RAW | BLOCK_STATUS_OFFSET_VALID, .bytes = bytes, .map = offset,
        .file = node->file->node,
    };
    return result;
}

static int blkdebug_truncate(BlockNode *node, const BlockTruncate *truncate, GError **error)
{
    return block_truncate(node->file, truncate, error);
}

/* ---- Breakpoints ---- */

static int blkdebug_breakpoint(BlockNode *node, const char *event, const char *tag)
{
    BlkdebugState *state = node->opaque;
    BlkdebugRule *rule;
    BlkdebugEvent number;

    if (!BlkdebugEvent_parse(event, &number, NULL)) {
        return -ENOENT;
    }
    rule = g_new0(BlkdebugRule, 1);
    rule->action = BLKDEBUG_BREAK;
    rule->event = number;
    rule->tag = g_strdup(tag);
    g_ptr_array_add(state->rules, rule);
    return 0;
}

static Suspended *find_suspended(BlkdebugState *state, const char *tag)
{
    for (GList *link = state->suspended.head; link; link = link->next) {
        Suspended *suspended = link->data;

        if (strcmp(suspended->tag, tag) == 0) {
            return suspended;
        }
    }
    return NULL;
}

static int blkdebug_resume(BlockNode *node, const char *tag)
{
    BlkdebugState *state = node->opaque;
    Suspended *suspended = find_suspended(state, tag);

    if (!suspended) {
        return -ENOENT;
    }
    resume(state, suspended);
    return 0;
}

/* Whoever stopped there already goes on. */
static int blkdebug_remove_breakpoint(BlockNode *node, const char *tag)
{
    BlkdebugState *state = node->opaque;
    Suspended *suspended;
    int result = -ENOENT;

    for (guint i = state->rules->len; i-- > 0;) {
        BlkdebugRule *rule = g_ptr_array_index(state->rules, i);

        if (rule->action == BLKDEBUG_BREAK && strcmp(rule->tag, tag) == 0) {
            g_ptr_array_remove_index(state->rules, i);
            result = 0;
        }
    }
    while ((suspended = find_suspended(state, tag))) {
        resume(state, suspended);
        result = 0;
    }
    return result;
}

static bool blkdebug_is_suspended(BlockNode *node, const char *tag)
{
    return find_suspended(node->opaque, tag) != NULL;
}

/* ---- Opening ---- */

/* A limit in bytes, a multiple of `unit`, and a power of two if it is an alignment. */
static bool read_limit(const char *name, bool given, int64_t value, int64_t unit, bool power,
                       int64_t *limit, GError **error)
{
    if (!given || value == 0) {
        return true;
    }
    if (value < 0 || value > INT32_MAX || value % unit || (power && (value & (value - 1)))) {
        error_setf(error, "Cannot meet constraints with %s %" PRId64, name, value);
        return false;
    }
    *limit = value;
    return true;
}

static bool read_limits(BlkdebugState *state, const BlockdevOptionsBlkdebug *options,
                        GError **error)
{
    int64_t align = 0, zero_align = 0, discard_align = 0;
    int64_t unit;
    bool ok;

    ok = read_limit("align", options->has_align, options->align, 1, true, &align, error);
    unit = MAX(align, 1);
    ok = ok && read_limit("max-transfer", options->has_max_transfer, options->max_transfer, unit,
                          false, &state->limits.max_transfer, error)
         && read_limit("opt-write-zero", options->has_opt_write_zero, options->opt_write_zero,
                       unit, true, &zero_align, error)
         && read_limit("max-write-zero", options->has_max_write_zero, options->max_write_zero,
                       MAX(unit, zero_align), false, &state->limits.max_write_zeroes, error)
         && read_limit("opt-discard", options->has_opt_discard, options->opt_discard, unit, true,
                       &discard_align, error)
         && read_limit("max-discard", options->has_max_discard, options->max_discard,
                       MAX(unit, discard_align), false, &state->limits.max_discard, error);
    state->limits.request_alignment = (uint32_t)align;
    state->limits.write_zeroes_alignment = (uint32_t)zero_align;
    state->limits.discard_alignment = (uint32_t)discard_align;
    return ok;
}

static void blkdebug_refresh_limits(BlockNode *node)
{
    const BlkdebugState *state = node->opaque;

    if (state->limits.request_alignment) {
        node->limits.request_alignment = state->limits.request_alignment;
    }
    if (state->limits.max_transfer) {
        node->limits.max_transfer = state->limits.max_transfer;
    }
    node->limits.max_write_zeroes = state->limits.max_write_zeroes;
    node->limits.write_zeroes_alignment = state->limits.write_zeroes_alignment;
    node->limits.max_discard = state->limits.max_discard;
    node->limits.discard_alignment = state->limits.discard_alignment;
}

static unsigned permission_bits(const GArray *permissions)
{
    static const BlockPerm bits[] = {
        [BLOCK_PERMISSION_CONSISTENT_READ] = BLOCK_PERM_CONSISTENT_READ,
        [BLOCK_PERMISSION_WRITE] = BLOCK_PERM_WRITE,
        [BLOCK_PERMISSION_WRITE_UNCHANGED] = BLOCK_PERM_WRITE_UNCHANGED,
        [BLOCK_PERMISSION_RESIZE] = BLOCK_PERM_RESIZE,
    };
    unsigned all = 0;

    for (guint i = 0; permissions && i < permissions->len; i++) {
        all |= bits[g_array_index(permissions, int, i)];
    }
    return all;
}

static void blkdebug_child_perm(BlockNode *node, const char *child_name, unsigned role,
                                unsigned perm, unsigned shared, unsigned *child_perm,
                                unsigned *child_shared)
{
    const BlkdebugState *state = node->opaque;

    *child_perm = perm | state->take_perms;
    *child_shared = shared & ~state->unshare_perms;
}

static void blkdebug_close(BlockNode *node)
{
    BlkdebugState *state = node->opaque;

    g_ptr_array_unref(state->rules);
    g_free(state->config);
}

static bool blkdebug_open(BlockNode *node, const BlockdevOptions *options, unsigned flags,
                          GError **error)
{
    BlkdebugState *state = node->opaque;
    const BlockdevOptionsBlkdebug *own = &options->u.blkdebug;

    state->rules = g_ptr_array_new_with_free_func(blkdebug_rule_free);
    state->state = 1;
    state->config = g_strdup(own->config);
    if ((own->config && !blkdebug_add_file_rules(state->rules, own->config, error))
        || !blkdebug_add_option_rules(state->rules, own, error)
        || !read_limits(state, own, error)) {
        blkdebug_close(node);
        return false;
    }
    state->take_perms = permission_bits(own->take_child_perms);
    state->unshare_perms = permission_bits(own->unshare_child_perms);
    node->size = node->file->node->size;
    node->write_flags = node->file->node->write_flags | BLOCK_REQ_WRITE_UNCHANGED;
    node->zero_flags = node->file->node->zero_flags | BLOCK_REQ_WRITE_UNCHANGED;
    node->truncate_flags = node->file->node->truncate_flags;
    blkdebug_event(node, BLKDBG_NONE);
    return true;
}

/* ---- Names ---- */

/* "blkdebug:CONFIG:IMAGE"; CONFIG may be empty. */
static bool blkdebug_parse_filename(const char *filename, json_object *options, GError **error)
{
    const char *rest = filename + strlen("blkdebug:");
    const char *colon;
    json_object *image;

    if (!g_str_has_prefix(filename, "blkdebug:") || !(colon = strchr(rest, ':'))) {
        error_setf(error, "A name like 'blkdebug:CONFIG:IMAGE' is wanted, not '%s'", filename);
        return false;
    }
    image = block_image_options(colon + 1, error);
    if (!image) {
        return false;
    }
    if (colon > rest) {
        json_object_object_add(options, "config",
                               json_object_new_string_len(rest, (int)(colon - rest)));
    }
    json_object_object_add(options, "image", image);
    return true;
}

static bool blkdebug_refresh_filename(BlockNode *node)
{
    static const char *const plain[] = {
        "driver", "node-name", "image", "config", "read-only", "auto-read-only", "cache",
        "discard", "detect-zeroes", "force-share",
    };
    const BlkdebugState *state = node->opaque;
    const char *image = node->file->node->filename;

    if (*image == '\0' || g_str_has_prefix(image, "json:")) {
        return false;
    }
    json_object_object_foreach(node->options, key, value) {
        bool found = value == NULL;

        for (size_t i = 0; i < G_N_ELEMENTS(plain); i++) {
            found |= strcmp(key, plain[i]) == 0;
        }
        if (!found) {
            return false;
        }
    }
    g_free(node->filename);
    node->filename = g_strdup_printf("blkdebug:%s:%s", state->config ? state->config : "", image);
    return true;
}

static const BlockChildSpec blkdebug_children[] = {
    { "image", BLOCK_ROLE_FILTERED | BLOCK_ROLE_PRIMARY, .required = true },
    { NULL },
};

static const BlockDriver blkdebug_driver = {
    .name = "blkdebug",
    .kind = BLOCKDEV_DRIVER_BLKDEBUG,
    .protocol = "blkdebug",
    .instance_size = sizeof(BlkdebugState),
    .is_filter = true,
    .children = blkdebug_children,
    .parse_filename = blkdebug_parse_filename,
    .open = blkdebug_open,
    .close = blkdebug_close,
    .refresh_limits = blkdebug_refresh_limits,
    .refresh_filename = blkdebug_refresh_filename,
    .child_perm = blkdebug_child_perm,
    .preadv = blkdebug_preadv,
    .pwritev = blkdebug_pwritev,
    .pwrite_zeroes = blkdebug_pwrite_zeroes,
    .pdiscard = blkdebug_pdiscard,
    .block_status = blkdebug_block_status,
    .flush_to_disk = blkdebug_flush,
    .truncate = blkdebug_truncate,
    .debug_event = blkdebug_event,
    .debug_breakpoint = blkdebug_breakpoint,
    .debug_remove_breakpoint = blkdebug_remove_breakpoint,
    .debug_resume = blkdebug_resume,
    .debug_is_suspended = blkdebug_is_suspended,
};
BLOCK_DRIVER(blkdebug_driver);
