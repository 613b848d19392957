/* SPDX-License-Identifier: Apache-2.0 */
/* KVM's paravirtual clock as a guest reads it. */
#include <string.h>

#include "accel/emu/system-internal.h"
#include "accel/emu/tests/emu-harness.h"
#include "cpu/x86/msr.h"
#include "util/error.h"
#include "util/timer.h"

#define AT 0x2ffcu /* across a page border */
#define AT_OTHER 0x4000u

/* As kernels do it. */
static uint64_t clock_ns(const EmuHarness *harness, const EmuCpu *cpu, uint32_t at)
{
    const uint8_t *bytes = harness->bytes + at;
    uint64_t delta = emu_read_tsc((EmuCpu *)cpu) - ldq_le(bytes + 8);
    int8_t shift = (int8_t)bytes[28];

    g_assert_cmpuint(ldl_le(bytes) & 1, ==, 0);
    delta = shift >= 0 ? delta << shift : delta >> -shift;
    return ldq_le(bytes + 16) + (uint64_t)((unsigned __int128)delta * ldl_le(bytes + 24) >> 32);
}

static bool is_stable(const EmuHarness *harness, uint32_t at)
{
    return harness->bytes[at + 29] & 1;
}

static void test_scale(void)
{
    static const uint64_t rates[] = { 1, 999, 1000, 800000, 1000000, 1000001, 2400000, 2500000,
                                      3000000, 4000000, UINT32_MAX };

    for (size_t i = 0; i < G_N_ELEMENTS(rates); i++) {
        uint32_t multiplier;
        int8_t shift;
        double ns;

        emu_kvmclock_scale(rates[i], &multiplier, &shift);
        g_assert_cmphex(multiplier, >=, 1u << 31);
        ns = (double)multiplier / 4294967296.0;
        for (int n = shift; n; n += n > 0 ? -1 : 1) {
            ns = n > 0 ? ns * 2 : ns / 2;
        }
        g_assert_cmpfloat_with_epsilon(ns * (double)rates[i] / 1e6, 1.0, 1e-9);
    }
}

static void test_time(void)
{
    EmuHarness *harness = emu_harness_new(2, NULL);
    EmuCpu *cpu = harness->cpu, *other = harness->cpus[1];
    uint32_t version;

    vm_clock_set_ns(5 * NS_PER_SEC);
    g_assert_true(emu_write_msr(cpu, MSR_KVMCLOCK_TIME, AT | 1));
    g_assert_true(emu_write_msr(other, MSR_KVMCLOCK_TIME_OLD, AT_OTHER | 1));
    g_assert_cmpuint(clock_ns(harness, cpu, AT), ==, 5 * NS_PER_SEC);
    vm_clock_set_ns(9 * NS_PER_SEC + 1);
    g_assert_cmpuint(clock_ns(harness, cpu, AT), ==, 9 * NS_PER_SEC + 1);
    g_assert_cmpuint(clock_ns(harness, other, AT_OTHER), ==, 9 * NS_PER_SEC + 1);
    g_assert_true(is_stable(harness, AT) && is_stable(harness, AT_OTHER));

    /* One CPU's counter goes its own way: both clocks stay right, and say that they differ. */
    version = ldl_le(harness->bytes + AT_OTHER);
    g_assert_true(emu_write_msr(cpu, MSR_IA32_TSC, 7));
    g_assert_cmpuint(ldl_le(harness->bytes + AT_OTHER), !=, version);
    vm_clock_set_ns(10 * NS_PER_SEC);
    g_assert_cmpuint(clock_ns(harness, cpu, AT), ==, 10 * NS_PER_SEC);
    g_assert_cmpuint(clock_ns(harness, other, AT_OTHER), ==, 10 * NS_PER_SEC);
    g_assert_false(is_stable(harness, AT) || is_stable(harness, AT_OTHER));
    g_assert_true(emu_write_msr(cpu, MSR_IA32_TSC_ADJUST, 0));
    g_assert_true(is_stable(harness, AT) && is_stable(harness, AT_OTHER));

    /* Off: nothing is written any more; on again at addresses that are no memory: no harm. */
    g_assert_true(emu_write_msr(cpu, MSR_KVMCLOCK_TIME, 0));
    memset(harness->bytes + AT, 0, 32);
    g_assert_true(emu_write_msr(cpu, MSR_IA32_TSC, 0));
    g_assert_cmpuint(ldq_le(harness->bytes + AT + 8), ==, 0);
    g_assert_true(emu_write_msr(cpu, MSR_KVMCLOCK_TIME, UINT64_MAX & ~2ull));
    g_assert_true(emu_write_msr(cpu, MSR_KVMCLOCK_TIME, (EMU_HARNESS_RAM - 4) | 1));
    g_assert_true(emu_write_msr(cpu, MSR_KVMCLOCK_TIME, 0));
    emu_harness_free(harness);
}

static void test_other_rate(void)
{
    EmuHarness *harness = emu_harness_new(1, "max,tsc-frequency=2399999000");
    EmuCpu *cpu = harness->cpu;

    vm_clock_set_ns(NS_PER_SEC);
    g_assert_true(emu_write_msr(cpu, MSR_KVMCLOCK_TIME, AT | 1));
    vm_clock_set_ns(3601 * NS_PER_SEC);
    g_assert_cmpuint(ABS((int64_t)clock_ns(harness, cpu, AT) - 3601 * NS_PER_SEC), <, 2000);
    g_assert_false(is_stable(harness, AT));
    emu_harness_free(harness);
}

static void test_wall(void)
{
    EmuHarness *harness = emu_harness_new(1, NULL);
    int64_t now;

    vm_clock_set_ns(100 * NS_PER_SEC);
    now = vm_clock_ns(VM_CLOCK_HOST);
    g_assert_true(emu_write_msr(harness->cpu, MSR_KVMCLOCK_WALL, AT));
    g_assert_cmpuint(ldl_le(harness->bytes + AT) & 1, ==, 0);
    g_assert_cmpuint(ldl_le(harness->bytes + AT + 8), <, NS_PER_SEC);
    now = (int64_t)ldl_le(harness->bytes + AT + 4) + 100 - now / NS_PER_SEC;
    g_assert_cmpint(now, >=, 0);
    g_assert_cmpint(now, <, 60);
    emu_harness_free(harness);
}

static void test_hidden(void)
{
    EmuHarness *harness = emu_harness_new(1, "max,kvm=off");
    uint32_t out[4];

    emu_cpuid(harness->cpu, 0x40000000, 0, out);
    g_assert_cmphex(out[0] | out[1] | out[2] | out[3], ==, 0);
    g_assert_false(emu_write_msr(harness->cpu, MSR_KVMCLOCK_TIME, AT | 1));
    g_assert_false(emu_write_msr(harness->cpu, MSR_KVMCLOCK_WALL_OLD, AT));
    emu_harness_free(harness);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    error_init("test-kvmclock");
    g_test_add_func("/emu/kvmclock/scale", test_scale);
    g_test_add_func("/emu/kvmclock/time", test_time);
    g_test_add_func("/emu/kvmclock/other-rate", test_other_rate);
    g_test_add_func("/emu/kvmclock/wall", test_wall);
    g_test_add_func("/emu/kvmclock/hidden", test_hidden);
    return g_test_run();
}
