/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bzImage, by the Linux/x86 boot protocol (Linux Documentation/arch/x86/boot.rst, zero-page.rst).
 *
 * The file is a boot sector and 16-bit setup code of (setup_sects + 1) * 512 bytes, with the setup
 * header at 0x1f1, then the protected-mode kernel. Through firmware the setup code runs; directly
 * we do its work: a zero page with a copy of the header, identity-mapped page tables, and the
 * 64-bit entry 0x200 bytes into the kernel; or, if that has none, the 32-bit entry where it begins.
 */
#include "hw/i386/boot-internal.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/parse.h"

#define SECTOR 512
#define SETUP_MAX_SECTORS 64 /* of the 32 KiB that the setup code may have */
#define KERNEL_ADDR 0x100000ull
#define ENTRY64_OFFSET 0x200
#define LOADER_UNREGISTERED 0xff

/* Offsets in the setup header, which has the same place in the zero page. */
enum {
    HDR_START = 0x1f1, /* setup_sects */
    HDR_VID_MODE = 0x1fa,
    HDR_BOOT_FLAG = 0x1fe,
    HDR_JUMP = 0x200, /* second byte: the header's end, from 0x202 */
    HDR_MAGIC = 0x202,
    HDR_VERSION = 0x206,
    HDR_TYPE_OF_LOADER = 0x210,
    HDR_LOADFLAGS = 0x211,
    HDR_RAMDISK_IMAGE = 0x218,
    HDR_RAMDISK_SIZE = 0x21c,
    HDR_HEAP_END_PTR = 0x224,
    HDR_CMD_LINE_PTR = 0x228,
    HDR_INITRD_ADDR_MAX = 0x22c,
    HDR_KERNEL_ALIGNMENT = 0x230,
    HDR_RELOCATABLE = 0x234,
    HDR_XLOADFLAGS = 0x236,
    HDR_CMDLINE_SIZE = 0x238,
    HDR_SETUP_DATA = 0x250,
    HDR_PREF_ADDRESS = 0x258,
    HDR_INIT_SIZE = 0x260,
    HDR_MAX_END = 0x290,
};
#define HDR_MIN_END 0x22c /* protocol 2.02 */
#define HDRS_MAGIC 0x53726448u /* "HdrS" */
#define BOOT_FLAG 0xaa55
#define LOADED_HIGH 0x01
#define CAN_USE_HEAP 0x80
#define XLF_KERNEL_64 0x01

/* In the zero page besides the header. */
enum {
    ZP_ACPI_RSDP_ADDR = 0x070,
    ZP_EXT_RAMDISK_IMAGE = 0x0c0,
    ZP_E820_ENTRIES = 0x1e8,
    ZP_E820_TABLE = 0x2d0,
    ZP_E820_MAX = 128,
};

#define SETUP_DATA_HEADER 16
#define SETUP_DTB 2

/* What the header says, with the defaults of protocols that say less. */
typedef struct LinuxHeader {
    uint16_t version;
    uint32_t setup_size;
    uint32_t header_end;
    uint64_t initrd_max;  /* highest address of the initrd's last byte */
    uint32_t cmdline_max; /* without the NUL */
    uint16_t xloadflags;
    bool relocatable;
    uint32_t alignment;
    uint64_t pref_address;
    uint64_t init_size;
} LinuxHeader;

bool boot_linux_is(const BootFile *file)
{
    return file->size >= HDR_MIN_END && ldw_le(file->data + HDR_BOOT_FLAG) == BOOT_FLAG &&
           ldl_le(file->data + HDR_MAGIC) == HDRS_MAGIC;
}

