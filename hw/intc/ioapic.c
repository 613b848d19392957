/* SPDX-License-Identifier: Apache-2.0 */
/*
 * I/O APIC (Intel 82093AA data sheet, 290566-001), with the EOI register of later chipsets (ICH9
 * data sheet, 13.5.1.5), at 0xfec00000.
 *
 *   0x00 IOREGSEL  index of the register that IOWIN shows (bits 7:0)
 *   0x10 IOWIN     the data window, 32 bits
 *   0x40 EOIR      wo: ends level-triggered interrupts of this vector (version 0x20 and up)
 *
 *   index 0x00 IOAPICID   bits 27:24 rw
 *         0x01 IOAPICVER  bits 7:0 version, 23:16 last redirection entry
 *         0x02 IOAPICARB  bits 27:24: the ID
 *         0x10 + 2n, 0x11 + 2n  redirection entry of pin n, low and high half:
 *           7:0 vector, 10:8 delivery mode, 11 logical destination, 12 delivery status (ro),
 *           13 active low, 14 remote IRR (ro), 15 level-triggered, 16 mask, 63:56 destination;
 *           55:49 give destination bits 14:8 where the hypervisor offers
 *           that (CPUID 0x40000001, EAX bit 15)
 *
 * Pins are driven as asserted or not; the polarity bit is stored and has no effect. Messages go out
 * as MSIs. Remote IRR is set when a level-triggered message was sent and cleared by its EOI; while
 * it is set the pin sends nothing.
 */
#include "hw/intc/ioapic.h"

#include "hw/core/cpu.h"
#include "hw/core/msi.h"
#include "hw/intc/describe.h"
#include "memory/memory.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/log.h"

#define IOAPIC_WINDOW 0x1000
#define IOAPIC_VERSION_EOIR 0x20

enum Register { REG_IOREGSEL = 0x00, REG_IOWIN = 0x10, REG_EOIR = 0x40 };
enum Index { INDEX_ID = 0, INDEX_VERSION = 1, INDEX_ARB = 2, INDEX_REDIR = 0x10 };
enum Delivery { DELIVERY_EXTINT = 7 };

#define ID_MASK 0x0f000000u
#define RTE_VECTOR(rte) ((uint8_t)(rte))
#define RTE_DELIVERY(rte) ((unsigned)extract64(rte, 8, 3))
#define RTE_LOGICAL BIT_ULL(11)
#define RTE_STATUS BIT_ULL(12)
#define RTE_REMOTE_IRR BIT_ULL(14)
#define RTE_LEVEL BIT_ULL(15)
#define RTE_MASKED BIT_ULL(16)
#define RTE_READ_ONLY (RTE_STATUS | RTE_REMOTE_IRR)
#define RTE_WRITABLE (MASK_ULL(16, 0) | MASK_ULL(63, 49))

struct Ioapic {
    Device parent_obj;
    uint8_t version; /* property */
    IoapicExtIntFn *ext_int;
    void *ext_int_opaque;
    MemoryRegion *window;

    uint32_t id;
    uint8_t select;
    uint32_t lines;   /* levels of the pins */
    uint32_t pending; /* edges not sent yet, and asserted level pins */
    uint64_t redir[IOAPIC_PINS];
    uint64_t raised[IOAPIC_PINS]; /* since the start; for people */
};

/* The message of an entry (SDM vol. 3, 11.11). */
static void entry_message(const Ioapic *ioapic, uint64_t rte, uint64_t *address, uint32_t *data)
{
    *address = MSI_ADDRESS_BASE | extract64(rte, 56, 8) << 12 | extract64(rte, 49, 7) << 5 |
               (rte & RTE_LOGICAL ? BIT(2) : 0);
    *data = RTE_VECTOR(rte) | RTE_DELIVERY(rte) << 8 | (rte & RTE_LEVEL ? BIT(15) | BIT(14) : 0);
}

/* With local APICs in the kernel, it must know which vectors' EOIs to report. */
static void publish_routes(Ioapic *ioapic)
{
    const AccelOps *ops = accel_ops();
    uint64_t address[IOAPIC_PINS];
    uint32_t data[IOAPIC_PINS];
    bool valid[IOAPIC_PINS];

    if (!ops || !ops->ioapic_routes || accel_irqchip() != ACCEL_IRQCHIP_SPLIT) {
        return;
    }
    for (int i = 0; i < IOAPIC_PINS; i++) {
        entry_message(ioapic, ioapic->redir[i], &address[i], &data[i]);
        /* An entry masked while its interrupt is in service still waits for the EOI. */
        valid[i] = !(ioapic->redir[i] & RTE_MASKED) || (ioapic->redir[i] & RTE_REMOTE_IRR);
    }
    ops->ioapic_routes(accel_current(), address, data, valid, IOAPIC_PINS);
}

