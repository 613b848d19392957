/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The classes of holes that device models have had, each tried on every device that it could be in
 * (the table is in docs/devel/threat-model.md). What needs a device's own language is in that
 * device's test; here is what can be said of many in one table.
 */
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/qtest/ide-port.h"
#include "tests/qtest/virtio.h"

#define NEXT VRING_DESC_F_NEXT
#define WRITE VRING_DESC_F_WRITE
#define INDIRECT VRING_DESC_F_INDIRECT
#define TABLE (V_DATA + 0x8000)
#define NOWHERE 0x7ffffffff000ull
#define NEEDED (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | \
                VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK)

/* ---- virtio: every rule of rings, on each queue of each device ---- */

typedef struct VirtioCase {
    const char *name, *options;
    unsigned queues;
    unsigned eager; /* bits: queues whose chains are looked at as soon as they are offered */
} VirtioCase;

static const VirtioCase virtio_cases[] = {
    { "blk", "-blockdev driver=null-co,node-name=n,size=1048576,read-zeroes=on "
             "-device virtio-blk-pci,drive=n,addr=2,packed=on", 1, 0x1 },
    { "blk-iothread", "-object iothread,id=io "
                      "-blockdev driver=null-co,node-name=n,size=1048576,read-zeroes=on "
                      "-device virtio-blk-pci,drive=n,addr=2,packed=on,iothread=io", 1, 0x1 },
    { "scsi", "-device virtio-scsi-pci,addr=2,packed=on -device scsi-cd", 3, 0x5 },
    { "net", "-device virtio-net-pci,addr=2,romfile=,packed=on", 3, 0x6 },
    { "rng", "-device virtio-rng-pci,addr=2,packed=on", 1, 0x1 },
};

typedef struct RingHole {
    const char *name;
    void (*prepare)(QTest *qts, VQueue *q);
} RingHole;

static void hole_zero_length(QTest *qts, VQueue *q)
{
    v_desc(qts, q, 0, V_DATA, 0, WRITE, 0);
    v_offer(qts, q, 0);
}

static void hole_oversized(QTest *qts, VQueue *q)
{
    v_desc(qts, q, 0, V_DATA, UINT32_MAX, WRITE, 0);
    v_offer(qts, q, 0);
}

static void hole_outside(QTest *qts, VQueue *q)
{
    v_desc(qts, q, 0, NOWHERE, 4096, WRITE, 0);
    v_offer(qts, q, 0);
}

/* Address and length together pass the end of all addresses. */
static void hole_wraps(QTest *qts, VQueue *q)
{
    v_desc(qts, q, 0, UINT64_MAX - 15, 4096, WRITE, 0);
    v_offer(qts, q, 0);
}

static void hole_own_registers(QTest *qts, VQueue *q)
{
    v_desc(qts, q, 0, V_NOTIFY, 64, WRITE, 0);
    v_offer(qts, q, 0);
}

static void hole_loop_of_one(QTest *qts, VQueue *q)
{
    v_desc(qts, q, 0, V_DATA, 16, NEXT, 0);
    v_offer(qts, q, 0);
}

static void hole_loop_of_two(QTest *qts, VQueue *q)
{
    v_desc(qts, q, 0, V_DATA, 16, NEXT, 1);
    v_desc(qts, q, 1, V_DATA, 16, NEXT, 0);
    v_offer(qts, q, 0);
}

static void hole_next_beyond_table(QTest *qts, VQueue *q)
{
    v_desc(qts, q, 0, V_DATA, 16, NEXT, V_SIZE);
    v_offer(qts, q, 0);
}

static void hole_head_beyond_table(QTest *qts, VQueue *q)
{
    v_offer(qts, q, 0xffff);
}

static void hole_index_jumps(QTest *qts, VQueue *q)
{
    qtest_writew(qts, q->avail + 2, V_SIZE + 1);
}

static void hole_index_goes_back(QTest *qts, VQueue *q)
{
    qtest_writew(qts, q->avail + 2, 0xffff);
}

static void hole_read_after_write(QTest *qts, VQueue *q)
{
    v_desc(qts, q, 0, V_DATA, 16, NEXT | WRITE, 1);
    v_desc(qts, q, 1, V_DATA + 64, 16, 0, 0);
    v_offer(qts, q, 0);
}

static void put_table(QTest *qts, unsigned i, uint64_t addr, uint32_t len, uint16_t flags,
                      uint16_t next)
{
    const VQueue table = { .desc = TABLE };

    v_desc(qts, &table, i, addr, len, flags, next);
}

static void hole_table_of_no_length(QTest *qts, VQueue *q)
{
    v_desc(qts, q, 0, TABLE, 0, INDIRECT, 0);
    v_offer(qts, q, 0);
}

