/* SPDX-License-Identifier: Apache-2.0 */
/* Local APICs of four CPUs that never run: priorities, messages, IPIs, timer, x2APIC, wiring. */
#include "hw/core/tests/testbench.h"
#include "hw/intc/apic.h"

#define CPUS 4
#define PAGE 0xfee00000u

enum {
    ID = 0x20, VERSION = 0x30, TPR = 0x80, PPR = 0xa0, EOI = 0xb0, LDR = 0xd0, DFR = 0xe0,
    SVR = 0xf0, ISR = 0x100, TMR = 0x180, IRR = 0x200, ESR = 0x280, ICR = 0x300, ICR2 = 0x310,
    LVT_TIMER = 0x320, LVT_LINT0 = 0x350, LVT_LINT1 = 0x360, LVT_ERROR = 0x370,
    TMICT = 0x380, TMCCT = 0x390, TDCR = 0x3e0,
};

typedef struct Fixture {
    ApicWiring wiring;
    bool pic_level;
    uint8_t last_eoi;
    unsigned eois;
} Fixture;

static int pic_ack(void *opaque)
{
    ((Fixture *)opaque)->pic_level = false;
    return 0x08;
}

static bool pic_intr(void *opaque)
{
    return ((Fixture *)opaque)->pic_level;
}

static void record_eoi(void *opaque, uint8_t vector)
{
    Fixture *f = opaque;

    f->last_eoi = vector;
    f->eois++;
}

static uint32_t get(unsigned reg)
{
    return bench_readl(PAGE + reg);
}

static void put(unsigned reg, uint32_t value)
{
    bench_writel(PAGE + reg, value);
}

static void msi(uint8_t dest, bool logical, uint32_t data)
{
    bench_writel(PAGE + ((uint32_t)dest << 12) + (logical ? 4 : 0), data);
}

static uint32_t lines(unsigned cpu)
{
    return vcpu_get(cpu)->irq_lines;
}

static int ack(unsigned cpu)
{
    return vcpu_get(cpu)->apic_ops->ack(vcpu_get(cpu)->apic);
}

static void end(unsigned cpu)
{
    const VCpuApicOps *ops = vcpu_get(cpu)->apic_ops;

    /* Other CPUs' registers are out of reach from here except by x2APIC. */
    g_assert_true(ops->msr_write(vcpu_get(cpu)->apic, 0x80b, 0));
}

static void enter_x2(unsigned cpu)
{
    VCpu *vcpu = vcpu_get(cpu);

    g_assert_true(vcpu->apic_ops->set_base(vcpu->apic, 0xfee00c00 | (cpu ? 0 : 0x100)));
}

static bool wrmsr(unsigned cpu, uint32_t index, uint64_t value)
{
    return vcpu_get(cpu)->apic_ops->msr_write(vcpu_get(cpu)->apic, index, value);
}

static uint64_t rdmsr(unsigned cpu, uint32_t index)
{
    uint64_t value = 0;

    g_assert_true(vcpu_get(cpu)->apic_ops->msr_read(vcpu_get(cpu)->apic, index, &value));
    return value;
}

static Fixture *set_up(gconstpointer data)
{
    Fixture *f = (Fixture *)data;

    f->pic_level = false;
    f->eois = 0;
    reset_all_devices();
    for (unsigned i = 0; i < CPUS; i++) {
        vcpu_set_irq(vcpu_get(i), ~0u, false);
    }
    put(SVR, 0x1ff);
    return f;
}

static void test_reset(gconstpointer data)
{
    set_up(data);
    reset_all_devices();
    g_assert_cmphex(get(ID), ==, 0);
    g_assert_cmphex(get(VERSION), ==, 0x50014);
    g_assert_cmphex(get(SVR), ==, 0xff);
    g_assert_cmphex(get(DFR), ==, 0xffffffff);
    g_assert_cmphex(get(LDR), ==, 0);
    g_assert_cmphex(get(LVT_TIMER), ==, 0x10000);
    g_assert_cmphex(get(LVT_LINT0), ==, 0x700);
    g_assert_cmphex(get(LVT_LINT1), ==, 0x10000);
    g_assert_cmphex(vcpu_get(0)->apic_ops->get_base(vcpu_get(0)->apic), ==, 0xfee00900);
    g_assert_cmphex(vcpu_get(1)->apic_ops->get_base(vcpu_get(1)->apic), ==, 0xfee00800);
}

