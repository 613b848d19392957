/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What vCPUs ask of one another: flushes, and moments in which all others stand still.
 *
 * A thread is "in the guest" between emu_guest_enter() and emu_guest_leave(); only there does it
 * touch guest memory by host addresses from its TLB, inside one RCU read section. An exclusive
 * section waits until everybody else is out and keeps them out. With thread=single at most one is
 * in, and the others take turns.
 *
 * A guest may run for ever without a reason to leave. So while memory waits for the end of read
 * sections, a timer asks all CPUs to leave theirs; two such moments end a grace period, which may
 * begin late.
 */
#include "accel/emu/emu-accel.h"
#include "accel/emu/exec.h"

#include <time.h>

#include "accel/emu/block.h"
#include "accel/emu/mem.h"
#include "util/rcu.h"

/* How long one vCPU runs with thread=single while others wait. */
#define TURN_NS (2 * 1000 * 1000)
/* How often CPUs leave their read sections while somebody waits for that. */
#define GRACE_NS (4 * NS_PER_MS)

/* EmuAccel.grace: nobody waits; they do, for the callback that is queued; for one more after it. */
typedef enum EmuGrace { EMU_GRACE_NONE, EMU_GRACE_WAITING, EMU_GRACE_AGAIN } EmuGrace;

void emu_cpus_foreach(void (*fn)(EmuCpu *cpu, void *opaque), void *opaque)
{
    EmuAccel *accel = emu_accel();

    pthread_mutex_lock(&accel->cpus_lock);
    for (unsigned i = 0; i < accel->cpus->len; i++) {
        fn(g_ptr_array_index(accel->cpus, i), opaque);
    }
    pthread_mutex_unlock(&accel->cpus_lock);
}

static void request_one(EmuCpu *cpu, void *opaque)
{
    __atomic_fetch_or(&cpu->requests, *(const uint32_t *)opaque, __ATOMIC_SEQ_CST);
    emu_set_attention(cpu);
}

void emu_request(EmuCpu *cpu, uint32_t requests)
{
    if (cpu) {
        request_one(cpu, &requests);
    } else {
        emu_cpus_foreach(request_one, &requests);
    }
}

/* Whoever waits comes first: the lock alone would go to who had it last. */
static void yield_turn(EmuCpu *cpu)
{
    EmuAccel *accel = emu_accel();

    if (accel->multi) {
        return;
    }
    pthread_mutex_lock(&accel->gate_lock);
    accel->yielded = cpu;
    pthread_mutex_unlock(&accel->gate_lock);
}

void emu_serve_requests(EmuCpu *cpu)
{
    uint32_t requests = __atomic_exchange_n(&cpu->requests, 0, __ATOMIC_SEQ_CST);

    if (requests & EMU_REQUEST_FLUSH_TLB) {
        emu_tlb_flush_all(cpu);
    }
    if (requests & EMU_REQUEST_INVALIDATE) {
        emu_code_pages_serve(cpu);
    }
    if (requests & EMU_REQUEST_EXCLUSIVE) {
        yield_turn(cpu);
    }
    if (requests & (EMU_REQUEST_EXCLUSIVE | EMU_REQUEST_GRACE)) {
        emu_guest_leave(cpu);
        emu_guest_enter(cpu);
    }
}

/* ---- In and out of the guest ---- */

static bool may_enter_locked(const EmuAccel *accel, const EmuCpu *cpu)
{
    if (accel->exclusive && accel->exclusive != cpu) {
        return false;
    }
    return accel->multi || (!accel->turn_holder && !(accel->yielded == cpu && accel->waiting));
}

/* thread=single: until the holder leaves, or its turn is over. */
static void wait_for_turn_locked(EmuAccel *accel, EmuCpu *cpu)
{
    unsigned counts = accel->yielded != cpu;
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += TURN_NS;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    accel->waiting += counts;
    if (pthread_cond_timedwait(&accel->gate_cond, &accel->gate_lock, &until) &&
        accel->turn_holder) {
        emu_request(accel->turn_holder, EMU_REQUEST_EXCLUSIVE);
    }
    accel->waiting -= counts;
}

/* Wait for an exclusive section to end, or for one's turn. */
static void enter_slowly(EmuAccel *accel, EmuCpu *cpu)
{
    pthread_mutex_lock(&accel->gate_lock);
    while (!may_enter_locked(accel, cpu)) {
        if (!accel->multi) {
            wait_for_turn_locked(accel, cpu);
        } else {
            pthread_cond_wait(&accel->gate_cond, &accel->gate_lock);
        }
    }
    if (!accel->multi) {
        accel->turn_holder = cpu;
        accel->yielded = NULL;
    }
    __atomic_store_n(&cpu->in_guest, true, __ATOMIC_SEQ_CST);
    pthread_mutex_unlock(&accel->gate_lock);
}

/* Out, without the RCU section's end. */
static void leave_gate(EmuCpu *cpu)
{
    EmuAccel *accel = emu_accel();

    __atomic_store_n(&cpu->in_guest, false, __ATOMIC_SEQ_CST);
    if (accel->multi && !__atomic_load_n(&accel->exclusive, __ATOMIC_SEQ_CST)) {
        return;
    }
    pthread_mutex_lock(&accel->gate_lock);
    if (accel->turn_holder == cpu) {
        accel->turn_holder = NULL;
    }
    pthread_cond_broadcast(&accel->gate_cond);
    pthread_mutex_unlock(&accel->gate_lock);
}

