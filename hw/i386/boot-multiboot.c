/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Multiboot 1 (Multiboot Specification 0.6.96): a 32-bit ELF file, or any file whose header tells
 * its addresses ("a.out kludge"), with modules from -initrd "file args,file args" (a doubled comma
 * stands for one).
 *
 * The information structure and the memory map are the "setup" piece in low memory; the modules,
 * their list and all strings are the "extra" piece above the kernel.
 */
#include "hw/i386/boot-internal.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/parse.h"

#define HEADER_MAGIC 0x1badb002u
#define BOOTED_MAGIC 0x2badb002u
#define HEADER_SEARCH 8192
#define HEADER_SIZE 12
#define HEADER_ADDRESSES_SIZE 32

/* Header flags. Bits 0..15 must be understood; alignment, memory and video information are. */
#define FLAG_ADDRESSES (1u << 16)
#define FLAGS_REQUIRED 0xffffu
#define FLAGS_KNOWN 0x7u

enum {
    INFO_FLAGS = 0,
    INFO_MEM_LOWER = 4,
    INFO_MEM_UPPER = 8,
    INFO_CMDLINE = 16,
    INFO_MODS_COUNT = 20,
    INFO_MODS_ADDR = 24,
    INFO_MMAP_LENGTH = 44,
    INFO_MMAP_ADDR = 48,
    INFO_LOADER_NAME = 64,
    SETUP_MMAP = 128,
};
#define INFO_HAS (1u << 0 | 1u << 2 | 1u << 3 | 1u << 6 | 1u << 9)
#define MMAP_ENTRY_SIZE 24 /* with the leading size field, which is 20 */
#define MMAP_ROOM 128
#define MODULE_ENTRY_SIZE 16
#define MAX_MODULES 256
#define LOADER_NAME "vireo"

typedef struct MultibootHeader {
    uint32_t offset; /* in the file */
    uint32_t flags;
    uint32_t header_addr, load_addr, load_end, bss_end, entry;
} MultibootHeader;

typedef struct MultibootPlan {
    BootProgram program;
    GByteArray *extra;
    uint64_t extra_addr;
    uint32_t cmdline, loader_name, mods_addr, mods_count;
} MultibootPlan;

