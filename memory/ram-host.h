/* SPDX-License-Identifier: Apache-2.0 */
/* What can be asked of the host's kernel for a piece of mapped memory. Any thread. */
#ifndef VIREO_MEMORY_RAM_HOST_H
#define VIREO_MEMORY_RAM_HOST_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/host-cpus.h"

#define HOST_NODES_MAX 128u

/* A set of the host's NUMA nodes. */
typedef struct HostNodes {
    uint64_t bits[HOST_NODES_MAX / 64];
} HostNodes;

/* As QAPI spells them; the values are the kernel's MPOL_*, see set_mempolicy(2). */
typedef enum RamPolicy {
    RAM_POLICY_DEFAULT,
    RAM_POLICY_PREFERRED,
    RAM_POLICY_BIND,
    RAM_POLICY_INTERLEAVE,
} RamPolicy;
extern const char *const ram_policy_names[];

/* How many nodes are in the set. */
unsigned host_nodes_count(const HostNodes *nodes);
static inline bool host_nodes_test(const HostNodes *nodes, unsigned node)
{
    return nodes->bits[node / 64] >> (node % 64) & 1;
}

/* Where the pages of [host, host + size) shall come from; before they are touched. See mbind(2). */
bool ram_bind(void *host, uint64_t size, RamPolicy policy, const HostNodes *nodes,
              GError **error);
/*
 * Make the kernel provide every page now, with up to `threads` threads sharing the work, which run
 * on those CPUs (NULL: anywhere).
 */
bool ram_prealloc(void *host, uint64_t size, uint64_t page_size, unsigned threads,
                  const HostCpus *cpus, GError **error);
/* KSM and core dumps (RamMapping), later changed. */
void ram_set_merge(void *host, uint64_t size, bool on);
void ram_set_dump(void *host, uint64_t size, bool on);

#endif
