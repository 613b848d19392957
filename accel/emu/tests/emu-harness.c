/* SPDX-License-Identifier: Apache-2.0 */
#include "accel/emu/tests/emu-harness.h"

#include <string.h>

#include "accel/emu/block.h"
#include "accel/emu/exec.h"
#include "util/error.h"
#include "util/vm-lock.h"

/* An exception that none is. */
#define VECTOR_NONE 0xff

static void make_cpus(EmuHarness *harness, unsigned cpus)
{
    static const X86Topology topology = { 1, 1, 1, 1 };
    GError *error = NULL;

    for (unsigned i = 0; i < cpus; i++) {
        harness->vcpus[i] = vcpu_new(NULL, i, i, harness->config, &topology, &error);
        g_assert_no_error(error);
        harness->cpus[i] = emu_cpu(harness->vcpus[i]);
        harness->count++;
        emu_harness_set_mode(harness->cpus[i], EMU_HARNESS_REAL16);
    }
    harness->cpu = harness->cpus[0];
}

EmuHarness *emu_harness_new(unsigned cpus, const char *model)
{
    static const char *const list[] = { "emu", NULL };
    static const AccelConfig accel_config = { .max_cpus = EMU_HARNESS_CPUS };
    EmuHarness *harness = g_new0(EmuHarness, 1);
    g_autofree X86AccelCaps *caps = g_new0(X86AccelCaps, 1);
    GError *error = NULL;

    g_assert(cpus && cpus <= EMU_HARNESS_CPUS);
    vm_lock();
    memory_init();
    harness->ram = memory_region_new_ram(NULL, "ram", EMU_HARNESS_RAM, &error);
    g_assert_no_error(error);
    harness->bytes = memory_region_ram_ptr(harness->ram);
    memory_region_add(memory_system(), 0, harness->ram);
    g_assert_true(accel_select(list, &accel_config, false, &error));
    g_assert_true(accel_ops()->cpu_caps(accel_current(), caps, &error));
    harness->config = x86_cpu_config_new(model ? model : "max", caps, &error);
    g_assert_no_error(error);
    make_cpus(harness, cpus);
    return harness;
}

void emu_harness_free(EmuHarness *harness)
{
    for (unsigned i = 0; i < harness->count; i++) {
        vcpu_free(harness->vcpus[i]);
    }
    x86_cpu_config_unref(harness->config);
    memory_region_remove(memory_system(), harness->ram);
    memory_region_free(harness->ram);
    accel_cleanup();
    memory_cleanup();
    vm_unlock();
    g_free(harness);
}

/* ---- Modes ---- */

static void set_segments(EmuCpu *cpu, uint32_t code, uint32_t data, uint32_t limit)
{
    for (unsigned i = X86_ES; i <= X86_GS; i++) {
        cpu->segs[i] = (X86Segment){ .limit = limit, .attr = i == X86_CS ? code : data };
    }
    cpu->segs[X86_LDTR] = (X86Segment){ .attr = SEG_UNUSABLE };
    cpu->segs[X86_TR] = (X86Segment){ .limit = 0xffff, .attr = 0x8b };
}

/* Three tables in a row: PML4, PDPT, PD with pages of 2 MiB. */
static void map_low_memory(void)
{
    uint64_t pml4 = EMU_HARNESS_TABLES, pdpt = pml4 + EMU_PAGE_SIZE;
    uint64_t pd = pdpt + EMU_PAGE_SIZE, entry;
    AddressSpace *as = address_space_memory();

    entry = pdpt | 7;
    address_space_write(as, pml4, &entry, sizeof(entry));
    entry = pd | 7;
    address_space_write(as, pdpt, &entry, sizeof(entry));
    for (unsigned i = 0; i < EMU_HARNESS_RAM / (2 * MiB); i++) {
        entry = i * 2 * MiB | 0x87;
        address_space_write(as, pd + i * sizeof(entry), &entry, sizeof(entry));
    }
}

static void set_long_mode(EmuCpu *cpu)
{
    map_low_memory();
    cpu->cr3 = EMU_HARNESS_TABLES;
    cpu->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
    cpu->xcr0 = 7;
    cpu->efer = EFER_LME | EFER_LMA | EFER_NXE | EFER_SCE;
    cpu->cr0 |= CR0_PG | CR0_WP;
}

