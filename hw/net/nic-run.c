/* SPDX-License-Identifier: Apache-2.0 */
#include "hw/net/nic-run.h"

#include "accel/vm-events.h"

static void run_state_changed(Notifier *notifier, void *data)
{
    NicRun *run = (NicRun *)((char *)notifier - offsetof(NicRun, notifier));

    run->running = *(const bool *)data;
    for (unsigned i = 0; run->running && i < run->nic->queues; i++) {
        net_ready(run->nic->clients[i]);
    }
}

void nic_run_init(NicRun *run, NicConfig *nic)
{
    run->nic = nic;
    run->running = vm_is_running();
    run->notifier.notify = run_state_changed;
    notifier_list_add(run_state_notifiers(), &run->notifier);
}

void nic_run_cleanup(NicRun *run)
{
    notifier_list_remove(run_state_notifiers(), &run->notifier);
}
