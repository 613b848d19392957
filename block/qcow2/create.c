/* SPDX-License-Identifier: Apache-2.0 */
/* New images: the smallest that can be opened, which is then given its size like any other. */
#include <errno.h>
#include <inttypes.h>

#include "block/create.h"
#include "block/open.h"
#include "block/qcow2/crypto.h"
#include "util/error.h"
#include "util/parse.h"

#define DEFAULT_CLUSTER_BITS 16

const BlockOption qcow2_create_options[] = {
    { "size", BLOCK_OPTION_SIZE, "virtual disk size", .amendable = true },
    { "compat", BLOCK_OPTION_STRING, "compatibility level (v2 [0.10] or v3 [1.1])", NULL,
      "version", .amendable = true },
    { "backing_file", BLOCK_OPTION_STRING, "file name of a base image", .amendable = true },
    { "backing_fmt", BLOCK_OPTION_STRING, "image format of the base image", .amendable = true },
    { "data_file", BLOCK_OPTION_STRING, "file name of an external data file",
      .amendable = true },
    { "data_file_raw", BLOCK_OPTION_BOOL, "the external data file must stay valid as a raw image",
      .amendable = true },
    { "extended_l2", BLOCK_OPTION_BOOL, "extended L2 tables", "off" },
    { "encryption", BLOCK_OPTION_BOOL, "encrypt the image with format 'aes'; deprecated for "
      "encrypt.format=aes" },
    { "encrypt.format", BLOCK_OPTION_STRING, "encrypt the image, format choices: 'aes', 'luks'" },
    { "encrypt.key-secret", BLOCK_OPTION_STRING, "ID of the secret with the passphrase", NULL,
      "encrypt.key-secret" },
    { "encrypt.cipher-alg", BLOCK_OPTION_STRING, "name of the cipher", NULL,
      "encrypt.cipher-alg" },
    { "encrypt.cipher-mode", BLOCK_OPTION_STRING, "name of the cipher's mode", NULL,
      "encrypt.cipher-mode" },
    { "encrypt.ivgen-alg", BLOCK_OPTION_STRING, "name of the IV generator", NULL,
      "encrypt.ivgen-alg" },
    { "encrypt.ivgen-hash-alg", BLOCK_OPTION_STRING, "name of the IV generator's hash", NULL,
      "encrypt.ivgen-hash-alg" },
    { "encrypt.hash-alg", BLOCK_OPTION_STRING, "name of the key derivation's hash", NULL,
      "encrypt.hash-alg" },
    { "encrypt.iter-time", BLOCK_OPTION_NUMBER, "time that key derivation takes, in milliseconds",
      NULL, "encrypt.iter-time", .amendable = true },
    { "cluster_size", BLOCK_OPTION_SIZE, "qcow2 cluster size", "65536" },
    { "preallocation", BLOCK_OPTION_STRING, "preallocation mode (allowed values: off, metadata, "
      "falloc, full)" },
    { "lazy_refcounts", BLOCK_OPTION_BOOL, "postpone refcount updates", "off",
      .amendable = true },
    { "refcount_bits", BLOCK_OPTION_NUMBER, "width of a reference count entry in bits", "16",
      .amendable = true },
    { "compression_type", BLOCK_OPTION_STRING, "compression method used for image cluster "
      "compression", "zlib" },
    { NULL },
};

const BlockOption qcow2_amend_options[] = {
    { "encrypt.state", BLOCK_OPTION_STRING, "new state of the key slots: active or inactive",
      .amendable = true },
    { "encrypt.new-secret", BLOCK_OPTION_STRING, "ID of the secret with a new passphrase",
      .amendable = true },
    { "encrypt.old-secret", BLOCK_OPTION_STRING, "only the key slots with this passphrase",
      .amendable = true },
    { "encrypt.keyslot", BLOCK_OPTION_NUMBER, "only this key slot", .amendable = true },
    { NULL },
};

/* ---- Options ---- */

