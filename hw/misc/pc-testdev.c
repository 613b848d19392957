/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The test device that kvm-unit-tests drives:
 *
 *   port 0xe0-0xe3  rw  a value that is read back, accesses of 1, 2 or 4 bytes
 *   port 0xe4-0xe7  wo  a page's physical address: the host's mapping of it is torn down and remade
 *   port 0xe8-0xeb  rw  the value at 0xe0, byte by byte
 *   port 0x2000+n   wo  level of ISA interrupt n (24 ports; those above 15 lead nowhere)
 *   memory 0xff000000-0xff00ffff  rw  64 KiB of storage behind I/O callbacks
 */
#include <sys/mman.h>
#include <unistd.h>

#include "hw/isa/isa.h"
#include "util/bits.h"
#include "util/error.h"

#define IOPORT 0xe0
#define FLUSH_PORT 0xe4
#define IOPORT_BYTES 0xe8
#define IRQ_PORT 0x2000
#define IRQ_PORTS 24
#define IOMEM_BASE 0xff000000
#define IOMEM_SIZE 0x10000

typedef struct PcTestdev {
    IsaDevice parent_obj;
    MemoryRegion *ioport, *flush, *ioport_bytes, *irq_lines, *iomem;
    uint8_t value[4];
    uint8_t memory[IOMEM_SIZE];
} PcTestdev;

static uint64_t ioport_read(void *opaque, uint64_t offset, unsigned size)
{
    PcTestdev *test = opaque;

    return range_ok(offset, size, sizeof(test->value)) ? ldn_le(test->value + offset, size) : 0;
}

static void ioport_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    PcTestdev *test = opaque;

    if (range_ok(offset, size, sizeof(test->value))) {
        stn_le(test->value + offset, size, value);
    }
}

static const MemoryRegionOps ioport_ops = {
    .read = ioport_read,
    .write = ioport_write,
};

static const MemoryRegionOps ioport_bytes_ops = {
    .read = ioport_read,
    .write = ioport_write,
    .impl = { .min = 1, .max = 1 },
};

/* The accelerator's mapping goes with the host's, and must be made anew by the next access. */
static void flush_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    uint64_t len = sysconf(_SC_PAGESIZE);
    uint64_t want = len;
    void *host = address_space_map(address_space_memory(), value & ~(len - 1), &len, true);

    if (!host) {
        return;
    }
    if (len == want && IS_ALIGNED((uintptr_t)host, want) && mprotect(host, len, PROT_NONE) == 0) {
        mprotect(host, len, PROT_READ | PROT_WRITE);
    }
    address_space_unmap(address_space_memory(), host, len, true, 0);
}

static uint64_t zero_read(void *opaque, uint64_t offset, unsigned size)
{
    return 0;
}

static const MemoryRegionOps flush_ops = {
    .read = zero_read,
    .write = flush_write,
    .valid = { .min = 4, .max = 4 },
};

static void irq_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    irq_set(isa_irq(opaque, offset), value != 0);
}

static const MemoryRegionOps irq_ops = {
    .read = zero_read,
    .write = irq_write,
    .valid = { .min = 1, .max = 1 },
    .impl = { .min = 1, .max = 1 },
};

static uint64_t iomem_read(void *opaque, uint64_t offset, unsigned size)
{
    return ldn_le(((PcTestdev *)opaque)->memory + offset, size);
}

static void iomem_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    stn_le(((PcTestdev *)opaque)->memory + offset, size, value);
}

static const MemoryRegionOps iomem_ops = {
    .read = iomem_read,
    .write = iomem_write,
    .impl = { .min = 1, .max = 8 },
};

static bool testdev_realize(Device *dev, GError **error)
{
    PcTestdev *test = (PcTestdev *)dev;
    IsaDevice *isa = &test->parent_obj;
    Object *owner = OBJECT(dev);

    test->ioport = memory_region_new_io(owner, &ioport_ops, test, "pc-testdev-ioport", 4);
    test->flush = memory_region_new_io(owner, &flush_ops, test, "pc-testdev-flush-page", 4);
    test->ioport_bytes = memory_region_new_io(owner, &ioport_bytes_ops, test,
                                              "pc-testdev-ioport-byte", 4);
    test->irq_lines = memory_region_new_io(owner, &irq_ops, test, "pc-testdev-irq-line",
                                           IRQ_PORTS);
    test->iomem = memory_region_new_io(owner, &iomem_ops, test, "pc-testdev-iomem", IOMEM_SIZE);
    if (!isa_map_ports(isa, test->ioport, IOPORT, error) ||
        !isa_map_ports(isa, test->flush, FLUSH_PORT, error) ||
        !isa_map_ports(isa, test->ioport_bytes, IOPORT_BYTES, error) ||
        !isa_map_ports(isa, test->irq_lines, IRQ_PORT, error)) {
        return false;
    }
    memory_region_add_overlap(isa_memory(isa_device_bus(isa)), IOMEM_BASE, test->iomem, 1);
    return true;
}

static void testdev_unrealize(Device *dev)
{
    PcTestdev *test = (PcTestdev *)dev;

    memory_region_remove(isa_memory(isa_device_bus(&test->parent_obj)), test->iomem);
}

static void testdev_finalize(Object *obj)
{
    PcTestdev *test = (PcTestdev *)obj;

    g_clear_pointer(&test->ioport, memory_region_free);
    g_clear_pointer(&test->flush, memory_region_free);
    g_clear_pointer(&test->ioport_bytes, memory_region_free);
    g_clear_pointer(&test->irq_lines, memory_region_free);
    g_clear_pointer(&test->iomem, memory_region_free);
}

static const DeviceHooks testdev_hooks = {
    .realize = testdev_realize,
    .unrealize = testdev_unrealize,
    .category = DEVICE_CATEGORY_MISC,
};

static const TypeInfo testdev_type = {
    .name = "pc-testdev",
    .parent = TYPE_ISA_DEVICE,
    .description = "what kvm-unit-tests needs",
    .instance_size = sizeof(PcTestdev),
    .user_creatable = true,
    .instance_finalize = testdev_finalize,
    .hooks = &testdev_hooks,
};
QOM_TYPE(testdev_type);
