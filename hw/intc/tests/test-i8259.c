/* SPDX-License-Identifier: Apache-2.0 */
/* The pair of 8259As: initialisation, priorities, every EOI, masks, poll, spurious requests. */
#include "hw/core/tests/testbench.h"
#include "hw/intc/i8259.h"

enum { M0 = 0x20, M1 = 0x21, S0 = 0xa0, S1 = 0xa1, ELCR_M = 0x4d0, ELCR_S = 0x4d1 };
enum { VECTOR_M = 0x30, VECTOR_S = 0x38 };
enum { EOI = 0x20, READ_IRR = 0x0a, READ_ISR = 0x0b };

typedef struct Fixture {
    I8259 *pic;
    Irq irqs[ISA_IRQS];
    Probe intr;
} Fixture;

static void init_pair(uint8_t icw4)
{
    bench_outb(M0, 0x11);
    bench_outb(M1, VECTOR_M);
    bench_outb(M1, 0x04);
    bench_outb(M1, icw4);
    bench_outb(S0, 0x11);
    bench_outb(S1, VECTOR_S);
    bench_outb(S1, 0x02);
    bench_outb(S1, icw4);
    bench_outb(M1, 0);
    bench_outb(S1, 0);
}

static void set_up(Fixture *f)
{
    for (int i = 0; i < ISA_IRQS; i++) {
        irq_lower(f->irqs[i]);
    }
    reset_all_devices();
    init_pair(0x01);
}

static uint8_t read_isr(uint16_t port)
{
    bench_outb(port, READ_ISR);
    return bench_inb(port);
}

static uint8_t read_irr(uint16_t port)
{
    bench_outb(port, READ_IRR);
    return bench_inb(port);
}

static void test_reset(gconstpointer data)
{
    Fixture *f = (Fixture *)data;

    reset_all_devices();
    g_assert_cmphex(bench_inb(M1), ==, 0);
    g_assert_cmphex(bench_inb(M0), ==, 0);
    g_assert_cmphex(bench_inb(ELCR_M), ==, 0);
    g_assert_false(f->intr.level);
}

static void test_edge(gconstpointer data)
{
    Fixture *f = (Fixture *)data;

    set_up(f);
    irq_raise(f->irqs[4]);
    g_assert_true(f->intr.level);
    g_assert_cmphex(read_irr(M0), ==, 0x10);
    g_assert_cmphex(i8259_ack(f->pic), ==, VECTOR_M + 4);
    g_assert_false(f->intr.level);
    g_assert_cmphex(read_irr(M0), ==, 0);
    g_assert_cmphex(read_isr(M0), ==, 0x10);
    /* The line is still high: no new edge, no new request. */
    bench_outb(M0, EOI);
    g_assert_false(f->intr.level);
    irq_pulse(f->irqs[4]);
    irq_lower(f->irqs[4]);
    irq_raise(f->irqs[4]);
    g_assert_true(f->intr.level);
}

static void test_slave(gconstpointer data)
{
    Fixture *f = (Fixture *)data;

    set_up(f);
    irq_raise(f->irqs[12]);
    g_assert_cmphex(i8259_ack(f->pic), ==, VECTOR_S + 4);
    g_assert_cmphex(read_isr(M0), ==, 0x04);
    g_assert_cmphex(read_isr(S0), ==, 0x10);
    /* IRQ1 outranks the cascade, IRQ3 does not, IRQ8 waits for the master's EOI. */
    irq_raise(f->irqs[1]);
    g_assert_true(f->intr.level);
    g_assert_cmphex(i8259_ack(f->pic), ==, VECTOR_M + 1);
    bench_outb(M0, EOI);
    irq_raise(f->irqs[3]);
    irq_raise(f->irqs[8]);
    g_assert_false(f->intr.level);
    bench_outb(S0, EOI);
    bench_outb(M0, EOI);
    g_assert_cmphex(i8259_ack(f->pic), ==, VECTOR_S + 0);
}

