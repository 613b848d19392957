/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VMDK: new images. Where an image is several files, they are made here, beside the descriptor:
 * NAME-flat.vmdk, NAME-f001.vmdk or NAME-s001.vmdk.
 */
#include <inttypes.h>
#include <string.h>

#include "block/create.h"
#include "block/open.h"
#include "block/vmdk/format.h"
#include "block/vmdk/vmdk.h"
#include "crypto/random.h"
#include "util/bits.h"
#include "util/error.h"

#define SPLIT_SIZE ((int64_t)(2 * GiB))
#define DESCRIPTOR_SECTORS 20u
#define DEFAULT_HWVERSION "4"
#define COMPAT6_HWVERSION "6"
#define DEFAULT_TOOLSVERSION "2147483647"

const BlockOption vmdk_create_options[] = {
    { "adapter_type", BLOCK_OPTION_STRING,
      "controller that it names: ide (default), lsilogic, buslogic or legacyESX" },
    { "backing_file", BLOCK_OPTION_STRING, "file name of a base image" },
    { "backing_fmt", BLOCK_OPTION_STRING, "must be vmdk if present" },
    { "compat6", BLOCK_OPTION_BOOL, "image of virtual hardware version 6", "off" },
    { "hwversion", BLOCK_OPTION_STRING, "virtual hardware version that it names" },
    { "size", BLOCK_OPTION_SIZE, "virtual disk size" },
    { "subformat", BLOCK_OPTION_STRING, "kind of image: monolithicSparse (default), "
      "monolithicFlat, twoGbMaxExtentSparse, twoGbMaxExtentFlat or streamOptimized" },
    { "toolsversion", BLOCK_OPTION_STRING, "version of the guest's tools that it names" },
    { "zeroed_grain", BLOCK_OPTION_BOOL, "mark zeroes in the grain tables", "off" },
    { NULL },
};

typedef struct Subformat {
    const char *type, *suffix; /* of extents; suffix NULL: the descriptor is in the only file */
    bool is_flat, is_split, is_stream;
} Subformat;

/* By BlockdevVmdkSubformat. */
static const Subformat subformats[] = {
    [BLOCKDEV_VMDK_SUBFORMAT_MONOLITHICSPARSE] = { "SPARSE" },
    [BLOCKDEV_VMDK_SUBFORMAT_MONOLITHICFLAT] = { "FLAT", "-flat", .is_flat = true },
    [BLOCKDEV_VMDK_SUBFORMAT_TWOGBMAXEXTENTSPARSE] = { "SPARSE", "-s%03u", .is_split = true },
    [BLOCKDEV_VMDK_SUBFORMAT_TWOGBMAXEXTENTFLAT] = { "FLAT", "-f%03u", .is_flat = true,
                                                     .is_split = true },
    [BLOCKDEV_VMDK_SUBFORMAT_STREAMOPTIMIZED] = { "SPARSE", .is_stream = true },
};

static BlockdevVmdkSubformat subformat_of(const BlockdevCreateOptionsVmdk *o)
{
    return o->has_subformat ? o->subformat : BLOCKDEV_VMDK_SUBFORMAT_MONOLITHICSPARSE;
}

static unsigned count_extents(const Subformat *sub, int64_t size)
{
    if (!sub->suffix) {
        return 0;
    }
    return sub->is_split ? DIV_ROUND_UP(size, SPLIT_SIZE) : 1;
}

/* ---- Sparse extents ---- */

typedef struct Sparse {
    uint8_t header[VMDK_HEADER_SIZE];
    uint32_t entries;
    int64_t rgd_at, gd_at, overhead; /* sectors */
} Sparse;

