/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The qtest accelerator: CPUs that never run. Devices are driven by the qtest protocol
 * (system/qtest.c), interrupt controllers are the userspace models, and the virtual clock moves
 * only when told to.
 */
#include "accel/accel.h"
#include "util/timer.h"

static void qtest_probe(Accel *accel, AccelProbe *probe)
{
    probe->usable = true;
}

static bool qtest_init(Accel *accel, const AccelConfig *config, GError **error)
{
    accel->config.irqchip = ACCEL_IRQCHIP_OFF;
    vm_clock_set_manual();
    return true;
}

/* Leaves enough for every CPU model to be built: all features, so that nothing is filtered. */
static bool qtest_cpu_caps(Accel *accel, X86AccelCaps *caps, GError **error)
{
    static const uint32_t functions[] = { 0, 1, 4, 6, 7, 0xd, 0x80000000, 0x80000001, 0x80000002,
                                          0x80000003, 0x80000004, 0x80000007, 0x80000008 };

    *caps = (X86AccelCaps) { .name = "qtest", .host_phys_bits = 40, .everything = true,
                              .has_tsc_deadline = true };
    for (size_t i = 0; i < G_N_ELEMENTS(functions); i++) {
        caps->supported[caps->supported_count++] = (X86CpuidEntry) {
            .function = functions[i],
            .has_index = functions[i] == 4 || functions[i] == 7 || functions[i] == 0xd,
            .eax = ~0u, .ebx = ~0u, .ecx = ~0u, .edx = ~0u,
        };
    }
    caps->supported[0].eax = 0xd;
    caps->supported[6].eax = 0x80000008;
    return true;
}

static bool qtest_vcpu_create(VCpu *cpu, GError **error)
{
    return true;
}

static void qtest_vcpu_destroy(VCpu *cpu)
{
}

/* cpu->state is the only copy there is. */
static bool qtest_copy_state(VCpu *cpu, GError **error)
{
    return true;
}

static bool qtest_has_work(VCpu *cpu)
{
    return false;
}

static const AccelOps qtest_ops = {
    .name = "qtest",
    .probe = qtest_probe,
    .init = qtest_init,
    .cpu_caps = qtest_cpu_caps,
    .vcpu_create = qtest_vcpu_create,
    .vcpu_destroy = qtest_vcpu_destroy,
    .has_work = qtest_has_work,
    .get_state = qtest_copy_state,
    .set_state = qtest_copy_state,
};

static const TypeInfo qtest_accel_type = {
    .name = "qtest-accel",
    .parent = TYPE_ACCEL,
    .description = "no guest code runs; devices obey the qtest protocol",
    .instance_size = sizeof(Accel),
    .ops = &qtest_ops,
};
QOM_TYPE(qtest_accel_type);
