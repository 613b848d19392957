/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32C (Castagnoli's polynomial 0x1edc6f41, reflected), as iSCSI, ext4 and VHDX use it. */
#ifndef VIREO_UTIL_CRC32C_H
#define VIREO_UTIL_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/*
 * Of the bytes that gave `crc` followed by these; 0 stands for no bytes yet. Any thread. Uses the
 * processor's instruction where it has one.
 */
uint32_t crc32c(uint32_t crc, const void *buf, size_t len);
/* The same by table, on every processor; for comparison. */
uint32_t crc32c_by_table(uint32_t crc, const void *buf, size_t len);

#endif
