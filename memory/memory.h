/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's physical memory as a tree of regions.
 *
 * A region is RAM, ROM, I/O (a callback table), an alias of part of another region, or a container
 * that gives places to subregions. Where siblings overlap, the higher priority wins; between equals
 * the later one. An AddressSpace flattens the tree under a root into an immutable FlatView, which
 * readers use under RCU; listeners (KVM's slots, ioeventfds, a software CPU's TLB) are told the
 * differences.
 *
 * Building and changing the tree: VM lock held. Access (address_space_*): any thread; I/O callbacks
 * run with the VM lock held, taken on the way unless the region is lockless.
 */
#ifndef VIREO_MEMORY_MEMORY_H
#define VIREO_MEMORY_MEMORY_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "qom/object.h"
#include "util/event-notifier.h"

typedef struct MemoryRegion MemoryRegion;
typedef struct AddressSpace AddressSpace;
typedef struct FlatView FlatView;
typedef struct RamBlock RamBlock;

/* What became of an access. */
typedef enum MemResult {
    MEM_OK = 0,
    MEM_UNASSIGNED = 1, /* nothing is there, or the size is refused: reads give all ones */
    MEM_ROM = 2,        /* a write to ROM was dropped */
    MEM_BUSY = 4,       /* a device reached itself by DMA: refused */
} MemResult;

typedef struct MemoryRegionOps {
    /*
     * offset within the region, size in bytes (impl.min..impl.max). Values are zero-extended. A
     * NULL slot refuses the access.
     */
    uint64_t (*read)(void *opaque, uint64_t offset, unsigned size);
    void (*write)(void *opaque, uint64_t offset, uint64_t value, unsigned size);
    /*
     * What the guest may use; others are MEM_UNASSIGNED. 0 means 1..8. Where unaligned is false, an
     * unaligned access is first cut into aligned ones, as a bus does.
     */
    struct {
        uint8_t min, max;
        bool unaligned;
    } valid;
    /*
     * What the callbacks handle; other valid sizes are split or widened. 0 means 1..4. A widened
     * read is aligned down; a widened write has zero in the bytes that the guest did not write.
     */
    struct {
        uint8_t min, max;
        bool unaligned;
    } impl;
    bool big_endian;
    bool lockless; /* callbacks do their own locking; the VM lock is not taken */
    bool reentrant; /* a device's DMA may reach this region while it handles an access */
} MemoryRegionOps;

/*
 * `owner` lives at least as long as the region (it is referenced while the region is visible in an
 * address space or mapped by address_space_map()). It also names the device for the re-entrancy
 * guard (memory/guard.h). NULL: nobody.
 */
/*
 * For containers, I/O and aliases size 0 means 2^64, here and in memory_region_set_size() and
 * memory_region_size(); a region of no size is a disabled one.
 */
MemoryRegion *memory_region_new_container(Object *owner, const char *name, uint64_t size);
MemoryRegion *memory_region_new_io(Object *owner, const MemoryRegionOps *ops, void *opaque,
                                   const char *name, uint64_t size);
/* Fresh anonymous zero RAM. */
MemoryRegion *memory_region_new_ram(Object *owner, const char *name, uint64_t size, GError **error);
/* RAM that the guest cannot write; the host fills it through memory_region_ram_ptr(). */
MemoryRegion *memory_region_new_rom(Object *owner, const char *name, uint64_t size, GError **error);
/* ROM whose writes go to ops (flash). */
MemoryRegion *memory_region_new_rom_device(Object *owner, const MemoryRegionOps *ops, void *opaque,
                                           const char *name, uint64_t size, GError **error);
/*
 * RAM that someone else mapped: borrowed, at least as long as the region lives. fd -1 if anonymous.
 */
MemoryRegion *memory_region_new_ram_ptr(Object *owner, const char *name, uint64_t size, void *host,
                                        int fd, uint64_t fd_offset);
MemoryRegion *memory_region_new_alias(Object *owner, const char *name, MemoryRegion *target,
                                      uint64_t offset, uint64_t size);
/*
 * Drops the creator's hold; must be out of every container (its subregions are taken out of it).
 * Freed after an RCU grace period. NULL is ignored.
 */
void memory_region_free(MemoryRegion *region);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MemoryRegion, memory_region_free)

void memory_region_add(MemoryRegion *container, uint64_t offset, MemoryRegion *sub);
void memory_region_add_overlap(MemoryRegion *container, uint64_t offset, MemoryRegion *sub,
                               int priority);
void memory_region_remove(MemoryRegion *container, MemoryRegion *sub);