static void hole_table_cut(QTest *qts, VQueue *q)
{
    put_table(qts, 0, V_DATA, 16, WRITE, 0);
    v_desc(qts, q, 0, TABLE, 17, INDIRECT, 0);
    v_offer(qts, q, 0);
}

static void hole_table_oversized(QTest *qts, VQueue *q)
{
    v_desc(qts, q, 0, TABLE, 0xfffffff0, INDIRECT, 0);
    v_offer(qts, q, 0);
}

static void hole_table_outside(QTest *qts, VQueue *q)
{
    v_desc(qts, q, 0, NOWHERE, 64, INDIRECT, 0);
    v_offer(qts, q, 0);
}

static void hole_table_in_table(QTest *qts, VQueue *q)
{
    put_table(qts, 0, TABLE, 16, INDIRECT, 0);
    v_desc(qts, q, 0, TABLE, 16, INDIRECT, 0);
    v_offer(qts, q, 0);
}

static void hole_table_with_next(QTest *qts, VQueue *q)
{
    put_table(qts, 0, V_DATA, 16, WRITE, 0);
    v_desc(qts, q, 0, TABLE, 16, INDIRECT | NEXT, 1);
    v_desc(qts, q, 1, V_DATA, 16, WRITE, 0);
    v_offer(qts, q, 0);
}

static void hole_loop_in_table(QTest *qts, VQueue *q)
{
    put_table(qts, 0, V_DATA, 16, NEXT, 1);
    put_table(qts, 1, V_DATA, 16, NEXT, 0);
    v_desc(qts, q, 0, TABLE, 32, INDIRECT, 0);
    v_offer(qts, q, 0);
}

static void hole_next_beyond_small_table(QTest *qts, VQueue *q)
{
    put_table(qts, 0, V_DATA, 16, NEXT, 2);
    v_desc(qts, q, 0, TABLE, 32, INDIRECT, 0);
    v_offer(qts, q, 0);
}

/* More pieces than a request may have, in a table far longer than the queue. */
static void hole_too_many_pieces(QTest *qts, VQueue *q)
{
    for (unsigned i = 0; i < 1100; i++) {
        put_table(qts, i, V_DATA, 1, NEXT, (uint16_t)(i + 1));
    }
    put_table(qts, 1100, V_DATA, 1, 0, 0);
    v_desc(qts, q, 0, TABLE, 1101 * 16, INDIRECT, 0);
    v_offer(qts, q, 0);
}

static const RingHole ring_holes[] = {
    { "zero-length", hole_zero_length }, { "oversized", hole_oversized },
    { "outside", hole_outside }, { "wraps", hole_wraps },
    { "own-registers", hole_own_registers }, { "loop-of-one", hole_loop_of_one },
    { "loop-of-two", hole_loop_of_two }, { "next-beyond-table", hole_next_beyond_table },
    { "head-beyond-table", hole_head_beyond_table }, { "index-jumps", hole_index_jumps },
    { "index-goes-back", hole_index_goes_back }, { "read-after-write", hole_read_after_write },
    { "table-of-no-length", hole_table_of_no_length }, { "table-cut", hole_table_cut },
    { "table-oversized", hole_table_oversized }, { "table-outside", hole_table_outside },
    { "table-in-table", hole_table_in_table }, { "table-with-next", hole_table_with_next },
    { "loop-in-table", hole_loop_in_table },
    { "next-beyond-small-table", hole_next_beyond_small_table },
    { "too-many-pieces", hole_too_many_pieces },
};

static void set_up(QTest *qts, const VirtioCase *device, uint64_t features, VQueue *queues)
{
    v_map(qts);
    v_negotiate(qts, features);
    for (unsigned i = 0; i < device->queues; i++) {
        queues[i] = v_queue(qts, i);
    }
    v_driver_ok(qts);
    g_assert_cmphex(v_status(qts), ==, NEEDED);
}

static void test_rings(gconstpointer data)
{
    const VirtioCase *device = data;
    QTest *qts = qtest_start("-M pc -m 16 %s", device->options);
    VQueue queues[3];

    for (unsigned index = 0; index < device->queues; index++) {
        for (unsigned i = 0; i < G_N_ELEMENTS(ring_holes); i++) {
            g_test_message("queue %u: %s", index, ring_holes[i].name);
            set_up(qts, device, V_BIT(VIRTIO_RING_F_INDIRECT_DESC), queues);
            ring_holes[i].prepare(qts, &queues[index]);
            v_kick(qts, index);
            if (device->eager & 1u << index) {
                v_wait_broken(qts);
            }
            v_kick(qts, index);
        }
    }
    set_up(qts, device, 0, queues);
    qtest_stop(qts);
}

/* ---- virtio: registers past the end, features negotiated again ---- */

