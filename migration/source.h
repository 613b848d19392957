/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The side that the machine leaves. A thread sends memory while the CPUs run, pass after pass,
 * until what is left fits into the allowed downtime; the main thread then stops the machine and
 * takes its devices' state, and the thread sends the rest.
 *
 * Main thread, VM lock held.
 */
#ifndef VIREO_MIGRATION_SOURCE_H
#define VIREO_MIGRATION_SOURCE_H

#include "io/channel.h"
#include "migration/host.h"
#include "migration/ram-save.h"
#include "qapi/qapi-types-migration.h"

typedef struct MigrationSource MigrationSource;

/* May change while it runs, by atomic stores. */
typedef struct MigrationLimits {
    uint64_t max_bandwidth;     /* bytes in a second; 0: no limit */
    uint64_t downtime_limit_ms;
} MigrationLimits;

typedef struct MigrationConfig {
    const MigrationHost *host;
    const MigrationLimits *limits;
    bool pause_before_switchover;
    /* Main thread, VM lock held. pass > 0: a pass has ended, the status is as before. */
    void (*changed)(MigrationStatus status, uint64_t pass);
} MigrationConfig;

MigrationSource *migration_source_new(const MigrationConfig *config);
/* Takes the channel. */
void migration_source_start(MigrationSource *source, Channel *channel);
/* It has no channel, and never will. Takes the error, which may be NULL. */
void migration_source_fail(MigrationSource *source, GError *error);
/*
 * It ends soon, and at once if it has no channel yet; the machine goes on here if it has not left.
 */
void migration_source_cancel(MigrationSource *source);
/* Out of "pre-switchover". */
bool migration_source_continue(MigrationSource *source, GError **error);
/* Cancels, and turns the main loop until it has ended. NULL is ignored. */
void migration_source_free(MigrationSource *source);

MigrationStatus migration_source_status(const MigrationSource *source);
/* Has it ended, well or not? */
bool migration_source_is_over(const MigrationSource *source);
/* The caller's. */
MigrationInfo *migration_source_info(const MigrationSource *source);

#endif
