/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vCPU threads. Each thread is a loop: run queued work, stop if asked, sleep while halted, else let
 * the accelerator run guest code until something wants the thread. Everything here but vcpu_kick()
 * is under the VM lock, which is the mutex of all condition variables of this file; vcpu_run alone
 * runs without it.
 *
 * exit_request is the word that crosses threads: whoever wants the CPU's attention sets it and then
 * makes the accelerator leave guest code; the loop clears it before it looks at what was asked.
 */
#include "accel/accel.h"

#include <signal.h>

#include "accel/vm-events.h"
#include "util/error.h"
#include "util/log.h"
#include "util/thread.h"
#include "util/vm-lock.h"

/* Edges, which a CPU takes once; the others are levels. */
#define EDGE_LINES (VCPU_IRQ_NMI | VCPU_IRQ_SMI | VCPU_IRQ_INIT | VCPU_IRQ_SIPI)

typedef struct WorkItem {
    void (*fn)(VCpu *cpu, void *opaque);
    void *opaque;
    bool done;
} WorkItem;

/* All vCPUs by index (holes are NULL): a registry, since machine, monitor and devices ask for
   them. */
static GPtrArray *vcpus;
/* A vCPU stopped, finished work, or was created; waited for by the other threads. */
static pthread_cond_t vcpu_progress = PTHREAD_COND_INITIALIZER;
static __thread VCpu *current_vcpu;

unsigned vcpu_count(void)
{
    unsigned count = 0;

    for (unsigned i = 0; vcpus && i < vcpus->len; i++) {
        count += g_ptr_array_index(vcpus, i) != NULL;
    }
    return count;
}

VCpu *vcpu_get(unsigned index)
{
    return vcpus && index < vcpus->len ? g_ptr_array_index(vcpus, index) : NULL;
}

VCpu *vcpu_next(const VCpu *cpu)
{
    for (unsigned i = cpu ? cpu->index + 1 : 0; vcpus && i < vcpus->len; i++) {
        if (g_ptr_array_index(vcpus, i)) {
            return g_ptr_array_index(vcpus, i);
        }
    }
    return NULL;
}

VCpu *vcpu_by_apic_id(uint32_t apic_id)
{
    for (unsigned i = 0; vcpus && i < vcpus->len; i++) {
        VCpu *cpu = g_ptr_array_index(vcpus, i);

        if (cpu && cpu->apic_id == apic_id) {
            return cpu;
        }
    }
    return NULL;
}

VCpu *vcpu_current(void)
{
    return current_vcpu;
}

/* The signal's only effect is to end a blocking system call. */
static void on_kick_signal(int signal_number)
{
    (void)signal_number;
}