static void test_priority(gconstpointer data)
{
    Fixture *f = set_up(data);

    msi(0, false, 0x41);
    msi(0, false, 0x45);
    msi(0, false, 0x52);
    g_assert_cmphex(lines(0), ==, VCPU_IRQ_HARD);
    g_assert_cmpint(ack(0), ==, 0x52);
    g_assert_cmphex(get(PPR), ==, 0x50);
    g_assert_cmphex(get(ISR + 0x20), ==, 1u << 0x12);
    g_assert_cmphex(lines(0), ==, 0);
    g_assert_cmpint(ack(0), ==, -1);
    put(EOI, 0);
    g_assert_cmpint(ack(0), ==, 0x45);
    put(EOI, 0);
    put(TPR, 0x40);
    g_assert_cmphex(lines(0), ==, 0);
    put(TPR, 0x3f);
    g_assert_cmphex(get(PPR), ==, 0x3f);
    g_assert_cmpint(ack(0), ==, 0x41);
    put(EOI, 0);
    g_assert_cmpuint(f->eois, ==, 0);
    g_assert_cmpint(vcpu_get(0)->apic_ops->get_tpr(vcpu_get(0)->apic), ==, 3);
    vcpu_get(0)->apic_ops->set_tpr(vcpu_get(0)->apic, 0xf);
    g_assert_cmphex(get(TPR), ==, 0xf0);
    msi(0, false, 0xf1);
    g_assert_cmphex(lines(0), ==, 0);
}

static void test_level_eoi(gconstpointer data)
{
    Fixture *f = set_up(data);

    msi(0, false, 0x61 | 3 << 14);
    g_assert_cmphex(get(TMR + 0x30), ==, 2);
    g_assert_cmpint(ack(0), ==, 0x61);
    put(EOI, 0);
    g_assert_cmpuint(f->eois, ==, 1);
    g_assert_cmphex(f->last_eoi, ==, 0x61);
    put(EOI, 0);
    g_assert_cmpuint(f->eois, ==, 1);
}

static void test_errors(gconstpointer data)
{
    set_up(data);
    msi(0, false, 0x05);
    g_assert_cmphex(get(ESR), ==, 0);
    put(ESR, 0);
    g_assert_cmphex(get(ESR), ==, 0x40);
    put(ESR, 0);
    g_assert_cmphex(get(ESR), ==, 0);
    put(LVT_ERROR, 0x99);
    put(ICR, 0x40003);
    g_assert_cmpint(ack(0), ==, 0x99);
    put(EOI, 0);
    put(0x3d0, 0);
    put(ESR, 0);
    g_assert_cmphex(get(ESR), ==, 0xa0);
    /* An error vector that is illegal itself. */
    put(LVT_ERROR, 0x02);
    put(ICR, 0x40003);
    g_assert_cmphex(lines(0), ==, VCPU_IRQ_HARD * (ack(0) == 0x99));
}

static void test_destinations(gconstpointer data)
{
    set_up(data);
    for (unsigned i = 1; i < CPUS; i++) {
        /* Only the boot CPU's page is within reach; the others are set up by x2APIC and back. */
        enter_x2(i);
        g_assert_true(wrmsr(i, 0x80f, 0x1ff));
    }
    msi(2, false, 0x31);
    g_assert_cmphex(lines(0) | lines(1) | lines(3), ==, 0);
    g_assert_cmpint(ack(2), ==, 0x31);
    end(2);
    msi(0xff, false, 0x32);
    for (unsigned i = 1; i < CPUS; i++) {
        g_assert_cmpint(ack(i), ==, 0x32);
        end(i);
    }
    g_assert_cmpint(ack(0), ==, 0x32);
    put(EOI, 0);
    /* x2APIC logical IDs of cluster 0: one bit per CPU. */
    g_assert_cmphex(rdmsr(3, 0x80d), ==, 8);
    msi(0x0a, true, 0x33);
    g_assert_cmpint(ack(1), ==, 0x33);
    g_assert_cmpint(ack(2), ==, -1);
    g_assert_cmpint(ack(3), ==, 0x33);
    /* Flat and clustered, on the boot CPU. */
    put(LDR, 0x10000000);
    msi(0x30, true, 0x34);
    g_assert_cmpint(ack(0), ==, 0x34);
    put(EOI, 0);
    put(DFR, 0x0fffffff);
    put(LDR, 0x21000000);
    msi(0x11, true, 0x35);
    g_assert_cmpint(ack(0), ==, -1);
    msi(0x23, true, 0x35);
    g_assert_cmpint(ack(0), ==, 0x35);
    put(EOI, 0);
}

