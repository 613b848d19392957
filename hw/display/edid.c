/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A monitor's identification: the 128-byte base block of VESA E-EDID 1.4 (Release A, Revision 2):
 *
 *   00 header, 08 manufacturer and product, 10 week and year, 12 version, 14 basic parameters,
 *   19 chromaticity (sRGB), 23 established and 26 standard timings,
 *   36 preferred detailed timing, 48 range limits, 5a name, 6c unused, 7f checksum
 */
#include "hw/display/vga-internal.h"

#define DEFAULT_XRES 1280
#define DEFAULT_YRES 800
#define DEFAULT_REFRESH_MHZ 75000
#define RES_MAX 4095 /* a detailed timing has 12 bits */
#define DPI 100
#define DESCRIPTOR_SIZE 18

enum { TIMING_AT = 0x36, RANGE_AT = 0x48, NAME_AT = 0x5a, DUMMY_AT = 0x6c };
enum { TAG_NAME = 0xfc, TAG_RANGE = 0xfd, TAG_DUMMY = 0x10 };

static unsigned millimetres(uint32_t pixels)
{
    return pixels * 254 / DPI / 10;
}

static void write_identity(uint8_t *edid, uint32_t xres, uint32_t yres)
{
    static const uint8_t header[8] = { 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00 };
    static const uint8_t srgb[10] = { 0xee, 0x91, 0xa3, 0x54, 0x4c, 0x99, 0x26, 0x0f, 0x50, 0x54 };
    uint16_t manufacturer = ('V' - '@') << 10 | ('I' - '@') << 5 | ('R' - '@');

    memcpy(edid, header, sizeof(header));
    stw_be(edid + 0x08, manufacturer);
    stw_le(edid + 0x0a, 1);      /* product */
    edid[0x10] = 1;              /* week */
    edid[0x11] = 2024 - 1990;    /* year */
    edid[0x12] = 1;              /* EDID 1.4 */
    edid[0x13] = 4;
    edid[0x14] = 0x80 | 2 << 4 | 5; /* digital, 8 bits per colour, DisplayPort */
    edid[0x15] = millimetres(xres) / 10;
    edid[0x16] = millimetres(yres) / 10;
    edid[0x17] = 220 - 100;      /* gamma 2.2 */
    edid[0x18] = 0x06;           /* sRGB, the first timing is the native one */
    memcpy(edid + 0x19, srgb, sizeof(srgb));
}

/* 640x480, 800x600 and 1024x768 at 60 Hz; then the usual larger ones that the limits allow. */
static void write_timings(uint8_t *edid, const EdidInfo *info)
{
    enum { ASPECT_16_10, ASPECT_4_3, ASPECT_5_4, ASPECT_16_9 };
    static const struct {
        uint16_t xres, yres;
        uint8_t aspect;
    } standard[] = {
        { 1920, 1200, ASPECT_16_10 }, { 1920, 1080, ASPECT_16_9 }, { 1600, 1200, ASPECT_4_3 },
        { 1680, 1050, ASPECT_16_10 }, { 1440, 900, ASPECT_16_10 }, { 1280, 1024, ASPECT_5_4 },
        { 1280, 960, ASPECT_4_3 }, { 1280, 720, ASPECT_16_9 },
    };
    uint8_t *at = edid + 0x26;

    edid[0x23] = 0x20 | 0x01;
    edid[0x24] = 0x08;
    for (size_t i = 0; i < G_N_ELEMENTS(standard); i++) {
        bool fits = (!info->xmax || standard[i].xres <= info->xmax) &&
                    (!info->ymax || standard[i].yres <= info->ymax);

        *at++ = fits ? standard[i].xres / 8 - 31 : 0x01;
        *at++ = fits ? standard[i].aspect << 6 : 0x01; /* at 60 Hz; 01 01: unused */
    }
}

/* The preferred mode. Blanking is roomy: nothing is driven by it. */
static void write_preferred(uint8_t *d, uint32_t xres, uint32_t yres, uint32_t refresh_mhz)
{
    uint32_t xblank = xres * 35 / 100, yblank = yres * 35 / 1000;
    uint32_t xfront = xres * 25 / 100, yfront = MAX(yres * 5 / 1000, 1);
    uint32_t xsync = xres * 3 / 100, ysync = MAX(yres * 5 / 1000, 1);
    uint32_t xmm = millimetres(xres), ymm = millimetres(yres);
    uint64_t clock = (uint64_t)(xres + xblank) * (yres + yblank) * refresh_mhz / 10000000;

    stw_le(d, MIN(clock, UINT16_MAX)); /* in 10 kHz */
    d[2] = xres;
    d[3] = xblank;
    d[4] = (xres >> 8) << 4 | xblank >> 8;
    d[5] = yres;
    d[6] = yblank;
    d[7] = (yres >> 8) << 4 | yblank >> 8;
    d[8] = xfront;
    d[9] = xsync;
    d[10] = (yfront & 0xf) << 4 | (ysync & 0xf);
    d[11] = (xfront >> 8 & 3) << 6 | (xsync >> 8 & 3) << 4 | (yfront >> 4 & 3) << 2 |
            (ysync >> 4 & 3);
    d[12] = xmm;
    d[13] = ymm;
    d[14] = (xmm >> 8 & 0xf) << 4 | (ymm >> 8 & 0xf);
    d[17] = 0x18; /* digital separate sync */
}

static void write_descriptors(uint8_t *edid)
{
    static const uint8_t range[DESCRIPTOR_SIZE] = {
        /* 50..125 Hz, 30..160 kHz, 1200 MHz pixel clock; no formula */
        0, 0, 0, TAG_RANGE, 0, 50, 125, 30, 160, 120, 0x01, '\n', ' ', ' ', ' ', ' ', ' ', ' ',
    };
    static const uint8_t name[DESCRIPTOR_SIZE] = {
        0, 0, 0, TAG_NAME, 0, 'V', 'i', 'r', 'e', 'o', ' ', 'd', 'i', 's', 'p', 'l', 'a', 'y',
    };

    memcpy(edid + RANGE_AT, range, sizeof(range));
    memcpy(edid + NAME_AT, name, sizeof(name));
    edid[DUMMY_AT + 3] = TAG_DUMMY;
}

void edid_generate(const EdidInfo *info, uint8_t out[EDID_SIZE])
{
    uint32_t xres = MIN(info->xres ? info->xres : DEFAULT_XRES, RES_MAX);
    uint32_t yres = MIN(info->yres ? info->yres : DEFAULT_YRES, RES_MAX);
    uint8_t sum = 0;

    memset(out, 0, EDID_SIZE);
    write_identity(out, xres, yres);
    write_timings(out, info);
    write_preferred(out + TIMING_AT, xres, yres,
                    info->refresh_mhz ? info->refresh_mhz : DEFAULT_REFRESH_MHZ);
    write_descriptors(out);
    for (int i = 0; i < EDID_SIZE - 1; i++) {
        sum += out[i];
    }
    out[EDID_SIZE - 1] = -sum;
}
