/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk encrypted with LUKS version 1, in a file of its own: the header, the key slots, and from
 * the payload offset on the encrypted sectors. crypto/block.h knows all of that; here data is
 * carried through it.
 *
 * Data is encrypted into memory of our own, since a guest may look at what it is writing. At most
 * PIECE bytes of it are held for a request; large pieces are the thread pool's work, so that the
 * loop goes on and several requests use several processors.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "block/create.h"
#include "block/crypt.h"
#include "block/driver.h"
#include "block/io.h"
#include "block/node.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/iov.h"

#define PIECE ((int64_t)MiB)

typedef struct LuksImage {
    CryptoBlock *crypto;
    int64_t payload;
} LuksImage;

static int luks_probe(const uint8_t *buf, size_t len, const char *filename)
{
    return crypto_block_probe(QCRYPTO_BLOCK_FORMAT_LUKS, buf, len) ? 100 : 0;
}

/* ---- The header ---- */

typedef struct HeaderIo {
    BlockChild *file;
    /* Creation only: what follows the header. */
    int64_t size;
    PreallocMode prealloc;
} HeaderIo;

static bool header_read(void *opaque, uint64_t offset, void *buf, size_t len, GError **error)
{
    HeaderIo *header = opaque;
    int64_t size = block_getlength(header->file->node);
    int ret;

    if (size >= 0 && !range_ok(offset, len, (uint64_t)size)) {
        error_setf(error, "LUKS header: %zu bytes at %" PRIu64 " are beyond the end of the file",
                   len, offset);
        return false;
    }
    ret = block_pread(header->file, (int64_t)offset, (int64_t)len, buf);
    if (ret < 0) {
        error_set_errno(error, -ret, "Could not read the LUKS header at %" PRIu64, offset);
    }
    return ret >= 0;
}

static bool header_write(void *opaque, uint64_t offset, const void *buf, size_t len, GError **error)
{
    HeaderIo *header = opaque;
    /* Keys change in an order, which the disk has to keep. */
    int ret = block_pwrite_sync(header->file, (int64_t)offset, (int64_t)len, buf);

    if (ret < 0) {
        error_set_errno(error, -ret, "Could not write the LUKS header at %" PRIu64, offset);
    }
    return ret >= 0;
}

static bool header_init(void *opaque, uint64_t len, GError **error)
{
    HeaderIo *header = opaque;
    BlockTruncate whole = { .prealloc = header->prealloc };

    if (header->size > BLOCK_MAX_LENGTH - (int64_t)len) {
        error_setf(error, "The requested file size is too large");
        return false;
    }
    whole.size = (int64_t)len + header->size;
    return block_truncate(header->file, &whole, error) >= 0;
}

static CryptoBlockIo header_io(HeaderIo *header)
{
    return (CryptoBlockIo){ header_read, header_write, header_init, header };
}

/* ---- Opening ---- */

static int64_t luks_getlength(BlockNode *node)
{
    LuksImage *image = node->opaque;
    int64_t bytes = block_getlength(node->file->node);

    return bytes < 0 ? bytes : MAX(bytes - image->payload, 0);
}

static bool take_size(BlockNode *node, GError **error)
{
    LuksImage *image = node->opaque;
    uint64_t payload = crypto_block_payload_offset(image->crypto);
    int64_t bytes = block_getlength(node->file->node);

    if (bytes < 0) {
        error_set_errno(error, (int)-bytes, "Could not get the file's size");
        return false;
    }
    if (payload > (uint64_t)bytes) {
        error_setf(error, "LUKS header: the data at %" PRIu64 " is beyond the end of the file, "
                   "which has %" PRId64 " bytes", payload, bytes);
        return false;
    }
    image->payload = (int64_t)payload;
    node->size = bytes - image->payload;
    return true;
}

