/* SPDX-License-Identifier: Apache-2.0 */
/* Saving and loading the PIT and the HPET: they go on where they were; junk does no harm. */
#include "hw/core/tests/testbench.h"
#include "hw/timer/hpet.h"
#include "hw/timer/i8254.h"

typedef struct Fixture {
    Device *pit, *hpet;
    Probe irq0, lines[HPET_LINES];
} Fixture;

static void set_pit(uint8_t control, uint16_t count)
{
    bench_outb(0x43, control);
    bench_outb(0x40, count);
    bench_outb(0x40, count >> 8);
}

static void put_hpet(unsigned offset, uint64_t value)
{
    address_space_store(address_space_memory(), HPET_ADDRESS + offset, 8, value);
}

static uint64_t get_hpet(unsigned offset)
{
    uint64_t value = 0;

    address_space_load(address_space_memory(), HPET_ADDRESS + offset, 8, &value);
    return value;
}

static void test_pit(gconstpointer data)
{
    Fixture *f = (Fixture *)data;
    g_autoptr(GByteArray) saved = NULL;
    unsigned rises;

    reset_all_devices();
    set_pit(0x30, 1193); /* mode 0: about 1 ms */
    bench_step(400000);
    saved = bench_save(f->pit);
    set_pit(0x34, 20);
    bench_step(100000);
    g_assert_true(bench_load(f->pit, saved));
    /* 0.5 ms of it are gone: the clock was not set back. */
    rises = f->irq0.rises;
    bench_step(490000);
    g_assert_cmpuint(f->irq0.rises, ==, rises);
    bench_step(20000);
    g_assert_cmpuint(f->irq0.rises, ==, rises + 1);
    bench_load_junk(f->pit, saved, 3000);
}

static void test_hpet(gconstpointer data)
{
    Fixture *f = (Fixture *)data;
    g_autoptr(GByteArray) saved = NULL;
    unsigned rises;

    reset_all_devices();
    put_hpet(0x120, 18 << 9 | 4 | 8 | 0x40);
    put_hpet(0x128, 10000);
    put_hpet(0x010, 1);
    bench_step(50000);
    saved = bench_save(f->hpet);
    reset_all_devices();
    bench_step(1000000);
    g_assert_true(bench_load(f->hpet, saved));
    g_assert_cmpuint(get_hpet(0x0f0), ==, 5000);
    rises = f->lines[18].rises;
    bench_step(49990);
    g_assert_cmpuint(f->lines[18].rises, ==, rises);
    bench_step(10);
    g_assert_cmpuint(f->lines[18].rises, ==, rises + 1);
    bench_step(100000);
    g_assert_cmpuint(f->lines[18].rises, ==, rises + 2);
    bench_load_junk(f->hpet, saved, 3000);
}

int main(int argc, char **argv)
{
    static Fixture f;
    Irq lines[HPET_LINES];
    g_autoptr(GError) error = NULL;

    g_test_init(&argc, &argv, NULL);
    bench_init(1);
    for (int i = 0; i < HPET_LINES; i++) {
        lines[i] = (Irq) { probe_set, f.lines, i };
    }
    f.pit = (Device *)i8254_new(bench_isa_bus(), probe_irq(&f.irq0), &error);
    g_assert_no_error(error);
    f.hpet = hpet_new(lines, 0xff0000, &error);
    g_assert_no_error(error);
    g_test_add_data_func("/timer-state/pit", &f, test_pit);
    g_test_add_data_func("/timer-state/hpet", &f, test_hpet);
    return g_test_run();
}
