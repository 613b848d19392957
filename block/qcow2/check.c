/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checking an image: all references to clusters are counted and compared with what the file says.
 * Counts that are too high are leaks, those that are too low errors. Repairing sets them right, or
 * makes the whole of them anew where their own clusters are damaged.
 */
#include "block/qcow2/check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "util/error.h"

/* ---- Counts in memory ---- */

void refmap_init(RefMap *map)
{
    *map = (RefMap) {
        .chunks = g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, g_free),
        .last_index = -1,
    };
}

void refmap_cleanup(RefMap *map)
{
    g_clear_pointer(&map->chunks, g_hash_table_unref);
}

static uint32_t *chunk_of(RefMap *map, int64_t cluster)
{
    int64_t index = cluster / REFMAP_CHUNK;

    if (index != map->last_index) {
        map->last = g_hash_table_lookup(map->chunks, GSIZE_TO_POINTER((gsize)index));
        map->last_index = index;
    }
    return map->last;
}

bool refmap_chunk_is_empty(RefMap *map, int64_t cluster)
{
    return !chunk_of(map, cluster);
}

uint32_t refmap_get(RefMap *map, int64_t cluster)
{
    const uint32_t *chunk = chunk_of(map, cluster);

    return chunk ? chunk[cluster % REFMAP_CHUNK] : 0;
}

void refmap_add(RefMap *map, int64_t cluster, uint32_t n)
{
    uint32_t *chunk = chunk_of(map, cluster), *count;

    if (!chunk) {
        chunk = map->last = g_new0(uint32_t, REFMAP_CHUNK);
        g_hash_table_insert(map->chunks, GSIZE_TO_POINTER((gsize)(cluster / REFMAP_CHUNK)), chunk);
    }
    count = &chunk[cluster % REFMAP_CHUNK];
    *count = n > UINT32_MAX - *count ? UINT32_MAX : *count + n;
    map->end = MAX(map->end, cluster + 1);
}

/* ---- Findings ---- */

static void G_GNUC_PRINTF(2, 0) say(const Check *check, const char *fmt, va_list args)
{
    if (!check->quiet) {
        vfprintf(stderr, fmt, args);
        fputc('\n', stderr);
    }
}

void check_say(const Check *check, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    say(check, fmt, args);
    va_end(args);
}

bool check_defect(Check *check, unsigned kind, const char *fmt, ...)
{
    bool leak = kind == BLOCK_FIX_LEAKS, fixed = check->fix & kind;
    BlockCheckResult *r = check->result;
    va_list args;

    va_start(args, fmt);
    say(check, fmt, args);
    va_end(args);
    if (fixed) {
        *(leak ? &r->leaks_fixed : &r->corruptions_fixed) += 1;
    } else {
        *(leak ? &r->leaks : &r->corruptions) += 1;
    }
    return fixed;
}

/* ---- All of it ---- */

/* Without the counts' own clusters, and without saying again what was said. */
static int count_again(Check *check)
{
    BlockCheckResult again = { 0 }, *result = check->result;
    int ret;

    refmap_cleanup(&check->refs);
    refmap_init(&check->refs);
    g_clear_pointer(&check->tables, g_hash_table_unref);
    check->result = &again;
    check->quiet = true;
    ret = check_references(check);
    check->quiet = false;
    check->result = result;
    return ret;
}

static int compare_and_fix(Check *check)
{
    Qcow2 *q = check->q;
    int ret = check->rebuild ? 0 : check_counts(check);

    if (ret < 0 || !check->rebuild) {
        return ret < 0 ? ret : check->fix ? qcow2_write_refcounts(q) : 0;
    }
    if (!(check->fix & BLOCK_FIX_ERRORS)) {
        /* Damaged blocks say nothing about single clusters. */
        return 0;
    }
    ret = count_again(check);
    ret = ret < 0 ? ret : check_rebuild(check);
    check->result->image_end_offset = check->refs.end << q->cluster_bits;
    return ret;
}

/* Nothing is left to be repaired: then the image says so. */
static int mark_clean(Check *check)
{
    const BlockCheckResult *r = check->result;
    Qcow2 *q = check->q;
    int ret;

    if (!check->fix || r->check_errors || r->corruptions) {
        return 0;
    }
    ret = qcow2_barrier(q);
    ret = ret < 0 ? ret : qcow2_set_incompatible(q, 0, QCOW2_INCOMPAT_DIRTY |
                                                 QCOW2_INCOMPAT_CORRUPT);
    q->dirty_marked = q->dirty_marked && ret < 0;
    return ret;
}

static int run(Check *check)
{
    Qcow2 *q = check->q;
    int64_t size = block_getlength(q->node->file->node);
    int ret;

    if (size < 0) {
        return (int)size;
    }
    check->file_clusters = qcow2_clusters(q, size);
    check->result->total_clusters = qcow2_clusters(q, q->disk_size);
    ret = check_references(check);
    ret = ret < 0 ? ret : check_refblocks(check);
    ret = ret < 0 ? ret : compare_and_fix(check);
    ret = ret < 0 ? ret : check_flags(check);
    return ret < 0 ? ret : mark_clean(check);
}

static int check_image(Qcow2 *q, BlockCheckResult *result, unsigned fix)
{
    Check check = { .q = q, .result = result, .fix = fix };
    bool writable = !block_node_is_read_only(q->node) && !q->inactive;
    int ret;

    refmap_init(&check.refs);
    co_mutex_lock(&q->lock);
    ret = writable ? qcow2_flush_all(q) : 0;
    ret = ret < 0 || !writable ? ret : qcow2_write_refcounts(q);
    ret = ret < 0 ? ret : run(&check);
    if (fix) {
        table_cache_drop_all(&q->l2_cache);
        g_clear_pointer(&q->metadata, g_hash_table_unref);
    }
    co_mutex_unlock(&q->lock);
    g_clear_pointer(&check.tables, g_hash_table_unref);
    refmap_cleanup(&check.refs);
    return ret;
}

int qcow2_check(BlockNode *node, BlockCheckResult *result, unsigned fix, GError **error)
{
    int ret = check_image(node->opaque, result, fix);

    if (ret < 0) {
        error_set_errno(error, -ret, "Could not check the qcow2 image");
    }
    return ret;
}

bool qcow2_repair_dirty(Qcow2 *q, GError **error)
{
    BlockCheckResult result = { 0 };
    int ret = check_image(q, &result, BLOCK_FIX_LEAKS | BLOCK_FIX_ERRORS);

    if (ret < 0 || result.check_errors || result.corruptions) {
        error_setf(error, "qcow2: the image was not closed properly and could not be repaired: %s",
                   ret < 0 ? g_strerror(-ret) : "run 'check' on it");
        return false;
    }
    return true;
}