/* The fields that came with later protocols. */
static void linux_parse_newer(const BootFile *file, LinuxHeader *header)
{
    const uint8_t *data = file->data;

    header->initrd_max = 0x37ffffff;
    header->cmdline_max = 255;
    header->pref_address = KERNEL_ADDR;
    header->alignment = 1;
    if (header->version >= 0x203 && header->header_end >= HDR_INITRD_ADDR_MAX + 4) {
        header->initrd_max = ldl_le(data + HDR_INITRD_ADDR_MAX);
    }
    if (header->version >= 0x205 && header->header_end >= HDR_RELOCATABLE + 1) {
        header->alignment = MAX(ldl_le(data + HDR_KERNEL_ALIGNMENT), 1);
        header->relocatable = data[HDR_RELOCATABLE];
    }
    if (header->version >= 0x206 && header->header_end >= HDR_CMDLINE_SIZE + 4) {
        header->cmdline_max = ldl_le(data + HDR_CMDLINE_SIZE);
    }
    if (header->version >= 0x20a && header->header_end >= HDR_INIT_SIZE + 4) {
        header->pref_address = ldq_le(data + HDR_PREF_ADDRESS);
        header->init_size = ldl_le(data + HDR_INIT_SIZE);
    }
    if (header->version >= 0x20c && header->header_end >= HDR_XLOADFLAGS + 2) {
        header->xloadflags = ldw_le(data + HDR_XLOADFLAGS);
    }
}

static bool linux_parse(const BootFile *file, LinuxHeader *header, GError **error)
{
    const uint8_t *data = file->data;
    unsigned sectors = data[HDR_START] ? data[HDR_START] : 4;

    *header = (LinuxHeader) { .version = ldw_le(data + HDR_VERSION) };
    if (header->version < 0x202) {
        error_setf(error, "kernel '%s' is too old: boot protocol %u.%02u, at least 2.02 is needed",
                   file->path, header->version >> 8, header->version & 0xff);
        return false;
    }
    if (!(data[HDR_LOADFLAGS] & LOADED_HIGH)) {
        error_setf(error, "kernel '%s' is a zImage, which loads low; a bzImage is needed",
                   file->path);
        return false;
    }
    header->setup_size = (sectors + 1) * SECTOR;
    if (sectors > SETUP_MAX_SECTORS || header->setup_size >= file->size) {
        error_setf(error, "kernel '%s' is broken: its setup code has %u sectors, the file %zu "
                   "bytes", file->path, sectors, file->size);
        return false;
    }
    header->header_end = HDR_MAGIC + data[HDR_JUMP + 1];
    if (header->header_end > HDR_MAX_END || header->header_end > header->setup_size) {
        error_setf(error, "kernel '%s' is broken: its setup header ends at 0x%x", file->path,
                   header->header_end);
        return false;
    }
    linux_parse_newer(file, header);
    return true;
}

static bool linux_check_cmdline(const KernelConfig *config, const LinuxHeader *header,
                                GError **error)
{
    size_t length = config->append ? strlen(config->append) : 0;
    size_t room = MIN(header->cmdline_max, BOOT_CONVENTIONAL_END - BOOT_CMDLINE_ADDR - 1);

    if (length > room) {
        error_setf(error, "-append is too long for kernel '%s': %zu characters, at most %zu",
                   config->kernel, length, room);
        return false;
    }
    return true;
}

/* vga=MODE on the command line belongs to the loader (boot.rst, "Special command line options"). */
static void linux_video_mode(const char *append, uint8_t *setup)
{
    static const struct {
        const char *word;
        uint16_t mode;
    } names[] = { { "normal", 0xffff }, { "ext", 0xfffe }, { "ask", 0xfffd } };
    const char *at = append ? strstr(append, "vga=") : NULL;
    g_autofree char *value = NULL;
    uint64_t number;

    if (!at || (at != append && at[-1] != ' ')) {
        return;
    }
    at += strlen("vga=");
    value = g_strndup(at, strcspn(at, " "));
    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        if (g_str_equal(value, names[i].word)) {
            stw_le(setup + HDR_VID_MODE, names[i].mode);
            return;
        }
    }
    if (parse_uint64(value, &number, NULL) && number <= UINT16_MAX) {
        stw_le(setup + HDR_VID_MODE, number);
    }
}

/* Open -initrd and find its place; *addr is 0 and the file stays closed if there is none. */
static bool linux_place_initrd(const KernelConfig *config, const LinuxHeader *header,
                               uint64_t floor, BootFile *initrd, uint64_t *addr, GError **error)
{
    g_autofree char *what = NULL;

    *addr = 0;
    if (!config->initrd) {
        return true;
    }
    if (!boot_file_open(initrd, config->initrd, error)) {
        return false;
    }
    what = g_strdup_printf("initrd '%s'", config->initrd);
    return boot_place_high(config, what, initrd->size, floor, header->initrd_max + 1, addr, error);
}

