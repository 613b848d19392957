/* SPDX-License-Identifier: Apache-2.0 */
/* Opening files and devices of the host. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/file-internal.h"
#include "block/open.h"
#include "util/error.h"
#include "util/fd-store.h"

static const char *const kind_names[] = {
    [FILE_REGULAR] = "file", [FILE_DEVICE] = "host_device", [FILE_CDROM] = "host_cdrom",
};

/* ---- Descriptors ---- */

/* A pipe must not hold us up before we see that it is one; afterwards requests may wait. */
static bool make_blocking(int fd, bool direct, GError **error)
{
    int flags = fcntl(fd, F_GETFL);

    flags = (flags & ~(O_NONBLOCK | O_DIRECT)) | (direct ? O_DIRECT : 0);
    if (fcntl(fd, F_SETFL, flags) < 0) {
        error_set_errno(error, errno, "Could not set the mode of a file");
        return false;
    }
    return true;
}

int file_open_path(const char *path, bool writable, bool direct, GError **error)
{
    int mode = writable ? O_RDWR : O_RDONLY;
    int fd;

    if (fdset_is_path(path)) {
        fd = fdset_open(path, mode, error);
    } else {
        fd = open(path, mode | (direct ? O_DIRECT : 0) | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0) {
            error_set_errno(error, errno, "Could not open '%s'%s", path,
                            direct && errno == EINVAL ? " past the page cache (cache.direct=on)"
                                                      : "");
        }
    }
    if (fd >= 0 && !make_blocking(fd, direct, error)) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Without opening it for writing, which udev would take for a change of a device. */
static bool may_be_written(const char *path, int fd)
{
    int read_only = 0;

    return faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0
           && (ioctl(fd, BLKROGET, &read_only) < 0 || !read_only);
}

/*
 * With auto-read-only the file is opened for reading, and again when a parent wants to write
 * (file_perm_check). Sets of descriptors may have one for both only: it is used from the start.
 */
static bool open_auto_read_only(BlockNode *node, FileState *state, GError **error)
{
    bool is_set = fdset_is_path(state->path);

    if (is_set) {
        state->io.fd = file_open_path(state->path, true, state->direct, NULL);
        state->writable = state->io.fd >= 0;
    }
    if (state->io.fd < 0) {
        state->io.fd = file_open_path(state->path, false, state->direct, error);
    }
    if (state->io.fd < 0) {
        return false;
    }
    if (is_set ? !state->writable : !may_be_written(state->path, state->io.fd)) {
        node->mode.read_only = true;
    }
    return true;
}

static bool open_for_mode(BlockNode *node, FileState *state, GError **error)
{
    if (!node->mode.read_only && node->mode.auto_read_only) {
        return open_auto_read_only(node, state, error);
    }
    state->writable = !node->mode.read_only;
    state->io.fd = file_open_path(state->path, state->writable, state->direct, error);
    return state->io.fd >= 0;
}

/* ---- Options ---- */

bool file_choose_engine(const BlockdevOptionsFile *options, bool direct, FileIo *io,
                        GError **error)
{
    static const FileEngine engines[] = {
        [BLOCKDEV_AIO_OPTIONS_THREADS] = FILE_ENGINE_THREADS,
        [BLOCKDEV_AIO_OPTIONS_NATIVE] = FILE_ENGINE_NATIVE,
        [BLOCKDEV_AIO_OPTIONS_IO_URING] = FILE_ENGINE_RING,
    };
    FileEngine engine;

    if (options->has_aio_max_batch
        && (options->aio_max_batch < 0 || options->aio_max_batch > UINT32_MAX)) {
        error_setf(error, "aio-max-batch must be between 0 and %u", UINT32_MAX);
        return false;
    }
    io->max_batch = options->has_aio_max_batch ? (unsigned)options->aio_max_batch : 0;
    if (!options->has_aio) {
        io->engine = file_io_has_engine(loop_current(), FILE_ENGINE_RING) ? FILE_ENGINE_RING
                                                                          : FILE_ENGINE_THREADS;
        return true;
    }
    engine = engines[options->aio];
    if (engine == FILE_ENGINE_NATIVE && !direct) {
        error_setf(error, "aio=native was specified, but it requires cache.direct=on, which was "
                   "not specified");
        return false;
    }
    if (!file_io_has_engine(loop_current(), engine)) {
        error_setf(error, "aio=%s was specified, but this kernel or this build does not have it",
                   BlockdevAioOptions_str(options->aio));
        return false;
    }
    io->engine = engine;
    return true;
}

static bool read_options(BlockNode *node, FileState *state, const BlockdevOptionsFile *options,
                         GError **error)
{
    static const FileLocking lockings[] = {
        [ON_OFF_AUTO_OFF] = FILE_LOCKING_OFF, [ON_OFF_AUTO_AUTO] = FILE_LOCKING_AUTO,
        [ON_OFF_AUTO_ON] = FILE_LOCKING_ON,
    };

    if (options->pr_manager) {
        error_setf(error, "pr-manager is not supported: persistent reservations need SCSI "
                   "pass-through");
        return false;
    }
    state->direct = node->mode.cache_direct;
    state->locking = lockings[options->has_locking ? options->locking : ON_OFF_AUTO_AUTO];
    state->drop_cache = !options->has_drop_cache || options->drop_cache;
    state->check_cache_dropped = options->has_x_check_cache_dropped
                                 && options->x_check_cache_dropped;
    return file_choose_engine(options, state->direct, &state->io, error);
}

/* ---- What was opened ---- */

static bool kind_fits(const FileState *state, mode_t mode, GError **error)
{
    if (S_ISDIR(mode)) {
        error_set_errno(error, EISDIR, "Could not open '%s'", state->path);
        return false;
    }
    if (state->kind == FILE_REGULAR && !S_ISREG(mode)) {
        error_setf(error, "'file' driver requires '%s' to be a regular file", state->path);
        return false;
    }
    if (state->kind != FILE_REGULAR && !S_ISBLK(mode) && !S_ISCHR(mode)) {
        error_setf(error, "'%s' driver requires '%s' to be either a character or block device",
                   kind_names[state->kind], state->path);
        return false;
    }
    return true;
}

static bool look_at_file(BlockNode *node, FileState *state, GError **error)
{
    struct stat info;
    int64_t length;

    if (fstat(state->io.fd, &info) < 0) {
        error_set_errno(error, errno, "Could not open '%s'", state->path);
        return false;
    }
    if (!kind_fits(state, info.st_mode, error)) {
        return false;
    }
    length = file_length(state->io.fd);
    if (length < 0) {
        error_set_errno(error, (int)-length, "Could not get the size of '%s'", state->path);
        return false;
    }
    if (length > BLOCK_MAX_LENGTH) {
        error_setf(error, "'%s' is too large: %" PRId64 " bytes", state->path, length);
        return false;
    }
    node->size = length;
    state->is_block = S_ISBLK(info.st_mode);
    state->io.try_cache = !state->direct && !S_ISCHR(info.st_mode);
    return true;
}

static bool open_kind(BlockNode *node, const BlockdevOptionsFile *options, FileKind kind,
                      GError **error)
{
    FileState *state = node->opaque;

    state->kind = kind;
    state->io.fd = state->next_fd = -1;
    state->shared = BLOCK_PERM_ALL;
    state->path = g_strdup(options->filename);
    if (!read_options(node, state, options, error) || !open_for_mode(node, state, error)
        || !look_at_file(node, state, error)) {
        file_close(node);
        return false;
    }
    node->write_flags = BLOCK_REQ_FUA | BLOCK_REQ_WRITE_UNCHANGED;
    node->zero_flags = BLOCK_REQ_MAY_UNMAP | BLOCK_REQ_NO_FALLBACK;
    node->truncate_flags = kind == FILE_REGULAR ? BLOCK_REQ_ZERO_WRITE : 0;
    return true;
}

bool file_open(BlockNode *node, const BlockdevOptions *options, unsigned flags, GError **error)
{
    return open_kind(node, &options->u.file, FILE_REGULAR, error);
}

bool file_open_device(BlockNode *node, const BlockdevOptions *options, unsigned flags,
                      GError **error)
{
    return open_kind(node, &options->u.host_device, FILE_DEVICE, error);
}

bool file_open_cdrom(BlockNode *node, const BlockdevOptions *options, unsigned flags,
                     GError **error)
{
    if (!block_node_fall_to_read_only(node, "A CD-ROM drive can only be opened read-only",
                                      error)) {
        return false;
    }
    return open_kind(node, &options->u.host_cdrom, FILE_CDROM, error);
}

void file_close(BlockNode *node)
{
    FileState *state = node->opaque;

    if (state->io.fd >= 0) {
        /* The descriptor may be a copy of one that stays open, as those of /dev/fdset. */
        file_unlock_to(state, 0, 0);
        close(state->io.fd);
    }
    if (state->next_fd >= 0) {
        close(state->next_fd);
    }
    g_free(state->path);
}

bool file_refresh_filename(BlockNode *node)
{
    FileState *state = node->opaque;

    g_free(node->filename);
    node->filename = block_path_has_protocol(state->path)
                     ? g_strconcat(kind_names[state->kind], ":", state->path, NULL)
                     : g_strdup(state->path);
    return true;
}
