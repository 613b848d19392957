/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The side where the machine arrives. It listens, takes one peer, and a thread loads memory while
 * the main loop serves monitors; the main thread then loads the devices.
 *
 * What comes in is hostile. Main thread, VM lock held.
 */
#ifndef VIREO_MIGRATION_TARGET_H
#define VIREO_MIGRATION_TARGET_H

#include "migration/host.h"
#include "qapi/qapi-types-migration.h"

typedef struct MigrationTarget MigrationTarget;

typedef struct MigrationTargetConfig {
    const MigrationHost *host;
    /* Main thread, VM lock held. */
    void (*changed)(MigrationStatus status);
} MigrationTargetConfig;

/* Starts to listen. NULL with error set. */
MigrationTarget *migration_target_new(const MigrationTargetConfig *config, const char *uri,
                                      GError **error);
/* The machine is lost unless it has arrived. Turns the main loop. NULL is ignored. */
void migration_target_free(MigrationTarget *target);
/* The caller's. */
MigrationInfo *migration_target_info(const MigrationTarget *target);

#endif
