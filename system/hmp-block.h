/* SPDX-License-Identifier: Apache-2.0 */
/* Disks in the human monitor. */
#ifndef VIREO_SYSTEM_HMP_BLOCK_H
#define VIREO_SYSTEM_HMP_BLOCK_H

/* Once, before a monitor opens: drive_add, change, commit and so on, and info block, blockstats. */
void hmp_block_register(void);
/* The part that is `info`; called by hmp_block_register(). */
void hmp_block_info_register(void);
/* qemu-io; called by hmp_block_register(). */
void hmp_block_io_register(void);

#endif
