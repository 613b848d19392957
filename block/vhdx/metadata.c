/* SPDX-License-Identifier: Apache-2.0 */
/* VHDX: the metadata region, and the parent locator in it. */
#include <inttypes.h>
#include <string.h>

#include "block/vhdx/internal.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/parse.h"

/* An item's value may not be longer than this; ours are far shorter. */
#define MAX_ITEM 0x100000u
#define LOCATOR_ENTRIES 20
#define LOCATOR_ENTRY_SIZE 12

typedef enum Item {
    ITEM_PARAMETERS, ITEM_DISK_SIZE, ITEM_DISK_ID, ITEM_LOGICAL_SECTOR, ITEM_PHYSICAL_SECTOR,
    ITEM_PARENT_LOCATOR, ITEM__MAX
} Item;

typedef struct ItemKind {
    const char *name;
    uint8_t guid[16];
    uint32_t length; /* 0: any */
} ItemKind;

static const ItemKind kinds[ITEM__MAX] = {
    [ITEM_PARAMETERS] = { "file parameters", VHDX_PARAMETERS_GUID, 8 },
    [ITEM_DISK_SIZE] = { "virtual disk size", VHDX_DISK_SIZE_GUID, 8 },
    [ITEM_DISK_ID] = { "virtual disk ID", VHDX_DISK_ID_GUID, 16 },
    [ITEM_LOGICAL_SECTOR] = { "logical sector size", VHDX_LOGICAL_SECTOR_GUID, 4 },
    [ITEM_PHYSICAL_SECTOR] = { "physical sector size", VHDX_PHYSICAL_SECTOR_GUID, 4 },
    [ITEM_PARENT_LOCATOR] = { "parent locator", VHDX_PARENT_LOCATOR_GUID, 0 },
};

typedef struct ItemPlace {
    int64_t at;
    uint32_t length; /* 0: not there */
} ItemPlace;

/* ---- The table ---- */

static bool take_entry(const VhdxImage *image, const uint8_t *entry, int64_t at, ItemPlace *places,
                       GError **error)
{
    uint32_t offset = ldl_le(entry + VHDX_ITEM_OFFSET);
    uint32_t length = ldl_le(entry + VHDX_ITEM_LENGTH);
    uint32_t flags = ldl_le(entry + VHDX_ITEM_FLAGS);

    for (unsigned i = 0; i < ITEM__MAX; i++) {
        if ((flags & VHDX_ITEM_USER) || memcmp(entry, kinds[i].guid, 16) != 0) {
            continue;
        }
        if (places[i].length || !length || length > MAX_ITEM ||
            (kinds[i].length && length != kinds[i].length) || offset < VHDX_TABLE_SIZE ||
            !range_ok(offset, length, image->metadata.length)) {
            error_setf(error, "VHDX metadata table: the entry at %" PRId64 " (%s), %" PRIu32
                       " bytes at %" PRIu32 ", is not possible", at, kinds[i].name, length, offset);
            return false;
        }
        places[i] = (ItemPlace){ image->metadata.offset + offset, length };
        return true;
    }
    if (flags & VHDX_ITEM_REQUIRED) {
        error_setf(error, "VHDX metadata table: the entry at %" PRId64
                   " is of an unknown kind, but required", at);
        return false;
    }
    return true;
}

static bool read_table(BlockNode *node, ItemPlace *places, GError **error)
{
    VhdxImage *image = node->opaque;
    g_autofree uint8_t *table = g_malloc(VHDX_TABLE_SIZE);
    int64_t at = image->metadata.offset;
    unsigned count;

    if (!vhdx_read_structure(node, at, VHDX_TABLE_SIZE, table, "metadata table", error)) {
        return false;
    }
    count = ldw_le(table + VHDX_META_COUNT);
    if (memcmp(table, "metadata", 8) != 0 || count > VHDX_TABLE_MAX) {
        error_setf(error, "VHDX metadata table at %" PRId64 ": invalid signature or count", at);
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        size_t entry = VHDX_META_ENTRIES + 32 * (size_t)i;

        if (!take_entry(image, table + entry, at + entry, places, error)) {
            return false;
        }
    }
    for (unsigned i = 0; i < ITEM__MAX; i++) {
        if (!places[i].length && i != ITEM_DISK_ID && i != ITEM_PHYSICAL_SECTOR &&
            i != ITEM_PARENT_LOCATOR) {
            error_setf(error, "VHDX metadata table at %" PRId64 ": no %s", at, kinds[i].name);
            return false;
        }
    }
    return true;
}

/* ---- The parent locator (2.6.2.6) ---- */

/* UTF-16 of the locator as UTF-8; NULL if it is none. */
static char *locator_text(const uint8_t *locator, uint32_t size, uint32_t offset, uint16_t length)
{
    g_autofree gunichar2 *text = NULL;

    if (!range_ok(offset, length, size) || length % 2) {
        return NULL;
    }
    text = g_new(gunichar2, length / 2 + 1);
    for (unsigned i = 0; i < length / 2u; i++) {
        text[i] = ldw_le(locator + offset + 2 * i);
    }
    return g_utf16_to_utf8(text, length / 2, NULL, NULL, NULL);
}

