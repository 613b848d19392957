/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header in the first cluster: fixed fields, then extensions (type, length, data padded to 8
 * bytes) up to one of type 0, then the backing file's name. It is written anew as a whole; fields
 * and extensions that we do not know are kept.
 */
#include <errno.h>
#include <inttypes.h>

#include "block/qcow2/qcow2.h"
#include "util/error.h"

static const struct FeatureName {
    uint8_t type, bit;
    const char *name;
} feature_names[] = {
    { 0, 0, "dirty bit" },
    { 0, 1, "corrupt bit" },
    { 0, 2, "external data file" },
    { 0, 3, "compression type" },
    { 0, 4, "extended L2 entries" },
    { 1, 0, "lazy refcounts" },
    { 2, 0, "bitmaps" },
    { 2, 1, "raw external data" },
};

int qcow2_probe(const uint8_t *buf, size_t len, const char *filename)
{
    return len >= 8 && ldl_be(buf) == QCOW2_MAGIC && ldl_be(buf + QCOW2_H_VERSION) >= 2 ? 100 : 0;
}

/* ---- Fields ---- */

void qcow2_derive_geometry(Qcow2 *q)
{
    q->cluster_size = 1u << q->cluster_bits;
    q->extended_l2 = q->incompatible & QCOW2_INCOMPAT_EXTL2;
    q->l2_entry_size = q->extended_l2 ? 16 : 8;
    q->l2_bits = q->cluster_bits - (q->extended_l2 ? 4 : 3);
    q->subclusters = q->extended_l2 ? QCOW2_SUBCLUSTERS : 1;
    q->sub_bits = q->cluster_bits - (q->extended_l2 ? 5 : 0);
    q->refblock_bits = q->cluster_bits + 3 - q->refcount_order;
    q->refcount_max = q->refcount_order == 6 ? INT64_MAX
                                             : BIT_ULL(1u << q->refcount_order) - 1;
    q->csize_shift = 62 - (q->cluster_bits - 8);
    q->coffset_mask = MASK_ULL(MIN(q->csize_shift - 1, 55), 0);
}

static bool fields_are_sane(const Qcow2 *q, const uint8_t *raw, GError **error)
{
    if (q->cluster_bits < QCOW2_MIN_CLUSTER_BITS || q->cluster_bits > QCOW2_MAX_CLUSTER_BITS) {
        error_setf(error, "qcow2 header: cluster size 2^%u is unsupported (2^%d to 2^%d are)",
                   q->cluster_bits, QCOW2_MIN_CLUSTER_BITS, QCOW2_MAX_CLUSTER_BITS);
    } else if (q->refcount_order > 6) {
        error_setf(error, "qcow2 header: reference count entry width 2^%u bits is too large (64 "
                   "bits at most)", q->refcount_order);
    } else if (q->crypt_method > QCOW2_CRYPT_LUKS) {
        error_setf(error, "qcow2 header: unsupported encryption method %u", q->crypt_method);
    } else if (q->version >= 3 && (q->header_length < QCOW2_V3_HEADER_LENGTH ||
                                   q->header_length > 1u << q->cluster_bits)) {
        error_setf(error, "qcow2 header: header length %" PRIu32 " is not between %d and the "
                   "cluster size", q->header_length, QCOW2_V3_HEADER_LENGTH);
    } else if (q->disk_size < 0 || q->disk_size > BLOCK_MAX_LENGTH) {
        error_setf(error, "qcow2 header: disk size 0x%" PRIx64 " is too large",
                   ldq_be(raw + QCOW2_H_SIZE));
    } else if ((q->incompatible & QCOW2_INCOMPAT_EXTL2) && q->cluster_bits < 14) {
        error_setf(error, "qcow2 header: extended L2 entries need clusters of 16 KiB at least");
    } else {
        return true;
    }
    return false;
}

