/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host memory for RAM: mmap with an alignment and a guard page behind, and advice to the kernel.
 *
 * The reservation is made first, inaccessible and larger than needed; the memory is mapped over its
 * aligned part and the rest, but for one page, is given back.
 */
#include <errno.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "memory/ram-block.h"
#include "util/bits.h"
#include "util/error.h"

#define HUGE_PAGE (2 * MiB)

uint64_t ram_fd_page_size(int fd)
{
    struct statfs info;

    if (fd >= 0 && fstatfs(fd, &info) == 0 && info.f_type == HUGETLBFS_MAGIC) {
        return info.f_bsize;
    }
    return sysconf(_SC_PAGESIZE);
}

static uint64_t mapping_align(const RamMapping *mapping, uint64_t page)
{
    uint64_t align = MAX(mapping->align, page);

    /* Aligned to huge pages, both the process' and the guest's page tables can use them. */
    return mapping->size >= HUGE_PAGE ? MAX(align, HUGE_PAGE) : align;
}

/* Advice is only that: a kernel without KSM or huge pages refuses, and nothing is lost. */
static void advise(void *host, uint64_t size, const RamMapping *mapping)
{
    if (size >= HUGE_PAGE) {
        madvise(host, size, MADV_HUGEPAGE);
    }
    if (mapping->merge) {
        madvise(host, size, MADV_MERGEABLE);
    }
    if (mapping->no_dump) {
        madvise(host, size, MADV_DONTDUMP);
    }
    madvise(host, size, MADV_DONTFORK);
}

void *ram_map(const RamMapping *mapping, GError **error)
{
    uint64_t page = ram_fd_page_size(mapping->fd);
    uint64_t host_page = sysconf(_SC_PAGESIZE);
    uint64_t align = mapping_align(mapping, page);
    uint64_t size, total;
    uint8_t *area, *host;
    int flags = mapping->share ? MAP_SHARED : MAP_PRIVATE;

    if (!mapping->size || mapping->size > INT64_MAX - align - page) {
        error_setf(error, "cannot map %" G_GUINT64_FORMAT " bytes of memory", mapping->size);
        return NULL;
    }
    size = ROUND_UP(mapping->size, page);
    total = size + align + host_page;
    area = mmap(NULL, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (area == MAP_FAILED) {
        error_set_errno(error, errno, "cannot reserve %" G_GUINT64_FORMAT " bytes of address space",
                        total);
        return NULL;
    }
    host = (uint8_t *)ROUND_UP((uintptr_t)area, align);
    flags |= MAP_FIXED | (mapping->fd < 0 ? MAP_ANONYMOUS : 0) |
             (mapping->noreserve ? MAP_NORESERVE : 0);
    if (mmap(host, size, PROT_READ | (mapping->readonly ? 0 : PROT_WRITE), flags, mapping->fd,
             mapping->fd_offset) == MAP_FAILED) {
        if (errno == ENOMEM && page > host_page) {
            error_setf(error, "the host has too few free huge pages of %" G_GUINT64_FORMAT
                       " KiB for %" G_GUINT64_FORMAT " bytes (see /proc/sys/vm/nr_hugepages)",
                       (uint64_t)(page / KiB), size);
        } else {
            error_set_errno(error, errno, "cannot map %" G_GUINT64_FORMAT " bytes of memory", size);
        }
        munmap(area, total);
        return NULL;
    }
    if (host > area) {
        munmap(area, host - area);
    }
    if (area + total > host + size + host_page) {
        munmap(host + size + host_page, area + total - (host + size + host_page));
    }
    advise(host, size, mapping);
    return host;
}

void ram_unmap(void *host, uint64_t size, int fd)
{
    munmap(host, ROUND_UP(size, ram_fd_page_size(fd)) + sysconf(_SC_PAGESIZE));
}
