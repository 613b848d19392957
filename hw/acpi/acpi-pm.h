/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACPI fixed hardware (ACPI 6.4, section 4.8): PM1 event and control, the PM timer, one
 * general-purpose event block. A chipset embeds this, says where the regions are mapped, and gets
 * its SCI driven.
 */
#ifndef VIREO_HW_ACPI_ACPI_PM_H
#define VIREO_HW_ACPI_ACPI_PM_H

#include "hw/core/device.h"
#include "memory/memory.h"
#include "util/bits.h"
#include "util/timer.h"

#define ACPI_PM1_TMR BIT(0)
#define ACPI_PM1_BM BIT(4)
#define ACPI_PM1_GBL BIT(5)
#define ACPI_PM1_PWRBTN BIT(8)
#define ACPI_PM1_SLPBTN BIT(9)
#define ACPI_PM1_RTC BIT(10)
#define ACPI_PM1_WAK BIT(15)
#define ACPI_PM1_CNT_SCI_EN BIT(0)
#define ACPI_PM1_CNT_SLP_EN BIT(13)

#define ACPI_PM_SIZE 12 /* event +0, control +4, timer +8 */
#define ACPI_GPE_SIZE 4 /* status +0, enable +2 */
#define ACPI_PM_TIMER_HZ 3579545

typedef struct AcpiPmState {
    uint16_t pm1_status, pm1_enable, pm1_control;
    uint16_t gpe_status, gpe_enable;
    Timer *overflow;      /* armed only while the guest wants TMR_STS */
    Irq sci;
    MemoryRegion *region; /* ACPI_PM_SIZE */
    MemoryRegion *gpe;    /* ACPI_GPE_SIZE */
    uint8_t s3_type, s4_type, s5_type; /* SLP_TYP values */
    bool s3, s4;          /* offered */
    Notifier powerdown, wakeup;
} AcpiPmState;

void acpi_pm_init(AcpiPmState *pm, Object *owner, Irq sci);
void acpi_pm_cleanup(AcpiPmState *pm);
/* Everything but the wake status, which survives the reset of an S3 wake-up. */
void acpi_pm_reset(AcpiPmState *pm);
/* Set GPE bit n: an event for the guest. */
void acpi_pm_send_gpe(AcpiPmState *pm, unsigned n);
/* ACPI_ENABLE / ACPI_DISABLE through the SMI command port. */
void acpi_pm_set_sci_enable(AcpiPmState *pm, bool on);
extern const VmState acpi_pm_vmstate;

#endif
