/* SPDX-License-Identifier: Apache-2.0 */
/* What the human monitor knows of CPUs, memory and ports. */
#ifndef VIREO_SYSTEM_HMP_MACHINE_H
#define VIREO_SYSTEM_HMP_MACHINE_H

/*
 * Once, before a monitor opens: gives x, xp, print, i and o their machine, and adds info registers,
 * mtree, ramblock and numa.
 */
void hmp_machine_register(void);

/* The part that is about memory; called by hmp_machine_register(). */
void hmp_memory_register(void);

/* The part that is about page tables; called by hmp_machine_register(). */
void hmp_paging_register(void);

/* The part that is about interrupt controllers and ROMs; called by hmp_machine_register(). */
void hmp_chips_register(void);

#endif
