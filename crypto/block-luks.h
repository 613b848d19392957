/* SPDX-License-Identifier: Apache-2.0 */
/* What opening and amending LUKS share. */
#ifndef VIREO_CRYPTO_BLOCK_LUKS_H
#define VIREO_CRYPTO_BLOCK_LUKS_H

#include "crypto/block.h"
#include "crypto/luks-header.h"
#include "crypto/secret.h"

#define LUKS_ITER_TIME_DEFAULT 2000

/* Try the active slots in turn; that none opens is an error, which names the secret. */
bool luks_find_key(const LuksHeader *header, const SecretData *password, const char *secret_id,
                   const CryptoBlockIo *io, uint8_t master_key[LUKS_MAX_KEY], GError **error);
/* The value of iter-time, in milliseconds. */
bool luks_iter_time(bool given, int64_t value, uint64_t *iter_time, GError **error);

/* CryptoBlockFormat.amend */
bool luks_amend(CryptoBlock *block, const QCryptoBlockAmendOptions *options, const char *prefix,
                const CryptoBlockIo *io, bool force, GError **error);

#endif
