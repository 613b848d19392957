/* SPDX-License-Identifier: Apache-2.0 */
/* The table of packet commands, the short ones among them, and the tray. */
#include "hw/ide/atapi.h"

#include "util/bits.h"

#define INQUIRY_SIZE 36
#define SENSE_SIZE 18
enum { CD_ROM_TYPE = 5, REMOVABLE = 0x80, ATAPI_VERSION = 0x21 };
enum { START = 0x01, LOAD_EJECT = 0x02, POWER_CONDITION = 0xf0 };
enum { EVENT_CLASS_MEDIA = 4, EVENT_NONE = 0, EVENT_EJECT_REQUEST = 1, EVENT_NEW_MEDIA = 2,
       EVENT_REMOVAL = 3 };
enum { MEDIA_TRAY_OPEN = 0x01, MEDIA_PRESENT = 0x02 };

/* ---- The disc and its tray ---- */

bool atapi_is_ready(const IdeDevice *dev)
{
    return atapi_disc_sectors(dev) > 0;
}

uint32_t atapi_disc_sectors(const IdeDevice *dev)
{
    uint64_t sectors = block_conf_length(&dev->conf) / ATAPI_SECTOR;

    return dev->atapi.tray_open ? 0 : MIN(sectors, UINT32_MAX);
}

static bool change_media(void *owner, bool load, GError **error)
{
    IdeDevice *dev = owner;

    dev->atapi.tray_open = !load;
    dev->atapi.changed = load && block_backend_node(dev->conf.blk);
    dev->atapi.event = dev->atapi.changed ? EVENT_NEW_MEDIA : load ? EVENT_NONE : EVENT_REMOVAL;
    return true;
}

static void eject_request(void *owner, bool force)
{
    IdeDevice *dev = owner;

    dev->atapi.event = EVENT_EJECT_REQUEST;
    if (force) {
        dev->atapi.tray_locked = false;
    }
}

static bool is_tray_open(void *owner)
{
    return ((IdeDevice *)owner)->atapi.tray_open;
}

static bool is_medium_locked(void *owner)
{
    return ((IdeDevice *)owner)->atapi.tray_locked;
}

const BlockBackendOps atapi_media_ops = {
    .change_media = change_media,
    .eject_request = eject_request,
    .is_tray_open = is_tray_open,
    .is_medium_locked = is_medium_locked,
};

static void start_stop_unit(IdeDevice *dev, const uint8_t *packet)
{
    bool open = !(packet[4] & START);

    if (!(packet[4] & LOAD_EJECT) || (packet[4] & POWER_CONDITION) ||
        open == dev->atapi.tray_open) {
        atapi_good(dev);
        return;
    }
    if (open && dev->atapi.tray_locked) {
        atapi_error(dev, atapi_is_ready(dev) ? SENSE_NOT_READY : SENSE_ILLEGAL_REQUEST,
                    ASC_REMOVAL_PREVENTED);
        return;
    }
    change_media(dev, !open, NULL);
    block_backend_tray_moved(dev->conf.blk, open);
    atapi_good(dev);
}

static void prevent_removal(IdeDevice *dev, const uint8_t *packet)
{
    dev->atapi.tray_locked = packet[4] & 1;
    atapi_good(dev);
}

static void event_status(IdeDevice *dev, const uint8_t *packet)
{
    uint8_t *data = dev->data;
    bool media = packet[4] & BIT(EVENT_CLASS_MEDIA);

    if (!(packet[1] & 1)) { /* only polling */
        atapi_error(dev, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD);
        return;
    }
    memset(data, 0, 8);
    stw_be(data, media ? 4 : 0); /* behind the header */
    data[2] = media ? EVENT_CLASS_MEDIA : 0x80;
    data[3] = BIT(EVENT_CLASS_MEDIA);
    if (media) {
        data[4] = dev->atapi.event;
        data[5] = dev->atapi.tray_open ? MEDIA_TRAY_OPEN : atapi_is_ready(dev) ? MEDIA_PRESENT : 0;
        dev->atapi.event = EVENT_NONE;
    }
    atapi_answer(dev, media ? 8 : 4, ldw_be(packet + 7));
}

static void mechanism_status(IdeDevice *dev, const uint8_t *packet)
{
    memset(dev->data, 0, 8);
    dev->data[5] = 1; /* slots */
    atapi_answer(dev, 8, ldw_be(packet + 8));
}

/* ---- Who it is ---- */

