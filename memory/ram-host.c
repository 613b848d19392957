/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NUMA policy (mbind(2)) and preallocation (madvise(2), MADV_POPULATE_WRITE since Linux 5.14; older
 * kernels: one write to each page).
 */
#include "memory/ram-host.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/bits.h"
#include "util/error.h"
#include "util/thread.h"

#define PREALLOC_THREADS_MAX 64u
/* A thread that got less than this would cost more than it saves. */
#define PREALLOC_CHUNK_MIN (16 * MiB)

const char *const ram_policy_names[] = {
    [RAM_POLICY_DEFAULT] = "default",
    [RAM_POLICY_PREFERRED] = "preferred",
    [RAM_POLICY_BIND] = "bind",
    [RAM_POLICY_INTERLEAVE] = "interleave",
    NULL,
};

G_STATIC_ASSERT(MPOL_DEFAULT == (int)RAM_POLICY_DEFAULT &&
                MPOL_PREFERRED == (int)RAM_POLICY_PREFERRED &&
                MPOL_BIND == (int)RAM_POLICY_BIND &&
                MPOL_INTERLEAVE == (int)RAM_POLICY_INTERLEAVE);

unsigned host_nodes_count(const HostNodes *nodes)
{
    unsigned count = 0;

    for (unsigned i = 0; i < G_N_ELEMENTS(nodes->bits); i++) {
        count += __builtin_popcountll(nodes->bits[i]);
    }
    return count;
}

bool ram_bind(void *host, uint64_t size, RamPolicy policy, const HostNodes *nodes,
              GError **error)
{
    unsigned count = host_nodes_count(nodes);

    if (policy == RAM_POLICY_DEFAULT) {
        if (count) {
            error_setf(error, "host-nodes needs a policy other than 'default'");
        }
        return !count;
    }
    if (!count) {
        error_setf(error, "policy '%s' needs host-nodes", ram_policy_names[policy]);
        return false;
    }
    /* The kernel takes one bit less than it is told. */
    if (syscall(SYS_mbind, host, size, policy, nodes->bits, HOST_NODES_MAX + 1,
                MPOL_MF_STRICT | MPOL_MF_MOVE) != 0) {
        error_set_errno(error, errno, "cannot set the NUMA policy '%s' of the host's memory",
                        ram_policy_names[policy]);
        return false;
    }
    return true;
}

/* One thread's share of the memory. */
typedef struct Share {
    pthread_t thread;
    uint8_t *host;
    uint64_t size;
    uint64_t page_size;
    const HostCpus *cpus; /* or NULL */
    int err;
} Share;

static void *populate(void *opaque)
{
    Share *share = opaque;

    if (share->cpus) {
        sched_setaffinity(0, sizeof(share->cpus->set), &share->cpus->set);
    }
    if (madvise(share->host, share->size, MADV_POPULATE_WRITE) == 0) {
        return NULL;
    }
    if (errno != EINVAL) {
        share->err = errno;
        return NULL;
    }
    for (uint64_t at = 0; at < share->size; at += share->page_size) {
        /* What is there stays: the memory may be a file's. */
        __atomic_fetch_or(&share->host[at], 0, __ATOMIC_RELAXED);
    }
    return NULL;
}

/* Start a thread for each share; unless they have their place, the caller does the first itself. */
static bool populate_shares(Share *shares, unsigned count, GError **error)
{
    unsigned first = shares[0].cpus ? 0 : 1;
    unsigned started = first;
    bool ok = true;

    while (ok && started < count) {
        ok = thread_create(&shares[started].thread, "prealloc", populate, &shares[started], error);
        started += ok;
    }
    if (ok && first) {
        populate(&shares[0]);
    }
    while (started-- > first) {
        pthread_join(shares[started].thread, NULL);
    }
    return ok;
}

bool ram_prealloc(void *host, uint64_t size, uint64_t page_size, unsigned threads,
                  const HostCpus *cpus, GError **error)
{
    uint64_t pages = size / page_size + (size % page_size != 0);
    uint64_t unit = MAX(PREALLOC_CHUNK_MIN, page_size) / page_size;
    unsigned count = CLAMP(pages / unit, 1, MIN(MAX(threads, 1), PREALLOC_THREADS_MAX));
    uint64_t share_pages = pages / count + (pages % count != 0);
    Share shares[PREALLOC_THREADS_MAX] = { 0 };
    uint64_t at = 0;

    for (unsigned i = 0; i < count; i++) {
        shares[i].host = (uint8_t *)host + at * page_size;
        shares[i].size = MIN(share_pages, pages - at) * page_size;
        shares[i].page_size = page_size;
        shares[i].cpus = cpus;
        at += shares[i].size / page_size;
    }
    if (!populate_shares(shares, count, error)) {
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        if (shares[i].err) {
            error_set_errno(error, shares[i].err, "cannot preallocate %" G_GUINT64_FORMAT
                            " bytes of memory", size);
            return false;
        }
    }
    return true;
}

void ram_set_merge(void *host, uint64_t size, bool on)
{
    madvise(host, size, on ? MADV_MERGEABLE : MADV_UNMERGEABLE);
}

void ram_set_dump(void *host, uint64_t size, bool on)
{
    madvise(host, size, on ? MADV_DODUMP : MADV_DONTDUMP);
}