static void test_special_nested(gconstpointer data)
{
    Fixture *f = (Fixture *)data;

    set_up(f);
    init_pair(0x11);
    irq_raise(f->irqs[12]);
    i8259_ack(f->pic);
    irq_raise(f->irqs[9]);
    g_assert_true(f->intr.level);
    g_assert_cmphex(i8259_ack(f->pic), ==, VECTOR_S + 1);
}

static void test_level(gconstpointer data)
{
    Fixture *f = (Fixture *)data;

    set_up(f);
    bench_outb(ELCR_M, 0xff);
    bench_outb(ELCR_S, 0xff);
    g_assert_cmphex(bench_inb(ELCR_M), ==, 0xf8);
    g_assert_cmphex(bench_inb(ELCR_S), ==, 0xde);
    irq_raise(f->irqs[5]);
    g_assert_cmphex(i8259_ack(f->pic), ==, VECTOR_M + 5);
    bench_outb(M0, EOI);
    g_assert_true(f->intr.level);
    /* Withdrawn before the acknowledge: IR7, and nothing in service. */
    irq_lower(f->irqs[5]);
    g_assert_false(f->intr.level);
    g_assert_cmphex(i8259_ack(f->pic), ==, VECTOR_M + 7);
    g_assert_cmphex(read_isr(M0), ==, 0);
    /* The same on the slave: its IR7, while the master has the cascade in service. */
    irq_raise(f->irqs[10]);
    bench_outb(S1, 0xff);
    bench_outb(S1, 0x00);
    g_assert_true(f->intr.level);
}

static void test_priorities(gconstpointer data)
{
    Fixture *f = (Fixture *)data;

    set_up(f);
    bench_outb(M0, 0xc3); /* IR3 lowest: IR4 highest */
    irq_raise(f->irqs[3]);
    irq_raise(f->irqs[6]);
    g_assert_cmphex(i8259_ack(f->pic), ==, VECTOR_M + 6);
    bench_outb(M0, 0xa0); /* rotate on non-specific EOI: IR6 lowest */
    g_assert_cmphex(i8259_ack(f->pic), ==, VECTOR_M + 3);
    irq_lower(f->irqs[6]);
    irq_raise(f->irqs[6]);
    g_assert_false(f->intr.level);
    bench_outb(M0, 0xe3); /* rotate on specific EOI of IR3 */
    g_assert_cmphex(read_isr(M0), ==, 0);
    g_assert_cmphex(i8259_ack(f->pic), ==, VECTOR_M + 6);
    bench_outb(M0, 0x66);
    g_assert_cmphex(read_isr(M0), ==, 0);
    bench_outb(M0, EOI); /* with nothing in service: nothing */
    g_assert_cmphex(read_isr(M0), ==, 0);
}

static void test_auto_eoi(gconstpointer data)
{
    Fixture *f = (Fixture *)data;

    set_up(f);
    init_pair(0x03);
    bench_outb(M0, 0x80); /* rotate in automatic EOI mode */
    irq_raise(f->irqs[0]);
    g_assert_cmphex(i8259_ack(f->pic), ==, VECTOR_M + 0);
    g_assert_cmphex(read_isr(M0), ==, 0);
    irq_lower(f->irqs[0]);
    irq_raise(f->irqs[0]);
    irq_raise(f->irqs[1]);
    g_assert_cmphex(i8259_ack(f->pic), ==, VECTOR_M + 1);
    g_assert_cmphex(i8259_ack(f->pic), ==, VECTOR_M + 0);
}

static void test_special_mask(gconstpointer data)
{
    Fixture *f = (Fixture *)data;

    set_up(f);
    irq_raise(f->irqs[3]);
    i8259_ack(f->pic);
    irq_raise(f->irqs[4]);
    g_assert_false(f->intr.level);
    bench_outb(M1, 0x08);
    bench_outb(M0, 0x68);
    g_assert_true(f->intr.level);
    g_assert_cmphex(i8259_ack(f->pic), ==, VECTOR_M + 4);
    bench_outb(M0, EOI); /* takes IR4, not the masked IR3 */
    g_assert_cmphex(read_isr(M0), ==, 0x08);
    bench_outb(M0, EOI);
    g_assert_cmphex(read_isr(M0), ==, 0x08);
    bench_outb(M0, 0x48);
    bench_outb(M0, EOI);
    g_assert_cmphex(read_isr(M0), ==, 0);
}

