/* SPDX-License-Identifier: Apache-2.0 */
/*
 * microvm's device tree. Interrupts are two cells, pin and sense, as Linux's binding
 * "intel,ce4100-ioapic" has them: sense 0 is edge-triggered, rising.
 */
#include "hw/i386/microvm-fdt.h"

#include <libfdt.h>

#include "util/error.h"

#define FDT_SPACE 65536
#define PHANDLE_IOAPIC 1
#define SENSE_EDGE_RISING 0

static int add_reg(void *fdt, uint64_t base, uint64_t size)
{
    const fdt64_t reg[2] = { cpu_to_fdt64(base), cpu_to_fdt64(size) };

    return fdt_property(fdt, "reg", reg, sizeof(reg));
}

static int add_interrupt(void *fdt, uint32_t pin)
{
    const fdt32_t cells[2] = { cpu_to_fdt32(pin), cpu_to_fdt32(SENSE_EDGE_RISING) };

    return fdt_property(fdt, "interrupts", cells, sizeof(cells));
}

/* Every libfdt call gives 0 or a negative error; the first that failed is what counts. */
static void keep_first(int *error, int result)
{
    if (*error == 0) {
        *error = result;
    }
}

static int begin_node(void *fdt, const char *type, uint64_t unit)
{
    g_autofree char *name = g_strdup_printf("%s@%" G_GINT64_MODIFIER "x", type, unit);

    return fdt_begin_node(fdt, name);
}

static int add_chosen(void *fdt, const char *bootargs)
{
    int error = fdt_begin_node(fdt, "chosen");

    if (bootargs) {
        keep_first(&error, fdt_property_string(fdt, "bootargs", bootargs));
    }
    keep_first(&error, fdt_end_node(fdt));
    return error;
}

static int add_cpus(void *fdt, unsigned count)
{
    int error = fdt_begin_node(fdt, "cpus");

    keep_first(&error, fdt_property_u32(fdt, "#address-cells", 1));
    keep_first(&error, fdt_property_u32(fdt, "#size-cells", 0));
    for (unsigned i = 0; i < count; i++) {
        keep_first(&error, begin_node(fdt, "cpu", i));
        keep_first(&error, fdt_property_string(fdt, "device_type", "cpu"));
        keep_first(&error, fdt_property_string(fdt, "compatible", "intel,x86"));
        keep_first(&error, fdt_property_u32(fdt, "reg", i));
        keep_first(&error, fdt_end_node(fdt));
    }
    keep_first(&error, fdt_end_node(fdt));
    return error;
}

static int add_interrupt_controllers(void *fdt, const MicrovmFdtConfig *config)
{
    int error = begin_node(fdt, "ioapic", config->ioapic_address);

    keep_first(&error, fdt_property_string(fdt, "compatible", "intel,ce4100-ioapic"));
    keep_first(&error, fdt_property(fdt, "interrupt-controller", NULL, 0));
    keep_first(&error, fdt_property_u32(fdt, "#interrupt-cells", 2));
    keep_first(&error, fdt_property_u32(fdt, "#address-cells", 2));
    keep_first(&error, add_reg(fdt, config->ioapic_address, 0x1000));
    keep_first(&error, fdt_property_u32(fdt, "phandle", PHANDLE_IOAPIC));
    keep_first(&error, fdt_end_node(fdt));
    keep_first(&error, begin_node(fdt, "lapic", config->lapic_address));
    keep_first(&error, fdt_property_string(fdt, "compatible", "intel,ce4100-lapic"));
    keep_first(&error, add_reg(fdt, config->lapic_address, 0x1000));
    keep_first(&error, fdt_end_node(fdt));
    return error;
}

