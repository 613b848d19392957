/* SPDX-License-Identifier: Apache-2.0 */
/* Making, resizing and deleting files. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/file-internal.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/fd-store.h"
#include "util/parse.h"
#include "util/thread-pool.h"

#define DEFAULT_EXTENT_SIZE_HINT MiB

const BlockOption file_create_options[] = {
    { "size", BLOCK_OPTION_SIZE, "size of the disk" },
    { "preallocation", BLOCK_OPTION_STRING, "what is allocated at once: off, falloc or full",
      .default_value = "off" },
    { "nocow", BLOCK_OPTION_BOOL, "turn off copy-on-write (Btrfs only)" },
    { "extent_size_hint", BLOCK_OPTION_SIZE, "allocate in steps of this size (XFS); 0: do not",
      .default_value = "1M" },
    { NULL },
};

int64_t file_length(int fd)
{
    struct stat info;
    uint64_t size;

    if (fstat(fd, &info) < 0) {
        return -errno;
    }
    if (S_ISREG(info.st_mode)) {
        return info.st_size;
    }
    if (S_ISBLK(info.st_mode)) {
        return ioctl(fd, BLKGETSIZE64, &size) < 0 ? -errno : (int64_t)MIN(size, INT64_MAX);
    }
    return 0;
}

/* ---- Resizing ---- */

typedef struct Resize {
    int fd;
    int64_t old_size, size;
    PreallocMode prealloc;
    const char *failed; /* what did not work */
} Resize;

/* Zeroes in pieces that do not fill the page cache at once. */
static int write_zeroes_from(int fd, int64_t offset, int64_t end)
{
    const size_t piece = 64 * KiB;
    g_autofree uint8_t *raw = g_malloc0(2 * piece);
    uint8_t *zeroes = raw + piece - (uintptr_t)raw % piece;

    while (offset < end) {
        /* To the next multiple, so that the rest is aligned. */
        int64_t n = MIN(end - offset, (int64_t)piece - offset % (int64_t)piece);
        ssize_t put = pwrite(fd, zeroes, (size_t)n, offset);

        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            return put < 0 ? -errno : -EIO;
        }
        offset += put;
    }
    return fdatasync(fd) < 0 ? -errno : 0;
}

static int allocate(Resize *resize)
{
    int result;

    switch (resize->prealloc) {
    case PREALLOC_MODE_FALLOC:
        /* Where the file system cannot, the C library writes a byte to each block. */
        result = resize->size > resize->old_size
                 ? -posix_fallocate(resize->fd, resize->old_size,
                                    resize->size - resize->old_size) : 0;
        resize->failed = "Could not preallocate data for the new file";
        return result;
    case PREALLOC_MODE_FULL:
        resize->failed = "Could not write zeroes for preallocation";
        return write_zeroes_from(resize->fd, resize->old_size, resize->size);
    default:
        return 0;
    }
}

/* On a pool thread. */
static int resize_work(void *opaque)
{
    Resize *resize = opaque;
    int result = resize->prealloc == PREALLOC_MODE_OFF ? 0 : allocate(resize);

    if (result == 0 && ftruncate(resize->fd, resize->size) < 0) {
        resize->failed = "Failed to resize the file";
        result = -errno;
    }
    if (result < 0 && ftruncate(resize->fd, resize->old_size) < 0) {
        resize->failed = "Failed to resize the file, and to give back what was allocated";
    }
    return result;
}

