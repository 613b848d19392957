/* SPDX-License-Identifier: Apache-2.0 */
/* The IDE CD-ROM: packets by PIO and DMA, senses, tray and media, hostile packets. */
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/qtest/ide-port.h"

#define CD_SECTORS 300
#define CD_SECTOR 2048

static char *image;

static void make_image(void)
{
    g_autofree uint8_t *data = g_malloc(CD_SECTORS * CD_SECTOR);
    int fd = g_file_open_tmp("vireo-cd-XXXXXX", &image, NULL);

    for (unsigned i = 0; i < CD_SECTORS * CD_SECTOR; i++) {
        data[i] = i / CD_SECTOR * 3 + i;
    }
    g_assert_cmpint(write(fd, data, CD_SECTORS * CD_SECTOR), ==, CD_SECTORS * CD_SECTOR);
    close(fd);
}

static void expected(uint8_t *data, unsigned lba, unsigned count)
{
    for (unsigned i = 0; i < count * CD_SECTOR; i++) {
        data[i] = (lba + i / CD_SECTOR) * 3 + i;
    }
}

static QTest *start(void)
{
    QTest *qts = qtest_start("-M pc -drive file=%s,format=raw,if=none,id=d,media=cdrom "
                             "-device ide-cd,drive=d,id=cd", image);

    ide_enable_dma(qts);
    return qts;
}

/* Send a packet; the status once it is not busy. limit: bytes of one piece. */
static uint8_t send_packet(QTest *qts, const uint8_t packet[12], uint16_t limit, bool dma)
{
    qtest_outb(qts, IDE_DEVICE, 0);
    qtest_outb(qts, IDE_FEATURE, dma);
    qtest_outb(qts, IDE_MID, limit);
    qtest_outb(qts, IDE_HIGH, limit >> 8);
    g_assert_cmphex(ide_command(qts, CMD_PACKET), ==, DRDY | DSC | DRQ);
    g_assert_cmphex(qtest_inb(qts, IDE_COUNT), ==, 1);
    ide_write_data(qts, packet, 12);
    return ide_wait(qts);
}

/* All pieces of an answer; how many bytes. */
static unsigned receive(QTest *qts, uint8_t *data, unsigned max)
{
    unsigned got = 0;

    while (ide_wait(qts) & DRQ) {
        unsigned n = qtest_inb(qts, IDE_MID) | qtest_inb(qts, IDE_HIGH) << 8;

        g_assert_cmphex(qtest_inb(qts, IDE_COUNT), ==, 2);
        g_assert_cmpuint(got + n, <=, max);
        ide_read_data(qts, data + got, n);
        got += n;
    }
    g_assert_cmphex(qtest_inb(qts, IDE_COUNT), ==, 3);
    return got;
}

static void check_sense(QTest *qts, uint8_t key, uint8_t asc)
{
    const uint8_t packet[12] = { 0x03, 0, 0, 0, 18 };
    uint8_t sense[18];

    send_packet(qts, packet, 0xfffe, false);
    g_assert_cmpuint(receive(qts, sense, sizeof(sense)), ==, sizeof(sense));
    g_assert_cmphex(sense[2], ==, key);
    g_assert_cmphex(sense[12], ==, asc);
}

static void refuse(QTest *qts, const uint8_t packet[12], uint8_t key, uint8_t asc)
{
    g_assert_cmphex(send_packet(qts, packet, 0xfffe, false), ==, DRDY | DSC | ERR);
    g_assert_cmphex(qtest_inb(qts, IDE_FEATURE), ==, key << 4 | ABRT);
    check_sense(qts, key, asc);
}

static void test_signature(void)
{
    QTest *qts = start();
    uint16_t words[256];

    qtest_outb(qts, IDE_CONTROL, 4);
    qtest_outb(qts, IDE_CONTROL, 0);
    g_assert_cmphex(ide_wait(qts), ==, 0);
    g_assert_cmphex(qtest_inb(qts, IDE_MID), ==, 0x14);
    g_assert_cmphex(qtest_inb(qts, IDE_HIGH), ==, 0xeb);
    g_assert_cmphex(ide_command(qts, CMD_IDENTIFY) & ERR, ==, ERR);
    /* A disk's command is refused in a way that tells what it is. */
    qtest_outb(qts, IDE_MID, 0);
    qtest_outb(qts, IDE_HIGH, 0);
    g_assert_cmphex(ide_command(qts, CMD_READ) & ERR, ==, ERR);
    g_assert_cmphex(qtest_inb(qts, IDE_FEATURE), ==, ABRT);
    g_assert_cmphex(qtest_inb(qts, IDE_MID), ==, 0x14);
    g_assert_cmphex(qtest_inb(qts, IDE_HIGH), ==, 0xeb);
    g_assert_cmphex(qtest_inb(qts, IDE_MID), ==, 0x14);
    g_assert_cmphex(ide_command(qts, CMD_IDENTIFY_PACKET), ==, DRDY | DSC | DRQ);
    ide_read_data(qts, words, sizeof(words));
    g_assert_cmphex(words[0], ==, 0x85c0);
    qtest_stop(qts);
}

