/* SPDX-License-Identifier: Apache-2.0 */
#include "system/migration-setup.h"

#include <stdlib.h>
#include <string.h>

#include "accel/vm-events.h"
#include "block/node.h"
#include "migration/source.h"
#include "migration/target.h"
#include "migration/transport.h"
#include "monitor/hmp.h"
#include "net/netdev.h"
#include "qapi/qapi-commands-migration.h"
#include "qapi/qapi-events-migration.h"
#include "system/machine-state.h"
#include "system/runstate.h"
#include "util/error.h"

#define MIB_PER_SECOND (1024ull * 1024)

/* In the stream: what the machine did when it was stopped for the journey. */
typedef struct RunsThere {
    bool running;
} RunsThere;

static struct {
    MigrationSource *source;       /* the one that runs, or the last */
    MigrationTransport *transport; /* connects for it */
    MigrationTarget *target;
    bool deferred;                 /* -incoming defer, and no URI yet */
    bool capabilities[MIGRATION_CAPABILITY__MAX];
    MigrationLimits limits;
    AnnounceParameters announce;
    RunsThere runs_there;
} state = {
    .limits = { .max_bandwidth = 128 * MIB_PER_SECOND, .downtime_limit_ms = 300 },
    .announce = { .initial = 50, .max = 550, .rounds = 5, .step = 100 },
};

/* ---- The machine ---- */

static const VmStateField run_fields[] = {
    VMSTATE_BOOL(RunsThere, running),
    VMSTATE_END,
};

static const VmState run_vmstate = { .name = "run-state", .version = 1, .fields = run_fields };

static bool collect(MachineStream *stream, GError **error)
{
    if (!machine_state_collect(stream, error)) {
        return false;
    }
    machine_stream_add(stream, run_vmstate.name, &run_vmstate, &state.runs_there);
    return true;
}

static bool stop(GError **error)
{
    state.runs_there.running = runstate_is_running();
    runstate_stop(RUN_STATE_FINISH_MIGRATE);
    /* Nothing is in flight then. */
    block_drain_all_begin();
    block_drain_all_end();
    return true;
}

static void left(void)
{
    runstate_stop(RUN_STATE_POSTMIGRATE);
}

static void start(bool wanted)
{
    g_autoptr(GError) error = NULL;

    if (!wanted) {
        runstate_stop(RUN_STATE_PAUSED);
    } else if (!runstate_start(&error)) {
        error_report("The machine does not go on: %s", error->message);
    }
}

static void reset(void)
{
    runstate_reset_machine(VM_CAUSE_NONE);
}

static void arrived(void)
{
    bool wanted = runstate_arrive();

    net_announce(&state.announce, NULL);
    start(wanted && state.runs_there.running);
}

/* Whoever watches the process sees that it has no machine. */
static void lost(const GError *error)
{
    error_report("The incoming machine is lost: %s",
                 error ? error->message : "the connection ended");
    migration_setup_cleanup();
    vm_request_shutdown_with_code(VM_CAUSE_HOST_ERROR, EXIT_FAILURE);
}

static const MigrationHost host = {
    .is_running = runstate_is_running, .stop = stop, .left = left, .go_on = start,
    .collect = collect, .reset = reset, .arrived = arrived, .lost = lost,
};

/* ---- Status ---- */

static void source_changed(MigrationStatus status, uint64_t pass)
{
    if (!state.capabilities[MIGRATION_CAPABILITY_EVENTS]) {
        return;
    }
    if (pass) {
        qapi_event_send_migration_pass((int64_t)pass);
    } else {
        qapi_event_send_migration(status);
    }
}

static void target_changed(MigrationStatus status)
{
    source_changed(status, 0);
}

MigrationInfo *qmp_query_migrate(GError **error)
{
    return state.source   ? migration_source_info(state.source)
           : state.target ? migration_target_info(state.target) : g_new0(MigrationInfo, 1);
}

static bool is_busy(void)
{
    return state.source && !migration_source_is_over(state.source);
}

/* ---- Away from here ---- */

static void on_channel(Channel *channel, GError *error, void *opaque)
{
    if (channel) {
        migration_source_start(state.source, channel);
    } else {
        migration_source_fail(state.source, error);
    }
}

