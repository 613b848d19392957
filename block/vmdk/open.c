/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VMDK: from files to extents. The first file is a descriptor that names others, or a sparse extent
 * with the descriptor inside.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "block/open.h"
#include "block/vmdk/format.h"
#include "block/vmdk/vmdk.h"
#include "util/bits.h"
#include "util/error.h"

#define MAX_GRAIN_SECTORS 4096u

/* ---- Reading ---- */

static int64_t file_size_of(BlockChild *child, GError **error)
{
    int64_t size = block_getlength(child->node);

    if (size < 0) {
        error_set_errno(error, -size, "Could not get the size of '%s'", child->node->filename);
    }
    return size;
}

static bool read_at(BlockChild *child, uint64_t offset, size_t bytes, void *buf, const char *what,
                    GError **error)
{
    int64_t size = file_size_of(child, error);
    int ret;

    if (size < 0) {
        return false;
    }
    if (!range_ok(offset, bytes, size)) {
        error_setf(error, "VMDK '%s': the %s (%zu bytes at %" PRIu64 ") is beyond the end of the "
                   "file", child->node->filename, what, bytes, offset);
        return false;
    }
    ret = bytes ? block_pread(child, offset, bytes, buf) : 0;
    if (ret < 0) {
        error_set_errno(error, -ret, "VMDK '%s': could not read the %s at %" PRIu64,
                        child->node->filename, what, offset);
    }
    return ret >= 0;
}

/* ---- Directories ---- */

typedef struct Layout {
    uint64_t capacity, grain, gd_at, rgd_at, overhead; /* sectors */
    uint32_t gtes;
    bool has_redundant;
} Layout;

static bool layout_is_sane(const VmdkExtent *extent, const Layout *l, GError **error)
{
    const char *name = extent->child->node->filename;
    int64_t size = file_size_of(extent->child, error);

    if (size < 0) {
        return false;
    }
    if (l->grain == 0 || l->grain > MAX_GRAIN_SECTORS || (l->grain & (l->grain - 1))) {
        error_setf(error, "VMDK '%s': header: a grain of %" PRIu64 " sectors is not a power of two "
                   "up to %u", name, l->grain, MAX_GRAIN_SECTORS);
    } else if (l->gtes == 0 || l->gtes > COWD_GTES_PER_GT) {
        error_setf(error, "VMDK '%s': header: grain tables of %" PRIu32 " entries", name, l->gtes);
    } else if (l->capacity == 0 || l->capacity > BLOCK_MAX_LENGTH / BLOCK_SECTOR) {
        error_setf(error, "VMDK '%s': header: invalid capacity of %" PRIu64 " sectors", name,
                   l->capacity);
    } else if (DIV_ROUND_UP(l->capacity, l->grain * l->gtes) > VMDK_MAX_DIRECTORIES / 4) {
        error_setf(error, "VMDK '%s': header: the grain directory of %" PRIu64 " sectors of disk "
                   "is too large", name, l->capacity);
    } else if (l->overhead > (uint64_t)size / BLOCK_SECTOR) {
        error_setf(error, "VMDK '%s': header: the metadata end at sector %" PRIu64
                   ", beyond the end of the file", name, l->overhead);
    } else {
        return true;
    }
    return false;
}

/* Each table must be in the file. */
static bool read_directory(VmdkExtent *extent, uint64_t sector, const char *what, uint32_t **out,
                           GError **error)
{
    int64_t size = file_size_of(extent->child, error);
    g_autofree uint32_t *directory = NULL;

    if (size < 0) {
        return false;
    }
    if (sector > (uint64_t)size / BLOCK_SECTOR) {
        error_setf(error, "VMDK '%s': the %s at sector %" PRIu64 " is beyond the end of the file",
                   extent->child->node->filename, what, sector);
        return false;
    }
    directory = g_new(uint32_t, MAX(extent->entries, 1));
    if (!read_at(extent->child, sector * BLOCK_SECTOR, 4 * (size_t)extent->entries, directory,
                 what, error)) {
        return false;
    }
    for (uint32_t i = 0; i < extent->entries; i++) {
        directory[i] = le32toh(directory[i]);
        if (directory[i] && !range_ok(directory[i] * (uint64_t)BLOCK_SECTOR,
                                      4 * (uint64_t)extent->gtes, size)) {
            error_setf(error, "VMDK '%s': the %s's entry %" PRIu32 " points to sector %" PRIu32
                       ", beyond the end of the file", extent->child->node->filename, what, i,
                       directory[i]);
            return false;
        }
    }
    *out = g_steal_pointer(&directory);
    return true;
}

