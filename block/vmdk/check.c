/* SPDX-License-Identifier: Apache-2.0 */
/* VMDK: checking. Every entry must point to a place of its own, behind the metadata. */
#include <errno.h>
#include <inttypes.h>

#include "block/vmdk/format.h"
#include "block/vmdk/vmdk.h"
#include "util/bitmap.h"
#include "util/bits.h"
#include "util/error.h"

/* Places of a file that are looked at for being used twice; memory: an eighth of it. */
#define MAX_PLACES (128u << 20)

typedef struct Check {
    BlockNode *node;
    VmdkExtent *extent;
    BlockCheckResult *result;
    unsigned long *used;
    int64_t file_size, unit, places;
    uint32_t last;           /* the last grain's sector, for counting fragments */
} Check;

static void check_entry(Check *c, int64_t grain, uint32_t entry)
{
    VmdkExtent *extent = c->extent;
    int64_t at = entry * (int64_t)BLOCK_SECTOR, place = at / c->unit;
    int64_t bytes = extent->compressed ? BLOCK_SECTOR : extent->grain_size;
    const char *problem = NULL;

    c->result->allocated_clusters++;
    c->result->compressed_clusters += extent->compressed;
    c->result->fragmented_clusters += c->last && !extent->compressed &&
                                      entry != c->last + extent->grain_size / BLOCK_SECTOR;
    c->last = entry;
    if (at < extent->overhead) {
        problem = "inside the metadata";
    } else if (!range_ok(at, bytes, c->file_size)) {
        problem = "beyond the end of the file";
    } else if (place < c->places && bitmap_test(c->used, place)) {
        problem = "in use twice";
    }
    if (problem) {
        c->result->corruptions++;
        error_report("ERROR: the grain at %" PRId64 " points to sector %" PRIu32 ", %s",
                     extent->start + grain * (int64_t)extent->grain_size, entry, problem);
    } else if (place < c->places) {
        bitmap_set(c->used, place);
    }
}

static int check_extent(BlockNode *node, VmdkExtent *extent, BlockCheckResult *result)
{
    Check c = { .node = node, .extent = extent, .result = result };
    int64_t grains = DIV_ROUND_UP(extent->size, (int64_t)extent->grain_size);
    g_autofree unsigned long *used = NULL;
    int ret = 0;

    c.file_size = block_getlength(extent->child->node);
    if (c.file_size < 0) {
        return c.file_size;
    }
    c.unit = extent->compressed ? BLOCK_SECTOR : extent->grain_size;
    c.places = MIN(c.file_size / c.unit + 1, (int64_t)MAX_PLACES);
    c.used = used = bitmap_new(c.places);
    result->total_clusters += grains;
    for (int64_t grain = 0; grain < grains && ret >= 0; grain += extent->gtes) {
        const uint32_t *table;

        ret = vmdk_table_get(node, extent, grain / extent->gtes, &table);
        for (uint32_t i = 0; ret >= 0 && table && i < MIN(extent->gtes, grains - grain); i++) {
            if (table[i] && !(table[i] == VMDK_GTE_ZERO && extent->zeroed_grain)) {
                check_entry(&c, grain + i, table[i]);
            }
        }
    }
    if (ret < 0) {
        result->check_errors++;
    }
    return ret;
}

int vmdk_check(BlockNode *node, BlockCheckResult *result, unsigned fix, GError **error)
{
    VmdkImage *image = node->opaque;
    int ret = 0;

    if (fix) {
        error_setf(error, "VMDK images cannot be repaired");
        return -ENOTSUP;
    }
    for (unsigned i = 0; i < image->n && ret >= 0; i++) {
        if (image->extents[i].kind == VMDK_SPARSE) {
            ret = check_extent(node, &image->extents[i], result);
        }
    }
    return ret;
}
