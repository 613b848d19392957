/* SPDX-License-Identifier: Apache-2.0 */
#include "block/qcow2/settings.h"

#include <inttypes.h>

#include "util/error.h"

#define DEFAULT_L2_CACHE (32 * MiB)
#define DEFAULT_REFCOUNT_CLUSTERS 4
#define DEFAULT_CLEAN_INTERVAL 600
#define DEFAULT_SLICE (4 * KiB)

static const unsigned templates[] = {
    [QCOW2_OVERLAP_CHECK_MODE_NONE] = 0,
    [QCOW2_OVERLAP_CHECK_MODE_CONSTANT] = QCOW2_S_HEADER | QCOW2_S_ACTIVE_L1 | QCOW2_S_REFTABLE |
                                          QCOW2_S_SNAPSHOT_TABLE | QCOW2_S_BITMAP_DIRECTORY,
    [QCOW2_OVERLAP_CHECK_MODE_CACHED] = ((1u << QCOW2_STRUCTURES) - 1) & ~QCOW2_S_INACTIVE_L2,
    [QCOW2_OVERLAP_CHECK_MODE_ALL] = (1u << QCOW2_STRUCTURES) - 1,
};

static unsigned overlap_mask(const Qcow2OverlapChecks *checks)
{
    const Qcow2OverlapCheckFlags *f;
    unsigned mask;

    if (!checks) {
        return templates[QCOW2_OVERLAP_CHECK_MODE_CACHED];
    }
    if (checks->type == QAPI_JSON_STRING) {
        return templates[checks->u.mode];
    }
    f = checks->u.flags;
    mask = templates[f->has_template ? f->template : QCOW2_OVERLAP_CHECK_MODE_CACHED];
    const struct {
        bool has, on;
        unsigned bit;
    } flags[] = {
        { f->has_main_header, f->main_header, QCOW2_S_HEADER },
        { f->has_active_l1, f->active_l1, QCOW2_S_ACTIVE_L1 },
        { f->has_active_l2, f->active_l2, QCOW2_S_ACTIVE_L2 },
        { f->has_refcount_table, f->refcount_table, QCOW2_S_REFTABLE },
        { f->has_refcount_block, f->refcount_block, QCOW2_S_REFBLOCK },
        { f->has_snapshot_table, f->snapshot_table, QCOW2_S_SNAPSHOT_TABLE },
        { f->has_inactive_l1, f->inactive_l1, QCOW2_S_INACTIVE_L1 },
        { f->has_inactive_l2, f->inactive_l2, QCOW2_S_INACTIVE_L2 },
        { f->has_bitmap_directory, f->bitmap_directory, QCOW2_S_BITMAP_DIRECTORY },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(flags); i++) {
        if (flags[i].has) {
            mask = flags[i].on ? mask | flags[i].bit : mask & ~flags[i].bit;
        }
    }
    return mask;
}

static bool sizes_fit(const BlockdevOptionsQcow2 *o, GError **error)
{
    if (o->has_cache_size && o->has_l2_cache_size && o->has_refcount_cache_size) {
        error_setf(error, "cache-size, l2-cache-size and refcount-cache-size may not be set at "
                   "the same time");
    } else if (o->has_cache_size && o->has_l2_cache_size && o->l2_cache_size > o->cache_size) {
        error_setf(error, "l2-cache-size may not exceed cache-size");
    } else if (o->has_cache_size && o->has_refcount_cache_size &&
               o->refcount_cache_size > o->cache_size) {
        error_setf(error, "refcount-cache-size may not exceed cache-size");
    } else if (o->cache_size < 0 || o->l2_cache_size < 0 || o->refcount_cache_size < 0) {
        error_setf(error, "The sizes of qcow2 caches cannot be negative");
    } else if (o->has_cache_clean_interval &&
               (o->cache_clean_interval < 0 || o->cache_clean_interval > UINT32_MAX)) {
        error_setf(error, "cache-clean-interval must be from 0 to %u seconds", UINT32_MAX);
    } else {
        return true;
    }
    return false;
}

static bool read_sizes(const Qcow2 *q, const BlockdevOptionsQcow2 *o, Qcow2CacheSizes *sizes,
                       GError **error)
{
    uint64_t min_refcount = (uint64_t)DEFAULT_REFCOUNT_CLUSTERS << q->cluster_bits;
    uint64_t whole_disk = (qcow2_l1_entries(q, q->disk_size) + 1) << q->cluster_bits;
    uint64_t entry = o->has_l2_cache_entry_size ? (uint64_t)o->l2_cache_entry_size
                                                : MIN(DEFAULT_SLICE, q->cluster_size);

    if (!sizes_fit(o, error)) {
        return false;
    }
    if (entry < BLOCK_SECTOR || entry > q->cluster_size || (entry & (entry - 1))) {
        error_setf(error, "L2 cache entry size must be a power of two between %d and the cluster "
                   "size (%" PRIu32 ")", BLOCK_SECTOR, q->cluster_size);
        return false;
    }
    sizes->l2_entry = entry;
    sizes->l2 = o->has_l2_cache_size ? (uint64_t)o->l2_cache_size : DEFAULT_L2_CACHE;
    sizes->refcount = o->has_refcount_cache_size ? (uint64_t)o->refcount_cache_size : min_refcount;
    if (o->has_cache_size && o->has_l2_cache_size) {
        sizes->refcount = (uint64_t)(o->cache_size - o->l2_cache_size);
    } else if (o->has_cache_size && o->has_refcount_cache_size) {
        sizes->l2 = (uint64_t)(o->cache_size - o->refcount_cache_size);
    } else if (o->has_cache_size) {
        sizes->l2 = MIN((uint64_t)o->cache_size, whole_disk);
        sizes->refcount = (uint64_t)o->cache_size - sizes->l2;
    }
    sizes->l2 = MAX(MIN(sizes->l2, whole_disk), 2 * entry);
    sizes->refcount = MAX(sizes->refcount, 4 * DEFAULT_SLICE);
    sizes->clean_interval = o->has_cache_clean_interval ? (uint32_t)o->cache_clean_interval
                                                        : DEFAULT_CLEAN_INTERVAL;
    return true;
}

bool qcow2_settings_read(const Qcow2 *q, const BlockdevOptionsQcow2 *o, bool discard_unmap,
                         Qcow2Settings *out, GError **error)
{
    *out = (Qcow2Settings) {
        .lazy_refcounts = o->has_lazy_refcounts ? o->lazy_refcounts
                                                : q->compatible & QCOW2_COMPAT_LAZY_REFCOUNTS,
        .overlap = overlap_mask(o->overlap_check),
        .discard = {
            [QCOW2_FREE_REQUEST] = o->has_pass_discard_request ? o->pass_discard_request
                                                               : discard_unmap,
            [QCOW2_FREE_SNAPSHOT] = o->has_pass_discard_snapshot ? o->pass_discard_snapshot : true,
            [QCOW2_FREE_OTHER] = o->has_pass_discard_other && o->pass_discard_other,
            [QCOW2_FREE_ALWAYS] = true,
        },
    };
    if (out->lazy_refcounts && q->version < 3) {
        error_setf(error, "Lazy refcounts require a qcow2 image with at least qemu 1.1 "
                   "compatibility level");
        return false;
    }
    return read_sizes(q, o, &out->sizes, error);
}
