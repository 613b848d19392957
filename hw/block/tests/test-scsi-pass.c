/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scsi-generic and scsi-block over a device that only this test has: what reaches it, and what
 * becomes of its answers and failures. The ioctl itself (block/file-scsi.c) is not used.
 */
#include <errno.h>
#include <string.h>

#include "block/scsi-command.h"
#include "block/tests/mem-driver.h"
#include "hw/core/tests/testbench.h"
#include "hw/scsi/scsi.h"
#include "util/bits.h"
#include "util/iov.h"
#include "util/loop.h"

#define BLOCK 4096
#define BLOCKS 64
#define MAX_TRANSFER (16 * BLOCK)
enum { INQUIRY = 0x12, READ_CAPACITY = 0x25, READ_10 = 0x28, WRITE_10 = 0x2a, VENDOR = 0xc0,
       TEST_UNIT_READY = 0x00, MODE_SENSE = 0x1a, WRITE_BUFFER = 0x3b, VARIABLE = 0x7f };

/* The device below, as the commands find it. */
typedef struct Mock {
    uint8_t type;
    unsigned calls;
    uint8_t last[SCSI_CDB_MAX];
    unsigned last_len;
    bool to_device;
    uint8_t data[64];     /* the last that came */
    /* For the next commands but INQUIRY and READ CAPACITY: */
    int result;
    uint8_t status;
    uint16_t host_status, driver_status;
    unsigned sense_len;
    uint64_t residual;
} Mock;

static Mock mock;

static void reply(BlockScsiCommand *command, const void *data, size_t len)
{
    size_t put = iov_from_buf(command->data.iov, command->data.n, 0, data,
                              MIN(len, command->bytes));

    command->residual = command->bytes - put;
}

static int mock_command(BlockNode *node, BlockScsiCommand *command)
{
    uint8_t answer[64] = { mock.type };

    mock.calls++;
    mock.last_len = command->cdb_len;
    memcpy(mock.last, command->cdb, command->cdb_len);
    mock.to_device = command->to_device;
    if (command->cdb[0] == INQUIRY) {
        stl_be(answer + 8, 0xffffff);
        reply(command, answer, sizeof(answer));
        command->sense_len = 0;
        return 0;
    }
    if (command->cdb[0] == READ_CAPACITY) {
        stl_be(answer, BLOCKS - 1);
        stl_be(answer + 4, BLOCK);
        reply(command, answer, 8);
        command->sense_len = 0;
        return 0;
    }
    if (command->to_device) {
        iov_to_buf(command->data.iov, command->data.n, 0, mock.data, sizeof(mock.data));
    } else {
        memset(answer, 0x5a, sizeof(answer));
        reply(command, answer, sizeof(answer));
    }
    command->status = mock.status;
    command->host_status = mock.host_status;
    command->driver_status = mock.driver_status;
    command->sense_len = (uint8_t)mock.sense_len;
    memset(command->sense, 0x71, mock.sense_len);
    command->residual = MAX(command->residual, mock.residual);
    return mock.result;
}

static BlockDriver mock_driver;

static BlockBackend *make_drive(const BlockDriver *driver, const char *name)
{
    const BlockLimits limits = { .request_alignment = 512, .max_transfer = MAX_TRANSFER };
    BlockBackend *blk = block_backend_new(loop_main(), 0, BLOCK_PERM_ALL);
    BlockNode *node = mem_node_new(driver, BLOCK * BLOCKS, &limits);
    g_autoptr(GError) error = NULL;

    block_backend_insert(blk, node, &error);
    g_assert_no_error(error);
    block_node_unref(node);
    block_backend_set_name(blk, name, &error);
    g_assert_no_error(error);
    return blk;
}

static ScsiBus *bus;

static ScsiDevice *try_add(const char *type, const char *drive, GError **error)
{
    Device *dev = (Device *)object_new(type);

    g_assert_true(object_property_set_str(OBJECT(dev), "drive", drive, error));
    if (!device_realize_and_unref(dev, (Bus *)bus, error)) {
        return NULL;
    }
    device_reset_tree(dev);
    ((ScsiDevice *)dev)->attention = SCSI_NO_SENSE;
    return (ScsiDevice *)dev;
}

static ScsiDevice *add(const char *type, const char *drive)
{
    g_autoptr(GError) error = NULL;
    ScsiDevice *dev = try_add(type, drive, &error);

    g_assert_no_error(error);
    return dev;
}

typedef struct Run {
    ScsiRequest request;
    struct iovec iov;
    uint8_t data[2 * BLOCK];
    bool done;
} Run;

static void run_done(ScsiRequest *request)
{
    ((Run *)(void *)((char *)request - offsetof(Run, request)))->done = true;
}

