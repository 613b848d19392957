/* SPDX-License-Identifier: Apache-2.0 */
/* IDE disks: registers, PIO, bus-master DMA, errors, reset with requests in flight, hostile use. */
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/qtest/ide-port.h"

#define DISK_SIZE (8 << 20)
#define DISK_SECTORS (DISK_SIZE / IDE_SECTOR)

static char *image;

static void fill(uint8_t *data, unsigned bytes, unsigned seed)
{
    for (unsigned i = 0; i < bytes; i++) {
        data[i] = (i / IDE_SECTOR + seed) * 7 + i;
    }
}

static void make_image(void)
{
    g_autofree uint8_t *data = g_malloc(DISK_SIZE);
    int fd = g_file_open_tmp("vireo-ide-XXXXXX", &image, NULL);

    fill(data, DISK_SIZE, 0);
    g_assert_cmpint(write(fd, data, DISK_SIZE), ==, DISK_SIZE);
    close(fd);
}

/* What the image has at a sector that nobody wrote. */
static void original(uint8_t *data, unsigned lba, unsigned count)
{
    fill(data, count * IDE_SECTOR, lba);
}

static QTest *start(const char *more)
{
    QTest *qts = qtest_start("-M pc -drive file=%s,format=raw,if=none,id=d,snapshot=on "
                             "-device ide-hd,drive=d,serial=ABC,model=M,ver=1.2%s", image, more);

    ide_enable_dma(qts);
    return qts;
}

static void text_of(const uint16_t *words, unsigned count, char *text)
{
    for (unsigned i = 0; i < count; i++) {
        text[2 * i] = words[i] >> 8;
        text[2 * i + 1] = words[i];
    }
    text[2 * count] = '\0';
    g_strchomp(text);
}

static void test_identify(void)
{
    QTest *qts = start(",wwn=0x5000c50015ea71aa,rotation_rate=1,physical_block_size=4096");
    uint16_t words[256];
    char text[41];

    qtest_outb(qts, IDE_DEVICE, 0);
    g_assert_cmphex(ide_command(qts, CMD_IDENTIFY), ==, DRDY | DSC | DRQ);
    ide_read_data(qts, words, sizeof(words));
    g_assert_cmphex(qtest_inb(qts, IDE_COMMAND), ==, DRDY | DSC);
    text_of(words + 10, 10, text);
    g_assert_cmpstr(text, ==, "ABC");
    text_of(words + 23, 4, text);
    g_assert_cmpstr(text, ==, "1.2");
    text_of(words + 27, 20, text);
    g_assert_cmpstr(text, ==, "M");
    g_assert_cmpuint(words[60] | words[61] << 16, ==, DISK_SECTORS);
    g_assert_cmpuint(words[100], ==, DISK_SECTORS & 0xffff);
    g_assert_cmphex(words[106], ==, 0x6003);
    g_assert_cmphex(words[108], ==, 0x5000);
    g_assert_cmphex(words[111], ==, 0x71aa);
    g_assert_cmpuint(words[217], ==, 1);
    qtest_stop(qts);
}

static void test_absent_slave(void)
{
    QTest *qts = start("");

    qtest_outb(qts, IDE_DEVICE, SLAVE);
    g_assert_cmphex(qtest_inb(qts, IDE_COMMAND), ==, 0);
    qtest_outb(qts, IDE_COMMAND, CMD_IDENTIFY);
    g_assert_cmphex(qtest_inb(qts, IDE_COMMAND), ==, 0);
    qtest_outb(qts, IDE_DEVICE, 0);
    g_assert_cmphex(qtest_inb(qts, IDE_COMMAND), ==, DRDY | DSC);
    qtest_stop(qts);
}

static void test_empty_channel(void)
{
    QTest *qts = qtest_start("-M pc");

    for (unsigned port = IDE_BASE; port < IDE_BASE + 8; port++) {
        qtest_outb(qts, port, 0x55);
        g_assert_cmphex(qtest_inb(qts, port), ==, 0);
    }
    qtest_stop(qts);
}

