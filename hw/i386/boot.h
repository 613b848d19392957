/* SPDX-License-Identifier: Apache-2.0 */
/*
 * -kernel: recognising the file and getting it to run, by one of two ways.
 *
 * Through firmware: the parts go into fw_cfg, and one of our small option ROMs (hw/i386/roms/),
 * which the firmware starts, copies them into place. Directly, with no firmware: the parts are
 * written to RAM at each reset and the boot CPU starts with the registers that the boot protocol
 * asks for.
 *
 * Kinds: bzImage (Linux boot protocol 2.02 and later), ELF with a PVH note (Xen's PVH ABI),
 * multiboot 1. The file is hostile: each number in it is checked against its length and against
 * guest RAM.
 */
#ifndef VIREO_HW_I386_BOOT_H
#define VIREO_HW_I386_BOOT_H

#include "cpu/x86/cpu-state.h"
#include "hw/i386/e820.h"
#include "hw/nvram/fw_cfg.h"
#include "memory/memory.h"

typedef enum KernelKind {
    KERNEL_LINUX,     /* bzImage */
    KERNEL_PVH,       /* ELF, XEN_ELFNOTE_PHYS32_ENTRY */
    KERNEL_MULTIBOOT, /* multiboot 1 header */
} KernelKind;

typedef struct KernelConfig {
    const char *kernel; /* paths; initrd, append, dtb may be NULL */
    const char *initrd; /* multiboot: "file args,file args" */
    const char *append;
    const char *dtb;
    const E820Map *e820; /* borrowed; RAM as the guest will see it */
    /* Bytes at the top of low RAM that firmware keeps (its ACPI tables): the initrd stays below. */
    uint64_t reserved_top;
    /* Path of a boot ROM by file name, the caller's, or NULL (through firmware only). */
    char *(*find_rom)(const char *name);
    /* Direct boot: ACPI's root pointer, 0 for none; a device tree built by the board, or NULL. */
    uint64_t rsdp;
    GBytes *fdt;
} KernelConfig;

/* A range to be written at each reset. */
typedef struct BootBlob {
    uint64_t addr;
    GBytes *data;   /* owned */
    uint64_t zeros; /* bytes to clear after the data */
    char *name;     /* owned; for messages */
} BootBlob;

/* How a machine without firmware starts. */
typedef struct DirectBoot {
    GArray *blobs; /* BootBlob */
    uint64_t regs[X86_REG__MAX];
    uint64_t rip, rflags, cr0, cr3, cr4, efer;
    X86Segment cs, data, tr, ldtr; /* data: DS, ES, SS, FS, GS */
    X86Table gdt, idt;
} DirectBoot;

/*
 * Put the kernel, initrd and command line into fw_cfg, with the option ROM that starts them as the
 * first boot entry.
 */
bool kernel_boot_fw_cfg(const KernelConfig *config, FwCfg *fw, GError **error);
/* Prepare a start without firmware; NULL with error set. The caller's. */
DirectBoot *kernel_boot_direct(const KernelConfig *config, GError **error);

DirectBoot *direct_boot_new(void);
void direct_boot_free(DirectBoot *boot);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DirectBoot, direct_boot_free)
/* Takes a reference to data. */
void direct_boot_add(DirectBoot *boot, const char *name, uint64_t addr, GBytes *data);
/*
 * At each reset, after devices: write the blobs, then give the boot CPU (just reset) its
 * registers.
 */
bool direct_boot_write(const DirectBoot *boot, AddressSpace *as, GError **error);
void direct_boot_apply(const DirectBoot *boot, X86CpuState *state);

/* Which kind the file is, without loading it; false with error set if it is none. */
bool kernel_sniff(const char *path, KernelKind *kind, GError **error);

#endif
