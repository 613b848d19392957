/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VGA register files (IBM VGA Technical Reference, 1987; FreeVGA for the ports), ports
 * 0x3b0..0x3df:
 *
 *   3b4/3b5 or 3d4/3d5  CRTC index, data; which pair answers is MISC bit 0 (1: 3dx)
 *   3ba or 3da          r: input status 1 (0 display inactive, 3 vertical retrace; also resets the
 *                       attribute flip-flop); w: feature control
 *   3c0 w               attribute index (5: palette in use) and data, in turn; 3c0/3c1 r
 *   3c2                 w: MISC; r: input status 0 (4: a monitor is sensed)
 *   3c4/3c5             sequencer index, data
 *   3c6                 pixel mask
 *   3c7 w, 3c8, 3c9     DAC read index, write index, data (three components); 3c7 r: state
 *   3ca r, 3cc r        feature control, MISC
 *   3ce/3cf             graphics controller index, data
 *
 * Reserved bits read as zero; unknown indexes hold nothing. Retrace follows the virtual clock at
 * 640x480, 60 Hz, whatever the mode: guests only wait for it to come and go.
 */
#include "hw/display/vga-internal.h"

#include "util/error.h"
#include "util/timer.h"

#define VRAM_MB_MAX 512
#define LINE_NS 31778
#define LINE_VISIBLE_NS 25422
#define FRAME_LINES 525
#define FRAME_VISIBLE_LINES 480
#define RETRACE_FIRST_LINE 490
#define RETRACE_LINES 12 /* longer than the monitor's 2, so that slow guests do not miss it */

enum { MISC_COLOR = 0x01 };
enum { STATUS0_SENSE = 0x10 };
enum { STATUS1_INACTIVE = 0x01, STATUS1_RETRACE = 0x08 };
enum { CRTC_PROTECT = 0x80, CRTC_OVERFLOW_LINE_COMPARE = 0x10 };
enum { ATTR_INDEX_MASK = 0x1f, ATTR_PALETTE_ON = 0x20 };
enum { DAC_WRITING = 0, DAC_READING = 3 };

static const uint8_t seq_mask[SEQ__MAX] = { 0x03, 0x3d, 0x0f, 0x3f, 0x0e, 0, 0, 0xff };
static const uint8_t gfx_mask[GFX__MAX] = { 0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff };
static const uint8_t attr_mask[ATTR_MAX] = {
    [0 ... 15] = 0x3f, [16] = 0xef, [17] = 0xff, [18] = 0x3f, [19] = 0x0f, [20] = 0x0f,
};

static uint8_t status1(void)
{
    int64_t ns = vm_clock_ns(VM_CLOCK_VIRTUAL);
    int64_t line = ns / LINE_NS % FRAME_LINES;
    uint8_t value = 0;

    if (line >= FRAME_VISIBLE_LINES || ns % LINE_NS >= LINE_VISIBLE_NS) {
        value |= STATUS1_INACTIVE;
    }
    if (line >= RETRACE_FIRST_LINE && line < RETRACE_FIRST_LINE + RETRACE_LINES) {
        value |= STATUS1_RETRACE;
    }
    return value;
}

/* Does the port belong to the half that MISC bit 0 switches off? */
static bool is_deaf(const Vga *vga, enum VgaPort port)
{
    bool color = vga->misc & MISC_COLOR;

    return color ? port < VGA_ATTR : port >= VGA_COLOR_CRTC_INDEX - 4;
}

static uint8_t read_dac(Vga *vga)
{
    uint8_t value = vga->palette[vga->dac_read_index * 3 + vga->dac_component];

    if (++vga->dac_component == 3) {
        vga->dac_component = 0;
        vga->dac_read_index++;
    }
    return value;
}

static void write_dac(Vga *vga, uint8_t value)
{
    bool wide = vga->vbe[VBE_ENABLE] & VBE_8BIT_DAC;

    vga->dac_pending[vga->dac_component] = wide ? value : value & 0x3f;
    if (++vga->dac_component == 3) {
        memcpy(&vga->palette[vga->dac_write_index * 3], vga->dac_pending, 3);
        vga->dac_component = 0;
        vga->dac_write_index++;
    }
}

static uint8_t read_attr(const Vga *vga)
{
    unsigned index = vga->attr_index & ATTR_INDEX_MASK;

    return index < ATTR_MAX ? vga->attr[index] : 0;
}

