/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Intel 82540EM gigabit controller (8086:100e) on PCI: "e1000".
 *
 *   BAR 0  registers, 128 KiB of memory space
 *   BAR 1  64 I/O ports: 0 IOADDR, the offset of a register; 4 IODATA, that register
 *   ROM    iPXE, for booting from the network
 *
 * Here: registers, interrupts, life. e1000-tx.c and e1000-rx.c move frames, e1000-phy.c has the
 * link and the EEPROM.
 */
#include <string.h>

#include "hw/core/register.h"
#include "hw/net/e1000-internal.h"
#include "util/bits.h"

#define IO_ADDRESS 0
#define IO_DATA 4

/* ---- Interrupts ---- */

static void update_irq(E1000 *s)
{
    bool pending = *e1000_reg(s, E1000_ICR) & *e1000_reg(s, E1000_IMS);
    uint32_t interval = *e1000_reg(s, E1000_ITR) & ITR_INTERVAL;

    if (pending && !s->irq_level && s->mitigation && interval) {
        if (timer_pending(s->itr_timer)) {
            return; /* it will look again */
        }
        timer_mod(s->itr_timer, vm_clock_ns(VM_CLOCK_VIRTUAL) + interval * ITR_UNIT_NS);
    }
    if (pending != s->irq_level) {
        s->irq_level = pending;
        pci_set_irq(&s->parent_obj, pending);
    }
}

static void itr_over(void *opaque)
{
    update_irq(opaque);
}

void e1000_raise(E1000 *s, uint32_t causes)
{
    *e1000_reg(s, E1000_ICR) |= causes & ICR_ALL;
    update_irq(s);
}

void e1000_count(E1000 *s, uint32_t offset)
{
    uint32_t *reg = e1000_reg(s, offset);

    *reg += *reg != UINT32_MAX;
}

void e1000_count64(E1000 *s, uint32_t low, uint32_t bytes)
{
    uint64_t sum = (uint64_t)*e1000_reg(s, low + 4) << 32 | *e1000_reg(s, low);

    sum = sum + bytes < sum ? UINT64_MAX : sum + bytes;
    *e1000_reg(s, low) = sum;
    *e1000_reg(s, low + 4) = sum >> 32;
}

/* ---- Registers with a will of their own ---- */

static void reset_controller(E1000 *s);

static void ctrl_written(void *opaque, const RegisterInfo *reg, uint32_t value)
{
    E1000 *s = opaque;

    *e1000_reg(s, E1000_CTRL) &= ~(CTRL_RST | CTRL_PHY_RST);
    if (value & CTRL_RST) {
        reset_controller(s);
    } else if (value & CTRL_PHY_RST) {
        e1000_phy_reset(s);
    }
}

static uint32_t eecd_write(void *opaque, const RegisterInfo *reg, uint32_t value)
{
    e1000_eecd_write(opaque, value);
    return *e1000_reg(opaque, E1000_EECD);
}

static uint32_t eecd_read(void *opaque, const RegisterInfo *reg, uint32_t value)
{
    return e1000_eecd_read(opaque, value);
}

static uint32_t eerd_write(void *opaque, const RegisterInfo *reg, uint32_t value)
{
    return e1000_eerd(opaque, value);
}

static uint32_t mdic_write(void *opaque, const RegisterInfo *reg, uint32_t value)
{
    return e1000_mdic(opaque, value);
}

static uint32_t icr_read(void *opaque, const RegisterInfo *reg, uint32_t value)
{
    *e1000_reg(opaque, E1000_ICR) = 0;
    update_irq(opaque);
    return value;
}

static uint32_t ics_write(void *opaque, const RegisterInfo *reg, uint32_t value)
{
    e1000_raise(opaque, value);
    return 0;
}

static uint32_t ims_write(void *opaque, const RegisterInfo *reg, uint32_t value)
{
    return *e1000_reg(opaque, E1000_IMS) | (value & ICR_ALL);
}