static void check_pio_read(QTest *qts, uint8_t command, unsigned lba, unsigned count)
{
    g_autofree uint8_t *want = g_malloc(count * IDE_SECTOR), *got = g_malloc(count * IDE_SECTOR);

    original(want, lba, count);
    qtest_outb(qts, IDE_COMMAND, command);
    for (unsigned i = 0; i < count; i++) {
        g_assert_cmphex(ide_wait(qts), ==, DRDY | DSC | DRQ);
        ide_read_data(qts, got + i * IDE_SECTOR, IDE_SECTOR);
    }
    g_assert_cmphex(ide_wait(qts), ==, DRDY | DSC);
    g_assert_cmpmem(got, count * IDE_SECTOR, want, count * IDE_SECTOR);
}

static void test_pio_read(void)
{
    QTest *qts = start("");

    ide_address(qts, 5, 3, 0);
    check_pio_read(qts, CMD_READ, 5, 3);
    g_assert_cmpuint(qtest_inb(qts, IDE_LOW), ==, 7);
    ide_address(qts, DISK_SECTORS - 40, 40, 0);
    check_pio_read(qts, CMD_READ_MULTIPLE, DISK_SECTORS - 40, 40);
    ide_address_wide(qts, 300, 2);
    check_pio_read(qts, CMD_READ_EXT, 300, 2);
    /* Cylinder 1, head 2, sector 3 of 16 heads and 63 sectors. */
    qtest_outb(qts, IDE_DEVICE, 2);
    qtest_outb(qts, IDE_COUNT, 1);
    qtest_outb(qts, IDE_LOW, 3);
    qtest_outb(qts, IDE_MID, 1);
    qtest_outb(qts, IDE_HIGH, 0);
    check_pio_read(qts, CMD_READ, (1 * 16 + 2) * 63 + 2, 1);
    qtest_stop(qts);
}

static void test_pio_write(void)
{
    QTest *qts = start("");
    uint8_t data[3 * IDE_SECTOR], got[sizeof(data)];

    fill(data, sizeof(data), 99);
    ide_address(qts, 10, 3, 0);
    qtest_outb(qts, IDE_COMMAND, CMD_WRITE);
    for (unsigned i = 0; i < 3; i++) {
        g_assert_cmphex(ide_wait(qts), ==, DRDY | DSC | DRQ);
        ide_write_data(qts, data + i * IDE_SECTOR, IDE_SECTOR);
    }
    g_assert_cmphex(ide_wait(qts), ==, DRDY | DSC);
    g_assert_cmphex(ide_command(qts, CMD_FLUSH), ==, DRDY | DSC);
    ide_address(qts, 10, 3, 0);
    qtest_outb(qts, IDE_COMMAND, CMD_READ_MULTIPLE);
    ide_wait(qts);
    ide_read_data(qts, got, sizeof(got));
    g_assert_cmpmem(got, sizeof(got), data, sizeof(data));
    qtest_stop(qts);
}

static void test_irq(void)
{
    QTest *qts = start("");

    qtest_irq_intercept_in(qts, "ioapic");
    ide_address(qts, 0, 1, 0);
    g_assert_false(qtest_get_irq(qts, 14));
    ide_command(qts, CMD_READ);
    g_assert_true(qtest_get_irq(qts, 14));
    qtest_inb(qts, IDE_CONTROL); /* leaves it alone */
    g_assert_true(qtest_get_irq(qts, 14));
    qtest_inb(qts, IDE_COMMAND);
    g_assert_false(qtest_get_irq(qts, 14));
    for (unsigned i = 0; i < IDE_SECTOR / 4; i++) {
        qtest_inl(qts, IDE_DATA);
    }
    qtest_outb(qts, IDE_CONTROL, 2); /* nIEN */
    ide_command(qts, CMD_FLUSH);
    g_assert_false(qtest_get_irq(qts, 14));
    qtest_stop(qts);
}

