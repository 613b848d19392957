/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VIREO_SYSTEM_HMP_SNAPSHOT_H
#define VIREO_SYSTEM_HMP_SNAPSHOT_H

/* savevm, loadvm, delvm, info snapshots. Once. */
void hmp_snapshot_register(void);

#endif
