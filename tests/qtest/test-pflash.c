/* SPDX-License-Identifier: Apache-2.0 */
/* Flash chips: where they are, every command, what reaches the image, hostile sequences. */
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/qtest/libqtest.h"

#define CODE_SIZE 0x30000
#define VARS_SIZE 0x10000
#define SECTOR 0x1000
#define BUFFER 256
#define CODE (0x100000000ULL - CODE_SIZE)
#define VARS (CODE - VARS_SIZE)
enum { READ_ARRAY = 0xff, PROGRAM = 0x10, PROGRAM_ALT = 0x40, ERASE = 0x20, ERASE_ALT = 0x28,
       CLEAR_STATUS = 0x50, LOCK = 0x60, READ_STATUS = 0x70, READ_ID = 0x90, QUERY = 0x98,
       TO_BUFFER = 0xe8, CONFIRM = 0xd0, SET_LOCK = 0x01 };
enum { READY = 0x80, ERASE_ERROR = 0x20, PROGRAM_ERROR = 0x10 };
#define PFLASH "-drive if=pflash,format=raw"

static char *folder, *code, *vars;

static uint8_t byte_at(unsigned offset)
{
    return (uint8_t)(offset * 7 + offset / SECTOR * 3 + 1);
}

static void make_file(const char *path, unsigned size)
{
    g_autofree char *data = g_malloc(size);

    for (unsigned i = 0; i < size; i++) {
        data[i] = (char)byte_at(i);
    }
    g_assert_true(g_file_set_contents(path, data, size, NULL));
}

static uint8_t *read_vars(void)
{
    char *data;
    gsize size;

    g_assert_true(g_file_get_contents(vars, &data, &size, NULL));
    g_assert_cmpuint(size, ==, VARS_SIZE);
    return (uint8_t *)data;
}

static QTest *start(void)
{
    return qtest_start("-M pc -m 2 " PFLASH ",readonly=on,file=%s " PFLASH ",unit=1,file=%s", code,
                       vars);
}

static QTest *start_new(void)
{
    make_file(vars, VARS_SIZE);
    return start();
}

static uint8_t status(QTest *qts)
{
    uint8_t value;

    qtest_writeb(qts, VARS, READ_STATUS);
    value = qtest_readb(qts, VARS + 0x123);
    g_assert_cmphex(qtest_readb(qts, VARS + VARS_SIZE - 1), ==, value);
    qtest_writeb(qts, VARS, READ_ARRAY);
    return value;
}

static void clear_status(QTest *qts)
{
    qtest_writeb(qts, VARS, CLEAR_STATUS);
    g_assert_cmphex(status(qts), ==, 0);
}

static void program(QTest *qts, uint64_t offset, uint8_t value)
{
    qtest_writeb(qts, VARS + offset, PROGRAM);
    qtest_writeb(qts, VARS + offset, value);
}

/* What it must hold is in `wanted`. */
static void check_array(QTest *qts, const uint8_t *wanted)
{
    g_autofree uint8_t *now = g_malloc(VARS_SIZE);

    qtest_memread(qts, VARS, now, VARS_SIZE);
    g_assert_cmpmem(now, VARS_SIZE, wanted, VARS_SIZE);
}

static void test_places(void)
{
    g_autoptr(QTest) qts = start_new();
    g_autofree char *tree = qtest_hmp(qts, "info mtree -f");

    g_assert_nonnull(strstr(tree, "00000000fffd0000-00000000ffffffff"));
    g_assert_nonnull(strstr(tree, "system.flash0"));
    g_assert_nonnull(strstr(tree, "00000000fffc0000-00000000fffcffff"));
    g_assert_nonnull(strstr(tree, "system.flash1"));
    for (unsigned i = 0; i < CODE_SIZE; i += 0xfff) {
        g_assert_cmphex(qtest_readb(qts, CODE + i), ==, byte_at(i));
    }
    for (unsigned i = 0; i < VARS_SIZE; i += 0xff) {
        g_assert_cmphex(qtest_readb(qts, VARS + i), ==, byte_at(i));
    }
    /* The end of the first, where real mode looks. */
    g_assert_cmphex(qtest_readb(qts, 0xfffff), ==, byte_at(CODE_SIZE - 1));
    g_assert_cmphex(qtest_readb(qts, 0xe0000), ==, byte_at(CODE_SIZE - 0x20000));
    g_assert_cmphex(qtest_readl(qts, VARS + 8), ==,
                    byte_at(8) | byte_at(9) << 8 | byte_at(10) << 16 | (uint32_t)byte_at(11) << 24);
}