static bool luks_open(BlockNode *node, const BlockdevOptions *options, unsigned flags,
                      GError **error)
{
    QCryptoBlockOpenOptions open = {
        .format = QCRYPTO_BLOCK_FORMAT_LUKS, .u.luks.key_secret = options->u.luks.key_secret,
    };
    HeaderIo header = { .file = node->file };
    CryptoBlockIo io = header_io(&header);
    LuksImage *image = node->opaque;

    image->crypto = crypto_block_open(&open, "", &io,
                                      flags & BLOCK_OPEN_NO_IO ? CRYPTO_BLOCK_NO_IO : 0, error);
    if (!image->crypto) {
        return false;
    }
    if (!take_size(node, error)) {
        crypto_block_free(image->crypto);
        return false;
    }
    node->write_flags = node->file->node->write_flags & BLOCK_REQ_FUA;
    return true;
}

static void luks_close(BlockNode *node)
{
    LuksImage *image = node->opaque;

    crypto_block_free(image->crypto);
}

static void luks_refresh_limits(BlockNode *node)
{
    node->limits.request_alignment = CRYPTO_BLOCK_SECTOR;
}

/* ---- Requests ---- */

/* Where these bytes of the vector lie together, or NULL. */
static void *contiguous(const BlockVec *vec, size_t vec_offset, size_t bytes)
{
    struct iovec whole;

    if (iov_slice(&whole, 1, vec->iov, vec->n, vec_offset, bytes) != 1 || whole.iov_len != bytes) {
        return NULL;
    }
    return whole.iov_base;
}

static int read_piece(BlockNode *node, uint8_t *bounce, int64_t offset, size_t bytes,
                      const BlockVec *vec, size_t vec_offset)
{
    LuksImage *image = node->opaque;
    void *direct = contiguous(vec, vec_offset, bytes);
    int ret = block_pread(node->file, image->payload + offset, (int64_t)bytes, bounce);

    if (ret < 0) {
        return ret;
    }
    block_crypt(crypto_block_decrypt, image->crypto, (uint64_t)offset, bounce,
                direct ? direct : bounce, bytes);
    if (!direct) {
        iov_from_buf(vec->iov, vec->n, vec_offset, bounce, bytes);
    }
    return 0;
}

static int write_piece(BlockNode *node, uint8_t *bounce, int64_t offset, size_t bytes,
                       const BlockVec *vec, size_t vec_offset, unsigned flags)
{
    LuksImage *image = node->opaque;
    void *direct = contiguous(vec, vec_offset, bytes);

    if (!direct) {
        iov_to_buf(vec->iov, vec->n, vec_offset, bounce, bytes);
    }
    block_crypt(crypto_block_encrypt, image->crypto, (uint64_t)offset, direct ? direct : bounce,
                bounce, bytes);
    return block_pwrite(node->file, image->payload + offset, (int64_t)bytes, bounce, flags);
}

static int luks_request(BlockNode *node, bool is_write, int64_t offset, int64_t bytes,
                        const BlockVec *vec, size_t vec_offset, unsigned flags)
{
    uint8_t *bounce = block_alloc(node->file->node, (size_t)MIN(bytes, PIECE));
    int ret = bounce ? 0 : -ENOMEM;

    for (int64_t done = 0, n; done < bytes && ret >= 0; done += n) {
        size_t at = vec_offset + (size_t)done;

        n = MIN(bytes - done, PIECE);
        ret = is_write ? write_piece(node, bounce, offset + done, (size_t)n, vec, at, flags)
                       : read_piece(node, bounce, offset + done, (size_t)n, vec, at);
    }
    free(bounce);
    return ret;
}

static int luks_preadv(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                       size_t vec_offset, unsigned flags)
{
    return luks_request(node, false, offset, bytes, vec, vec_offset, 0);
}

static int luks_pwritev(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                        size_t vec_offset, unsigned flags)
{
    return luks_request(node, true, offset, bytes, vec, vec_offset, flags & BLOCK_REQ_FUA);
}

static int luks_truncate(BlockNode *node, const BlockTruncate *truncate, GError **error)
{
    LuksImage *image = node->opaque;
    BlockTruncate below = *truncate;

    if (truncate->size > BLOCK_MAX_LENGTH - image->payload) {
        error_setf(error, "The requested file size is too large");
        return -EFBIG;
    }
    below.size += image->payload;
    return block_truncate(node->file, &below, error);
}

