/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A BlockBackend is how everybody outside the graph uses it: a device's drive, an export, a job, a
 * tool. It holds the root edge, knows the guest-visible properties (write cache, error policy,
 * medium, statistics) and, by a throttle group, how fast it may go.
 *
 * Requests may come from any coroutine on the backend's loop. While the node below is drained they
 * wait in the backend.
 */
#ifndef VIREO_BLOCK_BACKEND_H
#define VIREO_BLOCK_BACKEND_H

#include "block/accounting.h"
#include "block/io.h"
#include "block/node.h"
#include "qapi-types-block-job.h"
#include "util/throttle.h"

/* A backend without a medium. perm and shared are used once a node comes. One reference. */
BlockBackend *block_backend_new(Loop *loop, unsigned perm, unsigned shared);
/* As block_open(), with a backend around it. */
BlockBackend *block_backend_open(const char *filename, const char *reference, json_object *options,
                                 QapiFlags qapi_flags, unsigned open_flags, unsigned perm,
                                 unsigned shared, GError **error);
BlockBackend *block_backend_ref(BlockBackend *blk);
void block_backend_unref(BlockBackend *blk);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BlockBackend, block_backend_unref)

bool block_backend_insert(BlockBackend *blk, BlockNode *node, GError **error);
void block_backend_remove(BlockBackend *blk);
BlockNode *block_backend_node(BlockBackend *blk);   /* borrowed; NULL: no medium */
BlockChild *block_backend_root(BlockBackend *blk);  /* or NULL */
bool block_backend_set_perm(BlockBackend *blk, unsigned perm, unsigned shared, GError **error);
void block_backend_get_perm(BlockBackend *blk, unsigned *perm, unsigned *shared);
Loop *block_backend_loop(BlockBackend *blk);
/* Its owner's to call: moves the node and all that hangs together with it, if everybody agrees. */
bool block_backend_set_loop(BlockBackend *blk, Loop *loop, GError **error);
/*
 * May others move the node, and the backend with it? At first, and after an owner has left: yes.
 * Attaching an owner makes it no.
 */
void block_backend_set_fixed_loop(BlockBackend *blk, bool fixed);

/* The monitor's name of it (-drive id=), or NULL. Names are unique among backends and nodes. */
bool block_backend_set_name(BlockBackend *blk, const char *name, GError **error);
void block_backend_drop_name(BlockBackend *blk);
const char *block_backend_name(BlockBackend *blk);
BlockBackend *block_backend_find(const char *name);
/* By its owner's, or NULL. */
BlockBackend *block_backend_find_by_owner(const char *name);

/*
 * ---- Requests, in a coroutine ----
 * All of the range must be inside the medium (else -EIO); -ENOMEDIUM without one or with an open
 * tray. A BlockVec is copied, the memory and iov it points to stay the caller's until the end.
 */
int block_backend_preadv(BlockBackend *blk, int64_t offset, int64_t bytes, const BlockVec *vec,
                         unsigned flags);
int block_backend_pwritev(BlockBackend *blk, int64_t offset, int64_t bytes, const BlockVec *vec,
                          unsigned flags);
int block_backend_pread(BlockBackend *blk, int64_t offset, int64_t bytes, void *buf);
int block_backend_pwrite(BlockBackend *blk, int64_t offset, int64_t bytes, const void *buf,
                         unsigned flags);
int block_backend_pwrite_zeroes(BlockBackend *blk, int64_t offset, int64_t bytes, unsigned flags);
int block_backend_pdiscard(BlockBackend *blk, int64_t offset, int64_t bytes);
int block_backend_flush(BlockBackend *blk);
int block_backend_truncate(BlockBackend *blk, const BlockTruncate *truncate, GError **error);
int64_t block_backend_getlength(BlockBackend *blk);

/*
 * ---- Requests by callback: for devices ----
 * On the backend's loop; or, if that is the main loop, on any thread that holds the VM lock.
 * done is called in a coroutine, never before the function has returned. A drained section waits
 * for it.
 */
typedef void BlockDoneFn(void *opaque, int result);
void block_backend_aio_preadv(BlockBackend *blk, int64_t offset, const BlockVec *vec,
                              unsigned flags, BlockDoneFn *done, void *opaque);
void block_backend_aio_pwritev(BlockBackend *blk, int64_t offset, const BlockVec *vec,
                               unsigned flags, BlockDoneFn *done, void *opaque);
