/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Standard VGA: types "VGA", "secondary-vga" (PCI) and "isa-vga". VM lock held throughout.
 */
#ifndef VIREO_HW_DISPLAY_VGA_H
#define VIREO_HW_DISPLAY_VGA_H

#include "hw/core/device.h"

#define TYPE_VGA_PCI "VGA"
#define TYPE_VGA_SECONDARY "secondary-vga"
#define TYPE_VGA_ISA "isa-vga"

/*
 * The text that the device shows, as UTF-8 lines without trailing blanks; the caller's. NULL if dev
 * is no VGA or is in a graphics mode.
 */
char *vga_text_snapshot(Device *dev);

#endif