/* ---- DMA ---- */

static void test_dma_read(void)
{
    QTest *qts = start("");
    const Prd prds[] = { { DMA_BUFFER, 600 }, { DMA_BUFFER + 0x2000, 424 },
                         { DMA_BUFFER + 0x4000, 0 | PRD_END } };
    uint8_t want[130 * IDE_SECTOR], *got = g_malloc0(sizeof(want));

    original(want, 20, 130);
    ide_address_wide(qts, 20, 130);
    qtest_outb(qts, IDE_COMMAND, CMD_READ_DMA_EXT);
    ide_start_dma(qts, prds, 3, true);
    g_assert_cmphex(ide_wait_dma(qts), ==, BM_INTR);
    g_assert_cmphex(ide_wait(qts), ==, DRDY | DSC);
    qtest_memread(qts, DMA_BUFFER, got, 600);
    qtest_memread(qts, DMA_BUFFER + 0x2000, got + 600, 424);
    qtest_memread(qts, DMA_BUFFER + 0x4000, got + 1024, 65536);
    g_assert_cmpmem(got, sizeof(want), want, sizeof(want));
    g_free(got);
    qtest_stop(qts);
}

static void test_dma_write(void)
{
    QTest *qts = start("");
    const Prd prd = { DMA_BUFFER, 4096 | PRD_END };
    uint8_t data[4096], got[4096];

    fill(data, sizeof(data), 33);
    qtest_memwrite(qts, DMA_BUFFER, data, sizeof(data));
    ide_address(qts, 64, 8, 0);
    qtest_outb(qts, IDE_COMMAND, CMD_WRITE_DMA);
    ide_start_dma(qts, &prd, 1, false);
    g_assert_cmphex(ide_wait_dma(qts), ==, BM_INTR);
    qtest_memset(qts, DMA_BUFFER, 0, sizeof(data));
    ide_address(qts, 64, 8, 0);
    qtest_outb(qts, IDE_COMMAND, CMD_READ_DMA);
    ide_start_dma(qts, &prd, 1, true);
    g_assert_cmphex(ide_wait_dma(qts), ==, BM_INTR);
    qtest_memread(qts, DMA_BUFFER, got, sizeof(got));
    g_assert_cmpmem(got, sizeof(got), data, sizeof(data));
    qtest_stop(qts);
}

/* The table is shorter than the transfer, or ends in the middle of a sector, or is longer. */
static void test_prd_lengths(void)
{
    QTest *qts = start("");
    const Prd shorter = { DMA_BUFFER, 512 | PRD_END }, odd = { DMA_BUFFER, 514 | PRD_END },
              tiny = { DMA_BUFFER, 2 | PRD_END }, longer = { DMA_BUFFER, 4096 | PRD_END };
    const Prd *tables[] = { &shorter, &odd, &tiny };

    for (unsigned i = 0; i < G_N_ELEMENTS(tables); i++) {
        ide_address(qts, 0, 2, 0);
        qtest_outb(qts, IDE_COMMAND, CMD_READ_DMA);
        ide_start_dma(qts, tables[i], 1, true);
        g_assert_cmphex(ide_wait_dma(qts) & (BM_ACTIVE | BM_INTR), ==, 0);
        g_assert_cmphex(ide_wait(qts) & (DF | ERR | DRQ), ==, 0);
    }
    ide_address(qts, 0, 2, 0);
    qtest_outb(qts, IDE_COMMAND, CMD_READ_DMA);
    ide_start_dma(qts, &longer, 1, true);
    g_assert_cmphex(ide_wait_dma(qts), ==, BM_INTR | BM_ACTIVE);
    qtest_stop(qts);
}

