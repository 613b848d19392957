/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all x86 boards share: CPUs, the split of RAM around the 32-bit hole, interrupt controllers
 * in the kernel or in this program, and starting a kernel with no firmware.
 */
#ifndef VIREO_HW_I386_X86_H
#define VIREO_HW_I386_X86_H

#include "hw/core/machine.h"
#include "hw/i386/acpi.h"
#include "hw/i386/boot.h"
#include "hw/i386/e820.h"
#include "hw/i386/irqchip.h"
#include "hw/isa/isa.h"
#include "hw/nvram/fw_cfg.h"
#include "hw/rtc/mc146818rtc.h"
#include "util/bits.h"

#define TYPE_X86_MACHINE "x86-machine"
#define TYPE_X86_CPU "x86_64-cpu"
/* So much of the firmware's end is also below 1 MiB. */
#define X86_ISA_BIOS_MAX (128 * KiB)

struct AcpiCpuHotplug;
struct AcpiMemoryHotplug;

typedef struct X86Machine {
    Machine parent_obj;
    int acpi, pit, pic, smm;      /* PropOnOffAuto properties */
    char *oem_id, *oem_table_id;
    uint64_t max_ram_below_4g;    /* property; 0: the board's choice */

    uint64_t below_4g, above_4g;  /* bytes of RAM on either side */
    E820Map *e820;                /* owned */
    FwCfg *fw_cfg;
    MemoryRegion *ram_low, *ram_high; /* aliases of Machine.ram */
    PcIrqChip *irqchip;           /* its gsi[]: ISA lines, then PCI's */
    Rtc *rtc;
    struct AcpiCpuHotplug *cpu_hotplug; /* NULL: CPUs neither come nor go */
    struct AcpiMemoryHotplug *memory_hotplug; /* NULL: no memory comes while the machine runs */
    DirectBoot *direct;           /* owned; NULL with firmware */
} X86Machine;

/* Which side of the hole RAM goes: at most `max_low` bytes below, rounded to a GiB when split. */
void x86_map_ram(X86Machine *machine, uint64_t max_low);
/*
 * All of smp.cpus, then the interrupt controllers as the accelerator decided (sets irqchip) with
 * the CPUs' local APICs. Also connects the ISA bus's lines. irqchip_parts: PcIrqChipParts.
 */
bool x86_create_cpus(X86Machine *machine, IsaBus *isa, unsigned irqchip_parts, GError **error);
/* The index of the CPU that a CPU's device is. */
unsigned x86_cpu_index(const Device *cpu);
/*
 * Memory that is plugged. After x86_map_ram(): an area above RAM for what maxmem= allows, with room
 * to align each slot's.
 */
bool x86_map_device_memory(X86Machine *machine, GError **error);
/* The end of RAM and of that area: what PCI may use begins here. */
uint64_t x86_memory_end(const X86Machine *machine);
/* Let firmware know of it ("etc/reserved-memory-end"), if there is such an area. */
bool x86_publish_memory_end(X86Machine *machine, GError **error);
/* Let the controller know of a module. tell: and, through it, the guest. */
void x86_memory_present(X86Machine *machine, const Device *dev, bool tell);
/* Of those that were there from the start. */
bool x86_all_memory_present(X86Machine *machine, GError **error);
/* Guests find modules through the controller: without it there can be none. */
bool x86_check_memory_hotplug(const X86Machine *machine, GError **error);
/* MachineOps.hotplug of boards that set cpu_hotplug and, for memory, memory_hotplug. */
extern const MachineHotplugOps x86_hotplug_ops;
/* Let firmware know how many CPUs there are: CMOS and fw_cfg. */
void x86_publish_cpu_count(X86Machine *machine);
/* The NUMA node of a CPU. */
unsigned x86_cpu_node(const X86Machine *machine, unsigned index);
/* smm=on where the accelerator cannot is an error; auto follows it. */
bool x86_check_smm(const X86Machine *machine, GError **error);
bool x86_has_smm(const X86Machine *machine);
typedef struct X86Timers {
    bool pit, rtc, hpet;
} X86Timers;
/* Those that are wanted, wired to each other; after the interrupt controllers. Sets rtc. */
bool x86_create_timers(X86Machine *machine, IsaBus *isa, const X86Timers *timers, GError **error);
/* APIC id of the highest possible CPU + 1. */
uint32_t x86_apic_id_limit(const X86Machine *machine);
X86Topology x86_topology(const X86Machine *machine);
/* AcpiCpu for every possible CPU; the caller's. */
AcpiCpu *x86_acpi_cpus(const X86Machine *machine);
/* NUMA memory ranges in guest-physical order; *count of them, the caller's. NULL without -numa. */
AcpiMemory *x86_numa_memory(const X86Machine *machine, unsigned *count);
/* Row-major SLIT of numa_nodes * numa_nodes; the caller's. NULL if nobody set a distance. */
uint8_t *x86_numa_distances(const X86Machine *machine);
/* Start without firmware: takes over boot; it is applied at each reset. */
void x86_set_direct_boot(X86Machine *machine, DirectBoot *boot);
/* MachineOps.nmi: LINT1 of every CPU, as the button on the front was wired. */
bool x86_inject_nmi(Machine *machine, GError **error);
/* SMBIOS tables from the machine and its -smbios options, into fw_cfg. */
bool x86_publish_smbios(X86Machine *machine, const char *product, GError **error);
/* -kernel through fw_cfg and boot ROMs. */
bool x86_load_kernel_fw_cfg(X86Machine *machine, GError **error);
/* Load `name` from the firmware search path: a ROM at the end of the first 4 GiB, its last 128 KiB
   also below 1 MiB, both inside `space`. */
bool x86_load_firmware(X86Machine *machine, MemoryRegion *space, const char *name, GError **error);
/* A serial port per -serial that has one (COM1..4). */
bool x86_create_serial(X86Machine *machine, IsaBus *isa, GError **error);
/*
 * Where the bus's devices of a type ("isa-serial", "isa-parallel") are, those of -device too, by
 * their index below max: first port, 0 for none, and IRQ. For ACPI, after -device.
 */
void x86_isa_ports(IsaBus *isa, const char *type, unsigned max, uint16_t *ports, uint8_t *irqs);
/* on_off_auto with this board's default. */
static inline bool x86_option(int value, bool def)
{
    return value == PROP_AUTO ? def : value == PROP_ON;
}

#endif
