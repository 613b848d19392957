/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The numbers and messages of the NBD protocol (doc/proto.md of the reference implementation).
 * All integers are big-endian on the wire. Lengths are in bytes. Any thread.
 *
 * Handshake ("fixed newstyle"): the server sends two magics and 16 bits of flags, the client 32
 * bits of flags; then the client sends options and the server replies to each, until NBD_OPT_GO or
 * NBD_OPT_EXPORT_NAME starts the transmission. There the client sends requests, each with a handle
 * ("cookie") of its choice, and the server replies in any order, simply or in chunks.
 */
#ifndef VIREO_NBD_PROTO_H
#define VIREO_NBD_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NBD_DEFAULT_PORT 10809

#define NBD_MAGIC 0x4e42444d41474943ull          /* "NBDMAGIC", begins both handshakes */
#define NBD_OPTION_MAGIC 0x49484156454f5054ull   /* "IHAVEOPT" */
#define NBD_OLDSTYLE_MAGIC 0x00420281861253ull
#define NBD_OPTION_REPLY_MAGIC 0x3e889045565a9ull
#define NBD_REQUEST_MAGIC 0x25609513u
#define NBD_SIMPLE_REPLY_MAGIC 0x67446698u
#define NBD_CHUNK_MAGIC 0x668e33efu

/* What we take from a peer. Names and texts: the protocol's limit. */
#define NBD_MAX_STRING 4096
#define NBD_MAX_OPTION_DATA (64u << 10)
/* One read or write; what clients expect if no one says otherwise. */
#define NBD_MAX_REQUEST (32u << 20)
/* Padding behind the reply to NBD_OPT_EXPORT_NAME. */
#define NBD_EXPORT_NAME_PADDING 124

/* Of the server's greeting. */
enum { NBD_GREETING_FIXED_NEWSTYLE = 1u << 0, NBD_GREETING_NO_ZEROES = 1u << 1 };

typedef enum NbdOpt {
    NBD_OPT_EXPORT_NAME = 1,
    NBD_OPT_ABORT = 2,
    NBD_OPT_LIST = 3,
    NBD_OPT_STARTTLS = 5,
    NBD_OPT_INFO = 6,
    NBD_OPT_GO = 7,
    NBD_OPT_STRUCTURED_REPLY = 8,
    NBD_OPT_LIST_META_CONTEXT = 9,
    NBD_OPT_SET_META_CONTEXT = 10,
} NbdOpt;

#define NBD_REP_IS_ERROR 0x80000000u
typedef enum NbdRep {
    NBD_REP_ACK = 1,
    NBD_REP_SERVER = 2,
    NBD_REP_INFO = 3,
    NBD_REP_META_CONTEXT = 4,
} NbdRep;
#define NBD_REP_ERR_UNSUP (NBD_REP_IS_ERROR | 1)
#define NBD_REP_ERR_POLICY (NBD_REP_IS_ERROR | 2)
#define NBD_REP_ERR_INVALID (NBD_REP_IS_ERROR | 3)
#define NBD_REP_ERR_PLATFORM (NBD_REP_IS_ERROR | 4)
#define NBD_REP_ERR_TLS_REQD (NBD_REP_IS_ERROR | 5)
#define NBD_REP_ERR_UNKNOWN (NBD_REP_IS_ERROR | 6)
#define NBD_REP_ERR_SHUTDOWN (NBD_REP_IS_ERROR | 7)
#define NBD_REP_ERR_BLOCK_SIZE_REQD (NBD_REP_IS_ERROR | 8)
#define NBD_REP_ERR_TOO_BIG (NBD_REP_IS_ERROR | 9)

typedef enum NbdInfo {
    NBD_INFO_EXPORT = 0,
    NBD_INFO_NAME = 1,
    NBD_INFO_DESCRIPTION = 2,
    NBD_INFO_BLOCK_SIZE = 3,
} NbdInfo;

/* "Transmission flags": what an export can do. */
enum {
    NBD_FLAG_HAS_FLAGS = 1u << 0,
    NBD_FLAG_READ_ONLY = 1u << 1,
    NBD_FLAG_SEND_FLUSH = 1u << 2,
    NBD_FLAG_SEND_FUA = 1u << 3,
    NBD_FLAG_ROTATIONAL = 1u << 4,
    NBD_FLAG_SEND_TRIM = 1u << 5,
    NBD_FLAG_SEND_WRITE_ZEROES = 1u << 6,
    NBD_FLAG_SEND_DF = 1u << 7,
    NBD_FLAG_CAN_MULTI_CONN = 1u << 8,
    NBD_FLAG_SEND_RESIZE = 1u << 9,
    NBD_FLAG_SEND_CACHE = 1u << 10,
    NBD_FLAG_SEND_FAST_ZERO = 1u << 11,
};

