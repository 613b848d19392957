/* SPDX-License-Identifier: Apache-2.0 */
/* Human monitor: interrupt controllers, and what stands in ROM and in fw_cfg. */
#include <inttypes.h>

#include "hw/core/machine.h"
#include "hw/i386/x86.h"
#include "hw/intc/apic.h"
#include "memory/ram-block.h"
#include "monitor/hmp.h"
#include "system/hmp-machine.h"
#include "util/error.h"

static bool info_pic(Hmp *hmp, const HmpValue *values, GError **error)
{
    g_autofree char *text = device_irqs_describe();

    hmp_puts(hmp, text);
    return true;
}

static bool info_irq(Hmp *hmp, const HmpValue *values, GError **error)
{
    g_autofree char *text = device_irq_counts_describe();

    hmp_puts(hmp, text);
    return true;
}

/* The APIC of the monitor's CPU, or of the one with this APIC ID. */
static bool info_lapic(Hmp *hmp, const HmpValue *values, GError **error)
{
    bool by_id = values[0].present && values[0].number <= UINT32_MAX;
    VCpu *cpu = by_id ? vcpu_by_apic_id((uint32_t)values[0].number)
                : values[0].present ? NULL : vcpu_get(hmp_cpu(hmp));
    g_autofree char *text = NULL;

    if (!cpu) {
        error_setf(error, "There is no such CPU");
        return false;
    }
    text = apic_describe(cpu, error);
    if (!text) {
        return false;
    }
    hmp_puts(hmp, text);
    return true;
}

static bool print_rom(RamBlock *block, void *opaque)
{
    const MemoryRegion *region = ram_block_region(block);
    uint64_t addr;

    if (memory_region_is_rom(region) && memory_region_address(region, &addr)) {
        hmp_printf(opaque, "addr=%016" PRIx64 " size=0x%06" PRIx64 " mem=rom name=\"%s\"\n", addr,
                   ram_block_length(block), ram_block_idstr(block));
    }
    return true;
}

static void print_file(const char *name, uint32_t size, void *opaque)
{
    hmp_printf(opaque, "fw=%s size=0x%06x\n", name, size);
}

static bool info_roms(Hmp *hmp, const HmpValue *values, GError **error)
{
    X86Machine *machine = (X86Machine *)machine_current();

    ram_block_foreach(print_rom, hmp);
    if (!machine || !object_is_a(OBJECT(machine), TYPE_X86_MACHINE)) {
        return true;
    }
    for (unsigned i = 0; machine->direct && i < machine->direct->blobs->len; i++) {
        const BootBlob *blob = &g_array_index(machine->direct->blobs, BootBlob, i);
        gsize size = blob->data ? g_bytes_get_size(blob->data) : 0;

        hmp_printf(hmp, "addr=%016" PRIx64 " size=0x%06" PRIx64 " mem=ram name=\"%s\"\n",
                   blob->addr, size + blob->zeros, blob->name);
    }
    if (machine->fw_cfg) {
        fw_cfg_foreach_file(machine->fw_cfg, print_file, hmp);
    }
    return true;
}

static const HmpCommand chips_info[] = {
    { .name = "pic", .help = "state of the interrupt controllers", .run = info_pic },
    { .name = "irq", .help = "how often each interrupt line was raised", .run = info_irq },
    {
        .name = "lapic",
        .help = "a CPU's local APIC; the monitor's CPU, or the one with this APIC ID",
        .args = { { "apic-id", HMP_EXPR, .optional = true } },
        .run = info_lapic,
    },
    { .name = "roms", .help = "ROMs, what is written to RAM at reset, and fw_cfg's files",
      .run = info_roms },
    { .name = NULL },
};

void hmp_chips_register(void)
{
    hmp_add_info(chips_info);
}