/* A table without end, of the smallest entries: it is read no further than 64 KiB. */
static void test_endless_table(void)
{
    QTest *qts = start("");
    g_autofree Prd *prds = g_new(Prd, 8192);

    for (unsigned i = 0; i < 8192; i++) {
        prds[i] = (Prd){ DMA_BUFFER + 2 * (i % 1024), 2 };
    }
    qtest_memwrite(qts, PRD_TABLE, prds, 65536);
    ide_address(qts, 0, 0, 0); /* 256 sectors */
    qtest_outb(qts, IDE_COMMAND, CMD_READ_DMA);
    qtest_outl(qts, BM_TABLE, PRD_TABLE);
    qtest_outb(qts, BM_COMMAND, BM_START | BM_TO_MEMORY);
    g_assert_cmphex(ide_wait_dma(qts) & (BM_ACTIVE | BM_INTR), ==, 0);
    qtest_stop(qts);
}

/* Descriptors and data where there is no memory, and with bus mastering off. */
static void test_dma_nowhere(void)
{
    QTest *qts = start("");
    const Prd nowhere = { 0xf0000000, 1024 | PRD_END }, ioapic = { 0xfec00000, 1024 | PRD_END };

    ide_address(qts, 0, 2, 0);
    qtest_outb(qts, IDE_COMMAND, CMD_READ_DMA);
    ide_start_dma(qts, &nowhere, 1, true);
    g_assert_cmphex(ide_wait_dma(qts), ==, BM_INTR);
    ide_address(qts, 0, 2, 0);
    qtest_outb(qts, IDE_COMMAND, CMD_WRITE_DMA);
    ide_start_dma(qts, &ioapic, 1, false);
    g_assert_cmphex(ide_wait_dma(qts), ==, BM_INTR);
    ide_address(qts, 0, 2, 0);
    qtest_outb(qts, IDE_COMMAND, CMD_READ_DMA);
    qtest_outb(qts, BM_COMMAND, 0);
    qtest_outl(qts, BM_TABLE, 0xf0000000);
    qtest_outb(qts, BM_COMMAND, BM_START | BM_TO_MEMORY);
    g_assert_cmphex(ide_wait_dma(qts) & BM_ACTIVE, ==, 0);
    qtest_pci_write(qts, 0, IDE_DEVFN, 0x04, 2, 0x0001);
    ide_address(qts, 0, 2, 0);
    qtest_outb(qts, IDE_COMMAND, CMD_READ_DMA);
    ide_start_dma(qts, &nowhere, 1, true);
    g_assert_cmphex(ide_wait_dma(qts) & (BM_ACTIVE | BM_ERROR), ==, BM_ERROR);
    qtest_stop(qts);
}

/* ---- Errors ---- */

static void refuse(QTest *qts, uint8_t command)
{
    g_assert_cmphex(ide_command(qts, command), ==, DRDY | DSC | ERR);
    g_assert_cmphex(qtest_inb(qts, IDE_FEATURE), ==, ABRT);
}

static void test_beyond_end(void)
{
    QTest *qts = start("");

    ide_address(qts, DISK_SECTORS, 1, 0);
    refuse(qts, CMD_READ);
    ide_address(qts, DISK_SECTORS - 1, 2, 0);
    refuse(qts, CMD_READ_DMA);
    ide_address(qts, 0xfffffff, 0, 0);
    refuse(qts, CMD_WRITE);
    ide_address_wide(qts, 0xffffffffffffULL, 0);
    refuse(qts, CMD_READ_EXT);
    /* Sector 0 of a track does not exist. */
    qtest_outb(qts, IDE_DEVICE, 0);
    qtest_outb(qts, IDE_COUNT, 1);
    qtest_outb(qts, IDE_LOW, 0);
    refuse(qts, CMD_READ);
    refuse(qts, 0xff);
    qtest_outb(qts, IDE_COUNT, 0);
    refuse(qts, CMD_INITIALIZE_PARAMETERS);
    qtest_outb(qts, IDE_COUNT, 3);
    refuse(qts, 0xc6); /* SET MULTIPLE: no power of two */
    qtest_stop(qts);
}

