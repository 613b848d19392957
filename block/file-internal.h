/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The drivers file, host_device and host_cdrom: what their source files share.
 *
 *   file.c         the driver tables
 *   file-open.c    options, opening and closing
 *   file-reopen.c  what changes later: modes, permissions, migration
 *   file-align.c   what direct I/O asks of requests
 *   file-lock.c    locks against other processes; file-holder.c names who has them
 *   file-aio.c     requests
 *   file-status.c  holes
 *   file-peek.c    data in the page cache
 *   file-create.c  making, resizing and deleting files
 */
#ifndef VIREO_BLOCK_FILE_INTERNAL_H
#define VIREO_BLOCK_FILE_INTERNAL_H

#include "block/io.h"
#include "block/node.h"
#include "util/file-io.h"

typedef enum FileKind {
    FILE_REGULAR,
    FILE_DEVICE,
    FILE_CDROM,
} FileKind;

typedef enum FileLocking {
    FILE_LOCKING_OFF,
    FILE_LOCKING_AUTO, /* until the file system turns out to have no locks */
    FILE_LOCKING_ON,
} FileLocking;

/* What the host turned out not to be able to do for this file, so that it is tried only once. */
typedef enum FileLack {
    FILE_LACKS_ZERO_RANGE = 1u << 0,
    FILE_LACKS_PUNCH_HOLE = 1u << 1,
    FILE_LACKS_ALLOCATE = 1u << 2,
    FILE_LACKS_ZEROOUT = 1u << 3,
    FILE_LACKS_DISCARD = 1u << 4,
    FILE_LACKS_COPY = 1u << 5,
    FILE_LACKS_HOLES = 1u << 6, /* no SEEK_DATA */
} FileLack;

typedef struct FileState {
    FileIo io;             /* its fd keeps its number when the file is reopened */
    FileKind kind;
    char *path;
    bool is_block;         /* a block device */
    bool writable;         /* how fd is open */
    bool direct;
    bool drop_cache, check_cache_dropped;
    int sticky_error;      /* -errno of a failed flush: what was written before may be lost */

    /* ---- Main thread ---- */
    FileLocking locking;
    unsigned perm, shared;               /* in force (BlockPerm) */
    unsigned locked_perm, locked_unshared; /* bits whose bytes fd has locked */
    int next_fd;           /* between perm_check and perm_set, the one to go on with; or -1 */
    bool next_writable;    /* how next_fd is open */
    bool reopening_writable; /* a reopen that is prepared will make the file writable */

    /* ---- The node's loop ---- */
    unsigned lacks;        /* FileLack; atomic, pool threads write it too */
    int64_t data_start, data_end; /* known to be data; empty if they are equal */
    uint64_t discards_ok, discards_failed, discarded_bytes;
} FileState;

/* Several threads at once may learn that the host cannot do something. */
static inline bool file_lacks(const FileState *state, unsigned lack)
{
    return __atomic_load_n(&state->lacks, __ATOMIC_RELAXED) & lack;
}

static inline void file_set_lacks(FileState *state, unsigned lack)
{
    __atomic_or_fetch(&state->lacks, lack, __ATOMIC_RELAXED);
}

/* ---- file-open.c ---- */
bool file_open(BlockNode *node, const BlockdevOptions *options, unsigned flags, GError **error);
bool file_open_device(BlockNode *node, const BlockdevOptions *options, unsigned flags,
                      GError **error);
bool file_open_cdrom(BlockNode *node, const BlockdevOptions *options, unsigned flags,
                     GError **error);
void file_close(BlockNode *node);
bool file_refresh_filename(BlockNode *node);
/* A descriptor in blocking mode, or -1. */
int file_open_path(const char *path, bool writable, bool direct, GError **error);
/* The engine that options ask for, if this loop and this mode have it. */
bool file_choose_engine(const BlockdevOptionsFile *options, bool direct, FileIo *io,
                        GError **error);

/* ---- file-reopen.c ---- */
bool file_reopen_prepare(BlockReopen *reopen, GError **error);
void file_reopen_commit(BlockReopen *reopen);
void file_reopen_abort(BlockReopen *reopen);
bool file_perm_check(BlockNode *node, unsigned perm, unsigned shared, GError **error);
void file_perm_set(BlockNode *node, unsigned perm, unsigned shared);
void file_perm_abort(BlockNode *node);
bool file_activate(BlockNode *node, GError **error);

/* ---- file-align.c ---- */
void file_refresh_limits(BlockNode *node);

/* ---- file-lock.c ---- */
/*
 * A byte of the file is read-locked for each permission taken (100 + bit) and each one not shared
 * (200 + bit); nothing is ever write-locked, so that locks tell and never block. Who takes a
 * permission first locks its byte and then looks whether anybody has the opposite one locked.
 * The same bytes as QEMU uses.
 *
 * lock: also lock these bits; what is locked stays. false with the error set: nothing has changed.
 */
bool file_lock(FileState *state, unsigned perm, unsigned unshared, GError **error);
/* Unlock all but these. */
void file_unlock_to(FileState *state, unsigned perm, unsigned unshared);
/* Does nobody else stand against what we lock? */
bool file_lock_check(FileState *state, unsigned perm, unsigned unshared, GError **error);
/* The same locks on another descriptor of the file, and away with those of the old one. */
void file_lock_move(FileState *state, int new_fd);

/* ---- file-holder.c ---- */
/*
 * Who has this byte of the file locked: "is in use by process 12 (cmd args)" or the like. Caller
 * frees. NULL: no process that we can see.
 */
char *file_lock_find_holder(int fd, int64_t byte);

/* ---- file-aio.c ---- */
int file_preadv(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                size_t vec_offset, unsigned flags);
int file_pwritev(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                 size_t vec_offset, unsigned flags);
int file_flush(BlockNode *node);
int file_pwrite_zeroes(BlockNode *node, int64_t offset, int64_t bytes, unsigned flags);
int file_pdiscard(BlockNode *node, int64_t offset, int64_t bytes);
int file_scsi_command(BlockNode *node, struct BlockScsiCommand *command);
int file_copy_range_to(BlockNode *node, BlockChild *src, int64_t src_offset, BlockChild *dst,
                       int64_t dst_offset, int64_t bytes, unsigned flags);

/* ---- file-status.c ---- */
int file_block_status(BlockNode *node, bool exact, int64_t offset, int64_t bytes,
                      BlockStatus *status);
/* Holes may have come anywhere in the file. */
void file_status_forget(FileState *state);

/* ---- file-peek.c ---- */
int64_t file_peek(BlockNode *node, int64_t offset, int64_t bytes, SharedMapping *mapping);

/* ---- file-create.c ---- */
extern const BlockOption file_create_options[];
bool file_create(const BlockdevCreateOptions *options, GError **error);
extern const BlockOption file_device_create_options[];
/* Nothing is made: the device must be large enough, and its first bytes are cleared. */
bool file_create_on_device(const char *filename, json_object *options, GError **error);
bool file_delete(BlockNode *node, GError **error);
int file_truncate(BlockNode *node, const BlockTruncate *truncate, GError **error);
/* Bytes, or -errno. */
int64_t file_length(int fd);

#endif