static bool read_compression(Qcow2 *q, const uint8_t *raw, GError **error)
{
    q->compression_type = q->header_length > QCOW2_H_COMPRESSION_TYPE
        ? raw[QCOW2_H_COMPRESSION_TYPE] : 0;
    if (!(q->incompatible & QCOW2_INCOMPAT_COMPRESSION) != !q->compression_type) {
        error_setf(error, "qcow2 header: the compression type feature bit and the compression "
                   "type %u do not fit together", q->compression_type);
        return false;
    }
    if (q->compression_type > 1) {
        error_setf(error, "qcow2 header: unknown compression type %u", q->compression_type);
        return false;
    }
    return true;
}

static void take_v3_fields(Qcow2 *q, const uint8_t *raw)
{
    q->incompatible = ldq_be(raw + QCOW2_H_INCOMPATIBLE);
    q->compatible = ldq_be(raw + QCOW2_H_COMPATIBLE);
    q->autoclear = ldq_be(raw + QCOW2_H_AUTOCLEAR);
    q->refcount_order = ldl_be(raw + QCOW2_H_REFCOUNT_ORDER);
    q->header_length = ldl_be(raw + QCOW2_H_HEADER_LENGTH);
}

static bool read_fields(Qcow2 *q, const uint8_t *raw, GError **error)
{
    q->version = ldl_be(raw + QCOW2_H_VERSION);
    if (ldl_be(raw) != QCOW2_MAGIC) {
        error_setf(error, "Image is not in qcow2 format");
        return false;
    }
    if (q->version != 2 && q->version != 3) {
        error_setf(error, "qcow2 header: unsupported version %u", q->version);
        return false;
    }
    q->cluster_bits = ldl_be(raw + QCOW2_H_CLUSTER_BITS);
    q->disk_size = (int64_t)ldq_be(raw + QCOW2_H_SIZE);
    q->crypt_method = ldl_be(raw + QCOW2_H_CRYPT_METHOD);
    q->refcount_order = 4;
    q->header_length = QCOW2_V2_HEADER_LENGTH;
    if (q->version >= 3) {
        take_v3_fields(q, raw);
    }
    if (!fields_are_sane(q, raw, error)) {
        return false;
    }
    qcow2_derive_geometry(q);
    return true;
}

/* ---- Extensions ---- */

/* The names of unknown incompatible features, from the image's own table if it has one. */
static void refuse_features(const Qcow2 *q, const uint8_t *table, uint32_t len, GError **error)
{
    g_autoptr(GString) names = g_string_new(NULL);
    uint64_t unknown = q->incompatible & ~QCOW2_INCOMPAT_KNOWN;

    for (uint32_t i = 0; i + QCOW2_FEATURE_ENTRY_SIZE <= len; i += QCOW2_FEATURE_ENTRY_SIZE) {
        if (table[i] == 0 && table[i + 1] < 64 && (unknown & BIT_ULL(table[i + 1]))) {
            g_autofree char *raw = g_strndup((const char *)table + i + 2, QCOW2_FEATURE_NAME_SIZE);
            g_autofree char *name = g_strescape(raw, NULL);

            g_string_append_printf(names, "%s%s", names->len ? ", " : "", name);
            unknown &= ~BIT_ULL(table[i + 1]);
        }
    }
    if (unknown) {
        g_string_append_printf(names, "%sUnknown incompatible feature: %" PRIx64,
                               names->len ? ", " : "", unknown);
    }
    error_setf(error, "Unsupported qcow2 feature(s): %s", names->str);
}