static uint64_t directory_entries(const VmdkImage *image)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < image->n; i++) {
        n += image->extents[i].entries * (image->extents[i].redundant ? 2ull : 1ull);
    }
    return n;
}

static bool take_layout(VmdkImage *image, VmdkExtent *extent, const Layout *l, GError **error)
{
    int64_t size = file_size_of(extent->child, error);
    uint64_t entries;

    if (size < 0 || !layout_is_sane(extent, l, error)) {
        return false;
    }
    extent->kind = VMDK_SPARSE;
    extent->grain_size = l->grain * BLOCK_SECTOR;
    extent->gtes = l->gtes;
    extent->overhead = l->overhead * BLOCK_SECTOR;
    entries = DIV_ROUND_UP(l->capacity, l->grain * l->gtes);
    if (directory_entries(image) + entries * (l->has_redundant ? 2 : 1) >
        VMDK_MAX_DIRECTORIES / 4) {
        error_setf(error, "VMDK: the extents' grain directories are larger than %d MiB in all",
                   VMDK_MAX_DIRECTORIES >> 20);
        return false;
    }
    extent->entries = entries;
    /* New grains begin at whole grains, as others' do. */
    extent->next = ROUND_UP(MAX(size, extent->overhead),
                            extent->compressed ? BLOCK_SECTOR : (int64_t)extent->grain_size);
    return read_directory(extent, l->gd_at, "grain directory", &extent->directory, error) &&
           (!l->has_redundant || read_directory(extent, l->rgd_at, "redundant grain directory",
                                                &extent->redundant, error));
}

/* ---- Headers ---- */

static bool take_flags(BlockNode *node, VmdkExtent *extent, const uint8_t *header, GError **error)
{
    uint32_t version = ldl_le(header + VMDK_VERSION), flags = ldl_le(header + VMDK_FLAGS);
    const char *name = extent->child->node->filename;

    extent->compressed = flags & VMDK_FLAG_COMPRESSED;
    extent->markers = flags & VMDK_FLAG_MARKERS;
    extent->zeroed_grain = flags & VMDK_FLAG_ZEROED_GRAIN;
    if (version < 1 || version > 3) {
        error_setf(error, "VMDK '%s': unsupported version %" PRIu32, name, version);
        return false;
    }
    if ((flags & VMDK_FLAG_NEWLINES) && memcmp(header + VMDK_NEWLINES, VMDK_NEWLINE_TEXT, 4) != 0) {
        error_setf(error, "VMDK '%s': it was spoilt by a transfer as text", name);
        return false;
    }
    if (extent->compressed && ldw_le(header + VMDK_COMPRESSION) != VMDK_COMPRESSION_DEFLATE) {
        error_setf(error, "VMDK '%s': unknown compression %u", name,
                   ldw_le(header + VMDK_COMPRESSION));
        return false;
    }
    /* Version 3 tracks changes in ways that only ESX knows; of streams it is the usual one. */
    return node->mode.read_only || version < 3 || extent->compressed ||
           block_node_fall_to_read_only(node, "VMDK version 3 must be read only", error);
}

/* Streams say in the end what their header could not know in the beginning. */
static bool read_footer(VmdkExtent *extent, uint8_t *header, GError **error)
{
    uint8_t last[3 * BLOCK_SECTOR];
    int64_t size = file_size_of(extent->child, error);
    const uint8_t *footer = last + BLOCK_SECTOR;

    if (size < 0 || !read_at(extent->child, size - (int64_t)sizeof(last), sizeof(last), last,
                             "footer", error)) {
        return false;
    }
    if (ldl_le(last + VMDK_MARKER_SIZE) != 0 ||
        ldl_le(last + VMDK_MARKER_TYPE) != VMDK_MARKER_FOOTER ||
        memcmp(footer, VMDK_MAGIC, 4) != 0 || ldq_le(footer + VMDK_GD_AT) == VMDK_GD_AT_END) {
        error_setf(error, "VMDK '%s': it does not end with a footer: the stream is not complete",
                   extent->child->node->filename);
        return false;
    }
    memcpy(header, footer, VMDK_HEADER_SIZE);
    return true;
}

