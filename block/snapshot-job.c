/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots of the whole machine, and the jobs that make, load and delete them. */
#include "block/job.h"
#include "block/snapshot.h"
#include "qapi-commands-block.h"
#include "util/error.h"

static const BlockSnapshotMachine *machine; /* the program's, registered once from above */

void block_snapshot_set_machine(const BlockSnapshotMachine *ops)
{
    machine = ops;
}

static bool have_machine(GError **error)
{
    if (!machine) {
        error_setf(error, "This program has no machine whose state could be saved or loaded");
    }
    return machine;
}

/* ---- The work ---- */

static bool save_stopped(const BlockSnapshotSet *set, const char *name, GError **error)
{
    uint64_t size;

    return machine->save(set->state_node, &size, error) &&
           block_snapshot_set_create(set, name, size, error);
}

bool block_snapshot_save_all(const BlockSnapshotSet *set, const char *name, bool replace,
                             GError **error)
{
    bool was_running, ok;

    if (!have_machine(error) ||
        !(replace ? block_snapshot_set_delete(set, name, error)
                  : block_snapshot_set_is_new(set, name, error))) {
        return false;
    }
    was_running = machine->pause();
    block_drain_all_begin();
    ok = save_stopped(set, name, error);
    block_drain_all_end();
    if (was_running) {
        machine->resume();
    }
    return ok;
}

static bool load_stopped(const BlockSnapshotSet *set, const char *name, GError **error)
{
    g_autoptr(BlockSnapshot) found = NULL;

    return block_snapshot_find(set->state_node, NULL, name, &found, error) &&
           block_snapshot_set_goto(set, name, error) &&
           machine->load(set->state_node, found->vm_state_size, error);
}

bool block_snapshot_load_all(const BlockSnapshotSet *set, const char *name, GError **error)
{
    bool was_running, ok;

    if (!have_machine(error) || !block_snapshot_set_has(set, name, error)) {
        return false;
    }
    was_running = machine->pause();
    block_drain_all_begin();
    ok = load_stopped(set, name, error);
    block_drain_all_end();
    if (was_running && ok) {
        machine->resume();
    }
    return ok;
}

/* ---- The jobs ---- */

typedef struct SnapshotJob {
    Job job;
    char *tag, *vmstate; /* vmstate NULL: none is wanted */
    GPtrArray *devices;
} SnapshotJob;

static bool run_save(const BlockSnapshotSet *set, const char *tag, GError **error)
{
    return block_snapshot_save_all(set, tag, false, error);
}

static bool run_job(Job *job, bool (*fn)(const BlockSnapshotSet *set, const char *tag,
                                         GError **error), GError **error)
{
    SnapshotJob *snapshot = (SnapshotJob *)job;
    BlockSnapshotSet set;
    bool ok;

    job_set_total(job, 1);
    ok = block_snapshot_set_init(&set, snapshot->devices, snapshot->vmstate, error) &&
         fn(&set, snapshot->tag, error);
    block_snapshot_set_cleanup(&set);
    if (ok) {
        job_add_progress(job, 1);
    }
    return ok;
}

static bool save_job(Job *job, GError **error)
{
    return run_job(job, run_save, error);
}

static bool load_job(Job *job, GError **error)
{
    return run_job(job, block_snapshot_load_all, error);
}

static bool delete_job(Job *job, GError **error)
{
    return run_job(job, block_snapshot_set_delete, error);
}

static void destroy_job(Job *job)
{
    SnapshotJob *snapshot = (SnapshotJob *)job;

    g_free(snapshot->tag);
    g_free(snapshot->vmstate);
    g_ptr_array_unref(snapshot->devices);
}

static const JobOps save_ops = {
    .type = JOB_TYPE_SNAPSHOT_SAVE,
    .instance_size = sizeof(SnapshotJob),
    .run = save_job,
    .destroy = destroy_job,
};

static const JobOps load_ops = {
    .type = JOB_TYPE_SNAPSHOT_LOAD,
    .instance_size = sizeof(SnapshotJob),
    .run = load_job,
    .destroy = destroy_job,
};

static const JobOps delete_ops = {
    .type = JOB_TYPE_SNAPSHOT_DELETE,
    .instance_size = sizeof(SnapshotJob),
    .run = delete_job,
    .destroy = destroy_job,
};

static bool start_job(const JobOps *ops, const char *job_id, const char *tag, const char *vmstate,
                      const GPtrArray *devices, GError **error)
{
    JobFlags flags = { .manual_dismiss = true };
    SnapshotJob *job = (SnapshotJob *)job_new(job_id, ops, NULL, &flags, error);

    if (!job) {
        return false;
    }
    job->tag = g_strdup(tag);
    job->vmstate = g_strdup(vmstate);
    job->devices = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < devices->len; i++) {
        g_ptr_array_add(job->devices, g_strdup(g_ptr_array_index(devices, i)));
    }
    job_start(&job->job);
    return true;
}

bool qmp_snapshot_save(const char *job_id, const char *tag, const char *vmstate,
                       GPtrArray *devices, GError **error)
{
    return start_job(&save_ops, job_id, tag, vmstate, devices, error);
}

bool qmp_snapshot_load(const char *job_id, const char *tag, const char *vmstate,
                       GPtrArray *devices, GError **error)
{
    return start_job(&load_ops, job_id, tag, vmstate, devices, error);
}

bool qmp_snapshot_delete(const char *job_id, const char *tag, GPtrArray *devices, GError **error)
{
    return start_job(&delete_ops, job_id, tag, NULL, devices, error);
}