static uint32_t imc_write(void *opaque, const RegisterInfo *reg, uint32_t value)
{
    *e1000_reg(opaque, E1000_IMS) &= ~value;
    return 0;
}

static void irq_regs_written(void *opaque, const RegisterInfo *reg, uint32_t value)
{
    update_irq(opaque);
}

static uint32_t rdtr_write(void *opaque, const RegisterInfo *reg, uint32_t value)
{
    if (value & RDTR_FPD) {
        e1000_delay_flush_rx(opaque);
    }
    return value & ~RDTR_FPD;
}

static void rx_regs_written(void *opaque, const RegisterInfo *reg, uint32_t value)
{
    E1000 *s = opaque;

    net_ready(s->nic.clients[0]);
}

static void tx_regs_written(void *opaque, const RegisterInfo *reg, uint32_t value)
{
    e1000_transmit(opaque);
}

/* ---- The table ---- */

#define RW(n) { .name = #n, .offset = E1000_##n }
#define RO(n) { .name = #n, .offset = E1000_##n, .ro = UINT32_MAX }
/* Bits that are not in mask read as zero. */
#define MASKED(n, mask) { .name = #n, .offset = E1000_##n, .rsvd = ~(uint32_t)(mask) }
#define STAT(at) { .name = "statistics", .offset = (at), .ro = UINT32_MAX, .cor = UINT32_MAX }
#define STAT4(at) STAT(at), STAT((at) + 4), STAT((at) + 8), STAT((at) + 12)
#define STAT16(at) STAT4(at), STAT4((at) + 16), STAT4((at) + 32), STAT4((at) + 48)

#define STATUS_RESET (STATUS_FD | STATUS_LU | STATUS_SPEED_1000 | STATUS_ASDV_1000 | STATUS_MTXCKOK)
#define CTRL_RESET 0x00140240 /* link up is asked for, 1000 Mb/s, software pins as outputs */
#define MANC_RESET 0x00002000 /* ARP requests go to the host */
#define PBA_RESET 0x00100030  /* 48 KiB for reception, 16 KiB for transmission */

