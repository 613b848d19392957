/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encryption of disk images: LUKS version 1 (on-disk format 1.2) and the password-as-key AES of old
 * qcow images. A format that keeps keys in a header reads and writes it through a CryptoBlockIo, so
 * that the header can be the beginning of a raw file or part of a qcow2 image.
 *
 * Control functions run on the main thread with the VM lock held, as secrets are objects. In a
 * coroutine the slow work, deriving keys, is done by the thread pool; elsewhere it blocks the
 * thread for as long as the header asks, which LUKS_MAX_ITERATIONS bounds.
 */
#ifndef VIREO_CRYPTO_BLOCK_H
#define VIREO_CRYPTO_BLOCK_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "qapi/qapi-types-crypto.h"

/* The unit that has an initialisation vector of its own, in bytes. */
#define CRYPTO_BLOCK_SECTOR 512

typedef struct CryptoBlock CryptoBlock;

/* The header's bytes; offsets count from its beginning. May yield if called in a coroutine. */
typedef struct CryptoBlockIo {
    bool (*read)(void *opaque, uint64_t offset, void *buf, size_t len, GError **error);
    bool (*write)(void *opaque, uint64_t offset, const void *buf, size_t len, GError **error);
    /* Creation only, once, before the first write: make room for len bytes of header. */
    bool (*init)(void *opaque, uint64_t len, GError **error);
    void *opaque;
} CryptoBlockIo;

typedef enum CryptoBlockFlags {
    /* Look at the header only: needs no secret; encrypting and decrypting are not possible then. */
    CRYPTO_BLOCK_NO_IO = 1u << 0,
} CryptoBlockFlags;

/* Does data begin like a header of this format? (Nothing begins like qcow's.) */
bool crypto_block_probe(QCryptoBlockFormat format, const void *data, size_t len);

/*
 * `prefix` stands before the names of options in errors: "encrypt." or "". io is used during the
 * call only; qcow needs none.
 */
CryptoBlock *crypto_block_open(const QCryptoBlockOpenOptions *options, const char *prefix,
                               const CryptoBlockIo *io, unsigned flags, GError **error);
CryptoBlock *crypto_block_create(const QCryptoBlockCreateOptions *options, const char *prefix,
                                 const CryptoBlockIo *io, GError **error);
/* How long the header would be, in bytes; checks the options. */
bool crypto_block_measure(const QCryptoBlockCreateOptions *options, uint64_t *header_len,
                          GError **error);
/*
 * Adds or erases keys. Without force nothing is done that loses the last key or overwrites one.
 * `prefix` and io as for opening.
 */
bool crypto_block_amend(CryptoBlock *block, const QCryptoBlockAmendOptions *options,
                        const char *prefix, const CryptoBlockIo *io, bool force, GError **error);
/* NULL is ignored. */
void crypto_block_free(CryptoBlock *block);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CryptoBlock, crypto_block_free)

/* The caller's. */
QCryptoBlockInfo *crypto_block_info(const CryptoBlock *block);
/* Where data begins after the header's beginning, in bytes. 0 for qcow. */
uint64_t crypto_block_payload_offset(const CryptoBlock *block);

/*
 * offset chooses the initialisation vectors: the data's place after payload_offset in a raw LUKS
 * file; in qcow2 images the host offset with LUKS, the guest offset with qcow's AES. offset and len
 * are multiples of CRYPTO_BLOCK_SECTOR. in and out are the same or do not overlap. Any number of
 * threads at once; not with CRYPTO_BLOCK_NO_IO.
 */
void crypto_block_encrypt(const CryptoBlock *block, uint64_t offset, const void *in, void *out,
                          size_t len);
void crypto_block_decrypt(const CryptoBlock *block, uint64_t offset, const void *in, void *out,
                          size_t len);

#endif