/* header, descriptor; the copies' directory and tables; directory and tables; grains. */
static void plan_sparse(Sparse *s, int64_t size, bool zeroed_grain, bool is_stream)
{
    const uint32_t table = 4 * VMDK_GTES / BLOCK_SECTOR;
    int64_t sectors = size / BLOCK_SECTOR, directory;
    uint8_t *h = s->header;
    uint32_t flags = is_stream ? VMDK_FLAG_COMPRESSED | VMDK_FLAG_MARKERS
                               : VMDK_FLAG_REDUNDANT | (zeroed_grain ? VMDK_FLAG_ZEROED_GRAIN : 0);

    memset(s, 0, sizeof(*s));
    s->entries = DIV_ROUND_UP(sectors, VMDK_GRAIN_SECTORS * VMDK_GTES);
    directory = DIV_ROUND_UP(4 * (int64_t)s->entries, BLOCK_SECTOR);
    s->rgd_at = 1 + DESCRIPTOR_SECTORS;
    s->gd_at = s->rgd_at + directory + s->entries * (int64_t)table;
    s->overhead = is_stream ? s->rgd_at : s->gd_at + directory + s->entries * (int64_t)table;
    s->overhead = ROUND_UP(s->overhead, VMDK_GRAIN_SECTORS);
    memcpy(h, VMDK_MAGIC, 4);
    stl_le(h + VMDK_VERSION, is_stream ? 3 : zeroed_grain ? 2 : 1);
    stl_le(h + VMDK_FLAGS, VMDK_FLAG_NEWLINES | flags);
    stq_le(h + VMDK_CAPACITY, sectors);
    stq_le(h + VMDK_GRAIN_SIZE, VMDK_GRAIN_SECTORS);
    stq_le(h + VMDK_DESCRIPTOR_AT, 1);
    stq_le(h + VMDK_DESCRIPTOR_SIZE, DESCRIPTOR_SECTORS);
    stl_le(h + VMDK_GTES_PER_GT, VMDK_GTES);
    stq_le(h + VMDK_RGD_AT, is_stream ? 0 : s->rgd_at);
    stq_le(h + VMDK_GD_AT, is_stream ? VMDK_GD_AT_END : (uint64_t)s->gd_at);
    stq_le(h + VMDK_OVERHEAD, s->overhead);
    memcpy(h + VMDK_NEWLINES, VMDK_NEWLINE_TEXT, 4);
    stw_le(h + VMDK_COMPRESSION, is_stream ? VMDK_COMPRESSION_DEFLATE : 0);
}

/* A directory; the tables behind it are left zero. */
static int write_directory(BlockChild *file, const Sparse *s, int64_t at)
{
    int64_t bytes = ROUND_UP(4 * (int64_t)s->entries, BLOCK_SECTOR);
    g_autofree uint8_t *directory = g_try_malloc0(MAX(bytes, 1));

    if (!directory) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < s->entries; i++) {
        stl_le(directory + 4 * (size_t)i,
               at + bytes / BLOCK_SECTOR + i * (4 * VMDK_GTES / BLOCK_SECTOR));
    }
    return bytes ? block_pwrite(file, at * BLOCK_SECTOR, bytes, directory, 0) : 0;
}

static int write_empty_tail(BlockChild *file, Sparse *s)
{
    g_autofree uint32_t **none = g_new0(uint32_t *, MAX(s->entries, 1));

    return vmdk_write_tail(file, s->overhead * BLOCK_SECTOR, s->header, s->entries, none);
}

static bool write_sparse(BlockChild *file, int64_t size, bool zeroed_grain, bool is_stream,
                         GError **error)
{
    BlockTruncate truncate = { .flags = file->node->truncate_flags & BLOCK_REQ_ZERO_WRITE };
    Sparse s;
    int ret;

    plan_sparse(&s, size, zeroed_grain, is_stream);
    truncate.size = s.overhead * BLOCK_SECTOR;
    if (s.gd_at + s.overhead > UINT32_MAX) {
        error_setf(error, "The image size is too large for file format 'vmdk'");
        return false;
    }
    if (block_truncate(file, &truncate, error) < 0) {
        return false;
    }
    ret = block_pwrite(file, 0, sizeof(s.header), s.header, 0);
    if (ret >= 0 && is_stream) {
        ret = write_empty_tail(file, &s);
    } else if (ret >= 0) {
        ret = write_directory(file, &s, s.rgd_at);
        ret = ret < 0 ? ret : write_directory(file, &s, s.gd_at);
    }
    if (ret < 0) {
        error_set_errno(error, -ret, "Could not write the VMDK header of '%s'",
                        file->node->filename);
    }
    return ret >= 0;
}

