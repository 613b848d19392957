/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A CPU's ears at the memory tree: changes of the map flush its TLB, and dirty logs that begin or
 * are read make writes slow again. Each CPU listens for itself, to ordinary memory and, on boards
 * that have it, to SMM's view.
 */
#include "accel/emu/exec.h"
#include "accel/emu/mmu.h"
#include "util/vm-lock.h"

static struct EmuMapListener *map_listener(MemoryListener *listener)
{
    return (struct EmuMapListener *)((char *)listener - offsetof(struct EmuMapListener, listener));
}

static void on_begin(MemoryListener *listener)
{
    map_listener(listener)->changed = false;
}

static void on_region_add(MemoryListener *listener, const MemorySection *section)
{
    map_listener(listener)->changed = true;
    if (memory_region_ram_block(section->region)) {
        emu_code_map(section->region);
    }
}

static void on_region_del(MemoryListener *listener, const MemorySection *section)
{
    map_listener(listener)->changed = true;
}

/* The new view is out: what is looked up from now on is right. */
static void on_commit(MemoryListener *listener)
{
    struct EmuMapListener *map = map_listener(listener);

    if (map->changed) {
        emu_request(map->cpu, EMU_REQUEST_FLUSH_TLB);
    }
}

/*
 * A store may have passed its look into the table and reach memory only after whoever reads the log
 * has copied the page; so pages that had entries count as written once more.
 */
static void on_log(MemoryListener *listener, const MemorySection *section)
{
    emu_tlb_log_writes(map_listener(listener)->cpu, section->region, section->offset,
                       section->size);
}

static void on_grace(MemoryListener *listener)
{
    emu_grace_wanted();
}

static void listen(EmuCpu *cpu, unsigned which, AddressSpace *as, const char *name)
{
    struct EmuMapListener *map = &cpu->tlb.second->listeners[which];

    map->cpu = cpu;
    map->listener = (MemoryListener){
        .name = name, .begin = on_begin, .commit = on_commit, .region_add = on_region_add,
        .region_del = on_region_del, .log_start = on_log, .log_clear = on_log,
        .grace = on_grace,
    };
    memory_listener_register(&map->listener, as);
}

void emu_listeners_register(EmuCpu *cpu)
{
    EmuTlb2 *tlb2 = cpu->tlb.second;
    VM_LOCK_GUARD();

    tlb2->code_bit = MIN(cpu->vcpu->index, 63);
    listen(cpu, 0, address_space_memory(), "emu");
    tlb2->has_smm_listener = address_space_smm() != address_space_memory();
    if (tlb2->has_smm_listener) {
        listen(cpu, 1, address_space_smm(), "emu-smm");
    }
}

void emu_listeners_unregister(EmuCpu *cpu)
{
    EmuTlb2 *tlb2 = cpu->tlb.second;
    VM_LOCK_GUARD();

    if (tlb2->has_smm_listener) {
        memory_listener_unregister(&tlb2->listeners[1].listener);
    }
    memory_listener_unregister(&tlb2->listeners[0].listener);
}