static void touch(QTest *qts, uint64_t base, uint32_t size)
{
    static const uint32_t values[] = { 0, 1, 0xffffffff };

    for (uint32_t at = 0; at < size; at += 4) {
        for (unsigned i = 0; i < G_N_ELEMENTS(values); i++) {
            qtest_writel(qts, base + at, values[i]);
        }
        qtest_readl(qts, base + at);
        qtest_readq(qts, base + at);
        qtest_readw(qts, base + at + 3);
        qtest_writeb(qts, base + at + 3, 0xff);
    }
}

static void test_registers(gconstpointer data)
{
    const VirtioCase *device = data;
    QTest *qts = qtest_start("-M pc -m 16 %s", device->options);
    VQueue queues[3];

    v_map(qts);
    touch(qts, V_CONFIG, 0x200);
    touch(qts, V_CONFIG + 0xf00, 0x100);
    touch(qts, V_BAR1, 0x1000); /* vectors, pending bits, and what is behind both */
    touch(qts, V_COMMON + 0x20, 0x200);
    for (unsigned i = 0; i < 0x10000; i += 0x777) {
        qtest_writew(qts, V_COMMON + VIRTIO_PCI_COMMON_Q_SELECT, (uint16_t)i);
        touch(qts, V_COMMON + VIRTIO_PCI_COMMON_Q_SIZE, 0x28);
        qtest_writew(qts, V_NOTIFY + (i & 0xffc), (uint16_t)i);
    }
    set_up(qts, device, 0, queues);
    qtest_stop(qts);
}

/* Each way to have features after the first agreement, with the queues at work. */
static void test_renegotiation(gconstpointer data)
{
    const VirtioCase *device = data;
    QTest *qts = qtest_start("-M pc -m 16 %s", device->options);
    VQueue queues[3];
    uint64_t all;

    v_map(qts);
    all = v_offered(qts);
    for (unsigned bit = 0; bit < 64; bit++) {
        if (!(all & V_BIT(bit)) || bit == VIRTIO_F_ACCESS_PLATFORM) {
            continue;
        }
        set_up(qts, device, V_BIT(bit), queues);
        v_accept(qts, all);              /* too late */
        v_set_status(qts, NEEDED & ~VIRTIO_CONFIG_S_FEATURES_OK);
        v_accept(qts, all ^ V_BIT(bit)); /* FEATURES_OK taken back with DRIVER_OK set */
        v_set_status(qts, NEEDED);
        v_set_status(qts, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
        v_accept(qts, all);              /* all taken back, without a reset */
        v_set_status(qts, NEEDED & ~VIRTIO_CONFIG_S_DRIVER_OK);
        v_set_status(qts, NEEDED);
        for (unsigned i = 0; i < device->queues; i++) {
            v_desc(qts, &queues[i], 0, V_DATA, 256, WRITE, 0);
            v_offer(qts, &queues[i], 0);
            v_kick(qts, i);
        }
        /* The legacy interface in between. */
        qtest_outl(qts, V_BAR0 + 4, (uint32_t)all);
        qtest_outb(qts, V_BAR0 + 18, 3);
        qtest_outl(qts, V_BAR0 + 8, 0x100);
        qtest_outw(qts, V_BAR0 + 16, 0);
        v_kick(qts, 0);
    }
    set_up(qts, device, 0, queues);
    qtest_stop(qts);
}

/* ---- Resets while drives are at work ---- */

static void system_reset(QTest *qts)
{
    json_object_put(qtest_qmp(qts, "{'execute': 'system_reset'}"));
    json_object_put(qtest_qmp_event(qts, "RESET"));
}

/* The limit lets one request go; guest time stands, so the second is in flight for good. */
#define THROTTLED ",throttling.iops-total=1"

static char *disc; /* a megabyte of anything */

static void send_read(QTest *qts, bool dma)
{
    static const uint16_t packet[6] = { GUINT16_TO_LE(0x28), 0, 0, 0, GUINT16_TO_LE(1), 0 };
    const Prd prd = { DMA_BUFFER, 4096 | PRD_END };

    qtest_outb(qts, IDE_DEVICE, 0);
    qtest_outb(qts, IDE_FEATURE, dma);
    qtest_outb(qts, IDE_MID, 0);
    qtest_outb(qts, IDE_HIGH, 8);
    qtest_outb(qts, IDE_COMMAND, CMD_PACKET);
    ide_write_data(qts, packet, sizeof(packet));
    if (dma) {
        ide_start_dma(qts, &prd, 1, true);
    }
}

static void test_reset_cd(gconstpointer dma)
{
    QTest *qts = qtest_start("-M pc -drive file=%s,format=raw,if=none,id=d,media=cdrom"
                             THROTTLED " -device ide-cd,drive=d", disc);

    ide_enable_dma(qts);
    for (unsigned i = 0; i < 4; i++) {
        send_read(qts, dma != NULL); /* the first answers with the power-on attention */
    }
    qtest_outb(qts, IDE_CONTROL, 4);
    qtest_outb(qts, IDE_CONTROL, 0);
    send_read(qts, dma != NULL);
    system_reset(qts);
    ide_enable_dma(qts);
    ide_wait(qts);
    g_assert_cmphex(qtest_inb(qts, IDE_MID), ==, 0x14);
    g_assert_cmphex(qtest_inb(qts, IDE_HIGH), ==, 0xeb);
    qtest_stop(qts);
}

enum { DOR = 0x3f2, MSR = 0x3f4, FIFO = 0x3f5 };

static void fdc_command(QTest *qts, const uint8_t *bytes, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        qtest_outb(qts, FIFO, bytes[i]);
    }
}

