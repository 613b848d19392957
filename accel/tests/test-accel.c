/* SPDX-License-Identifier: Apache-2.0 */
/* Choosing an accelerator, the qtest accelerator's CPUs, and the reset state of a CPU. */
#include <string.h>

#include "accel/accel.h"
#include "memory/memory.h"
#include "util/error.h"
#include "util/vm-lock.h"

static const AccelConfig config = { .irqchip = ACCEL_IRQCHIP_ON, .max_cpus = 4 };
static const X86Topology topology = { 1, 1, 1, 1 };

static void expect_refused(const char *option, const char *part)
{
    const char *const list[] = { option, NULL };
    g_autoptr(GError) error = NULL;

    g_assert_false(accel_select(list, &config, false, &error));
    g_assert_nonnull(error);
    g_assert_nonnull(strstr(error->message, part));
    g_assert_null(accel_current());
}

static void test_names(void)
{
    expect_refused("kvn", "did you mean 'kvm'");
    expect_refused("qtest:bogus", "unknown accelerator 'bogus'");
    expect_refused("qtest,nonsense=1", "nonsense");
    expect_refused("qtest:kvm,kernel-irqchip=maybe", "kernel-irqchip");
    if (!accel_is_built("emu")) {
        expect_refused("tcg", "not part of this build");
    }
}

static void test_help(void)
{
    g_autofree char *text = accel_help();
    g_autofree char *bad = accel_properties_help("nothing", NULL);
    g_autofree char *good = accel_properties_help("qtest", NULL);

    g_assert_nonnull(strstr(text, "qtest"));
    g_assert_null(bad);
    g_assert_nonnull(good);
}

/* A list falls through to the first that works. */
static void test_fall_through(void)
{
    const char *const list[] = { accel_is_built("emu") ? "qtest" : "emu:qtest", NULL };
    g_autoptr(GError) error = NULL;

    g_assert_true(accel_select(list, &config, false, &error));
    g_assert_no_error(error);
    g_assert_true(accel_is("qtest"));
    g_assert_cmpint(accel_irqchip(), ==, ACCEL_IRQCHIP_OFF);
    accel_cleanup();
    g_assert_null(accel_current());
}

static void count_call(VCpu *cpu, void *opaque)
{
    *(unsigned *)opaque += cpu->index + 1;
}

static void test_vcpus(void)
{
    const char *const list[] = { "qtest", NULL };
    g_autoptr(GError) error = NULL;
    unsigned sum = 0;
    VCpu *cpus[2];

    g_assert_true(accel_select(list, &config, false, &error));
    for (unsigned i = 0; i < 2; i++) {
        cpus[i] = vcpu_new(NULL, i, i * 2, NULL, &topology, &error);
        g_assert_no_error(error);
        vcpu_reset(cpus[i]);
    }
    g_assert_cmpuint(vcpu_count(), ==, 2);
    g_assert_true(vcpu_by_apic_id(2) == cpus[1]);
    g_assert_null(vcpu_by_apic_id(1));
    g_assert_null(vcpu_get(7));
    g_assert_cmphex(cpus[0]->state.rip, ==, 0xfff0);
    g_assert_cmpint(cpus[0]->state.mp_state, ==, X86_MP_RUNNABLE);
    g_assert_cmpint(cpus[1]->state.mp_state, ==, X86_MP_WAIT_FOR_SIPI);
    vcpu_run_on(cpus[1], count_call, &sum);
    g_assert_cmpuint(sum, ==, 2);
    vcpu_set_irq(cpus[0], VCPU_IRQ_NMI | VCPU_IRQ_HARD, true);
    g_assert_cmpuint(cpus[0]->irq_lines, ==, VCPU_IRQ_NMI | VCPU_IRQ_HARD);
    vcpu_reset(cpus[0]);
    g_assert_cmpuint(cpus[0]->irq_lines, ==, VCPU_IRQ_HARD);
    vcpus_pause_all();
    vcpus_resume_all();
    vcpu_free(cpus[0]);
    vcpu_free(cpus[1]);
    g_assert_cmpuint(vcpu_count(), ==, 0);
    accel_cleanup();
}

