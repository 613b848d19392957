/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Physical memory as the CPU sees it now: through the A20 gate and, in system management mode,
 * SMM's view.
 *
 * RAM and ROM are reached through host addresses; the thread is in an RCU read section while it
 * runs guest code, so they last. Everything else goes through memory/, outside of guest code, as
 * the device may wait for the VM lock.
 */
#include "accel/emu/exec.h"
#include "accel/emu/check.h"

AddressSpace *emu_address_space(const EmuCpu *cpu)
{
    return cpu->in_smm ? address_space_smm() : address_space_memory();
}

/* Host pages must be whole, and aligned: they name code, and atomic operations work on them. */
static bool holds_page(const MemoryPlace *place, uint64_t physical)
{
    uint64_t page = physical & EMU_PAGE_MASK;

    return place->read && page >= place->first && place->last - page >= EMU_PAGE_SIZE - 1 &&
           place->last >= page;
}

static const MemoryPlace *find_place(EmuCpu *cpu, uint64_t physical)
{
    EmuTlb2 *tlb2 = cpu->tlb.second;
    MemoryPlace *place = &tlb2->places[tlb2->next_place % EMU_PLACES];
    MemoryPlace found;

    if (!address_space_find(emu_address_space(cpu), physical, &found) ||
        !holds_page(&found, physical) ||
        !IS_ALIGNED((uintptr_t)found.read - found.first, EMU_PAGE_SIZE)) {
        return NULL;
    }
    tlb2->next_place++;
    *place = found;
    return place;
}

const MemoryPlace *emu_place(EmuCpu *cpu, uint64_t physical)
{
    EmuTlb2 *tlb2 = cpu->tlb.second;

    for (unsigned i = 0; i < EMU_PLACES; i++) {
        if (EMU_LIKELY(holds_page(&tlb2->places[i], physical))) {
            return &tlb2->places[i];
        }
    }
    return find_place(cpu, physical);
}

/* Where an access goes: there, or to the page's shadow. */
static const MemoryPlace *access_place(EmuCpu *cpu, uint64_t physical)
{
    const MemoryPlace *shadow = cpu->check ? emu_check_place(cpu->check, physical) : NULL;

    return EMU_UNLIKELY(shadow) ? shadow : emu_place(cpu, physical);
}

void emu_forget_places(EmuCpu *cpu)
{
    memset(cpu->tlb.second->places, 0, sizeof(cpu->tlb.second->places));
}

/* ---- What is more than a copy ---- */

/* Resetting and loading a CPU's state happens outside. */
static void leave_guest(EmuCpu *cpu, bool inside)
{
    if (EMU_UNLIKELY(cpu->check)) {
        emu_check_before_io(cpu);
    }
    if (inside) {
        emu_guest_leave(cpu);
    }
}

static void enter_guest(EmuCpu *cpu, bool inside)
{
    if (inside) {
        emu_guest_enter(cpu);
    }
}

uint64_t emu_mmio_read(EmuCpu *cpu, uint64_t physical, unsigned size)
{
    AddressSpace *as = emu_address_space(cpu);
    bool inside = cpu->in_guest;
    uint64_t value = 0;

    leave_guest(cpu, inside);
    address_space_load(as, physical, size, &value);
    enter_guest(cpu, inside);
    return value;
}

void emu_mmio_write(EmuCpu *cpu, uint64_t physical, uint64_t value, unsigned size)
{
    AddressSpace *as = emu_address_space(cpu);
    bool inside = cpu->in_guest;

    leave_guest(cpu, inside);
    address_space_store(as, physical, size, value);
    enter_guest(cpu, inside);
}

/* ---- Single values ---- */

uint64_t emu_phys_read(EmuCpu *cpu, uint64_t physical, unsigned size)
{
    uint64_t value = 0;
    const MemoryPlace *place;

    physical &= accel_a20_mask();
    place = access_place(cpu, physical);
    if (EMU_UNLIKELY((physical & ~EMU_PAGE_MASK) + size > EMU_PAGE_SIZE)) {
        unsigned first = EMU_PAGE_SIZE - (physical & ~EMU_PAGE_MASK);

        emu_phys_read_bytes(cpu, physical, &value, first);
        emu_phys_read_bytes(cpu, physical + first, (uint8_t *)&value + first, size - first);
        return value;
    }
    return place ? emu_host_load(place->read + (physical - place->first), size) :
                   emu_mmio_read(cpu, physical, size);
}

