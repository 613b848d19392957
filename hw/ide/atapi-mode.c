/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mode pages of the CD-ROM (MMC-5, section 7): a header of 8 bytes, then pages of { code, length,
 * data }. Nothing that a host could change matters here, so what it writes is checked and dropped.
 */
#include "hw/ide/atapi.h"
#include "util/bits.h"

#define HEADER_SIZE 8
#define SELECT_MAX 512u
enum { PAGE_CODE = 0x3f, PAGE_CONTROL = 0xc0, CONTROL_CHANGEABLE = 0x40, CONTROL_SAVED = 0xc0 };
enum { PAGE_RECOVERY = 0x01, PAGE_AUDIO = 0x0e, PAGE_CAPABILITIES = 0x2a, PAGE_ALL = 0x3f };
enum { MEDIUM_NONE = 0x70, MEDIUM_TRAY_OPEN = 0x71, MEDIUM_DATA = 0x01 };

static const uint8_t recovery[] = { PAGE_RECOVERY, 6, 0, 5, 0, 0, 0, 0 };
static const uint8_t audio[] = { PAGE_AUDIO, 14, 4, 0, 0, 0, 0, 75, 1, 255, 2, 255, 0, 0, 0, 0 };
/* Reads CD-R, DVD-ROM; mode 2; locks, ejects, tray; speeds of 4 in units of 1000 bytes. */
static const uint8_t capabilities[] = {
    PAGE_CAPABILITIES, 18, 0x3b, 0, 0x70, 0, 0x29, 0, 0x02, 0xc2, 0, 2, 0x02, 0, 0x02, 0xc2,
    0, 0, 0, 0,
};
static const struct {
    const uint8_t *bytes;
    uint8_t len;
} pages[] = {
    { recovery, sizeof(recovery) }, { audio, sizeof(audio) },
    { capabilities, sizeof(capabilities) },
};

static uint32_t put_page(IdeDevice *dev, uint8_t *at, unsigned n, bool changeable)
{
    memcpy(at, pages[n].bytes, pages[n].len);
    if (changeable) {
        memset(at + 2, 0, pages[n].len - 2);
    } else if (at[0] == PAGE_CAPABILITIES && dev->atapi.tray_locked) {
        at[6] |= 0x02;
    }
    return pages[n].len;
}

void atapi_mode_sense(IdeDevice *dev, const uint8_t *packet)
{
    uint8_t wanted = packet[2] & PAGE_CODE, control = packet[2] & PAGE_CONTROL;
    uint32_t len = HEADER_SIZE;

    if (control == CONTROL_SAVED) {
        atapi_error(dev, SENSE_ILLEGAL_REQUEST, ASC_SAVING_NOT_SUPPORTED);
        return;
    }
    memset(dev->data, 0, HEADER_SIZE);
    for (unsigned i = 0; i < G_N_ELEMENTS(pages); i++) {
        if (wanted == PAGE_ALL || wanted == pages[i].bytes[0]) {
            len += put_page(dev, dev->data + len, i, control == CONTROL_CHANGEABLE);
        }
    }
    if (len == HEADER_SIZE) {
        atapi_error(dev, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD);
        return;
    }
    stw_be(dev->data, len - 2);
    dev->data[2] = dev->atapi.tray_open ? MEDIUM_TRAY_OPEN
                   : atapi_is_ready(dev) ? MEDIUM_DATA : MEDIUM_NONE;
    atapi_answer(dev, len, ldw_be(packet + 7));
}

void atapi_mode_select(IdeDevice *dev, const uint8_t *packet)
{
    uint32_t len = ldw_be(packet + 7);

    if (!len) {
        atapi_good(dev);
        return;
    }
    if (len > SELECT_MAX || (packet[1] & 1)) {
        atapi_error(dev, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD);
        return;
    }
    if (dev->atapi.use_dma) {
        dev->next = IDE_NEXT_MODE_SELECT;
        dev->data_pos = 0;
        dev->data_end = len;
        ide_start(dev, IDE_DMA_BUFFER);
        return;
    }
    dev->regs->lba_mid[0] = len;
    dev->regs->lba_high[0] = len >> 8;
    dev->regs->count[0] = 0;
    ide_pio_out(dev, len, IDE_NEXT_MODE_SELECT);
    ide_raise_irq(dev);
}

void atapi_mode_select_data(IdeDevice *dev)
{
    uint32_t len = dev->data_end, at = HEADER_SIZE;

    while (at + 2 <= len) {
        uint32_t size = 2u + dev->data[at + 1];
        bool known = false;

        for (unsigned i = 0; i < G_N_ELEMENTS(pages); i++) {
            known |= pages[i].bytes[0] == (dev->data[at] & PAGE_CODE) && pages[i].len == size;
        }
        if (!known || at + size > len) {
            atapi_error(dev, SENSE_ILLEGAL_REQUEST, ASC_INVALID_PARAMETER);
            return;
        }
        at += size;
    }
    atapi_good(dev);
}