static void test_query(void)
{
    static const uint8_t wanted[] = {
        'Q', 'R', 'Y', 1, 0, 0x31, 0, 0, 0, 0, 0, 0x45, 0x55, 0, 0, 7, 7, 10, 0, 4, 4, 4, 0,
        16, 2, 0, 8, 0, 1, VARS_SIZE / SECTOR - 1, 0, SECTOR / 256, 0, 'P', 'R', 'I', '1', '0',
    };
    g_autoptr(QTest) qts = start_new();

    qtest_writeb(qts, VARS + 0x55, QUERY);
    for (unsigned i = 0; i < sizeof(wanted); i++) {
        g_assert_cmphex(qtest_readb(qts, VARS + 0x10 + i), ==, wanted[i]);
    }
    g_assert_cmphex(qtest_readb(qts, VARS + 0xff), ==, 0);
    g_assert_cmphex(qtest_readb(qts, VARS + 0x40), ==, 0);
    qtest_writeb(qts, VARS, READ_ID);
    for (unsigned i = 0; i < 4; i++) {
        g_assert_cmphex(qtest_readb(qts, VARS + SECTOR + i), ==, 0);
    }
    qtest_writeb(qts, VARS, 0xf0);
    g_assert_cmphex(qtest_readb(qts, VARS + 0x10), ==, byte_at(0x10));
}

/* As edk2 finds out what is there. */
static void test_detect(void)
{
    g_autoptr(QTest) qts = start_new();

    qtest_writeb(qts, VARS + 3, CLEAR_STATUS);
    g_assert_cmphex(qtest_readb(qts, VARS + 3), ==, byte_at(3));
    qtest_writeb(qts, VARS + 3, READ_STATUS);
    g_assert_cmphex(qtest_readb(qts, VARS + 3), ==, 0);
    qtest_writeb(qts, VARS + 3, READ_ARRAY);
    g_assert_cmphex(qtest_readb(qts, VARS + 3), ==, byte_at(3));
}

static void test_program(void)
{
    g_autoptr(QTest) qts = start_new();
    g_autofree uint8_t *wanted = read_vars();

    g_assert_cmphex(status(qts), ==, READY);
    clear_status(qts);
    program(qts, 0x1234, 0xa5);
    g_assert_cmphex(qtest_readb(qts, VARS + 0x1234), ==, READY);
    qtest_writeb(qts, VARS + VARS_SIZE - 1, PROGRAM_ALT);
    g_assert_cmphex(qtest_readb(qts, VARS), ==, READY);
    qtest_writeb(qts, VARS + VARS_SIZE - 1, 0x77);
    qtest_writeb(qts, VARS, PROGRAM);
    qtest_writew(qts, VARS + 0x2000, 0xbeef);
    qtest_writeb(qts, VARS, PROGRAM);
    qtest_writel(qts, VARS + 0x2ffc, 0x01020304);
    qtest_writeb(qts, VARS, READ_ARRAY);
    wanted[0x1234] = 0xa5;
    wanted[VARS_SIZE - 1] = 0x77;
    memcpy(wanted + 0x2000, "\xef\xbe", 2);
    memcpy(wanted + 0x2ffc, "\4\3\2\1", 4);
    check_array(qts, wanted);
}

static void test_erase(void)
{
    g_autoptr(QTest) qts = start_new();
    g_autofree uint8_t *wanted = read_vars();

    qtest_writeb(qts, VARS + 0x3456, ERASE);
    qtest_writeb(qts, VARS + 0x3456, CONFIRM);
    g_assert_cmphex(status(qts), ==, READY);
    qtest_writeb(qts, VARS + VARS_SIZE - 1, ERASE_ALT);
    qtest_writeb(qts, VARS + VARS_SIZE - 1, CONFIRM);
    memset(wanted + 0x3000, 0xff, SECTOR);
    memset(wanted + VARS_SIZE - SECTOR, 0xff, SECTOR);
    qtest_writeb(qts, VARS, READ_ARRAY);
    check_array(qts, wanted);
    /* Anything else than the confirmation: nothing happens. */
    qtest_writeb(qts, VARS + 0x5000, ERASE);
    qtest_writeb(qts, VARS + 0x5000, PROGRAM);
    check_array(qts, wanted);
    g_assert_cmphex(status(qts), ==, READY);
}

