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
#include "block/io.h"

/* A disk as its driver sees it. */
typedef struct VirtioBlk {
    BlockBackend *blk;
    int64_t size;          /* in bytes; atomic */
    uint32_t block_size;   /* logical; a power of two, 512 or more */
    bool writable;
    const char *serial;    /* up to 20 bytes */
    uint16_t n_queues;
    uint16_t queue_size;   /* bounds the segments of a request */
    /* What follows is advice to the driver. */
    uint32_t size_max;     /* of a segment; 0: any */
    uint8_t physical_exp;  /* logical blocks in a physical one, as a power of two */
    uint16_t min_io;       /* in logical blocks */
    uint32_t opt_io;
    uint32_t max_discard, max_zeroes; /* sectors of a request; 0: there are none */
    uint32_t discard_alignment;       /* in sectors */
    bool config_wce;       /* the driver may switch the write cache */
    uint16_t cyls;         /* 0: no geometry */
    uint8_t heads, secs;
} VirtioBlk;

/* What we offer. */
uint64_t virtio_blk_features(const VirtioBlk *disk);
/* The configuration space; bytes beyond it stay as they are. */
void virtio_blk_config(const VirtioBlk *disk, uint8_t *config, size_t len);
/* The driver writes there: only the write cache can be changed. */
bool virtio_blk_set_config(const VirtioBlk *disk, uint32_t offset, const uint8_t *data,
                           uint32_t len);

typedef enum VirtioBlkAction {
    VIRTIO_BLK_NOTHING, /* *status is written already */
    VIRTIO_BLK_READ,
    VIRTIO_BLK_WRITE,
    VIRTIO_BLK_FLUSH,
    VIRTIO_BLK_DISCARD,
    VIRTIO_BLK_ZERO,
} VirtioBlkAction;

/* What a request wants, checked against the disk. */
typedef struct VirtioBlkCommand {
    VirtioBlkAction action;
    int64_t offset, bytes;
    BlockVec vec;          /* of read and write: parts of the request's own vectors */
    unsigned flags;        /* BLOCK_REQ_* */
    uint8_t *status;       /* where the driver looks for it */
    uint32_t written;      /* bytes of `in` that the driver may look at in the end */
} VirtioBlkCommand;

/* Both vectors may be changed. False: there is no place for a status. */
bool virtio_blk_decode(const VirtioBlk *disk, struct iovec *out, unsigned n_out, struct iovec *in,
                       unsigned n_in, VirtioBlkCommand *command);
/* The status of a command that ended so. */
uint8_t virtio_blk_status(const VirtioBlkCommand *command, int ret);

/*
 * Carry out a request, in a coroutine on the backend's loop. Both vectors may be changed. Returns
 * how many bytes of `in` were written, status included; 0: it has no place for a status.
 */
uint32_t virtio_blk_request(const VirtioBlk *disk, struct iovec *out, unsigned n_out,
                            struct iovec *in, unsigned n_in);

#endif
