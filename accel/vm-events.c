/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to the run state, passed on to whoever registered. The pointer is set once before any
 * vCPU thread exists, which is what makes reading it without a lock sound.
 */
#include "accel/vm-events.h"

/* The run state machine is one per process and stands above this layer: hence a registration. */
static const VmEventsOps *vm_events;

void vm_events_register(const VmEventsOps *ops)
{
    vm_events = ops;
}

void vm_request_reset(VmCause cause)
{
    if (vm_events && vm_events->reset) {
        vm_events->reset(cause);
    }
}

void vm_request_shutdown(VmCause cause)
{
    if (vm_events && vm_events->shutdown) {
        vm_events->shutdown(cause);
    }
}

void vm_request_shutdown_with_code(VmCause cause, int exit_code)
{
    if (vm_events && vm_events->shutdown_with_code) {
        vm_events->shutdown_with_code(cause, exit_code);
    }
}

void vm_request_suspend(void)
{
    if (vm_events && vm_events->suspend) {
        vm_events->suspend();
    }
}

void vm_request_wakeup(void)
{
    if (vm_events && vm_events->wakeup) {
        vm_events->wakeup();
    }
}

void vm_report_guest_panic(const VmPanicInfo *info)
{
    if (vm_events && vm_events->guest_panicked) {
        vm_events->guest_panicked(info);
    }
}

void vm_report_internal_error(void)
{
    if (vm_events && vm_events->internal_error) {
        vm_events->internal_error();
    }
}

void vm_report_debug_stop(unsigned cpu_index)
{
    if (vm_events && vm_events->debug_stop) {
        vm_events->debug_stop(cpu_index);
    }
}

void vm_report_watchdog(void)
{
    if (vm_events && vm_events->watchdog_expired) {
        vm_events->watchdog_expired();
    }
}

bool vm_is_running(void)
{
    return vm_events && vm_events->is_running && vm_events->is_running();
}