static bool write_extent(BlockChild *file, const Subformat *sub, int64_t size, bool zeroed_grain,
                         GError **error)
{
    BlockTruncate empty = { 0 }, whole = { .size = size };

    if (block_truncate(file, &empty, error) < 0) {
        return false;
    }
    return sub->is_flat ? block_truncate(file, &whole, error) >= 0
                        : write_sparse(file, size, zeroed_grain, sub->is_stream, error);
}

/* ---- The descriptor ---- */

/* Of the image that this one stands on. */
static bool backing_cid(const char *image_name, const char *name, uint32_t *cid, GError **error)
{
    g_autofree char *path = block_path_combine(image_name, name);
    json_object *options = json_object_new_object();
    g_autoptr(BlockNode) node = NULL;

    json_object_object_add(options, "read-only", json_object_new_boolean(true));
    node = block_open(path, NULL, options, QAPI_JSON, BLOCK_OPEN_NO_IO | BLOCK_OPEN_NO_BACKING,
                      error);
    json_object_put(options);
    if (!node) {
        return false;
    }
    if (strcmp(node->driver->name, "vmdk") != 0) {
        error_setf(error, "Invalid backing file for VMDK image: %s. Must be vmdk",
                   node->driver->name);
        return false;
    }
    *cid = ((const VmdkImage *)node->opaque)->descriptor.cid;
    return true;
}

/* As the descriptor names it: it must stand in the same directory. */
static const char *name_in_directory(const BlockNode *extent, const BlockNode *descriptor,
                                     GError **error)
{
    const char *slash = strrchr(extent->filename, '/');
    const char *name = slash ? slash + 1 : extent->filename;
    g_autofree char *there = block_path_combine(descriptor->filename, name);

    if (strcmp(there, extent->filename) != 0) {
        error_setf(error, "The extent '%s' is not in the directory of '%s'", extent->filename,
                   descriptor->filename);
        return NULL;
    }
    return name;
}

static bool name_is_writable(const char *name, GError **error)
{
    if (strpbrk(name, "\"\n\r")) {
        error_setf(error, "A VMDK descriptor cannot have the name '%s'", name);
        return false;
    }
    return true;
}

typedef struct NewImage {
    const BlockdevCreateOptionsVmdk *options;
    const Subformat *sub;
    int64_t size;
    BlockChild *file;
    GPtrArray *extents;   /* BlockChild; those beside the descriptor */
} NewImage;

static bool add_extent_line(const NewImage *image, GString *text, const BlockNode *node,
                            int64_t size, GError **error)
{
    const char *name = name_in_directory(node, image->file->node, error);

    if (!name || !name_is_writable(name, error)) {
        return false;
    }
    g_string_append_printf(text, "RW %" PRId64 " %s \"%s\"%s\n", size / BLOCK_SECTOR,
                           image->sub->type, name, image->sub->is_flat ? " 0" : "");
    return true;
}

static bool add_head(const NewImage *image, GString *text, GError **error)
{
    const char *backing = image->options->backing_file;
    uint32_t cid = 0, parent = VMDK_NO_PARENT;

    if (backing && (!name_is_writable(backing, error) ||
                    !backing_cid(image->file->node->filename, backing, &parent, error))) {
        return false;
    }
    if (!crypto_random_bytes(&cid, sizeof(cid), error)) {
        return false;
    }
    g_string_append_printf(text, "# Disk DescriptorFile\nversion=1\nCID=%08" PRIx32
                           "\nparentCID=%08" PRIx32 "\ncreateType=\"%s\"\n",
                           cid & 0x7fffffff, parent,
                           BlockdevVmdkSubformat_str(subformat_of(image->options)));
    if (backing) {
        g_string_append_printf(text, "parentFileNameHint=\"%s\"\n", backing);
    }
    return true;
}