static void test_read(void)
{
    static const struct { uint8_t opcode; uint16_t limit; } ways[] = {
        { 0x28, CD_SECTOR }, { 0x28, 0xfffe }, { 0xa8, 1000 }, { 0x28, 0xffff },
    };
    QTest *qts = start();
    g_autofree uint8_t *want = g_malloc(50 * CD_SECTOR), *got = g_malloc0(50 * CD_SECTOR);

    expected(want, 7, 50);
    for (unsigned i = 0; i < G_N_ELEMENTS(ways); i++) {
        uint8_t packet[12] = { ways[i].opcode, 0, 0, 0, 0, 7 };

        packet[ways[i].opcode == 0x28 ? 8 : 9] = 50;
        g_assert_cmphex(send_packet(qts, packet, ways[i].limit, false) & DRQ, ==, DRQ);
        g_assert_cmpuint(receive(qts, got, 50 * CD_SECTOR), ==, 50 * CD_SECTOR);
        g_assert_cmpmem(got, 50 * CD_SECTOR, want, 50 * CD_SECTOR);
    }
    qtest_stop(qts);
}

static void test_read_dma(void)
{
    QTest *qts = start();
    const Prd prds[] = { { DMA_BUFFER, 0 }, { DMA_BUFFER + 0x10000, 0 | PRD_END } };
    const uint8_t packet[12] = { 0x28, 0, 0, 0, 0, 100, 0, 0, 64 };
    g_autofree uint8_t *want = g_malloc(64 * CD_SECTOR), *got = g_malloc(64 * CD_SECTOR);

    expected(want, 100, 64);
    send_packet(qts, packet, 0, true);
    ide_start_dma(qts, prds, 2, true);
    g_assert_cmphex(ide_wait_dma(qts), ==, BM_INTR);
    g_assert_cmphex(ide_wait(qts), ==, DRDY | DSC);
    qtest_memread(qts, DMA_BUFFER, got, 64 * CD_SECTOR);
    g_assert_cmpmem(got, 64 * CD_SECTOR, want, 64 * CD_SECTOR);
    qtest_stop(qts);
}

/* READ CD with everything around the data, both ways. */
static void test_read_raw(void)
{
    QTest *qts = start();
    const Prd prds[] = { { DMA_BUFFER, 0 }, { DMA_BUFFER + 0x10000, 0 | PRD_END } };
    const uint8_t packet[12] = { 0xbe, 0, 0, 0, 0, 10, 0, 0, 40, 0xf8 };
    const unsigned bytes = 40 * 2352;
    g_autofree uint8_t *pio = g_malloc(bytes), *dma = g_malloc(bytes), *want = g_malloc(CD_SECTOR);

    send_packet(qts, packet, 2352, false);
    g_assert_cmpuint(receive(qts, pio, bytes), ==, bytes);
    expected(want, 49, 1);
    g_assert_cmpmem(pio + 39 * 2352 + 16, CD_SECTOR, want, CD_SECTOR);
    g_assert_cmphex(pio[12] << 16 | pio[13] << 8 | pio[14], ==, 0x000210); /* 00:02:10 */
    send_packet(qts, packet, 0, true);
    ide_start_dma(qts, prds, 2, true);
    ide_wait_dma(qts);
    g_assert_cmphex(ide_wait(qts), ==, DRDY | DSC);
    qtest_memread(qts, DMA_BUFFER, dma, bytes);
    g_assert_cmpmem(dma, bytes, pio, bytes);
    qtest_stop(qts);
}

