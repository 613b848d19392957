/* SPDX-License-Identifier: Apache-2.0 */
/* The ring buffer's host side, for QMP's ringbuf-read and ringbuf-write. */
#ifndef VIREO_CHARDEV_RINGBUF_H
#define VIREO_CHARDEV_RINGBUF_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define TYPE_CHARDEV_RINGBUF "chardev-ringbuf"

/* Fail if id is no ring buffer. */
bool chardev_ringbuf_write(const char *id, const uint8_t *buf, size_t len, GError **error);
/* Takes out at most max bytes. The array is the caller's. */
GByteArray *chardev_ringbuf_read(const char *id, int64_t max, GError **error);

#endif
