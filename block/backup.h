/* SPDX-License-Identifier: Apache-2.0 */
/* Starting backups, for transactions. Main thread. */
#ifndef VIREO_BLOCK_BACKUP_H
#define VIREO_BLOCK_BACKUP_H

#include "block/job.h"

/*
 * Made but not started; what the disk has at this moment is what the copy gets. transaction may be
 * NULL. NULL with the error set.
 */
Job *block_backup_new(const BlockdevBackup *arg, JobTransaction *transaction, GError **error);
/* The same between these nodes, whatever arg->device and arg->target are. */
Job *block_backup_new_to(const BlockdevBackup *arg, BlockNode *source, BlockNode *target,
                         JobTransaction *transaction, GError **error);
/* As drive-backup describes it: the target is made, or opened. */
Job *block_drive_backup_new(const DriveBackup *arg, JobTransaction *transaction, GError **error);

#endif