static void test_trim(void)
{
    QTest *qts = start(" -global driver=ide-hd,property=discard_granularity,value=512");
    const Prd prd = { DMA_BUFFER, 512 | PRD_END };
    uint64_t entries[64] = { 4 | 8ULL << 48, 0, 100 | 1ULL << 48 };

    for (unsigned i = 0; i < 2; i++) {
        qtest_memwrite(qts, DMA_BUFFER, entries, sizeof(entries));
        ide_address(qts, 0, 1, 0);
        qtest_outb(qts, IDE_COUNT, 0);
        qtest_outb(qts, IDE_COUNT, 1);
        qtest_outb(qts, IDE_FEATURE, 1);
        qtest_outb(qts, IDE_COMMAND, CMD_DSM);
        ide_start_dma(qts, &prd, 1, false);
        ide_wait_dma(qts);
        g_assert_cmphex(ide_wait(qts), ==, i ? DRDY | DSC | ERR : DRDY | DSC);
        g_assert_cmphex(qtest_inb(qts, BM_STATUS), ==, BM_INTR);
        entries[1] = (DISK_SECTORS - 1) | 2ULL << 48; /* beyond the end */
    }
    ide_address_wide(qts, 0, 0xffff);
    qtest_outb(qts, IDE_FEATURE, 1);
    refuse(qts, CMD_DSM);
    qtest_stop(qts);
}

static void test_smart(void)
{
    QTest *qts = start("");
    uint8_t data[IDE_SECTOR], sum = 0;

    qtest_outb(qts, IDE_DEVICE, 0);
    qtest_outb(qts, IDE_FEATURE, 0xd0);
    qtest_outb(qts, IDE_MID, 0x4f);
    qtest_outb(qts, IDE_HIGH, 0xc2);
    g_assert_cmphex(ide_command(qts, CMD_SMART), ==, DRDY | DSC | DRQ);
    ide_read_data(qts, data, sizeof(data));
    for (unsigned i = 0; i < sizeof(data); i++) {
        sum += data[i];
    }
    g_assert_cmphex(sum, ==, 0);
    qtest_outb(qts, IDE_FEATURE, 0xda);
    g_assert_cmphex(ide_command(qts, CMD_SMART), ==, DRDY | DSC);
    g_assert_cmphex(qtest_inb(qts, IDE_MID), ==, 0x4f);
    qtest_outb(qts, IDE_MID, 0);
    refuse(qts, CMD_SMART);
    qtest_stop(qts);
}

/* ---- Requests in flight ---- */

/* Let guest time go on until the drive is not busy. */
static void step_until_ready(QTest *qts)
{
    for (unsigned i = 0; i < 200 && (qtest_inb(qts, IDE_CONTROL) & BSY); i++) {
        qtest_clock_step(qts, 500000000);
        g_usleep(500);
    }
}

static void start_read(QTest *qts, bool dma)
{
    const Prd prd = { DMA_BUFFER, 0 | PRD_END };

    ide_address(qts, 0, 16, 0);
    qtest_outb(qts, IDE_COMMAND, dma ? CMD_READ_DMA : CMD_READ_MULTIPLE);
    if (dma) {
        ide_start_dma(qts, &prd, 1, true);
    }
}