static void test_lowest_priority(gconstpointer data)
{
    unsigned taken[CPUS] = { 0 };

    set_up(data);
    for (unsigned i = 1; i < CPUS; i++) {
        enter_x2(i);
        g_assert_true(wrmsr(i, 0x80f, 0x1ff));
    }
    g_assert_true(wrmsr(3, 0x808, 0x80)); /* busy */
    for (unsigned i = 0; i < 4; i++) {
        msi(0x0e, true, 0x40 | 1 << 8);
        for (unsigned cpu = 1; cpu < CPUS; cpu++) {
            if (ack(cpu) == 0x40) {
                taken[cpu]++;
                end(cpu);
            }
        }
    }
    g_assert_cmpuint(taken[1], ==, 2);
    g_assert_cmpuint(taken[2], ==, 2);
    g_assert_cmpuint(taken[3], ==, 0);
}

static void test_ipi(gconstpointer data)
{
    set_up(data);
    /* INIT and start-up, as firmware wakes the others. */
    put(ICR, 0xc4500);
    g_assert_cmphex(lines(0), ==, 0);
    g_assert_cmphex(lines(1), ==, VCPU_IRQ_INIT);
    vcpu_set_irq(vcpu_get(1), VCPU_IRQ_INIT, false);
    put(ICR, 0xc8500); /* de-assert: nothing */
    g_assert_cmphex(lines(1), ==, 0);
    put(ICR2, 3u << 24);
    put(ICR, 0x4690);
    g_assert_cmphex(lines(3), ==, VCPU_IRQ_SIPI | VCPU_IRQ_INIT);
    g_assert_cmphex(vcpu_get(3)->sipi_vector, ==, 0x90);
    g_assert_cmphex(lines(2), ==, VCPU_IRQ_INIT);
    put(ICR, 0x84400); /* NMI to all */
    g_assert_cmphex(lines(0), ==, VCPU_IRQ_NMI);
    g_assert_cmphex(lines(1), ==, VCPU_IRQ_NMI);
    put(ICR, 0x40055); /* self */
    g_assert_cmpint(ack(0), ==, 0x55);
    g_assert_cmphex(get(ICR), ==, 0x40055);
    put(ICR2, 1u << 24);
    put(ICR, 0x200);
    g_assert_cmphex(lines(1), ==, VCPU_IRQ_NMI | VCPU_IRQ_SMI);
}

static void test_disabled(gconstpointer data)
{
    VCpu *cpu = vcpu_get(0);

    set_up(data);
    put(LVT_TIMER, 0x31);
    put(SVR, 0xff);
    g_assert_cmphex(get(LVT_TIMER), ==, 0x10031);
    put(LVT_TIMER, 0x32);
    g_assert_cmphex(get(LVT_TIMER), ==, 0x10032);
    msi(0, false, 0x61);
    put(SVR, 0x1ff);
    g_assert_cmpint(ack(0), ==, -1);
    /* Illegal transitions of IA32_APIC_BASE. */
    g_assert_false(cpu->apic_ops->set_base(cpu->apic, 0xfee00500));
    g_assert_false(cpu->apic_ops->set_base(cpu->apic, 0xfee00901));
    g_assert_true(cpu->apic_ops->set_base(cpu->apic, 0xfee00100));
    g_assert_cmphex(get(VERSION), ==, 0xffffffff);
    g_assert_false(cpu->apic_ops->set_base(cpu->apic, 0xfee00d00));
    g_assert_true(cpu->apic_ops->set_base(cpu->apic, 0xfee00900));
    g_assert_true(cpu->apic_ops->set_base(cpu->apic, 0xfee00d00));
    g_assert_false(cpu->apic_ops->set_base(cpu->apic, 0xfee00900));
}

