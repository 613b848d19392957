/* SPDX-License-Identifier: Apache-2.0 */
/* -kernel: files, places, and the way from a kind of kernel to its loader. */
#include "hw/i386/boot.h"

#include "hw/i386/boot-internal.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/map-file.h"
#include "util/parse.h"

#define SEG_CODE32 0xc09b /* attr: accessed, readable code, present, 32 bits, 4 KiB units */
#define SEG_CODE64 0xa09b
#define SEG_DATA 0xc093
#define SEG_TSS32_BUSY 0x008b
#define SEG_UNUSABLE (1u << 16)
#define TSS_MIN_LIMIT 0x67
#define EFLAGS_RESERVED 2
#define CR0_PE 1u
#define CR0_ET (1u << 4)

bool boot_file_open(BootFile *file, const char *path, GError **error)
{
    gsize size;

    file->path = path;
    file->bytes = map_file(path, error);
    if (!file->bytes) {
        return false;
    }
    file->data = g_bytes_get_data(file->bytes, &size);
    file->size = size;
    return true;
}

void boot_file_close(BootFile *file)
{
    g_clear_pointer(&file->bytes, g_bytes_unref);
}

GBytes *boot_file_slice(const BootFile *file, uint64_t offset, uint64_t size)
{
    g_assert(range_ok(offset, size, file->size));
    return g_bytes_new_from_bytes(file->bytes, offset, size);
}

bool boot_range_is_ram(const E820Map *map, uint64_t addr, uint64_t size)
{
    for (unsigned i = 0; i < map->entries->len; i++) {
        const E820Entry *entry = &g_array_index(map->entries, E820Entry, i);

        if (entry->type == E820_RAM && addr >= entry->base &&
            range_ok(addr - entry->base, size, entry->size)) {
            return true;
        }
    }
    return false;
}

bool boot_place_high(const KernelConfig *config, const char *what, uint64_t size, uint64_t floor,
                     uint64_t limit, uint64_t *addr, GError **error)
{
    uint64_t top = e820_low_ram_end(config->e820);
    uint64_t room;

    top = top > config->reserved_top ? top - config->reserved_top : 0;
    top = ROUND_DOWN(MIN(top, limit), BOOT_PAGE);
    floor = ROUND_UP(floor, BOOT_PAGE);
    room = top > floor ? top - floor : 0;
    if (size > room) {
        g_autofree char *needs = format_size(size);
        g_autofree char *has = format_size(room);

        error_setf(error, "%s does not fit into guest memory: needs %s, there is room for %s; "
                   "give the machine more memory (-m)", what, needs, has);
        return false;
    }
    *addr = ROUND_DOWN(top - size, BOOT_PAGE);
    return true;
}

static bool kernel_kind(const BootFile *file, KernelKind *kind, GError **error)
{
    uint32_t entry;

    if (boot_linux_is(file)) {
        *kind = KERNEL_LINUX;
    } else if (boot_multiboot_is(file)) {
        *kind = KERNEL_MULTIBOOT;
    } else if (boot_elf_pvh_entry(file, &entry)) {
        *kind = KERNEL_PVH;
    } else if (boot_elf_is(file)) {
        error_setf(error, "kernel '%s': this ELF file has neither a PVH note nor a multiboot "
                   "header (for Linux: CONFIG_PVH=y, or give the bzImage)", file->path);
        return false;
    } else {
        error_setf(error, "kernel '%s' is no bzImage, no ELF file with a PVH note and no "
                   "multiboot kernel", file->path);
        return false;
    }
    return true;
}

bool kernel_sniff(const char *path, KernelKind *kind, GError **error)
{
    g_auto(BootFile) file = { 0 };

    return boot_file_open(&file, path, error) && kernel_kind(&file, kind, error);
}

typedef struct KernelLoader {
    bool (*fw_cfg)(const KernelConfig *config, const BootFile *file, FwCfg *fw, GError **error);
    bool (*direct)(const KernelConfig *config, const BootFile *file, DirectBoot *boot,
                   GError **error);
} KernelLoader;