static bool read_bitmaps_extension(Qcow2 *q, const uint8_t *data, uint32_t len, GError **error)
{
    if (!(q->autoclear & QCOW2_AUTOCLEAR_BITMAPS)) {
        /* Written to by something that does not know bitmaps: what it says is stale. */
        return true;
    }
    if (len != QCOW2_BM_EXTENSION) {
        error_setf(error, "qcow2 bitmaps extension: invalid length %" PRIu32, len);
        return false;
    }
    q->nb_bitmaps = ldl_be(data + QCOW2_BM_NUMBER);
    q->bitmap_directory_size = (int64_t)ldq_be(data + QCOW2_BM_DIRECTORY_SIZE);
    q->bitmap_directory_offset = (int64_t)ldq_be(data + QCOW2_BM_DIRECTORY_OFFSET);
    if (!q->nb_bitmaps || q->nb_bitmaps > QCOW2_MAX_BITMAPS || ldl_be(data + 4)) {
        error_setf(error, "qcow2 bitmaps extension: %" PRIu32 " bitmaps, 1 to %d are supported",
                   q->nb_bitmaps, QCOW2_MAX_BITMAPS);
    } else if (q->bitmap_directory_size <= 0 ||
               q->bitmap_directory_size > QCOW2_MAX_BITMAP_DIRECTORY) {
        error_setf(error, "qcow2 bitmaps extension: directory size %" PRId64 " exceeds the %"
                   PRId64 " bytes supported", q->bitmap_directory_size,
                   QCOW2_MAX_BITMAP_DIRECTORY);
    } else if (q->bitmap_directory_offset <= 0 ||
               q->bitmap_directory_offset > (int64_t)QCOW2_MAX_HOST_OFFSET ||
               qcow2_in_cluster(q, q->bitmap_directory_offset)) {
        error_setf(error, "qcow2 bitmaps extension: bad directory offset 0x%" PRIx64,
                   (uint64_t)q->bitmap_directory_offset);
    } else {
        return true;
    }
    return false;
}

static bool read_crypto_extension(Qcow2 *q, const uint8_t *data, uint32_t len, GError **error)
{
    if (q->crypt_method != QCOW2_CRYPT_LUKS || len != 16) {
        error_setf(error, "qcow2 encryption extension: %s", len != 16
                   ? "its length is not 16 bytes" : "only LUKS images have one");
        return false;
    }
    q->crypto_offset = (int64_t)ldq_be(data);
    q->crypto_length = (int64_t)ldq_be(data + 8);
    if (q->crypto_offset <= 0 || q->crypto_length <= 0 || qcow2_in_cluster(q, q->crypto_offset) ||
        q->crypto_offset > (int64_t)QCOW2_MAX_HOST_OFFSET || q->crypto_length > (int64_t)(GiB)) {
        error_setf(error, "qcow2 encryption extension: %" PRId64 " bytes at offset 0x%" PRIx64
                   " cannot be the encryption header", q->crypto_length,
                   (uint64_t)q->crypto_offset);
        return false;
    }
    return true;
}

static void keep_extension(Qcow2 *q, uint32_t type, const uint8_t *data, uint32_t len)
{
    Qcow2Extension *extension = g_malloc(sizeof(*extension) + len);

    extension->type = type;
    extension->len = len;
    memcpy(extension->data, data, len);
    g_ptr_array_add(q->extensions, extension);
}

static bool take_extension(Qcow2 *q, uint32_t type, const uint8_t *data, uint32_t len,
                           GError **error)
{
    switch (type) {
    case QCOW2_EXT_BACKING_FORMAT:
        g_free(q->node->header_backing_format);
        q->node->header_backing_format = g_strndup((const char *)data, len);
        return true;
    case QCOW2_EXT_FEATURE_NAMES:
        return true;
    case QCOW2_EXT_BITMAPS:
        return read_bitmaps_extension(q, data, len, error);
    case QCOW2_EXT_CRYPTO:
        return read_crypto_extension(q, data, len, error);
    case QCOW2_EXT_DATA_FILE:
        g_free(q->data_file_name);
        q->data_file_name = g_strndup((const char *)data, len);
        return true;
    default:
        keep_extension(q, type, data, len);
        return true;
    }
}

