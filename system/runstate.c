/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The run state machine.
 *
 * A request sets a flag and schedules one deferred callback on the main loop, which serves all
 * flags in a fixed order: stop for debugging or error, suspend, shutdown, reset, wake-up, power
 * button. A vCPU that asks for a reset or a shutdown stops at once, so that it runs no guest code
 * between the request and its service.
 */
#include "system/runstate.h"

#include "accel/accel.h"
#include "block/backend.h"
#include "hw/core/machine.h"
#include "qapi/qapi-events-run-state.h"
#include "util/error.h"
#include "util/loop.h"
#include "util/timer.h"
#include "util/vm-lock.h"

typedef enum Request {
    REQUEST_DEBUG = 1u << 0,
    REQUEST_INTERNAL_ERROR = 1u << 1,
    REQUEST_SUSPEND = 1u << 2,
    REQUEST_SHUTDOWN = 1u << 3,
    REQUEST_RESET = 1u << 4,
    REQUEST_WAKEUP = 1u << 5,
    REQUEST_POWERDOWN = 1u << 6,
} Request;

static struct {
    RunState state;
    bool started_once;
    bool needs_reset; /* shut down: cont is refused until a reset */
    bool start_on_arrival; /* while it waits for a migration */
    RunStateActions actions;
    uint32_t requests; /* atomic */
    VmCause shutdown_cause, reset_cause;
    int exit_code;
    LoopBh *bh;
} rs;

static void request(uint32_t flags)
{
    VCpu *cpu = vcpu_current();

    if (cpu && (flags & (REQUEST_SHUTDOWN | REQUEST_RESET | REQUEST_SUSPEND))) {
        vcpu_stop_self(cpu);
    }
    __atomic_fetch_or(&rs.requests, flags, __ATOMIC_SEQ_CST);
    loop_bh_schedule(rs.bh);
}

static bool guest_caused(VmCause cause)
{
    return cause >= VM_CAUSE_GUEST_SHUTDOWN;
}

/* VmCause and ShutdownCause list the same names in the same order. */
G_STATIC_ASSERT((int)VM_CAUSE_SNAPSHOT_LOAD == (int)SHUTDOWN_CAUSE_SNAPSHOT_LOAD);
G_STATIC_ASSERT((int)VM_CAUSE_GUEST_PANIC == (int)SHUTDOWN_CAUSE_GUEST_PANIC);

static void on_reset(VmCause cause)
{
    if (guest_caused(cause) && cause != VM_CAUSE_SUBSYSTEM_RESET &&
        rs.actions.reboot == REBOOT_ACTION_SHUTDOWN) {
        rs.shutdown_cause = cause;
        request(REQUEST_SHUTDOWN);
        return;
    }
    rs.reset_cause = cause;
    request(REQUEST_RESET);
}

static void on_shutdown(VmCause cause)
{
    rs.shutdown_cause = cause;
    request(REQUEST_SHUTDOWN);
}

static void on_shutdown_with_code(VmCause cause, int exit_code)
{
    rs.exit_code = exit_code;
    on_shutdown(cause);
}

static void on_suspend(void)
{
    request(REQUEST_SUSPEND);
}

static void on_wakeup(void)
{
    request(REQUEST_WAKEUP);
}

static void on_internal_error(void)
{
    request(REQUEST_INTERNAL_ERROR);
}

static void on_debug_stop(unsigned cpu_index)
{
    request(REQUEST_DEBUG);
}

static GuestPanicInformation *panic_information(const VmPanicInfo *info)
{
    GuestPanicInformation *result;

    if (info->kind != VM_PANIC_HYPERV) {
        return NULL;
    }
    result = g_new0(GuestPanicInformation, 1);
    result->type = GUEST_PANIC_INFORMATION_TYPE_HYPER_V;
    result->u.hyper_v.arg1 = info->args[0];
    result->u.hyper_v.arg2 = info->args[1];
    result->u.hyper_v.arg3 = info->args[2];
    result->u.hyper_v.arg4 = info->args[3];
    result->u.hyper_v.arg5 = info->args[4];
    return result;
}

typedef struct PanicReport {
    VmPanicInfo info;
} PanicReport;