/* ---- Facts ---- */

/* There are no clusters, and what the file has as zeroes reads as garbage here. */
static int luks_get_info(BlockNode *node, BlockNodeInfo *info)
{
    info->is_encrypted = true;
    return 0;
}

static ImageInfoSpecific *luks_get_specific_info(BlockNode *node, GError **error)
{
    LuksImage *image = node->opaque;
    g_autoptr(QCryptoBlockInfo) info = crypto_block_info(image->crypto);
    ImageInfoSpecific *specific = g_new0(ImageInfoSpecific, 1);

    specific->type = IMAGE_INFO_SPECIFIC_KIND_LUKS;
    specific->u.luks.data = QCryptoBlockInfoLUKS_clone(&info->u.luks);
    return specific;
}

/* ---- Images ---- */

static const BlockOption luks_create_options[] = {
    { "size", BLOCK_OPTION_SIZE, "virtual disk size" },
    { "key-secret", BLOCK_OPTION_STRING, "ID of the secret that provides the keyslot passphrase" },
    { "cipher-alg", BLOCK_OPTION_STRING, "name of encryption cipher algorithm" },
    { "cipher-mode", BLOCK_OPTION_STRING, "name of encryption cipher mode" },
    { "ivgen-alg", BLOCK_OPTION_STRING, "name of IV generator algorithm" },
    { "ivgen-hash-alg", BLOCK_OPTION_STRING, "name of IV generator hash algorithm" },
    { "hash-alg", BLOCK_OPTION_STRING, "name of encryption hash algorithm" },
    { "iter-time", BLOCK_OPTION_NUMBER, "time to spend in PBKDF in milliseconds",
      .amendable = true },
    { "preallocation", BLOCK_OPTION_STRING,
      "preallocation mode (allowed values: off, falloc, full)" },
    { NULL },
};

static const BlockOption luks_amend_options[] = {
    { "state", BLOCK_OPTION_STRING, "new state of the key slots: active or inactive",
      .amendable = true },
    { "new-secret", BLOCK_OPTION_STRING, "ID of the secret with a new passphrase",
      .amendable = true },
    { "old-secret", BLOCK_OPTION_STRING, "only the key slots with this secret's passphrase",
      .amendable = true },
    { "keyslot", BLOCK_OPTION_NUMBER, "only this key slot", .amendable = true },
    { NULL },
};

/* Borrows from o. */
static QCryptoBlockCreateOptions crypto_options(const BlockdevCreateOptionsLUKS *o)
{
    return (QCryptoBlockCreateOptions){
        .format = QCRYPTO_BLOCK_FORMAT_LUKS,
        .u.luks = {
            .key_secret = o->key_secret,
            .has_cipher_alg = o->has_cipher_alg, .cipher_alg = o->cipher_alg,
            .has_cipher_mode = o->has_cipher_mode, .cipher_mode = o->cipher_mode,
            .has_ivgen_alg = o->has_ivgen_alg, .ivgen_alg = o->ivgen_alg,
            .has_ivgen_hash_alg = o->has_ivgen_hash_alg, .ivgen_hash_alg = o->ivgen_hash_alg,
            .has_hash_alg = o->has_hash_alg, .hash_alg = o->hash_alg,
            .has_iter_time = o->has_iter_time, .iter_time = o->iter_time,
        },
    };
}

static bool luks_create(const BlockdevCreateOptions *options, GError **error)
{
    const BlockdevCreateOptionsLUKS *o = &options->u.luks;
    QCryptoBlockCreateOptions wanted = crypto_options(o);
    BlockTruncate empty = { 0 };
    HeaderIo header = { .prealloc = o->has_preallocation ? o->preallocation : PREALLOC_MODE_OFF };
    CryptoBlockIo io = header_io(&header);
    CryptoBlock *crypto = NULL;

    if (o->size > (uint64_t)BLOCK_MAX_LENGTH) {
        error_setf(error, "The requested file size is too large");
        return false;
    }
    if (header.prealloc == PREALLOC_MODE_METADATA) {
        header.prealloc = PREALLOC_MODE_OFF; /* there is no more metadata than the header */
    }
    header.size = (int64_t)ROUND_UP(o->size, BLOCK_SECTOR);
    header.file = block_create_open(o->file, error);
    if (!header.file) {
        return false;
    }
    if (block_truncate(header.file, &empty, error) >= 0) {
        crypto = crypto_block_create(&wanted, "", &io, error);
    }
    crypto_block_free(crypto);
    return block_create_close(header.file, crypto ? error : NULL) && crypto;
}

