/* SPDX-License-Identifier: Apache-2.0 */
/* The floppy controller: commands, DMA and PIO, formatting, media, reset, hostile use. */
#include <string.h>

#include "tests/qtest/snapshot.h"

#define BASE 0x3f0
enum { DOR = BASE + 2, MSR = BASE + 4, DSR = BASE + 4, FIFO = BASE + 5, DIR_REG = BASE + 7,
       CCR = BASE + 7 };
enum { RQM = 0x80, DIO = 0x40, NON_DMA = 0x20, BUSY = 0x10 };
enum { MOTOR_A = 0x10, USE_DMA = 0x08, NOT_RESET = 0x04 };
#define TRACKS 80
#define SECTORS 18
#define SECTOR 512
#define IMAGE_SIZE (TRACKS * 2 * SECTORS * SECTOR)
#define DMA_BUFFER 0x20000

static char *image;

static uint8_t byte_at(unsigned offset)
{
    return offset / SECTOR * 5 + offset;
}

static void make_image(void)
{
    g_autofree uint8_t *data = g_malloc(IMAGE_SIZE);
    int fd = g_file_open_tmp("vireo-fd-XXXXXX", &image, NULL);

    for (unsigned i = 0; i < IMAGE_SIZE; i++) {
        data[i] = byte_at(i);
    }
    g_assert_cmpint(write(fd, data, IMAGE_SIZE), ==, IMAGE_SIZE);
    close(fd);
}

static unsigned offset_of(unsigned track, unsigned side, unsigned sector)
{
    return ((track * 2 + side) * SECTORS + sector - 1) * SECTOR;
}

static void wait_ready(QTest *qts)
{
    for (unsigned i = 0; i < 20000; i++) {
        if (qtest_inb(qts, MSR) & RQM) {
            return;
        }
        g_usleep(100);
    }
    g_error("the controller is never ready");
}

static void send(QTest *qts, const uint8_t *bytes, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        wait_ready(qts);
        g_assert_cmphex(qtest_inb(qts, MSR) & DIO, ==, 0);
        qtest_outb(qts, FIFO, bytes[i]);
    }
}

static void results(QTest *qts, uint8_t *bytes, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        wait_ready(qts);
        g_assert_cmphex(qtest_inb(qts, MSR) & (DIO | BUSY), ==, DIO | BUSY);
        bytes[i] = qtest_inb(qts, FIFO);
    }
    g_assert_cmphex(qtest_inb(qts, MSR), ==, RQM);
}

static void sense(QTest *qts, uint8_t st0, uint8_t track)
{
    const uint8_t command[] = { 0x08 };
    uint8_t result[2];

    send(qts, command, 1);
    results(qts, result, 2);
    g_assert_cmphex(result[0], ==, st0);
    g_assert_cmpuint(result[1], ==, track);
}

static void reset(QTest *qts)
{
    qtest_outb(qts, DOR, 0);
    qtest_outb(qts, DOR, MOTOR_A | USE_DMA | NOT_RESET);
    for (unsigned i = 0; i < 4; i++) {
        sense(qts, 0xc0 | i, 0);
    }
    qtest_outb(qts, CCR, 0);
}

static void specify(QTest *qts, bool dma)
{
    const uint8_t command[] = { 0x03, 0xdf, dma ? 0x02 : 0x03 };

    send(qts, command, sizeof(command));
}

static QTest *start(void)
{
    QTest *qts = qtest_start("-M pc -drive file=%s,format=raw,if=floppy,snapshot=on", image);

    reset(qts);
    return qts;
}

static void seek(QTest *qts, uint8_t track)
{
    const uint8_t command[] = { 0x0f, 0, track };

    send(qts, command, sizeof(command));
    sense(qts, 0x20, track);
}

/* Channel 2 of the DMA controller. */
static void program_dma(QTest *qts, bool to_memory, uint16_t bytes)
{
    qtest_outb(qts, 0x0a, 0x06);
    qtest_outb(qts, 0x0c, 0);
    qtest_outb(qts, 0x0b, to_memory ? 0x46 : 0x4a);
    qtest_outb(qts, 0x04, DMA_BUFFER & 0xff);
    qtest_outb(qts, 0x04, DMA_BUFFER >> 8 & 0xff);
    qtest_outb(qts, 0x81, DMA_BUFFER >> 16);
    qtest_outb(qts, 0x05, bytes - 1);
    qtest_outb(qts, 0x05, (bytes - 1) >> 8);
    qtest_outb(qts, 0x0a, 0x02);
}

