/* SPDX-License-Identifier: Apache-2.0 */
/* The life of jobs: which events in which order, pausing, speed, transactions. */
#include <string.h>

#include "block/job.h"
#include "block/tests/mem-driver.h"
#include "qapi/event.h"
#include "util/coroutine.h"
#include "util/error.h"
#include "util/timer.h"

typedef struct TestJob {
    Job job;
    unsigned steps;     /* pauses of 1 ms */
    bool fails, becomes_ready, finish, prepare_fails;
} TestJob;

static GString *hooks, *events;

static bool run(Job *job, GError **error)
{
    TestJob *test = (TestJob *)job;

    job_set_total(job, test->steps);
    for (unsigned i = 0; i < test->steps; i++) {
        if (!job_sleep(job, NS_PER_MS)) {
            return false;
        }
        job_add_progress(job, 1);
    }
    if (test->becomes_ready) {
        job_ready(job);
        while (!test->finish && !job->cancelled) {
            job_wait(job);
        }
    }
    if (test->fails) {
        error_setf(error, "as told");
    }
    return !test->fails;
}

static bool complete(Job *job, GError **error)
{
    ((TestJob *)job)->finish = true;
    return true;
}

static bool prepare(Job *job, GError **error)
{
    g_string_append(hooks, "p");
    if (((TestJob *)job)->prepare_fails) {
        error_setf(error, "cannot");
        return false;
    }
    return true;
}

static void commit(Job *job)
{
    g_string_append(hooks, "c");
}

static void abort_job(Job *job)
{
    g_string_append(hooks, "a");
}

static void clean(Job *job)
{
    g_string_append(hooks, ".");
}

static const JobOps plain_ops = {
    .type = JOB_TYPE_CREATE,
    .instance_size = sizeof(TestJob),
    .run = run,
    .complete = complete,
    .prepare = prepare,
    .commit = commit,
    .abort = abort_job,
    .clean = clean,
};

static const JobOps soft_ops = {
    .type = JOB_TYPE_MIRROR,
    .is_block_job = true,
    .instance_size = sizeof(TestJob),
    .soft_cancel = true,
    .run = run,
    .complete = complete,
    .clean = clean,
};

static void sink(int event, const char *name, json_object *data, void *opaque)
{
    json_object *status;

    if (!strcmp(name, "JOB_STATUS_CHANGE")) {
        json_object_object_get_ex(data, "status", &status);
        g_string_append_printf(events, "%s ", json_object_get_string(status));
    } else {
        g_string_append_printf(events, "%s ", name);
    }
}

static TestJob *new_job(const char *id, const JobOps *ops, JobTransaction *transaction,
                        bool manual)
{
    JobFlags flags = { .manual_finalize = manual, .manual_dismiss = manual };
    GError *error = NULL;
    Job *job = job_new(id, ops, transaction, &flags, &error);

    g_assert_no_error(error);
    return (TestJob *)job;
}

static void run_until_gone(void)
{
    while (job_next(NULL)) {
        loop_iterate(loop_main(), true);
    }
}

static void run_until(const char *id, JobStatus status)
{
    while (job_find(id)->status != status) {
        loop_iterate(loop_main(), true);
    }
}

static void begin(void)
{
    hooks = g_string_new(NULL);
    events = g_string_new(NULL);
    qapi_set_event_sink(sink, NULL);
}

static void end(const char *want_events, const char *want_hooks)
{
    qapi_set_event_sink(NULL, NULL);
    g_assert_cmpstr(events->str, ==, want_events);
    g_assert_cmpstr(hooks->str, ==, want_hooks);
    g_string_free(events, TRUE);
    g_string_free(hooks, TRUE);
}

static void test_success(void)
{
    begin();
    job_start(&new_job("j", &plain_ops, NULL, false)->job);
    run_until_gone();
    end("created running waiting pending concluded null ", "pc.");
}

static void test_failure(void)
{
    TestJob *job;

    begin();
    job = new_job("j", &plain_ops, NULL, false);
    job->fails = true;
    job_start(&job->job);
    run_until_gone();
    job = new_job("k", &plain_ops, NULL, false);
    job->prepare_fails = true;
    job_start(&job->job);
    run_until_gone();
    end("created running aborting concluded null "
        "created running waiting pending aborting concluded null ", "a.pa.");
}

static void test_manual(void)
{
    TestJob *job;

    begin();
    job = new_job("j", &plain_ops, NULL, true);
    g_assert_false(job_user_dismiss(&job->job, NULL));
    g_assert_false(job_user_finalize(&job->job, NULL));
    g_assert_null(job_new("j", &plain_ops, NULL, &(JobFlags){ 0 }, NULL));
    g_assert_null(job_new("9", &plain_ops, NULL, &(JobFlags){ 0 }, NULL));
    job_start(&job->job);
    run_until("j", JOB_STATUS_PENDING);
    g_assert_false(job_user_pause(&job->job, NULL));
    g_assert_true(job_user_finalize(&job->job, NULL));
    run_until("j", JOB_STATUS_CONCLUDED);
    g_assert_false(job_user_cancel(&job->job, true, NULL));
    g_assert_true(job_user_dismiss(&job->job, NULL));
    end("created running waiting pending concluded null ", "pc.");
}

