/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A NIC receives while the machine runs, and not while it is stopped: its memory stands still then.
 * VM lock held.
 */
#ifndef VIREO_HW_NET_NIC_RUN_H
#define VIREO_HW_NET_NIC_RUN_H

#include "hw/core/device.h"
#include "net/nic.h"

typedef struct NicRun {
    Notifier notifier;
    NicConfig *nic;
    bool running;
} NicRun;

/* Behind nic_start(). When the machine goes on, what waits for the NIC is delivered. */
void nic_run_init(NicRun *run, NicConfig *nic);
/* Before nic_stop(). */
void nic_run_cleanup(NicRun *run);

#endif