static void transfer(QTest *qts, uint8_t code, uint8_t track, uint8_t side, uint8_t sector)
{
    const uint8_t command[] = { code, side << 2, track, side, sector, 2, SECTORS, 0x1b, 0xff };

    send(qts, command, sizeof(command));
}

static void check_sectors(QTest *qts, unsigned offset, unsigned bytes)
{
    g_autofree uint8_t *got = g_malloc(bytes);

    qtest_memread(qts, DMA_BUFFER, got, bytes);
    for (unsigned i = 0; i < bytes; i++) {
        g_assert_cmphex(got[i], ==, byte_at(offset + i));
    }
}

static void test_reset(void)
{
    QTest *qts = start();
    const uint8_t version[] = { 0x10 }, unknown[] = { 0x1f };
    uint8_t result;

    send(qts, version, 1);
    results(qts, &result, 1);
    g_assert_cmphex(result, ==, 0x90);
    send(qts, unknown, 1);
    results(qts, &result, 1);
    g_assert_cmphex(result, ==, 0x80);
    qtest_outb(qts, DOR, 0);
    g_assert_cmphex(qtest_inb(qts, MSR), ==, 0);
    qtest_stop(qts);
}

static void test_dma_read(void)
{
    QTest *qts = start();
    uint8_t result[7];

    qtest_irq_intercept_in(qts, "ioapic");
    specify(qts, true);
    seek(qts, 3);
    program_dma(qts, true, 20 * SECTOR);
    transfer(qts, 0xe6, 3, 0, 10); /* goes on to the other side */
    results(qts, result, 7);
    g_assert_cmphex(result[0], ==, 0x04);
    g_assert_cmphex(result[1] | result[2], ==, 0);
    g_assert_cmpuint(result[5], ==, 12);
    check_sectors(qts, offset_of(3, 0, 10), 20 * SECTOR);
    program_dma(qts, true, 18 * SECTOR);
    transfer(qts, 0xe6, 3, 1, 1);
    results(qts, result, 7);
    /* Behind the cylinder's last sector comes the next one's first side. */
    g_assert_cmpmem(result + 3, 3, ((const uint8_t[]){ 4, 0, 1 }), 3);
    qtest_stop(qts);
}

static void test_dma_write(void)
{
    QTest *qts = start();
    uint8_t data[2 * SECTOR], got[sizeof(data)], result[7];

    memset(data, 0xa5, sizeof(data));
    specify(qts, true);
    seek(qts, 79);
    qtest_memwrite(qts, DMA_BUFFER, data, sizeof(data));
    program_dma(qts, false, sizeof(data));
    transfer(qts, 0xc5, 79, 1, 17);
    results(qts, result, 7);
    g_assert_cmphex(result[0], ==, 0x04);
    qtest_memset(qts, DMA_BUFFER, 0, sizeof(data));
    program_dma(qts, true, sizeof(data));
    transfer(qts, 0xe6, 79, 1, 17);
    results(qts, result, 7);
    qtest_memread(qts, DMA_BUFFER, got, sizeof(got));
    g_assert_cmpmem(got, sizeof(got), data, sizeof(data));
    qtest_stop(qts);
}

/* Without DMA the last sector of the track ends a command. */
static void test_pio_read(void)
{
    QTest *qts = start();
    uint8_t result[7];

    specify(qts, false);
    transfer(qts, 0x46, 0, 0, 17);
    for (unsigned i = 0; i < 2 * SECTOR; i++) {
        wait_ready(qts);
        g_assert_cmphex(qtest_inb(qts, MSR), ==, RQM | DIO | NON_DMA | BUSY);
        g_assert_cmphex(qtest_inb(qts, FIFO), ==, byte_at(16 * SECTOR + i));
    }
    results(qts, result, 7);
    g_assert_cmphex(result[0] & 0xc0, ==, 0x40);
    g_assert_cmphex(result[1], ==, 0x80);
    qtest_stop(qts);
}