static const RegisterInfo regs[] = {
    { .name = "CTRL", .offset = E1000_CTRL, .reset = CTRL_RESET, .post_write = ctrl_written },
    { .name = "STATUS", .offset = E1000_STATUS, .reset = STATUS_RESET, .ro = UINT32_MAX },
    { .name = "EECD", .offset = E1000_EECD, .pre_write = eecd_write, .post_read = eecd_read },
    { .name = "EERD", .offset = E1000_EERD, .pre_write = eerd_write },
    RW(CTRL_EXT),
    { .name = "MDIC", .offset = E1000_MDIC, .reset = MDIC_READY, .pre_write = mdic_write },
    RW(FCAL), MASKED(FCAH, 0xffff), MASKED(FCT, 0xffff),
    { .name = "VET", .offset = E1000_VET, .reset = 0x8100, .rsvd = 0xffff0000 },
    { .name = "ICR", .offset = E1000_ICR, .w1c = UINT32_MAX, .post_read = icr_read,
      .post_write = irq_regs_written },
    MASKED(ITR, ITR_INTERVAL),
    { .name = "ICS", .offset = E1000_ICS, .pre_write = ics_write },
    { .name = "IMS", .offset = E1000_IMS, .pre_write = ims_write, .post_write = irq_regs_written },
    { .name = "IMC", .offset = E1000_IMC, .pre_write = imc_write, .post_write = irq_regs_written },
    { .name = "RCTL", .offset = E1000_RCTL, .rsvd = 0xf8204c01, .post_write = rx_regs_written },
    MASKED(FCTTV, 0xffff), RW(TXCW), RO(RXCW),
    { .name = "TCTL", .offset = E1000_TCTL, .post_write = tx_regs_written },
    RW(TIPG), RW(TBT), MASKED(AIFS, 0xffff),
    { .name = "LEDCTL", .offset = E1000_LEDCTL, .reset = 0x07061302 },
    { .name = "PBA", .offset = E1000_PBA, .reset = PBA_RESET },
    MASKED(FCRTL, 0x8000fff8), MASKED(FCRTH, 0x0000fff8),
    MASKED(RDFH, 0x1fff), MASKED(RDFT, 0x1fff), MASKED(RDFHS, 0x1fff), MASKED(RDFTS, 0x1fff),
    MASKED(RDFPC, 0x1fff),
    MASKED(RDBAL, E1000_RING_BASE_MASK), RW(RDBAH), MASKED(RDLEN, E1000_RING_LEN_MASK),
    MASKED(RDH, E1000_RING_INDEX_MASK),
    { .name = "RDT", .offset = E1000_RDT, .rsvd = ~E1000_RING_INDEX_MASK,
      .post_write = rx_regs_written },
    { .name = "RDTR", .offset = E1000_RDTR, .rsvd = 0x7fff0000, .pre_write = rdtr_write },
    RW(RXDCTL), MASKED(RADV, 0xffff), MASKED(RSRPD, 0x0fff), RW(TXDMAC),
    MASKED(TDFH, 0x1fff), MASKED(TDFT, 0x1fff), MASKED(TDFHS, 0x1fff), MASKED(TDFTS, 0x1fff),
    MASKED(TDFPC, 0x1fff),
    MASKED(TDBAL, E1000_RING_BASE_MASK), RW(TDBAH), MASKED(TDLEN, E1000_RING_LEN_MASK),
    MASKED(TDH, E1000_RING_INDEX_MASK),
    { .name = "TDT", .offset = E1000_TDT, .rsvd = ~E1000_RING_INDEX_MASK,
      .post_write = tx_regs_written },
    MASKED(TIDV, 0xffff), RW(TXDCTL), MASKED(TADV, 0xffff), RW(TSPMT),
    STAT16(0x4000), STAT16(0x4040), STAT16(0x4080), STAT16(0x40c0),
    RW(RXCSUM), RW(WUC), RW(WUFC), RW(WUS),
    { .name = "MANC", .offset = E1000_MANC, .reset = MANC_RESET },
    RW(IPAV), RO(WUPL), RW(SWSM),
};

static const RegisterBlock register_block = {
    .regs = regs,
    .count = G_N_ELEMENTS(regs),
    .size = E1000_REGS_SIZE,
    .name = "e1000",
};

/* Tables of plain words. */
static bool is_filter_table(uint64_t offset)
{
    return (offset >= E1000_MTA && offset < E1000_RA_END) ||
           (offset >= E1000_VFTA && offset < E1000_VFTA_END);
}

static uint64_t mmio_read(void *opaque, uint64_t offset, unsigned size)
{
    E1000 *s = opaque;

    if (is_filter_table(offset)) {
        return *e1000_reg(s, offset);
    }
    return register_read(&register_block, s->regs, s, offset);
}

static void mmio_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    E1000 *s = opaque;

    if (is_filter_table(offset)) {
        *e1000_reg(s, offset) = value;
    } else {
        register_write(&register_block, s->regs, s, offset, value);
    }
}

static const MemoryRegionOps mmio_ops = {
    .read = mmio_read,
    .write = mmio_write,
    .impl = { .min = 4, .max = 4 },
};

static uint64_t io_read(void *opaque, uint64_t offset, unsigned size)
{
    E1000 *s = opaque;

    if (offset == IO_ADDRESS) {
        return s->io_address;
    }
    return offset == IO_DATA && s->io_address < E1000_MMIO_SIZE
               ? mmio_read(s, s->io_address & ~3u, 4) : 0;
}

static void io_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    E1000 *s = opaque;

    if (offset == IO_ADDRESS) {
        s->io_address = value;
    } else if (offset == IO_DATA && s->io_address < E1000_MMIO_SIZE) {
        mmio_write(s, s->io_address & ~3u, value, 4);
    }
}