/* ISA ports are in the tree's second address space: the parent's first cell is 1. */
static int add_isa(void *fdt, const MicrovmFdtConfig *config)
{
    const fdt32_t serial_reg[3] = { cpu_to_fdt32(1), cpu_to_fdt32(0x3f8), cpu_to_fdt32(8) };
    const fdt32_t rtc_reg[3] = { cpu_to_fdt32(1), cpu_to_fdt32(0x70), cpu_to_fdt32(2) };
    int error = fdt_begin_node(fdt, "isa");

    keep_first(&error, fdt_property_string(fdt, "compatible", "isa"));
    keep_first(&error, fdt_property_u32(fdt, "#address-cells", 2));
    keep_first(&error, fdt_property_u32(fdt, "#size-cells", 1));
    if (config->serial) {
        keep_first(&error, fdt_begin_node(fdt, "serial@3f8"));
        keep_first(&error, fdt_property_string(fdt, "compatible", "ns16550"));
        keep_first(&error, fdt_property(fdt, "reg", serial_reg, sizeof(serial_reg)));
        keep_first(&error, fdt_property_u32(fdt, "clock-frequency", 1843200));
        keep_first(&error, fdt_property_u32(fdt, "current-speed", 115200));
        keep_first(&error, add_interrupt(fdt, 4));
        keep_first(&error, fdt_end_node(fdt));
    }
    if (config->rtc) {
        keep_first(&error, fdt_begin_node(fdt, "rtc@70"));
        keep_first(&error, fdt_property_string(fdt, "compatible", "motorola,mc146818"));
        keep_first(&error, fdt_property(fdt, "reg", rtc_reg, sizeof(rtc_reg)));
        keep_first(&error, add_interrupt(fdt, 8));
        keep_first(&error, fdt_end_node(fdt));
    }
    keep_first(&error, fdt_end_node(fdt));
    return error;
}

static int add_virtio(void *fdt, const MicrovmFdtConfig *config)
{
    int error = 0;

    for (unsigned i = 0; i < config->virtio_count; i++) {
        uint64_t base = config->virtio_base + (uint64_t)i * config->virtio_stride;

        if (!config->virtio_present[i]) {
            continue;
        }
        keep_first(&error, begin_node(fdt, "virtio_mmio", base));
        keep_first(&error, fdt_property_string(fdt, "compatible", "virtio,mmio"));
        keep_first(&error, add_reg(fdt, base, config->virtio_stride));
        keep_first(&error, add_interrupt(fdt, config->virtio_gsi + i));
        keep_first(&error, fdt_property(fdt, "dma-coherent", NULL, 0));
        keep_first(&error, fdt_end_node(fdt));
    }
    return error;
}

GBytes *microvm_fdt_build(const MicrovmFdtConfig *config, GError **error)
{
    g_autofree void *fdt = g_malloc0(FDT_SPACE);
    int failed = fdt_create(fdt, FDT_SPACE);

    keep_first(&failed, fdt_finish_reservemap(fdt));
    keep_first(&failed, fdt_begin_node(fdt, ""));
    keep_first(&failed, fdt_property_string(fdt, "compatible", "linux,dummy-virt"));
    keep_first(&failed, fdt_property_string(fdt, "model", "microvm"));
    keep_first(&failed, fdt_property_u32(fdt, "#address-cells", 2));
    keep_first(&failed, fdt_property_u32(fdt, "#size-cells", 2));
    keep_first(&failed, fdt_property_u32(fdt, "interrupt-parent", PHANDLE_IOAPIC));
    keep_first(&failed, add_chosen(fdt, config->bootargs));
    keep_first(&failed, add_cpus(fdt, config->cpu_count));
    keep_first(&failed, add_interrupt_controllers(fdt, config));
    keep_first(&failed, add_isa(fdt, config));
    keep_first(&failed, add_virtio(fdt, config));
    keep_first(&failed, fdt_end_node(fdt));
    keep_first(&failed, fdt_finish(fdt));
    if (failed) {
        error_setf(error, "cannot build the device tree: %s", fdt_strerror(failed));
        return NULL;
    }
    return g_bytes_new(fdt, fdt_totalsize(fdt));
}
