/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A chain of buffers as a virtqueue's device sees it, and how it reaches the driver's memory: what
 * split and packed rings have in common (VIRTIO 1.2, sections 2.7.4 and 2.8.5).
 *
 * The driver writes this memory at any time: every value is read once and checked before use.
 */
#ifndef VIREO_VIRTIO_CHAIN_H
#define VIREO_VIRTIO_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* Descriptors of a ring or of an indirect table. */
#define VIRTIO_RING_MAX_SIZE 32768
/* Pieces of memory of one chain; what has more breaks the ring. */
#define VIRTIO_CHAIN_MAX_IOV 1024
/* Bytes of a descriptor, of either kind. */
#define VIRTIO_DESC_SIZE 16

/* How the device reaches the driver's memory. */
typedef struct VirtioMemory {
    /*
     * The memory at guest address addr: at most *len bytes, and *len becomes what lies there in one
     * piece. NULL: none, or not writable.
     */
    void *(*map)(void *opaque, uint64_t addr, size_t *len, bool write);
    /* One for each map; `written` bytes at its beginning were changed. NULL: nothing to be done. */
    void (*unmap)(void *opaque, void *host, size_t len, bool write, size_t written);
    /* Part of a ring, which stays mapped, was written. NULL: nothing to be done. */
    void (*ring_written)(void *opaque, const void *host, size_t len);
    /* The guest address of what was mapped, for saved state. NULL: state is never saved. */
    bool (*address)(void *opaque, const void *host, uint64_t *addr);
    void *opaque;
} VirtioMemory;

/* A chain: first what the device reads, then what it writes. */
typedef struct VirtioChain {
    uint16_t head;      /* split: of its first descriptor; packed: the buffer's id */
    uint16_t n_desc;    /* packed: places that it takes in the ring */
    unsigned n_out, n_in;
    struct iovec iov[VIRTIO_CHAIN_MAX_IOV];
} VirtioChain;

/* A descriptor's memory. */
typedef struct VirtioBuffer {
    uint64_t addr;
    uint32_t len;
    bool write;
} VirtioBuffer;

/* Add it to the end. 0; -EPROTO, -EFAULT or -E2BIG: the driver broke the ring. */
int virtio_chain_add(VirtioChain *chain, const VirtioMemory *memory, const VirtioBuffer *buffer);
/* Nothing was written. */
void virtio_chain_unmap(VirtioChain *chain, const VirtioMemory *memory);

/* A table of descriptors, mapped as far as it lies in one piece. */
typedef struct VirtioTable {
    const VirtioMemory *memory;
    uint64_t addr;
    uint32_t count;
    uint32_t first;     /* what is mapped: descriptors from first on */
    uint8_t *host;      /* NULL: nothing */
    size_t len;
} VirtioTable;

/* len: of the table in bytes, as the driver says. 0, or -EPROTO. Nothing is mapped yet. */
int virtio_table_init(VirtioTable *table, const VirtioMemory *memory, uint64_t addr, uint32_t len);
/* Descriptor `index` (less than count), until the next call; NULL: not in memory. */
const void *virtio_table_entry(VirtioTable *table, uint32_t index);
void virtio_table_cleanup(VirtioTable *table);

#endif