static void serve_panic(void *opaque)
{
    g_autofree PanicReport *report = opaque;
    g_autoptr(GuestPanicInformation) info = panic_information(&report->info);

    if (report->info.kind == VM_PANIC_PVPANIC_CRASHLOADED) {
        qapi_event_send_guest_crashloaded(GUEST_PANIC_ACTION_RUN, info);
        return;
    }
    switch (rs.actions.panic) {
    case PANIC_ACTION_NONE:
        qapi_event_send_guest_panicked(GUEST_PANIC_ACTION_RUN, info);
        return;
    case PANIC_ACTION_PAUSE:
        qapi_event_send_guest_panicked(GUEST_PANIC_ACTION_PAUSE, info);
        runstate_stop(RUN_STATE_GUEST_PANICKED);
        return;
    case PANIC_ACTION_EXIT_FAILURE:
        rs.exit_code = 1;
        break;
    default:
        break;
    }
    qapi_event_send_guest_panicked(GUEST_PANIC_ACTION_PAUSE, info);
    runstate_stop(RUN_STATE_GUEST_PANICKED);
    qapi_event_send_guest_panicked(GUEST_PANIC_ACTION_POWEROFF, info);
    on_shutdown(VM_CAUSE_GUEST_PANIC);
}

static void on_guest_panicked(const VmPanicInfo *info)
{
    PanicReport *report = g_new0(PanicReport, 1);

    report->info = *info;
    loop_post(loop_main(), serve_panic, report);
}

static void serve_watchdog(void *opaque)
{
    WatchdogAction action = rs.actions.watchdog;

    qapi_event_send_watchdog(action);
    switch (action) {
    case WATCHDOG_ACTION_RESET:
        on_reset(VM_CAUSE_GUEST_RESET);
        break;
    case WATCHDOG_ACTION_SHUTDOWN:
        runstate_request_powerdown();
        break;
    case WATCHDOG_ACTION_POWEROFF:
        on_shutdown(VM_CAUSE_GUEST_RESET);
        break;
    case WATCHDOG_ACTION_PAUSE:
        runstate_stop(RUN_STATE_WATCHDOG);
        break;
    case WATCHDOG_ACTION_INJECT_NMI:
        for (VCpu *cpu = vcpu_next(NULL); cpu && accel_ops()->inject_nmi; cpu = vcpu_next(cpu)) {
            accel_ops()->inject_nmi(cpu);
        }
        break;
    default:
        break;
    }
}

static void on_watchdog(void)
{
    loop_post(loop_main(), serve_watchdog, NULL);
}

static const VmEventsOps vm_events_ops = {
    .reset = on_reset,
    .shutdown = on_shutdown,
    .shutdown_with_code = on_shutdown_with_code,
    .suspend = on_suspend,
    .wakeup = on_wakeup,
    .guest_panicked = on_guest_panicked,
    .internal_error = on_internal_error,
    .debug_stop = on_debug_stop,
    .watchdog_expired = on_watchdog,
    .is_running = runstate_is_running,
};

RunState runstate_get(void)
{
    return rs.state;
}

bool runstate_is_running(void)
{
    return rs.state == RUN_STATE_RUNNING;
}

RunStateActions *runstate_actions(void)
{
    return &rs.actions;
}

int runstate_exit_code(void)
{
    return rs.exit_code;
}

static void tell_run_state(bool running)
{
    if (accel_ops()->vm_state_changed) {
        accel_ops()->vm_state_changed(accel_current(), running);
    }
    notifier_list_run(run_state_notifiers(), &running);
}

bool runstate_start(GError **error)
{
    if (runstate_is_running()) {
        return true;
    }
    if (rs.state == RUN_STATE_INMIGRATE) {
        rs.start_on_arrival = true;
        return true;
    }
    if (rs.needs_reset) {
        error_setf(error, "Resetting the Virtual Machine is required");
        return false;
    }
    if (rs.state == RUN_STATE_SUSPENDED) {
        return true;
    }
    block_backends_go_on();
    rs.state = RUN_STATE_RUNNING;
    vm_clock_start();
    tell_run_state(true);
    if (rs.started_once) {
        qapi_event_send_resume();
    }
    rs.started_once = true;
    vcpus_resume_all();
    return true;
}

bool runstate_arrive(void)
{
    rs.state = RUN_STATE_PAUSED;
    return rs.start_on_arrival;
}

void runstate_stop(RunState state)
{
    bool was_running = runstate_is_running();

    if (rs.state == RUN_STATE_INMIGRATE && state == RUN_STATE_PAUSED) {
        rs.start_on_arrival = false;
        return;
    }
    if (was_running) {
        vcpus_pause_all();
        vm_clock_stop();
    }
    rs.state = state;
    if (state == RUN_STATE_INTERNAL_ERROR || state == RUN_STATE_SHUTDOWN) {
        rs.needs_reset = true;
    }
    if (was_running) {
        tell_run_state(false);
        qapi_event_send_stop();
    }
}