/*
 * All extensions in raw[at, end). features: where the table of names is. With unknown incompatible
 * features only that one is looked for.
 */
static bool read_extensions(Qcow2 *q, const uint8_t *raw, uint32_t at, uint32_t end,
                            bool only_names, GError **error)
{
    while (end - at >= 8) {
        uint32_t type = ldl_be(raw + at), len = ldl_be(raw + at + 4);

        if (type == QCOW2_EXT_END) {
            break;
        }
        at += 8;
        if (len > end - at) {
            error_setf(error, "qcow2 header extension 0x%" PRIx32 " at offset %" PRIu32
                       ": its length %" PRIu32 " does not fit", type, at - 8, len);
            return false;
        }
        if (only_names && type == QCOW2_EXT_FEATURE_NAMES) {
            refuse_features(q, raw + at, len, error);
            return false;
        }
        if (!only_names && !take_extension(q, type, raw + at, len, error)) {
            return false;
        }
        at += MIN(ROUND_UP(len, 8), end - at);
    }
    q->header_used = at + 8;
    if (only_names) {
        refuse_features(q, NULL, 0, error);
        return false;
    }
    return true;
}

/* ---- Reading ---- */

static bool read_backing_name(Qcow2 *q, const uint8_t *raw, uint32_t *end, GError **error)
{
    uint64_t offset = ldq_be(raw + QCOW2_H_BACKING_OFFSET);
    uint32_t len = ldl_be(raw + QCOW2_H_BACKING_SIZE);

    *end = q->cluster_size;
    if (!offset) {
        return true;
    }
    if (len > QCOW2_MAX_BACKING_NAME || !range_ok(offset, len, q->cluster_size) ||
        offset < q->header_length) {
        error_setf(error, "qcow2 header: the backing file name (%" PRIu32 " bytes at offset 0x%"
                   PRIx64 ") is too long or not in the first cluster", len, offset);
        return false;
    }
    *end = (uint32_t)offset;
    if (len) {
        q->node->header_backing_file = g_strndup((const char *)raw + offset, len);
    }
    return true;
}

static bool check_table(const Qcow2 *q, const char *what, uint64_t offset, uint64_t bytes,
                        uint64_t max, GError **error)
{
    if (bytes > max) {
        error_setf(error, "qcow2 header: the %s is too large (%" PRIu64 " bytes, %" PRIu64
                   " at most)", what, bytes, max);
        return false;
    }
    if (offset > QCOW2_MAX_HOST_OFFSET - bytes || (offset & (q->cluster_size - 1)) ||
        (bytes && !offset)) {
        error_setf(error, "qcow2 header: the %s has a bad offset 0x%" PRIx64, what, offset);
        return false;
    }
    return true;
}

bool qcow2_check_size(const Qcow2 *q, int64_t size, GError **error)
{
    if (size < 0 || size > BLOCK_MAX_LENGTH - (int64_t)BIT_ULL(qcow2_l1_shift(q)) ||
        qcow2_l1_entries(q, size) > QCOW2_MAX_L1_BYTES / 8) {
        error_setf(error, "qcow2: a disk of %" PRId64 " bytes is too large for clusters of %"
                   PRIu32 " bytes; larger clusters allow more", size, q->cluster_size);
        return false;
    }
    return true;
}

