/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VHDX: the block allocation table (2.5), of up to 512 MiB. Sectors of it are kept in memory, the
 * most recently used ones; those that were changed go to the log when the image is flushed, and by
 * it to their places.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "block/io.h"
#include "block/vhdx/internal.h"
#include "util/bitmap.h"
#include "util/bits.h"
#include "util/error.h"

#define PER_PAGE (VHDX_SECTOR / 8)
/* 16 MiB. */
#define MAX_PAGES 4096u
/* Changed ones: what goes into one entry of the log. */
#define MAX_DIRTY VHDX_LOG_BATCH
/* A table up to this long is looked through when the image is opened. */
#define SCAN_AT_OPEN (4u << 20)
#define SCAN_STEP 0x40000u
/* Files up to this long are searched for places in use twice: 16 MiB of bits. */
#define MAX_TWICE (128ull << 40)

/* After each chunk's entries stands that of its sector bitmap. */
static uint64_t bat_index(const VhdxImage *image, uint64_t block)
{
    return block + block / image->chunk_ratio;
}

static uint64_t entries_for(const VhdxImage *image, uint64_t blocks)
{
    uint64_t chunks = DIV_ROUND_UP(blocks, image->chunk_ratio);

    if (!blocks) {
        return 0;
    }
    return image->has_parent ? chunks * (image->chunk_ratio + 1) : bat_index(image, blocks - 1) + 1;
}

static uint64_t bat_entries(const VhdxImage *image)
{
    return entries_for(image, image->blocks);
}

uint64_t vhdx_bat_bytes(const VhdxImage *image, uint64_t blocks)
{
    return entries_for(image, blocks) * 8;
}

/* ---- Pages ---- */

static VhdxPage *find_page(VhdxImage *image, uint64_t index)
{
    VhdxPage *page = g_hash_table_lookup(image->pages, &index);

    if (page && image->lru.head != &page->link) {
        g_queue_unlink(&image->lru, &page->link);
        g_queue_push_head_link(&image->lru, &page->link);
    }
    return page;
}

/* The one that was not used for longest; there are always some that are not dirty. */
static void evict_page(VhdxImage *image)
{
    GList *link = image->lru.tail;

    while (((VhdxPage *)link->data)->dirty) {
        link = link->prev;
    }
    g_queue_unlink(&image->lru, link);
    g_hash_table_remove(image->pages, &((VhdxPage *)link->data)->index);
}

/* With the lock held. NULL: *ret says why. */
static VhdxPage *load_page(BlockNode *node, uint64_t index, int *ret)
{
    VhdxImage *image = node->opaque;
    VhdxPage *page = find_page(image, index);

    if (page) {
        return page;
    }
    page = g_new0(VhdxPage, 1);
    *ret = vhdx_read(node, image->bat.offset + (int64_t)index * VHDX_SECTOR, VHDX_SECTOR,
                     page->entries);
    if (*ret < 0) {
        g_free(page);
        return NULL;
    }
    for (unsigned i = 0; i < PER_PAGE; i++) {
        page->entries[i] = le64toh(page->entries[i]);
    }
    if (g_hash_table_size(image->pages) >= MAX_PAGES) {
        evict_page(image);
    }
    page->index = index;
    page->link.data = page;
    g_hash_table_insert(image->pages, &page->index, page);
    g_queue_push_head_link(&image->lru, &page->link);
    return page;
}

/* ---- Entries ---- */

/* NULL, or what is wrong with a place of `bytes` in the file. */
static const char *place_fault(const VhdxImage *image, uint64_t entry, uint64_t bytes)
{
    uint64_t at = VHDX_ENTRY_OFFSET(entry);
    const VhdxRegion *taken[] = { &image->log, &image->bat, &image->metadata };

    if (at < VHDX_UNIT || !range_ok(at, bytes, image->file_end)) {
        return "points outside the file";
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(taken); i++) {
        if (ranges_overlap(at, bytes, taken[i]->offset, taken[i]->length)) {
            return "points into the log, the BAT or the metadata";
        }
    }
    return NULL;
}

static const char *entry_fault(const VhdxImage *image, uint64_t entry)
{
    switch (entry & VHDX_STATE_MASK) {
    case VHDX_NOT_PRESENT:
    case VHDX_UNDEFINED:
    case VHDX_ZERO:
    case VHDX_UNMAPPED:
        return NULL;
    case VHDX_PARTIALLY_PRESENT:
        if (!image->has_parent) {
            return "is partial, but there is no parent";
        }
        return place_fault(image, entry, image->block_size);
    case VHDX_FULLY_PRESENT:
        return place_fault(image, entry, image->block_size);
    default:
        return "has an unknown state";
    }
}

