/* SPDX-License-Identifier: Apache-2.0 */
/* Is memory all zeroes? Any thread. */
#ifndef VIREO_UTIL_ZERO_H
#define VIREO_UTIL_ZERO_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

/* len 0: yes. Data that is not zero is usually told by its first bytes, at little cost. */
bool buffer_is_zero(const void *buf, size_t len);
/* Of [offset, offset + len) of the vector; what is beyond its end does not count. */
bool iov_is_zero(const struct iovec *iov, unsigned n, size_t offset, size_t len);

#endif