/* Send what the pin has pending, if its entry lets it. */
static void service_pin(Ioapic *ioapic, int pin)
{
    uint64_t *rte = &ioapic->redir[pin];
    uint64_t message = *rte;
    uint64_t address;
    uint32_t data;

    if (!(ioapic->pending & BIT(pin)) || (*rte & RTE_MASKED)) {
        return;
    }
    if (*rte & RTE_LEVEL) {
        if (*rte & RTE_REMOTE_IRR) {
            return;
        }
        *rte |= RTE_REMOTE_IRR;
    } else {
        ioapic->pending &= ~BIT(pin);
    }
    if (RTE_DELIVERY(message) == DELIVERY_EXTINT) {
        if (!ioapic->ext_int) {
            return;
        }
        message = deposit64(message, 0, 8, ioapic->ext_int(ioapic->ext_int_opaque));
        message = deposit64(message, 8, 3, 0);
    }
    entry_message(ioapic, message, &address, &data);
    msi_send(address, data);
}

static void set_pin(void *opaque, int n, bool level)
{
    Ioapic *ioapic = opaque;
    uint32_t bit = BIT(n);
    bool was = ioapic->lines & bit;

    ioapic->raised[n] += level && !was;
    ioapic->lines = level ? ioapic->lines | bit : ioapic->lines & ~bit;
    if (ioapic->redir[n] & RTE_LEVEL) {
        ioapic->pending = level ? ioapic->pending | bit : ioapic->pending & ~bit;
    } else if (level && !was && !(ioapic->redir[n] & RTE_MASKED)) {
        /* An edge on a masked pin is lost (82093AA, 3.2.4). */
        ioapic->pending |= bit;
    }
    service_pin(ioapic, n);
}

void ioapic_eoi(Ioapic *ioapic, uint8_t vector)
{
    for (int i = 0; i < IOAPIC_PINS; i++) {
        uint64_t rte = ioapic->redir[i];

        if (RTE_VECTOR(rte) == vector && (rte & RTE_LEVEL) && (rte & RTE_REMOTE_IRR)) {
            ioapic->redir[i] &= ~RTE_REMOTE_IRR;
            service_pin(ioapic, i);
        }
    }
}

static uint32_t read_indexed(const Ioapic *ioapic)
{
    switch ((enum Index)ioapic->select) {
    case INDEX_ID:
    case INDEX_ARB:
        return ioapic->id;
    case INDEX_VERSION:
        return ioapic->version | (IOAPIC_PINS - 1) << 16;
    default: {
        unsigned n = ioapic->select - INDEX_REDIR;

        if (ioapic->select < INDEX_REDIR || n / 2 >= IOAPIC_PINS) {
            return 0;
        }
        return ioapic->redir[n / 2] >> (n % 2 * 32);
    }
    }
}

static void write_redir(Ioapic *ioapic, int pin, bool high, uint32_t value)
{
    uint64_t old = ioapic->redir[pin];
    uint64_t rte = deposit64(old, high ? 32 : 0, 32, value);

    rte = (rte & RTE_WRITABLE & ~RTE_READ_ONLY) | (old & RTE_READ_ONLY);
    if (!(rte & RTE_LEVEL)) {
        rte &= ~RTE_REMOTE_IRR;
    }
    ioapic->redir[pin] = rte;
    if (rte & RTE_LEVEL) {
        ioapic->pending = (ioapic->pending & ~BIT(pin)) | (ioapic->lines & BIT(pin));
    } else if ((rte & RTE_MASKED) || (old & RTE_LEVEL)) {
        ioapic->pending &= ~BIT(pin);
    }
    publish_routes(ioapic);
    service_pin(ioapic, pin);
}

static void write_indexed(Ioapic *ioapic, uint32_t value)
{
    unsigned n = ioapic->select - INDEX_REDIR;

    if (ioapic->select == INDEX_ID) {
        ioapic->id = value & ID_MASK;
    } else if (ioapic->select >= INDEX_REDIR && n / 2 < IOAPIC_PINS) {
        write_redir(ioapic, n / 2, n % 2, value);
    } else {
        log_guest_error("ioapic: write to register %#x\n", ioapic->select);
    }
}

static uint64_t window_read(void *opaque, uint64_t offset, unsigned size)
{
    Ioapic *ioapic = opaque;

    switch ((enum Register)offset) {
    case REG_IOREGSEL:
        return ioapic->select;
    case REG_IOWIN:
        return read_indexed(ioapic);
    case REG_EOIR:
        break;
    }
    return 0;
}