static void translate_word(json_object *options, const char *name, const char *const (*words)[2])
{
    json_object *value;

    if (!json_object_object_get_ex(options, name, &value)) {
        return;
    }
    for (size_t i = 0; words[i][0]; i++) {
        if (!strcmp(json_object_get_string(value), words[i][0])) {
            json_object_object_add(options, name, json_object_new_string(words[i][1]));
            return;
        }
    }
}

/* The file is made, and then described as a node. */
static bool make_data_file(json_object *options, GError **error)
{
    json_object *name, *size, *file_options, *node;
    bool ok;

    if (!json_object_object_get_ex(options, "data-file", &name)) {
        return true;
    }
    file_options = json_object_new_object();
    json_object_object_get_ex(options, "size", &size);
    json_object_object_add(file_options, "size", json_object_get(size));
    ok = block_create_protocol(json_object_get_string(name), file_options, error);
    json_object_put(file_options);
    if (ok) {
        node = json_object_new_object();
        json_object_object_add(node, "driver", json_object_new_string("file"));
        json_object_object_add(node, "filename", json_object_get(name));
        json_object_object_add(options, "data-file", node);
    }
    return ok;
}

bool qcow2_translate_create_options(json_object *options, GError **error)
{
    static const char *const versions[][2] = {
        { "0.10", "v2" }, { "1.1", "v3" }, { NULL, NULL },
    };
    static const char *const formats[][2] = { { "aes", "qcow" }, { NULL, NULL } };
    json_object *encryption, *encrypt;
    bool on = false;

    translate_word(options, "version", versions);
    if (json_object_object_get_ex(options, "encryption", &encryption)) {
        if (!parse_bool(json_object_get_string(encryption), &on, error)) {
            return false;
        }
        json_object_object_del(options, "encryption");
    }
    if (!json_object_object_get_ex(options, "encrypt", &encrypt) && on) {
        encrypt = json_object_new_object();
        json_object_object_add(encrypt, "format", json_object_new_string("aes"));
        json_object_object_add(options, "encrypt", encrypt);
    }
    if (encrypt) {
        translate_word(encrypt, "format", formats);
    }
    return make_data_file(options, error);
}

static bool bad(GError **error, const char *text)
{
    error_setf(error, "%s", text);
    return false;
}

static bool check_v2(const BlockdevCreateOptionsQcow2 *o, GError **error)
{
    if (o->has_lazy_refcounts && o->lazy_refcounts) {
        return bad(error, "Lazy refcounts only supported with compatibility level 1.1 and above "
                   "(use version=v3 or greater)");
    }
    if (o->has_refcount_bits && o->refcount_bits != 16) {
        return bad(error, "Different refcount widths than 16 bits require compatibility level 1.1 "
                   "or above (use version=v3 or greater)");
    }
    if (o->data_file) {
        return bad(error, "External data files are only supported with compatibility level 1.1 "
                   "and above (use version=v3 or greater)");
    }
    if (o->has_extended_l2 && o->extended_l2) {
        return bad(error, "Extended L2 entries are only supported with compatibility level 1.1 "
                   "and above (use version=v3 or greater)");
    }
    if (o->has_compression_type && o->compression_type != QCOW2_COMPRESSION_TYPE_ZLIB) {
        return bad(error, "Non-zlib compression type is only supported with compatibility level "
                   "1.1 and above (use version=v3 or greater)");
    }
    return true;
}

static bool check_combination(const BlockdevCreateOptionsQcow2 *o, GError **error)
{
    bool prealloc = o->has_preallocation && o->preallocation != PREALLOC_MODE_OFF;
    bool raw = o->has_data_file_raw && o->data_file_raw;

    if (o->size % BLOCK_SECTOR) {
        return bad(error, "Image size must be a multiple of 512 bytes");
    }
    if (raw && !o->data_file) {
        return bad(error, "data-file-raw requires data-file");
    }
    if (raw && o->backing_file) {
        return bad(error, "Backing file and data-file-raw cannot be used at the same time");
    }
    if (o->has_backing_fmt && !o->backing_file) {
        return bad(error, "Backing format cannot be used without backing file");
    }
    if (o->backing_file && strlen(o->backing_file) > QCOW2_MAX_BACKING_NAME) {
        return bad(error, "The backing file name is longer than 1023 bytes");
    }
    if (prealloc && o->backing_file && !(o->has_extended_l2 && o->extended_l2)) {
        return bad(error, "Backing file and preallocation can only be used at the same time if "
                   "extended_l2 is enabled");
    }
    return true;
}

