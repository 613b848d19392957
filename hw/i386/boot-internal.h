/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel loaders share: files, places in low memory, flat register sets. */
#ifndef VIREO_HW_I386_BOOT_INTERNAL_H
#define VIREO_HW_I386_BOOT_INTERNAL_H

#include "hw/i386/boot.h"

#define BOOT_PAGE 4096ull

/*
 * Conventional memory used by us; firmware leaves it free, and there is none where we boot
 * directly.
 */
#define BOOT_GDT_ADDR 0x500        /* direct only */
#define BOOT_ZERO_PAGE_ADDR 0x7000 /* direct only: struct boot_params, 4 KiB */
#define BOOT_STACK_TOP 0x8ff0      /* direct only */
#define BOOT_PAGE_TABLES_ADDR 0x9000 /* direct only: PML4, PDPT, four page directories */
#define BOOT_SETUP_ADDR 0x10000    /* bzImage setup code, or a start information structure */
#define BOOT_CMDLINE_ADDR 0x20000
#define BOOT_CONVENTIONAL_END 0x90000
#define BOOT_HIGH_START 0x100000   /* kernels and what goes with them */

typedef struct BootFile {
    GBytes *bytes;
    const uint8_t *data;
    size_t size;
    const char *path; /* borrowed */
} BootFile;

bool boot_file_open(BootFile *file, const char *path, GError **error);
void boot_file_close(BootFile *file);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BootFile, boot_file_close)
/* Part of the file without a copy; the range must be within. */
GBytes *boot_file_slice(const BootFile *file, uint64_t offset, uint64_t size);

/* A program in guest RAM: segments by address, not overlapping RAM's end. */
typedef struct BootSegment {
    uint64_t addr;
    uint64_t mem_size; /* >= the data's size; the rest is zero */
    GBytes *data;
} BootSegment;

typedef struct BootProgram {
    GArray *segments; /* BootSegment, owned */
    uint64_t start, end; /* of all segments */
    uint64_t entry;
} BootProgram;

void boot_program_clear(BootProgram *program);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BootProgram, boot_program_clear)
/* Takes data over. Fails if the range is not wholly in the map's RAM above 1 MiB. */
bool boot_program_add(BootProgram *program, const KernelConfig *config, uint64_t addr,
                      uint64_t mem_size, GBytes *data, GError **error);
/* One piece from start to end, zeros between. */
GBytes *boot_program_flatten(const BootProgram *program);
/* Loadable segments and physical entry of an ELF file; both 32 and 64 bits if allow64. */
bool boot_elf_load(const BootFile *file, const KernelConfig *config, bool allow64,
                   BootProgram *program, GError **error);
/* Value of XEN_ELFNOTE_PHYS32_ENTRY; false if the file is no ELF or has no such note. */
bool boot_elf_pvh_entry(const BootFile *file, uint32_t *entry);
bool boot_elf_is(const BootFile *file);

bool boot_linux_is(const BootFile *file);
bool boot_multiboot_is(const BootFile *file);

/* Is [addr, addr + size) RAM of one entry of the map? */
bool boot_range_is_ram(const E820Map *map, uint64_t addr, uint64_t size);
/*
 * The highest page-aligned place for size bytes at or above floor, below limit and below
 * reserved_top. what and path name the thing in the error.
 */
bool boot_place_high(const KernelConfig *config, const char *what, uint64_t size, uint64_t floor,
                     uint64_t limit, uint64_t *addr, GError **error);

/* Each kind's two ways. */
bool boot_linux_fw_cfg(const KernelConfig *config, const BootFile *file, FwCfg *fw, GError **error);
bool boot_linux_direct(const KernelConfig *config, const BootFile *file, DirectBoot *boot,
                       GError **error);
bool boot_pvh_fw_cfg(const KernelConfig *config, const BootFile *file, FwCfg *fw, GError **error);
bool boot_pvh_direct(const KernelConfig *config, const BootFile *file, DirectBoot *boot,
                     GError **error);
bool boot_multiboot_fw_cfg(const KernelConfig *config, const BootFile *file, FwCfg *fw,
                           GError **error);
bool boot_multiboot_direct(const KernelConfig *config, const BootFile *file, DirectBoot *boot,
                           GError **error);

/* The kernel, its companions and its information structure as fw_cfg items for a 32-bit ROM. */
void boot_add_protected_items(FwCfg *fw, const BootProgram *program, uint64_t extra_addr,
                              GBytes *extra, uint64_t setup_addr, GBytes *setup);
/* The boot ROM as the first thing to boot. */
bool boot_add_rom(const KernelConfig *config, FwCfg *fw, const char *name, GError **error);
/* Segments as blobs, and 32-bit flat protected mode at the entry. */
void boot_direct_program(DirectBoot *boot, const BootProgram *program);
/* Flat segment registers; code64: long mode code. */
void boot_flat_segments(DirectBoot *boot, uint16_t code, uint16_t data, bool code64);

#endif
