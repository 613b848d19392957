/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's NUMA nodes: -numa options into Machine.numa, checked and completed, and the machine's
 * RAM made from them or from one backend. Main thread, VM lock held, before the board's init.
 */
#ifndef VIREO_HW_CORE_NUMA_H
#define VIREO_HW_CORE_NUMA_H

#include "hw/core/machine.h"

#define NUMA_DISTANCE_LOCAL 10
#define NUMA_DISTANCE_REMOTE 20

/*
 * One -numa argument: "node,nodeid=0,cpus=0-1,cpus=4,memdev=ram0", "dist,src=0,dst=1,val=21" or
 * "cpu,node-id=0,socket-id=1". After -smp has been taken in. Errors do not repeat the argument.
 */
bool numa_add_option(Machine *machine, const char *text, GError **error);
/*
 * After the last option and once -object backends exist: gives CPUs and memory that no option
 * mentioned to nodes (CPUs by socket, memory evenly), mirrors distances, refuses gaps and
 * contradictions. Does nothing without nodes.
 */
bool numa_complete(Machine *machine, GError **error);

/* Did an option give a node memory? */
bool numa_has_memory(const Machine *machine);

/* -m: "SIZE" or "[size=]SIZE,slots=N,maxmem=SIZE"; a bare number is in MiB. */
bool machine_set_memory(Machine *machine, const char *text, GError **error);

typedef struct MachineRamOptions {
    const char *mem_path; /* -mem-path: a file or directory (hugetlbfs) for RAM; NULL: anonymous */
    bool prealloc;        /* -mem-prealloc, by as many threads as there are CPUs */
} MachineRamOptions;

/*
 * Calls numa_complete() and makes machine->ram: from the nodes' backends, from the backend that
 * -machine memory-backend= names, or from a new one called MachineOps.default_ram_id. Without -m,
 * ram_size becomes the size of the backend or of the nodes, or the board's default. ram stays NULL
 * where a board has no RAM. Also applies mem-merge and dump-guest-core to all RAM that is made from
 * now on.
 */
bool machine_create_ram(Machine *machine, const MachineRamOptions *options, GError **error);
/* The board is gone: give the backends back. */
void machine_release_ram(Machine *machine);

#endif