static int resize_file(int fd, int64_t size, PreallocMode prealloc, GError **error)
{
    Resize resize = { .fd = fd, .old_size = file_length(fd), .size = size, .prealloc = prealloc };
    int result;

    if (resize.old_size < 0) {
        error_set_errno(error, (int)-resize.old_size, "Could not get the file's size");
        return (int)resize.old_size;
    }
    if (size > BLOCK_MAX_LENGTH) {
        error_setf(error, "A file of %" PRId64 " bytes is too large", size);
        return -EFBIG;
    }
    if (prealloc == PREALLOC_MODE_METADATA) {
        error_setf(error, "Unsupported preallocation mode: metadata");
        return -ENOTSUP;
    }
    if (prealloc != PREALLOC_MODE_OFF && size < resize.old_size) {
        error_setf(error, "Preallocation can only be used for growing images");
        return -ENOTSUP;
    }
    result = thread_pool_run(resize_work, &resize);
    if (result < 0) {
        error_set_errno(error, -result, "%s", resize.failed);
    }
    return result;
}

static int resize_device(FileState *state, const BlockTruncate *truncate, GError **error)
{
    int64_t size = file_length(state->io.fd);

    if (truncate->prealloc != PREALLOC_MODE_OFF) {
        error_setf(error, "Preallocation mode '%s' is not possible on a device",
                   PreallocMode_str(truncate->prealloc));
        return -ENOTSUP;
    }
    if (size < 0) {
        error_set_errno(error, (int)-size, "Could not get the size of '%s'", state->path);
        return (int)size;
    }
    if (truncate->size > size) {
        error_setf(error, "Cannot grow device '%s' beyond its %" PRId64 " bytes", state->path,
                   size);
        return -EINVAL;
    }
    if (truncate->size < size && truncate->exact) {
        error_setf(error, "Cannot resize device '%s'", state->path);
        return -ENOTSUP;
    }
    return 0;
}

int file_truncate(BlockNode *node, const BlockTruncate *truncate, GError **error)
{
    FileState *state = node->opaque;
    int result;

    if (state->kind != FILE_REGULAR) {
        return resize_device(state, truncate, error);
    }
    result = resize_file(state->io.fd, truncate->size, truncate->prealloc, error);
    file_status_forget(state);
    return result;
}

/* ---- Making ---- */

/* Attributes that only some file systems know; what others say of them is no failure. */
static void set_nocow(int fd)
{
    int attributes;

    if (ioctl(fd, FS_IOC_GETFLAGS, &attributes) == 0) {
        attributes |= FS_NOCOW_FL;
        ioctl(fd, FS_IOC_SETFLAGS, &attributes);
    }
}

static void set_extent_size_hint(int fd, uint64_t size)
{
    struct fsxattr attributes;

    if (size && size <= UINT32_MAX && ioctl(fd, FS_IOC_FSGETXATTR, &attributes) == 0) {
        attributes.fsx_xflags |= FS_XFLAG_EXTSIZE;
        attributes.fsx_extsize = (uint32_t)size;
        ioctl(fd, FS_IOC_FSSETXATTR, &attributes);
    }
}

/* A new file, or one that exists: then *existed, and it is still as it was. */
static int open_to_create(const char *path, bool *existed, GError **error)
{
    int fd;

    *existed = true;
    if (fdset_is_path(path)) {
        return fdset_open(path, O_RDWR, error);
    }
    fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd >= 0) {
        *existed = false;
        return fd;
    }
    if (errno == EEXIST) {
        fd = open(path, O_RDWR | O_NONBLOCK | O_CREAT | O_CLOEXEC, 0644);
    }
    if (fd < 0) {
        error_set_errno(error, errno, "Could not create '%s'", path);
    }
    return fd;
}

static bool check_regular(int fd, const char *path, GError **error)
{
    struct stat info;

    if (fstat(fd, &info) < 0) {
        error_set_errno(error, errno, "Could not create '%s'", path);
        return false;
    }
    if (!S_ISREG(info.st_mode)) {
        error_setf(error, "'%s' exists and is not a regular file", path);
        return false;
    }
    return true;
}

static bool lock_to_create(FileState *state, GError **error)
{
    unsigned perm = BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE;

    return file_lock(state, perm, BLOCK_PERM_RESIZE, error)
           && file_lock_check(state, perm, BLOCK_PERM_RESIZE, error);
}