static bool luks_amend(BlockNode *node, const BlockdevAmendOptions *options, bool force,
                       BlockProgressFn *progress, void *opaque, GError **error)
{
    const BlockdevAmendOptionsLUKS *o = &options->u.luks;
    QCryptoBlockAmendOptions wanted = {
        .format = QCRYPTO_BLOCK_FORMAT_LUKS,
        .u.luks = {
            .state = o->state, .new_secret = o->new_secret, .old_secret = o->old_secret,
            .has_keyslot = o->has_keyslot, .keyslot = o->keyslot,
            .has_iter_time = o->has_iter_time, .iter_time = o->iter_time, .secret = o->secret,
        },
    };
    HeaderIo header = { .file = node->file };
    CryptoBlockIo io = header_io(&header);
    LuksImage *image = node->opaque;

    return crypto_block_amend(image->crypto, &wanted, "", &io, force, error);
}

static bool measure_header(const json_object *options, uint64_t *header, GError **error)
{
    json_object *mapped = block_options_to_qapi(luks_create_options, (json_object *)options);
    g_autoptr(QCryptoBlockCreateOptionsLUKS) luks = NULL;
    QCryptoBlockCreateOptions wanted = { .format = QCRYPTO_BLOCK_FORMAT_LUKS };

    json_object_object_del(mapped, "size");
    json_object_object_del(mapped, "preallocation");
    QCryptoBlockCreateOptionsLUKS_from_json(mapped, QAPI_KEYVAL, &luks, error);
    json_object_put(mapped);
    if (!luks) {
        return false;
    }
    wanted.u.luks = *luks;
    return crypto_block_measure(&wanted, header, error);
}

static BlockMeasureInfo *luks_measure(const json_object *options, BlockNode *in, int64_t size,
                                      GError **error)
{
    BlockMeasureInfo *info;
    int64_t bytes = in ? block_getlength(in) : size;
    uint64_t header;

    if (bytes < 0) {
        error_set_errno(error, (int)-bytes, "Unable to get the image's size");
        return NULL;
    }
    if (!measure_header(options, &header, error)) {
        return NULL;
    }
    bytes = ROUND_UP(bytes, BLOCK_SECTOR);
    if (bytes > BLOCK_MAX_LENGTH - (int64_t)header) {
        error_setf(error, "The requested file size is too large");
        return NULL;
    }
    info = g_new0(BlockMeasureInfo, 1);
    info->required = info->fully_allocated = bytes + (int64_t)header;
    return info;
}

static const BlockChildSpec luks_children[] = {
    { "file", BLOCK_ROLE_IMAGE, .required = true },
    { NULL },
};

static const char *const luks_strong_options[] = { "key-secret", NULL };

static const BlockDriver luks_driver = {
    .name = "luks",
    .kind = BLOCKDEV_DRIVER_LUKS,
    .instance_size = sizeof(LuksImage),
    .is_format = true,
    .children = luks_children,
    .strong_options = luks_strong_options,
    .probe = luks_probe,
    .open = luks_open,
    .close = luks_close,
    .refresh_limits = luks_refresh_limits,
    .preadv = luks_preadv,
    .pwritev = luks_pwritev,
    .truncate = luks_truncate,
    .getlength = luks_getlength,
    .get_info = luks_get_info,
    .get_specific_info = luks_get_specific_info,
    .create_options = luks_create_options,
    .create = luks_create,
    .amend = luks_amend,
    .amend_options = luks_amend_options,
    .measure = luks_measure,
};
BLOCK_DRIVER(luks_driver);