const char *memory_region_name(const MemoryRegion *region);
uint64_t memory_region_size(const MemoryRegion *region);
Object *memory_region_owner(const MemoryRegion *region);
bool memory_region_is_ram(const MemoryRegion *region);
/* Memory that the guest cannot write. */
bool memory_region_is_rom(const MemoryRegion *region);
/* Where it stands in memory_system(), unless it is out of it or only behind aliases. */
bool memory_region_address(const MemoryRegion *region, uint64_t *addr);
bool memory_region_is_mapped(const MemoryRegion *region);
/* Host address of RAM/ROM, else NULL. */
void *memory_region_ram_ptr(const MemoryRegion *region);
RamBlock *memory_region_ram_block(const MemoryRegion *region);
int memory_region_fd(const MemoryRegion *region); /* -1 if anonymous */
/* NULL and *offset untouched if host is in no RAM region. */
MemoryRegion *memory_region_from_host(const void *host, uint64_t *offset);

/* Changes; each is one transaction unless wrapped in begin/commit, which batch them (nestable). */
void memory_transaction_begin(void);
void memory_transaction_commit(void);
void memory_region_set_enabled(MemoryRegion *region, bool enabled);
void memory_region_set_readonly(MemoryRegion *region, bool readonly);
void memory_region_set_address(MemoryRegion *region, uint64_t offset);
void memory_region_set_size(MemoryRegion *region, uint64_t size);
void memory_region_set_alias_offset(MemoryRegion *region, uint64_t offset);
/* ROM device: true: reads come from memory; false: from ops. */
void memory_region_rom_device_set_romd(MemoryRegion *region, bool romd);

/* Writes of `size` bytes (0: any) at offset, of value `data` if match_data, set notifier's fd. */
void memory_region_add_eventfd(MemoryRegion *region, uint64_t offset, unsigned size,
                               bool match_data, uint64_t data, EventNotifier *notifier);
void memory_region_del_eventfd(MemoryRegion *region, uint64_t offset, unsigned size,
                               bool match_data, uint64_t data, EventNotifier *notifier);
/* Writes may be buffered by the accelerator until the next exit (coalesced MMIO). */
void memory_region_set_coalescing(MemoryRegion *region, uint64_t offset, uint64_t size, bool on);

/* Dirty logging. Each client has its own bitmap; one bit per 4 KiB page. */
typedef enum DirtyClient { DIRTY_VGA, DIRTY_CODE, DIRTY_MIGRATION, DIRTY__MAX } DirtyClient;
/* Every page is clean for the client when its log starts. */
void memory_region_set_log(MemoryRegion *region, DirtyClient client, bool on);
/* Any thread. */
void memory_region_set_dirty(MemoryRegion *region, uint64_t offset, uint64_t size);
/*
 * Must a write by the accelerator to this part be noted by memory_region_set_dirty(), because a
 * client logs the region and has not been told yet? (DIRTY_CODE is not asked.) Any thread.
 */
bool memory_region_wants_dirty(const MemoryRegion *region, uint64_t offset, uint64_t size);
/*
 * Pull from the accelerator, then copy and clear the bits of the pages that [offset, offset+size)
 * touches into bitmap, whose bit 0 is the first of them.
 */
void memory_region_snapshot_dirty(MemoryRegion *region, DirtyClient client, uint64_t offset,
                                  uint64_t size, unsigned long *bitmap);
bool memory_region_test_dirty(MemoryRegion *region, DirtyClient client, uint64_t offset,
                              uint64_t size);

/* Address spaces. */
AddressSpace *address_space_new(MemoryRegion *root, const char *name);
void address_space_free(AddressSpace *as);

/*
 * Copy len bytes, wrapping at 2^64. The result ORs what happened along the way; unassigned reads
 * fill with 0xff.
 */
MemResult address_space_read(AddressSpace *as, uint64_t addr, void *buf, uint64_t len);
MemResult address_space_write(AddressSpace *as, uint64_t addr, const void *buf, uint64_t len);
/* Write even to ROM (loaders, debuggers). I/O regions are skipped. */
MemResult address_space_write_rom(AddressSpace *as, uint64_t addr, const void *buf, uint64_t len);
/* One access of 1, 2, 4 or 8 bytes, as a CPU makes it (little-endian guest). */
MemResult address_space_load(AddressSpace *as, uint64_t addr, unsigned size, uint64_t *value);
MemResult address_space_store(AddressSpace *as, uint64_t addr, unsigned size, uint64_t value);
/* I/O regions take at most 4096 bytes of it. */
MemResult address_space_set(AddressSpace *as, uint64_t addr, uint8_t byte, uint64_t len);
bool address_space_is_ram(AddressSpace *as, uint64_t addr, uint64_t len);

/*
 * Direct access to RAM for a time: *len shrinks to what is contiguous. NULL if the address is not
 * RAM (or is ROM and is_write). Any thread. unmap marks dirty what was written and drops the
 * region's reference.
 */
