/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks of host memory that back RAM and ROM regions: how they are mapped, named and found.
 *
 * A block belongs to one region and lives as long. Its name (`idstr`) is unique and the same in
 * every run of the same command line: migration streams name RAM by it.
 *
 * VM lock held, unless said otherwise.
 */
#ifndef VIREO_MEMORY_RAM_BLOCK_H
#define VIREO_MEMORY_RAM_BLOCK_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "memory/memory.h"

/* One bit of a dirty bitmap. */
#define RAM_PAGE_SIZE 4096u

/* How to get memory from the host. */
typedef struct RamMapping {
    uint64_t size;      /* bytes; rounded up to the page size */
    uint64_t align;     /* of the host address, a power of two; 0: what suits the size */
    int fd;             /* -1: anonymous */
    uint64_t fd_offset;
    bool share;         /* MAP_SHARED; anonymous memory too */
    bool readonly;
    bool noreserve;     /* no swap space (huge pages) set aside */
    bool merge;         /* let KSM share equal pages */
    bool no_dump;       /* keep out of core dumps */
} RamMapping;

/*
 * Map memory and advise the kernel (transparent huge pages where the size allows; not inherited by
 * child processes; an inaccessible page follows it). Nothing is touched. NULL with error set on
 * failure. Any thread.
 */
void *ram_map(const RamMapping *mapping, GError **error);
/*
 * Whether KSM and core dumps include RAM that regions allocate themselves (video memory, ROMs) from
 * now on; both do at first. Main thread.
 */
void ram_set_defaults(bool merge, bool dump);
/* As mapped by ram_map() with the same size and fd. */
void ram_unmap(void *host, uint64_t size, int fd);
/* Page size of the memory behind fd (huge pages for hugetlbfs); the host's if fd is -1. */
uint64_t ram_fd_page_size(int fd);

/* Borrowed. Any thread, as for the other readers below. */
const char *ram_block_idstr(const RamBlock *block);
MemoryRegion *ram_block_region(const RamBlock *block);
void *ram_block_host(const RamBlock *block);
/* Bytes in use, and the bound to which ram_block_resize() may grow them. */
uint64_t ram_block_length(const RamBlock *block);
uint64_t ram_block_max_length(const RamBlock *block);
uint64_t ram_block_page_size(const RamBlock *block);
int ram_block_fd(const RamBlock *block); /* -1 if anonymous */
uint64_t ram_block_fd_offset(const RamBlock *block);

/* Name the block, before another thread can see it. A taken name gets "#2", "#3", ... */
void ram_block_set_idstr(RamBlock *block, const char *idstr);
/* NULL if there is none. RCU read section or VM lock. */
RamBlock *ram_block_find(const char *idstr);
/* RCU read section or VM lock. Block that holds the host address, or NULL. */
RamBlock *ram_block_from_host(const void *host);
/* Every block, in order of creation; stops when fn returns false. */
void ram_block_foreach(bool (*fn)(RamBlock *block, void *opaque), void *opaque);

/*
 * Keep the block, its region and whoever owns them until it is unpinned as often, though the region
 * may leave the guest's memory meanwhile.
 */
void ram_block_pin(RamBlock *block);
void ram_block_unpin(RamBlock *block);

/*
 * A watcher of everything that memory/ writes into the block (devices' DMA, above all), on the
 * writer's thread after the write: a software CPU that keeps decoded code. Embedded in the
 * watcher's own record, which goes with the block.
 */
typedef struct RamWatch RamWatch;
struct RamWatch {
    void (*written)(RamWatch *watch, uint64_t offset, uint64_t size);
    /* The block's memory goes after this, so nothing may lead to it any more. */
    void (*free)(RamWatch *watch);
};
/* NULL: none yet. RCU read section or VM lock. */
RamWatch *ram_block_watch(const RamBlock *block);
/* The first one stays; returns it. One that comes too late is still the caller's. Any thread. */
RamWatch *ram_block_set_watch(RamBlock *block, RamWatch *watch);

/*
 * Give pages back to the host: the guest finds zeros there (what the file has, where a file was
 * mapped privately), and the host provides memory again when they are touched. Everybody who keeps
 * something that follows from the content is told, as of a write. Offset and size: multiples of
 * ram_block_page_size(), inside of the block. 0 or -errno. VM lock or RCU read section.
 */
int ram_block_discard(RamBlock *block, uint64_t offset, uint64_t size);

/* RAM whose size may change up to max_size (tables that grow across a migration). */
MemoryRegion *memory_region_new_resizable_ram(Object *owner, const char *name, uint64_t size,
                                              uint64_t max_size,
                                              void (*resized)(void *opaque, uint64_t size),
                                              void *opaque, GError **error);
/* Refuses more than the maximum. Resizes the region too and calls `resized`. */
bool ram_block_resize(RamBlock *block, uint64_t size, GError **error);

/* Private to memory/. */
typedef struct RamBlockInfo {
    const char *name;
    uint64_t length;
    uint64_t max_length;
    void *host;  /* borrowed memory, else NULL: anonymous memory is mapped and owned */
    int fd;
    uint64_t fd_offset;
    void (*resized)(void *opaque, uint64_t size);
    void *opaque;
} RamBlockInfo;
RamBlock *ram_block_new(MemoryRegion *region, const RamBlockInfo *info, GError **error);
/* Taken off the list now; memory goes after an RCU grace period. */
void ram_block_free(RamBlock *block);
void ram_list_cleanup(void);

#endif
