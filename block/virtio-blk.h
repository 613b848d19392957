/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of a virtio block device (VIRTIO 1.2, section 5.2.6), whoever brings them.
 *
 * A request is a chain: 16 bytes that say what, data to write; then data to read into, and one byte
 * of status.
 */
#ifndef VIREO_BLOCK_VIRTIO_BLK_H
#define VIREO_BLOCK_VIRTIO_BLK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "block/backend.h"

/* A disk as its driver sees it. */
typedef struct VirtioBlk {
    BlockBackend *blk;
    int64_t size;          /* in bytes; atomic */
    uint32_t block_size;   /* logical; a power of two, 512 or more */
    bool writable;
    const char *serial;    /* up to 20 bytes */
    uint16_t n_queues;
    uint16_t queue_size;   /* bounds the segments of a request */
} VirtioBlk;

/* What we offer. */
uint64_t virtio_blk_features(const VirtioBlk *disk);
/* The configuration space; bytes beyond it stay as they are. */
void virtio_blk_config(const VirtioBlk *disk, uint8_t *config, size_t len);
/* The driver writes there: only the write cache can be changed. */
bool virtio_blk_set_config(const VirtioBlk *disk, uint32_t offset, const uint8_t *data,
                           uint32_t len);

/*
 * Carry out a request, in a coroutine on the backend's loop. Both vectors may be changed. Returns
 * how many bytes of `in` were written, status included; 0: it has no place for a status.
 */
uint32_t virtio_blk_request(const VirtioBlk *disk, struct iovec *out, unsigned n_out,
                            struct iovec *in, unsigned n_in);

#endif