static bool may_migrate(GError **error)
{
    RunState run = runstate_get();

    if (is_busy()) {
        error_setf(error, "There is a migration already; see query-migrate");
    } else if (run == RUN_STATE_INMIGRATE) {
        error_setf(error, "The machine itself waits for a migration");
    } else if (run == RUN_STATE_POSTMIGRATE) {
        error_setf(error, "The machine has left by a migration already");
    } else if (run == RUN_STATE_INTERNAL_ERROR) {
        error_setf(error, "The machine is broken and can only be reset");
    } else {
        return true;
    }
    return false;
}

bool qmp_migrate(const char *uri, bool has_blk, bool blk, bool has_inc, bool inc, bool has_detach,
                 bool detach, bool has_resume, bool resume, GError **error)
{
    const MigrationConfig config = {
        .host = &host, .limits = &state.limits, .changed = source_changed,
        .pause_before_switchover =
            state.capabilities[MIGRATION_CAPABILITY_PAUSE_BEFORE_SWITCHOVER],
    };
    MigrationTransport *transport;

    if (blk || inc || resume) {
        error_setf(error, blk || inc ? "Disks do not move with the machine: use blockdev-mirror"
                                     : "There is no migration to resume");
        return false;
    }
    if (!may_migrate(error)) {
        return false;
    }
    transport = migration_connect(uri, on_channel, NULL, error);
    if (!transport) {
        return false;
    }
    g_clear_pointer(&state.transport, migration_transport_free);
    migration_source_free(state.source);
    state.transport = transport;
    state.source = migration_source_new(&config);
    return true;
}

bool qmp_migrate_cancel(GError **error)
{
    if (is_busy()) {
        g_clear_pointer(&state.transport, migration_transport_free);
        migration_source_cancel(state.source);
    }
    return true;
}

bool qmp_migrate_continue(MigrationStatus status, GError **error)
{
    if (status != MIGRATION_STATUS_PRE_SWITCHOVER) {
        error_setf(error, "Parameter 'state' must be 'pre-switchover', not '%s'",
                   MigrationStatus_str(status));
        return false;
    }
    if (!state.source) {
        error_setf(error, "There is no migration");
        return false;
    }
    return migration_source_continue(state.source, error);
}

/* ---- To here ---- */

static bool begin_incoming(const char *uri, GError **error)
{
    const MigrationTargetConfig config = { .host = &host, .changed = target_changed };

    state.target = migration_target_new(&config, uri, error);
    return state.target;
}

bool qmp_migrate_incoming(const char *uri, GError **error)
{
    if (!state.deferred) {
        error_setf(error, state.target ? "The machine waits for a migration already"
                                       : "The machine was not started with '-incoming defer'");
        return false;
    }
    state.deferred = !begin_incoming(uri, error);
    return !state.deferred;
}

bool migration_setup_incoming(const char *uri, GError **error)
{
    if (!uri) {
        return true;
    }
    runstate_stop(RUN_STATE_INMIGRATE);
    state.deferred = !strcmp(uri, "defer");
    if (!state.deferred && !begin_incoming(uri, error)) {
        g_prefix_error(error, "-incoming %s: ", uri);
        return false;
    }
    return true;
}

void migration_setup_cleanup(void)
{
    g_clear_pointer(&state.transport, migration_transport_free);
    g_clear_pointer(&state.source, migration_source_free);
    g_clear_pointer(&state.target, migration_target_free);
}

/* ---- Capabilities and parameters ---- */

bool qmp_migrate_set_capabilities(GPtrArray *capabilities, GError **error)
{
    if (is_busy()) {
        error_setf(error, "Capabilities stay as they are while a migration runs");
        return false;
    }
    for (guint i = 0; i < capabilities->len; i++) {
        const MigrationCapabilityStatus *wanted = g_ptr_array_index(capabilities, i);

        state.capabilities[wanted->capability] = wanted->state;
    }
    return true;
}

GPtrArray *qmp_query_migrate_capabilities(GError **error)
{
    GPtrArray *list = MigrationCapabilityStatus_list_new();

    for (unsigned i = 0; i < MIGRATION_CAPABILITY__MAX; i++) {
        MigrationCapabilityStatus *status = g_new0(MigrationCapabilityStatus, 1);

        *status = (MigrationCapabilityStatus) {
            .capability = (MigrationCapability)i, .state = state.capabilities[i],
        };
        g_ptr_array_add(list, status);
    }
    return list;
}

/* Of all parameters: where it is in the schema's struct and here, and the most it may be. */
typedef struct Parameter {
    const char *name;
    size_t has, wanted;
    void *here;
    uint64_t max;
} Parameter;