static void prepare_kick_signal(void)
{
    struct sigaction action = { .sa_handler = on_kick_signal };
    sigset_t set;

    sigaction(SIGUSR1, &action, NULL);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static void run_work_locked(VCpu *cpu)
{
    WorkItem *item;

    while ((item = g_queue_pop_head(&cpu->work))) {
        item->fn(cpu, item->opaque);
        item->done = true;
        pthread_cond_broadcast(&vcpu_progress);
    }
}

/* Return when guest code should run, or the CPU is to go. */
static void wait_until_runnable_locked(VCpu *cpu)
{
    for (;;) {
        __atomic_store_n(&cpu->exit_request, false, __ATOMIC_SEQ_CST);
        run_work_locked(cpu);
        if (cpu->unplug) {
            return;
        }
        if (cpu->stop_requested) {
            if (!cpu->stopped) {
                cpu->stopped = true;
                pthread_cond_broadcast(&vcpu_progress);
            }
        } else {
            cpu->stopped = false;
            if (!cpu->halted || accel_ops()->has_work(cpu)) {
                return;
            }
        }
        vm_lock_cond_wait(&cpu->wake);
    }
}

static bool push_state_locked(VCpu *cpu)
{
    g_autoptr(GError) error = NULL;

    if (cpu->state_dirty && !accel_ops()->set_state(cpu, &error)) {
        error_report("CPU %u: %s", cpu->index, error->message);
        return false;
    }
    cpu->state_dirty = false;
    cpu->state_valid = false;
    return true;
}

static void run_once_locked(VCpu *cpu)
{
    int ret;

    if (!push_state_locked(cpu)) {
        cpu->stop_requested = true;
        vm_report_internal_error();
        return;
    }
    vm_unlock();
    ret = accel_ops()->vcpu_run(cpu);
    vm_lock();
    if (ret < 0) {
        cpu->stop_requested = true;
    }
}

typedef struct StartRequest {
    VCpu *cpu;
    GError *error;
    bool done;
} StartRequest;

static void *vcpu_thread(void *opaque)
{
    StartRequest *start = opaque;
    VCpu *cpu = start->cpu;

    current_vcpu = cpu;
    cpu->tid = thread_current_tid();
    prepare_kick_signal();
    vm_lock();
    cpu->created = accel_ops()->vcpu_create(cpu, &start->error);
    start->done = true; /* start is gone once the lock is released */
    pthread_cond_broadcast(&vcpu_progress);
    if (cpu->created) {
        for (;;) {
            wait_until_runnable_locked(cpu);
            if (cpu->unplug) {
                break;
            }
            run_once_locked(cpu);
        }
        run_work_locked(cpu); /* what came while it went */
        accel_ops()->vcpu_destroy(cpu);
    }
    vm_unlock();
    return NULL;
}

static bool start_vcpu(VCpu *cpu, GError **error)
{
    StartRequest start = { .cpu = cpu };
    g_autofree char *name = g_strdup_printf("CPU %u", cpu->index);

    if (!accel_ops()->vcpu_run) {
        cpu->created = accel_ops()->vcpu_create(cpu, error);
        cpu->tid = thread_current_tid();
        return cpu->created;
    }
    if (!thread_create(&cpu->thread, name, vcpu_thread, &start, error)) {
        return false;
    }
    cpu->has_thread = true;
    while (!start.done) {
        vm_lock_cond_wait(&vcpu_progress);
    }
    if (start.error) {
        g_propagate_error(error, start.error);
    }
    return cpu->created;
}

VCpu *vcpu_new(Object *device, unsigned index, uint32_t apic_id, X86CpuConfig *config,
               const X86Topology *topology, GError **error)
{
    VCpu *cpu = g_new0(VCpu, 1);

    g_assert(!vcpu_get(index));
    cpu->index = index;
    cpu->apic_id = apic_id;
    cpu->device = device;
    cpu->config = config ? x86_cpu_config_ref(config) : NULL;
    cpu->topology = *topology;
    cpu->stop_requested = true;
    cpu->stopped = true;
    g_queue_init(&cpu->work);
    pthread_cond_init(&cpu->wake, NULL);
    if (!start_vcpu(cpu, error)) {
        vcpu_free(cpu);
        return NULL;
    }
    if (!vcpus) {
        vcpus = g_ptr_array_new();
    }
    if (index >= vcpus->len) {
        g_ptr_array_set_size(vcpus, index + 1);
    }
    g_ptr_array_index(vcpus, index) = cpu;
    return cpu;
}

static void forget_vcpu(VCpu *cpu)
{
    if (vcpu_get(cpu->index) != cpu) {
        return;
    }
    g_ptr_array_index(vcpus, cpu->index) = NULL;
    if (!vcpu_count()) {
        g_clear_pointer(&vcpus, g_ptr_array_unref);
    }
}

void vcpu_retire(VCpu *cpu)
{
    g_assert(cpu != current_vcpu);
    forget_vcpu(cpu);
    if (cpu->has_thread) {
        cpu->unplug = true;
        if (cpu->created) {
            vcpu_kick(cpu);
        }
        pthread_cond_broadcast(&vcpu_progress); /* nobody waits for it to stop any more */
        vm_unlock();
        pthread_join(cpu->thread, NULL);
        vm_lock();
        cpu->has_thread = false;
    } else if (cpu->created) {
        accel_ops()->vcpu_destroy(cpu);
    }
    cpu->created = false;
}

void vcpu_free(VCpu *cpu)
{
    if (!cpu) {
        return;
    }
    vcpu_retire(cpu);
    pthread_cond_destroy(&cpu->wake);
    if (cpu->config) {
        x86_cpu_config_unref(cpu->config);
    }
    g_free(cpu);
}

void vcpu_kick(VCpu *cpu)
{
    __atomic_store_n(&cpu->exit_request, true, __ATOMIC_SEQ_CST);
    if (!cpu->has_thread || cpu == current_vcpu) {
        return;
    }
    pthread_cond_broadcast(&cpu->wake);
    if (accel_ops()->vcpu_kick) {
        accel_ops()->vcpu_kick(cpu);
    }
    pthread_kill(cpu->thread, SIGUSR1);
}

static bool all_others_stopped(void)
{
    for (unsigned i = 0; vcpus && i < vcpus->len; i++) {
        const VCpu *cpu = g_ptr_array_index(vcpus, i);

        if (cpu && cpu != current_vcpu && cpu->has_thread && !cpu->stopped) {
            return false;
        }
    }
    return true;
}

void vcpus_pause_all(void)
{
    for (unsigned i = 0; vcpus && i < vcpus->len; i++) {
        VCpu *cpu = g_ptr_array_index(vcpus, i);

        if (cpu) {
            cpu->stop_requested = true;
            vcpu_kick(cpu);
        }
    }
    /* A CPU that pauses the machine from its own device access stops when it returns to its
       loop. */
    while (!all_others_stopped()) {
        vm_lock_cond_wait(&vcpu_progress);
    }
}

void vcpu_stop_self(VCpu *cpu)
{
    VM_LOCK_GUARD();

    cpu->stop_requested = true;
    vcpu_kick(cpu);
}

void vcpus_resume_all(void)
{
    for (unsigned i = 0; vcpus && i < vcpus->len; i++) {
        VCpu *cpu = g_ptr_array_index(vcpus, i);

        if (cpu && !cpu->debug.hold) {
            cpu->stop_requested = false;
            if (cpu->has_thread) {
                cpu->stopped = false;
            }
            pthread_cond_broadcast(&cpu->wake);
        }
    }
}

void vcpu_join_others(VCpu *cpu)
{
    for (VCpu *other = vcpu_next(NULL); other; other = vcpu_next(other)) {
        if (other != cpu && !other->stop_requested) {
            cpu->stop_requested = false;
            pthread_cond_broadcast(&cpu->wake);
            return;
        }
    }
}

void vcpu_run_on(VCpu *cpu, void (*fn)(VCpu *cpu, void *opaque), void *opaque)
{
    WorkItem item = { .fn = fn, .opaque = opaque };

    g_assert(vm_lock_held());
    if (cpu == current_vcpu || !cpu->has_thread) {
        fn(cpu, opaque);
        return;
    }
    g_queue_push_tail(&cpu->work, &item);
    vcpu_kick(cpu);
    while (!item.done) {
        vm_lock_cond_wait(&vcpu_progress);
    }
}

typedef struct SyncRequest {
    GError *error;
    bool ok;
} SyncRequest;

static void sync_state_here(VCpu *cpu, void *opaque)
{
    SyncRequest *request = opaque;

    request->ok = cpu->state_valid || accel_ops()->get_state(cpu, &request->error);
    cpu->state_valid = request->ok;
}

bool vcpu_sync_state(VCpu *cpu, GError **error)
{
    SyncRequest request = { .ok = true };

    if (!cpu->state_valid) {
        vcpu_run_on(cpu, sync_state_here, &request);
    }
    if (request.error) {
        g_propagate_error(error, request.error);
    }
    return request.ok;
}

void vcpu_state_changed(VCpu *cpu)
{
    g_assert(cpu->state_valid);
    cpu->state_dirty = true;
}

void vcpu_reset(VCpu *cpu)
{
    g_autoptr(GError) error = NULL;
    bool bsp = cpu->index == 0;

    /* The list of MSRs that exist here comes with the state. */
    if (!vcpu_sync_state(cpu, &error)) {
        error_report("CPU %u: reset: %s", cpu->index, error->message);
        return;
    }
    if (log_enabled(LOG_CPU_RESET)) {
        g_autofree char *text = x86_cpu_state_describe(&cpu->state, cpu->index);

        log_printf(LOG_CPU_RESET, "CPU %u reset\n%s", cpu->index, text);
    }
    x86_cpu_state_reset(&cpu->state, bsp, cpu->apic_id,
                        cpu->config ? x86_cpu_config_signature(cpu->config) : 0);
    __atomic_and_fetch(&cpu->irq_lines, ~EDGE_LINES, __ATOMIC_SEQ_CST);
    cpu->halted = !bsp && accel_irqchip() == ACCEL_IRQCHIP_OFF;
    vcpu_state_changed(cpu);
}

void vcpu_set_irq(VCpu *cpu, uint32_t lines, bool level)
{
    uint32_t before;

    if (!level) {
        __atomic_and_fetch(&cpu->irq_lines, ~lines, __ATOMIC_SEQ_CST);
        return;
    }
    before = __atomic_fetch_or(&cpu->irq_lines, lines, __ATOMIC_SEQ_CST);
    if ((before & lines) != lines) {
        vcpu_kick(cpu);
    }
}