static bool open_vmdk4(BlockNode *node, VmdkExtent *extent, uint8_t *header, GError **error)
{
    Layout l;

    extent->tables_at_end = ldq_le(header + VMDK_GD_AT) == VMDK_GD_AT_END;
    if ((extent->tables_at_end && !read_footer(extent, header, error)) ||
        !take_flags(node, extent, header, error)) {
        return false;
    }
    l = (Layout) {
        .capacity = ldq_le(header + VMDK_CAPACITY), .grain = ldq_le(header + VMDK_GRAIN_SIZE),
        .gd_at = ldq_le(header + VMDK_GD_AT), .rgd_at = ldq_le(header + VMDK_RGD_AT),
        .overhead = ldq_le(header + VMDK_OVERHEAD), .gtes = ldl_le(header + VMDK_GTES_PER_GT),
        .has_redundant = ldl_le(header + VMDK_FLAGS) & VMDK_FLAG_REDUNDANT,
    };
    extent->size = MIN(l.capacity, BLOCK_MAX_LENGTH / BLOCK_SECTOR) * BLOCK_SECTOR;
    return take_layout(node->opaque, extent, &l, error);
}

static bool open_cowd(BlockNode *node, VmdkExtent *extent, const uint8_t *header, GError **error)
{
    Layout l = {
        .capacity = ldl_le(header + COWD_CAPACITY), .grain = ldl_le(header + COWD_GRAIN_SIZE),
        .gd_at = ldl_le(header + COWD_GD_AT), .gtes = COWD_GTES_PER_GT,
        .overhead = ldl_le(header + COWD_GD_AT),
    };

    extent->is_cowd = true;
    extent->size = (int64_t)l.capacity * BLOCK_SECTOR;
    if (ldl_le(header + COWD_VERSION) != 1) {
        error_setf(error, "VMDK '%s': unsupported version %" PRIu32 " of vmfsSparse",
                   extent->child->node->filename, ldl_le(header + COWD_VERSION));
        return false;
    }
    return take_layout(node->opaque, extent, &l, error) &&
           (node->mode.read_only ||
            block_node_fall_to_read_only(node, "vmfsSparse images can only be read", error));
}

static bool open_sparse(BlockNode *node, VmdkExtent *extent, GError **error)
{
    uint8_t header[VMDK_HEADER_SIZE];

    if (!read_at(extent->child, 0, sizeof(header), header, "header", error)) {
        return false;
    }
    if (!memcmp(header, COWD_MAGIC, 4)) {
        return open_cowd(node, extent, header, error);
    }
    if (!memcmp(header, VMDK_MAGIC, 4)) {
        return open_vmdk4(node, extent, header, error);
    }
    error_setf(error, "VMDK '%s': it is no sparse extent", extent->child->node->filename);
    return false;
}

/* ---- Extents of a descriptor ---- */

/* A descriptor of a stranger must not reach out of its own directory. */
static bool name_is_plain(const char *name, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(name, "/", -1);

    if (*name != '/' && !block_path_has_protocol(name) &&
        !g_strv_contains((const char *const *)parts, "..")) {
        return true;
    }
    error_setf(error, "VMDK descriptor: the extent '%s' is not in the descriptor's directory",
               name);
    return false;
}

static bool open_flat(VmdkExtent *extent, const VmdkExtentLine *line, GError **error)
{
    int64_t size = file_size_of(extent->child, error);

    if (size < 0) {
        return false;
    }
    extent->kind = VMDK_FLAT;
    extent->base = line->offset * BLOCK_SECTOR;
    if (!range_ok(extent->base, extent->size, size)) {
        error_setf(error, "VMDK: the extent '%s' has %" PRId64 " bytes, too few for %" PRId64
                   " at %" PRId64, line->name, size, extent->size, extent->base);
        return false;
    }
    return true;
}

