/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PHY behind MDIC, the link that it reports, and the EEPROM of 64 words behind EERD and EECD.
 */
#include <string.h>

#include "hw/net/e1000-internal.h"
#include "util/bits.h"

/* ---- EEPROM ---- */

#define EEPROM_INIT_CONTROL1 0x0a
#define EEPROM_SUBSYSTEM 0x0b
#define EEPROM_SUBSYSTEM_VENDOR 0x0c
#define EEPROM_DEVICE 0x0d
#define EEPROM_VENDOR 0x0e
#define EEPROM_CHECKSUM 0x3f
#define EEPROM_SUM 0xbaba
/* Signature 01b, and both pairs of ids are to be loaded from here. */
#define EEPROM_INIT_CONTROL1_VALUE 0x4003

void e1000_eeprom_init(E1000 *s)
{
    const uint8_t *config = s->parent_obj.config;
    uint16_t sum = 0;

    memset(s->eeprom, 0, sizeof(s->eeprom));
    for (unsigned i = 0; i < NET_MAC_LEN / 2; i++) {
        s->eeprom[i] = ldw_le(s->nic.mac + 2 * i);
    }
    s->eeprom[EEPROM_INIT_CONTROL1] = EEPROM_INIT_CONTROL1_VALUE;
    s->eeprom[EEPROM_SUBSYSTEM] = ldw_le(config + 0x2e);
    s->eeprom[EEPROM_SUBSYSTEM_VENDOR] = ldw_le(config + 0x2c);
    s->eeprom[EEPROM_DEVICE] = ldw_le(config + 2);
    s->eeprom[EEPROM_VENDOR] = ldw_le(config);
    for (unsigned i = 0; i < EEPROM_CHECKSUM; i++) {
        sum += s->eeprom[i];
    }
    s->eeprom[EEPROM_CHECKSUM] = EEPROM_SUM - sum;
}

uint32_t e1000_eerd(const E1000 *s, uint32_t value)
{
    unsigned address = (value >> 8) & 0xff;

    if (!(value & EERD_START)) {
        return value & ~EERD_DONE;
    }
    value = (value & 0xff00) | EERD_DONE;
    return address < E1000_EEPROM_WORDS ? value | (uint32_t)s->eeprom[address] << 16 : value;
}

#define MICROWIRE_READ 6 /* start bit 1, opcode 10 */

/* A rising edge of SK while the chip is selected. */
static void microwire_clock(E1000 *s, bool data_in)
{
    E1000Microwire *wire = &s->microwire;

    if (wire->reading) {
        wire->data_out = s->eeprom[wire->address] >> (15 - wire->bits_out) & 1;
        if (++wire->bits_out == 16) { /* the next word follows without being asked for */
            wire->bits_out = 0;
            wire->address = (wire->address + 1) % E1000_EEPROM_WORDS;
        }
        return;
    }
    if (!wire->bits_in && !data_in) { /* no start bit yet */
        return;
    }
    if (wire->bits_in == 3 + E1000_EEPROM_ADDR_BITS) { /* data of a write, which is refused */
        return;
    }
    wire->shift_in = wire->shift_in << 1 | data_in;
    if (++wire->bits_in == 3 + E1000_EEPROM_ADDR_BITS &&
        wire->shift_in >> E1000_EEPROM_ADDR_BITS == MICROWIRE_READ) {
        wire->reading = true;
        wire->address = wire->shift_in % E1000_EEPROM_WORDS;
        wire->bits_out = 0;
        wire->data_out = false; /* the dummy bit */
    }
}

void e1000_microwire_reset(E1000 *s)
{
    s->microwire = (E1000Microwire){ .data_out = true };
}

void e1000_eecd_write(E1000 *s, uint32_t value)
{
    uint32_t old = *e1000_reg(s, E1000_EECD);

    *e1000_reg(s, E1000_EECD) = value & (EECD_SK | EECD_CS | EECD_DI | EECD_FWE | EECD_REQ);
    if (!(value & EECD_CS) || !(old & EECD_CS)) {
        e1000_microwire_reset(s);
    }
    if ((value & EECD_CS) && (value & EECD_SK) && !(old & EECD_SK)) {
        microwire_clock(s, value & EECD_DI);
    }
}

uint32_t e1000_eecd_read(const E1000 *s, uint32_t value)
{
    return value | EECD_PRES | (value & EECD_REQ ? EECD_GNT : 0) |
           (s->microwire.data_out ? EECD_DO : 0);
}