static bool load_tables(Qcow2 *q, const uint8_t *raw, GError **error)
{
    uint32_t l1_size = ldl_be(raw + QCOW2_H_L1_SIZE);
    uint32_t reftable_clusters = ldl_be(raw + QCOW2_H_REFTABLE_CLUSTERS);
    uint64_t l1 = ldq_be(raw + QCOW2_H_L1_OFFSET);
    uint64_t reftable = ldq_be(raw + QCOW2_H_REFTABLE_OFFSET);
    uint64_t reftable_bytes = (uint64_t)reftable_clusters << q->cluster_bits;

    if (!check_table(q, "active L1 table", l1, (uint64_t)l1_size * 8, QCOW2_MAX_L1_BYTES, error) ||
        !check_table(q, "refcount table", reftable, reftable_bytes, QCOW2_MAX_REFTABLE_BYTES,
                     error) || !qcow2_check_size(q, q->disk_size, error)) {
        return false;
    }
    if (!reftable_clusters) {
        error_setf(error, "qcow2 header: image does not have a refcount table");
        return false;
    }
    if (l1_size < qcow2_l1_entries(q, q->disk_size)) {
        error_setf(error, "qcow2 header: the L1 table with %" PRIu32 " entries is too small for "
                   "%" PRId64 " bytes", l1_size, q->disk_size);
        return false;
    }
    if (!qcow2_table_load(q, &q->l1, (int64_t)l1, l1_size, "L1 table", error)) {
        return false;
    }
    return qcow2_table_load(q, &q->reftable, (int64_t)reftable, (uint32_t)(reftable_bytes / 8),
                            "refcount table", error);
}

static bool read_snapshots_field(Qcow2 *q, const uint8_t *raw, GError **error)
{
    uint32_t n = ldl_be(raw + QCOW2_H_NB_SNAPSHOTS);

    if (n > QCOW2_MAX_SNAPSHOTS) {
        error_setf(error, "qcow2 header: %" PRIu32 " snapshots, more than the %d supported", n,
                   QCOW2_MAX_SNAPSHOTS);
        return false;
    }
    q->snapshots_offset = (int64_t)ldq_be(raw + QCOW2_H_SNAPSHOTS_OFFSET);
    return check_table(q, "snapshot table", (uint64_t)q->snapshots_offset,
                       (uint64_t)n * QCOW2_SN_HEADER, QCOW2_MAX_SNAPSHOT_TABLE, error);
}

static bool read_first_cluster(Qcow2 *q, uint8_t *raw, GError **error)
{
    uint32_t end;

    if (q->header_length > QCOW2_HEADER_LENGTH) {
        q->extra_fields = g_memdup2(raw + QCOW2_HEADER_LENGTH,
                                    q->header_length - QCOW2_HEADER_LENGTH);
    }
    if (q->incompatible & ~QCOW2_INCOMPAT_KNOWN) {
        return read_extensions(q, raw, q->header_length, q->cluster_size, true, error);
    }
    if (!read_compression(q, raw, error) || !read_backing_name(q, raw, &end, error) ||
        !read_extensions(q, raw, q->header_length, end, false, error)) {
        return false;
    }
    if (q->node->header_backing_file) {
        q->header_used = end + (uint32_t)strlen(q->node->header_backing_file);
    }
    if ((q->autoclear & QCOW2_AUTOCLEAR_BITMAPS) && !q->nb_bitmaps) {
        error_setf(error, "qcow2 header: the bitmaps feature bit is set, but the bitmaps "
                   "extension is missing");
        return false;
    }
    if (q->crypt_method == QCOW2_CRYPT_LUKS && !q->crypto_offset) {
        error_setf(error, "qcow2 header: the encryption extension is missing");
        return false;
    }
    return true;
}

bool qcow2_header_read(Qcow2 *q, unsigned open_flags, GError **error)
{
    uint8_t first[QCOW2_HEADER_LENGTH];
    g_autofree uint8_t *raw = NULL;
    int ret = block_pread(q->node->file, 0, sizeof(first), first);

    if (ret < 0) {
        error_set_errno(error, -ret, "Could not read the qcow2 header");
        return false;
    }
    q->extensions = g_ptr_array_new_with_free_func(g_free);
    if (!read_fields(q, first, error)) {
        return false;
    }
    raw = g_malloc(q->cluster_size);
    ret = block_pread(q->node->file, 0, q->cluster_size, raw);
    if (ret < 0) {
        error_set_errno(error, -ret, "Could not read the qcow2 header");
        return false;
    }
    return read_first_cluster(q, raw, error) && read_snapshots_field(q, raw, error) &&
           load_tables(q, raw, error);
}

