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

#endif