static void add_tail(const NewImage *image, GString *text)
{
    const BlockdevCreateOptionsVmdk *o = image->options;
    BlockdevVmdkAdapterType adapter = o->has_adapter_type ? o->adapter_type
                                                          : BLOCKDEV_VMDK_ADAPTER_TYPE_IDE;
    unsigned heads = adapter == BLOCKDEV_VMDK_ADAPTER_TYPE_IDE ? 16 : 255;

    g_string_append_printf(text, "\n# The Disk Data Base\n#DDB\n\n"
                           "ddb.virtualHWVersion = \"%s\"\nddb.geometry.cylinders = \"%" PRId64
                           "\"\nddb.geometry.heads = \"%u\"\nddb.geometry.sectors = \"63\"\n"
                           "ddb.adapterType = \"%s\"\nddb.toolsVersion = \"%s\"\n",
                           o->hwversion ? o->hwversion : DEFAULT_HWVERSION,
                           image->size / (63 * heads * BLOCK_SECTOR), heads,
                           BlockdevVmdkAdapterType_str(adapter),
                           o->toolsversion ? o->toolsversion : DEFAULT_TOOLSVERSION);
}

static int64_t extent_size(const NewImage *image, unsigned index)
{
    return image->sub->is_split ? MIN(SPLIT_SIZE, image->size - index * SPLIT_SIZE) : image->size;
}

static bool compose(const NewImage *image, GString *text, GError **error)
{
    if (!add_head(image, text, error)) {
        return false;
    }
    g_string_append(text, "\n# Extent description\n");
    for (guint i = 0; i < image->extents->len; i++) {
        BlockChild *child = g_ptr_array_index(image->extents, i);

        if (!add_extent_line(image, text, child->node, extent_size(image, i), error)) {
            return false;
        }
    }
    if (!image->sub->suffix &&
        !add_extent_line(image, text, image->file->node, image->size, error)) {
        return false;
    }
    add_tail(image, text);
    return true;
}

static bool write_descriptor(const NewImage *image, GError **error)
{
    g_autoptr(GString) text = g_string_new(NULL);
    BlockTruncate empty = { 0 };
    bool embedded = !image->sub->suffix;
    int ret;

    if (!compose(image, text, error)) {
        return false;
    }
    if (text->len > (embedded ? DESCRIPTOR_SECTORS * BLOCK_SECTOR : VMDK_MAX_DESCRIPTOR)) {
        error_setf(error, "The VMDK descriptor would be too long");
        return false;
    }
    if (!embedded && block_truncate(image->file, &empty, error) < 0) {
        return false;
    }
    ret = block_pwrite(image->file, embedded ? BLOCK_SECTOR : 0, text->len, text->str, 0);
    if (ret < 0) {
        error_set_errno(error, -ret, "Could not write the VMDK descriptor");
    }
    return ret >= 0;
}

/* ---- All together ---- */