void runstate_reset_machine(VmCause cause)
{
    Machine *machine = machine_current();
    bool running = runstate_is_running();

    vcpus_pause_all();
    if (machine && machine->ops->reset) {
        machine->ops->reset(machine);
    } else {
        reset_all_devices();
    }
    if (cause != VM_CAUSE_NONE && cause != VM_CAUSE_SUBSYSTEM_RESET) {
        qapi_event_send_reset(guest_caused(cause), (ShutdownCause)cause);
    }
    rs.needs_reset = false;
    if (running) {
        vcpus_resume_all();
    }
}

static void serve_suspend(void)
{
    vcpus_pause_all();
    notifier_list_run(suspend_notifiers(), NULL);
    rs.state = RUN_STATE_SUSPENDED;
    qapi_event_send_suspend();
}

static void serve_wakeup(void)
{
    if (rs.state != RUN_STATE_SUSPENDED) {
        return;
    }
    runstate_reset_machine(VM_CAUSE_NONE);
    notifier_list_run(wakeup_notifiers(), NULL);
    rs.state = RUN_STATE_RUNNING;
    vcpus_resume_all();
    qapi_event_send_wakeup();
}

static void serve_shutdown(void)
{
    VmCause cause = rs.shutdown_cause;

    qapi_event_send_shutdown(guest_caused(cause), (ShutdownCause)cause);
    if (rs.actions.shutdown == SHUTDOWN_ACTION_PAUSE && cause != VM_CAUSE_HOST_QMP_QUIT &&
        cause != VM_CAUSE_HOST_SIGNAL) {
        runstate_stop(RUN_STATE_SHUTDOWN);
        return;
    }
    vcpus_pause_all();
    loop_quit(loop_main());
}

static void serve_reset(void)
{
    bool stays_stopped = !runstate_is_running() && rs.state != RUN_STATE_SUSPENDED;

    runstate_reset_machine(rs.reset_cause);
    if (!stays_stopped) {
        if (rs.state == RUN_STATE_SUSPENDED) {
            rs.state = RUN_STATE_RUNNING;
            vcpus_resume_all();
        }
    } else if (rs.state != RUN_STATE_PRELAUNCH && rs.state != RUN_STATE_INMIGRATE) {
        rs.state = RUN_STATE_PAUSED;
    }
}

static void serve_powerdown(void)
{
    qapi_event_send_powerdown();
    notifier_list_run(powerdown_notifiers(), NULL);
}

/* For debugging; not if somebody else has stopped the machine since and the debugger knows. */
static bool a_cpu_stopped(void)
{
    for (const VCpu *cpu = vcpu_next(NULL); cpu; cpu = vcpu_next(cpu)) {
        if (cpu->debug.stop != VCPU_STOP_NONE) {
            return true;
        }
    }
    return false;
}

static void serve_requests(void *opaque)
{
    uint32_t requests = __atomic_exchange_n(&rs.requests, 0, __ATOMIC_SEQ_CST);

    if ((requests & REQUEST_DEBUG) && a_cpu_stopped()) {
        runstate_stop(RUN_STATE_DEBUG);
    }
    if (requests & REQUEST_INTERNAL_ERROR) {
        runstate_stop(RUN_STATE_INTERNAL_ERROR);
    }
    if (requests & REQUEST_SUSPEND) {
        serve_suspend();
    }
    if (requests & REQUEST_SHUTDOWN) {
        serve_shutdown();
    }
    if (requests & REQUEST_RESET) {
        serve_reset();
    }
    if (requests & REQUEST_WAKEUP) {
        serve_wakeup();
    }
    if (requests & REQUEST_POWERDOWN) {
        serve_powerdown();
    }
}

void runstate_request_powerdown(void)
{
    request(REQUEST_POWERDOWN);
}

static void stop_by_io_error(void *opaque)
{
    if (runstate_is_running()) {
        runstate_stop(RUN_STATE_IO_ERROR);
    }
}

/* From a disk's thread. */
static void ask_to_stop_by_io_error(void)
{
    loop_post(loop_main(), stop_by_io_error, NULL);
}

void runstate_init(void)
{
    rs.state = RUN_STATE_PRELAUNCH;
    rs.actions = (RunStateActions){
        .reboot = REBOOT_ACTION_RESET,
        .shutdown = SHUTDOWN_ACTION_POWEROFF,
        .panic = PANIC_ACTION_SHUTDOWN,
        .watchdog = WATCHDOG_ACTION_RESET,
    };
    rs.bh = loop_bh_new(loop_main(), serve_requests, NULL);
    vm_events_register(&vm_events_ops);
    block_backend_set_stop_vm(ask_to_stop_by_io_error);
}
