/* SPDX-License-Identifier: Apache-2.0 */
/* Locks on image files, by open file description: they go when the last descriptor is closed. */
#include <errno.h>
#include <fcntl.h>

#include "block/file-internal.h"
#include "util/error.h"

#define PERM_BASE 100
#define UNSHARED_BASE 200
#define PERM_BITS 4
#define DEAD_TRIES 50
#define DEAD_PAUSE_US 20000

static const char unseen_holder[] = "is in use by another process";

static const char *const perm_names[PERM_BITS] = {
    "consistent read", "write", "write unchanged", "resize",
};

/* type F_RDLCK or F_UNLCK; 0 or -errno. */
static int set_byte(int fd, int64_t byte, short type)
{
    struct flock lock = {
        .l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1,
    };

    return fcntl(fd, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
}

/* 1 if somebody else has it locked, 0 if not, -errno. */
static int byte_is_locked(int fd, int64_t byte)
{
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1,
    };

    if (fcntl(fd, F_OFD_GETLK, &lock) < 0) {
        return -errno;
    }
    return lock.l_type != F_UNLCK;
}

/*
 * A process that was killed in the middle of requests keeps its files for a moment longer: the
 * kernel takes its ring down in the background. So a lock without a process that has it is asked
 * for again, for a while. As byte_is_locked(); *holder as of file_lock_find_holder().
 */
static int wait_for_the_dead(int fd, int64_t byte, char **holder)
{
    int result = byte_is_locked(fd, byte);

    for (int tries = 0; result > 0 && tries < DEAD_TRIES; tries++) {
        *holder = file_lock_find_holder(fd, byte);
        if (*holder) {
            break;
        }
        g_usleep(DEAD_PAUSE_US);
        result = byte_is_locked(fd, byte);
    }
    return result;
}

/* Lock the bytes of `bits`; on failure those that were locked before it are unlocked again. */
static int lock_bits(int fd, int64_t base, unsigned bits, int64_t *failed)
{
    for (unsigned i = 0; i < PERM_BITS; i++) {
        int result = bits >> i & 1 ? set_byte(fd, base + i, F_RDLCK) : 0;

        if (result < 0) {
            *failed = base + i;
            while (i-- > 0) {
                if (bits >> i & 1) {
                    set_byte(fd, base + i, F_UNLCK);
                }
            }
            return result;
        }
    }
    return 0;
}

static void unlock_bits(int fd, int64_t base, unsigned bits)
{
    for (unsigned i = 0; i < PERM_BITS; i++) {
        if (bits >> i & 1) {
            set_byte(fd, base + i, F_UNLCK);
        }
    }
}

static bool means_no_locks(int err)
{
    return err == -EINVAL || err == -ENOLCK || err == -EOPNOTSUPP || err == -ENOSYS;
}

bool file_lock(FileState *state, unsigned perm, unsigned unshared, GError **error)
{
    unsigned more_perm = perm & ~state->locked_perm;
    unsigned more_unshared = unshared & ~state->locked_unshared;
    int64_t failed = 0;
    int result;

    if (state->locking == FILE_LOCKING_OFF) {
        return true;
    }
    result = lock_bits(state->io.fd, PERM_BASE, more_perm, &failed);
    if (result == 0) {
        result = lock_bits(state->io.fd, UNSHARED_BASE, more_unshared, &failed);
        if (result < 0) {
            unlock_bits(state->io.fd, PERM_BASE, more_perm);
        }
    }
    if (result == 0) {
        state->locked_perm |= more_perm;
        state->locked_unshared |= more_unshared;
        return true;
    }
    if (state->locking == FILE_LOCKING_AUTO && means_no_locks(result)) {
        state->locking = FILE_LOCKING_OFF;
        return true;
    }
    if (result == -EAGAIN || result == -EACCES) {
        g_autofree char *holder = file_lock_find_holder(state->io.fd, failed);

        error_setf(error, "Failed to lock byte %d: '%s' %s", (int)failed, state->path,
                   holder ? holder : unseen_holder);
    } else {
        error_set_errno(error, -result, "Failed to lock byte %d of '%s'", (int)failed,
                        state->path);
    }
    return false;
}

void file_unlock_to(FileState *state, unsigned perm, unsigned unshared)
{
    unlock_bits(state->io.fd, PERM_BASE, state->locked_perm & ~perm);
    unlock_bits(state->io.fd, UNSHARED_BASE, state->locked_unshared & ~unshared);
    state->locked_perm &= perm;
    state->locked_unshared &= unshared;
}

static bool check_byte(FileState *state, int64_t byte, const char *shared, unsigned bit,
                       GError **error)
{
    g_autofree char *holder = NULL;
    int result = wait_for_the_dead(state->io.fd, byte, &holder);

    if (result < 0) {
        error_set_errno(error, -result, "Failed to ask for locks of '%s'", state->path);
    } else if (result > 0) {
        error_setf(error, "Failed to get %s\"%s\" lock: '%s' %s", shared, perm_names[bit],
                   state->path, holder ? holder : unseen_holder);
    }
    return result == 0;
}

bool file_lock_check(FileState *state, unsigned perm, unsigned unshared, GError **error)
{
    if (state->locking == FILE_LOCKING_OFF) {
        return true;
    }
    for (unsigned i = 0; i < PERM_BITS; i++) {
        if (perm >> i & 1 && !check_byte(state, UNSHARED_BASE + i, "", i, error)) {
            return false;
        }
    }
    for (unsigned i = 0; i < PERM_BITS; i++) {
        if (unshared >> i & 1 && !check_byte(state, PERM_BASE + i, "shared ", i, error)) {
            return false;
        }
    }
    return true;
}

void file_lock_move(FileState *state, int new_fd)
{
    unsigned perm = state->locked_perm;
    unsigned unshared = state->locked_unshared;
    int64_t failed;

    lock_bits(new_fd, PERM_BASE, perm, &failed);
    lock_bits(new_fd, UNSHARED_BASE, unshared, &failed);
    file_unlock_to(state, 0, 0);
    /* If both are copies of one descriptor, as those of /dev/fdset, that was one step too far. */
    if (lock_bits(new_fd, PERM_BASE, perm, &failed) < 0
        || lock_bits(new_fd, UNSHARED_BASE, unshared, &failed) < 0) {
        warn_report("lost the locks of '%s' when it was reopened", state->path);
    }
    state->locked_perm = perm;
    state->locked_unshared = unshared;
}
