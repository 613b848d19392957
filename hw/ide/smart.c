/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SMART (ATA/ATAPI-7 volume 1, 6.50): a disk that is always well. Attributes and thresholds have
 * 30 places of 12 bytes each from byte 2; a checksum in byte 511 makes the sum of all 0.
 */
#include "hw/ide/ide-internal.h"
#include "util/bits.h"

enum Feature {
    SMART_READ_DATA = 0xd0, SMART_READ_THRESHOLDS = 0xd1, SMART_AUTOSAVE = 0xd2,
    SMART_SAVE_VALUES = 0xd3, SMART_EXECUTE_OFFLINE = 0xd4, SMART_READ_LOG = 0xd5,
    SMART_WRITE_LOG = 0xd6, SMART_ENABLE = 0xd8, SMART_DISABLE = 0xd9, SMART_STATUS = 0xda,
};
enum { KEY_MID = 0x4f, KEY_HIGH = 0xc2 };
enum { LOG_DIRECTORY = 0, LOG_ERRORS = 1, LOG_SELF_TESTS = 6 };
enum { TEST_OFFLINE = 0, TEST_SHORT = 1, TEST_EXTENDED = 2 };
#define ENTRY_SIZE 12
#define SELF_TEST_ENTRY 24
#define SELF_TEST_LOG_SIZE 21

typedef struct Attribute {
    uint8_t id;
    uint16_t flags;
    uint8_t value, worst;
    uint64_t raw; /* 48 bits */
    uint8_t threshold;
} Attribute;

static const Attribute attributes[] = {
    { 0x01, 0x0003, 100, 100, 0, 0x06 },  /* raw read error rate */
    { 0x03, 0x0003, 100, 100, 0x10, 0 },  /* spin-up time */
    { 0x04, 0x0002, 100, 100, 0, 0x14 },  /* start/stop count */
    { 0x05, 0x0003, 100, 100, 0, 0x24 },  /* reallocated sectors */
    { 0x09, 0x0003, 100, 100, 1, 0 },     /* power-on hours */
    { 0x0c, 0x0003, 100, 100, 0, 0 },     /* power cycles */
    { 0xbe, 0x0003, 69, 69, 0x1f001f001f, 0x32 }, /* air flow temperature, degrees C */
};

static void put_checksum(uint8_t *data)
{
    uint8_t sum = 0;

    for (unsigned i = 0; i < IDE_SECTOR - 1; i++) {
        sum += data[i];
    }
    data[IDE_SECTOR - 1] = -sum;
}

static void send_page(IdeDevice *dev)
{
    put_checksum(dev->data);
    ide_pio_in(dev, 0, IDE_SECTOR, IDE_NEXT_DONE);
}

static void read_data(IdeDevice *dev)
{
    uint8_t *data = dev->data;

    memset(data, 0, IDE_SECTOR);
    data[0] = 1;
    for (unsigned i = 0; i < G_N_ELEMENTS(attributes); i++) {
        uint8_t *entry = data + 2 + i * ENTRY_SIZE;

        entry[0] = attributes[i].id;
        stw_le(entry + 1, attributes[i].flags);
        entry[3] = attributes[i].value;
        entry[4] = attributes[i].worst;
        stn_le(entry + 5, 6, attributes[i].raw);
    }
    data[362] = dev->smart_autosave ? 0x82 : 0x02; /* off-line collection: completed */
    data[363] = 0;                                 /* self-test: none, or without error */
    stw_le(data + 364, 288);                       /* seconds for off-line collection */
    data[367] = 0x5b;                              /* what can be tested */
    data[368] = 0x03;                              /* values are saved */
    data[370] = 0x01;                              /* errors are logged */
    data[372] = 0x02;                              /* minutes for a short test */
    data[373] = 0x36;                              /* and for an extended one */
    data[374] = 0x01;
    send_page(dev);
}