static void write_attr(Vga *vga, uint8_t value)
{
    unsigned index = vga->attr_index & ATTR_INDEX_MASK;

    if (!vga->attr_data) {
        vga->attr_index = value & (ATTR_INDEX_MASK | ATTR_PALETTE_ON);
    } else if (index < ATTR_MAX) {
        vga->attr[index] = value & attr_mask[index];
    }
    vga->attr_data = !vga->attr_data;
}

static void write_crtc(Vga *vga, uint8_t value)
{
    /* Horizontal timing and more can be protected, but for one bit. */
    if (vga->crtc_index <= CRTC_OVERFLOW && (vga->crtc[CRTC_RETRACE_END] & CRTC_PROTECT)) {
        if (vga->crtc_index == CRTC_OVERFLOW) {
            vga->crtc[CRTC_OVERFLOW] = (vga->crtc[CRTC_OVERFLOW] & ~CRTC_OVERFLOW_LINE_COMPARE) |
                                       (value & CRTC_OVERFLOW_LINE_COMPARE);
        }
        return;
    }
    vga->crtc[vga->crtc_index] = value;
}

uint8_t vga_port_read(Vga *vga, enum VgaPort port)
{
    if (is_deaf(vga, port)) {
        return 0xff;
    }
    switch (port) {
    case VGA_ATTR: return vga->attr_data ? 0 : vga->attr_index;
    case VGA_ATTR_READ: return read_attr(vga);
    case VGA_MISC_WRITE: return STATUS0_SENSE;
    case VGA_SEQ_INDEX: return vga->seq_index;
    case VGA_SEQ_DATA: return vga->seq[vga->seq_index];
    case VGA_PEL_MASK: return vga->pel_mask;
    case VGA_DAC_READ_INDEX: return vga->dac_state;
    case VGA_DAC_WRITE_INDEX: return vga->dac_write_index;
    case VGA_DAC_DATA: return read_dac(vga);
    case VGA_FEATURE_READ: return vga->feature;
    case VGA_MISC_READ: return vga->misc;
    case VGA_GFX_INDEX: return vga->gfx_index;
    case VGA_GFX_DATA: return vga->gfx[vga->gfx_index];
    case VGA_MONO_CRTC_INDEX:
    case VGA_COLOR_CRTC_INDEX: return vga->crtc_index;
    case VGA_MONO_CRTC_DATA:
    case VGA_COLOR_CRTC_DATA: return vga->crtc[vga->crtc_index];
    case VGA_MONO_STATUS1:
    case VGA_COLOR_STATUS1:
        vga->attr_data = false;
        return status1();
    }
    return 0xff;
}

void vga_port_write(Vga *vga, enum VgaPort port, uint8_t value)
{
    if (is_deaf(vga, port)) {
        return;
    }
    switch (port) {
    case VGA_ATTR:
        write_attr(vga, value);
        break;
    case VGA_MISC_WRITE:
        vga->misc = value & ~0x10;
        break;
    case VGA_SEQ_INDEX:
        vga->seq_index = value % SEQ__MAX;
        break;
    case VGA_SEQ_DATA:
        vga->seq[vga->seq_index] = value & seq_mask[vga->seq_index];
        break;
    case VGA_PEL_MASK:
        vga->pel_mask = value;
        break;
    case VGA_DAC_READ_INDEX:
        vga->dac_read_index = value;
        vga->dac_component = 0;
        vga->dac_state = DAC_READING;
        break;
    case VGA_DAC_WRITE_INDEX:
        vga->dac_write_index = value;
        vga->dac_component = 0;
        vga->dac_state = DAC_WRITING;
        break;
    case VGA_DAC_DATA:
        write_dac(vga, value);
        break;
    case VGA_GFX_INDEX:
        vga->gfx_index = value % GFX__MAX;
        break;
    case VGA_GFX_DATA:
        vga->gfx[vga->gfx_index] = value & gfx_mask[vga->gfx_index];
        break;
    case VGA_MONO_CRTC_INDEX:
    case VGA_COLOR_CRTC_INDEX:
        vga->crtc_index = value;
        break;
    case VGA_MONO_CRTC_DATA:
    case VGA_COLOR_CRTC_DATA:
        write_crtc(vga, value);
        break;
    case VGA_MONO_STATUS1:
    case VGA_COLOR_STATUS1:
        vga->feature = value & 0x10;
        break;
    case VGA_ATTR_READ:
    case VGA_FEATURE_READ:
    case VGA_MISC_READ:
        break;
    }
}

static uint64_t ports_read(void *opaque, uint64_t offset, unsigned size)
{
    return vga_port_read(opaque, offset);
}

static void ports_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    vga_port_write(opaque, offset, value);
}