static bool fill_new_file(int fd, const BlockdevCreateOptionsFile *options, GError **error)
{
    if (ftruncate(fd, 0) < 0) {
        error_set_errno(error, errno, "Could not empty '%s'", options->filename);
        return false;
    }
    if (options->has_nocow && options->nocow) {
        set_nocow(fd);
    }
    set_extent_size_hint(fd, options->has_extent_size_hint ? options->extent_size_hint
                                                           : DEFAULT_EXTENT_SIZE_HINT);
    return resize_file(fd, (int64_t)MIN(options->size, INT64_MAX),
                       options->has_preallocation ? options->preallocation : PREALLOC_MODE_OFF,
                       error) == 0;
}

bool file_create(const BlockdevCreateOptions *options, GError **error)
{
    const BlockdevCreateOptionsFile *file = &options->u.file;
    FileState state = { .path = file->filename, .locking = FILE_LOCKING_AUTO };
    bool existed, ok;

    state.io.fd = open_to_create(file->filename, &existed, error);
    if (state.io.fd < 0) {
        return false;
    }
    ok = check_regular(state.io.fd, file->filename, error) && lock_to_create(&state, error)
         && fill_new_file(state.io.fd, file, error);
    file_unlock_to(&state, 0, 0);
    close(state.io.fd);
    if (!ok && !existed) {
        unlink(file->filename);
    }
    return ok;
}

/* ---- Devices ---- */

const BlockOption file_device_create_options[] = {
    { "size", BLOCK_OPTION_SIZE, "size of the disk, which the device must have" },
    { NULL },
};

typedef struct Wipe {
    int fd;
    int64_t length;
} Wipe;

/* What was on the device before must not be taken for the format of the new image. */
static int wipe_start(void *opaque)
{
    const Wipe *wipe = opaque;
    static const uint8_t zeroes[4096];
    ssize_t put = pwrite(wipe->fd, zeroes, (size_t)MIN(wipe->length, (int64_t)sizeof(zeroes)), 0);

    return put < 0 || fdatasync(wipe->fd) < 0 ? -errno : 0;
}

static bool wipe_device(FileState *state, uint64_t size, GError **error)
{
    Wipe wipe = { state->io.fd, file_length(state->io.fd) };
    int result = (int)MIN(wipe.length, 0);

    if (result == 0 && (uint64_t)wipe.length < size) {
        error_setf(error, "Device '%s' has only %" PRId64 " bytes, and cannot grow", state->path,
                   wipe.length);
        return false;
    }
    result = result ? result : thread_pool_run(wipe_start, &wipe);
    if (result < 0) {
        error_set_errno(error, -result, "Could not clear the start of '%s'", state->path);
    }
    return result == 0;
}

bool file_create_on_device(const char *filename, json_object *options, GError **error)
{
    FileState state = { .path = (char *)filename, .locking = FILE_LOCKING_AUTO };
    json_object *text;
    uint64_t size = 0;
    bool ok;

    if (g_str_has_prefix(filename, "host_device:")) {
        state.path += strlen("host_device:");
    }
    if (json_object_object_get_ex(options, "size", &text)
        && !parse_size(json_object_get_string(text), 1, &size, error)) {
        return false;
    }
    state.io.fd = file_open_path(state.path, true, false, error);
    if (state.io.fd < 0) {
        return false;
    }
    ok = lock_to_create(&state, error) && wipe_device(&state, size, error);
    file_unlock_to(&state, 0, 0);
    close(state.io.fd);
    return ok;
}

bool file_delete(BlockNode *node, GError **error)
{
    FileState *state = node->opaque;

    if (state->kind != FILE_REGULAR) {
        error_setf(error, "'%s' is not a regular file", state->path);
        return false;
    }
    if (unlink(state->path) < 0 && errno != ENOENT) {
        error_set_errno(error, errno, "Could not delete '%s'", state->path);
        return false;
    }
    return true;
}
