/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bochs' display interface (DISPI), ID 0xb0c5: 16-bit registers behind an index, at ports 0x1ce and
 * 0x1cf and in the PCI device's register BAR.
 *
 *   0 ID            0xb0c0..0xb0c5 may be written, the highest that is taken back is the version
 *   1 XRES, 2 YRES, 3 BPP (4, 8, 15, 16, 24, 32): kept from 0x00 to the next enable
 *   4 ENABLE        0 enabled, 1 GETCAPS (1..3 read as the maxima), 5 8-bit DAC, 6 LFB, 7 keep
 *                   memory
 *   5 BANK          64 KiB bank at 0xa0000
 *   6 VIRT_WIDTH, 7 VIRT_HEIGHT (ro), 8 X_OFFSET, 9 Y_OFFSET
 *   a VIDEO_MEMORY_64K (ro)
 *
 * Every write of a mode register while enabled is brought within video memory at once, so that
 * whoever shows the picture needs no further checks.
 */
#include "hw/display/vga-internal.h"

#include "util/error.h"

#define VBE_ID_FIRST 0xb0c0
#define VBE_ID_LAST 0xb0c5
#define XRES_MAX 16000
#define YRES_MAX 12000
#define BPP_MAX 32
#define BANK_SIZE 0x10000u
/* What a legacy program must find to draw through the window in a VBE mode. */
#define GFX_MISC_MAP_MASK 0x0c
#define GFX_MISC_MAP_64K 0x04
#define ATTR_MODE 0x10

static bool is_depth(unsigned bpp)
{
    return bpp == 4 || bpp == 8 || bpp == 15 || bpp == 16 || bpp == 24 || bpp == 32;
}

static unsigned pixel_bits(const Vga *vga)
{
    return vga->vbe[VBE_BPP] == 15 ? 16 : vga->vbe[VBE_BPP];
}

static uint32_t bytes_for(const Vga *vga, uint32_t pixels)
{
    return vga->vbe[VBE_BPP] == 4 ? pixels / 8 * 4 : pixels * pixel_bits(vga) / 8;
}

/* Make the mode registers agree with one another and with the size of video memory. */
static void fit_mode(Vga *vga)
{
    uint16_t *vbe = vga->vbe;
    uint32_t lines, offset;

    if (!is_depth(vbe[VBE_BPP])) {
        vbe[VBE_BPP] = 8;
    }
    vbe[VBE_XRES] = CLAMP(vbe[VBE_XRES] & ~7u, 8, XRES_MAX);
    vbe[VBE_VIRT_WIDTH] = CLAMP(vbe[VBE_VIRT_WIDTH] & ~7u, vbe[VBE_XRES], XRES_MAX);
    vga->line_bytes = bytes_for(vga, vbe[VBE_VIRT_WIDTH]);
    lines = MIN(vga->size / vga->line_bytes, UINT16_MAX);
    vbe[VBE_YRES] = CLAMP(vbe[VBE_YRES], 1, MIN(lines, YRES_MAX));
    vbe[VBE_VIRT_HEIGHT] = lines;
    vbe[VBE_X_OFFSET] = MIN(vbe[VBE_X_OFFSET], vbe[VBE_VIRT_WIDTH]);
    offset = bytes_for(vga, vbe[VBE_X_OFFSET]) + (uint32_t)vbe[VBE_YRES] * vga->line_bytes;
    if (offset > vga->size) {
        vbe[VBE_X_OFFSET] = 0;
        offset = (uint32_t)vbe[VBE_YRES] * vga->line_bytes;
    }
    vbe[VBE_Y_OFFSET] = MIN(vbe[VBE_Y_OFFSET], (vga->size - offset) / vga->line_bytes);
}

