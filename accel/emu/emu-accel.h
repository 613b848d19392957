/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The accelerator object: options, and what its vCPUs share.
 */
#ifndef VIREO_ACCEL_EMU_EMU_ACCEL_H
#define VIREO_ACCEL_EMU_EMU_ACCEL_H

#include "accel/emu/emu.h"
#include "util/rcu.h"
#include "util/timer.h"

typedef enum EmuThread { EMU_THREAD_MULTI, EMU_THREAD_SINGLE } EmuThread;

typedef struct EmuAccel {
    Accel parent;

    /* Options. */
    int thread;             /* EmuThread */
    bool translate;         /* use host code where the host allows it */
    int check;              /* EmuCheckMode: run translated blocks twice and compare */
    bool one_insn;          /* one instruction a block */
    bool split_wx;          /* taken, and without effect */
    uint32_t cache_mib;     /* of decoded blocks and of host code, each, per vCPU */

    bool multi;             /* vCPUs run at the same time */
    pthread_mutex_t cpus_lock;
    GPtrArray *cpus;        /* EmuCpu * that exist */
    pthread_mutex_t gate_lock;
    pthread_cond_t gate_cond; /* by CLOCK_MONOTONIC */
    EmuCpu *exclusive;      /* who holds all others out; written under gate_lock, read atomically */
    EmuCpu *turn_holder;    /* thread=single: whose turn it is; gate_lock */
    EmuCpu *yielded;        /* the same: who gives way to those that wait, and how many they are */
    unsigned waiting;

    int grace;              /* EmuGrace, atomic (requests.c) */
    struct rcu_head grace_head; /* queued while grace is not EMU_GRACE_NONE */
    Timer *grace_timer;
} EmuAccel;

/* The one in use. */
EmuAccel *emu_accel(void);

/* requests.c. VM lock held; cleanup when no vCPU is left. */
void emu_grace_init(EmuAccel *accel);
void emu_grace_cleanup(EmuAccel *accel);

#endif
