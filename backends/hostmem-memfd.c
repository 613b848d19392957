/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory-backend-memfd: memory that a descriptor names (memfd_create(2)), to be shared by passing
 * it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memory/ram-backend.h"
#include "util/bits.h"
#include "util/error.h"

typedef struct MemfdBackend {
    RamBackend backend;
    bool hugetlb;
    bool seal;
    uint64_t hugetlbsize;
} MemfdBackend;

/* The memfd_create() flags for the wanted page size. */
static bool huge_page_flags(const MemfdBackend *memfd, unsigned *flags, GError **error)
{
    uint64_t size = memfd->hugetlbsize;

    if (!memfd->hugetlb) {
        if (size) {
            error_setf(error, "hugetlbsize needs hugetlb=on");
        }
        return !size;
    }
    *flags |= MFD_HUGETLB;
    if (!size) {
        return true;
    }
    if (size & (size - 1)) {
        error_setf(error, "hugetlbsize %" G_GUINT64_FORMAT " is not a power of two", size);
        return false;
    }
    *flags |= (unsigned)__builtin_ctzll(size) << MFD_HUGE_SHIFT;
    return true;
}

static bool memfd_prepare(RamBackend *backend, RamMapping *mapping, GError **error)
{
    const MemfdBackend *memfd = (MemfdBackend *)backend;
    unsigned flags = MFD_CLOEXEC | (memfd->seal ? MFD_ALLOW_SEALING : 0);
    uint64_t page;

    if (!huge_page_flags(memfd, &flags, error)) {
        return false;
    }
    backend->fd = memfd_create(backend->object.name, flags);
    if (backend->fd < 0) {
        error_set_errno(error, errno, memfd->hugetlb ? "the host has no huge pages of that size"
                                                     : "cannot create a memfd");
        return false;
    }
    page = ram_fd_page_size(backend->fd);
    if (backend->size % page) {
        error_setf(error, "size %" G_GUINT64_FORMAT " is not a multiple of the page size %"
                   G_GUINT64_FORMAT, backend->size, page);
        return false;
    }
    if (ftruncate(backend->fd, backend->size) != 0) {
        error_set_errno(error, errno, "cannot give the memfd its size");
        return false;
    }
    if (memfd->seal &&
        fcntl(backend->fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0) {
        error_set_errno(error, errno, "cannot seal the memfd");
        return false;
    }
    return true;
}

static void memfd_init(Object *obj)
{
    ((RamBackend *)obj)->share = true;
}

static const Property memfd_properties[] = {
    PROP_BOOL("hugetlb", MemfdBackend, hugetlb, false, "use huge pages of the host's pool"),
    PROP_SIZE("hugetlbsize", MemfdBackend, hugetlbsize, 0, "their size, such as 2M or 1G"),
    PROP_BOOL("seal", MemfdBackend, seal, true, "nobody may change its size"),
    PROP_END,
};

static const RamBackendOps memfd_ops = {
    .prepare = memfd_prepare,
};

static const TypeInfo hostmem_memfd_type = {
    .name = TYPE_MEMORY_BACKEND_MEMFD,
    .parent = TYPE_MEMORY_BACKEND,
    .description = "host memory behind a descriptor of its own",
    .instance_size = sizeof(MemfdBackend),
    .user_creatable = true,
    .properties = memfd_properties,
    .instance_init = memfd_init,
    .ops = &memfd_ops,
};
QOM_TYPE(hostmem_memfd_type);