static const MemoryRegionOps io_ops = {
    .read = io_read,
    .write = io_write,
    .impl = { .min = 4, .max = 4 },
};

/* ---- The network's side ---- */

static bool nic_can_receive(NetClient *nc)
{
    E1000 *s = nc->opaque;

    return s->run.running && e1000_can_receive(s);
}

static int nic_receive(NetClient *nc, const NetPacket *packet)
{
    return e1000_receive(nc->opaque, packet);
}

static void nic_link_changed(NetClient *nc)
{
    e1000_link_changed(nc->opaque);
}

static RxFilterInfo *nic_rx_filter(NetClient *nc)
{
    return e1000_rx_filter(nc->opaque);
}

static const NetClientOps nic_ops = {
    .kind = NET_CLIENT_DRIVER_NIC,
    .can_receive = nic_can_receive,
    .receive = nic_receive,
    .link_changed = nic_link_changed,
    .rx_filter = nic_rx_filter,
};

/* ---- Life ---- */

static void reset_controller(E1000 *s)
{
    const uint8_t *mac = s->nic.mac;

    timer_del(s->itr_timer);
    e1000_delay_stop(&s->rx_delay);
    e1000_delay_stop(&s->tx_delay);
    memset(s->regs, 0, sizeof(s->regs));
    register_reset(&register_block, s->regs);
    *e1000_reg(s, E1000_RA) = ldl_le(mac);
    *e1000_reg(s, E1000_RA + 4) = ldw_le(mac + 4) | RAH_AV;
    e1000_microwire_reset(s);
    e1000_phy_reset(s);
    *e1000_reg(s, E1000_ICR) = 0;
    s->context = (E1000Context){ 0 };
    s->frame_len = 0;
    s->frame_bad = false;
    s->frame_tse = false;
    s->frame_popts = 0;
    s->io_address = 0;
    update_irq(s);
}

static void e1000_reset(Device *dev)
{
    E1000 *s = (E1000 *)dev;

    reset_controller(s);
    nic_set_mac(&s->nic, s->nic.mac);
    net_purge(s->nic.clients[0]);
}

static bool e1000_realize(Device *dev, GError **error)
{
    E1000 *s = (E1000 *)dev;

    nic_start(&s->nic, &nic_ops, "e1000", dev->id, 1, s);
    nic_run_init(&s->run, &s->nic);
    e1000_eeprom_init(s);
    s->frame = g_malloc(NET_MAX_FRAME);
    s->itr_timer = timer_new_virtual(itr_over, s);
    e1000_delay_init(s);
    s->mmio = memory_region_new_io(OBJECT(dev), &mmio_ops, s, "e1000-mmio", E1000_MMIO_SIZE);
    s->io = memory_region_new_io(OBJECT(dev), &io_ops, s, "e1000-io", E1000_IO_SIZE);
    pci_register_bar(&s->parent_obj, 0, PCI_BAR_MEM32, s->mmio);
    pci_register_bar(&s->parent_obj, 1, PCI_BAR_IO, s->io);
    return true;
}

static void e1000_unrealize(Device *dev)
{
    E1000 *s = (E1000 *)dev;

    nic_run_cleanup(&s->run);
    nic_stop(&s->nic);
    g_clear_pointer(&s->itr_timer, timer_free);
    e1000_delay_cleanup(s);
    g_clear_pointer(&s->frame, g_free);
}

static void e1000_finalize(Object *obj)
{
    E1000 *s = (E1000 *)obj;

    g_clear_pointer(&s->mmio, memory_region_free);
    g_clear_pointer(&s->io, memory_region_free);
}

static bool e1000_post_load(void *opaque, int version, GError **error)
{
    E1000 *s = opaque;

    s->microwire.address %= E1000_EEPROM_WORDS;
    s->microwire.bits_out &= 15;
    s->microwire.bits_in = MIN(s->microwire.bits_in, 3 + E1000_EEPROM_ADDR_BITS);
    s->irq_level = *e1000_reg(s, E1000_ICR) & *e1000_reg(s, E1000_IMS) &&
                   !timer_pending(s->itr_timer);
    pci_set_irq(&s->parent_obj, s->irq_level);
    return true;
}