/* A word written to an index port writes its data port too. */
const MemoryRegionOps vga_ports_ops = {
    .read = ports_read,
    .write = ports_write,
    .impl = { .min = 1, .max = 1 },
};

void vga_reset(Vga *vga)
{
    vga->misc = 0;
    vga->feature = 0;
    vga->seq_index = 0;
    memset(vga->seq, 0, sizeof(vga->seq));
    vga->gfx_index = 0;
    memset(vga->gfx, 0, sizeof(vga->gfx));
    vga->crtc_index = 0;
    memset(vga->crtc, 0, sizeof(vga->crtc));
    vga->attr_index = 0;
    vga->attr_data = false;
    memset(vga->attr, 0, sizeof(vga->attr));
    vga->pel_mask = 0xff;
    vga->dac_state = DAC_WRITING;
    vga->dac_read_index = 0;
    vga->dac_write_index = 0;
    vga->dac_component = 0;
    memset(vga->palette, 0, sizeof(vga->palette));
    vga->latch = 0;
    vga->vbe_index = 0;
    memset(vga->vbe, 0, sizeof(vga->vbe));
    vga->vbe[VBE_ID] = 0xb0c5;
    vga->bank_offset = 0;
    vga->line_bytes = 0;
    vga->big_endian = false;
}

/* The property's size, made a power of two within what a BAR can reasonably hold. */
static uint32_t vram_bytes(uint32_t megabytes)
{
    uint32_t size = 1;

    megabytes = CLAMP(megabytes, 1, VRAM_MB_MAX);
    while (size < megabytes) {
        size <<= 1;
    }
    return size * MiB;
}

bool vga_init(Vga *vga, Object *owner, GError **error)
{
    vga->size = vram_bytes(vga->vram_mb);
    vga->vram_mb = vga->size / MiB;
    vga->vram = memory_region_new_ram(owner, "vga.vram", vga->size, error);
    if (!vga->vram) {
        return false;
    }
    vga->mem = memory_region_ram_ptr(vga->vram);
    vga->legacy = memory_region_new_io(owner, &vga_legacy_ops, vga, "vga-lowmem", VGA_LEGACY_SIZE);
    vga->ports = memory_region_new_io(owner, &vga_ports_ops, vga, "vga", VGA_PORT_COUNT);
    vga->vbe_ports = memory_region_new_io(owner, &vga_vbe_ports_ops, vga, "vbe", VBE_PORTS);
    return true;
}

void vga_cleanup(Vga *vga)
{
    g_clear_pointer(&vga->legacy, memory_region_free);
    g_clear_pointer(&vga->ports, memory_region_free);
    g_clear_pointer(&vga->vbe_ports, memory_region_free);
    g_clear_pointer(&vga->vram, memory_region_free);
}

static bool vga_post_load(void *opaque, int version, GError **error)
{
    Vga *vga = opaque;

    if (vga->seq_index >= SEQ__MAX || vga->gfx_index >= GFX__MAX || vga->dac_component > 2) {
        error_setf(error, "vga: a saved register index is out of range");
        return false;
    }
    return vga_vbe_check(vga, error);
}

const VmState vga_vmstate = {
    .name = "vga",
    .version = 1,
    .minimum_version = 1,
    .post_load = vga_post_load,
    .fields = (const VmStateField[]) {
        VMSTATE_U8(Vga, misc),
        VMSTATE_U8(Vga, feature),
        VMSTATE_U8(Vga, seq_index),
        VMSTATE_BUFFER(Vga, seq),
        VMSTATE_U8(Vga, gfx_index),
        VMSTATE_BUFFER(Vga, gfx),
        VMSTATE_U8(Vga, crtc_index),
        VMSTATE_BUFFER(Vga, crtc),
        VMSTATE_U8(Vga, attr_index),
        VMSTATE_BUFFER(Vga, attr),
        VMSTATE_BOOL(Vga, attr_data),
        VMSTATE_U8(Vga, pel_mask),
        VMSTATE_U8(Vga, dac_state),
        VMSTATE_U8(Vga, dac_read_index),
        VMSTATE_U8(Vga, dac_write_index),
        VMSTATE_U8(Vga, dac_component),
        VMSTATE_BUFFER(Vga, dac_pending),
        VMSTATE_BUFFER(Vga, palette),
        VMSTATE_U32(Vga, latch),
        VMSTATE_U16(Vga, vbe_index),
        VMSTATE_U16_ARRAY(Vga, vbe),
        VMSTATE_U32(Vga, bank_offset),
        VMSTATE_U32(Vga, line_bytes),
        VMSTATE_BOOL(Vga, big_endian),
        VMSTATE_END
    },
};
