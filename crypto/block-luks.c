/* SPDX-License-Identifier: Apache-2.0 */
/* LUKS version 1 as a format of image encryption: opening, creating, telling. */
#include <inttypes.h>
#include <string.h>

#include "crypto/block-internal.h"
#include "crypto/block-luks.h"
#include "crypto/luks-keys.h"
#include "crypto/random.h"
#include "util/error.h"

static bool set_keys(CryptoBlock *block, const uint8_t *master_key, GError **error)
{
    const LuksHeader *header = &block->luks;

    block->cipher = crypto_cipher_new(header->cipher, header->mode, master_key, header->key_len,
                                      error);
    if (!block->cipher) {
        return false;
    }
    block->ivgen = crypto_ivgen_new(header->ivgen, header->cipher, header->ivgen_hash, master_key,
                                    header->key_len, error);
    return block->ivgen != NULL;
}

bool luks_find_key(const LuksHeader *header, const SecretData *password, const char *secret_id,
                   const CryptoBlockIo *io, uint8_t master_key[LUKS_MAX_KEY], GError **error)
{
    uint64_t iterations = luks_header_iterations(header);
    bool fits = false;

    if (iterations > LUKS_MAX_ITERATIONS) {
        error_setf(error, "LUKS header: the key slots have %" PRIu64 " iterations in all; %u are "
                   "possible", iterations, LUKS_MAX_ITERATIONS);
        return false;
    }
    for (int i = 0; i < LUKS_SLOTS && !fits; i++) {
        if (header->slots[i].active &&
            !luks_slot_try(header, i, password, io, master_key, &fits, error)) {
            return false;
        }
    }
    if (!fits) {
        error_setf(error, "the password in secret '%s' opens no key slot: Invalid password",
                   secret_id);
    }
    return fits;
}

static bool luks_open(CryptoBlock *block, const QCryptoBlockOpenOptions *options,
                      const char *prefix, const CryptoBlockIo *io, unsigned flags, GError **error)
{
    const char *secret_id = options->u.luks.key_secret;
    g_autoptr(SecretData) password = NULL;
    uint8_t raw[LUKS_HEADER_LEN];
    uint8_t master_key[LUKS_MAX_KEY];
    bool ok;

    if (!(flags & CRYPTO_BLOCK_NO_IO)) {
        password = crypto_block_secret(secret_id, prefix, "key-secret", error);
        if (!password) {
            return false;
        }
    }
    if (!io->read(io->opaque, 0, raw, sizeof(raw), error) ||
        !luks_header_parse(raw, &block->luks, error)) {
        return false;
    }
    block->payload_offset = (uint64_t)block->luks.payload_sector * LUKS_SECTOR;
    block->key_secret = g_strdup(secret_id);
    if (!password) {
        return true;
    }
    ok = luks_find_key(&block->luks, password, secret_id, io, master_key, error) &&
         set_keys(block, master_key, error);
    explicit_bzero(master_key, sizeof(master_key));
    return ok;
}

static bool choose(const QCryptoBlockCreateOptionsLUKS *options, LuksHeader *header,
                   GError **error)
{
    *header = (LuksHeader) {
        .cipher = options->has_cipher_alg ? options->cipher_alg : QCRYPTO_CIPHER_ALG_AES_256,
        .mode = options->has_cipher_mode ? options->cipher_mode : QCRYPTO_CIPHER_MODE_XTS,
        .ivgen = options->has_ivgen_alg ? options->ivgen_alg : QCRYPTO_IVGEN_ALG_PLAIN64,
        .ivgen_hash = options->has_ivgen_hash_alg ? options->ivgen_hash_alg
                                                  : QCRYPTO_HASH_ALG_SHA256,
        .hash = options->has_hash_alg ? options->hash_alg : QCRYPTO_HASH_ALG_SHA256,
    };
    return luks_header_layout(header, error);
}

static bool luks_measure(const QCryptoBlockCreateOptions *options, uint64_t *header_len,
                         GError **error)
{
    LuksHeader header;

    if (!choose(&options->u.luks, &header, error)) {
        return false;
    }
    *header_len = (uint64_t)header.payload_sector * LUKS_SECTOR;
    return true;
}