static const KernelLoader kernel_loaders[] = {
    [KERNEL_LINUX] = { boot_linux_fw_cfg, boot_linux_direct },
    [KERNEL_PVH] = { boot_pvh_fw_cfg, boot_pvh_direct },
    [KERNEL_MULTIBOOT] = { boot_multiboot_fw_cfg, boot_multiboot_direct },
};

bool kernel_boot_fw_cfg(const KernelConfig *config, FwCfg *fw, GError **error)
{
    g_auto(BootFile) file = { 0 };
    KernelKind kind;

    if (config->dtb) {
        error_setf(error, "-dtb needs a machine that starts the kernel without firmware "
                   "(-machine microvm)");
        return false;
    }
    return boot_file_open(&file, config->kernel, error) && kernel_kind(&file, &kind, error) &&
           kernel_loaders[kind].fw_cfg(config, &file, fw, error);
}

DirectBoot *kernel_boot_direct(const KernelConfig *config, GError **error)
{
    g_autoptr(DirectBoot) boot = direct_boot_new();
    g_auto(BootFile) file = { 0 };
    KernelKind kind;

    if (!boot_file_open(&file, config->kernel, error) || !kernel_kind(&file, &kind, error)) {
        return NULL;
    }
    if ((config->dtb || config->fdt) && kind != KERNEL_LINUX) {
        error_setf(error, "kernel '%s': only a bzImage can be given a device tree", file.path);
        return NULL;
    }
    if (!kernel_loaders[kind].direct(config, &file, boot, error)) {
        return NULL;
    }
    return g_steal_pointer(&boot);
}

bool boot_add_rom(const KernelConfig *config, FwCfg *fw, const char *name, GError **error)
{
    g_autofree char *path = config->find_rom ? config->find_rom(name) : NULL;
    g_autofree char *file = g_strdup_printf("genroms/%s", name);
    g_autofree char *boot_path = g_strdup_printf("/rom@%s", file);
    g_auto(BootFile) rom = { 0 };

    if (!path) {
        error_setf(error, "cannot find the boot ROM '%s' that -kernel needs; -L names the "
                   "directory where it is", name);
        return false;
    }
    return boot_file_open(&rom, path, error) && fw_cfg_add_file(fw, file, rom.bytes, error) &&
           fw_cfg_add_boot_entry(fw, boot_path, 0, error);
}

void boot_add_protected_items(FwCfg *fw, const BootProgram *program, uint64_t extra_addr,
                              GBytes *extra, uint64_t setup_addr, GBytes *setup)
{
    g_autoptr(GBytes) flat = boot_program_flatten(program);

    fw_cfg_add_u32(fw, FW_CFG_KERNEL_ADDR, program->start);
    fw_cfg_add_u32(fw, FW_CFG_KERNEL_SIZE, g_bytes_get_size(flat));
    fw_cfg_add_u32(fw, FW_CFG_KERNEL_ENTRY, program->entry);
    fw_cfg_add_bytes(fw, FW_CFG_KERNEL_DATA, flat);
    fw_cfg_add_u32(fw, FW_CFG_INITRD_ADDR, extra_addr);
    fw_cfg_add_u32(fw, FW_CFG_INITRD_SIZE, extra ? g_bytes_get_size(extra) : 0);
    if (extra) {
        fw_cfg_add_bytes(fw, FW_CFG_INITRD_DATA, extra);
    }
    fw_cfg_add_u32(fw, FW_CFG_SETUP_ADDR, setup_addr);
    fw_cfg_add_u32(fw, FW_CFG_SETUP_SIZE, g_bytes_get_size(setup));
    fw_cfg_add_bytes(fw, FW_CFG_SETUP_DATA, setup);
}

static void boot_blob_clear(void *data)
{
    BootBlob *blob = data;

    g_clear_pointer(&blob->data, g_bytes_unref);
    g_clear_pointer(&blob->name, g_free);
}