static char *locator_value(const uint8_t *locator, uint32_t size, const char *wanted)
{
    unsigned count = MIN(ldw_le(locator + 18), (size - LOCATOR_ENTRIES) / LOCATOR_ENTRY_SIZE);

    for (unsigned i = 0; i < count; i++) {
        const uint8_t *entry = locator + LOCATOR_ENTRIES + LOCATOR_ENTRY_SIZE * i;
        g_autofree char *key = locator_text(locator, size, ldl_le(entry), ldw_le(entry + 8));

        if (!g_strcmp0(key, wanted)) {
            return locator_text(locator, size, ldl_le(entry + 4), ldw_le(entry + 10));
        }
    }
    return NULL;
}

/* "{01234567-...}", in the order of bytes of the file. */
static bool parse_linkage(const char *text, uint8_t guid[16])
{
    g_autofree char *bare = NULL;
    uint8_t uuid[16];
    size_t len = text ? strlen(text) : 0;

    if (len != 38 || text[0] != '{' || text[37] != '}') {
        return false;
    }
    bare = g_strndup(text + 1, 36);
    if (!parse_uuid(bare, uuid, NULL)) {
        return false;
    }
    memcpy(guid, uuid, 16);
    stl_le(guid, ldl_be(uuid));
    stw_le(guid + 4, ldw_be(uuid + 4));
    stw_le(guid + 6, ldw_be(uuid + 6));
    return true;
}

/* A path of Windows as one of ours; the relative one can be found here, others sometimes. */
static char *parent_path(const uint8_t *locator, uint32_t size)
{
    static const char *const keys[] = { "relative_path", "absolute_win32_path", "volume_path" };

    for (unsigned i = 0; i < G_N_ELEMENTS(keys); i++) {
        char *path = locator_value(locator, size, keys[i]);

        if (path && *path) {
            if (g_str_has_prefix(path, "\\\\?\\")) {
                memmove(path, path + 4, strlen(path + 4) + 1);
            }
            return g_strdelimit(path, "\\", '/');
        }
        g_free(path);
    }
    return NULL;
}

static bool read_locator(BlockNode *node, const ItemPlace *place, GError **error)
{
    static const uint8_t type[] = VHDX_LOCATOR_TYPE_GUID;
    VhdxImage *image = node->opaque;
    g_autofree uint8_t *locator = g_malloc(MAX(place->length, 1));
    g_autofree char *linkage = NULL;

    if (!place->length) {
        error_setf(error, "VHDX metadata table at %" PRId64
                   ": a differencing image without a parent locator", image->metadata.offset);
        return false;
    }
    if (!vhdx_read_structure(node, place->at, place->length, locator, "parent locator", error)) {
        return false;
    }
    if (place->length < LOCATOR_ENTRIES || memcmp(locator, type, 16) != 0) {
        error_setf(error, "VHDX parent locator at %" PRId64 ": unknown type", place->at);
        return false;
    }
    linkage = locator_value(locator, place->length, "parent_linkage");
    node->header_backing_file = parent_path(locator, place->length);
    node->header_backing_format = g_strdup("vhdx");
    if (!node->header_backing_file || !parse_linkage(linkage, image->parent_linkage)) {
        error_setf(error, "VHDX parent locator at %" PRId64 ": no path or no parent_linkage",
                   place->at);
        return false;
    }
    return true;
}

/* ---- All together ---- */

static bool take_geometry(BlockNode *node, const uint8_t values[][16], const ItemPlace *places,
                          GError **error)
{
    VhdxImage *image = node->opaque;
    uint64_t size = ldq_le(values[ITEM_DISK_SIZE]);
    uint32_t flags = ldl_le(values[ITEM_PARAMETERS] + 4);

    image->block_size = ldl_le(values[ITEM_PARAMETERS]);
    image->sector_size = ldl_le(values[ITEM_LOGICAL_SECTOR]);
    image->size_at = places[ITEM_DISK_SIZE].at;
    image->is_fixed = flags & VHDX_PARAM_LEAVE_ALLOCATED;
    image->has_parent = flags & VHDX_PARAM_HAS_PARENT;
    if (image->block_size < VHDX_MIN_BLOCK || image->block_size > VHDX_MAX_BLOCK ||
        (image->block_size & (image->block_size - 1))) {
        error_setf(error, "VHDX file parameters at %" PRId64 ": block size %" PRIu32
                   " is not a power of two from 1 to 256 MiB", places[ITEM_PARAMETERS].at,
                   image->block_size);
    } else if (image->sector_size != 512 && image->sector_size != 4096) {
        error_setf(error, "VHDX logical sector size at %" PRId64 ": %" PRIu32
                   " is neither 512 nor 4096", places[ITEM_LOGICAL_SECTOR].at, image->sector_size);
    } else if (size > VHDX_MAX_SIZE || size % image->sector_size) {
        error_setf(error, "VHDX virtual disk size at %" PRId64 ": %" PRIu64
                   " is beyond 64 TiB, or not in whole sectors", places[ITEM_DISK_SIZE].at, size);
    } else {
        node->size = size;
        return true;
    }
    return false;
}

bool vhdx_read_metadata(BlockNode *node, GError **error)
{
    VhdxImage *image = node->opaque;
    ItemPlace places[ITEM__MAX] = { 0 };
    uint8_t values[ITEM__MAX][16] = { 0 };

    if (!read_table(node, places, error)) {
        return false;
    }
    for (unsigned i = 0; i < ITEM__MAX; i++) {
        if (kinds[i].length && places[i].length &&
            !vhdx_read_structure(node, places[i].at, places[i].length, values[i], kinds[i].name,
                                 error)) {
            return false;
        }
    }
    return take_geometry(node, values, places, error) &&
           (!image->has_parent || read_locator(node, &places[ITEM_PARENT_LOCATOR], error));
}