void qcow2_header_cleanup(Qcow2 *q)
{
    qcow2_table_cleanup(&q->l1);
    qcow2_table_cleanup(&q->reftable);
    g_clear_pointer(&q->extensions, g_ptr_array_unref);
    g_clear_pointer(&q->extra_fields, g_free);
    g_clear_pointer(&q->data_file_name, g_free);
}

/* ---- Writing ---- */

typedef struct Writer {
    uint8_t *buf;
    uint32_t at, size;
    bool full;
} Writer;

static uint8_t *put_extension(Writer *w, uint32_t type, uint32_t len)
{
    uint8_t *at = w->buf + w->at;
    uint32_t bytes = 8 + ROUND_UP(len, 8);

    /* The end mark, 8 bytes, always fits behind. */
    if (w->full || len > w->size || bytes + 8 > w->size - w->at) {
        w->full = true;
        return NULL;
    }
    stl_be(at, type);
    stl_be(at + 4, len);
    w->at += bytes;
    return at + 8;
}

static void put_string(Writer *w, uint32_t type, const char *text)
{
    uint8_t *data;

    if (text) {
        data = put_extension(w, type, (uint32_t)strlen(text));
        if (data) {
            memcpy(data, text, strlen(text));
        }
    }
}

/* Only as a help for others: left out where there is no room. */
static void put_feature_names(Writer *w)
{
    uint32_t len = G_N_ELEMENTS(feature_names) * QCOW2_FEATURE_ENTRY_SIZE;
    Writer before = *w;
    uint8_t *data = put_extension(w, QCOW2_EXT_FEATURE_NAMES, len);

    if (!data || w->at + 8 + QCOW2_MAX_BACKING_NAME > w->size) {
        if (data) {
            memset(data - 8, 0, len + 8);
        }
        *w = before;
        return;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(feature_names); i++, data += QCOW2_FEATURE_ENTRY_SIZE) {
        data[0] = feature_names[i].type;
        data[1] = feature_names[i].bit;
        memcpy(data + 2, feature_names[i].name, strlen(feature_names[i].name));
    }
}

static void put_extensions(const Qcow2 *q, Writer *w)
{
    uint8_t *data;

    put_string(w, QCOW2_EXT_BACKING_FORMAT, q->node->header_backing_format);
    put_string(w, QCOW2_EXT_DATA_FILE, qcow2_has_data_file(q) ? q->data_file_name : NULL);
    if (q->crypto_offset && (data = put_extension(w, QCOW2_EXT_CRYPTO, 16))) {
        stq_be(data, (uint64_t)q->crypto_offset);
        stq_be(data + 8, (uint64_t)q->crypto_length);
    }
    if (q->nb_bitmaps && (data = put_extension(w, QCOW2_EXT_BITMAPS, QCOW2_BM_EXTENSION))) {
        stl_be(data + QCOW2_BM_NUMBER, q->nb_bitmaps);
        stq_be(data + QCOW2_BM_DIRECTORY_SIZE, (uint64_t)q->bitmap_directory_size);
        stq_be(data + QCOW2_BM_DIRECTORY_OFFSET, (uint64_t)q->bitmap_directory_offset);
    }
    for (guint i = 0; i < q->extensions->len; i++) {
        const Qcow2Extension *extension = g_ptr_array_index(q->extensions, i);

        data = put_extension(w, extension->type, extension->len);
        if (data) {
            memcpy(data, extension->data, extension->len);
        }
    }
    if (q->version >= 3) {
        put_feature_names(w);
    }
    w->at += 8;
}

