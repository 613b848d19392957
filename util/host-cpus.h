/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of the host's CPUs, and which of them a thread may run on (sched_setaffinity(2)). */
#ifndef VIREO_UTIL_HOST_CPUS_H
#define VIREO_UTIL_HOST_CPUS_H

#include <glib.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#define HOST_CPUS_MAX ((unsigned)CPU_SETSIZE)

typedef struct HostCpus {
    cpu_set_t set;
} HostCpus;

static inline bool host_cpus_test(const HostCpus *cpus, unsigned cpu)
{
    return CPU_ISSET(cpu, &cpus->set);
}
unsigned host_cpus_count(const HostCpus *cpus);
/* Numbers and ranges joined by ',' or ':', such as "0-3:6"; empty text is an empty set. */
bool host_cpus_parse(const char *text, HostCpus *cpus, GError **error);
/* The same, shortest, with ','. */
char *host_cpus_format(const HostCpus *cpus);
/* first to last; the error names what is beyond HOST_CPUS_MAX, or the wrong way round. */
bool host_cpus_add(HostCpus *cpus, uint64_t first, uint64_t last, GError **error);

/*
 * May this process have them all? The error tells which one does not exist, is offline, or is kept
 * from it by its control group (cpuset). An empty set is an error. Any thread.
 */
bool host_cpus_check(const HostCpus *cpus, GError **error);
/*
 * Let the thread (kernel id; 0: the caller) run on these only. Checks them first; on failure the
 * thread stays where it may be now.
 */
bool host_cpus_pin(int tid, const HostCpus *cpus, GError **error);
/* Let it run where the process was allowed to when it started, even if its maker is pinned. */
void host_cpus_unpin(int tid);
/* Where the thread may run; empty if it is gone. */
void host_cpus_of_thread(int tid, HostCpus *cpus);

#endif