/* The limit lets a request go each second of the guest's time, which stands. */
static void reset_with_read_in_flight(bool dma, bool whole_machine)
{
    g_autoptr(QTest) qts = qtest_start(
        "-M pc -drive file=%s,format=raw,if=none,id=d,snapshot=on,iops=1 -device ide-hd,drive=d",
        image);
    const uint8_t zeroes[IDE_SECTOR] = { 0 };
    uint8_t got[IDE_SECTOR];

    ide_enable_dma(qts);
    start_read(qts, false);
    step_until_ready(qts);
    for (unsigned i = 0; i < 16 * IDE_SECTOR / 4; i++) {
        qtest_inl(qts, IDE_DATA);
    }
    start_read(qts, dma);
    g_usleep(20000);
    if (whole_machine) {
        json_object_put(qtest_qmp(qts, "{'execute': 'system_reset'}"));
        json_object_put(qtest_qmp_event(qts, "RESET"));
    } else {
        qtest_outb(qts, IDE_CONTROL, 4);
        g_assert_cmphex(qtest_inb(qts, IDE_CONTROL), ==, BSY);
        qtest_outb(qts, IDE_CONTROL, 0);
        g_assert_cmphex(qtest_inb(qts, IDE_CONTROL), ==, BSY);
        qtest_memread(qts, DMA_BUFFER, got, sizeof(got));
        g_assert_cmpmem(got, sizeof(got), zeroes, sizeof(zeroes));
        step_until_ready(qts);
    }
    g_assert_cmphex(ide_wait(qts), ==, DRDY | DSC);
    g_assert_cmphex(qtest_inb(qts, IDE_COUNT), ==, 1);
    qtest_outb(qts, IDE_DEVICE, 0);
    g_assert_cmphex(ide_command(qts, CMD_IDENTIFY), ==, DRDY | DSC | DRQ);
}

static void test_reset_pio(void)
{
    reset_with_read_in_flight(false, false);
}

static void test_reset_dma(void)
{
    reset_with_read_in_flight(true, false);
}

static void test_reset_machine(void)
{
    reset_with_read_in_flight(true, true);
}

/* An error that stops the machine; the request is tried again when it goes on. */
static void test_error_stops(bool dma)
{
    g_autoptr(QTest) qts = qtest_start(
        "-M pc -drive file=blkdebug::%s,format=raw,if=none,id=d,rerror=stop,"
        "file.inject-error.0.event=read_aio,file.inject-error.0.once=on,"
        "file.inject-error.0.errno=5,file.inject-error.0.sector=8 "
        "-device ide-hd,drive=d", image);
    const Prd prd = { DMA_BUFFER, 1024 | PRD_END };
    uint8_t want[2 * IDE_SECTOR], got[sizeof(want)];

    ide_enable_dma(qts);
    original(want, 8, 2);
    ide_address(qts, 8, 2, 0);
    qtest_outb(qts, IDE_COMMAND, dma ? CMD_READ_DMA : CMD_READ_MULTIPLE);
    if (dma) {
        ide_start_dma(qts, &prd, 1, true);
    }
    json_object_put(qtest_qmp_event(qts, "BLOCK_IO_ERROR"));
    json_object_put(qtest_qmp_event(qts, "STOP"));
    g_assert_cmphex(qtest_inb(qts, IDE_CONTROL) & ERR, ==, 0);
    json_object_put(qtest_qmp(qts, "{'execute': 'cont'}"));
    if (dma) {
        g_assert_cmphex(ide_wait_dma(qts), ==, BM_INTR);
        qtest_memread(qts, DMA_BUFFER, got, sizeof(got));
    } else {
        g_assert_cmphex(ide_wait(qts), ==, DRDY | DSC | DRQ);
        ide_read_data(qts, got, sizeof(got));
    }
    g_assert_cmpmem(got, sizeof(got), want, sizeof(want));
}

static void test_stop_pio(void)
{
    test_error_stops(false);
}

static void test_stop_dma(void)
{
    test_error_stops(true);
}

static void test_error_reported(void)
{
    g_autoptr(QTest) qts = qtest_start(
        "-M pc -drive file=blkdebug::%s,format=raw,if=none,id=d,rerror=report,"
        "file.inject-error.0.event=read_aio,file.inject-error.0.once=on,"
        "file.inject-error.0.errno=5,file.inject-error.0.sector=8 "
        "-device ide-hd,drive=d", image);

    ide_address(qts, 8, 2, 0);
    g_assert_cmphex(ide_command(qts, CMD_READ), ==, DRDY | DSC | ERR);
    g_assert_cmphex(qtest_inb(qts, IDE_FEATURE), ==, UNC);
    g_assert_cmpuint(qtest_inb(qts, IDE_LOW), ==, 8);
}

