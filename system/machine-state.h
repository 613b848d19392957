/* SPDX-License-Identifier: Apache-2.0 */
/* Saving and loading the whole machine. Main thread, VM lock held. */
#ifndef VIREO_SYSTEM_MACHINE_STATE_H
#define VIREO_SYSTEM_MACHINE_STATE_H

#include "migration/stream.h"

/*
 * The machine as it is now. False, and the error names the first device, if something in it cannot
 * be saved. Clean up with machine_stream_cleanup() in any case.
 */
bool machine_state_collect(MachineStream *stream, GError **error);
/* The CPUs are stopped. */
bool machine_state_save(const StreamIo *io, uint64_t *size, GError **error);
/* On failure the machine needs a reset before it can run. */
bool machine_state_load(const StreamIo *io, uint64_t size, GError **error);

/* Registers this with block/snapshot.h, and savevm, loadvm, delvm, info snapshots. Once. */
void machine_state_register(void);

#endif