static bool options_are_sane(const BlockdevCreateOptionsVmdk *o, const Subformat *sub,
                             GError **error)
{
    unsigned given = o->extents ? o->extents->len : 0;

    if (sub->is_flat && o->backing_file) {
        error_setf(error, "Flat image can't have backing file");
    } else if (sub->is_flat && o->has_zeroed_grain && o->zeroed_grain) {
        error_setf(error, "Flat image can't enable zeroed grain");
    } else if (o->size > BLOCK_MAX_LENGTH - BLOCK_SECTOR) {
        error_setf(error, "The image size is too large for file format 'vmdk'");
    } else if (count_extents(sub, ROUND_UP(o->size, BLOCK_SECTOR)) > VMDK_MAX_EXTENTS) {
        error_setf(error, "The image would have more than %d extents", VMDK_MAX_EXTENTS);
    } else if (given != count_extents(sub, ROUND_UP(o->size, BLOCK_SECTOR))) {
        error_setf(error, "%u extents are given, but this VMDK image has %u", given,
                   count_extents(sub, ROUND_UP(o->size, BLOCK_SECTOR)));
    } else if ((o->hwversion && !name_is_writable(o->hwversion, error)) ||
               (o->toolsversion && !name_is_writable(o->toolsversion, error))) {
        return false;
    } else {
        return true;
    }
    return false;
}

static bool open_extents(NewImage *image, GError **error)
{
    GPtrArray *refs = image->options->extents;

    for (guint i = 0; refs && i < refs->len; i++) {
        BlockChild *child = block_create_open(g_ptr_array_index(refs, i), error);

        if (!child) {
            return false;
        }
        g_ptr_array_add(image->extents, child);
    }
    return true;
}

static bool write_all(NewImage *image, GError **error)
{
    bool zeroed_grain = image->options->has_zeroed_grain && image->options->zeroed_grain;

    if (!image->sub->suffix &&
        !write_extent(image->file, image->sub, image->size, zeroed_grain, error)) {
        return false;
    }
    for (guint i = 0; i < image->extents->len; i++) {
        if (!write_extent(g_ptr_array_index(image->extents, i), image->sub, extent_size(image, i),
                          zeroed_grain, error)) {
            return false;
        }
    }
    return write_descriptor(image, error);
}

bool vmdk_create(const BlockdevCreateOptions *options, GError **error)
{
    const BlockdevCreateOptionsVmdk *o = &options->u.vmdk;
    NewImage image = {
        .options = o, .sub = &subformats[subformat_of(o)], .size = ROUND_UP(o->size, BLOCK_SECTOR),
    };
    bool ok;

    if (!options_are_sane(o, image.sub, error)) {
        return false;
    }
    image.file = block_create_open(o->file, error);
    if (!image.file) {
        return false;
    }
    image.extents = g_ptr_array_new();
    ok = open_extents(&image, error) && write_all(&image, error);
    for (guint i = 0; i < image.extents->len; i++) {
        ok &= block_create_close(g_ptr_array_index(image.extents, i), ok ? error : NULL);
    }
    g_ptr_array_unref(image.extents);
    return block_create_close(image.file, ok ? error : NULL) && ok;
}

/* ---- By name ---- */

static const char *text_of(json_object *options, const char *name)
{
    json_object *value;

    return json_object_object_get_ex(options, name, &value) ? json_object_get_string(value) : NULL;
}

/* An empty file, open; NULL with the error set. */
static BlockNode *make_file(const char *filename, GError **error)
{
    json_object *options = json_object_new_object();
    BlockNode *node = NULL;

    json_object_object_add(options, "size", json_object_new_string("0"));
    if (block_create_protocol(filename, options, error)) {
        node = block_open(filename, NULL, NULL, QAPI_KEYVAL, BLOCK_OPEN_PROTOCOL, error);
    }
    json_object_put(options);
    return node;
}

static void unref_node(void *node)
{
    block_node_unref(node);
}

/* "dir/name.vmdk" and "-s%03u", 1: "dir/name-s001.vmdk". */
static char *extent_name(const char *filename, const Subformat *sub, unsigned number)
{
    const char *slash = strrchr(filename, '/');
    const char *dot = strrchr(slash ? slash : filename, '.');
    size_t stem = dot ? (size_t)(dot - filename) : strlen(filename);
    g_autofree char *digits = sub->is_split ? g_strdup_printf("%c%03u", sub->suffix[1], number)
                                            : g_strdup(sub->suffix + 1);

    return g_strdup_printf("%.*s-%s%s", (int)stem, filename, digits, filename + stem);
}