static void test_reset_floppy(void)
{
    static const uint8_t specify[] = { 0x03, 0xdf, 0x03 };
    static const uint8_t read[] = { 0x46, 0, 0, 0, 1, 2, 18, 0x1b, 0xff };
    QTest *qts = qtest_start("-M pc -drive file=%s,format=raw,if=floppy,snapshot=on" THROTTLED,
                             disc);

    for (unsigned i = 0; i < 3; i++) {
        qtest_outb(qts, DOR, 0);
        qtest_outb(qts, DOR, 0x1c);
        fdc_command(qts, specify, sizeof(specify));
        fdc_command(qts, read, sizeof(read));
        for (unsigned n = 0; n < 600; n++) {
            qtest_inb(qts, FIFO);
        }
        fdc_command(qts, read, sizeof(read));
        if (i == 1) {
            system_reset(qts);
        }
    }
    system_reset(qts);
    g_assert_cmphex(qtest_inb(qts, MSR), ==, 0x80);
    qtest_stop(qts);
}

/* ---- Configuration space of every function, to its end ---- */

static void test_config_space(void)
{
    static const uint32_t values[] = { 0xffffffff, 0, 0xa5a5a5a5 };
    QTest *qts = qtest_start("-M pc -m 16 -vga std -device e1000,romfile= -device virtio-rng-pci "
                             "-device virtio-net-pci,romfile= -device virtio-scsi-pci "
                             "-chardev null,id=c -device pci-serial,chardev=c -device pvpanic-pci");
    unsigned functions = 0;

    for (unsigned devfn = 0; devfn < 256; devfn++) {
        uint32_t id = qtest_pci_read(qts, 0, (uint8_t)devfn, 0, 4);

        functions += id != 0xffffffff;
        for (unsigned at = 0; id != 0xffffffff && at < 256; at += 4) {
            for (unsigned i = 0; i < G_N_ELEMENTS(values); i++) {
                qtest_pci_write(qts, 0, (uint8_t)devfn, (uint8_t)at, 4, values[i]);
                qtest_pci_write(qts, 0, (uint8_t)devfn, (uint8_t)(at + 2), 2, ~values[i] & 0xffff);
                qtest_pci_write(qts, 0, (uint8_t)devfn, (uint8_t)(at + 3), 1, values[i] & 0xff);
            }
            qtest_pci_read(qts, 0, (uint8_t)devfn, (uint8_t)at, 4);
        }
        g_assert_cmphex(qtest_pci_read(qts, 0, (uint8_t)devfn, 0, 4), ==, id);
    }
    g_assert_cmpuint(functions, ==, 11);
    system_reset(qts);
    qtest_stop(qts);
}

static void add_virtio(const char *what, const VirtioCase *device, GTestDataFunc test)
{
    g_autofree char *path = g_strdup_printf("/holes/%s/%s", what, device->name);

    g_test_add_data_func(path, device, test);
}

int main(int argc, char **argv)
{
    g_autofree char *zeroes = g_malloc0(1440 * 1024);
    int status, fd;

    g_test_init(&argc, &argv, NULL);
    fd = g_file_open_tmp("vireo-holes-XXXXXX", &disc, NULL);
    g_assert_cmpint(fd, >=, 0);
    close(fd);
    g_assert_true(g_file_set_contents(disc, zeroes, 1440 * 1024, NULL));
    for (unsigned i = 0; i < G_N_ELEMENTS(virtio_cases); i++) {
        add_virtio("rings", &virtio_cases[i], test_rings);
        add_virtio("registers", &virtio_cases[i], test_registers);
        add_virtio("renegotiation", &virtio_cases[i], test_renegotiation);
    }
    g_test_add_data_func("/holes/reset/cd-pio", NULL, test_reset_cd);
    g_test_add_data_func("/holes/reset/cd-dma", "", test_reset_cd);
    g_test_add_func("/holes/reset/floppy", test_reset_floppy);
    g_test_add_func("/holes/config-space", test_config_space);
    status = g_test_run();
    g_unlink(disc);
    g_free(disc);
    return status;
}
