/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PVH: an ELF kernel entered in 32-bit protected mode with EBX at a struct hvm_start_info (Xen
 * public headers, arch-x86/hvm/start_info.h; Xen docs/misc/pvh). The "setup" piece holds, one
 * after the other:
 *
 *   +0     hvm_start_info, version 1, 56 bytes
 *   +64    one hvm_modlist_entry (the initrd), 32 bytes
 *   +96    the memory map, hvm_memmap_table_entry of 24 bytes each
 *   then   the command line
 */
#include "hw/i386/boot-internal.h"
#include "util/bits.h"
#include "util/error.h"

#define START_MAGIC 0x336ec578u
#define MEMMAP_ENTRY_SIZE 24
#define MEMMAP_ROOM 128 /* entries left for the firmware's map */

enum {
    INFO_MAGIC = 0,
    INFO_VERSION = 4,
    INFO_NR_MODULES = 12,
    INFO_MODLIST = 16,
    INFO_CMDLINE = 24,
    INFO_RSDP = 32,
    INFO_MEMMAP = 40,
    INFO_MEMMAP_ENTRIES = 48,
    SETUP_MODULE = 64,
    SETUP_MEMMAP = 96,
    SETUP_CMDLINE = SETUP_MEMMAP + MEMMAP_ROOM * MEMMAP_ENTRY_SIZE,
};

typedef struct PvhPlan {
    BootProgram program;
    BootFile initrd;
    uint64_t initrd_addr;
} PvhPlan;

static void pvh_plan_clear(PvhPlan *plan)
{
    boot_program_clear(&plan->program);
    boot_file_close(&plan->initrd);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(PvhPlan, pvh_plan_clear)

static bool pvh_plan(const KernelConfig *config, const BootFile *file, PvhPlan *plan,
                     GError **error)
{
    g_autofree char *what = NULL;
    uint32_t entry;
    size_t cmdline = config->append ? strlen(config->append) : 0;

    if (cmdline >= BOOT_CONVENTIONAL_END - BOOT_SETUP_ADDR - SETUP_CMDLINE) {
        error_setf(error, "-append is too long: %zu characters", cmdline);
        return false;
    }
    if (!boot_elf_load(file, config, true, &plan->program, error)) {
        return false;
    }
    if (!boot_elf_pvh_entry(file, &entry) || entry < plan->program.start ||
        entry >= plan->program.end) {
        error_setf(error, "kernel '%s' is broken: its PVH entry is outside what it loads",
                   file->path);
        return false;
    }
    plan->program.entry = entry;
    if (!config->initrd) {
        return true;
    }
    what = g_strdup_printf("initrd '%s'", config->initrd);
    return boot_file_open(&plan->initrd, config->initrd, error) &&
           boot_place_high(config, what, plan->initrd.size, plan->program.end, UINT32_MAX,
                           &plan->initrd_addr, error);
}

static GBytes *pvh_setup(const KernelConfig *config, const PvhPlan *plan)
{
    const char *append = config->append ? config->append : "";
    size_t size = SETUP_CMDLINE + strlen(append) + 1;
    uint8_t *setup = g_malloc0(size);
    unsigned count = MIN(config->e820->entries->len, MEMMAP_ROOM);

    stl_le(setup + INFO_MAGIC, START_MAGIC);
    stl_le(setup + INFO_VERSION, 1);
    if (plan->initrd.bytes) {
        stl_le(setup + INFO_NR_MODULES, 1);
        stq_le(setup + INFO_MODLIST, BOOT_SETUP_ADDR + SETUP_MODULE);
        stq_le(setup + SETUP_MODULE, plan->initrd_addr);
        stq_le(setup + SETUP_MODULE + 8, plan->initrd.size);
    }
    stq_le(setup + INFO_CMDLINE, BOOT_SETUP_ADDR + SETUP_CMDLINE);
    stq_le(setup + INFO_RSDP, config->rsdp);
    stq_le(setup + INFO_MEMMAP, BOOT_SETUP_ADDR + SETUP_MEMMAP);
    stl_le(setup + INFO_MEMMAP_ENTRIES, count);
    for (unsigned i = 0; i < count; i++) {
        const E820Entry *entry = &g_array_index(config->e820->entries, E820Entry, i);
        uint8_t *at = setup + SETUP_MEMMAP + i * MEMMAP_ENTRY_SIZE;

        stq_le(at, entry->base);
        stq_le(at + 8, entry->size);
        stl_le(at + 16, entry->type);
    }
    memcpy(setup + SETUP_CMDLINE, append, strlen(append));
    return g_bytes_new_take(setup, size);
}

bool boot_pvh_fw_cfg(const KernelConfig *config, const BootFile *file, FwCfg *fw, GError **error)
{
    g_auto(PvhPlan) plan = { 0 };
    g_autoptr(GBytes) setup = NULL;

    if (!pvh_plan(config, file, &plan, error)) {
        return false;
    }
    setup = pvh_setup(config, &plan);
    /* The ROM reads here how many entries fit, and writes how many there are. */
    stl_le((uint8_t *)g_bytes_get_data(setup, NULL) + INFO_MEMMAP_ENTRIES, MEMMAP_ROOM);
    boot_add_protected_items(fw, &plan.program, plan.initrd_addr, plan.initrd.bytes,
                             BOOT_SETUP_ADDR, setup);
    return boot_add_rom(config, fw, "pvh.bin", error);
}

bool boot_pvh_direct(const KernelConfig *config, const BootFile *file, DirectBoot *boot,
                     GError **error)
{
    g_auto(PvhPlan) plan = { 0 };
    g_autoptr(GBytes) setup = NULL;

    if (!pvh_plan(config, file, &plan, error)) {
        return false;
    }
    setup = pvh_setup(config, &plan);
    boot_direct_program(boot, &plan.program);
    direct_boot_add(boot, "the start information", BOOT_SETUP_ADDR, setup);
    if (plan.initrd.bytes) {
        direct_boot_add(boot, "the initrd", plan.initrd_addr, plan.initrd.bytes);
    }
    boot->regs[X86_RBX] = BOOT_SETUP_ADDR;
    return true;
}