/* The descriptor's file first, then the extents'. */
static bool make_files(const char *filename, const Subformat *sub, unsigned n, GPtrArray *nodes,
                       GError **error)
{
    for (unsigned i = 0; i <= n; i++) {
        g_autofree char *name = i ? extent_name(filename, sub, i) : g_strdup(filename);
        BlockNode *node = make_file(name, error);

        if (!node) {
            return false;
        }
        g_ptr_array_add(nodes, node);
    }
    return true;
}

static void delete_files(GPtrArray *nodes)
{
    for (guint i = 0; i < nodes->len; i++) {
        BlockNode *node = g_ptr_array_index(nodes, i);

        if (node->driver->delete_file) {
            node->driver->delete_file(node, NULL);
        }
    }
}

/* People's options, without files; what the schema does not have is settled here. */
static BlockdevCreateOptions *typed_options(json_object *options, GError **error)
{
    const char *backing_fmt = text_of(options, "backing_fmt");
    json_object *mapped = block_options_to_qapi(vmdk_create_options, options);
    BlockdevCreateOptions *typed = NULL;
    bool compat6 = !g_strcmp0(text_of(options, "compat6"), "on");

    json_object_object_del(mapped, "compat6");
    json_object_object_del(mapped, "backing-fmt");
    json_object_object_add(mapped, "driver", json_object_new_string("vmdk"));
    json_object_object_add(mapped, "file", json_object_new_string(""));
    if (compat6 && text_of(options, "hwversion")) {
        error_setf(error, "compat6 cannot be enabled with hwversion set");
    } else if (backing_fmt && strcmp(backing_fmt, "vmdk") != 0) {
        error_setf(error, "backing_file must be a vmdk image");
    } else {
        if (compat6) {
            json_object_object_add(mapped, "hwversion", json_object_new_string(COMPAT6_HWVERSION));
        }
        BlockdevCreateOptions_from_json(mapped, QAPI_KEYVAL, &typed, error);
    }
    json_object_put(mapped);
    return typed;
}

static BlockdevRef *ref_to(const BlockNode *node)
{
    json_object *name = json_object_new_string(node->name);
    BlockdevRef *ref = NULL;

    BlockdevRef_from_json(name, QAPI_JSON, &ref, NULL);
    json_object_put(name);
    return ref;
}

static void name_nodes(BlockdevCreateOptionsVmdk *o, GPtrArray *nodes)
{
    BlockdevRef_free(o->file);
    o->file = ref_to(g_ptr_array_index(nodes, 0));
    if (nodes->len > 1) {
        o->extents = BlockdevRef_list_new();
    }
    for (guint i = 1; i < nodes->len; i++) {
        g_ptr_array_add(o->extents, ref_to(g_ptr_array_index(nodes, i)));
    }
}

bool vmdk_create_by_name(const char *filename, json_object *options, GError **error)
{
    g_autoptr(BlockdevCreateOptions) typed = typed_options(options, error);
    g_autoptr(GPtrArray) nodes = g_ptr_array_new_with_free_func(unref_node);
    const Subformat *sub;
    uint64_t size;
    unsigned n;
    bool ok;

    if (!typed) {
        return false;
    }
    sub = &subformats[subformat_of(&typed->u.vmdk)];
    size = typed->u.vmdk.size;
    n = size > BLOCK_MAX_LENGTH - BLOCK_SECTOR ? 0
                                               : count_extents(sub, ROUND_UP(size, BLOCK_SECTOR));
    if (n > VMDK_MAX_EXTENTS) {
        error_setf(error, "The image would have more than %d extents", VMDK_MAX_EXTENTS);
        return false;
    }
    ok = make_files(filename, sub, n, nodes, error);
    if (ok) {
        name_nodes(&typed->u.vmdk, nodes);
        ok = vmdk_create(typed, error);
    }
    if (!ok) {
        delete_files(nodes);
    }
    return ok;
}