/* Patch the loader's fields into a copy of the header (in setup code or zero page). */
static void linux_fill_header(const KernelConfig *config, const LinuxHeader *header,
                              uint8_t *setup, uint64_t initrd_addr, uint64_t initrd_size)
{
    setup[HDR_TYPE_OF_LOADER] = LOADER_UNREGISTERED;
    stl_le(setup + HDR_CMD_LINE_PTR, BOOT_CMDLINE_ADDR);
    stl_le(setup + HDR_RAMDISK_IMAGE, initrd_addr);
    stl_le(setup + HDR_RAMDISK_SIZE, initrd_size);
    linux_video_mode(config->append, setup);
}

bool boot_linux_fw_cfg(const KernelConfig *config, const BootFile *file, FwCfg *fw, GError **error)
{
    g_auto(BootFile) initrd = { 0 };
    g_autoptr(GBytes) kernel = NULL;
    g_autoptr(GBytes) setup_bytes = NULL;
    LinuxHeader header;
    uint64_t initrd_addr, kernel_size;
    uint8_t *setup;

    if (!linux_parse(file, &header, error) || !linux_check_cmdline(config, &header, error)) {
        return false;
    }
    kernel_size = file->size - header.setup_size;
    if (!boot_range_is_ram(config->e820, KERNEL_ADDR, MAX(kernel_size, header.init_size))) {
        g_autofree char *needs = format_size(MAX(kernel_size, header.init_size));

        error_setf(error, "kernel '%s' does not fit into guest memory: needs %s above 1 MiB; "
                   "give the machine more memory (-m)", file->path, needs);
        return false;
    }
    if (!linux_place_initrd(config, &header, KERNEL_ADDR + MAX(kernel_size, header.init_size),
                            &initrd, &initrd_addr, error)) {
        return false;
    }

    setup = g_memdup2(file->data, header.setup_size);
    setup_bytes = g_bytes_new_take(setup, header.setup_size);
    linux_fill_header(config, &header, setup, initrd_addr, initrd.size);
    setup[HDR_LOADFLAGS] |= CAN_USE_HEAP;
    stw_le(setup + HDR_HEAP_END_PTR, BOOT_CMDLINE_ADDR - BOOT_SETUP_ADDR - 0x200);

    kernel = boot_file_slice(file, header.setup_size, kernel_size);
    fw_cfg_add_u32(fw, FW_CFG_SETUP_ADDR, BOOT_SETUP_ADDR);
    fw_cfg_add_u32(fw, FW_CFG_SETUP_SIZE, header.setup_size);
    fw_cfg_add_bytes(fw, FW_CFG_SETUP_DATA, setup_bytes);
    fw_cfg_add_u32(fw, FW_CFG_KERNEL_ADDR, KERNEL_ADDR);
    fw_cfg_add_u32(fw, FW_CFG_KERNEL_SIZE, kernel_size);
    fw_cfg_add_bytes(fw, FW_CFG_KERNEL_DATA, kernel);
    fw_cfg_add_u32(fw, FW_CFG_CMDLINE_ADDR, BOOT_CMDLINE_ADDR);
    fw_cfg_add_u32(fw, FW_CFG_CMDLINE_SIZE, strlen(config->append ? config->append : "") + 1);
    fw_cfg_add_string(fw, FW_CFG_CMDLINE_DATA, config->append ? config->append : "");
    fw_cfg_add_u32(fw, FW_CFG_INITRD_ADDR, initrd_addr);
    fw_cfg_add_u32(fw, FW_CFG_INITRD_SIZE, initrd.size);
    if (initrd.bytes) {
        fw_cfg_add_bytes(fw, FW_CFG_INITRD_DATA, initrd.bytes);
    }
    return boot_add_rom(config, fw, "linuxboot.bin", error);
}

/*
 * Where the kernel runs without moving itself: its preferred address, else the lowest aligned one.
 */