static void test_poll(gconstpointer data)
{
    Fixture *f = (Fixture *)data;

    set_up(f);
    bench_outb(M0, 0x0c);
    g_assert_cmphex(bench_inb(M0), ==, 0);
    irq_raise(f->irqs[6]);
    bench_outb(M0, 0x0c);
    g_assert_cmphex(bench_inb(M0), ==, 0x86);
    g_assert_cmphex(read_isr(M0), ==, 0x40);
    g_assert_false(f->intr.level);
}

/* Half an initialisation, then anything at all. */
static void test_hostile(gconstpointer data)
{
    Fixture *f = (Fixture *)data;
    GRand *rand = g_rand_new_with_seed(8259);

    set_up(f);
    for (int i = 0; i < 20000; i++) {
        static const uint16_t ports[] = { M0, M1, S0, S1, ELCR_M, ELCR_S };
        uint16_t port = ports[g_rand_int_range(rand, 0, G_N_ELEMENTS(ports))];

        switch (g_rand_int_range(rand, 0, 4)) {
        case 0:
            bench_outb(port, g_rand_int(rand));
            break;
        case 1:
            bench_inb(port);
            break;
        case 2:
            irq_set(f->irqs[g_rand_int_range(rand, 0, ISA_IRQS)], g_rand_boolean(rand));
            break;
        default:
            g_assert_cmpint(i8259_ack(f->pic), <=, 0xff);
        }
        g_assert_cmpint(f->intr.level, ==, i8259_intr(f->pic));
    }
    g_rand_free(rand);
}

static void test_saved_state(gconstpointer data)
{
    Fixture *f = (Fixture *)data;
    const VmState *state = device_vmstate((Device *)f->pic);
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    size_t used;

    set_up(f);
    bench_outb(M1, 0x42);
    irq_raise(f->irqs[3]);
    i8259_ack(f->pic);
    vmstate_save(state, f->pic, bytes);
    set_up(f);
    g_assert_cmphex(read_isr(M0), ==, 0);
    g_assert_true(vmstate_load(state, f->pic, state->version, bytes->data, bytes->len, &used,
                               &error));
    g_assert_cmpuint(used, ==, bytes->len);
    g_assert_cmphex(read_isr(M0), ==, 0x08);
    g_assert_cmphex(bench_inb(M1), ==, 0x42);
    bench_load_junk((Device *)f->pic, bytes, 3000);
    memset(bytes->data, 0xff, bytes->len);
    g_assert_false(vmstate_load(state, f->pic, state->version, bytes->data, bytes->len, &used,
                                &error));
}

int main(int argc, char **argv)
{
    static Fixture f;
    g_autoptr(GError) error = NULL;

    g_test_init(&argc, &argv, NULL);
    bench_init(1);
    f.pic = i8259_new(bench_isa_bus(), probe_irq(&f.intr), f.irqs, &error);
    g_assert_no_error(error);
    g_test_add_data_func("/i8259/reset", &f, test_reset);
    g_test_add_data_func("/i8259/edge", &f, test_edge);
    g_test_add_data_func("/i8259/slave", &f, test_slave);
    g_test_add_data_func("/i8259/special-nested", &f, test_special_nested);
    g_test_add_data_func("/i8259/level", &f, test_level);
    g_test_add_data_func("/i8259/priorities", &f, test_priorities);
    g_test_add_data_func("/i8259/auto-eoi", &f, test_auto_eoi);
    g_test_add_data_func("/i8259/special-mask", &f, test_special_mask);
    g_test_add_data_func("/i8259/poll", &f, test_poll);
    g_test_add_data_func("/i8259/hostile", &f, test_hostile);
    g_test_add_data_func("/i8259/saved-state", &f, test_saved_state);
    return g_test_run();
}
