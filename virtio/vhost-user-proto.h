/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages of the vhost-user protocol (its specification is a chapter of QEMU's manual,
 * "Vhost-user Protocol"). Numbers are in the host's byte order.
 *
 * The frontend (the VMM) sends a header and `size` bytes of payload, with descriptors attached to
 * the header, and the backend replies to some in the same form. The backend has a channel of its
 * own for requests to the frontend.
 */
#ifndef VIREO_VIRTIO_VHOST_USER_PROTO_H
#define VIREO_VIRTIO_VHOST_USER_PROTO_H

#include <stdint.h>

#define VHOST_USER_VERSION 1u
enum {
    VHOST_USER_FLAG_VERSION = 3u,
    VHOST_USER_FLAG_REPLY = 1u << 2,
    VHOST_USER_FLAG_NEED_REPLY = 1u << 3,
};

/* Bits of the virtio features that are the protocol's own. */
#define VHOST_F_LOG_ALL 26
#define VHOST_USER_F_PROTOCOL_FEATURES 30

typedef enum VhostUserProtocolFeature {
    VHOST_USER_PROTOCOL_F_MQ = 0,
    VHOST_USER_PROTOCOL_F_LOG_SHMFD = 1,
    VHOST_USER_PROTOCOL_F_RARP = 2,
    VHOST_USER_PROTOCOL_F_REPLY_ACK = 3,
    VHOST_USER_PROTOCOL_F_BACKEND_REQ = 5,
    VHOST_USER_PROTOCOL_F_CONFIG = 9,
    VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD = 12,
    VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS = 15,
} VhostUserProtocolFeature;

typedef enum VhostUserRequest {
    VHOST_USER_GET_FEATURES = 1,
    VHOST_USER_SET_FEATURES = 2,
    VHOST_USER_SET_OWNER = 3,
    VHOST_USER_RESET_OWNER = 4,
    VHOST_USER_SET_MEM_TABLE = 5,
    VHOST_USER_SET_LOG_BASE = 6,
    VHOST_USER_SET_LOG_FD = 7,
    VHOST_USER_SET_VRING_NUM = 8,
    VHOST_USER_SET_VRING_ADDR = 9,
    VHOST_USER_SET_VRING_BASE = 10,
    VHOST_USER_GET_VRING_BASE = 11,
    VHOST_USER_SET_VRING_KICK = 12,
    VHOST_USER_SET_VRING_CALL = 13,
    VHOST_USER_SET_VRING_ERR = 14,
    VHOST_USER_GET_PROTOCOL_FEATURES = 15,
    VHOST_USER_SET_PROTOCOL_FEATURES = 16,
    VHOST_USER_GET_QUEUE_NUM = 17,
    VHOST_USER_SET_VRING_ENABLE = 18,
    VHOST_USER_SEND_RARP = 19,
    VHOST_USER_SET_BACKEND_REQ_FD = 21,
    VHOST_USER_GET_CONFIG = 24,
    VHOST_USER_SET_CONFIG = 25,
    VHOST_USER_GET_INFLIGHT_FD = 31,
    VHOST_USER_SET_INFLIGHT_FD = 32,
    VHOST_USER_GET_MAX_MEM_SLOTS = 36,
    VHOST_USER_ADD_MEM_REG = 37,
    VHOST_USER_REM_MEM_REG = 38,
    VHOST_USER__MAX,
} VhostUserRequest;

/* From the backend. */
enum { VHOST_USER_BACKEND_CONFIG_CHANGE = 2 };

typedef struct VhostUserHeader {
    uint32_t request, flags, size;
} VhostUserHeader;

/* Of SET_VRING_KICK and its like: a queue's number, and whether a descriptor is missing. */
enum { VHOST_USER_VRING_INDEX = 0xff, VHOST_USER_VRING_NO_FD = 1u << 8 };

typedef struct VhostUserVringState {
    uint32_t index, num;
} VhostUserVringState;

/* The rings' addresses are the frontend's own, the log's is the guest's. */
typedef struct VhostUserVringAddr {
    uint32_t index, flags;
    uint64_t desc, used, avail, log;
} VhostUserVringAddr;
enum { VHOST_USER_VRING_F_LOG = 1u << 0 };

typedef struct VhostUserRegion {
    uint64_t guest_addr, size, user_addr, mmap_offset;
} VhostUserRegion;

#define VHOST_USER_TABLE_REGIONS 8
typedef struct VhostUserMemTable {
    uint32_t n, padding;
    VhostUserRegion regions[VHOST_USER_TABLE_REGIONS];
} VhostUserMemTable;

typedef struct VhostUserOneRegion {
    uint64_t padding;
    VhostUserRegion region;
} VhostUserOneRegion;

typedef struct VhostUserLog {
    uint64_t size, offset;
} VhostUserLog;

#define VHOST_USER_CONFIG_MAX 256
typedef struct VhostUserConfig {
    uint32_t offset, size, flags;
    uint8_t data[VHOST_USER_CONFIG_MAX];
} VhostUserConfig;

typedef struct VhostUserInflight {
    uint64_t mmap_size, mmap_offset;
    uint16_t n_queues, queue_size;
} VhostUserInflight;

typedef union VhostUserPayload {
    uint64_t u64;
    VhostUserVringState state;
    VhostUserVringAddr addr;
    VhostUserMemTable table;
    VhostUserOneRegion region;
    VhostUserLog log;
    VhostUserConfig config;
    VhostUserInflight inflight;
} VhostUserPayload;

/*
 * The frontend keeps this memory for a backend that may die, one such part for each queue, each
 * beginning at a multiple of 64 bytes: which heads were taken and not answered, in which order. A
 * batch is what became visible by one change of used.idx; its entries are a list that begins at
 * last_batch_head.
 */
typedef struct VhostUserInflightDesc {
    uint8_t inflight, padding[5];
    uint16_t next;
    uint64_t counter;
} VhostUserInflightDesc;

typedef struct VhostUserInflightQueue {
    uint64_t features;
    uint16_t version, size, last_batch_head, used_idx;
    VhostUserInflightDesc desc[];
} VhostUserInflightQueue;
#define VHOST_USER_INFLIGHT_VERSION 1
#define VHOST_USER_INFLIGHT_ALIGN 64

#endif
