/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scattered buffers: arrays of struct iovec. Offsets and lengths may exceed the vector: what does
 * not fit is left out, and the return value says how much was done. Any thread.
 */
#ifndef VIREO_UTIL_IOV_H
#define VIREO_UTIL_IOV_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* Bytes in all; saturates at SIZE_MAX. */
size_t iov_size(const struct iovec *iov, unsigned n);
/* Copy between a plain buffer and the vector from offset on; returns the bytes copied. */
size_t iov_to_buf(const struct iovec *iov, unsigned n, size_t offset, void *buf, size_t len);
size_t iov_from_buf(const struct iovec *iov, unsigned n, size_t offset, const void *buf,
                    size_t len);
size_t iov_memset(const struct iovec *iov, unsigned n, size_t offset, int byte, size_t len);
/*
 * Describe [offset, offset + len) of the vector in dst, which has room for dst_n elements (as many
 * as the source always suffice). Returns the elements used. The memory is shared, not copied.
 */
unsigned iov_slice(struct iovec *dst, unsigned dst_n, const struct iovec *iov, unsigned n,
                   size_t offset, size_t len);
/* Where [offset, offset + len) of the vector stands if it is in one piece; else NULL. len > 0. */
void *iov_contiguous(const struct iovec *iov, unsigned n, size_t offset, size_t len);
/* Drop the first bytes: moves *iov and *n on, and cuts the first element left. */
void iov_advance(struct iovec **iov, unsigned *n, size_t bytes);

#endif