static void fill_buffer(QTest *qts, uint64_t at, unsigned count, uint8_t value)
{
    qtest_writeb(qts, at, TO_BUFFER);
    g_assert_cmphex(qtest_readb(qts, at) & READY, ==, READY);
    qtest_writeb(qts, at, (uint8_t)(count - 1));
    for (unsigned i = 0; i < count; i++) {
        qtest_writeb(qts, at + i, (uint8_t)(value + i));
    }
}

static void test_buffer(void)
{
    g_autoptr(QTest) qts = start_new();
    g_autofree uint8_t *wanted = read_vars();

    fill_buffer(qts, VARS + 0x4100, BUFFER, 3);
    qtest_writeb(qts, VARS, CONFIRM);
    for (unsigned i = 0; i < BUFFER; i++) {
        wanted[0x4100 + i] = (uint8_t)(3 + i);
    }
    fill_buffer(qts, VARS + VARS_SIZE - 5, 5, 0x40);
    qtest_writeb(qts, VARS, CONFIRM);
    memcpy(wanted + VARS_SIZE - 5, "@ABCD", 5);
    g_assert_cmphex(status(qts), ==, READY);
    check_array(qts, wanted);
    /* Without confirmation nothing is written. */
    fill_buffer(qts, VARS + 0x6000, 4, 0);
    qtest_writeb(qts, VARS, READ_ARRAY);
    check_array(qts, wanted);
}

static void test_locks(void)
{
    static const uint8_t second[] = { CONFIRM, SET_LOCK };
    g_autoptr(QTest) qts = start_new();

    for (unsigned i = 0; i < sizeof(second); i++) {
        clear_status(qts);
        qtest_writeb(qts, VARS + SECTOR, LOCK);
        qtest_writeb(qts, VARS + SECTOR, second[i]);
        g_assert_cmphex(qtest_readb(qts, VARS), ==, READY);
    }
    qtest_writeb(qts, VARS, READ_ID);
    g_assert_cmphex(qtest_readb(qts, VARS + SECTOR + 2), ==, 0);
    program(qts, SECTOR, 0x5a);
    qtest_writeb(qts, VARS, READ_ARRAY);
    g_assert_cmphex(qtest_readb(qts, VARS + SECTOR), ==, 0x5a);
    qtest_writeb(qts, VARS, LOCK);
    qtest_writeb(qts, VARS, 0x33);
    g_assert_cmphex(qtest_readb(qts, VARS + 1), ==, byte_at(1));
}

static void test_read_only(void)
{
    g_autoptr(QTest) qts = start_new();

    qtest_writeb(qts, CODE, CLEAR_STATUS);
    qtest_writeb(qts, CODE, PROGRAM);
    qtest_writeb(qts, CODE, 0);
    g_assert_cmphex(qtest_readb(qts, CODE), ==, READY | PROGRAM_ERROR);
    qtest_writeb(qts, CODE, ERASE);
    qtest_writeb(qts, CODE, CONFIRM);
    g_assert_cmphex(qtest_readb(qts, CODE), ==, READY | PROGRAM_ERROR | ERASE_ERROR);
    qtest_writeb(qts, CODE, READ_ARRAY);
    for (unsigned i = 0; i < SECTOR; i++) {
        g_assert_cmphex(qtest_readb(qts, CODE + i), ==, byte_at(i));
    }
}

/* Locked by the machine: nobody but system management mode may write. */
static void test_secure(void)
{
    g_autoptr(QTest) qts = NULL;

    make_file(vars, VARS_SIZE);
    qts = qtest_start("-M pc -m 2 -global driver=cfi.pflash01,property=secure,value=on "
                      PFLASH ",file=%s", vars);
    qtest_writeb(qts, 0xffff0000, PROGRAM);
    qtest_writeb(qts, 0xffff0000, 0xee);
    g_assert_cmphex(qtest_readb(qts, 0xffff0000), ==, byte_at(0));
}

