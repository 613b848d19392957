/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the CD-ROM share: senses, how commands end, and the table of commands. */
#ifndef VIREO_HW_IDE_ATAPI_H
#define VIREO_HW_IDE_ATAPI_H

#include "hw/ide/ide-internal.h"

enum {
    SENSE_NONE = 0, SENSE_NOT_READY = 2, SENSE_MEDIUM_ERROR = 3, SENSE_ILLEGAL_REQUEST = 5,
    SENSE_UNIT_ATTENTION = 6,
};
/* Additional sense code and its qualifier (SPC-3, 4.5.6). */
enum {
    ASC_UNRECOVERED_READ = 0x1100, ASC_LIST_LENGTH = 0x1a00, ASC_ILLEGAL_OPCODE = 0x2000,
    ASC_LBA_OUT_OF_RANGE = 0x2100, ASC_INVALID_FIELD = 0x2400, ASC_INVALID_PARAMETER = 0x2600,
    ASC_MEDIUM_CHANGED = 0x2800, ASC_SAVING_NOT_SUPPORTED = 0x3900, ASC_NO_MEDIUM = 0x3a00,
    ASC_INCOMPATIBLE_MEDIUM = 0x3000, ASC_REMOVAL_PREVENTED = 0x5302,
};

enum {
    ATAPI_TELLS_CHANGE = 1u << 0, /* fails once after a new disc came */
    ATAPI_NEEDS_DISC = 1u << 1,
    ATAPI_NO_DATA = 1u << 2,
};
typedef struct AtapiCommand {
    void (*run)(IdeDevice *dev, const uint8_t *packet);
    unsigned flags;
} AtapiCommand;
extern const AtapiCommand atapi_commands[256];

/* A disc is in the closed tray. */
bool atapi_is_ready(const IdeDevice *dev);
/* Of 2048 bytes; 0 without a disc. */
uint32_t atapi_disc_sectors(const IdeDevice *dev);

void atapi_good(IdeDevice *dev);
void atapi_error(IdeDevice *dev, uint8_t key, uint16_t code);
void atapi_answer(IdeDevice *dev, uint32_t len, uint32_t limit);
void atapi_read(IdeDevice *dev, uint32_t lba, uint32_t count, bool raw);

/* atapi-disc.c: what is on the disc. */
void atapi_read_toc(IdeDevice *dev, const uint8_t *packet);
void atapi_disc_information(IdeDevice *dev, const uint8_t *packet);
void atapi_dvd_structure(IdeDevice *dev, const uint8_t *packet);
void atapi_get_configuration(IdeDevice *dev, const uint8_t *packet);
/* atapi-mode.c */
void atapi_mode_sense(IdeDevice *dev, const uint8_t *packet);
void atapi_mode_select(IdeDevice *dev, const uint8_t *packet);

#endif