/* Four-level tables at 0x1000.. map linear 0x400000 to 0x200000 by a 2 MiB page and 0x1000 by a
   4 KiB page. */
static void test_translate(void)
{
    const char *const list[] = { "qtest", NULL };
    g_autoptr(GError) error = NULL;
    MemoryRegion *ram = memory_region_new_ram(NULL, "ram", 0x100000, &error);
    uint64_t *table = memory_region_ram_ptr(ram);
    uint64_t physical;
    VCpu *cpu;

    memory_region_add(memory_system(), 0, ram);
    g_assert_true(accel_select(list, &config, false, &error));
    cpu = vcpu_new(NULL, 0, 0, NULL, &topology, &error);
    vcpu_reset(cpu);
    g_assert_true(vcpu_translate(cpu, 0x1234, &physical));
    g_assert_cmphex(physical, ==, 0x1234);
    table[0x1000 / 8] = 0x2003;
    table[0x2000 / 8] = 0x3003;
    table[0x3000 / 8] = 0x4003;
    table[0x3000 / 8 + 2] = 0x200083;
    table[0x4000 / 8 + 1] = 0x7003;
    cpu->state.cr3 = 0x1000;
    cpu->state.cr4 = 1u << 5;
    cpu->state.cr0 |= 1u << 31 | 1;
    cpu->state.efer = 1u << 10 | 1u << 8;
    g_assert_true(vcpu_translate(cpu, 0x1234, &physical));
    g_assert_cmphex(physical, ==, 0x7234);
    g_assert_true(vcpu_translate(cpu, 0x512345, &physical));
    g_assert_cmphex(physical, ==, 0x312345);
    g_assert_false(vcpu_translate(cpu, 0x2000, &physical));
    vcpu_free(cpu);
    accel_cleanup();
    memory_region_remove(memory_system(), ram);
    memory_region_free(ram);
}

static void test_msr_list(void)
{
    g_autofree X86CpuState *state = g_new0(X86CpuState, 1);
    g_autofree char *text = NULL;
    uint64_t value;

    for (uint32_t i = 0; i < X86_MSR_MAX; i++) {
        g_assert_true(x86_cpu_state_set_msr(state, 0x1000 + i, i));
    }
    g_assert_false(x86_cpu_state_set_msr(state, 1, 1));
    g_assert_true(x86_cpu_state_set_msr(state, 0x1007, 99));
    g_assert_true(x86_cpu_state_get_msr(state, 0x1007, &value));
    g_assert_cmpuint(value, ==, 99);
    g_assert_false(x86_cpu_state_get_msr(state, 5, &value));
    state->msrs[0].index = 0x10a; /* ARCH_CAPABILITIES stays, PAT gets its own value */
    state->msrs[0].value = 0xabc;
    state->msrs[1].index = 0x277;
    x86_cpu_state_reset(state, true, 3, 0x60fb1);
    g_assert_cmphex(state->msrs[0].value, ==, 0xabc);
    g_assert_cmphex(state->msrs[1].value, ==, 0x0007040600070406);
    g_assert_cmphex(state->msrs[7].value, ==, 0);
    g_assert_cmphex(state->regs[X86_RDX], ==, 0x60fb1);
    state->cr0 &= ~(1ull << 30);
    x86_cpu_state_init(state, false);
    g_assert_cmphex(state->cr0, ==, 0x20000010);
    text = x86_cpu_state_describe(state, 3);
    g_assert_nonnull(strstr(text, "CPU#3"));
}

int main(int argc, char **argv)
{
    int status;

    g_test_init(&argc, &argv, NULL);
    error_init("test-accel");
    g_test_add_func("/accel/names", test_names);
    g_test_add_func("/accel/help", test_help);
    g_test_add_func("/accel/fall-through", test_fall_through);
    g_test_add_func("/accel/vcpus", test_vcpus);
    g_test_add_func("/accel/translate", test_translate);
    g_test_add_func("/cpu/msr-list", test_msr_list);
    vm_lock();
    memory_init();
    status = g_test_run();
    memory_cleanup();
    vm_unlock();
    return status;
}
