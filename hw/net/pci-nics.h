/* SPDX-License-Identifier: Apache-2.0 */
/* The NICs that -nic and -net ask a board with PCI for. */
#ifndef VIREO_HW_NET_PCI_NICS_H
#define VIREO_HW_NET_PCI_NICS_H

#include "hw/pci/pci.h"

/* default_model: for those that name none. Called by the board once, in its init. */
bool pci_nics_create(PciBus *bus, const char *default_model, GError **error);

#endif