static void read_thresholds(IdeDevice *dev)
{
    memset(dev->data, 0, IDE_SECTOR);
    dev->data[0] = 1;
    for (unsigned i = 0; i < G_N_ELEMENTS(attributes); i++) {
        dev->data[2 + i * ENTRY_SIZE] = attributes[i].id;
        dev->data[3 + i * ENTRY_SIZE] = attributes[i].threshold;
    }
    send_page(dev);
}

/* Self-tests, the latest of which has number smart_self_test; all passed. */
static void put_self_tests(IdeDevice *dev)
{
    uint8_t *data = dev->data;

    data[0] = 1;
    for (unsigned i = 0; i < MIN(dev->smart_self_test, SELF_TEST_LOG_SIZE); i++) {
        data[2 + i * SELF_TEST_ENTRY] = TEST_SHORT;
        stw_le(data + 4 + i * SELF_TEST_ENTRY, 1); /* hours */
    }
    data[508] = MIN(dev->smart_self_test, SELF_TEST_LOG_SIZE);
}

static void read_log(IdeDevice *dev)
{
    memset(dev->data, 0, IDE_SECTOR);
    switch (dev->regs->lba_low[0]) {
    case LOG_DIRECTORY:
        stw_le(dev->data, 1);
        dev->data[2 * LOG_ERRORS] = 1;
        dev->data[2 * LOG_SELF_TESTS] = 1;
        ide_pio_in(dev, 0, IDE_SECTOR, IDE_NEXT_DONE);
        break;
    case LOG_ERRORS:
        dev->data[0] = 1;
        send_page(dev);
        break;
    case LOG_SELF_TESTS:
        put_self_tests(dev);
        send_page(dev);
        break;
    default:
        ide_abort(dev);
    }
}

static void execute_offline(IdeDevice *dev)
{
    switch (dev->regs->lba_low[0]) {
    case TEST_OFFLINE:
        break;
    case TEST_SHORT:
    case TEST_EXTENDED:
        dev->smart_self_test = MIN(dev->smart_self_test + 1, SELF_TEST_LOG_SIZE);
        break;
    default:
        ide_abort(dev);
        return;
    }
    ide_complete(dev);
}

static void set_enabled(IdeDevice *dev)
{
    dev->smart = dev->regs->feature[0] == SMART_ENABLE;
    ide_complete(dev);
}

static void set_autosave(IdeDevice *dev)
{
    uint8_t count = dev->regs->count[0];

    if (count != 0 && count != 0xf1) {
        ide_abort(dev);
        return;
    }
    dev->smart_autosave = count;
    ide_complete(dev);
}

/* The key stays as it is: no threshold is exceeded. */
static void report_status(IdeDevice *dev)
{
    ide_complete(dev);
}

static const struct {
    uint8_t feature;
    bool while_disabled;
    void (*run)(IdeDevice *dev);
} functions[] = {
    { SMART_READ_DATA, false, read_data },
    { SMART_READ_THRESHOLDS, false, read_thresholds },
    { SMART_AUTOSAVE, false, set_autosave },
    { SMART_SAVE_VALUES, false, ide_complete },
    { SMART_EXECUTE_OFFLINE, false, execute_offline },
    { SMART_READ_LOG, false, read_log },
    { SMART_ENABLE, true, set_enabled },
    { SMART_DISABLE, false, set_enabled },
    { SMART_STATUS, false, report_status },
};

void ata_smart(IdeDevice *dev)
{
    const IdeUnitRegs *regs = dev->regs;

    for (unsigned i = 0; i < G_N_ELEMENTS(functions); i++) {
        if (functions[i].feature == regs->feature[0] && regs->lba_mid[0] == KEY_MID &&
            regs->lba_high[0] == KEY_HIGH && (dev->smart || functions[i].while_disabled)) {
            functions[i].run(dev);
            return;
        }
    }
    ide_abort(dev);
}
