/* SPDX-License-Identifier: Apache-2.0 */
/* The floppy disk controller: type "isa-fdc". VM lock held. */
#ifndef VIREO_HW_BLOCK_FDC_H
#define VIREO_HW_BLOCK_FDC_H

#include "hw/isa/isa.h"

#define TYPE_ISA_FDC "isa-fdc"

/* At the PC's usual ports. */
Device *isa_fdc_new(IsaBus *bus, GError **error);
Bus *isa_fdc_bus(Device *fdc);
/* What CMOS calls the drive's kind; 0: there is none. */
uint8_t isa_fdc_cmos_type(Device *fdc, unsigned unit);
/* Where the last track, sector and side of its largest format are; tracks and sides from 0. */
void isa_fdc_last_place(Device *fdc, unsigned unit, uint8_t *track, uint8_t *sector,
                        uint8_t *side);

#endif