static void test_image(void)
{
    QTest *qts = start_new();
    g_autofree uint8_t *wanted = read_vars(), *now = NULL, *later = NULL;

    program(qts, 0x10, 0x99);
    qtest_writeb(qts, VARS + 0x8000, ERASE);
    qtest_writeb(qts, VARS + 0x8000, CONFIRM);
    for (unsigned i = 0; i < 2000; i++) {
        program(qts, 0xa000 + i % 2 * SECTOR + i, (uint8_t)i);
        wanted[0xa000 + i % 2 * SECTOR + i] = (uint8_t)i;
    }
    wanted[0x10] = 0x99;
    memset(wanted + 0x8000, 0xff, SECTOR);
    qtest_stop(qts);
    now = read_vars();
    g_assert_cmpmem(now, VARS_SIZE, wanted, VARS_SIZE);

    qts = start();
    check_array(qts, wanted);
    program(qts, 0x20, 0x11);
    wanted[0x20] = 0x11;
    /* A machine that is stopped has nothing left to write. */
    json_object_put(qtest_qmp(qts, "{'execute': 'stop'}"));
    later = read_vars();
    g_assert_cmpmem(later, VARS_SIZE, wanted, VARS_SIZE);
    qtest_stop(qts);
}

static void test_reset(void)
{
    g_autoptr(QTest) qts = start_new();

    clear_status(qts);
    qtest_writeb(qts, VARS, TO_BUFFER);
    json_object_put(qtest_qmp(qts, "{'execute': 'system_reset'}"));
    json_object_put(qtest_qmp_event(qts, "RESET"));
    g_assert_cmphex(qtest_readb(qts, VARS), ==, byte_at(0));
    g_assert_cmphex(status(qts), ==, READY);
}

static void test_hostile(void)
{
    const uint8_t sequence_error = READY | PROGRAM_ERROR | ERASE_ERROR;
    g_autoptr(QTest) qts = start_new();
    g_autofree uint8_t *wanted = read_vars();

    /* More than the buffer has. */
    qtest_writeb(qts, VARS, TO_BUFFER);
    qtest_writew(qts, VARS, 0x100);
    g_assert_cmphex(status(qts), ==, sequence_error);
    clear_status(qts);
    qtest_writeb(qts, VARS, TO_BUFFER);
    qtest_writel(qts, VARS, 0xffffffff);
    g_assert_cmphex(status(qts), ==, sequence_error);
    /* Across the end of the buffer's block, and before its start. */
    for (int step = -1; step <= BUFFER; step += BUFFER + 1) {
        clear_status(qts);
        qtest_writeb(qts, VARS + 0x1100, TO_BUFFER);
        qtest_writeb(qts, VARS + 0x1100, 9);
        qtest_writeb(qts, VARS + 0x1100, 0);
        qtest_writeb(qts, (uint64_t)(VARS + 0x1100 + step), 0);
        g_assert_cmphex(status(qts), ==, sequence_error);
    }
    /* More in one write than was announced. */
    clear_status(qts);
    qtest_writeb(qts, VARS, TO_BUFFER);
    qtest_writeb(qts, VARS, 1);
    qtest_writel(qts, VARS + VARS_SIZE - 4, 0);
    g_assert_cmphex(status(qts), ==, sequence_error);
    /* Data and confirmations that nobody waits for, commands that there are not. */
    for (unsigned byte = 0; byte < 0x100; byte++) {
        if (byte != PROGRAM && byte != PROGRAM_ALT && byte != TO_BUFFER) {
            qtest_writeb(qts, VARS + 0x40 * byte, (uint8_t)byte);
            qtest_writel(qts, VARS + 0x40 * byte, READ_ARRAY);
            qtest_writeb(qts, VARS, READ_ARRAY);
        }
    }
    /* A program command while an erase waits for its confirmation. */
    qtest_writeb(qts, VARS, ERASE);
    qtest_writeb(qts, VARS, PROGRAM);
    qtest_writeb(qts, VARS, READ_ARRAY);
    check_array(qts, wanted);
}

