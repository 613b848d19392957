/* SPDX-License-Identifier: Apache-2.0 */
/* getrandom(2), whatever the length. */
#include "crypto/random.h"

#include <errno.h>
#include <stdint.h>
#include <sys/random.h>

#include "util/error.h"

bool crypto_random_bytes(void *buf, size_t len, GError **error)
{
    uint8_t *at = buf;

    while (len) {
        ssize_t got = getrandom(at, len, 0);

        if (got < 0 && errno != EINTR) {
            error_set_errno(error, errno, "cannot get random bytes");
            return false;
        }
        if (got > 0) {
            at += got;
            len -= (size_t)got;
        }
    }
    return true;
}