static void window_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Ioapic *ioapic = opaque;

    switch ((enum Register)offset) {
    case REG_IOREGSEL:
        ioapic->select = value;
        break;
    case REG_IOWIN:
        write_indexed(ioapic, value);
        break;
    case REG_EOIR:
        if (ioapic->version >= IOAPIC_VERSION_EOIR) {
            ioapic_eoi(ioapic, value);
        }
        break;
    }
}

/* Smaller accesses are widened, as the bus would: the registers are 32 bits wide. */
static const MemoryRegionOps window_ops = {
    .read = window_read,
    .write = window_write,
    .impl = { .min = 4, .max = 4 },
};

static void ioapic_reset(Device *dev)
{
    Ioapic *ioapic = (Ioapic *)dev;

    ioapic->id = 0;
    ioapic->select = 0;
    ioapic->pending = 0;
    for (int i = 0; i < IOAPIC_PINS; i++) {
        ioapic->redir[i] = RTE_MASKED;
    }
    publish_routes(ioapic);
}

static bool ioapic_realize(Device *dev, GError **error)
{
    Ioapic *ioapic = (Ioapic *)dev;

    if (ioapic->version != 0x11 && ioapic->version != IOAPIC_VERSION_EOIR) {
        error_setf(error, "ioapic: version must be 0x11 or 0x20, not %#x", ioapic->version);
        return false;
    }
    device_init_irq_in(dev, NULL, set_pin, IOAPIC_PINS);
    ioapic->window = memory_region_new_io(OBJECT(dev), &window_ops, ioapic, "ioapic",
                                          IOAPIC_WINDOW);
    memory_region_add(memory_system(), IOAPIC_ADDRESS, ioapic->window);
    return true;
}

static void ioapic_unrealize(Device *dev)
{
    memory_region_remove(memory_system(), ((Ioapic *)dev)->window);
}

static void ioapic_finalize(Object *obj)
{
    g_clear_pointer(&((Ioapic *)obj)->window, memory_region_free);
}

static bool ioapic_post_load(void *opaque, int version, GError **error)
{
    publish_routes(opaque);
    return true;
}

static const VmState ioapic_vmstate = {
    .name = "ioapic",
    .version = 1,
    .minimum_version = 1,
    .post_load = ioapic_post_load,
    .fields = (const VmStateField[]) {
        VMSTATE_U32(Ioapic, id),
        VMSTATE_U8(Ioapic, select),
        VMSTATE_U32(Ioapic, lines),
        VMSTATE_U32(Ioapic, pending),
        VMSTATE_U64_ARRAY(Ioapic, redir),
        VMSTATE_END
    },
};

static void ioapic_describe_irqs(Device *dev, GString *out)
{
    const Ioapic *ioapic = (Ioapic *)dev;

    ioapic_describe(out, ioapic->version, ioapic->id >> 24, ioapic->select, ioapic->pending,
                    ioapic->redir, IOAPIC_PINS);
}

static const uint64_t *ioapic_irq_counts(Device *dev, unsigned *first, unsigned *count)
{
    *first = 0;
    *count = IOAPIC_PINS;
    return ((const Ioapic *)dev)->raised;
}

static const Property ioapic_properties[] = {
    PROP_UINT8("version", Ioapic, version, IOAPIC_VERSION_EOIR, "what IOAPICVER reports"),
    PROP_END
};

static const DeviceHooks ioapic_hooks = {
    .realize = ioapic_realize,
    .unrealize = ioapic_unrealize,
    .reset = ioapic_reset,
    .vmstate = &ioapic_vmstate,
    .describe_irqs = ioapic_describe_irqs,
    .irq_counts = ioapic_irq_counts,
    .no_user = true,
};

static const TypeInfo ioapic_type = {
    .name = TYPE_IOAPIC,
    .parent = TYPE_SYS_DEVICE,
    .description = "I/O APIC with 24 pins",
    .instance_size = sizeof(Ioapic),
    .properties = ioapic_properties,
    .instance_finalize = ioapic_finalize,
    .hooks = &ioapic_hooks,
};
QOM_TYPE(ioapic_type);

Ioapic *ioapic_new(IoapicExtIntFn *ext_int, void *opaque, GError **error)
{
    Object *obj = object_new(TYPE_IOAPIC);
    Ioapic *ioapic = (Ioapic *)obj;

    ioapic->ext_int = ext_int;
    ioapic->ext_int_opaque = opaque;
    /* A name of its own: tests and people look at its pins. */
    if (!object_add_child(object_container("/machine"), "ioapic", obj, error)) {
        object_unref(obj);
        return NULL;
    }
    return device_realize_and_unref((Device *)obj, bus_system(), error) ? ioapic : NULL;
}
