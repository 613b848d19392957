/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Machines (boards). A board is a type below "machine"; -machine properties are its properties.
 * system/ fills the MachineConfig part from the command line, selects the accelerator, and calls
 * the board's init, which creates CPUs and devices. There is one: machine_current().
 */
#ifndef VIREO_HW_CORE_MACHINE_H
#define VIREO_HW_CORE_MACHINE_H

#include "accel/accel.h"
#include "hw/core/device.h"
#include "memory/memory.h"
#include "util/host-cpus.h"
#include "util/timer.h"

#define TYPE_MACHINE "machine" /* types are named "<board>-machine" */
#define MAX_CPUS 288
#define MAX_NUMA_NODES 128

typedef struct Machine Machine;

typedef struct NumaNode {
    bool present;
    uint64_t mem;              /* bytes */
    char *memdev;              /* backend id, or NULL */
    GArray *cpus;              /* unsigned cpu indexes */
    uint8_t distance[MAX_NUMA_NODES]; /* 0: unset (10 to itself, 20 else) */
} NumaNode;

typedef struct SmpConfig {
    unsigned cpus, max_cpus;
    unsigned sockets, dies, cores, threads;
} SmpConfig;

typedef struct BootConfig {
    char *order, *once;   /* letters a c d n */
    bool menu, strict, menu_set;
    char *splash;
    int64_t splash_time, reboot_timeout; /* -1: unset */
} BootConfig;

/* Where memory devices go: above all RAM. */
typedef struct DeviceMemory {
    MemoryRegion *region; /* a container; NULL: there is no such place */
    uint64_t base, size;
    uint64_t plugged;     /* bytes of memory in it */
} DeviceMemory;

/* Devices without a bus of their own (CPUs, memory) in a running machine. */
typedef struct MachineHotplugOps {
    /* Before the device is realized: may it come? */
    bool (*check)(Machine *machine, Device *dev, GError **error);
    /* It is there and has been reset: tell the guest. */
    void (*plugged)(Machine *machine, Device *dev);
    /* Ask the guest to let it go; device_delete() follows when it does. */
    bool (*unplug_request)(Machine *machine, Device *dev, GError **error);
    /* Append an ACPIOSTInfo for every place. */
    void (*ospm_status)(Machine *machine, GPtrArray *list);
} MachineHotplugOps;

typedef struct MachineOps {
    const char *alias;           /* "pc" for "pc-i440fx-7.2" */
    bool is_default;
    unsigned max_cpus;
    const char *default_cpu;     /* "qemu64" */
    uint64_t default_ram_size;
    const char *default_ram_id;  /* "pc.ram" */
    bool no_serial, no_parallel, no_floppy, no_cdrom; /* defaults it lacks */
    bool no_firmware_default;
    const char *default_display;
    const char *default_nic;     /* "e1000"; NULL: no network unless it is asked for */
    const char *default_drive_interface; /* -drive without if=: "ide"; NULL: "none" */
    AccelIrqchip default_irqchip;
    bool needs_pit;
    bool memory_devices;         /* -m slots=,maxmem= make room for them */
    const char *deprecation;     /* or NULL */
    /*
     * Map RAM and firmware, and no device. A transaction of its own, before any CPU exists: an
     * accelerator takes memory fastest while it has nothing else. NULL: init maps RAM too.
     */
    bool (*map_memory)(Machine *machine, GError **error);
    /* Create everything but -device devices. */
    bool (*init)(Machine *machine, GError **error);
    /* After -device: ACPI tables, fw_cfg items, option ROMs. */
    bool (*done)(Machine *machine, GError **error);
    void (*reset)(Machine *machine); /* NULL: reset_all_devices() */
    /* What describes the machine to guests without ACPI; the caller's. NULL: nothing does. */
    GBytes *(*device_tree)(Machine *machine, GError **error);
    bool (*nmi)(Machine *machine, GError **error); /* inject-nmi; NULL: to all CPUs */
    const MachineHotplugOps *hotplug; /* NULL: only devices on buses come and go */
} MachineOps;

struct Machine {
    Object parent_obj;
    const MachineOps *ops;
    /* configuration */
    uint64_t ram_size, max_ram_size;
    unsigned ram_slots;
    char *memory_backend;        /* id, or NULL */
    MemoryRegion *ram;           /* main RAM; made by system/ before init */
    DeviceMemory device_memory;  /* made by the board */
    SmpConfig smp;
    GHashTable *vcpu_pins;       /* index -> HostCpus*: where vCPUs run, also those not made yet */
    X86CpuConfig *cpu_config;
    char *kernel, *initrd, *append, *dtb, *dumpdtb, *firmware; /* paths; NULL if not given */
    BootConfig boot;
    NumaNode numa[MAX_NUMA_NODES];
    unsigned numa_nodes;
    char *vga;                   /* display device of -vga, or NULL for none */
    bool graphics, usb, mem_merge, dump_guest_core;
    bool rtc_utc;
    int64_t rtc_start;           /* seconds since the epoch, or -1 for now */
    VmClock rtc_clock;
    int irqchip;                 /* kernel-irqchip property: -1 unset or AccelIrqchip */
    char *serial[4];             /* chardev ids from -serial and -parallel; NULL: no such port */
    char *parallel[3];
    GPtrArray *acpi_tables;      /* GBytes*, from -acpitable */
    GPtrArray *smbios_options;   /* json_object*, from -smbios */
    GPtrArray *fw_cfg_options;   /* json_object*, from -fw_cfg */
    GPtrArray *option_roms;      /* char*: file names, from -option-rom */
    char *vm_name;
    uint8_t uuid[16];
    bool uuid_set;
    void *fw_cfg;                /* FwCfg*, or NULL (hw/core cannot name it) */
    void *balloon;               /* VirtioBalloon*, or NULL (likewise) */
};

/*
 * Let a vCPU's thread run on these host CPUs only, now or when it is plugged in; an empty set:
 * wherever the process may.
 */
bool machine_pin_vcpu(Machine *machine, unsigned index, const HostCpus *cpus, GError **error);
/* A vCPU was made: put it where it belongs. Nobody reports what fails: it was checked before. */
void machine_place_vcpu(const Machine *machine, unsigned index);

Machine *machine_current(void);
void machine_set_current(Machine *machine);
const MachineOps *machine_ops(const Machine *machine);

#endif