/* ---- PHY ---- */

typedef struct PhyReg {
    uint16_t reset;
    bool readable, writable;
} PhyReg;

/* An integrated Marvell 88E1000-like PHY, whose partner offers everything up to 1000BASE-T. */
static const PhyReg phy_regs[PHY_REGS] = {
    [PHY_CTRL] = { 0x1140, true, true },
    [PHY_STATUS] = { 0x794d, true, false },
    [PHY_ID1] = { 0x0141, true, false },
    [PHY_ID2] = { 0x0c20, true, false },
    [PHY_ADVERTISE] = { 0x0de1, true, true },
    [PHY_PARTNER] = { 0x41e1, true, false },
    [PHY_EXPANSION] = { 0x0001, true, false },
    [PHY_NEXT_PAGE] = { 0x2001, true, true },
    [PHY_PARTNER_NEXT] = { 0, true, false },
    [PHY_1000T_CTRL] = { 0x0e00, true, true },
    [PHY_1000T_STATUS] = { 0x3c00, true, false },
    [PHY_EXT_STATUS] = { 0x3000, true, false },
    [PHY_SPECIFIC_CTRL] = { 0x0360, true, true },
    [PHY_SPECIFIC_STATUS] = { 0xac00, true, false },
    [PHY_INT_ENABLE] = { 0, true, true },
    [PHY_INT_STATUS] = { 0, true, false },
    [PHY_EXT_CTRL] = { 0x0d60, true, true },
    [PHY_RX_ERRORS] = { 0, true, false },
};

static bool cable_is_plugged(const E1000 *s)
{
    return s->nic.queues && !s->nic.clients[0]->link_down;
}

static void set_link(E1000 *s, bool up)
{
    uint32_t *status = e1000_reg(s, E1000_STATUS);
    bool was_up = *status & STATUS_LU;

    if (up) {
        *status |= STATUS_LU;
        s->phy[PHY_STATUS] |= PHY_STATUS_LINK | PHY_STATUS_AUTONEG_DONE;
        s->phy[PHY_SPECIFIC_STATUS] |= PHY_SPECIFIC_LINK;
    } else {
        *status &= ~STATUS_LU;
        s->phy[PHY_STATUS] &= ~(PHY_STATUS_LINK | PHY_STATUS_AUTONEG_DONE);
        s->phy[PHY_SPECIFIC_STATUS] &= ~PHY_SPECIFIC_LINK;
    }
    if (up != was_up) {
        e1000_raise(s, ICR_LSC);
    }
}

void e1000_link_changed(E1000 *s)
{
    set_link(s, cable_is_plugged(s));
}

void e1000_phy_reset(E1000 *s)
{
    for (unsigned i = 0; i < PHY_REGS; i++) {
        s->phy[i] = phy_regs[i].reset;
    }
    set_link(s, cable_is_plugged(s));
}

static void phy_write(E1000 *s, unsigned reg, uint16_t value)
{
    if (reg != PHY_CTRL) {
        s->phy[reg] = value;
        return;
    }
    if (value & PHY_CTRL_RESET) {
        e1000_phy_reset(s);
        return;
    }
    s->phy[PHY_CTRL] = value & ~PHY_CTRL_RESTART;
    if ((value & PHY_CTRL_AUTONEG) && (value & PHY_CTRL_RESTART)) {
        /* Negotiation takes no time here; the driver hears of its end. */
        e1000_link_changed(s);
        e1000_raise(s, ICR_LSC);
    }
}

uint32_t e1000_mdic(E1000 *s, uint32_t value)
{
    unsigned reg = MDIC_REG(value);
    uint32_t result = (value & ~(MDIC_ERROR | MDIC_READY)) | MDIC_READY;

    if (MDIC_PHY(value) != E1000_PHY_ADDRESS) {
        result |= MDIC_ERROR;
    } else if ((value & MDIC_OP_READ) && phy_regs[reg].readable) {
        result = (result & ~MDIC_DATA) | s->phy[reg];
    } else if ((value & MDIC_OP_WRITE) && phy_regs[reg].writable) {
        phy_write(s, reg, value & MDIC_DATA);
    } else {
        result |= MDIC_ERROR;
    }
    if (value & MDIC_INT) {
        e1000_raise(s, ICR_MDAC);
    }
    return result;
}