bool luks_iter_time(bool given, int64_t value, uint64_t *iter_time, GError **error)
{
    if (given && value <= 0) {
        error_setf(error, "iter-time must be a positive number of milliseconds, not %" PRId64,
                   value);
        return false;
    }
    *iter_time = given ? (uint64_t)value : LUKS_ITER_TIME_DEFAULT;
    return true;
}

/* Key material goes first: a header without it would look like a volume that lost its keys. */
static bool write_volume(CryptoBlock *block, const SecretData *password, uint64_t iter_time,
                         const uint8_t *master_key, const CryptoBlockIo *io, GError **error)
{
    LuksPace pace = luks_pace(&block->luks, iter_time);

    return luks_digest_make(&block->luks, &pace, master_key, error) &&
           io->init(io->opaque, block->payload_offset, error) &&
           luks_slot_fill(&block->luks, 0, password, &pace, master_key, io, error) &&
           luks_header_write(&block->luks, io, error) && set_keys(block, master_key, error);
}

static bool luks_create(CryptoBlock *block, const QCryptoBlockCreateOptions *options,
                        const char *prefix, const CryptoBlockIo *io, GError **error)
{
    const QCryptoBlockCreateOptionsLUKS *luks = &options->u.luks;
    g_autoptr(SecretData) password = NULL;
    g_autofree char *uuid = g_uuid_string_random();
    uint8_t master_key[LUKS_MAX_KEY];
    uint64_t iter_time;
    bool ok;

    if (!choose(luks, &block->luks, error) ||
        !luks_iter_time(luks->has_iter_time, luks->iter_time, &iter_time, error)) {
        return false;
    }
    password = crypto_block_secret(luks->key_secret, prefix, "key-secret", error);
    if (!password || !crypto_random_bytes(master_key, block->luks.key_len, error)) {
        return false;
    }
    g_strlcpy(block->luks.uuid, uuid, LUKS_UUID_LEN);
    block->payload_offset = (uint64_t)block->luks.payload_sector * LUKS_SECTOR;
    block->key_secret = g_strdup(luks->key_secret);
    ok = write_volume(block, password, iter_time, master_key, io, error);
    explicit_bzero(master_key, sizeof(master_key));
    return ok;
}

static QCryptoBlockInfoLUKSSlot *slot_info(const LuksSlot *slot)
{
    QCryptoBlockInfoLUKSSlot *info = g_new0(QCryptoBlockInfoLUKSSlot, 1);

    info->active = slot->active;
    info->has_iters = info->has_stripes = slot->active;
    info->iters = slot->active ? slot->iterations : 0;
    info->stripes = slot->active ? slot->stripes : 0;
    info->key_offset = (int64_t)slot->material_sector * LUKS_SECTOR;
    return info;
}

static void luks_info(const CryptoBlock *block, QCryptoBlockInfo *info)
{
    const LuksHeader *header = &block->luks;
    QCryptoBlockInfoLUKS *luks = &info->u.luks;

    luks->cipher_alg = header->cipher;
    luks->cipher_mode = header->mode;
    luks->ivgen_alg = header->ivgen;
    luks->has_ivgen_hash_alg = header->ivgen == QCRYPTO_IVGEN_ALG_ESSIV;
    luks->ivgen_hash_alg = luks->has_ivgen_hash_alg ? header->ivgen_hash : 0;
    luks->hash_alg = header->hash;
    luks->payload_offset = (int64_t)block->payload_offset;
    luks->master_key_iters = header->iterations;
    luks->uuid = g_strdup(header->uuid);
    luks->slots = QCryptoBlockInfoLUKSSlot_list_new();
    for (int i = 0; i < LUKS_SLOTS; i++) {
        g_ptr_array_add(luks->slots, slot_info(&header->slots[i]));
    }
}

const CryptoBlockFormat crypto_block_luks = {
    .probe = luks_header_probe,
    .open = luks_open,
    .create = luks_create,
    .measure = luks_measure,
    .amend = luks_amend,
    .info = luks_info,
};
