/* SPDX-License-Identifier: Apache-2.0 */
/* A device's option ROM: an image file shown through the expansion ROM BAR. */
#include "hw/pci/pci-internal.h"
#include "util/bits.h"
#include "util/datadir.h"
#include "util/error.h"

#define ROM_SIZE_MAX (16 * MiB)

static uint64_t pow2_at_least(uint64_t size)
{
    uint64_t result = 2 * KiB; /* the smallest that a ROM BAR can say */

    while (result < size) {
        result <<= 1;
    }
    return result;
}

bool pci_load_rom(PciDevice *dev, const char *default_file, GError **error)
{
    const char *name = dev->romfile ? dev->romfile : default_file;
    g_autofree char *path = NULL;
    g_autofree char *image = NULL;
    gsize size;

    if (!name || !*name || !dev->rombar) {
        return true;
    }
    path = datadir_find(name, dev->romfile ? error : NULL);
    if (!path) {
        return !dev->romfile; /* a default ROM that is not installed is simply absent */
    }
    if (!g_file_get_contents(path, &image, &size, error)) {
        return false;
    }
    if (size == 0 || size > ROM_SIZE_MAX) {
        error_setf(error, "Option ROM '%s' has %zu bytes; 1 to %llu are possible", path, size,
                   ROM_SIZE_MAX);
        return false;
    }
    dev->rom = memory_region_new_rom(OBJECT(dev), name, pow2_at_least(size), error);
    if (!dev->rom) {
        return false;
    }
    memcpy(memory_region_ram_ptr(dev->rom), image, size);
    pci_register_bar(dev, PCI_ROM_BAR, PCI_BAR_MEM32, dev->rom);
    return true;
}