#define PARAMETER(name_, member, here_, max_)                                                      \
    { name_, offsetof(MigrationParameters, has_##member), offsetof(MigrationParameters, member),   \
      &(here_), max_ }

static const Parameter parameters[] = {
    PARAMETER("announce-initial", announce_initial, state.announce.initial, 100000),
    PARAMETER("announce-max", announce_max, state.announce.max, 100000),
    PARAMETER("announce-rounds", announce_rounds, state.announce.rounds, 1000),
    PARAMETER("announce-step", announce_step, state.announce.step, 10000),
    PARAMETER("max-bandwidth", max_bandwidth, state.limits.max_bandwidth, INT64_MAX),
    PARAMETER("downtime-limit", downtime_limit, state.limits.downtime_limit_ms, 2000000),
};

static const uint64_t *wanted_value(const Parameter *parameter, const MigrationParameters *values)
{
    const char *base = (const char *)values;

    return *(const bool *)(base + parameter->has)
               ? (const uint64_t *)(const void *)(base + parameter->wanted) : NULL;
}

bool qmp_migrate_set_parameters(const MigrationParameters *values, GError **error)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(parameters); i++) {
        const uint64_t *value = wanted_value(&parameters[i], values);

        if (value && *value > parameters[i].max) {
            error_setf(error, "Parameter '%s' must be at most %" G_GUINT64_FORMAT,
                       parameters[i].name, parameters[i].max);
            return false;
        }
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(parameters); i++) {
        const uint64_t *value = wanted_value(&parameters[i], values);

        if (value) {
            __atomic_store_n((uint64_t *)parameters[i].here, *value, __ATOMIC_RELAXED);
        }
    }
    return true;
}

MigrationParameters *qmp_query_migrate_parameters(GError **error)
{
    MigrationParameters *values = g_new0(MigrationParameters, 1);

    for (unsigned i = 0; i < G_N_ELEMENTS(parameters); i++) {
        *(bool *)((char *)values + parameters[i].has) = true;
        *(uint64_t *)(void *)((char *)values + parameters[i].wanted) =
            *(const uint64_t *)parameters[i].here;
    }
    return values;
}

/* ---- For people ---- */

static bool hmp_migrate(Hmp *hmp, const HmpValue *values, GError **error)
{
    return qmp_migrate(values[0].text, false, false, false, false, true, true, false, false, error);
}

static bool info_migrate(Hmp *hmp, const HmpValue *values, GError **error)
{
    g_autoptr(MigrationInfo) info = qmp_query_migrate(error);

    if (info->has_status) {
        hmp_printf(hmp, "Migration status: %s%s%s\n", MigrationStatus_str(info->status),
                   info->error_desc ? ": " : "", info->error_desc ? info->error_desc : "");
    }
    if (info->has_total_time) {
        hmp_printf(hmp, "total time: %" G_GINT64_FORMAT " ms\n", info->total_time);
    }
    if (info->has_downtime) {
        hmp_printf(hmp, "downtime: %" G_GINT64_FORMAT " ms\n", info->downtime);
    }
    if (info->ram) {
        hmp_printf(hmp, "transferred ram: %" G_GINT64_FORMAT " kbytes\n"
                   "remaining ram: %" G_GINT64_FORMAT " kbytes\n"
                   "total ram: %" G_GINT64_FORMAT " kbytes\n"
                   "duplicate: %" G_GINT64_FORMAT " pages\nnormal: %" G_GINT64_FORMAT " pages\n"
                   "dirty sync count: %" G_GINT64_FORMAT "\n", info->ram->transferred / 1024,
                   info->ram->remaining / 1024, info->ram->total / 1024, info->ram->duplicate,
                   info->ram->normal, info->ram->dirty_sync_count);
    }
    return true;
}

static const HmpCommand commands[] = {
    {
        .name = "migrate",
        .help = "start to move the machine to URI; \"info migrate\" tells how far it is",
        .args = { { "uri", HMP_REST } },
        .run = hmp_migrate,
    },
    {
        .name = "migrate_cancel",
        .help = "call the migration off",
        .qmp = "migrate_cancel",
    },
    {
        .name = "migrate_incoming",
        .help = "wait for a machine from URI",
        .args = { { "uri", HMP_REST } },
        .qmp = "migrate-incoming",
    },
    { .name = NULL },
};

static const HmpCommand infos[] = {
    { .name = "migrate", .help = "how far the migration is", .run = info_migrate },
    { .name = NULL },
};

void migration_setup_register(void)
{
    hmp_add_commands(commands);
    hmp_add_info(infos);
}