static void multiboot_plan_clear(MultibootPlan *plan)
{
    boot_program_clear(&plan->program);
    g_clear_pointer(&plan->extra, g_byte_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(MultibootPlan, multiboot_plan_clear)

static bool multiboot_find(const BootFile *file, MultibootHeader *header)
{
    uint64_t end = MIN(file->size, HEADER_SEARCH);

    for (uint32_t at = 0; at + HEADER_SIZE <= end; at += 4) {
        const uint8_t *data = file->data + at;
        uint32_t flags = ldl_le(data + 4);

        if (ldl_le(data) != HEADER_MAGIC || HEADER_MAGIC + flags + ldl_le(data + 8) != 0) {
            continue;
        }
        *header = (MultibootHeader) { .offset = at, .flags = flags };
        if (flags & FLAG_ADDRESSES) {
            if (at + HEADER_ADDRESSES_SIZE > end) {
                return false;
            }
            header->header_addr = ldl_le(data + 12);
            header->load_addr = ldl_le(data + 16);
            header->load_end = ldl_le(data + 20);
            header->bss_end = ldl_le(data + 24);
            header->entry = ldl_le(data + 28);
        }
        return true;
    }
    return false;
}

bool boot_multiboot_is(const BootFile *file)
{
    MultibootHeader header;

    return multiboot_find(file, &header);
}

/* The header's own addresses: the file from where load_addr is, to load_end or the file's end. */
static bool multiboot_load_flat(const KernelConfig *config, const BootFile *file,
                                const MultibootHeader *header, BootProgram *program,
                                GError **error)
{
    uint64_t before = (uint64_t)header->header_addr - header->load_addr;
    uint64_t offset = header->offset - before;
    uint64_t size, mem_size;

    if (header->header_addr < header->load_addr || before > header->offset) {
        error_setf(error, "multiboot kernel '%s' is broken: load address 0x%x does not fit header "
                   "address 0x%x", file->path, header->load_addr, header->header_addr);
        return false;
    }
    size = header->load_end ? (uint64_t)header->load_end - header->load_addr
                            : file->size - offset;
    if ((header->load_end && header->load_end < header->load_addr) ||
        !range_ok(offset, size, file->size)) {
        error_setf(error, "multiboot kernel '%s' is broken: load end 0x%x is outside the file",
                   file->path, header->load_end);
        return false;
    }
    mem_size = size;
    if (header->bss_end > header->load_addr) {
        mem_size = MAX(mem_size, (uint64_t)header->bss_end - header->load_addr);
    }
    program->entry = header->entry;
    return boot_program_add(program, config, header->load_addr, mem_size,
                            boot_file_slice(file, offset, size), error);
}

static bool multiboot_load(const KernelConfig *config, const BootFile *file, BootProgram *program,
                           GError **error)
{
    MultibootHeader header;
    bool ok;

    if (!multiboot_find(file, &header)) {
        error_setf(error, "'%s' has no multiboot header", file->path);
        return false;
    }
    if (header.flags & FLAGS_REQUIRED & ~FLAGS_KNOWN) {
        error_setf(error, "multiboot kernel '%s' needs features that are not there: flags 0x%x",
                   file->path, header.flags & FLAGS_REQUIRED & ~FLAGS_KNOWN);
        return false;
    }
    ok = header.flags & FLAG_ADDRESSES
             ? multiboot_load_flat(config, file, &header, program, error)
             : boot_elf_load(file, config, false, program, error);
    if (ok && (program->entry < program->start || program->entry >= program->end)) {
        error_setf(error, "multiboot kernel '%s' is broken: its entry 0x%" PRIx64
                   " is outside what it loads", file->path, program->entry);
        return false;
    }
    return ok;
}

/* "a b,,c,d" gives "a b,c" and "d". */
static GPtrArray *multiboot_split(const char *list)
{
    GPtrArray *words = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GString) word = g_string_new(NULL);

    for (const char *at = list; *at; at++) {
        if (*at != ',') {
            g_string_append_c(word, *at);
        } else if (at[1] == ',') {
            g_string_append_c(word, ',');
            at++;
        } else {
            g_ptr_array_add(words, g_strdup(word->str));
            g_string_truncate(word, 0);
        }
    }
    g_ptr_array_add(words, g_strdup(word->str));
    return words;
}

static uint32_t multiboot_here(const MultibootPlan *plan)
{
    return plan->extra_addr + plan->extra->len;
}

static uint32_t multiboot_add_string(MultibootPlan *plan, const char *text)
{
    uint32_t addr = multiboot_here(plan);

    g_byte_array_append(plan->extra, (const uint8_t *)text, strlen(text) + 1);
    return addr;
}

static void multiboot_align(MultibootPlan *plan)
{
    size_t len = plan->extra->len;
    size_t aligned = ROUND_UP(len, BOOT_PAGE);

    g_byte_array_set_size(plan->extra, aligned);
    memset(plan->extra->data + len, 0, aligned - len);
}

/* One module, page-aligned; its list entry is { start, end, string, 0 }. */
static bool multiboot_add_module(const KernelConfig *config, MultibootPlan *plan, const char *text,
                                 unsigned n, GError **error)
{
    g_autofree char *path = g_strndup(text, strcspn(text, " "));
    g_auto(BootFile) file = { 0 };
    uint64_t room = e820_low_ram_end(config->e820);
    size_t entry = (size_t)n * MODULE_ENTRY_SIZE;
    uint32_t string, start;

    if (!boot_file_open(&file, path, error)) {
        g_prefix_error(error, "multiboot module %u: ", n + 1);
        return false;
    }
    string = multiboot_add_string(plan, text);
    multiboot_align(plan);
    start = multiboot_here(plan);
    if (!range_ok(start, file.size, room) ||
        !boot_range_is_ram(config->e820, start, MAX(file.size, 1)) || file.size > INT32_MAX) {
        g_autofree char *size = format_size(file.size);

        error_setf(error, "multiboot module '%s' (%s) does not fit into guest memory; give the "
                   "machine more memory (-m)", path, size);
        return false;
    }
    g_byte_array_append(plan->extra, file.data, file.size);
    stl_le(plan->extra->data + entry, start);
    stl_le(plan->extra->data + entry + 4, start + file.size);
    stl_le(plan->extra->data + entry + 8, string);
    return true;
}

static bool multiboot_plan(const KernelConfig *config, const BootFile *file, MultibootPlan *plan,
                           GError **error)
{
    g_autoptr(GPtrArray) modules = config->initrd ? multiboot_split(config->initrd) : NULL;
    g_autofree char *cmdline = NULL;

    if (!multiboot_load(config, file, &plan->program, error)) {
        return false;
    }
    plan->mods_count = modules ? modules->len : 0;
    if (plan->mods_count > MAX_MODULES) {
        error_setf(error, "-initrd names %u multiboot modules, at most %d are possible",
                   plan->mods_count, MAX_MODULES);
        return false;
    }
    plan->extra_addr = ROUND_UP(plan->program.end, BOOT_PAGE);
    plan->mods_addr = plan->extra_addr;
    plan->extra = g_byte_array_new();
    g_byte_array_set_size(plan->extra, plan->mods_count * MODULE_ENTRY_SIZE);
    if (plan->extra->len) {
        memset(plan->extra->data, 0, plan->extra->len);
    }
    cmdline = g_strdup_printf("%s%s%s", config->kernel, config->append ? " " : "",
                              config->append ? config->append : "");
    plan->cmdline = multiboot_add_string(plan, cmdline);
    plan->loader_name = multiboot_add_string(plan, LOADER_NAME);
    for (unsigned i = 0; i < plan->mods_count; i++) {
        if (!multiboot_add_module(config, plan, g_ptr_array_index(modules, i), i, error)) {
            return false;
        }
    }
    if (!boot_range_is_ram(config->e820, plan->extra_addr, plan->extra->len)) {
        error_setf(error, "multiboot kernel '%s' leaves no memory for its command line",
                   file->path);
        return false;
    }
    return true;
}

static void multiboot_fill_memory(const KernelConfig *config, uint8_t *setup)
{
    unsigned count = MIN(config->e820->entries->len, MMAP_ROOM);

    for (unsigned i = 0; i < count; i++) {
        const E820Entry *entry = &g_array_index(config->e820->entries, E820Entry, i);
        uint8_t *at = setup + SETUP_MMAP + i * MMAP_ENTRY_SIZE;

        stl_le(at, MMAP_ENTRY_SIZE - 4);
        stq_le(at + 4, entry->base);
        stq_le(at + 12, entry->size);
        stl_le(at + 20, entry->type);
        if (entry->type != E820_RAM) {
            continue;
        }
        if (entry->base == 0) {
            stl_le(setup + INFO_MEM_LOWER, MIN(entry->size, 640 * KiB) / KiB);
        }
        if (entry->base <= MiB && entry->base + entry->size > MiB) {
            stl_le(setup + INFO_MEM_UPPER, (entry->base + entry->size - MiB) / KiB);
        }
    }
    stl_le(setup + INFO_MMAP_LENGTH, count * MMAP_ENTRY_SIZE);
}

static GBytes *multiboot_setup(const KernelConfig *config, const MultibootPlan *plan)
{
    size_t size = SETUP_MMAP + MMAP_ROOM * MMAP_ENTRY_SIZE;
    uint8_t *setup = g_malloc0(size);

    stl_le(setup + INFO_FLAGS, INFO_HAS);
    stl_le(setup + INFO_CMDLINE, plan->cmdline);
    stl_le(setup + INFO_MODS_COUNT, plan->mods_count);
    stl_le(setup + INFO_MODS_ADDR, plan->mods_addr);
    stl_le(setup + INFO_MMAP_ADDR, BOOT_SETUP_ADDR + SETUP_MMAP);
    stl_le(setup + INFO_LOADER_NAME, plan->loader_name);
    multiboot_fill_memory(config, setup);
    return g_bytes_new_take(setup, size);
}

bool boot_multiboot_fw_cfg(const KernelConfig *config, const BootFile *file, FwCfg *fw,
                           GError **error)
{
    g_auto(MultibootPlan) plan = { 0 };
    g_autoptr(GBytes) setup = NULL;
    g_autoptr(GBytes) extra = NULL;

    if (!multiboot_plan(config, file, &plan, error)) {
        return false;
    }
    setup = multiboot_setup(config, &plan);
    /* The ROM reads here how much room there is, and replaces the map by the firmware's. */
    stl_le((uint8_t *)g_bytes_get_data(setup, NULL) + INFO_MMAP_LENGTH,
           MMAP_ROOM * MMAP_ENTRY_SIZE);
    extra = g_byte_array_free_to_bytes(g_steal_pointer(&plan.extra));
    boot_add_protected_items(fw, &plan.program, plan.extra_addr, extra, BOOT_SETUP_ADDR, setup);
    return boot_add_rom(config, fw, "multiboot.bin", error);
}

bool boot_multiboot_direct(const KernelConfig *config, const BootFile *file, DirectBoot *boot,
                           GError **error)
{
    g_auto(MultibootPlan) plan = { 0 };
    g_autoptr(GBytes) setup = NULL;
    g_autoptr(GBytes) extra = NULL;

    if (!multiboot_plan(config, file, &plan, error)) {
        return false;
    }
    setup = multiboot_setup(config, &plan);
    extra = g_byte_array_free_to_bytes(g_steal_pointer(&plan.extra));
    boot_direct_program(boot, &plan.program);
    direct_boot_add(boot, "the multiboot information", BOOT_SETUP_ADDR, setup);
    direct_boot_add(boot, "the multiboot modules", plan.extra_addr, extra);
    boot->regs[X86_RAX] = BOOTED_MAGIC;
    boot->regs[X86_RBX] = BOOT_SETUP_ADDR;
    return true;
}
