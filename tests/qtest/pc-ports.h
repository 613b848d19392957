/* SPDX-License-Identifier: Apache-2.0 */
/* Ports and addresses of the PC's timers and interrupt controllers, and short ways to them. */
#ifndef VIREO_TESTS_QTEST_PC_PORTS_H
#define VIREO_TESTS_QTEST_PC_PORTS_H

#include "tests/qtest/libqtest.h"

enum {
    PIC_MASTER = 0x20, PIC_SLAVE = 0xa0, PIC_ELCR = 0x4d0, PIT = 0x40, PIT_CONTROL = 0x43,
    PORT_B = 0x61, RTC_INDEX = 0x70, RTC_DATA = 0x71,
};
#define IOAPIC_BASE 0xfec00000u
#define APIC_BASE 0xfee00000u
#define HPET_BASE 0xfed00000u

/* Both PICs in 8086 mode, nothing masked, vectors from 0x30. */
static inline void pic_init(QTest *qts)
{
    for (unsigned i = 0; i < 2; i++) {
        uint16_t base = i ? PIC_SLAVE : PIC_MASTER;

        qtest_outb(qts, base, 0x11);
        qtest_outb(qts, base + 1, 0x30 + 8 * i);
        qtest_outb(qts, base + 1, i ? 2 : 4);
        qtest_outb(qts, base + 1, 1);
        qtest_outb(qts, base + 1, 0);
    }
}

static inline uint8_t pic_irr(QTest *qts, uint16_t base)
{
    qtest_outb(qts, base, 0x0a);
    return qtest_inb(qts, base);
}

/* Take the request and finish it, by the poll command; -1 if there is none. */
static inline int pic_take(QTest *qts, uint16_t base)
{
    uint8_t got;

    qtest_outb(qts, base, 0x0c);
    got = qtest_inb(qts, base);
    if (!(got & 0x80)) {
        return -1;
    }
    qtest_outb(qts, base, 0x20);
    return got & 7;
}

static inline uint8_t rtc_read(QTest *qts, uint8_t index)
{
    qtest_outb(qts, RTC_INDEX, index);
    return qtest_inb(qts, RTC_DATA);
}

static inline void rtc_write(QTest *qts, uint8_t index, uint8_t value)
{
    qtest_outb(qts, RTC_INDEX, index);
    qtest_outb(qts, RTC_DATA, value);
}

static inline uint32_t ioapic_read(QTest *qts, uint8_t index)
{
    qtest_writel(qts, IOAPIC_BASE, index);
    return qtest_readl(qts, IOAPIC_BASE + 0x10);
}

static inline void ioapic_write(QTest *qts, uint8_t index, uint32_t value)
{
    qtest_writel(qts, IOAPIC_BASE, index);
    qtest_writel(qts, IOAPIC_BASE + 0x10, value);
}

#endif