/* A command with `out` or `in` bytes of data. */
static void execute(ScsiDevice *dev, Run *run, const uint8_t *cdb, size_t cdb_len, size_t out,
                    size_t in)
{
    run->done = false;
    run->iov = (struct iovec){ run->data, out ? out : in };
    run->request = (ScsiRequest){ .done = run_done, .out = &run->iov, .in = &run->iov,
                                  .n_out = out != 0, .n_in = in != 0 };
    memcpy(run->request.cdb, cdb, cdb_len);
    scsi_execute(dev, &run->request, true);
    while (!run->done) {
        loop_iterate(loop_main(), true);
    }
}

static Run *simple(ScsiDevice *dev, uint8_t opcode, size_t in)
{
    const uint8_t cdb[10] = { opcode };
    Run *run = g_new0(Run, 1);

    execute(dev, run, cdb, sizeof(cdb), 0, in);
    return run;
}

static void test_generic(void)
{
    ScsiDevice *dev;
    Run run = { 0 };
    uint8_t cdb[SCSI_CDB_MAX] = { MODE_SENSE, 0, 0x3f, 0, 64 };

    mock = (Mock){ .type = 0x01 }; /* a tape */
    dev = add("scsi-generic", "sg");
    execute(dev, &run, cdb, sizeof(cdb), 0, 100);
    g_assert_cmpuint(run.request.status, ==, SCSI_GOOD);
    g_assert_cmpuint(run.request.transferred, ==, 64);
    g_assert_cmphex(run.data[63], ==, 0x5a);
    g_assert_cmpmem(mock.last, mock.last_len, cdb, 6);
    memset(run.data, 0x17, sizeof(run.data));
    execute(dev, &run, (const uint8_t[]){ WRITE_BUFFER, 2 }, 2, 64, 0);
    g_assert_true(mock.to_device);
    g_assert_cmphex(mock.data[63], ==, 0x17);
    g_assert_cmpuint(run.request.transferred, ==, 64);
    /* Reads go to it as well; and commands of a length of their own. */
    execute(dev, &run, (const uint8_t[]){ READ_10, 0, 0, 0, 0, 1 }, 6, 0, 512);
    g_assert_cmpuint(mock.last_len, ==, 10);
    cdb[0] = VARIABLE;
    cdb[7] = 24;
    execute(dev, &run, cdb, sizeof(cdb), 0, 0);
    g_assert_cmpuint(mock.last_len, ==, 32);
    cdb[7] = 25;
    execute(dev, &run, cdb, sizeof(cdb), 0, 0);
    g_assert_cmpuint(run.request.status, ==, SCSI_CHECK_CONDITION);
    cdb[7] = 255;
    execute(dev, &run, cdb, sizeof(cdb), 0, 0);
    g_assert_cmphex(run.request.sense[12], ==, 0x20);
    cdb[0] = VENDOR;
    execute(dev, &run, cdb, sizeof(cdb), 0, 0);
    g_assert_cmphex(run.request.sense[12], ==, 0x20);
    device_unparent((Device *)dev);
}

static void test_failures(void)
{
    static const struct {
        Mock mock;
        uint8_t status, sense_key;
    } rows[] = {
        { { .status = 0x18 }, 0x18, 0 },                     /* reserved by somebody else */
        { { .status = 0x02, .sense_len = 96 }, 0x02, 1 },    /* what the device says */
        { { .driver_status = 0x08, .sense_len = 18 }, 0x02, 1 },
        { { .host_status = 1 }, 0x02, 11 },                  /* not there any more */
        { { .host_status = 2 }, 0x08, 0 },
        { { .host_status = 3 }, 0x08, 0 },
        { { .driver_status = 6 }, 0x08, 0 },
        { { .result = -EDOM }, 0x28, 0 },
        { { .result = -ENOMEM }, 0x02, 4 },
        { { .result = -ENOMEDIUM }, 0x02, 2 },
        { { .result = -EINVAL }, 0x02, 5 },
        { { .result = -EPERM }, 0x02, 11 },
    };
    ScsiDevice *dev;

    mock = (Mock){ .type = 0x00 };
    dev = add("scsi-generic", "sg");
    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree Run *run = NULL;

        mock = rows[i].mock;
        run = simple(dev, TEST_UNIT_READY, 0);
        g_assert_cmphex(run->request.status, ==, rows[i].status);
        if (rows[i].sense_key) {
            g_assert_cmphex(run->request.sense[2] & 15, ==, rows[i].sense_key);
        } else {
            g_assert_cmpuint(run->request.sense_len, ==, 0);
        }
    }
    device_unparent((Device *)dev);
}