static void open_window(Vga *vga)
{
    vga->gfx[GFX_MISC] = (vga->gfx[GFX_MISC] & ~GFX_MISC_MAP_MASK) | GFX_MISC_MAP_64K |
                         GFX_MISC_GRAPHICS;
    vga->gfx[GFX_MODE] &= ~GFX_MODE_ODD_EVEN;
    vga->seq[SEQ_PLANE_MASK] = 0x0f;
    if (vga->vbe[VBE_BPP] == 4) {
        vga->seq[SEQ_MEMORY_MODE] &= ~SEQ_CHAIN4;
    } else {
        vga->seq[SEQ_MEMORY_MODE] |= SEQ_CHAIN4;
    }
    vga->attr[ATTR_MODE] |= 1;
}

static void write_enable(Vga *vga, uint16_t value)
{
    bool was = vga_vbe_enabled(vga);

    if ((value & VBE_ENABLED) && !was) {
        vga->vbe[VBE_VIRT_WIDTH] = 0;
        vga->vbe[VBE_X_OFFSET] = 0;
        vga->vbe[VBE_Y_OFFSET] = 0;
        vga->vbe[VBE_ENABLE] = value;
        fit_mode(vga);
        if (!(value & VBE_NOCLEARMEM)) {
            uint64_t bytes = (uint64_t)vga->vbe[VBE_YRES] * vga->line_bytes;

            memset(vga->mem, 0, bytes);
            memory_region_set_dirty(vga->vram, 0, bytes);
        }
        open_window(vga);
    } else if (!(value & VBE_ENABLED)) {
        vga->bank_offset = 0;
    }
    vga->vbe[VBE_ENABLE] = value;
}

static uint16_t capability(const Vga *vga, enum VbeRegister index)
{
    switch (index) {
    case VBE_XRES: return XRES_MAX;
    case VBE_YRES: return YRES_MAX;
    case VBE_BPP: return BPP_MAX;
    default: return vga->vbe[index];
    }
}

uint16_t vga_vbe_read(Vga *vga, unsigned index)
{
    if (index < VBE__MAX) {
        return vga->vbe[VBE_ENABLE] & VBE_GETCAPS ? capability(vga, index) : vga->vbe[index];
    }
    return index == VBE_MEMORY_64K ? vga->size / BANK_SIZE : 0;
}

void vga_vbe_write(Vga *vga, unsigned index, uint16_t value)
{
    switch (index) {
    case VBE_ID:
        if (value >= VBE_ID_FIRST && value <= VBE_ID_LAST) {
            vga->vbe[VBE_ID] = value;
        }
        return;
    case VBE_ENABLE:
        write_enable(vga, value);
        return;
    case VBE_BANK:
        vga->vbe[VBE_BANK] = value & (vga->size / BANK_SIZE - 1);
        /* Planes are interleaved: a bank of a 4-bit mode is 64 Ki words. */
        vga->bank_offset = vga->vbe[VBE_BANK] * BANK_SIZE;
        return;
    case VBE_XRES:
    case VBE_YRES:
    case VBE_BPP:
    case VBE_VIRT_WIDTH:
    case VBE_X_OFFSET:
    case VBE_Y_OFFSET:
        vga->vbe[index] = value;
        if (vga_vbe_enabled(vga)) {
            fit_mode(vga);
        }
        return;
    }
}

bool vga_vbe_check(Vga *vga, GError **error)
{
    if (vga->bank_offset >= vga->size) {
        error_setf(error, "vga: the saved bank lies outside of the video memory");
        return false;
    }
    if (vga_vbe_enabled(vga)) {
        fit_mode(vga);
    }
    return true;
}

/* Port 0x1ce is the index; 0x1cf and 0x1d0 are the data. */
static uint64_t vbe_ports_read(void *opaque, uint64_t offset, unsigned size)
{
    Vga *vga = opaque;

    return offset == 0 ? vga->vbe_index : vga_vbe_read(vga, vga->vbe_index);
}

static void vbe_ports_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Vga *vga = opaque;

    if (offset == 0) {
        vga->vbe_index = value;
    } else {
        vga_vbe_write(vga, vga->vbe_index, value);
    }
}

const MemoryRegionOps vga_vbe_ports_ops = {
    .read = vbe_ports_read,
    .write = vbe_ports_write,
    .valid = { .min = 1, .max = 2, .unaligned = true },
    .impl = { .min = 1, .max = 2, .unaligned = true },
};