static bool open_child(BlockNode *node, VmdkExtent *extent, const VmdkExtentLine *line,
                       bool is_sparse, unsigned index, GError **error)
{
    g_autofree char *child_name = g_strdup_printf("extents.%u", index);

    if (!name_is_plain(line->name, error)) {
        return false;
    }
    extent->child = block_open_header_child(node, child_name, BLOCK_ROLE_DATA |
                                            (is_sparse ? BLOCK_ROLE_METADATA : 0),
                                            line->name, NULL, error);
    return extent->child != NULL;
}

static bool open_line(BlockNode *node, const VmdkExtentLine *line, unsigned index, GError **error)
{
    static const struct { const char *name; VmdkKind kind; } types[] = {
        { "FLAT", VMDK_FLAT }, { "VMFS", VMDK_FLAT }, { "SPARSE", VMDK_SPARSE },
        { "VMFSSPARSE", VMDK_SPARSE }, { "ZERO", VMDK_ZERO },
    };
    VmdkImage *image = node->opaque;
    VmdkExtent *extent = &image->extents[image->n++];
    size_t i = 0;

    extent->size = line->sectors * BLOCK_SECTOR;
    extent->start = node->size;
    extent->type = g_strdup(line->type);
    if (extent->size > BLOCK_MAX_LENGTH - node->size) {
        error_setf(error, "VMDK descriptor: the extents are too long");
        return false;
    }
    node->size += extent->size;
    while (i < G_N_ELEMENTS(types) && strcmp(types[i].name, line->type) != 0) {
        i++;
    }
    if (i == G_N_ELEMENTS(types)) {
        error_setf(error, "VMDK descriptor: unsupported extent type '%s'", line->type);
        return false;
    }
    if (!line->writable && !node->mode.read_only &&
        !block_node_fall_to_read_only(node, "a VMDK extent is read-only", error)) {
        return false;
    }
    if (types[i].kind == VMDK_ZERO) {
        return true;
    }
    if (!open_child(node, extent, line, types[i].kind == VMDK_SPARSE, index, error)) {
        return false;
    }
    if (types[i].kind == VMDK_FLAT) {
        return open_flat(extent, line, error);
    }
    if (!open_sparse(node, extent, error)) {
        return false;
    }
    if (extent->size < line->sectors * BLOCK_SECTOR || extent->compressed) {
        error_setf(error, "VMDK: the extent '%s' is not what the descriptor says", line->name);
        return false;
    }
    extent->size = line->sectors * BLOCK_SECTOR;
    return true;
}

static bool open_lines(BlockNode *node, GError **error)
{
    static const char *const kinds[] = {
        "monolithicFlat", "vmfs", "vmfsSparse", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat", NULL,
    };
    VmdkImage *image = node->opaque;
    GPtrArray *lines = image->descriptor.extents;

    if (!g_strv_contains(kinds, image->descriptor.create_type)) {
        error_setf(error, "Unsupported image type '%s'", image->descriptor.create_type);
        return false;
    }
    if (!lines->len) {
        error_setf(error, "VMDK descriptor: it has no extents");
        return false;
    }
    image->extents = g_new0(VmdkExtent, lines->len);
    for (unsigned i = 0; i < lines->len; i++) {
        if (!open_line(node, g_ptr_array_index(lines, i), i, error)) {
            return false;
        }
    }
    return true;
}

/* ---- The descriptor ---- */

static bool read_descriptor(BlockNode *node, uint64_t at, uint64_t bytes, GError **error)
{
    VmdkImage *image = node->opaque;

    if (bytes > VMDK_MAX_DESCRIPTOR) {
        error_setf(error, "VMDK descriptor: %" PRIu64 " bytes are too many", bytes);
        return false;
    }
    image->text = g_malloc0(bytes + 1);
    image->text_at = at;
    image->text_size = bytes;
    return read_at(node->file, at, bytes, image->text, "descriptor", error) &&
           vmdk_descriptor_parse(image->text, &image->descriptor, error);
}

