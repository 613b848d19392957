/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer: a file that may be a LUKS volume, opened without a password. With one the fuzzer would
 * only wait for keys to be derived.
 */
#include "crypto/tests/luks-memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    QCryptoBlockOpenOptions options = { .format = QCRYPTO_BLOCK_FORMAT_LUKS };
    Volume volume = { .bytes = (uint8_t *)data, .len = size };
    CryptoBlockIo io = volume_io(&volume);
    g_autoptr(GError) error = NULL;
    g_autoptr(CryptoBlock) block = crypto_block_open(&options, "", &io, CRYPTO_BLOCK_NO_IO, &error);

    g_assert_true((block != NULL) == (error == NULL));
    if (block) {
        g_autoptr(QCryptoBlockInfo) info = crypto_block_info(block);

        g_assert_cmpint(info->u.luks.payload_offset, >, 0);
    }
    return 0;
}
