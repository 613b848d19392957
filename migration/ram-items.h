/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RAM in a stream. Each item begins with a 64-bit number: an offset in a block, and flags in the
 * bits that are 0 because pages have 4 KiB. The section's start has one list of blocks; its parts
 * and its end have pages, each with its block's name unless it is that of the page before in this
 * part.
 */
#ifndef VIREO_MIGRATION_RAM_ITEMS_H
#define VIREO_MIGRATION_RAM_ITEMS_H

#include "memory/ram-block.h"

#define RAM_ZERO 0x02u     /* a page whose bytes are all the one that follows */
#define RAM_SIZES 0x04u    /* the list; the number is the sum of all lengths */
#define RAM_PAGE 0x08u     /* a page's bytes follow */
#define RAM_END 0x10u      /* of this part */
#define RAM_CONTINUE 0x20u /* no name */
#define RAM_FLAGS ((uint64_t)RAM_PAGE_SIZE - 1)

#endif