void emu_guest_enter(EmuCpu *cpu)
{
    EmuAccel *accel = emu_accel();

    if (accel->multi) {
        __atomic_store_n(&cpu->in_guest, true, __ATOMIC_SEQ_CST);
        if (EMU_UNLIKELY(__atomic_load_n(&accel->exclusive, __ATOMIC_SEQ_CST))) {
            leave_gate(cpu);
            enter_slowly(accel, cpu);
        }
    } else {
        enter_slowly(accel, cpu);
    }
    rcu_read_lock();
    /* What the TLB leads to may have gone while this thread was outside. */
    if (__atomic_load_n(&cpu->requests, __ATOMIC_SEQ_CST) & EMU_REQUEST_FLUSH_TLB) {
        __atomic_fetch_and(&cpu->requests, ~(uint32_t)EMU_REQUEST_FLUSH_TLB, __ATOMIC_SEQ_CST);
        emu_tlb_flush_all(cpu);
    }
}

void emu_guest_leave(EmuCpu *cpu)
{
    rcu_read_unlock();
    leave_gate(cpu);
}

/* ---- Exclusive sections ---- */

typedef struct OthersInGuest {
    const EmuCpu *self;
    bool any;
} OthersInGuest;

static void note_in_guest(EmuCpu *cpu, void *opaque)
{
    OthersInGuest *others = opaque;

    if (cpu != others->self && __atomic_load_n(&cpu->in_guest, __ATOMIC_SEQ_CST)) {
        others->any = true;
        emu_request(cpu, EMU_REQUEST_EXCLUSIVE);
    }
}

static bool others_in_guest(const EmuCpu *self)
{
    OthersInGuest others = { .self = self };

    emu_cpus_foreach(note_in_guest, &others);
    return others.any;
}

void emu_exclusive_begin(EmuCpu *cpu)
{
    EmuAccel *accel = emu_accel();

    if (!accel->multi) {
        return; /* nobody else is in */
    }
    /* Out first, so that two that want to be alone do not wait for each other. */
    leave_gate(cpu);
    pthread_mutex_lock(&accel->gate_lock);
    while (accel->exclusive) {
        pthread_cond_wait(&accel->gate_cond, &accel->gate_lock);
    }
    __atomic_store_n(&accel->exclusive, cpu, __ATOMIC_SEQ_CST);
    while (others_in_guest(cpu)) {
        pthread_cond_wait(&accel->gate_cond, &accel->gate_lock);
    }
    __atomic_store_n(&cpu->in_guest, true, __ATOMIC_SEQ_CST);
    pthread_mutex_unlock(&accel->gate_lock);
}

void emu_exclusive_end(EmuCpu *cpu)
{
    EmuAccel *accel = emu_accel();

    if (!accel->multi) {
        return;
    }
    pthread_mutex_lock(&accel->gate_lock);
    __atomic_store_n(&accel->exclusive, NULL, __ATOMIC_SEQ_CST);
    pthread_cond_broadcast(&accel->gate_cond);
    pthread_mutex_unlock(&accel->gate_lock);
}

/* ---- The end of read sections ---- */

/* Callbacks run in the order in which they were queued: all that were before are through. */
static void grace_over(struct rcu_head *head)
{
    EmuAccel *accel = caa_container_of(head, EmuAccel, grace_head);
    int waiting = EMU_GRACE_WAITING;

    if (!__atomic_compare_exchange_n(&accel->grace, &waiting, EMU_GRACE_NONE, false,
                                     __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
        __atomic_store_n(&accel->grace, EMU_GRACE_WAITING, __ATOMIC_SEQ_CST);
        call_rcu(head, grace_over);
    }
}

void emu_grace_wanted(void)
{
    EmuAccel *accel = emu_accel();

    if (__atomic_exchange_n(&accel->grace, EMU_GRACE_AGAIN, __ATOMIC_SEQ_CST) == EMU_GRACE_NONE) {
        __atomic_store_n(&accel->grace, EMU_GRACE_WAITING, __ATOMIC_SEQ_CST);
        call_rcu(&accel->grace_head, grace_over);
        timer_mod(accel->grace_timer, vm_clock_ns(VM_CLOCK_REALTIME) + GRACE_NS);
    }
}

static void grace_tick(void *opaque)
{
    EmuAccel *accel = opaque;

    if (__atomic_load_n(&accel->grace, __ATOMIC_SEQ_CST) != EMU_GRACE_NONE) {
        emu_request(NULL, EMU_REQUEST_GRACE);
        timer_mod(accel->grace_timer, vm_clock_ns(VM_CLOCK_REALTIME) + GRACE_NS);
    }
}

void emu_grace_init(EmuAccel *accel)
{
    accel->grace_timer = timer_new(loop_main(), VM_CLOCK_REALTIME, grace_tick, accel);
}

void emu_grace_cleanup(EmuAccel *accel)
{
    while (__atomic_load_n(&accel->grace, __ATOMIC_SEQ_CST) != EMU_GRACE_NONE) {
        rcu_barrier();
    }
    timer_free(accel->grace_timer);
}
