/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What changes while a file is open: its mode (blockdev-reopen), the permissions that parents hold,
 * and whose it is (migration). A new descriptor takes the number of the old one, so that nobody
 * else has to know of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/file-internal.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/fd-store.h"

#define WRITING (BLOCK_PERM_WRITE | BLOCK_PERM_WRITE_UNCHANGED | BLOCK_PERM_RESIZE)

/* ---- Another descriptor for the same file ---- */

static bool is_same_file(int a, int b)
{
    struct stat x, y;

    return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* By its name; if that leads elsewhere by now (the file was renamed), by the open descriptor. */
static int open_again(FileState *state, bool writable, bool direct, GError **error)
{
    g_autofree char *by_fd = g_strdup_printf("/proc/self/fd/%d", state->io.fd);
    int fd = file_open_path(state->path, writable, direct, error);

    if (fd >= 0 && !is_same_file(fd, state->io.fd)) {
        close(fd);
        fd = file_open_path(by_fd, writable, direct, error);
    }
    return fd;
}

/* Go on with this descriptor, which is ours then. */
static void switch_to(FileState *state, int fd, bool writable)
{
    file_lock_move(state, fd);
    dup3(fd, state->io.fd, O_CLOEXEC);
    close(fd);
    state->writable = writable;
}

/* ---- Reopening ---- */

typedef struct FileReopen {
    int fd; /* -1: the old one will do */
    bool writable;
    FileIo io;
    bool drop_cache, check_cache_dropped;
} FileReopen;

static const BlockdevOptionsFile *file_options(const FileState *state,
                                               const BlockdevOptions *options)
{
    switch (state->kind) {
    case FILE_DEVICE:
        return &options->u.host_device;
    case FILE_CDROM:
        return &options->u.host_cdrom;
    default:
        return &options->u.file;
    }
}

/* A locking that turned itself off stays so: what is asked for is compared with what was. */
static bool same_locking(const FileState *state, const BlockdevOptionsFile *options)
{
    OnOffAuto wanted = options->has_locking ? options->locking : ON_OFF_AUTO_AUTO;

    return wanted == ON_OFF_AUTO_AUTO || (wanted == ON_OFF_AUTO_ON) == (state->locking != 0);
}

static bool unchangeable_stay(const FileState *state, const BlockdevOptionsFile *options,
                              GError **error)
{
    const char *changed = NULL;

    if (strcmp(options->filename, state->path) != 0) {
        changed = "filename";
    } else if (!same_locking(state, options)) {
        changed = "locking";
    } else if (options->pr_manager) {
        changed = "pr-manager";
    }
    if (changed) {
        error_setf(error, "Cannot change the option '%s' of '%s'", changed, state->path);
    }
    return !changed;
}

static bool wants_writable(const BlockReopen *reopen, const FileState *state)
{
    const BlockdevOptions *options = reopen->options;
    bool automatic = options->has_auto_read_only ? options->auto_read_only
                                                 : reopen->node->mode.auto_read_only;

    return !reopen->read_only && (!automatic || state->perm & WRITING);
}

bool file_reopen_prepare(BlockReopen *reopen, GError **error)
{
    FileState *state = reopen->node->opaque;
    const BlockdevOptionsFile *options = file_options(state, reopen->options);
    g_autofree FileReopen *next = g_new0(FileReopen, 1);

    if (!unchangeable_stay(state, options, error)
        || !file_choose_engine(options, reopen->cache_direct, &next->io, error)) {
        return false;
    }
    next->fd = -1;
    next->writable = wants_writable(reopen, state);
    next->drop_cache = !options->has_drop_cache || options->drop_cache;
    next->check_cache_dropped = options->has_x_check_cache_dropped
                                && options->x_check_cache_dropped;
    if (next->writable != state->writable || reopen->cache_direct != state->direct
        || state->sticky_error) {
        next->fd = open_again(state, next->writable, reopen->cache_direct, error);
        if (next->fd < 0) {
            return false;
        }
    }
    state->reopening_writable = next->writable;
    reopen->opaque = g_steal_pointer(&next);
    return true;
}

void file_reopen_commit(BlockReopen *reopen)
{
    FileState *state = reopen->node->opaque;
    g_autofree FileReopen *next = reopen->opaque;

    if (next->fd >= 0) {
        switch_to(state, next->fd, next->writable);
        state->direct = reopen->cache_direct;
        state->sticky_error = 0;
        state->io.try_cache = !state->direct;
    }
    state->io.engine = next->io.engine;
    state->io.max_batch = next->io.max_batch;
    state->drop_cache = next->drop_cache;
    state->check_cache_dropped = next->check_cache_dropped;
    state->reopening_writable = false;
}

void file_reopen_abort(BlockReopen *reopen)
{
    FileState *state = reopen->node->opaque;
    g_autofree FileReopen *next = reopen->opaque;

    state->reopening_writable = false;
    if (next->fd >= 0) {
        close(next->fd);
    }
}

/* ---- Permissions ---- */

/* The first writer of a file with auto-read-only opens it for writing. */
static bool prepare_writing(BlockNode *node, FileState *state, unsigned perm, GError **error)
{
    if (!(perm & WRITING) || state->writable || state->reopening_writable
        || node->mode.read_only || node->open_flags & BLOCK_OPEN_INACTIVE) {
        return true;
    }
    state->next_fd = open_again(state, true, state->direct, error);
    state->next_writable = true;
    return state->next_fd >= 0;
}

/* And the last one leaves it open for reading only. That this does not work is no harm. */
static void prepare_reading(BlockNode *node, FileState *state, unsigned perm)
{
    if (!(perm & WRITING) && state->writable && node->mode.auto_read_only
        && !state->reopening_writable && !fdset_is_path(state->path) && state->perm & WRITING) {
        state->next_fd = open_again(state, false, state->direct, NULL);
        state->next_writable = false;
    }
}

bool file_perm_check(BlockNode *node, unsigned perm, unsigned shared, GError **error)
{
    FileState *state = node->opaque;
    unsigned unshared = BLOCK_PERM_ALL & ~shared;

    if (!prepare_writing(node, state, perm, error)) {
        return false;
    }
    if (!file_lock(state, perm, unshared, error)
        || !file_lock_check(state, perm & ~state->perm, unshared & state->shared, error)) {
        file_perm_abort(node);
        return false;
    }
    prepare_reading(node, state, perm);
    return true;
}

void file_perm_set(BlockNode *node, unsigned perm, unsigned shared)
{
    FileState *state = node->opaque;

    state->perm = perm;
    state->shared = shared;
    file_unlock_to(state, perm, BLOCK_PERM_ALL & ~shared);
    if (state->next_fd >= 0) {
        switch_to(state, state->next_fd, state->next_writable);
        state->next_fd = -1;
    }
}

void file_perm_abort(BlockNode *node)
{
    FileState *state = node->opaque;

    file_unlock_to(state, state->perm, BLOCK_PERM_ALL & ~state->shared);
    if (state->next_fd >= 0) {
        close(state->next_fd);
        state->next_fd = -1;
    }
}

/* ---- Migration ---- */

/* Pages of the file that the page cache still has, counted in pieces. */
static int64_t cached_pages(int fd, int64_t length)
{
    const int64_t piece = 128 * MiB;
    int64_t page = getpagesize();
    g_autofree unsigned char *present = g_malloc((size_t)(piece / page));
    int64_t count = 0;

    for (int64_t offset = 0; offset < length; offset += piece) {
        size_t size = (size_t)MIN(piece, length - offset);
        void *map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, offset);

        if (map == MAP_FAILED) {
            return -errno;
        }
        if (mincore(map, size, present) == 0) {
            for (size_t i = 0; i < (size + (size_t)page - 1) / (size_t)page; i++) {
                count += present[i] & 1;
            }
        }
        munmap(map, size);
    }
    return count;
}

/* The file was written on another host: what this one has cached is old. */
bool file_activate(BlockNode *node, GError **error)
{
    FileState *state = node->opaque;
    int64_t pages;
    int err;

    if (state->direct || !state->drop_cache) {
        return true;
    }
    if (fdatasync(state->io.fd) < 0 && errno != EINVAL && errno != EROFS) {
        error_set_errno(error, errno, "Could not flush '%s'", state->path);
        return false;
    }
    err = posix_fadvise(state->io.fd, 0, 0, POSIX_FADV_DONTNEED);
    if (err) {
        error_set_errno(error, err, "Could not drop the cached data of '%s'", state->path);
        return false;
    }
    pages = state->check_cache_dropped ? cached_pages(state->io.fd, file_length(state->io.fd)) : 0;
    if (pages != 0) {
        warn_report("%" PRId64 " pages of '%s' are still in the page cache", pages, state->path);
    }
    return true;
}
