/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The run state of the machine: running, paused, shut down, and how it gets from one to another.
 * Requests by devices, vCPUs, signals and commands are noted from any thread and carried out by
 * the main loop. Everything else here: main thread, VM lock held.
 */
#ifndef VIREO_SYSTEM_RUNSTATE_H
#define VIREO_SYSTEM_RUNSTATE_H

#include "accel/vm-events.h"
#include "qapi/qapi-types-run-state.h"

typedef struct RunStateActions {
    RebootAction reboot;
    ShutdownAction shutdown;
    PanicAction panic;
    WatchdogAction watchdog;
} RunStateActions;

/* Registers with accel/vm-events.h; the state is then "prelaunch". */
void runstate_init(void);
RunState runstate_get(void);
bool runstate_is_running(void);
RunStateActions *runstate_actions(void);

/* Start or go on; emits RESUME unless it is the first start. */
bool runstate_start(GError **error);
/* Stop all vCPUs and the virtual clock; emits STOP if it was running. */
void runstate_stop(RunState state);
/* Out of "inmigrate", in which starting and stopping only note what is wanted; start it now? */
bool runstate_arrive(void);
/* Reset the machine now (vCPUs are paused meanwhile). */
void runstate_reset_machine(VmCause cause);
void runstate_request_powerdown(void);

/* The process's exit status once the main loop has ended. */
int runstate_exit_code(void);

#endif
