/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel cuts a mask down to what exists, is online and is allowed, and says nothing unless
 * nothing is left. So a thread of its own asks for everything first, to see what there is.
 */
#include "util/host-cpus.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "util/error.h"
#include "util/parse.h"

static HostCpus at_start;

static void __attribute__((constructor)) note_start(void)
{
    host_cpus_of_thread(0, &at_start);
}

unsigned host_cpus_count(const HostCpus *cpus)
{
    return (unsigned)CPU_COUNT(&cpus->set);
}

bool host_cpus_add(HostCpus *cpus, uint64_t first, uint64_t last, GError **error)
{
    if (first > last || last >= HOST_CPUS_MAX) {
        error_setf(error, "'%" G_GUINT64_FORMAT "-%" G_GUINT64_FORMAT "' are no host CPUs: those "
                   "are 0 to %u", first, last, HOST_CPUS_MAX - 1);
        return false;
    }
    for (uint64_t cpu = first; cpu <= last; cpu++) {
        CPU_SET(cpu, &cpus->set);
    }
    return true;
}

bool host_cpus_parse(const char *text, HostCpus *cpus, GError **error)
{
    g_auto(GStrv) words = g_strsplit_set(text, ",:", -1);

    *cpus = (HostCpus) { 0 };
    for (char **word = words; *word; word++) {
        g_auto(GStrv) ends = g_strsplit(*word, "-", 2);
        uint64_t first, last;

        if (!parse_uint64(ends[0] ? ends[0] : "", &first, error) ||
            !parse_uint64(ends[0] && ends[1] ? ends[1] : *word, &last, error) ||
            !host_cpus_add(cpus, first, last, error)) {
            return false;
        }
    }
    return true;
}

char *host_cpus_format(const HostCpus *cpus)
{
    GString *text = g_string_new(NULL);

    for (unsigned first = 0; first < HOST_CPUS_MAX; first++) {
        unsigned last = first;

        if (!host_cpus_test(cpus, first)) {
            continue;
        }
        while (last + 1 < HOST_CPUS_MAX && host_cpus_test(cpus, last + 1)) {
            last++;
        }
        g_string_append_printf(text, last > first ? "%s%u-%u" : "%s%u", text->len ? "," : "",
                               first, last);
        first = last;
    }
    return g_string_free(text, FALSE);
}

/* ---- What the host allows ---- */

/* One of the kernel's lists; false: it has none to show. */
static bool read_list(const char *path, HostCpus *cpus)
{
    g_autofree char *text = NULL;

    return g_file_get_contents(path, &text, NULL, NULL) &&
           host_cpus_parse(g_strstrip(text), cpus, NULL);
}

/* Why it cannot be had. */
static void explain(unsigned cpu, const HostCpus *allowed, GError **error)
{
    g_autofree char *text = host_cpus_format(allowed);
    HostCpus there;

    if (read_list("/sys/devices/system/cpu/present", &there) && !host_cpus_test(&there, cpu)) {
        g_autofree char *present = host_cpus_format(&there);

        error_setf(error, "host CPU %u does not exist: the host has %s", cpu, present);
    } else if (read_list("/sys/devices/system/cpu/online", &there) &&
               !host_cpus_test(&there, cpu)) {
        error_setf(error, "host CPU %u is offline", cpu);
    } else {
        error_setf(error, "host CPU %u is not for this process: its control group (cpuset) has %s",
                   cpu, *text ? text : "others");
    }
}

/* All that a thread of this process can have. */
static void *ask_for_all(void *opaque)
{
    HostCpus all;

    memset(&all, 0xff, sizeof(all));
    sched_setaffinity(0, sizeof(all.set), &all.set);
    host_cpus_of_thread(0, opaque);
    return NULL;
}

bool host_cpus_check(const HostCpus *cpus, GError **error)
{
    HostCpus got;
    pthread_t thread;
    int err;

    if (!host_cpus_count(cpus)) {
        error_setf(error, "an empty set of host CPUs");
        return false;
    }
    err = pthread_create(&thread, NULL, ask_for_all, &got);
    if (err) {
        error_set_errno(error, err, "cannot look which host CPUs there are");
        return false;
    }
    pthread_join(thread, NULL);
    for (unsigned cpu = 0; cpu < HOST_CPUS_MAX; cpu++) {
        if (host_cpus_test(cpus, cpu) && !host_cpus_test(&got, cpu)) {
            explain(cpu, &got, error);
            return false;
        }
    }
    return true;
}

bool host_cpus_pin(int tid, const HostCpus *cpus, GError **error)
{
    if (!host_cpus_check(cpus, error)) {
        return false;
    }
    if (sched_setaffinity(tid, sizeof(cpus->set), &cpus->set) != 0) {
        error_set_errno(error, errno, "cannot pin thread %d", tid);
        return false;
    }
    return true;
}

void host_cpus_unpin(int tid)
{
    sched_setaffinity(tid, sizeof(at_start.set), &at_start.set);
}

void host_cpus_of_thread(int tid, HostCpus *cpus)
{
    if (sched_getaffinity(tid, sizeof(cpus->set), &cpus->set) != 0) {
        *cpus = (HostCpus) { 0 };
    }
}
