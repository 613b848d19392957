/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that tells what its loader handed over: one line on the debug console (port 0xe9), then
 * isa-debug-exit (port 0xf4). Checks what it can by itself: magic numbers, RAM in the memory map,
 * the RSDP.
 */
#include <stdint.h>

#define MULTIBOOT_BOOTED 0x2badb002u
#define PVH_MAGIC 0x336ec578u
#define MODULE_SHOWN 32
#define EXIT_CODE 0x10 /* the process exits with 2 * this + 1 */

void __attribute__((regparm(3))) guest_main(uint32_t magic, uint32_t info_addr);

static uint32_t bss_is_zero[1024];

static void outb(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static void put(const char *text)
{
    while (*text) {
        outb(0xe9, *text++);
    }
}

static void put_bytes(const char *text, uint32_t len)
{
    for (uint32_t i = 0; i < len && i < MODULE_SHOWN; i++) {
        outb(0xe9, text[i]);
    }
}

/* Is this RAM range the one that begins at 1 MiB and holds us? */
static int is_main_ram(uint64_t base, uint64_t size, uint32_t type)
{
    return type == 1 && base <= 0x100000 && base + size >= 0x1000000;
}

static void show_multiboot(const uint32_t *info)
{
    const uint32_t *mods = (const uint32_t *)info[6];
    uint32_t mmap = info[12], end = mmap + info[11];
    int ram = 0;

    put("multiboot cmdline=[");
    put((const char *)info[4]);
    put("]");
    for (uint32_t i = 0; i < info[5]; i++, mods += 4) {
        put(" module=[");
        put((const char *)mods[2]);
        put("|");
        put_bytes((const char *)mods[0], mods[1] - mods[0]);
        put("]");
    }
    while (mmap < end) {
        const uint32_t *entry = (const uint32_t *)mmap;

        ram |= is_main_ram(entry[1] | (uint64_t)entry[2] << 32,
                           entry[3] | (uint64_t)entry[4] << 32, entry[5]);
        mmap += entry[0] + 4;
    }
    put(ram && info[2] >= 15 * 1024 ? " ram" : " no-ram");
}

static void show_pvh(const uint32_t *info)
{
    const uint32_t *module = (const uint32_t *)info[4];
    const uint32_t *map = (const uint32_t *)info[10];
    const uint32_t *rsdp = (const uint32_t *)info[8];
    int ram = 0;

    put("pvh cmdline=[");
    put((const char *)info[6]);
    put("]");
    if (info[3]) {
        put(" module=[");
        put_bytes((const char *)module[0], module[2]);
        put("]");
    }
    for (uint32_t i = 0; i < info[12]; i++, map += 6) {
        ram |= is_main_ram(map[0] | (uint64_t)map[1] << 32, map[2] | (uint64_t)map[3] << 32,
                           map[4]);
    }
    put(ram ? " ram" : " no-ram");
    put(rsdp && rsdp[0] == 0x20445352 && rsdp[1] == 0x20525450 ? " rsdp" : " no-rsdp");
}

void __attribute__((regparm(3))) guest_main(uint32_t magic, uint32_t info_addr)
{
    const uint32_t *info = (const uint32_t *)info_addr;
    uint32_t sum = 0;

    for (uint32_t i = 0; i < sizeof(bss_is_zero) / sizeof(bss_is_zero[0]); i++) {
        sum |= ((volatile uint32_t *)bss_is_zero)[i];
    }
    if (magic == MULTIBOOT_BOOTED) {
        show_multiboot(info);
    } else if (info[0] == PVH_MAGIC) {
        show_pvh(info);
    } else {
        put("nobody");
    }
    put(sum ? " dirty-bss\n" : "\n");
    outb(0xf4, EXIT_CODE);
}