static void put_fields(const Qcow2 *q, uint8_t *raw)
{
    stl_be(raw, QCOW2_MAGIC);
    stl_be(raw + QCOW2_H_VERSION, q->version);
    stl_be(raw + QCOW2_H_CLUSTER_BITS, q->cluster_bits);
    stq_be(raw + QCOW2_H_SIZE, (uint64_t)q->disk_size);
    stl_be(raw + QCOW2_H_CRYPT_METHOD, q->crypt_method);
    stl_be(raw + QCOW2_H_L1_SIZE, q->l1.n);
    stq_be(raw + QCOW2_H_L1_OFFSET, (uint64_t)q->l1.offset);
    stq_be(raw + QCOW2_H_REFTABLE_OFFSET, (uint64_t)q->reftable.offset);
    stl_be(raw + QCOW2_H_REFTABLE_CLUSTERS,
           (uint32_t)(((uint64_t)q->reftable.n * 8) >> q->cluster_bits));
    stl_be(raw + QCOW2_H_NB_SNAPSHOTS, q->snapshots ? q->snapshots->len : 0);
    stq_be(raw + QCOW2_H_SNAPSHOTS_OFFSET, (uint64_t)q->snapshots_offset);
    if (q->version < 3) {
        return;
    }
    stq_be(raw + QCOW2_H_INCOMPATIBLE, q->incompatible);
    stq_be(raw + QCOW2_H_COMPATIBLE, q->compatible);
    stq_be(raw + QCOW2_H_AUTOCLEAR, q->autoclear);
    stl_be(raw + QCOW2_H_REFCOUNT_ORDER, q->refcount_order);
    stl_be(raw + QCOW2_H_HEADER_LENGTH, MAX(q->header_length, QCOW2_HEADER_LENGTH));
    raw[QCOW2_H_COMPRESSION_TYPE] = (uint8_t)q->compression_type;
    if (q->extra_fields) {
        memcpy(raw + QCOW2_HEADER_LENGTH, q->extra_fields,
               q->header_length - QCOW2_HEADER_LENGTH);
    }
}

/* All that matters when it changes is in the first sector, which is written whole or not at all. */
static int write_header(Qcow2 *q)
{
    const char *backing = q->node->header_backing_file;
    g_autofree uint8_t *raw = g_try_malloc0(q->cluster_size);
    Writer w = { .buf = raw, .size = q->cluster_size };
    uint32_t bytes;
    int ret;

    if (!raw) {
        return -ENOMEM;
    }
    put_fields(q, raw);
    w.at = q->version < 3 ? QCOW2_V2_HEADER_LENGTH : MAX(q->header_length, QCOW2_HEADER_LENGTH);
    put_extensions(q, &w);
    if (w.full || (backing && strlen(backing) > w.size - w.at)) {
        return -ENOSPC;
    }
    if (backing) {
        stq_be(raw + QCOW2_H_BACKING_OFFSET, w.at);
        stl_be(raw + QCOW2_H_BACKING_SIZE, (uint32_t)strlen(backing));
        memcpy(raw + w.at, backing, strlen(backing));
        w.at += (uint32_t)strlen(backing);
    }
    bytes = MIN(ROUND_UP(MAX(w.at, q->header_used), BLOCK_SECTOR), q->cluster_size);
    ret = block_pwrite(q->node->file, 0, bytes, raw, 0);
    if (ret < 0) {
        return ret;
    }
    q->header_used = w.at;
    return block_flush(q->node->file->node);
}

int qcow2_header_write(Qcow2 *q)
{
    int ret;

    co_mutex_lock(&q->header_lock);
    ret = write_header(q);
    co_mutex_unlock(&q->header_lock);
    return ret;
}

int qcow2_set_incompatible(Qcow2 *q, uint64_t set, uint64_t clear)
{
    uint64_t old = q->incompatible;
    int ret;

    q->incompatible = (old | set) & ~clear;
    if (q->incompatible == old) {
        return 0;
    }
    ret = qcow2_header_write(q);
    if (ret < 0) {
        q->incompatible = old;
    }
    return ret;
}
