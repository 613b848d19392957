/* SPDX-License-Identifier: Apache-2.0 */
/* The PC/AT's two 8237A DMA controllers: type "i8257". VM lock held throughout. */
#ifndef VIREO_HW_DMA_I8257_H
#define VIREO_HW_DMA_I8257_H

#include "hw/isa/isa.h"

#define TYPE_I8257 "i8257"

/* Create both (channels 0..3 of bytes, 4..7 of words) and connect them to the bus. */
bool i8257_new(IsaBus *bus, GError **error);

#endif