static void test_format(void)
{
    QTest *qts = start();
    const uint8_t command[] = { 0x4d, 0, 2, SECTORS, 0x54, 0xf6 };
    uint8_t ids[SECTORS][4], result[7], got[SECTORS * SECTOR];

    specify(qts, true);
    seek(qts, 5);
    for (unsigned i = 0; i < SECTORS; i++) {
        memcpy(ids[i], ((const uint8_t[]){ 5, 0, i + 1, 2 }), 4);
    }
    qtest_memwrite(qts, DMA_BUFFER, ids, sizeof(ids));
    program_dma(qts, false, sizeof(ids));
    send(qts, command, sizeof(command));
    results(qts, result, 7);
    g_assert_cmphex(result[0], ==, 0);
    program_dma(qts, true, sizeof(got));
    transfer(qts, 0x46, 5, 0, 1);
    results(qts, result, 7);
    qtest_memread(qts, DMA_BUFFER, got, sizeof(got));
    for (unsigned i = 0; i < sizeof(got); i++) {
        g_assert_cmphex(got[i], ==, 0xf6);
    }
    program_dma(qts, true, SECTOR);
    transfer(qts, 0x46, 5, 1, 1); /* the other side is as it was */
    results(qts, result, 7);
    check_sectors(qts, offset_of(5, 1, 1), SECTOR);
    qtest_stop(qts);
}

static void refuse(QTest *qts, const uint8_t command[9])
{
    uint8_t result[7];

    send(qts, command, 9);
    results(qts, result, 7);
    g_assert_cmphex(result[0] & 0xc0, ==, 0x40);
}

static void test_wrong_addresses(void)
{
    static const uint8_t addresses[][9] = {
        { 0x46, 0, 0, 0, 19, 2, 18, 0, 0xff }, { 0x46, 0, 0, 0, 0, 2, 18, 0, 0xff },
        { 0x46, 0, 1, 0, 1, 2, 18, 0, 0xff },  { 0x46, 0, 0, 1, 1, 2, 18, 0, 0xff },
        { 0x46, 0, 0, 0, 1, 7, 18, 0, 0xff },  { 0x46, 1, 0, 0, 1, 2, 18, 0, 0xff },
        { 0x46, 3, 0, 0, 1, 2, 18, 0, 0xff },
    };
    QTest *qts = start();

    specify(qts, true);
    for (unsigned i = 0; i < G_N_ELEMENTS(addresses); i++) {
        refuse(qts, addresses[i]);
    }
    seek(qts, 200);
    refuse(qts, (const uint8_t[]){ 0x46, 0, 200, 0, 1, 2, 18, 0, 0xff });
    qtest_outb(qts, CCR, 2); /* it does not turn at that rate */
    seek(qts, 0);
    refuse(qts, (const uint8_t[]){ 0x46, 0, 0, 0, 1, 2, 18, 0, 0xff });
    qtest_stop(qts);
}

static void test_media(void)
{
    QTest *qts = start();
    const uint8_t read[] = { 0x46, 0, 0, 0, 1, 2, 18, 0, 0xff };
    uint8_t result[7];

    g_assert_cmphex(qtest_inb(qts, DIR_REG), ==, 0x80);
    seek(qts, 1);
    g_assert_cmphex(qtest_inb(qts, DIR_REG), ==, 0);
    seek(qts, 0);
    specify(qts, true);
    json_object_put(qtest_qmp(qts, "{'execute': 'eject', 'arguments': {'device': 'floppy0'}}"));
    g_assert_cmphex(qtest_inb(qts, DIR_REG), ==, 0x80);
    refuse(qts, read);
    seek(qts, 0);
    g_assert_cmphex(qtest_inb(qts, DIR_REG), ==, 0x80); /* there is nothing to see */
    json_object_put(qtest_qmp(qts, "{'execute': 'blockdev-change-medium', 'arguments': {'device': "
                              "'floppy0', 'filename': '%s', 'format': 'raw', 'read-only-mode': "
                              "'read-only'}}", image));
    g_assert_cmphex(qtest_inb(qts, DIR_REG), ==, 0x80);
    seek(qts, 0);
    g_assert_cmphex(qtest_inb(qts, DIR_REG), ==, 0);
    program_dma(qts, true, SECTOR);
    send(qts, read, sizeof(read));
    results(qts, result, 7);
    g_assert_cmphex(result[0], ==, 0);
    check_sectors(qts, 0, SECTOR);
    send(qts, (const uint8_t[]){ 0x45, 0, 0, 0, 1, 2, 18, 0, 0xff }, 9);
    results(qts, result, 7);
    g_assert_cmphex(result[1], ==, 0x02); /* not writable */
    qtest_stop(qts);
}

