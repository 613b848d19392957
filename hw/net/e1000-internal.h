/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the e1000 model share. */
#ifndef VIREO_HW_NET_E1000_INTERNAL_H
#define VIREO_HW_NET_E1000_INTERNAL_H

#include "hw/net/e1000-regs.h"
#include "hw/net/nic-run.h"
#include "hw/pci/pci.h"
#include "util/timer.h"

#define E1000_EEPROM_WORDS 64
#define E1000_EEPROM_ADDR_BITS 6

/* A context descriptor: where checksums and headers are in the frames that follow. */
typedef struct E1000Context {
    uint8_t ip_start, ip_at;
    uint16_t ip_end;
    uint8_t tu_start, tu_at;
    uint16_t tu_end;
    uint32_t payload;
    uint8_t header_len, command;
    uint16_t mss;
} E1000Context;

/* The serial interface of the EEPROM (Microwire), clock edge by clock edge. */
typedef struct E1000Microwire {
    uint32_t shift_in;  /* bits so far, from the start bit on */
    uint8_t bits_in;
    bool reading;
    uint8_t bits_out;   /* of the word that is being read; 0: the dummy bit comes first */
    uint16_t address;
    bool data_out;
} E1000Microwire;

/* An interrupt that waits for more packets. */
typedef struct E1000Delay {
    Timer *timer;
    int64_t due, limit; /* when by the packet and by the absolute timer; while the timer pends */
} E1000Delay;

typedef struct E1000 {
    PciDevice parent_obj;
    NicConfig nic;
    NicRun run;
    MemoryRegion *mmio, *io;
    int32_t bootindex;
    bool mitigation;               /* property: obey ITR and the delay timers */
    uint32_t regs[E1000_REGS_SIZE / 4];
    uint32_t io_address;
    uint16_t phy[PHY_REGS];
    uint16_t eeprom[E1000_EEPROM_WORDS];
    E1000Microwire microwire;
    Timer *itr_timer;              /* pending: no interrupt before it fires */
    E1000Delay rx_delay, tx_delay;
    bool irq_level;
    /* Transmission: the frame so far. */
    E1000Context context;          /* the last one */
    uint8_t *frame;                /* NET_MAX_FRAME bytes */
    uint32_t frame_len;
    bool frame_bad;                /* too long: dropped at its end */
    bool frame_tse;                /* the first descriptor said: segment */
    uint8_t frame_popts;
    bool transmitting;
} E1000;

static inline uint32_t *e1000_reg(E1000 *s, uint32_t offset)
{
    return &s->regs[offset / 4];
}

/* Causes happen: ICR, and perhaps an interrupt. */
void e1000_raise(E1000 *s, uint32_t causes);
/* Statistics stop at their maximum; low is the first of a pair for 64 bits. */
void e1000_count(E1000 *s, uint32_t offset);
void e1000_count64(E1000 *s, uint32_t low, uint32_t bytes);
/* Addresses and sizes of a ring whose registers begin at base (RDBAL or TDBAL). */
static inline uint64_t e1000_ring_base(E1000 *s, uint32_t base)
{
    return (uint64_t)*e1000_reg(s, base + 4) << 32 |
           (*e1000_reg(s, base) & E1000_RING_BASE_MASK);
}
static inline uint32_t e1000_ring_size(E1000 *s, uint32_t base)
{
    return *e1000_reg(s, base + 8) / E1000_DESC_SIZE;
}

/* e1000-delay.c: causes that happen when the timers of these registers say so. */
void e1000_delay_init(E1000 *s);
void e1000_delay_cleanup(E1000 *s);
void e1000_delay_raise(E1000 *s, E1000Delay *delay, uint32_t causes, uint32_t packet_reg,
                       uint32_t absolute_reg);
void e1000_delay_stop(E1000Delay *delay);
/* What waits happens now. */
void e1000_delay_flush_rx(E1000 *s);
extern const VmState e1000_delay_vmstate;

/* e1000-phy.c: the PHY, the link and the EEPROM. */
void e1000_eeprom_init(E1000 *s);
void e1000_phy_reset(E1000 *s);
void e1000_microwire_reset(E1000 *s);
void e1000_eecd_write(E1000 *s, uint32_t value);
uint32_t e1000_eecd_read(const E1000 *s, uint32_t value);
uint32_t e1000_eerd(const E1000 *s, uint32_t value);
uint32_t e1000_mdic(E1000 *s, uint32_t value);
/* The cable came or went. */
void e1000_link_changed(E1000 *s);

/* e1000-tx.c */
void e1000_transmit(E1000 *s);

/* e1000-rx.c: as NetClientOps. */
bool e1000_can_receive(E1000 *s);
int e1000_receive(E1000 *s, const NetPacket *packet);
RxFilterInfo *e1000_rx_filter(E1000 *s);

#endif
