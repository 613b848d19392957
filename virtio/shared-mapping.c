/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of guards is what a signal handler may look at: entries are taken and given back by
 * one atomic word each, and a range is written before its word says that it is there.
 */
#include "virtio/shared-mapping.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "util/bits.h"
#include "util/error.h"

/* A file of a FUSE server: touching it may wait for ever (statfs(2) has the number). */
#define FUSE_MAGIC 0x65735546

enum { GUARD_FREE, GUARD_TAKEN, GUARD_LIVE, GUARD_BROKEN };

typedef struct Guard {
    int state; /* atomic */
    uintptr_t begin, end;
} Guard;

static struct {
    Guard guards[SHARED_MAPPING_MAX];
    struct sigaction previous;
    gsize installed;
} bus_errors; /* a signal handler has no argument, and a process one handler */

/* Replace what cannot be read any more by zeroes. Async-signal-safe. */
static bool repair(uintptr_t addr)
{
    for (unsigned i = 0; i < SHARED_MAPPING_MAX; i++) {
        Guard *guard = &bus_errors.guards[i];
        int state = __atomic_load_n(&guard->state, __ATOMIC_ACQUIRE);

        if (state < GUARD_LIVE || addr < guard->begin || addr >= guard->end) {
            continue;
        }
        __atomic_store_n(&guard->state, GUARD_BROKEN, __ATOMIC_RELAXED);
        return mmap((void *)guard->begin, guard->end - guard->begin, PROT_READ | PROT_WRITE,
                    MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) != MAP_FAILED;
    }
    return false;
}

static void bus_error(int number, siginfo_t *info, void *context)
{
    int saved = errno;

    if (!repair((uintptr_t)info->si_addr)) {
        /* Not ours: it happens again, and the one before us has it. */
        sigaction(SIGBUS, &bus_errors.previous, NULL);
    }
    errno = saved;
}

static void install_handler(void)
{
    if (g_once_init_enter(&bus_errors.installed)) {
        struct sigaction action = { .sa_sigaction = bus_error, .sa_flags = SA_SIGINFO };

        sigemptyset(&action.sa_mask);
        sigaction(SIGBUS, &action, &bus_errors.previous);
        g_once_init_leave(&bus_errors.installed, 1);
    }
}

static int take_guard(const uint8_t *base, size_t len)
{
    for (int i = 0; i < SHARED_MAPPING_MAX; i++) {
        Guard *guard = &bus_errors.guards[i];
        int expected = GUARD_FREE;

        if (__atomic_compare_exchange_n(&guard->state, &expected, GUARD_TAKEN, false,
                                        __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
            guard->begin = (uintptr_t)base;
            guard->end = (uintptr_t)base + len;
            __atomic_store_n(&guard->state, GUARD_LIVE, __ATOMIC_RELEASE);
            return i;
        }
    }
    return -1;
}

static bool check_file(int fd, uint64_t offset, uint64_t len, GError **error)
{
    struct stat st;
    struct statfs fs;

    if (fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0) {
        error_set_errno(error, errno, "shared memory's descriptor is of no use");
        return false;
    }
    if (!S_ISREG(st.st_mode) || fs.f_type == FUSE_MAGIC) {
        error_setf(error, "shared memory's descriptor is not a file of memory");
        return false;
    }
    if (!len || st.st_size < 0 || !range_ok(offset, len, (uint64_t)st.st_size)) {
        error_setf(error, "shared memory of %" G_GUINT64_FORMAT " bytes at %" G_GUINT64_FORMAT
                   " is not in its file of %" G_GUINT64_FORMAT, len, offset, (uint64_t)st.st_size);
        return false;
    }
    return true;
}

/* A mapping begins at a page of the file, which may be a huge one. */
static uint64_t page_of(int fd)
{
    struct stat st;
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

    return fstat(fd, &st) == 0 && (uint64_t)st.st_blksize > page &&
                   IS_ALIGNED((uint64_t)st.st_blksize, page)
               ? (uint64_t)st.st_blksize : page;
}

static bool map(SharedMapping *mapping, int fd, uint64_t offset, uint64_t len, int protection,
                GError **error)
{
    uint64_t page, skip, mapped;
    void *base;

    *mapping = (SharedMapping) { .guard = -1 };
    if (!check_file(fd, offset, len, error)) {
        return false;
    }
    page = page_of(fd);
    skip = offset % page;
    mapped = ROUND_UP(skip + len, page);
    base = mmap(NULL, mapped, protection, MAP_SHARED | MAP_NORESERVE, fd,
                (off_t)(offset - skip));
    if (base == MAP_FAILED) {
        error_set_errno(error, errno, "cannot map %" G_GUINT64_FORMAT " bytes of shared memory",
                        len);
        return false;
    }
    install_handler();
    mapping->guard = take_guard(base, mapped);
    if (mapping->guard < 0) {
        error_setf(error, "there are %d shared mappings already", SHARED_MAPPING_MAX);
        munmap(base, mapped);
        return false;
    }
    mapping->base = base;
    mapping->mapped = mapped;
    mapping->data = mapping->base + skip;
    mapping->len = len;
    return true;
}

bool shared_mapping_init(SharedMapping *mapping, int fd, uint64_t offset, uint64_t len,
                         GError **error)
{
    return map(mapping, fd, offset, len, PROT_READ | PROT_WRITE, error);
}

bool shared_mapping_init_for_reading(SharedMapping *mapping, int fd, uint64_t offset, uint64_t len,
                                     GError **error)
{
    return map(mapping, fd, offset, len, PROT_READ, error);
}

void shared_mapping_cleanup(SharedMapping *mapping)
{
    if (mapping->data) {
        /* In this order, so that no guard covers what somebody else maps there next. */
        __atomic_store_n(&bus_errors.guards[mapping->guard].state, GUARD_FREE, __ATOMIC_RELEASE);
        munmap(mapping->base, mapping->mapped);
    }
    *mapping = (SharedMapping) { .guard = -1 };
}

bool shared_mapping_is_broken(const SharedMapping *mapping)
{
    return mapping->data && __atomic_load_n(&bus_errors.guards[mapping->guard].state,
                                            __ATOMIC_RELAXED) == GUARD_BROKEN;
}