bool qcow2_take_options(Qcow2 *q, const BlockdevCreateOptionsQcow2 *o, GError **error)
{
    uint64_t cluster_size = o->has_cluster_size ? o->cluster_size : 1u << DEFAULT_CLUSTER_BITS;
    uint64_t bits = o->has_refcount_bits ? (uint64_t)o->refcount_bits : 16;

    if (cluster_size < 1u << QCOW2_MIN_CLUSTER_BITS ||
        cluster_size > 1u << QCOW2_MAX_CLUSTER_BITS || (cluster_size & (cluster_size - 1))) {
        return bad(error, "Cluster size must be a power of two between 512 and 2048k");
    }
    if (!bits || bits > 64 || (bits & (bits - 1))) {
        return bad(error, "Refcount width must be a power of two and may not exceed 64 bits");
    }
    q->version = o->has_version && o->version == BLOCKDEV_QCOW2_VERSION_V2 ? 2 : 3;
    q->cluster_bits = (unsigned)__builtin_ctzll(cluster_size);
    q->refcount_order = (unsigned)__builtin_ctzll(bits);
    if ((q->version == 2 && !check_v2(o, error)) || !check_combination(o, error)) {
        return false;
    }
    if (o->has_extended_l2 && o->extended_l2) {
        if (q->cluster_bits < 14) {
            return bad(error, "Extended L2 entries are only supported with cluster sizes of at "
                       "least 16384 bytes");
        }
        q->incompatible |= QCOW2_INCOMPAT_EXTL2;
    }
    q->incompatible |= o->data_file ? QCOW2_INCOMPAT_DATA_FILE : 0;
    q->autoclear |= o->has_data_file_raw && o->data_file_raw ? QCOW2_AUTOCLEAR_DATA_FILE_RAW : 0;
    q->compatible |= o->has_lazy_refcounts && o->lazy_refcounts ? QCOW2_COMPAT_LAZY_REFCOUNTS : 0;
    if (o->has_compression_type && o->compression_type == QCOW2_COMPRESSION_TYPE_ZSTD) {
        q->compression_type = 1;
        q->incompatible |= QCOW2_INCOMPAT_COMPRESSION;
    }
    qcow2_derive_geometry(q);
    return o->size <= INT64_MAX ? qcow2_check_size(q, (int64_t)o->size, error)
                                : bad(error, "Image size must be less than 8 EiB");
}

/* ---- The smallest image ---- */

/* Cluster 0 the header, 1 the refcount table, 2 its first block. */
static int write_skeleton(Qcow2 *q)
{
    g_autofree uint8_t *block = g_try_malloc0(q->cluster_size);
    uint8_t entry[8];
    int ret;

    if (!block) {
        return -ENOMEM;
    }
    for (unsigned i = 0; i < 3; i++) {
        qcow2_set_count(q, block, i, 1);
    }
    ret = block_pwrite(q->node->file, 2 * (int64_t)q->cluster_size, q->cluster_size, block, 0);
    if (ret >= 0) {
        memset(block, 0, q->cluster_size);
        stq_be(entry, 2 * (uint64_t)q->cluster_size);
        memcpy(block, entry, sizeof(entry));
        ret = block_pwrite(q->node->file, q->cluster_size, q->cluster_size, block, 0);
    }
    qcow2_table_init(&q->reftable, q->cluster_size, q->cluster_size / 8);
    return ret < 0 ? ret : qcow2_header_write(q);
}

