/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linear to physical translation by walking a CPU's page tables as SDM vol. 3, chapter 4 lays them
 * out, for debuggers and the monitor. Nothing is checked but presence, and no accessed bits are
 * set.
 */
#include "accel/accel.h"
#include "memory/memory.h"
#include "util/bits.h"

#define CR0_PG BIT(31)
#define CR4_PSE BIT(4)
#define CR4_PAE BIT(5)
#define CR4_LA57 BIT(12)
#define EFER_LMA BIT(10)
#define PTE_P BIT(0)
#define PTE_PS BIT(7)
#define PTE_ADDR_MASK MASK_ULL(51, 12)

/* How one paging mode divides a linear address. */
typedef struct PagingMode {
    unsigned levels, entry_size, bits_per_level;
} PagingMode;

static bool read_entry(uint64_t addr, unsigned size, uint64_t *entry)
{
    return address_space_load(address_space_memory(), addr, size, entry) == MEM_OK &&
           (*entry & PTE_P);
}

/* The physical address that a leaf entry gives; 4 MiB pages of 32-bit paging carry bits 32..39
   low. */
static uint64_t leaf_address(const PagingMode *mode, uint64_t entry, uint64_t linear,
                             unsigned shift)
{
    uint64_t offset = linear & (BIT_ULL(shift) - 1);

    if (mode->entry_size == 4 && shift == 22) {
        return ((entry & MASK_ULL(31, 22)) | extract64(entry, 13, 8) << 32) + offset;
    }
    return (entry & PTE_ADDR_MASK & ~(BIT_ULL(shift) - 1)) + offset;
}

static bool walk(const X86CpuState *state, const PagingMode *mode, uint64_t linear,
                 uint64_t *physical)
{
    uint64_t table = state->cr3 & (mode->entry_size == 4 ? MASK_ULL(31, 12) : PTE_ADDR_MASK);
    bool pae32 = mode->entry_size == 8 && mode->levels == 3;

    if (pae32) {
        table = state->cr3 & MASK_ULL(31, 5);
    }
    for (unsigned level = mode->levels; level > 0; level--) {
        unsigned shift = 12 + (level - 1) * mode->bits_per_level;
        uint64_t index = extract64(linear, shift, mode->bits_per_level);
        uint64_t entry;
        bool may_be_large;

        if (!read_entry(table + index * mode->entry_size, mode->entry_size, &entry)) {
            return false;
        }
        may_be_large = mode->entry_size == 4 ? level == 2 && (state->cr4 & CR4_PSE) :
                       level == 2 || (level == 3 && !pae32);
        if (level == 1 || (may_be_large && (entry & PTE_PS))) {
            *physical = leaf_address(mode, entry, linear, shift);
            return true;
        }
        table = entry & (mode->entry_size == 4 ? MASK_ULL(31, 12) : PTE_ADDR_MASK);
    }
    return false;
}

bool vcpu_translate(VCpu *cpu, uint64_t linear, uint64_t *physical)
{
    static const PagingMode legacy = { 2, 4, 10 }, pae = { 3, 8, 9 }, four = { 4, 8, 9 },
                            five = { 5, 8, 9 };
    const X86CpuState *state = &cpu->state;
    const PagingMode *mode = &legacy;

    if (!vcpu_sync_state(cpu, NULL)) {
        return false;
    }
    if (!(state->efer & EFER_LMA)) {
        linear = (uint32_t)linear;
    }
    if (!(state->cr0 & CR0_PG)) {
        *physical = linear;
        return true;
    }
    if (state->efer & EFER_LMA) {
        mode = state->cr4 & CR4_LA57 ? &five : &four;
    } else if (state->cr4 & CR4_PAE) {
        mode = &pae;
    }
    return walk(state, mode, linear, physical);
}
