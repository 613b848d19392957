/* SPDX-License-Identifier: Apache-2.0 */
/* Scattered buffers. All copying goes through one walk over the pieces. */
#include "util/iov.h"

#include <glib.h>
#include <string.h>

size_t iov_size(const struct iovec *iov, unsigned n)
{
    size_t size = 0;

    for (unsigned i = 0; i < n; i++) {
        if (__builtin_add_overflow(size, iov[i].iov_len, &size)) {
            return SIZE_MAX;
        }
    }
    return size;
}

/* Where a walk over [offset, offset + len) stands. */
typedef struct IovWalk {
    const struct iovec *iov;
    unsigned left; /* elements */
    size_t offset; /* within the first of them, or beyond it */
    size_t len;    /* bytes to go */
    size_t done;
} IovWalk;

/* The next contiguous piece; 0 at the end. */
static size_t iov_next(IovWalk *walk, char **piece)
{
    size_t size;

    while (walk->left && walk->offset >= walk->iov->iov_len) {
        walk->offset -= walk->iov->iov_len;
        walk->iov++;
        walk->left--;
    }
    if (!walk->left || !walk->len) {
        return 0;
    }
    size = MIN(walk->iov->iov_len - walk->offset, walk->len);
    *piece = (char *)walk->iov->iov_base + walk->offset;
    walk->offset += size;
    walk->len -= size;
    walk->done += size;
    return size;
}

size_t iov_to_buf(const struct iovec *iov, unsigned n, size_t offset, void *buf, size_t len)
{
    IovWalk walk = { .iov = iov, .left = n, .offset = offset, .len = len };
    char *piece;
    size_t size;

    while ((size = iov_next(&walk, &piece))) {
        memcpy((char *)buf + walk.done - size, piece, size);
    }
    return walk.done;
}

size_t iov_from_buf(const struct iovec *iov, unsigned n, size_t offset, const void *buf, size_t len)
{
    IovWalk walk = { .iov = iov, .left = n, .offset = offset, .len = len };
    char *piece;
    size_t size;

    while ((size = iov_next(&walk, &piece))) {
        memcpy(piece, (const char *)buf + walk.done - size, size);
    }
    return walk.done;
}

size_t iov_memset(const struct iovec *iov, unsigned n, size_t offset, int byte, size_t len)
{
    IovWalk walk = { .iov = iov, .left = n, .offset = offset, .len = len };
    char *piece;
    size_t size;

    while ((size = iov_next(&walk, &piece))) {
        memset(piece, byte, size);
    }
    return walk.done;
}

unsigned iov_slice(struct iovec *dst, unsigned dst_n, const struct iovec *iov, unsigned n,
                   size_t offset, size_t len)
{
    IovWalk walk = { .iov = iov, .left = n, .offset = offset, .len = len };
    unsigned used = 0;
    char *piece;
    size_t size;

    while (used < dst_n && (size = iov_next(&walk, &piece))) {
        dst[used++] = (struct iovec) { .iov_base = piece, .iov_len = size };
    }
    return used;
}

void *iov_contiguous(const struct iovec *iov, unsigned n, size_t offset, size_t len)
{
    unsigned i = 0;

    for (; i < n && offset >= iov[i].iov_len; i++) {
        offset -= iov[i].iov_len;
    }
    return i < n && len <= iov[i].iov_len - offset ? (uint8_t *)iov[i].iov_base + offset : NULL;
}

void iov_advance(struct iovec **iov, unsigned *n, size_t bytes)
{
    while (*n && bytes >= (*iov)->iov_len) {
        bytes -= (*iov)->iov_len;
        ++*iov;
        --*n;
    }
    if (*n) {
        (*iov)->iov_base = (char *)(*iov)->iov_base + bytes;
        (*iov)->iov_len -= bytes;
    }
}