static void test_x2(gconstpointer data)
{
    uint64_t value;

    set_up(data);
    g_assert_false(wrmsr(0, 0x808, 0));
    enter_x2(0);
    g_assert_cmphex(get(VERSION), ==, 0xffffffff);
    g_assert_cmphex(rdmsr(0, 0x802), ==, 0);
    g_assert_cmphex(rdmsr(0, 0x80d), ==, 1);
    g_assert_false(wrmsr(0, 0x802, 0));
    g_assert_false(wrmsr(0, 0x80d, 0));
    g_assert_false(wrmsr(0, 0x80b, 1));
    g_assert_false(wrmsr(0, 0x80e, 0));
    g_assert_false(wrmsr(0, 0x808, 0x100));
    g_assert_false(wrmsr(0, 0x831, 0));
    g_assert_false(wrmsr(0, 0x8ff, 0));
    g_assert_false(wrmsr(0, 0x830, 1ull << 12));
    g_assert_false(vcpu_get(0)->apic_ops->msr_read(vcpu_get(0)->apic, 0x80b, &value));
    /* Read-only bits of an entry are ignored, not refused. */
    g_assert_true(wrmsr(0, 0x835, 0x5700));
    g_assert_cmphex(rdmsr(0, 0x835), ==, 0x700);
    g_assert_false(wrmsr(0, 0x835, 0x80700));
    g_assert_true(wrmsr(0, 0x83f, 0x77));
    g_assert_cmpint(ack(0), ==, 0x77);
    g_assert_true(wrmsr(0, 0x80b, 0));
    g_assert_true(wrmsr(0, 0x830, 2ull << 32 | 0x4400));
    g_assert_cmphex(lines(2), ==, VCPU_IRQ_NMI);
    g_assert_cmphex(rdmsr(0, 0x830), ==, 2ull << 32 | 0x4400);
}

static void test_timer(gconstpointer data)
{
    set_up(data);
    put(TDCR, 0xb); /* by 1 */
    put(LVT_TIMER, 0x50);
    put(TMICT, 1000000);
    bench_step(400000);
    g_assert_cmpuint(get(TMCCT), ==, 600000);
    g_assert_cmphex(lines(0), ==, 0);
    bench_step(600000);
    g_assert_cmpint(ack(0), ==, 0x50);
    put(EOI, 0);
    g_assert_cmpuint(get(TMCCT), ==, 0);
    bench_step(5000000);
    g_assert_cmphex(lines(0), ==, 0);
    /* Periodic, by 16. */
    put(TDCR, 0x3);
    put(LVT_TIMER, 0x20050);
    put(TMICT, 10000);
    for (int i = 0; i < 5; i++) {
        bench_step(159999);
        g_assert_cmphex(lines(0), ==, 0);
        bench_step(1);
        g_assert_cmpint(ack(0), ==, 0x50);
        put(EOI, 0);
    }
    put(TMICT, 0);
    bench_step(1000000);
    g_assert_cmphex(lines(0), ==, 0);
    /* TSC deadline, given as the virtual clock's. */
    put(LVT_TIMER, 0x40051);
    put(TMICT, 77);
    g_assert_cmphex(get(TMICT), ==, 0);
    vcpu_get(0)->apic_ops->set_deadline(vcpu_get(0)->apic, vm_clock_ns(VM_CLOCK_VIRTUAL) + 5000);
    bench_step(4999);
    g_assert_cmphex(lines(0), ==, 0);
    bench_step(1);
    g_assert_cmpint(ack(0), ==, 0x51);
    put(EOI, 0);
    /* Far away, and absurdly fast. */
    vcpu_get(0)->apic_ops->set_deadline(vcpu_get(0)->apic, INT64_MAX);
    put(LVT_TIMER, 0x20052);
    put(TDCR, 0xb);
    put(TMICT, 1);
    bench_step(10000000);
    g_assert_cmpint(ack(0), ==, 0x52);
}

