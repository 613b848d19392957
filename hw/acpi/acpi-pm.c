/* SPDX-License-Identifier: Apache-2.0 */
/* ACPI fixed hardware registers: see acpi-pm.h. */
#include "hw/acpi/acpi-pm.h"

#include "accel/vm-events.h"

#define PM1_STATUS 0
#define PM1_ENABLE 2
#define PM1_CONTROL 4
#define PM_TIMER 8
#define PM1_STATUS_MASK (ACPI_PM1_TMR | ACPI_PM1_BM | ACPI_PM1_GBL | ACPI_PM1_PWRBTN | \
                         ACPI_PM1_SLPBTN | ACPI_PM1_RTC | ACPI_PM1_WAK)
#define PM1_ENABLE_MASK (ACPI_PM1_TMR | ACPI_PM1_GBL | ACPI_PM1_PWRBTN | ACPI_PM1_SLPBTN | \
                         ACPI_PM1_RTC)
#define PM_TIMER_MASK 0xffffffu
/* TMR_STS is set whenever bit 23 changes. */
#define PM_TIMER_PERIOD 0x800000u

static uint64_t timer_ticks(void)
{
    return muldiv64(vm_clock_ns(VM_CLOCK_VIRTUAL), ACPI_PM_TIMER_HZ, NS_PER_SEC);
}

static void update_sci(AcpiPmState *pm)
{
    irq_set(pm->sci, (pm->pm1_status & pm->pm1_enable & PM1_ENABLE_MASK) ||
                     (pm->gpe_status & pm->gpe_enable));
}

static void arm_overflow(AcpiPmState *pm)
{
    uint64_t next;

    if (!(pm->pm1_enable & ACPI_PM1_TMR) || (pm->pm1_status & ACPI_PM1_TMR)) {
        timer_del(pm->overflow);
        return;
    }
    next = ROUND_DOWN(timer_ticks(), PM_TIMER_PERIOD) + PM_TIMER_PERIOD;
    timer_mod(pm->overflow, muldiv64(next, NS_PER_SEC, ACPI_PM_TIMER_HZ) + 1);
}

static void overflow_expired(void *opaque)
{
    AcpiPmState *pm = opaque;

    pm->pm1_status |= ACPI_PM1_TMR;
    update_sci(pm);
}

static void sleep_requested(AcpiPmState *pm)
{
    uint8_t type = (pm->pm1_control >> 10) & 7;

    if (type == pm->s3_type && pm->s3) {
        vm_request_suspend();
    } else if (type == pm->s5_type || (type == pm->s4_type && pm->s4)) {
        vm_request_shutdown(VM_CAUSE_GUEST_SHUTDOWN);
    }
}

static uint64_t pm_read(void *opaque, uint64_t offset, unsigned size)
{
    AcpiPmState *pm = opaque;

    switch (offset) {
    case PM1_STATUS:
        return pm->pm1_status;
    case PM1_ENABLE:
        return pm->pm1_enable;
    case PM1_CONTROL:
        return pm->pm1_control;
    case PM_TIMER:
        return timer_ticks() & PM_TIMER_MASK & 0xffff;
    case PM_TIMER + 2:
        return (timer_ticks() & PM_TIMER_MASK) >> 16;
    default:
        return 0;
    }
}

/* The whole timer in one access is one sample: halves read apart could straddle a carry. */
static uint64_t pm_read_any(void *opaque, uint64_t offset, unsigned size)
{
    uint64_t word;

    if (offset == PM_TIMER && size == 4) {
        return timer_ticks() & PM_TIMER_MASK;
    }
    if (size == 4) {
        return pm_read(opaque, offset, 2) | pm_read(opaque, offset + 2, 2) << 16;
    }
    word = pm_read(opaque, offset & ~1ULL, 2);
    return size == 1 ? (word >> (8 * (offset & 1))) & 0xff : word;
}

static void pm_write(AcpiPmState *pm, uint64_t offset, uint16_t value)
{
    switch (offset) {
    case PM1_STATUS:
        pm->pm1_status &= ~(value & PM1_STATUS_MASK);
        break;
    case PM1_ENABLE:
        pm->pm1_enable = value & PM1_ENABLE_MASK;
        break;
    case PM1_CONTROL:
        pm->pm1_control = value & ~ACPI_PM1_CNT_SLP_EN;
        if (value & ACPI_PM1_CNT_SLP_EN) {
            sleep_requested(pm);
        }
        return;
    default:
        return;
    }
    arm_overflow(pm);
    update_sci(pm);
}

