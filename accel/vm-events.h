/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a CPU or a device asks of the machine as a whole. The run state machine (system/) registers
 * itself here; requests are recorded and acted upon by the main loop. Any thread.
 */
#ifndef VIREO_ACCEL_VM_EVENTS_H
#define VIREO_ACCEL_VM_EVENTS_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* QAPI's ShutdownCause, by the same names. */
typedef enum VmCause {
    VM_CAUSE_NONE,
    VM_CAUSE_HOST_ERROR,
    VM_CAUSE_HOST_QMP_QUIT,
    VM_CAUSE_HOST_QMP_SYSTEM_RESET,
    VM_CAUSE_HOST_SIGNAL,
    VM_CAUSE_HOST_UI,
    VM_CAUSE_GUEST_SHUTDOWN,
    VM_CAUSE_GUEST_RESET,
    VM_CAUSE_GUEST_PANIC,
    VM_CAUSE_SUBSYSTEM_RESET,
    VM_CAUSE_SNAPSHOT_LOAD,
} VmCause;

typedef enum VmPanicKind {
    VM_PANIC_PVPANIC,
    VM_PANIC_PVPANIC_CRASHLOADED,
    VM_PANIC_HYPERV,
} VmPanicKind;

typedef struct VmPanicInfo {
    VmPanicKind kind;
    uint64_t args[5]; /* Hyper-V crash MSRs */
} VmPanicInfo;

typedef struct VmEventsOps {
    void (*reset)(VmCause cause);
    void (*shutdown)(VmCause cause);
    /* Exit the process with this status when the shutdown is carried out (isa-debug-exit). */
    void (*shutdown_with_code)(VmCause cause, int exit_code);
    void (*suspend)(void);                 /* S3 */
    void (*wakeup)(void);
    void (*guest_panicked)(const VmPanicInfo *info);
    void (*internal_error)(void);          /* stop in run state internal-error */
    void (*debug_stop)(unsigned cpu_index); /* breakpoint for the gdbstub */
    void (*watchdog_expired)(void);
    bool (*is_running)(void);
} VmEventsOps;

/* Once, before vCPUs run. Without it, requests are ignored (unit tests). */
void vm_events_register(const VmEventsOps *ops);

void vm_request_reset(VmCause cause);
void vm_request_shutdown(VmCause cause);
void vm_request_shutdown_with_code(VmCause cause, int exit_code);
void vm_request_suspend(void);
void vm_request_wakeup(void);
void vm_report_guest_panic(const VmPanicInfo *info);
void vm_report_internal_error(void);
void vm_report_debug_stop(unsigned cpu_index);
void vm_report_watchdog(void);
/* Does guest code run, as far as the run state goes? VM lock held. */
bool vm_is_running(void);

#endif