static void test_pic(gconstpointer data)
{
    Fixture *f = set_up(data);

    /* After power-on the boot CPU is wired through, then LINT0 decides. */
    f->pic_level = true;
    apic_pic_intr_changed(true);
    g_assert_cmphex(lines(0), ==, VCPU_IRQ_EXTINT);
    g_assert_cmphex(lines(1), ==, 0);
    put(LVT_LINT0, 0x10700);
    g_assert_cmphex(lines(0), ==, 0);
    put(LVT_LINT0, 0x700);
    g_assert_cmpint(ack(0), ==, 0x08);
    g_assert_cmphex(lines(0), ==, 0);
    put(LVT_LINT0, 0x44);
    f->pic_level = true;
    apic_pic_intr_changed(true);
    g_assert_cmpint(ack(0), ==, 0x44);
    g_assert_false(apic_deliver_nmi(vcpu_get(0)));
    put(LVT_LINT1, 0x400);
    g_assert_true(apic_deliver_nmi(vcpu_get(0)));
    g_assert_cmphex(lines(0) & VCPU_IRQ_NMI, ==, VCPU_IRQ_NMI);
}

static void test_saved_state(gconstpointer data)
{
    Device *dev = vcpu_get(0)->apic;
    const VmState *state = device_vmstate(dev);
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    size_t used;

    set_up(data);
    msi(0, false, 0x41);
    ack(0);
    msi(0, false, 0x61);
    put(TPR, 0x20);
    vmstate_save(state, dev, bytes);
    set_up(data);
    g_assert_cmphex(lines(0), ==, 0);
    vmstate_load(state, dev, state->version, bytes->data, bytes->len, &used, &error);
    g_assert_no_error(error);
    g_assert_cmphex(get(TPR), ==, 0x20);
    g_assert_cmphex(get(ISR + 0x20), ==, 2);
    g_assert_cmpint(ack(0), ==, 0x61);
    bench_load_junk(dev, bytes, 3000);
}

static void test_hostile(gconstpointer data)
{
    GRand *rand = g_rand_new_with_seed(3);

    set_up(data);
    for (int i = 0; i < 20000; i++) {
        unsigned cpu = g_rand_int_range(rand, 0, CPUS);
        uint64_t addr = PAGE + g_rand_int_range(rand, 0, 0x3000);
        uint64_t value = g_rand_int(rand);

        switch (g_rand_int_range(rand, 0, 5)) {
        case 0:
            address_space_store(address_space_memory(), addr, 1u << (i % 4), value);
            break;
        case 1:
            address_space_load(address_space_memory(), addr, 1u << (i % 4), &value);
            break;
        case 2:
            wrmsr(cpu, 0x800 + g_rand_int_range(rand, 0, 0x100), value >> (i % 32));
            break;
        case 3:
            vcpu_get(cpu)->apic_ops->set_base(vcpu_get(cpu)->apic, 0xfee00000 | (value & 0xd00));
            break;
        default:
            ack(cpu);
        }
        bench_step(100);
    }
    g_rand_free(rand);
}

int main(int argc, char **argv)
{
    static Fixture f = {
        .wiring = { .pic_ack = pic_ack, .pic_intr = pic_intr, .eoi = record_eoi },
    };
    g_autoptr(GError) error = NULL;

    g_test_init(&argc, &argv, NULL);
    f.wiring.pic = &f;
    f.wiring.ioapic = &f;
    bench_init(CPUS);
    for (unsigned i = 0; i < CPUS; i++) {
        apic_attach(vcpu_get(i), &f.wiring, &error);
        g_assert_no_error(error);
    }
    apic_map_window(object_root());
    g_test_add_data_func("/apic/reset", &f, test_reset);
    g_test_add_data_func("/apic/priority", &f, test_priority);
    g_test_add_data_func("/apic/level-eoi", &f, test_level_eoi);
    g_test_add_data_func("/apic/errors", &f, test_errors);
    g_test_add_data_func("/apic/destinations", &f, test_destinations);
    g_test_add_data_func("/apic/lowest-priority", &f, test_lowest_priority);
    g_test_add_data_func("/apic/ipi", &f, test_ipi);
    g_test_add_data_func("/apic/disabled", &f, test_disabled);
    g_test_add_data_func("/apic/x2apic", &f, test_x2);
    g_test_add_data_func("/apic/timer", &f, test_timer);
    g_test_add_data_func("/apic/pic", &f, test_pic);
    g_test_add_data_func("/apic/saved-state", &f, test_saved_state);
    g_test_add_data_func("/apic/hostile", &f, test_hostile);
    return g_test_run();
}
