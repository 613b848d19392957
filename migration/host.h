/* SPDX-License-Identifier: Apache-2.0 */
/* What a migration asks of the machine around it. Main thread, VM lock held. */
#ifndef VIREO_MIGRATION_HOST_H
#define VIREO_MIGRATION_HOST_H

#include "migration/stream.h"
#include "qapi/qapi-types-run-state.h"

typedef struct MigrationHost {
    bool (*is_running)(void);
    /* Stop the CPUs; what disks still do is done, and all of it is stable. */
    bool (*stop)(GError **error);
    /* The other side has it. */
    void (*left)(void);
    /* Go on as before stop(); was_running as is_running() said. */
    void (*go_on)(bool was_running);
    /* The machine as it is now: to be saved, or to be loaded into. */
    bool (*collect)(MachineStream *stream, GError **error);
    /* Before anything is loaded. */
    void (*reset)(void);
    /* Everything is loaded; start, if the command line and the source want it. */
    void (*arrived)(void);
    /* Nothing useful is loaded, and the machine cannot run. */
    void (*lost)(const GError *error);
} MigrationHost;

#endif