void emu_harness_set_mode(EmuCpu *cpu, EmuHarnessMode mode)
{
    uint32_t present = SEG_P | SEG_S | SEG_ACCESSED | SEG_WRITABLE;
    uint32_t size = SEG_G | SEG_DB;

    cpu->cr0 = CR0_ET | CR0_NE | CR0_MP;
    cpu->cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT;
    cpu->efer = 0;
    cpu->rflags = FLAG_ONE;
    cpu->mxcsr = 0x1f80;
    cpu->fpu.fcw = 0x37f;
    switch (mode) {
    case EMU_HARNESS_REAL16:
        set_segments(cpu, present | SEG_CODE, present, 0xffff);
        break;
    case EMU_HARNESS_PROT16:
        size = SEG_G;
        /* fall through */
    case EMU_HARNESS_PROT32:
        cpu->cr0 |= CR0_PE;
        set_segments(cpu, present | SEG_CODE | size, present | size, UINT32_MAX);
        break;
    case EMU_HARNESS_USER64:
        present |= SEG_DPL;
        /* fall through */
    case EMU_HARNESS_LONG64:
        cpu->cr0 |= CR0_PE;
        set_segments(cpu, present | SEG_CODE | SEG_L | SEG_G, present | size, UINT32_MAX);
        set_long_mode(cpu);
        break;
    }
    emu_update_mode(cpu);
    emu_tlb_flush_all(cpu);
}

void emu_harness_set_handler(EmuHarness *harness, unsigned vector, const uint8_t *handler,
                             size_t len)
{
    enum { GDT = 0x2000, IDT = 0x3000 };
    static const uint64_t gdt[] = { 0, 0x00af9b000000ffff, 0x00cf93000000ffff };
    const uint64_t gate[] = { 0x8e0000080000 | EMU_HARNESS_HANDLER, 0 };
    EmuCpu *cpu = harness->cpu;

    memcpy(harness->bytes + GDT, gdt, sizeof(gdt));
    memcpy(harness->bytes + IDT + vector * sizeof(gate), gate, sizeof(gate));
    memcpy(harness->bytes + EMU_HARNESS_HANDLER, handler, len);
    cpu->gdt = (X86Table) { .base = GDT, .limit = sizeof(gdt) - 1 };
    cpu->idt = (X86Table) { .base = IDT, .limit = 0xfff };
    cpu->segs[X86_CS].selector = 8;
    cpu->segs[X86_SS].selector = 16;
    cpu->regs[X86_RSP] = EMU_HARNESS_STACK;
}

/* ---- Running ---- */

bool emu_harness_try(EmuCpu *cpu, void (*fn)(EmuCpu *cpu, void *opaque), void *opaque,
                     EmuFault *fault)
{
    int how;

    emu_guest_enter(cpu);
    how = sigsetjmp(cpu->escape, 0);
    if (!how) {
        fn(cpu, opaque);
    } else {
        *fault = cpu->fault;
        if (how != EMU_EXIT_FAULT) {
            fault->vector = VECTOR_NONE;
        }
        if (cpu->op) {
            cpu->rip = emu_mask_ip(cpu, emu_op_rip(cpu, cpu->op));
        }
        cpu->op = NULL;
        cpu->block = NULL;
    }
    emu_guest_leave(cpu);
    return !how;
}

static void run_instructions(EmuCpu *cpu, void *opaque)
{
    for (unsigned left = *(const unsigned *)opaque; left; left--) {
        EmuBlock *block = emu_block_lookup_single(cpu);

        cpu->shadow = 0;
        cpu->block = block;
        cpu->op = block->ops;
        block->ops[0].fn(cpu, block->ops);
        cpu->op = NULL;
        cpu->block = NULL;
        emu_serve_requests(cpu);
    }
}

bool emu_harness_run(EmuHarness *harness, EmuCpu *cpu, const void *code, size_t len,
                     unsigned instructions, EmuFault *fault)
{
    /* As a device would, so that blocks of an earlier run go. */
    address_space_write(address_space_memory(), EMU_HARNESS_CODE, code, len);
    emu_serve_requests(cpu);
    cpu->rip = EMU_HARNESS_CODE;
    return emu_harness_try(cpu, run_instructions, &instructions, fault);
}

bool emu_harness_run_to_halt(EmuCpu *cpu)
{
    cpu->halted = cpu->vcpu->halted = false;
    for (unsigned turn = 0; turn < 1000 && !cpu->halted; turn++) {
        cpu->vcpu->exit_request = false;
        emu_run(cpu->vcpu);
    }
    return cpu->halted;
}