static json_object *open_options(BlockChild *file, BlockChild *data_file,
                                 const BlockdevCreateOptionsQcow2 *o)
{
    json_object *options = json_object_new_object();

    json_object_object_add(options, "driver", json_object_new_string("qcow2"));
    json_object_object_add(options, "file", json_object_new_string(file->node->name));
    if (data_file) {
        json_object_object_add(options, "data-file",
                               json_object_new_string(data_file->node->name));
    }
    return options;
}

static bool finish(BlockNode *node, const BlockdevCreateOptionsQcow2 *o, GError **error)
{
    BlockTruncate truncate = {
        .size = (int64_t)o->size, .exact = true,
        .prealloc = o->has_preallocation ? o->preallocation : PREALLOC_MODE_OFF,
    };
    Qcow2 *q = node->opaque;
    int ret;

    if (o->encrypt && !qcow2_crypto_create(q, o->encrypt, error)) {
        return false;
    }
    if (qcow2_truncate(node, &truncate, error) < 0) {
        return false;
    }
    if (!o->backing_file) {
        return true;
    }
    node->header_backing_file = g_strdup(o->backing_file);
    node->header_backing_format = o->has_backing_fmt
        ? g_strdup(BlockdevDriver_str(o->backing_fmt)) : NULL;
    ret = qcow2_header_write(q);
    if (ret < 0) {
        error_set_errno(error, -ret, "Could not write the backing file's name (%s)",
                        o->backing_file);
    }
    return ret >= 0;
}

/* Clusters of a data file are allocated by writing to it, which only users of the image may. */
static bool finish_as_user(BlockNode *node, const BlockdevCreateOptionsQcow2 *o, GError **error)
{
    BlockdevRef ref = { .type = QAPI_JSON_STRING, .u.reference = node->name };
    BlockChild *user = block_create_open(&ref, error);
    bool ok = user && finish(node, o, error);

    return user && block_create_close(user, ok ? error : NULL) && ok;
}

static bool write_image(BlockChild *file, BlockChild *data_file,
                        const BlockdevCreateOptionsQcow2 *o, GError **error)
{
    /* Only what the header needs of a node. */
    BlockNode stand_in = { .file = file };
    Qcow2 q = { .node = &stand_in, .data_file_name = data_file ? data_file->node->filename : NULL };
    g_autoptr(BlockNode) node = NULL;
    json_object *options;
    int ret;

    if (!qcow2_take_options(&q, o, error)) {
        return false;
    }
    co_mutex_init(&q.header_lock);
    q.extensions = g_ptr_array_new();
    ret = write_skeleton(&q);
    q.data_file_name = NULL;
    qcow2_header_cleanup(&q);
    co_mutex_cleanup(&q.header_lock);
    if (ret < 0) {
        error_set_errno(error, -ret, "Could not write the qcow2 header");
        return false;
    }
    if (!block_child_set_perm(file, 0, BLOCK_PERM_ALL, error) ||
        (data_file && !block_child_set_perm(data_file, 0, BLOCK_PERM_ALL, error))) {
        return false;
    }
    options = open_options(file, data_file, o);
    node = block_open(NULL, NULL, options, QAPI_JSON, BLOCK_OPEN_NO_BACKING, error);
    json_object_put(options);
    return node && (data_file ? finish_as_user(node, o, error) : finish(node, o, error));
}

bool qcow2_create(const BlockdevCreateOptions *options, GError **error)
{
    const BlockdevCreateOptionsQcow2 *o = &options->u.qcow2;
    BlockTruncate empty = { 0 };
    BlockChild *file, *data_file = NULL;
    bool ok;

    file = block_create_open(o->file, error);
    if (!file) {
        return false;
    }
    if (o->data_file) {
        data_file = block_create_open(o->data_file, error);
    }
    ok = (!o->data_file || data_file) && block_truncate(file, &empty, error) >= 0 &&
         write_image(file, data_file, o, error);
    if (data_file) {
        ok = block_create_close(data_file, ok ? error : NULL) && ok;
    }
    return block_create_close(file, ok ? error : NULL) && ok;
}