/* `size` bytes, filled up with blanks. */
static void put_text(uint8_t *at, const char *text, size_t size)
{
    memset(at, ' ', size);
    memcpy(at, text, MIN(strlen(text), size));
}

static void inquiry(IdeDevice *dev, const uint8_t *packet)
{
    uint8_t *data = dev->data;

    if (packet[1] & 3) { /* no vital product data */
        atapi_error(dev, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD);
        return;
    }
    memset(data, 0, INQUIRY_SIZE);
    data[0] = CD_ROM_TYPE;
    data[1] = REMOVABLE;
    data[3] = ATAPI_VERSION;
    data[4] = INQUIRY_SIZE - 5;
    put_text(data + 8, "QEMU", 8);
    put_text(data + 16, dev->model, 16);
    put_text(data + 32, dev->version, 4);
    atapi_answer(dev, INQUIRY_SIZE, packet[4]);
}

static void request_sense(IdeDevice *dev, const uint8_t *packet)
{
    uint8_t *data = dev->data;

    memset(data, 0, SENSE_SIZE);
    data[0] = 0x70 | 0x80; /* current, valid */
    data[2] = dev->atapi.sense_key;
    data[7] = SENSE_SIZE - 8;
    data[12] = dev->atapi.asc;
    data[13] = dev->atapi.ascq;
    atapi_answer(dev, SENSE_SIZE, packet[4]);
}

static void succeed(IdeDevice *dev, const uint8_t *packet)
{
    atapi_good(dev);
}

/* ---- Sectors ---- */

static void read_capacity(IdeDevice *dev, const uint8_t *packet)
{
    stl_be(dev->data, atapi_disc_sectors(dev) - 1);
    stl_be(dev->data + 4, ATAPI_SECTOR);
    atapi_answer(dev, 8, 8);
}

static void read_10(IdeDevice *dev, const uint8_t *packet)
{
    atapi_read(dev, ldl_be(packet + 2), ldw_be(packet + 7), false);
}

static void read_12(IdeDevice *dev, const uint8_t *packet)
{
    atapi_read(dev, ldl_be(packet + 2), ldl_be(packet + 6), false);
}

/* Byte 9 says which parts of a sector are wanted. */
static void read_cd(IdeDevice *dev, const uint8_t *packet)
{
    uint32_t count = ldl_be(packet + 5) & 0xffffff;

    switch (packet[9] & 0xf8) {
    case 0x00:
        atapi_good(dev);
        break;
    case 0x10:
        atapi_read(dev, ldl_be(packet + 2), count, false);
        break;
    case 0xf8:
        atapi_read(dev, ldl_be(packet + 2), count, true);
        break;
    default:
        atapi_error(dev, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD);
    }
}

static void seek(IdeDevice *dev, const uint8_t *packet)
{
    if (ldl_be(packet + 2) >= atapi_disc_sectors(dev)) {
        atapi_error(dev, SENSE_ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE);
    } else {
        atapi_good(dev);
    }
}

#define ON_DISC (ATAPI_TELLS_CHANGE | ATAPI_NEEDS_DISC)

const AtapiCommand atapi_commands[256] = {
    [0x00] = { succeed, ON_DISC | ATAPI_NO_DATA }, /* TEST UNIT READY */
    [0x03] = { request_sense, 0 },
    [0x12] = { inquiry, 0 },
    [0x1b] = { start_stop_unit, ATAPI_NO_DATA },
    [0x1e] = { prevent_removal, ATAPI_NO_DATA },
    [0x25] = { read_capacity, ON_DISC },
    [0x28] = { read_10, ON_DISC },
    [0x2b] = { seek, ON_DISC | ATAPI_NO_DATA },
    [0x35] = { succeed, ATAPI_NO_DATA }, /* SYNCHRONIZE CACHE */
    [0x43] = { atapi_read_toc, ON_DISC },
    [0x46] = { atapi_get_configuration, 0 },
    [0x4a] = { event_status, 0 },
    [0x51] = { atapi_disc_information, ON_DISC },
    [0x55] = { atapi_mode_select, 0 },
    [0x5a] = { atapi_mode_sense, 0 },
    [0xa8] = { read_12, ON_DISC },
    [0xad] = { atapi_dvd_structure, ATAPI_TELLS_CHANGE },
    [0xbb] = { succeed, ATAPI_NO_DATA }, /* SET CD SPEED */
    [0xbd] = { mechanism_status, 0 },
    [0xbe] = { read_cd, ON_DISC },
};