static void test_answers(void)
{
    QTest *qts = start();
    const uint8_t inquiry[12] = { 0x12, 0, 0, 0, 36 }, capacity[12] = { 0x25 };
    const uint8_t toc[12] = { 0x43, 0, 0, 0, 0, 0, 0, 0, 20 };
    const uint8_t configuration[12] = { 0x46, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
    const uint8_t mode[12] = { 0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 0xff };
    uint8_t data[512];

    send_packet(qts, inquiry, 0xfffe, false);
    g_assert_cmpuint(receive(qts, data, sizeof(data)), ==, 36);
    g_assert_cmphex(data[0], ==, 5);
    g_assert_cmpmem(data + 8, 24, "QEMU    QEMU DVD-ROM    ", 24);
    send_packet(qts, capacity, 0xfffe, false);
    g_assert_cmpuint(receive(qts, data, sizeof(data)), ==, 8);
    g_assert_cmpuint(data[2] << 8 | data[3], ==, CD_SECTORS - 1);
    send_packet(qts, toc, 0xfffe, false);
    g_assert_cmpuint(receive(qts, data, sizeof(data)), ==, 20);
    g_assert_cmphex(data[14], ==, 0xaa);
    g_assert_cmpuint(data[18] << 8 | data[19], ==, CD_SECTORS);
    send_packet(qts, configuration, 0xfffe, false);
    g_assert_cmpuint(receive(qts, data, sizeof(data)), >=, 8);
    g_assert_cmphex(data[7], ==, 0x08);
    send_packet(qts, mode, 0xfffe, false);
    g_assert_cmpuint(receive(qts, data, sizeof(data)), ==, 28);
    g_assert_cmphex(data[8], ==, 0x2a);
    qtest_stop(qts);
}

static void test_hostile(void)
{
    static const uint8_t beyond[][12] = {
        { 0x28, 0, 0, 0, 1, 44, 0, 0, 1 }, { 0x28, 0, 0, 0, 1, 43, 0, 0, 2 },
        { 0x28, 0, 0xff, 0xff, 0xff, 0xff, 0, 0xff, 0xff },
        { 0xa8, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff },
        { 0xbe, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xf8 },
    };
    QTest *qts = start();
    const uint8_t unknown[12] = { 0xff }, field[12] = { 0x12, 1, 0, 0, 36 };
    const uint8_t none[12] = { 0x28, 0, 0, 0, 0, 1 }, read[12] = { 0x28, 0, 0, 0, 0, 1, 0, 0, 1 };
    const uint8_t select[12] = { 0x55, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

    for (unsigned i = 0; i < G_N_ELEMENTS(beyond); i++) {
        refuse(qts, beyond[i], 5, 0x21);
    }
    refuse(qts, unknown, 5, 0x20);
    refuse(qts, field, 5, 0x24);
    refuse(qts, select, 5, 0x24);
    g_assert_cmphex(send_packet(qts, none, 0xfffe, false), ==, DRDY | DSC);
    /* Pieces of no bytes. */
    g_assert_cmphex(send_packet(qts, read, 0, false), ==, DRDY | DSC | ERR);
    g_assert_cmphex(send_packet(qts, read, 1, false), ==, DRDY | DSC | ERR);
    qtest_stop(qts);
}

static void check_tray_event(QTest *qts, bool open)
{
    json_object *event = qtest_qmp_event(qts, "DEVICE_TRAY_MOVED"), *data, *value;

    json_object_object_get_ex(event, "data", &data);
    json_object_object_get_ex(data, "tray-open", &value);
    g_assert_true(json_object_get_boolean(value) == open);
    json_object_object_get_ex(data, "id", &value);
    g_assert_cmpstr(json_object_get_string(value), ==, "cd");
    json_object_put(event);
}

static void test_tray(void)
{
    QTest *qts = start();
    const uint8_t ready[12] = { 0 };
    const uint8_t eject[12] = { 0x1b, 0, 0, 0, 2 }, load[12] = { 0x1b, 0, 0, 0, 3 };
    const uint8_t lock[12] = { 0x1e, 0, 0, 0, 1 }, unlock[12] = { 0x1e };
    const uint8_t event[12] = { 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8 };
    g_autofree char *refused = NULL;
    uint8_t data[8];

    g_assert_cmphex(send_packet(qts, ready, 0, false), ==, DRDY | DSC);
    g_assert_cmphex(send_packet(qts, eject, 0, false), ==, DRDY | DSC);
    check_tray_event(qts, true);
    refuse(qts, ready, 2, 0x3a);
    g_assert_cmphex(send_packet(qts, load, 0, false), ==, DRDY | DSC);
    check_tray_event(qts, false);
    refuse(qts, ready, 6, 0x28);
    g_assert_cmphex(send_packet(qts, ready, 0, false), ==, DRDY | DSC);
    g_assert_cmphex(send_packet(qts, lock, 0, false), ==, DRDY | DSC);
    refuse(qts, eject, 2, 0x53);
    refused = qtest_qmp_error(qts, "{'execute': 'eject', 'arguments': {'id': 'cd'}}");
    g_assert_nonnull(strstr(refused, "locked"));
    send_packet(qts, event, 0xfffe, false);
    g_assert_cmpuint(receive(qts, data, sizeof(data)), ==, 8);
    g_assert_cmphex(data[4], ==, 1); /* somebody wants it ejected */
    g_assert_cmphex(send_packet(qts, unlock, 0, false), ==, DRDY | DSC);
    json_object_put(qtest_qmp(qts, "{'execute': 'eject', 'arguments': {'id': 'cd'}}"));
    check_tray_event(qts, true);
    refuse(qts, ready, 2, 0x3a);
    json_object_put(qtest_qmp(qts, "{'execute': 'blockdev-change-medium', 'arguments': "
                              "{'id': 'cd', 'filename': '%s', 'format': 'raw'}}", image));
    check_tray_event(qts, false);
    refuse(qts, ready, 6, 0x28);
    g_assert_cmphex(send_packet(qts, ready, 0, false), ==, DRDY | DSC);
    qtest_stop(qts);
}

/* A drive without disc: nothing divides by its size. */
static void test_empty(void)
{
    static const uint8_t opcodes[] = { 0x00, 0x25, 0x28, 0x2b, 0x43, 0x51, 0xa8, 0xbe };
    QTest *qts = qtest_start("-M pc -device ide-cd,id=cd");

    for (unsigned i = 0; i < G_N_ELEMENTS(opcodes); i++) {
        const uint8_t packet[12] = { opcodes[i], 0, 0, 0, 0, 0, 0, 0, 8, 0xf8 };

        refuse(qts, packet, 2, 0x3a);
    }
    qtest_stop(qts);
}

static void test_random(void)
{
    QTest *qts = start();
    const Prd prds[] = { { DMA_BUFFER, 0 }, { DMA_BUFFER, 0 | PRD_END } };

    for (unsigned n = 0; n < 1500; n++) {
        static const uint8_t opcodes[] = {
            0x00, 0x03, 0x12, 0x1b, 0x1e, 0x25, 0x28, 0x2b, 0x43, 0x46, 0x4a, 0x51, 0x55, 0x5a,
            0xa8, 0xad, 0xbb, 0xbd, 0xbe,
        };
        bool dma = g_test_rand_bit();
        uint8_t packet[12];

        for (unsigned i = 0; i < sizeof(packet); i++) {
            packet[i] = g_test_rand_bit() ? 0 : g_test_rand_int();
        }
        packet[0] = opcodes[g_test_rand_int_range(0, G_N_ELEMENTS(opcodes))];
        packet[2] = packet[3] = 0;
        qtest_outb(qts, IDE_DEVICE, 0);
        qtest_outb(qts, IDE_FEATURE, dma);
        qtest_outb(qts, IDE_MID, g_test_rand_int());
        qtest_outb(qts, IDE_HIGH, g_test_rand_int());
        qtest_outb(qts, IDE_COMMAND, CMD_PACKET);
        ide_write_data(qts, packet, 12);
        if (dma) {
            ide_start_dma(qts, prds, 2, g_test_rand_bit());
        }
        for (unsigned i = 0; i < 40; i++) {
            qtest_inl(qts, IDE_DATA);
        }
        qtest_outb(qts, IDE_CONTROL, 4);
        qtest_outb(qts, IDE_CONTROL, 0);
        ide_wait(qts);
    }
    qtest_stop(qts);
}

int main(int argc, char **argv)
{
    int status;

    g_test_init(&argc, &argv, NULL);
    make_image();
    g_test_add_func("/atapi/signature", test_signature);
    g_test_add_func("/atapi/read", test_read);
    g_test_add_func("/atapi/read-dma", test_read_dma);
    g_test_add_func("/atapi/read-raw", test_read_raw);
    g_test_add_func("/atapi/answers", test_answers);
    g_test_add_func("/atapi/hostile", test_hostile);
    g_test_add_func("/atapi/tray", test_tray);
    g_test_add_func("/atapi/empty", test_empty);
    g_test_add_func("/atapi/random", test_random);
    status = g_test_run();
    g_unlink(image);
    g_free(image);
    return status;
}
