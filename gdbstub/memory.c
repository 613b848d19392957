/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory for the debugger: by linear addresses through the CPU's page tables, page by page.
 * ROM can be written. Devices can too, with all that follows.
 */
#include <string.h>

#include "gdbstub/internal.h"
#include "util/rcu.h"

#define PAGE_BYTES 4096u

AddressSpace *gdb_address_space(VCpu *cpu)
{
    bool in_smm = vcpu_sync_state(cpu, NULL) && cpu->state.events.in_smm;

    return in_smm ? address_space_smm() : address_space_memory();
}

/* Is it memory (ROM included)? False: a device, or nothing. */
static bool is_memory(AddressSpace *as, uint64_t physical)
{
    MemoryPlace place;
    bool found;

    rcu_read_lock();
    found = address_space_find(as, physical, &place) && place.read;
    rcu_read_unlock();
    return found;
}

/* The bytes under our INT3s, from or to the copy of memory at physical. */
static void exchange_patched(GdbStub *stub, AddressSpace *as, uint64_t physical, uint8_t *buf,
                             size_t len, bool is_write)
{
    for (unsigned i = 0; i < stub->breakpoints->len; i++) {
        GdbBreakpoint *point = &g_array_index(stub->breakpoints, GdbBreakpoint, i);
        uint64_t at = point->physical - physical;

        if (!point->patched || point->as != as || at >= len) {
            continue;
        }
        if (is_write) {
            uint8_t int3 = buf[at];

            buf[at] = 0xcc;
            point->original = int3;
        } else {
            buf[at] = point->original;
        }
    }
}

static bool read_physical(GdbStub *stub, AddressSpace *as, uint64_t physical, uint8_t *buf,
                          size_t len)
{
    if (address_space_read(as, physical, buf, len) != MEM_OK) {
        return false;
    }
    exchange_patched(stub, as, physical, buf, len, false);
    return true;
}

static bool write_physical(GdbStub *stub, AddressSpace *as, uint64_t physical, const uint8_t *data,
                           size_t len)
{
    uint8_t buf[PAGE_BYTES];

    if (!is_memory(as, physical)) {
        return address_space_write(as, physical, data, len) == MEM_OK;
    }
    memcpy(buf, data, len);
    exchange_patched(stub, as, physical, buf, len, true);
    return address_space_write_rom(as, physical, buf, len) == MEM_OK;
}

/* Calls for each page; exactly one of in and out is not NULL. */
static bool access_pages(GdbStub *stub, VCpu *cpu, uint64_t address, uint8_t *out,
                         const uint8_t *in, size_t len)
{
    AddressSpace *as = gdb_address_space(cpu);

    while (len > 0) {
        size_t part = MIN(len, PAGE_BYTES - address % PAGE_BYTES);
        uint64_t physical = address;

        if (!stub->physical && !vcpu_translate(cpu, address, &physical)) {
            return false;
        }
        if (out ? !read_physical(stub, as, physical, out, part)
                : !write_physical(stub, as, physical, in, part)) {
            return false;
        }
        address += part;
        out = out ? out + part : NULL;
        in = in ? in + part : NULL;
        len -= part;
    }
    return true;
}

bool gdb_memory_read(GdbStub *stub, VCpu *cpu, uint64_t address, uint8_t *buf, size_t len)
{
    return access_pages(stub, cpu, address, buf, NULL, len);
}

bool gdb_memory_write(GdbStub *stub, VCpu *cpu, uint64_t address, const uint8_t *buf, size_t len)
{
    return access_pages(stub, cpu, address, NULL, buf, len);
}