void *address_space_map(AddressSpace *as, uint64_t addr, uint64_t *len, bool is_write);
void address_space_unmap(AddressSpace *as, void *host, uint64_t len, bool is_write,
                         uint64_t written);

/* Where the guest sees this byte of its RAM; false: nowhere. Any thread. */
bool address_space_host_address(AddressSpace *as, const void *host, uint64_t *addr);

/*
 * Where an address leads: region (referenced by RCU only: valid inside the caller's RCU read
 * section), offset within it and the contiguous length. NULL if unassigned.
 */
MemoryRegion *address_space_translate(AddressSpace *as, uint64_t addr, uint64_t *offset,
                                      uint64_t *len);

/*
 * The whole range around an address that leads to one region: what a software CPU's TLB keeps.
 * False if unassigned. As above, valid inside the caller's RCU read section.
 */
typedef struct MemoryPlace {
    MemoryRegion *region;
    uint64_t first, last; /* addresses, both inclusive */
    uint64_t offset;      /* of first in region */
    uint8_t *read;        /* host address of first; NULL: reads are not copies from memory */
    uint8_t *write;       /* the same for writes */
} MemoryPlace;
bool address_space_find(AddressSpace *as, uint64_t addr, MemoryPlace *place);

/* What listeners see. Ranges never overlap; del comes before add for a changed range. */
typedef struct MemorySection {
    AddressSpace *as;
    MemoryRegion *region;
    uint64_t addr;   /* in the address space */
    uint64_t size;   /* 0: 2^64; for eventfds: of the access, 0: any */
    uint64_t offset; /* in region */
    bool readonly;   /* the guest's writes must not reach the memory */
    bool romd;       /* rom device in read mode, RAM or ROM: memory can be mapped */
} MemorySection;

typedef struct MemoryListener MemoryListener;
struct MemoryListener {
    const char *name;
    int priority; /* adds run from low to high, dels from high to low */
    void (*begin)(MemoryListener *listener);
    void (*commit)(MemoryListener *listener);
    void (*region_add)(MemoryListener *listener, const MemorySection *section);
    void (*region_del)(MemoryListener *listener, const MemorySection *section);
    void (*log_start)(MemoryListener *listener, const MemorySection *section);
    void (*log_stop)(MemoryListener *listener, const MemorySection *section);
    /* Fetch dirty bits into memory_region_set_dirty(). */
    void (*log_sync)(MemoryListener *listener, const MemorySection *section);
    /* Bits were handed out and cleared: writes to the section must be noticed again from now on. */
    void (*log_clear)(MemoryListener *listener, const MemorySection *section);
    void (*eventfd_add)(MemoryListener *listener, const MemorySection *section, bool match_data,
                        uint64_t data, EventNotifier *notifier); /* section: exact addr and size */
    void (*eventfd_del)(MemoryListener *listener, const MemorySection *section, bool match_data,
                        uint64_t data, EventNotifier *notifier);
    void (*coalesced_add)(MemoryListener *listener, const MemorySection *section);
    void (*coalesced_del)(MemoryListener *listener, const MemorySection *section);
    /*
     * Something will be freed when all RCU readers have left their sections. Who stays in one for
     * long without end (a CPU that runs guest code in it) sees to it that it is left now and then
     * until an own call_rcu(), made from here, is through. VM lock held.
     */
    void (*grace)(MemoryListener *listener);
    GList link; /* private */
    AddressSpace *as;
};
/* Borrowed until unregistered; told at once about everything that is there. */
void memory_listener_register(MemoryListener *listener, AddressSpace *as);
void memory_listener_unregister(MemoryListener *listener);

/*
 * The two spaces of a PC. Made by memory_init() before any device, on the main thread; the roots
 * are containers of 2^64 and 64 KiB. memory_cleanup() waits for every reader: other threads that
 * use memory have ended.
 */
void memory_init(void);
void memory_cleanup(void);
AddressSpace *address_space_memory(void);
AddressSpace *address_space_io(void);
MemoryRegion *memory_system(void);
MemoryRegion *memory_io(void);
/*
 * What CPUs in system management mode see. A board with SMM calls memory_smm_init() once, before
 * it creates CPUs, and lets its chipset put SMRAM into the container that this returns, with a
 * positive priority over memory_system(), which shows everywhere else. On other boards
 * address_space_smm() is address_space_memory(). Any thread.
 */
MemoryRegion *memory_smm_init(void);
AddressSpace *address_space_smm(void);

/* `info mtree`: the tree or (flat) the flattened view, as text lines. The caller's. */
char *memory_describe(bool flat, bool owners);

#endif