static bool linux_place_kernel(const KernelConfig *config, const BootFile *file,
                               const LinuxHeader *header, uint64_t *addr, GError **error)
{
    uint64_t needs = MAX(file->size - header->setup_size, header->init_size);
    uint64_t choices[] = {
        header->pref_address,
        header->relocatable ? ROUND_UP(KERNEL_ADDR, (uint64_t)header->alignment) : KERNEL_ADDR,
    };
    g_autofree char *size = NULL;

    for (unsigned i = 0; i < G_N_ELEMENTS(choices); i++) {
        if (choices[i] >= KERNEL_ADDR && choices[i] < 4 * GiB &&
            range_ok(choices[i], needs, e820_low_ram_end(config->e820)) &&
            boot_range_is_ram(config->e820, choices[i], needs)) {
            *addr = choices[i];
            return true;
        }
    }
    size = format_size(needs);
    error_setf(error, "kernel '%s' does not fit into guest memory: needs %s above 1 MiB; give the "
               "machine more memory (-m)", file->path, size);
    return false;
}

/* The first 4 GiB mapped to themselves by 2 MiB pages. */
static GBytes *linux_page_tables(void)
{
    const uint64_t present_rw = 3, large = 0x80;
    const unsigned directories = 4, entries = 512;
    size_t len = (2 + directories) * BOOT_PAGE;
    uint8_t *tables = g_malloc0(len);

    stq_le(tables, (BOOT_PAGE_TABLES_ADDR + BOOT_PAGE) | present_rw);
    for (unsigned i = 0; i < directories; i++) {
        stq_le(tables + BOOT_PAGE + i * 8,
               (BOOT_PAGE_TABLES_ADDR + (2 + i) * BOOT_PAGE) | present_rw);
    }
    for (uint64_t i = 0; i < directories * entries; i++) {
        stq_le(tables + 2 * BOOT_PAGE + i * 8, (i * 2 * MiB) | present_rw | large);
    }
    return g_bytes_new_take(tables, len);
}

/* Long mode as boot.rst's "64-bit boot protocol" asks: __BOOT_CS 0x10, __BOOT_DS 0x18. */
/* Segments and registers that both entries want; the code segment's attributes: 64-bit or not. */
static void linux_set_up_cpu(DirectBoot *boot, bool code64)
{
    const uint64_t gdt[4] = {
        0, 0, code64 ? 0x00af9b000000ffffull : 0x00cf9b000000ffffull, 0x00cf93000000ffffull,
    };
    uint8_t *raw = g_malloc(sizeof(gdt));
    g_autoptr(GBytes) gdt_bytes = g_bytes_new_take(raw, sizeof(gdt));

    for (unsigned i = 0; i < G_N_ELEMENTS(gdt); i++) {
        stq_le(raw + i * 8, gdt[i]);
    }
    direct_boot_add(boot, "the boot descriptor table", BOOT_GDT_ADDR, gdt_bytes);
    boot->gdt = (X86Table) { .base = BOOT_GDT_ADDR, .limit = sizeof(gdt) - 1 };
    boot_flat_segments(boot, 0x10, 0x18, code64);
    boot->regs[X86_RSP] = BOOT_STACK_TOP;
    boot->regs[X86_RSI] = BOOT_ZERO_PAGE_ADDR;
}

static void linux_enter64(DirectBoot *boot, uint64_t kernel_addr)
{
    g_autoptr(GBytes) tables = linux_page_tables();

    linux_set_up_cpu(boot, true);
    direct_boot_add(boot, "the boot page tables", BOOT_PAGE_TABLES_ADDR, tables);
    boot->cr0 = 0x80000011u; /* PG, ET, PE */
    boot->cr3 = BOOT_PAGE_TABLES_ADDR;
    boot->cr4 = 0x20;        /* PAE */
    boot->efer = 0x500;      /* LMA, LME */
    boot->rip = kernel_addr + ENTRY64_OFFSET;
}

/* Where the kernel begins, for those that are 32-bit code. */
static void linux_enter32(DirectBoot *boot, uint64_t kernel_addr)
{
    linux_set_up_cpu(boot, false);
    boot->cr0 = 0x11; /* ET, PE */
    boot->rip = kernel_addr;
}

