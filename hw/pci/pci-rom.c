/* SPDX-License-Identifier: Apache-2.0 */
/* A device's option ROM: an image file shown through the expansion ROM BAR. */
#include "hw/pci/pci-internal.h"
#include "util/bits.h"
#include "util/datadir.h"
#include "util/error.h"

#define ROM_SIZE_MAX (16 * MiB)
#define ROM_SIZE_MIN (2 * KiB) /* the smallest that a ROM BAR can say */

const char *pci_rom_file(const PciDevice *dev)
{
    const PciDeviceOps *ops = object_ops(dev);
    const char *name = dev->romfile ? dev->romfile : ops->romfile;

    return name && *name ? name : NULL;
}

static uint64_t pow2_at_least(uint64_t size)
{
    uint64_t result = ROM_SIZE_MIN;

    while (result < size) {
        result <<= 1;
    }
    return result;
}

static bool check_romsize(const PciDevice *dev, GError **error)
{
    uint32_t size = dev->romsize;

    if (size != PCI_ROM_SIZE_AUTO &&
        (size < ROM_SIZE_MIN || size > ROM_SIZE_MAX || (size & (size - 1)))) {
        error_setf(error, "romsize=%u: must be a power of two from 2048 to %llu", size,
                   ROM_SIZE_MAX);
        return false;
    }
    return true;
}

static bool check_image(const PciDevice *dev, const char *path, gsize size, GError **error)
{
    if (size == 0 || size > ROM_SIZE_MAX) {
        error_setf(error, "Option ROM '%s' has %zu bytes; 1 to %llu are possible", path, size,
                   ROM_SIZE_MAX);
        return false;
    }
    if (size > dev->romsize) {
        error_setf(error, "Option ROM '%s' (%zu bytes) is too large for romsize=%u", path, size,
                   dev->romsize);
        return false;
    }
    return true;
}

/*
 * An image for a PC's BIOS (PCI 3.0, section 6.3.3) has a PCI data structure where its word 18h
 * says; the ids are in bytes 4 to 7 of that, 14h is the kind of code. The sum of all bytes is 0:
 * iPXE keeps byte 6 for that.
 */
void pci_rom_set_ids(PciDevice *dev)
{
    enum { ROM_SUM = 6, ROM_PCIR = 0x18, PCIR_IDS = 4, PCIR_KIND = 0x14, PCIR_SIZE = 0x18 };
    uint64_t size = dev->rom && !dev->romfile ? memory_region_size(dev->rom) : 0;
    uint8_t *image = size ? memory_region_ram_ptr(dev->rom) : NULL;
    uint8_t *pcir;

    if (!size || ldw_le(image) != 0xaa55 ||
        !range_ok(ldw_le(image + ROM_PCIR), PCIR_SIZE, size)) {
        return;
    }
    pcir = image + ldw_le(image + ROM_PCIR);
    if (memcmp(pcir, "PCIR", 4) != 0 || pcir[PCIR_KIND] != 0) {
        return;
    }
    for (unsigned i = 0; i < 4; i++) {
        image[ROM_SUM] += pcir[PCIR_IDS + i] - dev->config[i];
        pcir[PCIR_IDS + i] = dev->config[i];
    }
}

bool pci_load_rom(PciDevice *dev, GError **error)
{
    const char *name = pci_rom_file(dev);
    g_autofree char *path = NULL;
    g_autofree char *image = NULL;
    gsize size;

    if (!check_romsize(dev, error)) {
        return false;
    }
    if (!name) {
        return true;
    }
    if (!dev->rombar) {
        /* Firmware gets it otherwise, at the start; see hw/i386/fw-items.c. */
        if (dev->parent_obj.hotplugged && dev->romfile) {
            error_setf(error, "Hot-plugged device without ROM bar can't have an option ROM");
            return false;
        }
        return true;
    }
    path = datadir_find(name, dev->romfile ? error : NULL);
    if (!path) {
        return !dev->romfile; /* a default ROM that is not installed is simply absent */
    }
    if (!g_file_get_contents(path, &image, &size, error) ||
        !check_image(dev, path, size, error)) {
        return false;
    }
    dev->rom = memory_region_new_rom(OBJECT(dev), name,
                                     dev->romsize != PCI_ROM_SIZE_AUTO ? dev->romsize
                                                                       : pow2_at_least(size),
                                     error);
    if (!dev->rom) {
        return false;
    }
    memcpy(memory_region_ram_ptr(dev->rom), image, size);
    pci_register_bar(dev, PCI_ROM_BAR, PCI_BAR_MEM32, dev->rom);
    return true;
}
