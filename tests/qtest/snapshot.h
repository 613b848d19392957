/* SPDX-License-Identifier: Apache-2.0 */
/* Save the machine's state into a qcow2 image of its own, and load it again. */
#ifndef VIREO_TESTS_QTEST_SNAPSHOT_H
#define VIREO_TESTS_QTEST_SNAPSHOT_H

#include <glib/gstdio.h>
#include <unistd.h>

#include "tests/qtest/libqtest.h"

/* Wait until the job has ended, well. */
static inline void snapshot_end_job(QTest *qts)
{
    for (;;) {
        json_object *jobs = qtest_qmp(qts, "{'execute': 'query-jobs'}"), *job, *value;
        bool over;

        g_assert_cmpuint(json_object_array_length(jobs), ==, 1);
        job = json_object_array_get_idx(jobs, 0);
        json_object_object_get_ex(job, "status", &value);
        over = g_str_equal(json_object_get_string(value), "concluded");
        if (over && json_object_object_get_ex(job, "error", &value)) {
            g_error("%s", json_object_get_string(value));
        }
        json_object_put(jobs);
        if (over) {
            break;
        }
        g_usleep(1000);
    }
    json_object_put(qtest_qmp(qts, "{'execute': 'job-dismiss', 'arguments': {'id': 'job'}}"));
}

/* The node "state", in a new file. Its path is the caller's, who removes it. */
static inline char *snapshot_make_node(QTest *qts)
{
    char *path;
    int fd = g_file_open_tmp("vireo-state-XXXXXX", &path, NULL);

    g_assert_cmpint(fd, >=, 0);
    close(fd);
    json_object_put(qtest_qmp(qts, "{'execute': 'blockdev-add', 'arguments': {'driver': 'file', "
                              "'node-name': 'state-file', 'filename': '%s'}}", path));
    json_object_put(qtest_qmp(qts, "{'execute': 'blockdev-create', 'arguments': {'job-id': 'job', "
                              "'options': {'driver': 'qcow2', 'file': 'state-file', "
                              "'size': 65536}}}"));
    snapshot_end_job(qts);
    json_object_put(qtest_qmp(qts, "{'execute': 'blockdev-add', 'arguments': {'driver': 'qcow2', "
                              "'node-name': 'state', 'file': 'state-file'}}"));
    return path;
}

/* name: "snapshot-save" or "snapshot-load". */
static inline void snapshot_run(QTest *qts, const char *name)
{
    json_object_put(qtest_qmp(qts, "{'execute': '%s', 'arguments': {'job-id': 'job', 'tag': 's', "
                              "'vmstate': 'state', 'devices': ['state']}}", name));
    snapshot_end_job(qts);
}

/* Away with all that the machine knows, and back. */
static inline void snapshot_there_and_back(QTest *qts)
{
    g_autofree char *path = snapshot_make_node(qts);

    snapshot_run(qts, "snapshot-save");
    json_object_put(qtest_qmp(qts, "{'execute': 'system_reset'}"));
    json_object_put(qtest_qmp_event(qts, "RESET"));
    snapshot_run(qts, "snapshot-load");
    g_unlink(path);
}

#endif