static int accept_entry(BlockNode *node, uint64_t index, uint64_t entry, const char *fault)
{
    VhdxImage *image = node->opaque;

    if (!fault) {
        return 0;
    }
    if (!image->has_complained) {
        image->has_complained = true;
        error_report("%s: VHDX BAT at %" PRId64 ": entry %" PRIu64 " (0x%" PRIx64 ") %s",
                     node->filename, image->bat.offset, index, entry, fault);
    }
    return -EIO;
}

int vhdx_bat_get_locked(BlockNode *node, uint64_t block, uint64_t *entry)
{
    VhdxImage *image = node->opaque;
    uint64_t index = bat_index(image, block);
    int ret = 0;
    VhdxPage *page = load_page(node, index / PER_PAGE, &ret);

    if (!page) {
        return ret;
    }
    *entry = page->entries[index % PER_PAGE];
    return accept_entry(node, index, *entry, entry_fault(image, *entry));
}

int vhdx_bat_get(BlockNode *node, uint64_t block, uint64_t *entry)
{
    VhdxImage *image = node->opaque;
    uint64_t index = bat_index(image, block);
    VhdxPage *page = find_page(image, index / PER_PAGE);
    int ret;

    if (page) {
        *entry = page->entries[index % PER_PAGE];
        return accept_entry(node, index, *entry, entry_fault(image, *entry));
    }
    co_mutex_lock(&image->lock);
    ret = vhdx_bat_get_locked(node, block, entry);
    co_mutex_unlock(&image->lock);
    return ret;
}

int vhdx_bat_set(BlockNode *node, uint64_t block, uint64_t entry)
{
    VhdxImage *image = node->opaque;
    uint64_t index = bat_index(image, block);
    int ret = 0;
    VhdxPage *page = load_page(node, index / PER_PAGE, &ret);

    if (page && !page->dirty && image->dirty >= MAX_DIRTY) {
        ret = vhdx_bat_commit(node);
    }
    if (ret < 0) {
        return ret;
    }
    page->entries[index % PER_PAGE] = entry;
    image->dirty += !page->dirty;
    page->dirty = true;
    return 0;
}

int vhdx_bitmap_at(BlockNode *node, uint64_t block, int64_t *at)
{
    VhdxImage *image = node->opaque;
    uint64_t index = (block / image->chunk_ratio + 1) * (image->chunk_ratio + 1) - 1;
    const char *fault;
    VhdxPage *page;
    uint64_t entry;
    int ret = 0;

    co_mutex_lock(&image->lock);
    page = load_page(node, index / PER_PAGE, &ret);
    if (page) {
        entry = page->entries[index % PER_PAGE];
        fault = (entry & VHDX_STATE_MASK) == VHDX_FULLY_PRESENT
                ? place_fault(image, entry, VHDX_UNIT)
                : "has no sector bitmap, but one of its blocks needs it";
        *at = VHDX_ENTRY_OFFSET(entry);
        ret = accept_entry(node, index, entry, fault);
    }
    co_mutex_unlock(&image->lock);
    return ret;
}

/* ---- To the file ---- */

static int commit_pages(BlockNode *node, VhdxPage **pages, unsigned n)
{
    VhdxImage *image = node->opaque;
    g_autofree uint64_t *data = g_malloc((size_t)n * VHDX_SECTOR);
    int64_t targets[MAX_DIRTY];
    int ret;

    for (unsigned i = 0; i < n; i++) {
        targets[i] = image->bat.offset + (int64_t)pages[i]->index * VHDX_SECTOR;
        for (unsigned j = 0; j < PER_PAGE; j++) {
            data[i * PER_PAGE + j] = htole64(pages[i]->entries[j]);
        }
    }
    ret = vhdx_log_write(node, targets, (const uint8_t *)data, n);
    for (unsigned i = 0; i < n && ret >= 0; i++) {
        pages[i]->dirty = false;
    }
    image->dirty -= ret < 0 ? 0 : n;
    return ret;
}

int vhdx_bat_commit(BlockNode *node)
{
    VhdxImage *image = node->opaque;
    VhdxPage *pages[MAX_DIRTY];
    unsigned n = 0;

    if (!image->dirty) {
        return 0;
    }
    for (GList *link = image->lru.head; link; link = link->next) {
        VhdxPage *page = link->data;

        if (page->dirty) {
            pages[n++] = page;
        }
    }
    g_assert(n == image->dirty);
    return commit_pages(node, pages, n);
}

/* ---- All of it ---- */

typedef struct Scan {
    VhdxImage *image;
    VhdxFault *fault;
    void *opaque;
    unsigned long *used; /* units of the file, or NULL */
    uint64_t allocated;
    int64_t end;         /* of the last block */
} Scan;

