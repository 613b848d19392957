/* SPDX-License-Identifier: Apache-2.0 */
/* Encrypted qcow2 images. In a coroutine, while nothing else is in flight. */
#ifndef VIREO_BLOCK_QCOW2_CRYPTO_H
#define VIREO_BLOCK_QCOW2_CRYPTO_H

#include "block/qcow2/qcow2.h"

/* encrypt may be NULL. Without encryption there is nothing to do. */
bool qcow2_crypto_open(Qcow2 *q, const BlockdevQcow2Encryption *encrypt, unsigned open_flags,
                       GError **error);
/* Of a new image: writes the key header and what says where it is. */
bool qcow2_crypto_create(Qcow2 *q, const QCryptoBlockCreateOptions *options, GError **error);
bool qcow2_crypto_amend(Qcow2 *q, const QCryptoBlockAmendOptions *options, bool force,
                        GError **error);

#endif
