/* SPDX-License-Identifier: Apache-2.0 */
/* The accelerator `emu` as accel/accel.h wants it: options, probe, life of vCPUs. */
#include "accel/emu/emu-accel.h"

#include <string.h>
#include <sys/mman.h>

#include "accel/emu/block.h"
#include "accel/emu/check.h"
#include "accel/emu/decode.h"
#include "accel/emu/exec.h"
#include "accel/emu/jit/jit.h"
#include "accel/emu/mem.h"
#include "accel/emu/system.h"
#include "util/error.h"
#include "util/sanitizer.h"

#define CACHE_MIB_DEFAULT 64
#define CACHE_MIB_MAX 1024

EmuAccel *emu_accel(void)
{
    return (EmuAccel *)accel_current();
}

/* Single instructions are for finding out what the translator has to do with it. */
static bool translates(const EmuAccel *emu)
{
    return emu->translate && !emu->one_insn && emu_jit_supported();
}

static void emu_probe(Accel *accel, AccelProbe *probe)
{
    probe->usable = true;
}

static bool emu_init(Accel *accel, const AccelConfig *config, GError **error)
{
    EmuAccel *emu = (EmuAccel *)accel;

    if (config->irqchip_explicit && config->irqchip != ACCEL_IRQCHIP_OFF) {
        error_setf(error, "the software CPU has no kernel-irqchip; leave it out or say "
                          "kernel-irqchip=off");
        return false;
    }
    emu->cache_mib = MIN(emu->cache_mib ? emu->cache_mib : CACHE_MIB_DEFAULT, CACHE_MIB_MAX);
    if (emu->check && !translates(emu)) {
        error_setf(error, "check=on has nothing to check: there is no translation");
        return false;
    }
    accel->config.irqchip = ACCEL_IRQCHIP_OFF;
    emu->multi = emu->thread == EMU_THREAD_MULTI && !emu->check;
    emu_grace_init(emu);
    emu_insn_find(0); /* the index is built before there are threads */
    return true;
}

/* ---- vCPUs ---- */

static void emu_vcpu_destroy(VCpu *vcpu)
{
    EmuAccel *emu = emu_accel();
    EmuCpu *cpu = emu_cpu(vcpu);

    emu_blocks_flush(cpu);
    pthread_mutex_lock(&emu->cpus_lock);
    g_ptr_array_remove(emu->cpus, cpu);
    pthread_mutex_unlock(&emu->cpus_lock);
    emu_blocks_free(cpu->blocks);
    emu_jit_free(cpu->jit);
    emu_check_free(cpu->check);
    emu_tlb_cleanup(cpu);
    emu_system_free(cpu->sys);
    sanitizer_remove_owner(cpu, sizeof(*cpu));
    munmap(cpu, sizeof(*cpu));
    vcpu->accel_data = NULL;
}

static bool make_caches(EmuAccel *emu, EmuCpu *cpu, GError **error)
{
    size_t bytes = (size_t)emu->cache_mib * MiB;

    cpu->blocks = emu_blocks_new(bytes, error);
    if (!cpu->blocks) {
        return false;
    }
    if (translates(emu)) {
        cpu->jit = emu_jit_new(cpu, bytes, error);
        return cpu->jit;
    }
    return true;
}

static bool emu_vcpu_create(VCpu *vcpu, GError **error)
{
    EmuAccel *emu = emu_accel();
    EmuCpu *cpu = mmap(NULL, sizeof(EmuCpu), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                       -1, 0);

    if (cpu == MAP_FAILED) {
        error_setf(error, "no memory for a vCPU");
        return false;
    }
    sanitizer_add_owner(cpu, sizeof(*cpu));
    vcpu->accel_data = cpu;
    cpu->vcpu = vcpu;
    cpu->rflags = FLAG_ONE;
    cpu->delivering = -1;
    cpu->sys = emu_system_new(cpu);
    emu_tlb_init(cpu);
    cpu->jit_hot = EMU_JIT_HOT;
    if (!make_caches(emu, cpu, error)) {
        emu_vcpu_destroy(vcpu);
        return false;
    }
    if (emu->check) {
        emu_check_start(cpu, emu->check);
    }
    pthread_mutex_lock(&emu->cpus_lock);
    g_ptr_array_add(emu->cpus, cpu);
    pthread_mutex_unlock(&emu->cpus_lock);
    return true;
}

