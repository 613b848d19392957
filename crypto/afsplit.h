/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The anti-forensic splitter of LUKS (on-disk format 1.2, section 2.4): a key is spread over many
 * stripes, so that the loss of any of them loses it. Overwriting part of the material is then
 * enough to erase it for good.
 */
#ifndef VIREO_CRYPTO_AFSPLIT_H
#define VIREO_CRYPTO_AFSPLIT_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "qapi/qapi-types-crypto.h"

/* material has len * stripes bytes. Fails if there is no randomness. */
bool crypto_af_split(QCryptoHashAlgorithm hash, const uint8_t *key, size_t len, uint32_t stripes,
                     uint8_t *material, GError **error);
void crypto_af_merge(QCryptoHashAlgorithm hash, const uint8_t *material, size_t len,
                     uint32_t stripes, uint8_t *key);

#endif
