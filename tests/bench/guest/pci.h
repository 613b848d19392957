/* SPDX-License-Identifier: Apache-2.0 */
/* PCI by configuration mechanism 1: bus 0, function by function. */
#ifndef VIREO_TESTS_BENCH_GUEST_PCI_H
#define VIREO_TESTS_BENCH_GUEST_PCI_H

#include <stdbool.h>
#include <stdint.h>

enum { PCI_BARS = 6 };

struct pci_device {
    uint32_t address;          /* of its configuration space, as port 0xcf8 takes it */
    uint64_t bar[PCI_BARS];    /* 0: none; what no firmware placed is placed here */
};

uint32_t pci_read(const struct pci_device *device, unsigned offset, unsigned size);
void pci_write16(const struct pci_device *device, unsigned offset, uint16_t value);
/* The first function with this vendor and one of two ids; its decoders and bus mastering are on. */
bool pci_find(uint16_t vendor, uint16_t id, uint16_t other_id, struct pci_device *device);
/* The next capability of that kind behind `after` (0: the first); 0: none. */
uint8_t pci_capability(const struct pci_device *device, uint8_t kind, uint8_t after);
/* Let MSI-X vector 0 interrupt the boot CPU as VECTOR_DEVICE; false: the function has no MSI-X. */
bool pci_enable_msix(const struct pci_device *device);

#endif
