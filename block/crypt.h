/* SPDX-License-Identifier: Apache-2.0 */
/* Encrypting and decrypting requests' data, by crypto/block.h. */
#ifndef VIREO_BLOCK_CRYPT_H
#define VIREO_BLOCK_CRYPT_H

#include <stddef.h>
#include <stdint.h>

#include "crypto/block.h"

/* crypto_block_encrypt() or crypto_block_decrypt(). */
typedef void BlockCryptFn(const CryptoBlock *crypto, uint64_t offset, const void *in, void *out,
                          size_t len);

/*
 * Run fn, for long data on the thread pool, so that the loop goes on and both processors work. in
 * and out may be the same. In a coroutine.
 */
void block_crypt(BlockCryptFn *fn, const CryptoBlock *crypto, uint64_t offset, const void *in,
                 void *out, size_t len);

#endif