/* Any bytes at any offset in any order: the chip keeps to its bounds, and can be used after. */
static void test_random(void)
{
    g_autoptr(QTest) qts = start_new();
    g_autofree uint8_t *now = g_malloc(VARS_SIZE), *image = NULL;
    g_autoptr(GRand) rand = g_rand_new_with_seed(20);

    for (unsigned i = 0; i < 20000; i++) {
        static const uint8_t codes[] = { READ_ARRAY, PROGRAM, ERASE, CLEAR_STATUS, LOCK, QUERY,
                                         READ_STATUS, READ_ID, TO_BUFFER, CONFIRM, 3 };
        uint64_t at = VARS + (uint64_t)g_rand_int_range(rand, 0, VARS_SIZE / 8) * 8;
        uint32_t value = g_rand_int_range(rand, 0, 4) ? codes[g_rand_int_range(rand, 0, 11)]
                                                      : g_rand_int(rand);

        switch (g_rand_int_range(rand, 0, 6)) {
        case 0:
            qtest_writel(qts, at, value);
            break;
        case 1:
            qtest_writeq(qts, at, value);
            break;
        case 2:
            qtest_readl(qts, at);
            break;
        default:
            qtest_writeb(qts, at + value % 8, (uint8_t)value);
            break;
        }
    }
    json_object_put(qtest_qmp(qts, "{'execute': 'system_reset'}"));
    json_object_put(qtest_qmp_event(qts, "RESET"));
    program(qts, 0x2222, 0x3c);
    qtest_writeb(qts, VARS, READ_ARRAY);
    qtest_memread(qts, VARS, now, VARS_SIZE);
    g_assert_cmphex(now[0x2222], ==, 0x3c);
    json_object_put(qtest_qmp(qts, "{'execute': 'stop'}"));
    image = read_vars();
    g_assert_cmpmem(image, VARS_SIZE, now, VARS_SIZE);
}

/* ---- Saved state ---- */

static void finish_job(QTest *qts)
{
    for (bool done = false; !done;) {
        json_object *data = qtest_qmp_event_data(qts, "JOB_STATUS_CHANGE"), *word;

        g_assert_true(json_object_object_get_ex(data, "status", &word));
        done = g_str_equal(json_object_get_string(word), "concluded");
        json_object_put(data);
    }
    json_object_put(qtest_qmp(qts, "{'execute': 'job-dismiss', 'arguments': {'id': 'job'}}"));
}

static void snapshot(QTest *qts, const char *command)
{
    json_object_put(qtest_qmp(qts, "{'execute': '%s', 'arguments': {'job-id': 'job', 'tag': 's', "
                              "'vmstate': 'disk', 'devices': ['disk']}}", command));
    finish_job(qts);
}

static void add_disk(QTest *qts, const char *path)
{
    g_assert_true(g_file_set_contents(path, "", 0, NULL));
    json_object_put(qtest_qmp(qts, "{'execute': 'blockdev-add', 'arguments': {'driver': 'file', "
                              "'node-name': 'file', 'filename': '%s'}}", path));
    json_object_put(qtest_qmp(qts, "{'execute': 'blockdev-create', 'arguments': {'job-id': 'job', "
                              "'options': {'driver': 'qcow2', 'file': 'file', 'size': 1048576}}}"));
    finish_job(qts);
    json_object_put(qtest_qmp(qts, "{'execute': 'blockdev-add', 'arguments': {'driver': 'qcow2', "
                              "'node-name': 'disk', 'file': 'file'}}"));
}

static void test_saved(void)
{
    g_autoptr(QTest) qts = start_new();
    g_autofree char *disk = g_build_filename(folder, "disk", NULL);
    g_autofree uint8_t *wanted = read_vars(), *now = NULL;

    add_disk(qts, disk);
    program(qts, 0x100, 0xab);
    wanted[0x100] = 0xab;
    qtest_writeb(qts, VARS + 0x7000, TO_BUFFER);
    qtest_writeb(qts, VARS + 0x7000, 1);
    qtest_writeb(qts, VARS + 0x7000, 0x31);
    snapshot(qts, "snapshot-save");
    qtest_writeb(qts, VARS + 0x7001, 0x32);
    qtest_writeb(qts, VARS, READ_ARRAY);
    qtest_writeb(qts, VARS + 0x100, ERASE);
    qtest_writeb(qts, VARS + 0x100, CONFIRM);
    snapshot(qts, "snapshot-load");
    /* The second byte of the buffer is still awaited. */
    qtest_writeb(qts, VARS + 0x7001, 0x33);
    qtest_writeb(qts, VARS, CONFIRM);
    qtest_writeb(qts, VARS, READ_ARRAY);
    memcpy(wanted + 0x7000, "13", 2);
    check_array(qts, wanted);
    json_object_put(qtest_qmp(qts, "{'execute': 'cont'}"));
    json_object_put(qtest_qmp(qts, "{'execute': 'stop'}"));
    now = read_vars();
    g_assert_cmpmem(now, VARS_SIZE, wanted, VARS_SIZE);
}