/* ---- Anything ---- */

static void test_random(void)
{
    static const uint16_t ports[] = {
        IDE_DATA, IDE_FEATURE, IDE_COUNT, IDE_LOW, IDE_MID, IDE_HIGH, IDE_DEVICE, IDE_COMMAND,
        IDE_COMMAND, IDE_CONTROL, BM_COMMAND, BM_STATUS, BM_TABLE,
    };
    QTest *qts = start("");

    for (unsigned n = 0; n < 20000; n++) {
        uint16_t port = ports[g_test_rand_int_range(0, G_N_ELEMENTS(ports))];
        uint32_t value = (uint32_t)g_test_rand_int();

        if (port == BM_TABLE) {
            qtest_outl(qts, port, value & 0xfffff);
        } else if (port == IDE_DATA) {
            qtest_outl(qts, port, value);
        } else {
            qtest_outb(qts, port, port == IDE_CONTROL ? value & 6 : value);
        }
        qtest_inb(qts, port);
    }
    qtest_outb(qts, IDE_CONTROL, 4);
    qtest_outb(qts, IDE_CONTROL, 0);
    qtest_outb(qts, IDE_DEVICE, 0);
    g_assert_cmphex(ide_wait(qts), ==, DRDY | DSC);
    qtest_stop(qts);
}

static void test_refused(void)
{
    g_autofree char *unit = qtest_start_refused("-M pc -device ide-hd,unit=2,drive=x");
    g_autofree char *none = qtest_start_refused("-M pc -device ide-hd");
    g_autofree char *block = qtest_start_refused(
        "-M pc -drive file=%s,format=raw,if=none,id=d -device ide-hd,drive=d,"
        "logical_block_size=4096", image);
    g_autofree char *taken = qtest_start_refused(
        "-M pc -drive file=%s,format=raw,if=ide,id=d -device ide-hd,drive=d", image);

    g_assert_nonnull(strstr(unit, "can't find value 'x'"));
    g_assert_nonnull(strstr(none, "drive property not set"));
    g_assert_nonnull(strstr(block, "logical_block_size must be 512 for IDE"));
    g_assert_nonnull(strstr(taken, "did you need 'if=none' in the drive options?"));
}

int main(int argc, char **argv)
{
    int status;

    g_test_init(&argc, &argv, NULL);
    make_image();
    g_test_add_func("/ide/identify", test_identify);
    g_test_add_func("/ide/absent-slave", test_absent_slave);
    g_test_add_func("/ide/empty-channel", test_empty_channel);
    g_test_add_func("/ide/pio/read", test_pio_read);
    g_test_add_func("/ide/pio/write", test_pio_write);
    g_test_add_func("/ide/irq", test_irq);
    g_test_add_func("/ide/dma/read", test_dma_read);
    g_test_add_func("/ide/dma/write", test_dma_write);
    g_test_add_func("/ide/dma/prd-lengths", test_prd_lengths);
    g_test_add_func("/ide/dma/endless-table", test_endless_table);
    g_test_add_func("/ide/dma/nowhere", test_dma_nowhere);
    g_test_add_func("/ide/beyond-end", test_beyond_end);
    g_test_add_func("/ide/trim", test_trim);
    g_test_add_func("/ide/smart", test_smart);
    g_test_add_func("/ide/reset/pio", test_reset_pio);
    g_test_add_func("/ide/reset/dma", test_reset_dma);
    g_test_add_func("/ide/reset/machine", test_reset_machine);
    g_test_add_func("/ide/error/stop-pio", test_stop_pio);
    g_test_add_func("/ide/error/stop-dma", test_stop_dma);
    g_test_add_func("/ide/error/report", test_error_reported);
    g_test_add_func("/ide/random", test_random);
    g_test_add_func("/ide/refused", test_refused);
    status = g_test_run();
    g_unlink(image);
    g_free(image);
    return status;
}
