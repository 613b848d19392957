/* SPDX-License-Identifier: Apache-2.0 */
#include "block/crypt.h"

#include "util/bits.h"
#include "util/thread-pool.h"

/* What is shorter takes less time than handing it over. */
#define INLINE_BYTES (32 * KiB)

typedef struct Piece {
    BlockCryptFn *fn;
    const CryptoBlock *crypto;
    uint64_t offset;
    const void *in;
    void *out;
    size_t len;
} Piece;

static int crypt_piece(void *opaque)
{
    const Piece *piece = opaque;

    piece->fn(piece->crypto, piece->offset, piece->in, piece->out, piece->len);
    return 0;
}

void block_crypt(BlockCryptFn *fn, const CryptoBlock *crypto, uint64_t offset, const void *in,
                 void *out, size_t len)
{
    Piece piece = { fn, crypto, offset, in, out, len };

    if (len > INLINE_BYTES) {
        thread_pool_run(crypt_piece, &piece);
    } else {
        crypt_piece(&piece);
    }
}
