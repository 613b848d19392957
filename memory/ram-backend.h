/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host memory for guest RAM: the -object types memory-backend-ram, -file and -memfd. Each holds one
 * MemoryRegion of RAM. What they have in common is here: the abstract type "memory-backend", its
 * properties and its life; where the memory comes from is in backends/hostmem-*.c.
 *
 * VM lock held.
 */
#ifndef VIREO_MEMORY_RAM_BACKEND_H
#define VIREO_MEMORY_RAM_BACKEND_H

#include "memory/memory.h"
#include "memory/ram-block.h"
#include "memory/ram-host.h"
#include "memory/thread-context.h"
#include "qom/object.h"

#define TYPE_MEMORY_BACKEND "memory-backend"
#define TYPE_MEMORY_BACKEND_RAM "memory-backend-ram"
#define TYPE_MEMORY_BACKEND_FILE "memory-backend-file"
#define TYPE_MEMORY_BACKEND_MEMFD "memory-backend-memfd"
typedef struct RamBackend RamBackend;

/* Borrowed; NULL before the backend is complete. */
MemoryRegion *ram_backend_region(RamBackend *backend);
uint64_t ram_backend_size(const RamBackend *backend);
/* A backend can be used by one memory device or machine at a time. */
bool ram_backend_is_mapped(const RamBackend *backend);
void ram_backend_set_mapped(RamBackend *backend, bool mapped);
/*
 * The process ends, and the guest runs no more: let every backend throw away contents that need not
 * survive.
 */
void ram_backends_discard(void);

/* For the types below memory-backend. */
struct RamBackend {
    Object object;
    uint64_t size;
    bool share;
    bool merge;
    bool dump;
    bool prealloc;
    bool reserve;
    bool use_canonical_path; /* name of the RAM block: "/objects/ID", else "ID" */
    uint32_t prealloc_threads;
    ThreadContext *prealloc_context; /* where those threads run; NULL: anywhere */
    int policy; /* RamPolicy */
    HostNodes host_nodes;
    int fd; /* what prepare() opened, closed when the backend goes; -1: anonymous */
    void *host;
    MemoryRegion *region;
    bool mapped;
};

typedef struct RamBackendOps {
    /*
     * Before the memory is mapped: check the type's own properties, set backend->fd if there is
     * one, and what mapping needs beside it (fd_offset, align, readonly). NULL: nothing of its own.
     */
    bool (*prepare)(RamBackend *backend, RamMapping *mapping, GError **error);
    /* The contents will not be needed again. NULL: nothing to do. */
    void (*discard)(RamBackend *backend);
} RamBackendOps;

#endif
