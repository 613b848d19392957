/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the CD-ROM says of its disc (MMC-5): one session with one track of data, which is a DVD if
 * a CD could not hold it.
 */
#include "hw/ide/atapi.h"
#include "util/bits.h"

/* 80 minutes of 75 frames a second. */
#define CD_MAX_SECTORS (80 * 60 * 75)
#define LEAD_OUT 0xaa
#define DATA_TRACK 0x14 /* ADR 1, control: data */
enum { PROFILE_CD_ROM = 0x0008, PROFILE_DVD_ROM = 0x0010 };
enum { DVD_PHYSICAL = 0x00, DVD_COPYRIGHT = 0x01, DVD_MANUFACTURER = 0x04, DVD_LIST = 0xff };
#define DVD_FIRST_SECTOR 0x30000u
#define DVD_STRUCTURE_SIZE 2048u

static bool is_dvd(const IdeDevice *dev)
{
    return atapi_disc_sectors(dev) > CD_MAX_SECTORS;
}

/* An address in the form that the command asked for: bit 1 of byte 1 is "in minutes". */
static void put_address(uint8_t *at, uint32_t lba, bool msf)
{
    uint32_t frame = lba + 150;

    if (!msf) {
        stl_be(at, lba);
        return;
    }
    at[0] = 0;
    at[1] = frame / 75 / 60;
    at[2] = frame / 75 % 60;
    at[3] = frame % 75;
}

/* ---- READ TOC ---- */

static void put_toc_entry(uint8_t *at, uint8_t track, uint32_t lba, bool msf)
{
    at[0] = 0;
    at[1] = DATA_TRACK;
    at[2] = track;
    at[3] = 0;
    put_address(at + 4, lba, msf);
}

/* The tracks from `start` on, and the lead-out; 0: there is no such track. */
static uint32_t put_tracks(IdeDevice *dev, bool msf, uint8_t start)
{
    uint8_t *data = dev->data;
    uint32_t len = 4;

    if (start > 1 && start != LEAD_OUT) {
        return 0;
    }
    data[2] = data[3] = 1;
    if (start <= 1) {
        put_toc_entry(data + len, 1, 0, msf);
        len += 8;
    }
    put_toc_entry(data + len, LEAD_OUT, atapi_disc_sectors(dev), msf);
    len += 8;
    stw_be(data, len - 2);
    return len;
}

static uint32_t put_sessions(IdeDevice *dev)
{
    uint8_t *data = dev->data;

    memset(data, 0, 12);
    stw_be(data, 10);
    data[2] = data[3] = 1;
    data[5] = DATA_TRACK;
    data[6] = 1;
    return 12;
}

/* The table as it stands in the lead-in: three pointers (A0h to A2h), then the track. */
static uint32_t put_raw_toc(IdeDevice *dev, bool msf)
{
    static const uint8_t points[] = { 0xa0, 0xa1, 0xa2, 1 };
    uint8_t *data = dev->data;
    uint32_t len = 4;

    data[2] = data[3] = 1;
    for (unsigned i = 0; i < G_N_ELEMENTS(points); i++) {
        uint8_t *entry = data + len;

        memset(entry, 0, 11);
        entry[0] = 1;
        entry[1] = DATA_TRACK;
        entry[3] = points[i];
        if (points[i] == 0xa2) {
            put_address(entry + 7, atapi_disc_sectors(dev), msf);
        } else if (points[i] == 1) {
            put_address(entry + 7, 0, msf);
        } else {
            entry[8] = 1;
        }
        len += 11;
    }
    stw_be(data, len - 2);
    return len;
}

void atapi_read_toc(IdeDevice *dev, const uint8_t *packet)
{
    bool msf = packet[1] & 2;
    uint32_t len = 0;

    switch (packet[2] & 0x0f ? packet[2] & 0x0f : packet[9] >> 6) {
    case 0:
        len = put_tracks(dev, msf, packet[6]);
        break;
    case 1:
        len = put_sessions(dev);
        break;
    case 2:
        len = put_raw_toc(dev, msf);
        break;
    }
    if (!len) {
        atapi_error(dev, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD);
        return;
    }
    atapi_answer(dev, len, ldw_be(packet + 7));
}

/* ---- READ DISC INFORMATION ---- */

void atapi_disc_information(IdeDevice *dev, const uint8_t *packet)
{
    uint8_t *data = dev->data;

    if (packet[1] & 7) {
        atapi_error(dev, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD);
        return;
    }
    memset(data, 0, 34);
    data[1] = 32;
    data[2] = 0x0e; /* the last session is complete, the disc finalised */
    data[3] = data[4] = data[5] = data[6] = 1; /* first track; sessions; tracks of the last one */
    data[7] = 0x20; /* unrestricted use */
    atapi_answer(dev, 34, ldw_be(packet + 7));
}