void block_backend_aio_pwrite_zeroes(BlockBackend *blk, int64_t offset, int64_t bytes,
                                     unsigned flags, BlockDoneFn *done, void *opaque);
void block_backend_aio_pdiscard(BlockBackend *blk, int64_t offset, int64_t bytes,
                                BlockDoneFn *done, void *opaque);
void block_backend_aio_flush(BlockBackend *blk, BlockDoneFn *done, void *opaque);

/* ---- What the owner wants to know. All may be NULL ---- */
typedef struct BlockBackendOps {
    void (*resized)(void *owner);
    void (*drain_begin)(void *owner);
    void (*drain_end)(void *owner);
    /* Removable media: loaded or about to leave; refuse with an error. */
    bool (*change_media)(void *owner, bool load, GError **error);
    void (*eject_request)(void *owner, bool force);
    bool (*is_tray_open)(void *owner);
    bool (*is_medium_locked)(void *owner);
} BlockBackendOps;
/*
 * One owner at a time, which holds a reference until detached; name for people and QMP (a device's
 * id or path), borrowed until then. Detaching waits for what is in flight.
 */
bool block_backend_attach_owner(BlockBackend *blk, const BlockBackendOps *ops, void *owner,
                                const char *name, GError **error);
void block_backend_detach_owner(BlockBackend *blk);

/* ---- Media: what the owner's operations say; main thread ---- */
/* Can its medium be changed? Always, without an owner. */
bool block_backend_is_removable(BlockBackend *blk);
bool block_backend_has_tray(BlockBackend *blk);
bool block_backend_tray_is_open(BlockBackend *blk); /* false without a tray */
bool block_backend_is_locked(BlockBackend *blk);
/* Let the owner load or unload; sends DEVICE_TRAY_MOVED if its tray has moved. */
bool block_backend_change_media(BlockBackend *blk, bool load, GError **error);
void block_backend_eject_request(BlockBackend *blk, bool force);
/* For owners: the guest has moved the tray. Sends DEVICE_TRAY_MOVED. */
void block_backend_tray_moved(BlockBackend *blk, bool open);
/* How the medium was opened; an empty one's next, as the last or as set here. */
void block_backend_set_medium_mode(BlockBackend *blk, const BlockMode *mode);
void block_backend_medium_mode(BlockBackend *blk, BlockMode *mode);

/* ---- Policies ---- */
/*
 * By a throttle group of that name, whose limits become *config, which has been checked; NULL: the
 * one it is in. No limits at all: leave the group. Main thread.
 */
void block_backend_set_limits(BlockBackend *blk, const char *group_name,
                              const ThrottleConfig *config);
/* Copy to the image what reads find in its backing files. While it has no requests. */
void block_backend_set_copy_on_read(BlockBackend *blk, bool on);
/* Off: every write is FUA. On at first. */
void block_backend_set_write_cache(BlockBackend *blk, bool on);
bool block_backend_write_cache(BlockBackend *blk);
void block_backend_set_on_error(BlockBackend *blk, BlockdevOnError on_read,
                                BlockdevOnError on_write);
BlockdevOnError block_backend_on_error(const BlockBackend *blk, bool is_read);
/* error: positive errno. What to do about it: REPORT, IGNORE or STOP (enospc is decided here). */
BlockErrorAction block_backend_error_action(BlockBackend *blk, bool is_read, int error);
/* Send BLOCK_IO_ERROR, and for STOP ask for the VM's stop. Any thread. */
void block_backend_error(BlockBackend *blk, BlockErrorAction action, bool is_read, int error);
/* Registered once by the program: how to ask for the VM's stop by an I/O error. Any thread. */
void block_backend_set_stop_vm(void (*stop_vm)(void));
/* For devices that ask block_backend_error_action(): query-block then shows how it stands. */
void block_backend_enable_io_status(BlockBackend *blk);
bool block_backend_io_status(BlockBackend *blk, BlockDeviceIoStatus *status);
/* All is well until the next error. */
void block_backend_reset_io_status(BlockBackend *blk);
/* The VM goes on: the same for all of them. Main thread. */
void block_backends_go_on(void);
/* Borrowed. Requests are counted already. */
BlockAccounting *block_backend_accounting(BlockBackend *blk);
/* Main thread: wait until nothing is in flight. */
void block_backend_drain(BlockBackend *blk);

#endif