typedef enum NbdCmd {
    NBD_CMD_READ = 0,
    NBD_CMD_WRITE = 1,
    NBD_CMD_DISC = 2,
    NBD_CMD_FLUSH = 3,
    NBD_CMD_TRIM = 4,
    NBD_CMD_CACHE = 5,
    NBD_CMD_WRITE_ZEROES = 6,
    NBD_CMD_BLOCK_STATUS = 7,
    NBD_CMD__MAX,
} NbdCmd;

enum {
    NBD_CMD_FLAG_FUA = 1u << 0,
    NBD_CMD_FLAG_NO_HOLE = 1u << 1,
    NBD_CMD_FLAG_DF = 1u << 2,
    NBD_CMD_FLAG_REQ_ONE = 1u << 3,
    NBD_CMD_FLAG_FAST_ZERO = 1u << 4,
};

#define NBD_CHUNK_IS_ERROR 0x8000u
#define NBD_CHUNK_FLAG_DONE 1u
enum {
    NBD_CHUNK_NONE = 0,
    NBD_CHUNK_OFFSET_DATA = 1,
    NBD_CHUNK_OFFSET_HOLE = 2,
    NBD_CHUNK_BLOCK_STATUS = 5,
    NBD_CHUNK_ERROR = NBD_CHUNK_IS_ERROR | 1,
    NBD_CHUNK_ERROR_OFFSET = NBD_CHUNK_IS_ERROR | 2,
};

/* Context base:allocation. */
enum { NBD_STATE_HOLE = 1u << 0, NBD_STATE_ZERO = 1u << 1 };
/* Context qemu:dirty-bitmap:NAME. */
#define NBD_STATE_DIRTY 1u
#define NBD_CONTEXT_ALLOCATION "base:allocation"
#define NBD_CONTEXT_BITMAP "qemu:dirty-bitmap:" /* and the bitmap's name */
#define NBD_CONTEXT_DEPTH "qemu:allocation-depth"

/* Bytes on the wire. */
enum {
    NBD_OPTION_LEN = 16,
    NBD_OPTION_REPLY_LEN = 20,
    NBD_REQUEST_LEN = 28,
    NBD_SIMPLE_REPLY_LEN = 16,
    NBD_CHUNK_LEN = 20,
    NBD_EXTENT_LEN = 8,
};

typedef struct NbdOption {
    uint32_t option, len;
} NbdOption;

typedef struct NbdOptionReply {
    uint32_t option, type, len;
} NbdOptionReply;

typedef struct NbdRequest {
    uint16_t flags, type;
    uint64_t handle, offset;
    uint32_t len;
} NbdRequest;

typedef struct NbdReply {
    bool structured;
    uint64_t handle;
    uint32_t error;          /* simple */
    uint16_t flags, type;    /* a chunk's */
    uint32_t len;            /* a chunk's payload */
} NbdReply;

/* What a server says of an export. */
typedef struct NbdExportInfo {
    uint64_t size;
    uint16_t flags;          /* NBD_FLAG_* */
    uint32_t min_block, opt_block, max_block; /* 0: not said */
    char *name, *description; /* owned; may be NULL */
} NbdExportInfo;
void nbd_export_info_clear(NbdExportInfo *info);

void nbd_encode_option(uint8_t out[NBD_OPTION_LEN], const NbdOption *option);
void nbd_encode_option_reply(uint8_t out[NBD_OPTION_REPLY_LEN], const NbdOptionReply *reply);
void nbd_encode_request(uint8_t out[NBD_REQUEST_LEN], const NbdRequest *request);
void nbd_encode_simple_reply(uint8_t out[NBD_SIMPLE_REPLY_LEN], uint64_t handle, uint32_t error);
void nbd_encode_chunk(uint8_t out[NBD_CHUNK_LEN], const NbdReply *chunk);
/* False: wrong magic. */
bool nbd_decode_option(const uint8_t in[NBD_OPTION_LEN], NbdOption *option);
bool nbd_decode_option_reply(const uint8_t in[NBD_OPTION_REPLY_LEN], NbdOptionReply *reply);
bool nbd_decode_request(const uint8_t in[NBD_REQUEST_LEN], NbdRequest *request);
/*
 * Of the first NBD_SIMPLE_REPLY_LEN bytes: a simple reply is whole with them, a chunk lacks its
 * length.
 */
bool nbd_decode_reply(const uint8_t in[NBD_SIMPLE_REPLY_LEN], NbdReply *reply);

/* Between errno (positive) and the protocol's numbers; what has none becomes EIO or EINVAL. */
uint32_t nbd_error_from_errno(int err);
int nbd_error_to_errno(uint32_t error);

/* For messages; unknown ones are "<unknown>". */
const char *nbd_option_name(uint32_t option);
const char *nbd_reply_name(uint32_t type);

#endif
