/* SPDX-License-Identifier: Apache-2.0 */
/* The ISA parallel port, for boards. */
#ifndef VIREO_HW_CHAR_PARALLEL_H
#define VIREO_HW_CHAR_PARALLEL_H

#include "chardev/chardev.h"
#include "hw/isa/isa.h"

#define TYPE_ISA_PARALLEL "isa-parallel"
#define ISA_PARALLEL_MAX 3

/* LPT1..LPT3 by index 0..2. chr may be NULL. */
Device *isa_parallel_new(IsaBus *bus, unsigned index, Chardev *chr, GError **error);

#endif
