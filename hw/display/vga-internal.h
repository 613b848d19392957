/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The VGA core that the PCI and ISA devices embed: vga.c (registers), vga-memory.c (the legacy
 * window), vga-vbe.c (Bochs' DISPI registers), vga-text.c.
 */
#ifndef VIREO_HW_DISPLAY_VGA_INTERNAL_H
#define VIREO_HW_DISPLAY_VGA_INTERNAL_H

#include "hw/display/vga.h"

#include "memory/memory.h"
#include "util/bits.h"

#define VGA_LEGACY_BASE 0xa0000
#define VGA_LEGACY_SIZE 0x20000
#define VGA_PORT_BASE 0x3b0
#define VGA_PORT_COUNT 0x30
#define VBE_PORT_INDEX 0x1ce
#define VBE_PORTS 4 /* index at 0; data at 1, and at 2 for those who like it aligned */

/* Port offsets from 0x3b0. */
enum VgaPort {
    VGA_MONO_CRTC_INDEX = 0x04, VGA_MONO_CRTC_DATA = 0x05, VGA_MONO_STATUS1 = 0x0a,
    VGA_ATTR = 0x10, VGA_ATTR_READ = 0x11, VGA_MISC_WRITE = 0x12, VGA_SEQ_INDEX = 0x14,
    VGA_SEQ_DATA = 0x15, VGA_PEL_MASK = 0x16, VGA_DAC_READ_INDEX = 0x17, VGA_DAC_WRITE_INDEX = 0x18,
    VGA_DAC_DATA = 0x19, VGA_FEATURE_READ = 0x1a, VGA_MISC_READ = 0x1c, VGA_GFX_INDEX = 0x1e,
    VGA_GFX_DATA = 0x1f, VGA_COLOR_CRTC_INDEX = 0x24, VGA_COLOR_CRTC_DATA = 0x25,
    VGA_COLOR_STATUS1 = 0x2a,
};

enum SeqRegister {
    SEQ_RESET, SEQ_CLOCKING, SEQ_PLANE_MASK, SEQ_FONT, SEQ_MEMORY_MODE, SEQ__MAX = 8,
};
enum { SEQ_CHAIN4 = 0x08 };
enum GfxRegister {
    GFX_SET_RESET, GFX_SET_RESET_ENABLE, GFX_COLOR_COMPARE, GFX_ROTATE, GFX_READ_PLANE, GFX_MODE,
    GFX_MISC, GFX_COLOR_DONT_CARE, GFX_BIT_MASK, GFX__MAX = 16,
};
enum { GFX_MODE_READ_COMPARE = 0x08, GFX_MODE_ODD_EVEN = 0x10, GFX_MISC_GRAPHICS = 0x01 };
enum CrtcRegister {
    CRTC_OVERFLOW = 0x07, CRTC_MAX_SCAN = 0x09, CRTC_START_HIGH = 0x0c, CRTC_START_LOW = 0x0d,
    CRTC_RETRACE_END = 0x11, CRTC_DISPLAY_END = 0x12, CRTC_OFFSET = 0x13, CRTC_HDISPLAY_END = 0x01,
    CRTC_MODE = 0x17, CRTC_LINE_COMPARE = 0x18, CRTC__MAX = 256,
};
#define ATTR_MAX 21
#define PALETTE_BYTES 768

/* DISPI registers by index. */
enum VbeRegister {
    VBE_ID, VBE_XRES, VBE_YRES, VBE_BPP, VBE_ENABLE, VBE_BANK, VBE_VIRT_WIDTH, VBE_VIRT_HEIGHT,
    VBE_X_OFFSET, VBE_Y_OFFSET, VBE__MAX, VBE_MEMORY_64K = VBE__MAX,
};
enum { VBE_ENABLED = 0x01, VBE_GETCAPS = 0x02, VBE_8BIT_DAC = 0x20, VBE_LFB = 0x40,
       VBE_NOCLEARMEM = 0x80 };

typedef struct Vga {
    uint32_t vram_mb;       /* property */
    MemoryRegion *vram, *legacy, *ports, *vbe_ports;
    uint8_t *mem;           /* the video memory; plane p of byte n is at 4n + p */
    uint32_t size;          /* bytes, a power of two */

    uint8_t misc, feature;
    uint8_t seq_index, seq[SEQ__MAX];
    uint8_t gfx_index, gfx[GFX__MAX];
    uint8_t crtc_index, crtc[CRTC__MAX];
    uint8_t attr_index, attr[ATTR_MAX];
    bool attr_data;         /* the next write to the attribute port is data */
    uint8_t pel_mask;
    uint8_t dac_state, dac_read_index, dac_write_index, dac_component;
    uint8_t dac_pending[3];
    uint8_t palette[PALETTE_BYTES];
    uint32_t latch;

    uint16_t vbe_index;
    uint16_t vbe[VBE__MAX];
    uint32_t bank_offset;   /* of the 64 KiB window at 0xa0000 */
    uint32_t line_bytes;    /* of a VBE mode */
    bool big_endian;
} Vga;

/* Bring up video memory, and the regions that the caller maps; owner is the device. */
bool vga_init(Vga *vga, Object *owner, GError **error);
void vga_cleanup(Vga *vga);
void vga_reset(Vga *vga);
extern const VmState vga_vmstate;

uint8_t vga_port_read(Vga *vga, enum VgaPort port);
void vga_port_write(Vga *vga, enum VgaPort port, uint8_t value);
extern const MemoryRegionOps vga_ports_ops, vga_legacy_ops, vga_vbe_ports_ops;

uint16_t vga_vbe_read(Vga *vga, unsigned index);
void vga_vbe_write(Vga *vga, unsigned index, uint16_t value);
static inline bool vga_vbe_enabled(const Vga *vga)
{
    return vga->vbe[VBE_ENABLE] & VBE_ENABLED;
}
/* After load: values that the guest could not have written are refused. */
bool vga_vbe_check(Vga *vga, GError **error);

/* As vga_text_snapshot(). */
char *vga_text(const Vga *vga);
/* Getter of the property "x-text": the text, empty in a graphics mode. For boot tests. */
json_object *vga_get_text(Object *obj, const Property *prop);
#define VGA_TEXT_PROPERTY                                                                          \
    { .name = "x-text", .kind = &prop_kind_string, .get = vga_get_text,                            \
      .flags = PROP_READ_ONLY | PROP_HIDDEN, .description = "what a text mode shows" }
/* The core inside a device of this family, or NULL. */
Vga *vga_of_device(Device *dev);
Vga *vga_isa_core(Device *dev);

/* E-EDID base block (128 bytes) for a monitor that prefers this mode. */
#define EDID_SIZE 128
typedef struct EdidInfo {
    uint32_t xres, yres;  /* preferred; 0: 1280 x 800 */
    uint32_t xmax, ymax;  /* largest; 0: no limit said */
    uint32_t refresh_mhz; /* millihertz; 0: 75000 */
} EdidInfo;
void edid_generate(const EdidInfo *info, uint8_t out[EDID_SIZE]);

#endif
