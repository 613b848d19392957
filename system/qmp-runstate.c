/* SPDX-License-Identifier: Apache-2.0 */
/* QMP commands of the run state. */
#include "accel/accel.h"
#include "hw/core/machine.h"
#include "qapi/qapi-commands-control.h"
#include "qapi/qapi-commands-machine.h"
#include "qapi/qapi-commands-misc.h"
#include "qapi/qapi-commands-run-state.h"
#include "system/runstate.h"
#include "util/error.h"

StatusInfo *qmp_query_status(GError **error)
{
    StatusInfo *info = g_new0(StatusInfo, 1);

    info->running = runstate_is_running();
    info->status = runstate_get();
    return info;
}

bool qmp_stop(GError **error)
{
    if (runstate_is_running()) {
        runstate_stop(RUN_STATE_PAUSED);
    }
    return true;
}

bool qmp_cont(GError **error)
{
    return runstate_start(error);
}

bool qmp_quit(GError **error)
{
    runstate_actions()->shutdown = SHUTDOWN_ACTION_POWEROFF;
    vm_request_shutdown(VM_CAUSE_HOST_QMP_QUIT);
    return true;
}

bool qmp_system_reset(GError **error)
{
    vm_request_reset(VM_CAUSE_HOST_QMP_SYSTEM_RESET);
    return true;
}

bool qmp_system_powerdown(GError **error)
{
    runstate_request_powerdown();
    return true;
}

bool qmp_system_wakeup(GError **error)
{
    if (runstate_get() != RUN_STATE_SUSPENDED) {
        error_setf(error, "Unable to wake up: guest is not in suspended state");
        return false;
    }
    vm_request_wakeup();
    return true;
}

bool qmp_set_action(bool has_reboot, RebootAction reboot, bool has_shutdown,
                    ShutdownAction shutdown, bool has_panic, PanicAction panic, bool has_watchdog,
                    WatchdogAction watchdog, GError **error)
{
    RunStateActions *actions = runstate_actions();

    if (has_reboot) {
        actions->reboot = reboot;
    }
    if (has_shutdown) {
        actions->shutdown = shutdown;
    }
    if (has_panic) {
        actions->panic = panic;
    }
    if (has_watchdog) {
        actions->watchdog = watchdog;
    }
    return true;
}

bool qmp_watchdog_set_action(WatchdogAction action, GError **error)
{
    runstate_actions()->watchdog = action;
    return true;
}

bool qmp_inject_nmi(GError **error)
{
    const MachineOps *ops = machine_ops(machine_current());

    if (ops->nmi) {
        return ops->nmi(machine_current(), error);
    }
    if (!vcpu_count() || !accel_ops()->inject_nmi) {
        error_setf(error, "machine does not provide NMIs");
        return false;
    }
    for (VCpu *cpu = vcpu_next(NULL); cpu; cpu = vcpu_next(cpu)) {
        accel_ops()->inject_nmi(cpu);
    }
    return true;
}