/* More bytes than commands have, in and out, and ends in the middle. */
static void test_overruns(void)
{
    QTest *qts = start();
    static const uint8_t ports[] = { 2, 3, 4, 5, 5, 5, 5, 5, 7 };

    for (unsigned i = 0; i < 600; i++) {
        qtest_outb(qts, FIFO, 0x46);
        qtest_inb(qts, FIFO);
    }
    reset(qts);
    for (unsigned i = 0; i < 2000; i++) {
        qtest_inb(qts, FIFO);
    }
    for (unsigned n = 0; n < 20000; n++) {
        uint16_t port = BASE + ports[g_test_rand_int_range(0, G_N_ELEMENTS(ports))];
        uint8_t value = g_test_rand_int();

        qtest_outb(qts, port, port == DOR ? value | NOT_RESET : value);
        qtest_inb(qts, port);
    }
    qtest_outb(qts, DOR, 0);
    qtest_outb(qts, DOR, NOT_RESET);
    wait_ready(qts);
    g_assert_cmphex(qtest_inb(qts, MSR), ==, RQM);
    qtest_stop(qts);
}

static void test_system_reset(void)
{
    QTest *qts = start();

    specify(qts, false);
    transfer(qts, 0x46, 0, 0, 1);
    json_object_put(qtest_qmp(qts, "{'execute': 'system_reset'}"));
    json_object_put(qtest_qmp_event(qts, "RESET"));
    reset(qts);
    g_assert_cmphex(qtest_inb(qts, MSR), ==, RQM);
    qtest_stop(qts);
}

/* A reset after results leaves nothing that could not be loaded; nor does a command in between. */
static void test_saved(void)
{
    static const uint8_t half[] = { 0x46, 0, 0 }, rest[] = { 0, 1, 2, 18, 0, 0xff };
    QTest *qts = start();
    uint8_t result[7];

    qtest_outb(qts, DOR, 0);
    snapshot_there_and_back(qts);
    reset(qts);
    qtest_stop(qts);
    qts = start();
    specify(qts, true);
    program_dma(qts, true, SECTOR);
    send(qts, half, sizeof(half));
    snapshot_there_and_back(qts);
    send(qts, rest, sizeof(rest));
    results(qts, result, 7);
    g_assert_cmphex(result[0], ==, 0);
    check_sectors(qts, 0, SECTOR);
    qtest_stop(qts);
}

/* Nothing waits for the machine to go on; so nobody may ask for that. */
static void test_error_policies(void)
{
    static const char *const policies[] = { "werror=stop", "werror=ignore", "rerror=stop" };

    for (unsigned i = 0; i < G_N_ELEMENTS(policies); i++) {
        g_autofree char *said = qtest_start_refused(
            "-M pc -drive file=%s,format=raw,if=none,id=f,%s -device floppy,drive=f", image,
            policies[i]);
        g_autofree char *want = g_strdup_printf("fdc doesn't support drive option %.6s",
                                                policies[i]);

        g_assert_nonnull(strstr(said, want));
    }
    qtest_stop(qtest_start("-M pc -drive file=%s,format=raw,if=none,id=f,werror=enospc,"
                           "rerror=report -device floppy,drive=f", image));
}

int main(int argc, char **argv)
{
    int status;

    g_test_init(&argc, &argv, NULL);
    make_image();
    g_test_add_func("/fdc/reset", test_reset);
    g_test_add_func("/fdc/dma-read", test_dma_read);
    g_test_add_func("/fdc/dma-write", test_dma_write);
    g_test_add_func("/fdc/pio-read", test_pio_read);
    g_test_add_func("/fdc/format", test_format);
    g_test_add_func("/fdc/wrong-addresses", test_wrong_addresses);
    g_test_add_func("/fdc/media", test_media);
    g_test_add_func("/fdc/overruns", test_overruns);
    g_test_add_func("/fdc/system-reset", test_system_reset);
    g_test_add_func("/fdc/saved", test_saved);
    g_test_add_func("/fdc/error-policies", test_error_policies);
    status = g_test_run();
    g_unlink(image);
    g_free(image);
    return status;
}