/* ---- Command lines ---- */

static void test_nodes(void)
{
    g_autoptr(QTest) qts = NULL;

    make_file(vars, VARS_SIZE);
    qts = qtest_start("-m 2 -M pc,pflash0=c,pflash1=v -bios nothere "
                      "-blockdev driver=file,node-name=c,read-only=on,filename=%s "
                      "-blockdev driver=raw,node-name=v,file.driver=file,file.filename=%s", code,
                      vars);
    g_assert_cmphex(qtest_readb(qts, CODE), ==, byte_at(0));
    program(qts, 2, 0xd7);
    qtest_writeb(qts, VARS, READ_ARRAY);
    g_assert_cmphex(qtest_readb(qts, VARS + 2), ==, 0xd7);
}

static void refused(const char *words, const char *arguments)
{
    g_autofree char *message = qtest_start_refused("-m 2 %s", arguments);

    if (!strstr(message, words)) {
        g_error("%s: said '%s', not '%s'", arguments, message, words);
    }
}

static void test_refused(void)
{
    g_autofree char *sized = g_build_filename(folder, "sized", NULL);
    g_autofree char *drive = g_strdup_printf(PFLASH ",file=%s", sized);
    g_autofree char *second = g_strdup_printf(PFLASH ",unit=1,file=%s", vars);
    g_autofree char *third = g_strdup_printf(PFLASH ",unit=2,file=%s", vars);
    g_autofree char *big = g_strdup_printf("%s " PFLASH ",unit=1,file=%s", drive, vars);
    g_autofree char *clash = g_strdup_printf("%s -M pc,pflash0=n -blockdev driver=file,"
                                             "node-name=n,filename=%s", drive, code);
    g_autofree char *microvm = g_strdup_printf("-M microvm %s", third);

    make_file(sized, 5000);
    refused("multiple of 4096", drive);
    make_file(sized, 0);
    refused("has 0 bytes", drive);
    g_assert_cmpint(truncate(sized, 8 << 20), ==, 0);
    refused("combined size of system firmware exceeds 8388608 bytes", big);
    refused("max-fw-size", "-M pc,max-fw-size=17M");
    refused("pflash1 requires pflash0", second);
    refused("machine type does not support if=pflash,bus=0,unit=2", third);
    refused("machine type does not support if=pflash", microvm);
    refused("there is no such node", "-M pc,pflash0=zz");
    g_assert_cmpint(truncate(sized, SECTOR), ==, 0);
    refused("clashes with -machine", clash);
    refused("is part of the board", "-device cfi.pflash01");
}

int main(int argc, char **argv)
{
    int result;

    g_test_init(&argc, &argv, NULL);
    folder = g_dir_make_tmp("vireo-pflash-XXXXXX", NULL);
    code = g_build_filename(folder, "code", NULL);
    vars = g_build_filename(folder, "vars", NULL);
    make_file(code, CODE_SIZE);
    make_file(vars, VARS_SIZE);
    g_test_add_func("/pflash/places", test_places);
    g_test_add_func("/pflash/query", test_query);
    g_test_add_func("/pflash/detect", test_detect);
    g_test_add_func("/pflash/program", test_program);
    g_test_add_func("/pflash/erase", test_erase);
    g_test_add_func("/pflash/buffer", test_buffer);
    g_test_add_func("/pflash/locks", test_locks);
    g_test_add_func("/pflash/read-only", test_read_only);
    g_test_add_func("/pflash/secure", test_secure);
    g_test_add_func("/pflash/image", test_image);
    g_test_add_func("/pflash/reset", test_reset);
    g_test_add_func("/pflash/hostile", test_hostile);
    g_test_add_func("/pflash/random", test_random);
    g_test_add_func("/pflash/saved", test_saved);
    g_test_add_func("/pflash/nodes", test_nodes);
    g_test_add_func("/pflash/refused", test_refused);
    result = g_test_run();
    for (const char *const *name = (const char *const[]) { "code", "vars", "disk", "sized", NULL };
         *name; name++) {
        g_autofree char *path = g_build_filename(folder, *name, NULL);

        g_remove(path);
    }
    g_rmdir(folder);
    return result;
}