/* A device tree as the only setup_data entry, below the initrd. */
static bool linux_add_dtb(const KernelConfig *config, DirectBoot *boot, uint64_t floor,
                          uint64_t limit, uint8_t *zero_page, GError **error)
{
    g_auto(BootFile) file = { 0 };
    g_autoptr(GBytes) node = NULL;
    GBytes *dtb = config->fdt;
    uint64_t addr;
    gsize size;
    const void *data;
    uint8_t *raw;

    if (config->dtb) {
        if (!boot_file_open(&file, config->dtb, error)) {
            return false;
        }
        dtb = file.bytes;
    }
    if (!dtb) {
        return true;
    }
    data = g_bytes_get_data(dtb, &size);
    if (size < 8 || size > 16 * MiB || ldl_be(data) != 0xd00dfeed ||
        ldl_be((const uint8_t *)data + 4) > size) {
        error_setf(error, "'%s' is no flattened device tree",
                   config->dtb ? config->dtb : "the machine's device tree");
        return false;
    }
    if (!boot_place_high(config, "the device tree", SETUP_DATA_HEADER + size, floor, limit, &addr,
                         error)) {
        return false;
    }
    raw = g_malloc0(SETUP_DATA_HEADER + size);
    node = g_bytes_new_take(raw, SETUP_DATA_HEADER + size);
    stl_le(raw + 8, SETUP_DTB);
    stl_le(raw + 12, size);
    memcpy(raw + SETUP_DATA_HEADER, data, size);
    stq_le(zero_page + HDR_SETUP_DATA, addr);
    direct_boot_add(boot, "the device tree", addr, node);
    return true;
}

static GBytes *linux_zero_page(const KernelConfig *config, const BootFile *file,
                               const LinuxHeader *header, uint64_t initrd_addr,
                               uint64_t initrd_size)
{
    g_autoptr(GBytes) e820 = e820_to_bytes(config->e820);
    uint8_t *page = g_malloc0(BOOT_PAGE);
    unsigned count = MIN(config->e820->entries->len, ZP_E820_MAX);
    gsize e820_size;
    const void *entries = g_bytes_get_data(e820, &e820_size);

    memcpy(page + HDR_START, file->data + HDR_START, header->header_end - HDR_START);
    linux_fill_header(config, header, page, initrd_addr, initrd_size);
    stq_le(page + ZP_ACPI_RSDP_ADDR, config->rsdp);
    page[ZP_E820_ENTRIES] = count;
    if (count) {
        memcpy(page + ZP_E820_TABLE, entries, e820_size / config->e820->entries->len * count);
    }
    return g_bytes_new_take(page, BOOT_PAGE);
}

bool boot_linux_direct(const KernelConfig *config, const BootFile *file, DirectBoot *boot,
                       GError **error)
{
    g_auto(BootFile) initrd = { 0 };
    g_autoptr(GBytes) zero_page = NULL;
    g_autoptr(GBytes) kernel = NULL;
    g_autoptr(GBytes) cmdline = NULL;
    const char *append = config->append ? config->append : "";
    LinuxHeader header;
    uint64_t kernel_addr, kernel_end, initrd_addr;

    if (!linux_parse(file, &header, error) || !linux_check_cmdline(config, &header, error)) {
        return false;
    }
    if (!linux_place_kernel(config, file, &header, &kernel_addr, error)) {
        return false;
    }
    kernel_end = kernel_addr + MAX(file->size - header.setup_size, header.init_size);
    if (!linux_place_initrd(config, &header, kernel_end, &initrd, &initrd_addr, error)) {
        return false;
    }

    kernel = boot_file_slice(file, header.setup_size, file->size - header.setup_size);
    zero_page = linux_zero_page(config, file, &header, initrd_addr, initrd.size);
    if (!linux_add_dtb(config, boot, kernel_end, initrd_addr ? initrd_addr : UINT32_MAX,
                       (uint8_t *)g_bytes_get_data(zero_page, NULL), error)) {
        return false;
    }
    cmdline = g_bytes_new(append, strlen(append) + 1);
    direct_boot_add(boot, "the kernel", kernel_addr, kernel);
    direct_boot_add(boot, "the kernel command line", BOOT_CMDLINE_ADDR, cmdline);
    direct_boot_add(boot, "the zero page", BOOT_ZERO_PAGE_ADDR, zero_page);
    if (initrd.bytes) {
        direct_boot_add(boot, "the initrd", initrd_addr, initrd.bytes);
    }
    if (header.xloadflags & XLF_KERNEL_64) {
        linux_enter64(boot, kernel_addr);
    } else {
        linux_enter32(boot, kernel_addr);
    }
    return true;
}