/* Bytes are merged into the word that holds them, with nothing to write-clear in the other half. */
static void pm_write_any(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    AcpiPmState *pm = opaque;
    uint64_t at = offset & ~1ULL;

    if (size == 1) {
        unsigned shift = 8 * (offset & 1);
        uint16_t other = at == PM1_STATUS ? 0 : pm_read(pm, at, 2) & ~(0xff << shift);

        value = other | (value & 0xff) << shift;
    }
    pm_write(pm, at, value);
    if (size == 4) {
        pm_write(pm, at + 2, value >> 16);
    }
}

static const MemoryRegionOps pm_ops = {
    .read = pm_read_any,
    .write = pm_write_any,
    .valid = { .min = 1, .max = 4 },
    .impl = { .min = 1, .max = 4 },
};

static uint64_t gpe_read(void *opaque, uint64_t offset, unsigned size)
{
    AcpiPmState *pm = opaque;
    uint32_t both = pm->gpe_status | (uint32_t)pm->gpe_enable << 16;

    return (both >> (8 * offset)) & 0xff;
}

static void gpe_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    AcpiPmState *pm = opaque;
    unsigned shift = 8 * (offset & 1);

    if (offset < 2) {
        pm->gpe_status &= ~((value & 0xff) << shift);
    } else {
        pm->gpe_enable = (pm->gpe_enable & ~(0xff << shift)) | (value & 0xff) << shift;
    }
    update_sci(pm);
}

static const MemoryRegionOps gpe_ops = {
    .read = gpe_read,
    .write = gpe_write,
    .valid = { .min = 1, .max = 4 },
    .impl = { .min = 1, .max = 1 },
};

/* The button of the case: an event if the guest listens, and it does once it enabled ACPI. */
static void powerdown_pressed(Notifier *notifier, void *data)
{
    AcpiPmState *pm = (AcpiPmState *)((char *)notifier - offsetof(AcpiPmState, powerdown));

    pm->pm1_status |= ACPI_PM1_PWRBTN;
    update_sci(pm);
}

static void woken_up(Notifier *notifier, void *data)
{
    AcpiPmState *pm = (AcpiPmState *)((char *)notifier - offsetof(AcpiPmState, wakeup));

    pm->pm1_status |= ACPI_PM1_WAK | ACPI_PM1_PWRBTN;
    update_sci(pm);
}

void acpi_pm_init(AcpiPmState *pm, Object *owner, Irq sci)
{
    pm->sci = sci;
    pm->overflow = timer_new_virtual(overflow_expired, pm);
    pm->region = memory_region_new_io(owner, &pm_ops, pm, "acpi-pm", ACPI_PM_SIZE);
    pm->gpe = memory_region_new_io(owner, &gpe_ops, pm, "acpi-gpe0", ACPI_GPE_SIZE);
    pm->powerdown.notify = powerdown_pressed;
    notifier_list_add(powerdown_notifiers(), &pm->powerdown);
    pm->wakeup.notify = woken_up;
    notifier_list_add(wakeup_notifiers(), &pm->wakeup);
}

void acpi_pm_cleanup(AcpiPmState *pm)
{
    notifier_list_remove(wakeup_notifiers(), &pm->wakeup);
    notifier_list_remove(powerdown_notifiers(), &pm->powerdown);
    timer_free(pm->overflow);
    g_clear_pointer(&pm->region, memory_region_free);
    g_clear_pointer(&pm->gpe, memory_region_free);
}

void acpi_pm_reset(AcpiPmState *pm)
{
    pm->pm1_status &= ACPI_PM1_WAK;
    pm->pm1_enable = 0;
    pm->pm1_control = 0;
    pm->gpe_status = 0;
    pm->gpe_enable = 0;
    timer_del(pm->overflow);
    update_sci(pm);
}

void acpi_pm_send_gpe(AcpiPmState *pm, unsigned n)
{
    pm->gpe_status |= BIT(n);
    update_sci(pm);
}

void acpi_pm_set_sci_enable(AcpiPmState *pm, bool on)
{
    pm->pm1_control = deposit64(pm->pm1_control, 0, 1, on);
}

static const VmStateField acpi_pm_fields[] = {
    VMSTATE_U16(AcpiPmState, pm1_status),
    VMSTATE_U16(AcpiPmState, pm1_enable),
    VMSTATE_U16(AcpiPmState, pm1_control),
    VMSTATE_U16(AcpiPmState, gpe_status),
    VMSTATE_U16(AcpiPmState, gpe_enable),
    VMSTATE_TIMER(AcpiPmState, overflow),
    VMSTATE_END,
};

const VmState acpi_pm_vmstate = {
    .name = "acpi-pm",
    .version = 1,
    .minimum_version = 1,
    .fields = acpi_pm_fields,
};