static void emu_vcpu_kick(VCpu *vcpu)
{
    emu_set_attention(emu_cpu(vcpu));
}

static void emu_a20_changed(Accel *accel)
{
    emu_request(NULL, EMU_REQUEST_FLUSH_TLB);
}

static const AccelOps emu_ops = {
    .name = "emu",
    .probe = emu_probe,
    .init = emu_init,
    .cpu_caps = emu_cpu_caps,
    .vcpu_create = emu_vcpu_create,
    .vcpu_destroy = emu_vcpu_destroy,
    .vcpu_run = emu_run,
    .vcpu_kick = emu_vcpu_kick,
    .has_work = emu_has_work,
    .get_state = emu_get_state,
    .set_state = emu_set_state,
    .update_debug = emu_update_debug,
    .a20_changed = emu_a20_changed,
    .describe_jit = emu_describe_jit,
};

/* ---- The type ---- */

static const char *const thread_names[] = {
    [EMU_THREAD_MULTI] = "multi", [EMU_THREAD_SINGLE] = "single", NULL,
};

static const char *const check_names[] = {
    [EMU_CHECK_NONE] = "off", [EMU_CHECK_SOME] = "on", [EMU_CHECK_ALL] = "all", NULL,
};

static const Property emu_properties[] = {
    PROP_ENUM("thread", EmuAccel, thread, thread_names, EMU_THREAD_MULTI,
              "multi: a host thread runs for each vCPU; single: one vCPU runs at a time"),
    PROP_UINT32("tb-size", EmuAccel, cache_mib, CACHE_MIB_DEFAULT,
                "MiB of decoded code each vCPU may keep, at most 1024 (0: the default)"),
    PROP_BOOL("split-wx", EmuAccel, split_wx, true,
              "host code is mapped twice, to write and to run (always so)"),
    PROP_BOOL("translate", EmuAccel, translate, true,
              "run hot code as host code, where the host is of the guest's kind"),
    PROP_ENUM("check", EmuAccel, check, check_names, EMU_CHECK_NONE,
              "run translated code twice, interpreted too, and stop at a difference: on: the first "
              "runs and a sample of the others; all: always (slow)"),
    PROP_BOOL("one-insn-per-tb", EmuAccel, one_insn, false,
              "make a block of each instruction, and interpret it (slow; for debugging)"),
    PROP_END,
};

static void emu_instance_init(Object *obj)
{
    EmuAccel *emu = (EmuAccel *)obj;
    pthread_condattr_t attr;

    emu->cpus = g_ptr_array_new();
    pthread_mutex_init(&emu->cpus_lock, NULL);
    pthread_mutex_init(&emu->gate_lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&emu->gate_cond, &attr);
    pthread_condattr_destroy(&attr);
}

static void emu_instance_finalize(Object *obj)
{
    EmuAccel *emu = (EmuAccel *)obj;

    emu_grace_cleanup(emu);
    g_ptr_array_unref(emu->cpus);
    pthread_cond_destroy(&emu->gate_cond);
    pthread_mutex_destroy(&emu->gate_lock);
    pthread_mutex_destroy(&emu->cpus_lock);
}

static const TypeInfo emu_accel_type = {
    .name = "emu-accel",
    .parent = TYPE_ACCEL,
    .description = "the software CPU: runs on any host",
    .instance_size = sizeof(EmuAccel),
    .properties = emu_properties,
    .instance_init = emu_instance_init,
    .instance_finalize = emu_instance_finalize,
    .ops = &emu_ops,
};
QOM_TYPE(emu_accel_type);