static void scan_entry(Scan *s, uint64_t index, uint64_t entry)
{
    VhdxImage *image = s->image;
    const char *fault = entry_fault(image, entry);
    uint64_t at = VHDX_ENTRY_OFFSET(entry);

    if (!fault && (entry & VHDX_STATE_MASK) >= VHDX_FULLY_PRESENT) {
        size_t first = at / VHDX_UNIT, n = image->block_size / VHDX_UNIT;

        s->allocated++;
        s->end = MAX(s->end, (int64_t)at + image->block_size);
        if (s->used && bitmap_find_set(s->used, first + n, first) < first + n) {
            fault = "points to a place in use twice";
        } else if (s->used) {
            bitmap_set_range(s->used, first, n);
        }
    }
    if (fault) {
        s->fault(s->opaque, index, entry, fault);
    }
}

static int scan_all(BlockNode *node, Scan *s)
{
    VhdxImage *image = node->opaque;
    uint64_t entries = bat_entries(image);
    g_autofree uint64_t *buf = g_malloc(SCAN_STEP);

    for (uint64_t first = 0; first < entries; first += SCAN_STEP / 8) {
        unsigned n = MIN(entries - first, SCAN_STEP / 8);
        int ret = vhdx_read(node, image->bat.offset + (int64_t)first * 8, (int64_t)n * 8, buf);

        if (ret < 0) {
            return ret;
        }
        for (unsigned i = 0; i < n; i++) {
            uint64_t index = first + i;

            if (index % (image->chunk_ratio + 1) != image->chunk_ratio) {
                scan_entry(s, index, le64toh(buf[i]));
            }
        }
    }
    return 0;
}

int vhdx_bat_scan(BlockNode *node, VhdxFault *fault, void *opaque, uint64_t *allocated)
{
    VhdxImage *image = node->opaque;
    g_autofree unsigned long *used = NULL;
    Scan s = { .image = image, .fault = fault, .opaque = opaque };
    int ret;

    if ((uint64_t)image->file_end <= MAX_TWICE) {
        used = bitmap_new(image->file_end / VHDX_UNIT + 1);
    }
    s.used = used;
    ret = scan_all(node, &s);
    *allocated = s.allocated;
    image->next_block = ROUND_UP(MAX(image->next_block, s.end), VHDX_UNIT);
    return ret;
}

typedef struct FirstFault {
    const VhdxImage *image;
    GError *error;
} FirstFault;

static void remember_first(void *opaque, uint64_t index, uint64_t entry, const char *fault)
{
    FirstFault *first = opaque;

    if (!first->error) {
        error_setf(&first->error, "VHDX BAT at %" PRId64 ": entry %" PRIu64 " (0x%" PRIx64 ") %s",
                   first->image->bat.offset, index, entry, fault);
    }
}

static bool scan_at_open(BlockNode *node, bool check, GError **error)
{
    VhdxImage *image = node->opaque;
    FirstFault first = { .image = image };
    uint64_t allocated;
    int ret = vhdx_bat_scan(node, remember_first, &first, &allocated);

    if (ret < 0) {
        g_clear_error(&first.error);
        error_set_errno(error, -ret, "Could not read the VHDX BAT at %" PRId64,
                        image->bat.offset);
        return false;
    }
    if (first.error && !check) {
        g_propagate_error(error, first.error);
        return false;
    }
    g_clear_error(&first.error);
    return true;
}

bool vhdx_bat_open(BlockNode *node, bool check, GError **error)
{
    VhdxImage *image = node->opaque;
    const VhdxRegion *regions[] = { &image->log, &image->bat, &image->metadata };

    image->blocks = DIV_ROUND_UP((uint64_t)node->size, image->block_size);
    image->chunk_ratio = (uint64_t)VHDX_CHUNK_SECTORS * image->sector_size / image->block_size;
    if (bat_entries(image) * 8 > (uint64_t)image->bat.length) {
        error_setf(error, "VHDX BAT at %" PRId64 ": %" PRId64 " bytes are too few for %" PRIu64
                   " entries", image->bat.offset, image->bat.length, bat_entries(image));
        return false;
    }
    image->pages = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, g_free);
    for (unsigned i = 0; i < G_N_ELEMENTS(regions); i++) {
        image->next_block = MAX(image->next_block, regions[i]->offset + regions[i]->length);
    }
    if (bat_entries(image) * 8 <= SCAN_AT_OPEN) {
        return scan_at_open(node, check, error);
    }
    image->next_block = ROUND_UP(image->file_end, VHDX_UNIT);
    return true;
}

void vhdx_bat_close(VhdxImage *image)
{
    g_clear_pointer(&image->pages, g_hash_table_unref);
}