/* ---- READ DVD STRUCTURE ---- */

static void put_physical(IdeDevice *dev)
{
    uint8_t *layer = dev->data + 4;

    layer[0] = 1;    /* book type DVD-ROM, version 1 */
    layer[1] = 0x0f; /* 120 mm; rate not specified */
    layer[2] = 1;    /* one layer, embossed */
    stl_be(layer + 4, DVD_FIRST_SECTOR);
    stl_be(layer + 8, DVD_FIRST_SECTOR + atapi_disc_sectors(dev) - 1);
}

static void put_structure_list(IdeDevice *dev)
{
    static const struct { uint8_t format; uint16_t size; } formats[] = {
        { DVD_PHYSICAL, DVD_STRUCTURE_SIZE + 4 }, { DVD_COPYRIGHT, 8 },
        { DVD_MANUFACTURER, DVD_STRUCTURE_SIZE + 4 },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(formats); i++) {
        uint8_t *entry = dev->data + 4 + 4 * i;

        entry[0] = formats[i].format;
        entry[1] = 0x40; /* can be read */
        stw_be(entry + 2, formats[i].size);
    }
}

void atapi_dvd_structure(IdeDevice *dev, const uint8_t *packet)
{
    uint8_t format = packet[7];
    uint32_t len = DVD_STRUCTURE_SIZE + 4;

    if ((packet[1] & 0x0f) ||
        (format > DVD_COPYRIGHT && format != DVD_MANUFACTURER && format != DVD_LIST)) {
        atapi_error(dev, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD);
        return;
    }
    if (format != DVD_LIST && !is_dvd(dev)) {
        atapi_error(dev, atapi_is_ready(dev) ? SENSE_ILLEGAL_REQUEST : SENSE_NOT_READY,
                    atapi_is_ready(dev) ? ASC_INCOMPATIBLE_MEDIUM : ASC_NO_MEDIUM);
        return;
    }
    if (packet[6]) { /* there is one layer */
        atapi_error(dev, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD);
        return;
    }
    memset(dev->data, 0, len);
    if (format == DVD_PHYSICAL) {
        put_physical(dev);
    } else if (format == DVD_COPYRIGHT) {
        len = 8;
    } else if (format == DVD_LIST) {
        put_structure_list(dev);
        len = 4 + 3 * 4;
    }
    stw_be(dev->data, len - 2);
    atapi_answer(dev, len, ldw_be(packet + 8));
}

/* ---- GET CONFIGURATION ---- */

/* Features by number: code, flags (version << 2 | persistent << 1 | current), data. */
static uint32_t put_feature(uint8_t *at, uint16_t code, uint8_t flags, const uint8_t *more,
                            uint8_t len)
{
    stw_be(at, code);
    at[2] = flags;
    at[3] = len;
    memcpy(at + 4, more, len);
    return 4u + len;
}

static uint32_t put_features(IdeDevice *dev, uint16_t profile, uint16_t first, bool only)
{
    const uint8_t profiles[] = {
        PROFILE_DVD_ROM >> 8, PROFILE_DVD_ROM & 0xff, profile == PROFILE_DVD_ROM, 0,
        PROFILE_CD_ROM >> 8, PROFILE_CD_ROM & 0xff, profile == PROFILE_CD_ROM, 0,
    };
    static const uint8_t core[] = { 0, 0, 0, 2, 1, 0, 0, 0 };      /* ATAPI; DBE */
    static const uint8_t removable[] = { 0x29, 0, 0, 0 };          /* tray, eject, lock */
    const struct {
        uint16_t code;
        uint8_t flags;
        const uint8_t *more;
        uint8_t len;
    } features[] = {
        { 0x0000, 0x03, profiles, sizeof(profiles) },
        { 0x0001, 0x0b, core, sizeof(core) },
        { 0x0003, 0x03, removable, sizeof(removable) },
    };
    uint32_t len = 8;

    for (unsigned i = 0; i < G_N_ELEMENTS(features); i++) {
        if (only ? features[i].code == first : features[i].code >= first) {
            len += put_feature(dev->data + len, features[i].code, features[i].flags,
                               features[i].more, features[i].len);
        }
    }
    return len;
}

void atapi_get_configuration(IdeDevice *dev, const uint8_t *packet)
{
    uint8_t request = packet[1] & 3;
    uint16_t profile = !atapi_is_ready(dev) ? 0 : is_dvd(dev) ? PROFILE_DVD_ROM : PROFILE_CD_ROM;
    uint32_t len;

    if (request == 3) {
        atapi_error(dev, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD);
        return;
    }
    memset(dev->data, 0, 8);
    len = put_features(dev, profile, ldw_be(packet + 2), request == 2);
    stl_be(dev->data, len - 4);
    stw_be(dev->data + 6, profile);
    atapi_answer(dev, len, ldw_be(packet + 7));
}