DirectBoot *direct_boot_new(void)
{
    DirectBoot *boot = g_new0(DirectBoot, 1);

    boot->blobs = g_array_new(false, true, sizeof(BootBlob));
    g_array_set_clear_func(boot->blobs, boot_blob_clear);
    boot->rflags = EFLAGS_RESERVED;
    return boot;
}

void direct_boot_free(DirectBoot *boot)
{
    if (boot) {
        g_array_unref(boot->blobs);
        g_free(boot);
    }
}

static void direct_boot_add_zeroed(DirectBoot *boot, const char *name, uint64_t addr, GBytes *data,
                                   uint64_t zeros)
{
    BootBlob blob = {
        .addr = addr, .data = g_bytes_ref(data), .zeros = zeros, .name = g_strdup(name),
    };

    g_array_append_val(boot->blobs, blob);
}

void direct_boot_add(DirectBoot *boot, const char *name, uint64_t addr, GBytes *data)
{
    direct_boot_add_zeroed(boot, name, addr, data, 0);
}

bool direct_boot_write(const DirectBoot *boot, AddressSpace *as, GError **error)
{
    for (unsigned i = 0; i < boot->blobs->len; i++) {
        const BootBlob *blob = &g_array_index(boot->blobs, BootBlob, i);
        gsize size;
        const void *data = g_bytes_get_data(blob->data, &size);

        if ((size && address_space_write_rom(as, blob->addr, data, size) != MEM_OK) ||
            (blob->zeros && address_space_set(as, blob->addr + size, 0, blob->zeros) != MEM_OK)) {
            error_setf(error, "cannot write %s (%zu bytes) to guest memory at 0x%" PRIx64,
                       blob->name, size, blob->addr);
            return false;
        }
    }
    return true;
}

void direct_boot_apply(const DirectBoot *boot, X86CpuState *state)
{
    static const X86SegReg data_segs[] = { X86_ES, X86_SS, X86_DS, X86_FS, X86_GS };

    memcpy(state->regs, boot->regs, sizeof(state->regs));
    state->rip = boot->rip;
    state->rflags = boot->rflags;
    state->cr0 = boot->cr0;
    state->cr2 = 0;
    state->cr3 = boot->cr3;
    state->cr4 = boot->cr4;
    state->efer = boot->efer;
    state->segs[X86_CS] = boot->cs;
    for (unsigned i = 0; i < G_N_ELEMENTS(data_segs); i++) {
        state->segs[data_segs[i]] = boot->data;
    }
    state->segs[X86_TR] = boot->tr;
    state->segs[X86_LDTR] = boot->ldtr;
    state->gdt = boot->gdt;
    state->idt = boot->idt;
}

void boot_flat_segments(DirectBoot *boot, uint16_t code, uint16_t data, bool code64)
{
    boot->cs = (X86Segment) {
        .selector = code, .limit = UINT32_MAX, .attr = code64 ? SEG_CODE64 : SEG_CODE32,
    };
    boot->data = (X86Segment) { .selector = data, .limit = UINT32_MAX, .attr = SEG_DATA };
    boot->tr = (X86Segment) { .limit = TSS_MIN_LIMIT, .attr = SEG_TSS32_BUSY };
    boot->ldtr = (X86Segment) { .attr = SEG_UNUSABLE };
}

void boot_direct_program(DirectBoot *boot, const BootProgram *program)
{
    for (unsigned i = 0; i < program->segments->len; i++) {
        const BootSegment *segment = &g_array_index(program->segments, BootSegment, i);

        direct_boot_add_zeroed(boot, "the kernel", segment->addr, segment->data,
                               segment->mem_size - g_bytes_get_size(segment->data));
    }
    boot->rip = program->entry;
    boot->regs[X86_RSP] = BOOT_STACK_TOP;
    boot->cr0 = CR0_PE | CR0_ET;
    boot_flat_segments(boot, 0x08, 0x10, false);
}