static bool read_embedded(BlockNode *node, const uint8_t *header, GError **error)
{
    VmdkImage *image = node->opaque;
    uint64_t at = ldq_le(header + VMDK_DESCRIPTOR_AT);
    uint64_t sectors = ldq_le(header + VMDK_DESCRIPTOR_SIZE);

    if (memcmp(header, VMDK_MAGIC, 4) != 0 || !at) {
        image->descriptor.create_type = g_strdup(memcmp(header, VMDK_MAGIC, 4) ? "vmfsSparse"
                                                                              : "monolithicSparse");
        image->descriptor.parent_cid = VMDK_NO_PARENT;
        return true;
    }
    if (at > BLOCK_MAX_LENGTH / BLOCK_SECTOR || sectors > VMDK_MAX_DESCRIPTOR / BLOCK_SECTOR) {
        error_setf(error, "VMDK header: a descriptor of %" PRIu64 " sectors at sector %" PRIu64
                   " is not possible", sectors, at);
        return false;
    }
    return read_descriptor(node, at * BLOCK_SECTOR, sectors * BLOCK_SECTOR, error);
}

static bool open_single(BlockNode *node, const uint8_t *header, GError **error)
{
    VmdkImage *image = node->opaque;

    if (!read_embedded(node, header, error)) {
        return false;
    }
    image->extents = g_new0(VmdkExtent, 1);
    image->n = 1;
    image->extents->child = node->file;
    image->extents->type = g_strdup("");
    if (!open_sparse(node, image->extents, error)) {
        return false;
    }
    node->size = image->extents->size;
    return true;
}

static bool open_any(BlockNode *node, GError **error)
{
    uint8_t header[VMDK_HEADER_SIZE] = { 0 };
    int64_t size = file_size_of(node->file, error);

    if (size < 0 || !read_at(node->file, 0, MIN(size, (int64_t)sizeof(header)), header, "header",
                             error)) {
        return false;
    }
    if (!memcmp(header, VMDK_MAGIC, 4) || !memcmp(header, COWD_MAGIC, 4)) {
        return open_single(node, header, error);
    }
    if (!vmdk_is_descriptor((const char *)header, MIN(size, (int64_t)sizeof(header)))) {
        error_setf(error, "VMDK '%s': neither a sparse extent nor a descriptor",
                   node->file->node->filename);
        return false;
    }
    return read_descriptor(node, 0, size, error) && open_lines(node, error);
}

/* ---- Life ---- */

static void free_extent(VmdkExtent *extent)
{
    for (uint32_t i = 0; extent->stream && i < extent->entries; i++) {
        g_free(extent->stream[i]);
    }
    g_free(extent->stream);
    g_free(extent->directory);
    g_free(extent->redundant);
    g_free(extent->type);
}

static void free_image(VmdkImage *image)
{
    for (unsigned i = 0; i < image->n; i++) {
        free_extent(&image->extents[i]);
    }
    g_free(image->extents);
    g_free(image->text);
    vmdk_descriptor_clear(&image->descriptor);
    vmdk_cache_free(image->cache);
    codec_pool_free(image->codecs);
}

bool vmdk_open(BlockNode *node, const BlockdevOptions *options, unsigned flags, GError **error)
{
    VmdkImage *image = node->opaque;

    node->size = 0;
    if (!open_any(node, error)) {
        /* The extents' edges go with the node. */
        free_image(image);
        return false;
    }
    co_mutex_init(&image->lock);
    co_mutex_init(&image->table_lock);
    image->cache = vmdk_cache_new();
    image->codecs = codec_pool_new(CODEC_ZLIB);
    if (image->descriptor.parent_hint && image->descriptor.parent_cid != VMDK_NO_PARENT) {
        node->header_backing_file = g_strdup(image->descriptor.parent_hint);
        node->header_backing_format = g_strdup(node->driver->name);
    }
    node->zero_flags = BLOCK_REQ_MAY_UNMAP;
    return true;
}

void vmdk_close(BlockNode *node)
{
    VmdkImage *image = node->opaque;

    co_mutex_cleanup(&image->lock);
    co_mutex_cleanup(&image->table_lock);
    free_image(image);
}