/* The driver must not ask for more at once than the host's device takes. */
static void test_limits(void)
{
    const uint8_t cdb[] = { INQUIRY, 1, 0xb0, 0, 64 };
    ScsiDevice *dev;
    Run run = { 0 };

    mock = (Mock){ .type = 0x00 };
    dev = add("scsi-generic", "sg");
    execute(dev, &run, cdb, sizeof(cdb), 0, 64);
    g_assert_cmpuint(ldl_be(run.data + 8), ==, MAX_TRANSFER / BLOCK);
    memset(run.data, 0, sizeof(run.data));
    execute(dev, &run, cdb, sizeof(cdb), 0, 11); /* too short to say */
    g_assert_cmphex(run.data[9], ==, 0xff);
    device_unparent((Device *)dev);
}

/* Plain reads and writes are the block layer's, all else the device's. */
static void test_block(void)
{
    ScsiDevice *dev;
    Run run = { 0 };
    unsigned calls;

    mock = (Mock){ .type = 0x00 };
    dev = add("scsi-block", "sg");
    calls = mock.calls;
    memset(run.data, 0x33, sizeof(run.data));
    execute(dev, &run, (const uint8_t[]){ WRITE_10, 0, 0, 0, 0, 3, 0, 0, 2 }, 9, 2 * BLOCK, 0);
    g_assert_cmpuint(run.request.status, ==, SCSI_GOOD);
    memset(run.data, 0, sizeof(run.data));
    execute(dev, &run, (const uint8_t[]){ READ_10, 0, 0, 0, 0, 4, 0, 0, 1 }, 9, 0, BLOCK);
    g_assert_cmpuint(run.request.status, ==, SCSI_GOOD);
    g_assert_cmpuint(run.request.transferred, ==, BLOCK);
    g_assert_cmphex(run.data[BLOCK - 1], ==, 0x33);
    g_assert_cmpuint(mock.calls, ==, calls);
    execute(dev, &run, (const uint8_t[]){ READ_10, 0, 0, 0, 0, BLOCKS, 0, 0, 1 }, 9, 0, BLOCK);
    g_assert_cmphex(run.request.sense[12], ==, 0x21);
    /* With protection information, or not reading at all. */
    execute(dev, &run, (const uint8_t[]){ READ_10, 0x20, 0, 0, 0, 4, 0, 0, 1 }, 9, 0, BLOCK);
    execute(dev, &run, (const uint8_t[]){ MODE_SENSE, 0, 0x3f, 0, 64 }, 5, 0, 64);
    execute(dev, &run, (const uint8_t[]){ 0x4a, 1 }, 2, 0, 8);
    g_assert_cmpuint(mock.calls, ==, calls + 3);
    g_assert_cmphex(mock.last[0], ==, 0x4a);
    device_unparent((Device *)dev);
}

/* A unit that goes while its command is at work: the command ends first. */
static void test_unplug(void)
{
    ScsiDevice *dev;
    Run run = { .iov = { run.data, 64 } };

    mock = (Mock){ .type = 0x00 };
    dev = add("scsi-generic", "sg");
    run.request = (ScsiRequest){ .done = run_done, .in = &run.iov, .n_in = 1,
                                 .cdb = { MODE_SENSE, 0, 0x3f, 0, 64 } };
    scsi_execute(dev, &run.request, true);
    g_assert_false(run.done);
    device_unparent((Device *)dev);
    g_assert_true(run.done);
    g_assert_cmpuint(run.request.transferred, ==, 64);
}

static void test_refused(void)
{
    static const char *const types[] = { "scsi-generic", "scsi-block" };

    for (unsigned i = 0; i < G_N_ELEMENTS(types); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(try_add(types[i], "plain", &error));
        g_assert_nonnull(strstr(error->message, "no SCSI device"));
    }
}

static void setup(void)
{
    static const ScsiBusLimits limits = { .max_target = 7, .max_lun = 7 };
    static const ScsiBusOps ops = { .plugged = NULL };

    mock_driver = mem_driver;
    mock_driver.scsi_command = mock_command;
    bus = scsi_bus_new(bench_host(), "scsi.0", &limits, &ops, NULL);
    make_drive(&mock_driver, "sg");
    make_drive(&mem_driver, "plain");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    bench_init(0);
    setup();
    g_test_add_func("/scsi-pass/generic", test_generic);
    g_test_add_func("/scsi-pass/failures", test_failures);
    g_test_add_func("/scsi-pass/limits", test_limits);
    g_test_add_func("/scsi-pass/block", test_block);
    g_test_add_func("/scsi-pass/unplug", test_unplug);
    g_test_add_func("/scsi-pass/refused", test_refused);
    return g_test_run();
}