void emu_phys_write(EmuCpu *cpu, uint64_t physical, uint64_t value, unsigned size)
{
    const MemoryPlace *place;

    physical &= accel_a20_mask();
    if (EMU_UNLIKELY((physical & ~EMU_PAGE_MASK) + size > EMU_PAGE_SIZE)) {
        unsigned first = EMU_PAGE_SIZE - (physical & ~EMU_PAGE_MASK);

        emu_phys_write_bytes(cpu, physical, &value, first);
        emu_phys_write_bytes(cpu, physical + first, (uint8_t *)&value + first, size - first);
        return;
    }
    place = access_place(cpu, physical);
    if (place && place->write) {
        emu_host_store(place->write + (physical - place->first), value, size);
        emu_phys_note_write(cpu, physical, size);
    } else {
        emu_mmio_write(cpu, physical, value, size);
    }
}

void emu_phys_read_bytes(EmuCpu *cpu, uint64_t physical, void *buf, unsigned len)
{
    AddressSpace *as = emu_address_space(cpu);
    bool inside = cpu->in_guest;
    const MemoryPlace *place;

    physical &= accel_a20_mask();
    place = access_place(cpu, physical);
    if (place) {
        memcpy(buf, place->read + (physical - place->first), len);
        return;
    }
    leave_guest(cpu, inside);
    address_space_read(as, physical, buf, len);
    enter_guest(cpu, inside);
}

/* ---- Entries of paging structures ---- */

static bool exchange(uint8_t *host, unsigned size, uint64_t old, uint64_t new_)
{
    uint32_t old32 = old;

    if (size == 8) {
        return __atomic_compare_exchange_n((uint64_t *)(void *)host, &old, new_, false,
                                           __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    }
    return __atomic_compare_exchange_n((uint32_t *)(void *)host, &old32, new_, false,
                                       __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

bool emu_phys_update(EmuCpu *cpu, uint64_t physical, unsigned size, uint64_t old, uint64_t new_)
{
    const MemoryPlace *place;

    physical &= accel_a20_mask();
    place = access_place(cpu, physical);
    if (!place || !place->write) {
        emu_phys_write(cpu, physical, new_, size);
        return true;
    }
    if (!exchange(place->write + (physical - place->first), size, old, new_)) {
        return false;
    }
    emu_phys_note_write(cpu, physical, size);
    return true;
}

/* The fence: either who decodes the page sees the write, or this sees that somebody decodes it. */
static void note_write(EmuCpu *cpu, MemoryRegion *region, uint64_t offset, const EmuCodeMap *code,
                       const uint8_t *host, unsigned len)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (EMU_UNLIKELY(emu_code_map_has(code, offset))) {
        emu_code_page_written(cpu, (uintptr_t)host, len);
    }
    if (EMU_UNLIKELY(memory_region_wants_dirty(region, offset, len))) {
        memory_region_set_dirty(region, offset, len);
    }
}

void emu_note_write(EmuCpu *cpu, const EmuPage *page, unsigned offset, unsigned len)
{
    note_write(cpu, page->region, page->offset + offset, page->code, page->write + offset, len);
}

void emu_phys_note_write(EmuCpu *cpu, uint64_t physical, unsigned len)
{
    const MemoryPlace *place = access_place(cpu, physical);

    if (place && place->write) {
        uint64_t in_place = physical - place->first;

        note_write(cpu, place->region, place->offset + in_place, emu_code_map(place->region),
                   place->write + in_place, len);
    }
}

bool emu_phys_is_ram(EmuCpu *cpu, uint64_t physical)
{
    const MemoryPlace *place = access_place(cpu, physical);

    return place && place->write;
}

void emu_phys_write_bytes(EmuCpu *cpu, uint64_t physical, const void *buf, unsigned len)
{
    AddressSpace *as = emu_address_space(cpu);
    bool inside = cpu->in_guest;
    const MemoryPlace *place;

    physical &= accel_a20_mask();
    place = access_place(cpu, physical);
    if (place && place->write) {
        memcpy(place->write + (physical - place->first), buf, len);
        emu_phys_note_write(cpu, physical, len);
        return;
    }
    leave_guest(cpu, inside);
    address_space_write(as, physical, buf, len);
    enter_guest(cpu, inside);
}
