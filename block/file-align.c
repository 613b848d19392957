/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What direct I/O asks of requests. The kernel says it for most files (statx with STATX_DIOALIGN),
 * and for block devices anyway; else reads are tried with less and less alignment. Without O_DIRECT
 * there is nothing to ask.
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <limits.h>
#include <unistd.h>

#include "block/file-internal.h"
#include "util/bits.h"

/* Good for every disk and file system. */
#define SAFE_ALIGNMENT 4096
#define SMALLEST_ALIGNMENT 512

typedef struct Alignment {
    uint32_t offset, memory;
} Alignment;

static bool usable(uint32_t alignment)
{
    return alignment && alignment <= MiB && (alignment & (alignment - 1)) == 0;
}

static bool ask_statx(int fd, Alignment *alignment)
{
#ifdef STATX_DIOALIGN
    struct statx info;

    if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &info) == 0
        && info.stx_mask & STATX_DIOALIGN && usable(info.stx_dio_offset_align)
        && usable(info.stx_dio_mem_align)) {
        *alignment = (Alignment) { info.stx_dio_offset_align, info.stx_dio_mem_align };
        return true;
    }
#endif
    return false;
}

static bool ask_device(int fd, Alignment *alignment)
{
    int size;

    if (ioctl(fd, BLKSSZGET, &size) < 0 || size <= 0 || !usable((uint32_t)size)) {
        return false;
    }
    *alignment = (Alignment) { (uint32_t)size, (uint32_t)size };
    return true;
}

/* A file system may not care while the file is empty, so that success with 1 proves nothing. */
static void ask_by_trial(int fd, Alignment *alignment)
{
    g_autofree uint8_t *memory = g_malloc(3 * SAFE_ALIGNMENT);
    uint8_t *aligned = memory + SAFE_ALIGNMENT - (uintptr_t)memory % SAFE_ALIGNMENT;

    *alignment = (Alignment) { SAFE_ALIGNMENT, SAFE_ALIGNMENT };
    if (pread(fd, aligned, 1, 0) >= 0) {
        return;
    }
    for (uint32_t size = SAFE_ALIGNMENT / 2; size >= SMALLEST_ALIGNMENT; size /= 2) {
        if (pread(fd, aligned, size, 0) >= 0) {
            alignment->offset = size;
        }
        if (pread(fd, aligned + size, SAFE_ALIGNMENT, 0) >= 0) {
            alignment->memory = size;
        }
    }
}

static uint32_t discard_granularity(int fd)
{
    g_autofree char *path = NULL;
    g_autofree char *text = NULL;
    struct stat info;
    guint64 value;

    if (fstat(fd, &info) < 0) {
        return 0;
    }
    path = g_strdup_printf("/sys/dev/block/%u:%u/queue/discard_granularity", major(info.st_rdev),
                           minor(info.st_rdev));
    if (!g_file_get_contents(path, &text, NULL, NULL)) {
        return 0;
    }
    value = g_ascii_strtoull(text, NULL, 10);
    return value <= GiB && (value & (value - 1)) == 0 ? (uint32_t)value : 0;
}

void file_refresh_limits(BlockNode *node)
{
    FileState *state = node->opaque;
    Alignment alignment = { 1, 1 };

    if (state->direct && !ask_statx(state->io.fd, &alignment)
        && !ask_device(state->io.fd, &alignment)) {
        ask_by_trial(state->io.fd, &alignment);
    }
    node->limits.request_alignment = alignment.offset;
    node->limits.min_mem_alignment = alignment.memory;
    node->limits.max_iov = IOV_MAX;
    if (state->is_block) {
        node->limits.discard_alignment = discard_granularity(state->io.fd);
        node->limits.write_zeroes_alignment = BLOCK_SECTOR;
    }
}