static void test_pause_and_cancel(void)
{
    TestJob *job;

    begin();
    job = new_job("j", &plain_ops, NULL, false);
    job->steps = 1000000;
    g_assert_true(job_user_pause(&job->job, NULL));
    g_assert_false(job_user_pause(&job->job, NULL));
    job_start(&job->job);
    run_until("j", JOB_STATUS_PAUSED);
    g_assert_true(job_user_resume(&job->job, NULL));
    g_assert_false(job_user_resume(&job->job, NULL));
    run_until("j", JOB_STATUS_RUNNING);
    g_assert_true(job_user_pause(&job->job, NULL));
    run_until("j", JOB_STATUS_PAUSED);
    g_assert_true(job_user_cancel(&job->job, true, NULL));
    run_until_gone();
    end("created running paused running paused running aborting concluded null ", "a.");
}

static void test_ready(void)
{
    TestJob *job;

    begin();
    job = new_job("j", &soft_ops, NULL, false);
    job->becomes_ready = true;
    g_assert_false(job_user_complete(&job->job, NULL));
    job_start(&job->job);
    run_until("j", JOB_STATUS_READY);
    g_assert_true(job_user_pause(&job->job, NULL));
    run_until("j", JOB_STATUS_STANDBY);
    g_assert_true(job_user_resume(&job->job, NULL));
    run_until("j", JOB_STATUS_READY);
    g_assert_true(job_user_complete(&job->job, NULL));
    run_until_gone();
    end("created running ready BLOCK_JOB_READY standby ready waiting pending BLOCK_JOB_COMPLETED "
        "concluded null ", ".");
}

static void cancel_ready(bool force, const char *want)
{
    TestJob *job;

    begin();
    job = new_job("j", &soft_ops, NULL, false);
    job->becomes_ready = true;
    job_start(&job->job);
    run_until("j", JOB_STATUS_READY);
    g_assert_true(job_user_cancel(&job->job, force, NULL));
    run_until_gone();
    end(want, ".");
}

static void test_cancel_ready(void)
{
    cancel_ready(false, "created running ready BLOCK_JOB_READY waiting pending "
                        "BLOCK_JOB_COMPLETED concluded null ");
    cancel_ready(true, "created running ready BLOCK_JOB_READY aborting BLOCK_JOB_CANCELLED "
                       "concluded null ");
}

static void test_transaction(void)
{
    for (int fails = 0; fails < 2; fails++) {
        JobTransaction *transaction = job_transaction_new();
        TestJob *a, *b;

        begin();
        a = new_job("a", &plain_ops, transaction, false);
        b = new_job("b", &plain_ops, transaction, false);
        job_transaction_unref(transaction);
        b->steps = 3;
        b->fails = fails;
        job_start(&a->job);
        job_start(&b->job);
        run_until_gone();
        if (fails) {
            end("created created running running waiting aborting aborting concluded null "
                "concluded null ", "a.a.");
        } else {
            end("created created running running waiting waiting pending pending concluded null "
                "concluded null ", "ppc.c.");
        }
    }
}

static void test_drain(void)
{
    BlockNode *node = mem_node_new(&mem_driver, 65536, NULL);
    TestJob *job;

    begin();
    job = new_job("j", &plain_ops, NULL, false);
    job->steps = 1000000;
    g_assert_nonnull(job_attach(&job->job, node, "disk", BLOCK_PERM_WRITE, BLOCK_PERM_ALL, NULL));
    job_start(&job->job);
    block_drain_begin(node);
    for (int i = 0; i < 100; i++) {
        loop_iterate(loop_main(), false);
    }
    g_assert_cmpint(job->job.status, ==, JOB_STATUS_PAUSED);
    block_drain_end(node);
    job_cancel_all();
    end("created running paused running aborting concluded null ", "a.");
    g_assert_cmpuint(node->parents->len, ==, 0);
    block_node_unref(node);
}

static bool run_fast(Job *job, GError **error)
{
    job_set_total(job, 1 << 20);
    for (int i = 0; i < 16; i++) {
        if (!job_throttle(job, 65536)) {
            return false;
        }
        job_add_progress(job, 65536);
    }
    return true;
}

static void test_speed(void)
{
    static const JobOps ops = {
        .type = JOB_TYPE_BACKUP, .is_block_job = true, .instance_size = sizeof(TestJob),
        .run = run_fast,
    };
    int64_t started = vm_clock_ns(VM_CLOCK_REALTIME);
    TestJob *job;

    begin();
    job = new_job("j", &ops, NULL, false);
    g_assert_false(job_set_speed(&job->job, -1, NULL));
    g_assert_true(job_set_speed(&job->job, 4 << 20, NULL));
    job_start(&job->job);
    run_until_gone();
    g_assert_cmpint(vm_clock_ns(VM_CLOCK_REALTIME) - started, >=, 100 * NS_PER_MS);
    end("created running waiting pending BLOCK_JOB_COMPLETED concluded null ", "");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/job/success", test_success);
    g_test_add_func("/job/failure", test_failure);
    g_test_add_func("/job/manual", test_manual);
    g_test_add_func("/job/pause-and-cancel", test_pause_and_cancel);
    g_test_add_func("/job/ready", test_ready);
    g_test_add_func("/job/cancel-ready", test_cancel_ready);
    g_test_add_func("/job/transaction", test_transaction);
    g_test_add_func("/job/drain", test_drain);
    g_test_add_func("/job/speed", test_speed);
    return g_test_run();
}