static const VmState context_vmstate = {
    .name = "e1000-context",
    .version = 1,
    .minimum_version = 1,
    .fields = (const VmStateField[]) {
        VMSTATE_U8(E1000Context, ip_start), VMSTATE_U8(E1000Context, ip_at),
        VMSTATE_U16(E1000Context, ip_end), VMSTATE_U8(E1000Context, tu_start),
        VMSTATE_U8(E1000Context, tu_at), VMSTATE_U16(E1000Context, tu_end),
        VMSTATE_U32(E1000Context, payload), VMSTATE_U8(E1000Context, header_len),
        VMSTATE_U8(E1000Context, command), VMSTATE_U16(E1000Context, mss),
        VMSTATE_END
    },
};

static const VmState e1000_vmstate = {
    .name = "e1000",
    .version = 2,
    .minimum_version = 2,
    .fields = (const VmStateField[]) {
        VMSTATE_PCI_DEVICE(E1000),
        VMSTATE_U32_ARRAY(E1000, regs),
        VMSTATE_U32(E1000, io_address),
        VMSTATE_U16_ARRAY(E1000, phy),
        VMSTATE_U32(E1000, microwire.shift_in), VMSTATE_U8(E1000, microwire.bits_in),
        VMSTATE_BOOL(E1000, microwire.reading), VMSTATE_U8(E1000, microwire.bits_out),
        VMSTATE_U16(E1000, microwire.address), VMSTATE_BOOL(E1000, microwire.data_out),
        VMSTATE_TIMER(E1000, itr_timer),
        VMSTATE_STRUCT(E1000, rx_delay, e1000_delay_vmstate),
        VMSTATE_STRUCT(E1000, tx_delay, e1000_delay_vmstate),
        VMSTATE_STRUCT(E1000, context, context_vmstate),
        VMSTATE_U32(E1000, frame_len),
        VMSTATE_VBUFFER(E1000, frame, frame_len, NET_MAX_FRAME),
        VMSTATE_BOOL(E1000, frame_bad), VMSTATE_BOOL(E1000, frame_tse),
        VMSTATE_U8(E1000, frame_popts),
        VMSTATE_END
    },
    .post_load = e1000_post_load,
};

static const Property e1000_properties[] = {
    NIC_PROPERTIES(E1000, nic),
    PROP_BOOTINDEX("bootindex", E1000, bootindex),
    PROP_BOOL("mitigation", E1000, mitigation, true, "obey ITR and the delay timers"),
    PROP_END,
};

static char *e1000_boot_path(Device *dev)
{
    return g_strdup("/ethernet-phy@0");
}

static const DeviceHooks e1000_hooks = {
    .realize = e1000_realize,
    .unrealize = e1000_unrealize,
    .reset = e1000_reset,
    .vmstate = &e1000_vmstate,
    .boot_path = e1000_boot_path,
    .category = DEVICE_CATEGORY_NETWORK,
    .hotpluggable = true,
};

static const PciDeviceOps e1000_pci_ops = {
    .vendor_id = 0x8086,
    .device_id = 0x100e,
    .class_id = 0x0200,
    .revision = 3,
    .interrupt_pin = 1,
    .romfile = "efi-e1000.rom",
};

static const char *const e1000_aliases[] = { "e1000-82540em", NULL };

static const TypeInfo e1000_type = {
    .name = "e1000",
    .parent = TYPE_PCI_DEVICE,
    .description = "Intel Gigabit Ethernet",
    .instance_size = sizeof(E1000),
    .user_creatable = true,
    .aliases = e1000_aliases,
    .properties = e1000_properties,
    .instance_finalize = e1000_finalize,
    .hooks = &e1000_hooks,
    .ops = &e1000_pci_ops,
};
QOM_TYPE(e1000_type);
