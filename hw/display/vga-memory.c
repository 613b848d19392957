/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The legacy window 0xa0000..0xbffff on video memory (IBM VGA Technical Reference, "graphics
 * controller").
 *
 * Video memory is kept as 32-bit words of four planes: plane p of byte n is at 4n + p. So chain-4
 * addresses are plain offsets into it, and a planar access is one word through the latch:
 *
 *   write mode 0  rotate, set/reset, logic function with the latch, bit mask
 *              1  the latch as it is
 *              2  each plane all ones or zeros by data bits 3:0, function, bit mask
 *              3  set/reset colour through the rotated data as a further bit mask
 *   read mode 0   the chosen plane; 1: one bit per pixel that equals the compared colour
 */
#include "hw/display/vga-internal.h"

#define OUT_OF_WINDOW UINT32_MAX

/* A four-bit plane mask as a word of whole bytes. */
static uint32_t plane_word(uint8_t planes)
{
    uint32_t word = 0;

    for (unsigned plane = 0; plane < 4; plane++) {
        if (planes & BIT(plane)) {
            word |= 0xffu << (plane * 8);
        }
    }
    return word;
}

static uint32_t every_plane(uint8_t byte)
{
    return byte * 0x01010101u;
}

/* The window's offset as an address on the adapter, by the map that GFX_MISC chose. */
static uint32_t adapter_address(const Vga *vga, uint32_t offset)
{
    static const struct {
        uint32_t base, size;
        bool banked;
    } maps[4] = {
        { 0x00000, 0x20000, false },
        { 0x00000, 0x10000, true },
        { 0x10000, 0x08000, false },
        { 0x18000, 0x08000, false },
    };
    unsigned map = vga->gfx[GFX_MISC] >> 2 & 3;

    if (offset < maps[map].base || offset - maps[map].base >= maps[map].size) {
        return OUT_OF_WINDOW;
    }
    return offset - maps[map].base + (maps[map].banked ? vga->bank_offset : 0);
}

/* Odd/even addressing: the low bit chooses between two neighbouring planes. */
static uint32_t odd_even_offset(const Vga *vga, uint32_t addr)
{
    return (addr & ~1u) << 1 | (vga->gfx[GFX_READ_PLANE] & 2) | (addr & 1);
}

static uint8_t compare_color(const Vga *vga)
{
    uint32_t care = plane_word(vga->gfx[GFX_COLOR_DONT_CARE]);
    uint32_t differ = (vga->latch ^ plane_word(vga->gfx[GFX_COLOR_COMPARE])) & care;

    differ |= differ >> 16;
    differ |= differ >> 8;
    return ~differ;
}

static uint64_t legacy_read(void *opaque, uint64_t offset, unsigned size)
{
    Vga *vga = opaque;
    uint32_t addr = adapter_address(vga, offset);

    if (addr == OUT_OF_WINDOW) {
        return 0xff;
    }
    if (vga->seq[SEQ_MEMORY_MODE] & SEQ_CHAIN4) {
        return addr < vga->size ? vga->mem[addr] : 0xff;
    }
    if (vga->gfx[GFX_MODE] & GFX_MODE_ODD_EVEN) {
        addr = odd_even_offset(vga, addr);
        return addr < vga->size ? vga->mem[addr] : 0xff;
    }
    if (addr >= vga->size / 4) {
        return 0xff;
    }
    vga->latch = ldl_le(vga->mem + addr * 4);
    if (vga->gfx[GFX_MODE] & GFX_MODE_READ_COMPARE) {
        return compare_color(vga);
    }
    return vga->latch >> (vga->gfx[GFX_READ_PLANE] * 8) & 0xff;
}

static void write_byte(Vga *vga, uint32_t at, uint8_t value)
{
    if (at < vga->size && (vga->seq[SEQ_PLANE_MASK] & BIT(at & 3))) {
        vga->mem[at] = value;
        memory_region_set_dirty(vga->vram, at, 1);
    }
}

static uint8_t rotate(const Vga *vga, uint8_t value)
{
    unsigned by = vga->gfx[GFX_ROTATE] & 7;

    return value >> by | value << (8 - by);
}

static uint32_t logic_function(const Vga *vga, uint32_t word)
{
    switch (vga->gfx[GFX_ROTATE] >> 3) {
    case 1: return word & vga->latch;
    case 2: return word | vga->latch;
    case 3: return word ^ vga->latch;
    }
    return word;
}

/* What the four planes get, before the plane mask. */
static uint32_t planar_word(const Vga *vga, uint8_t value)
{
    uint32_t set_reset = plane_word(vga->gfx[GFX_SET_RESET]);
    uint32_t enabled = plane_word(vga->gfx[GFX_SET_RESET_ENABLE]);
    uint32_t mask = every_plane(vga->gfx[GFX_BIT_MASK]);
    uint32_t word;

    switch (vga->gfx[GFX_MODE] & 3) {
    case 1:
        return vga->latch;
    case 2:
        word = plane_word(value & 0xf);
        break;
    case 3:
        word = set_reset;
        mask &= every_plane(rotate(vga, value));
        break;
    default:
        word = (every_plane(rotate(vga, value)) & ~enabled) | (set_reset & enabled);
    }
    return (logic_function(vga, word) & mask) | (vga->latch & ~mask);
}

static void legacy_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Vga *vga = opaque;
    uint32_t addr = adapter_address(vga, offset);
    uint32_t planes = plane_word(vga->seq[SEQ_PLANE_MASK]);
    uint8_t *at;

    if (addr == OUT_OF_WINDOW) {
        return;
    }
    if (vga->seq[SEQ_MEMORY_MODE] & SEQ_CHAIN4) {
        write_byte(vga, addr, value);
        return;
    }
    if (vga->gfx[GFX_MODE] & GFX_MODE_ODD_EVEN) {
        write_byte(vga, odd_even_offset(vga, addr), value);
        return;
    }
    if (addr >= vga->size / 4) {
        return;
    }
    at = vga->mem + addr * 4;
    stl_le(at, (ldl_le(at) & ~planes) | (planar_word(vga, value) & planes));
    memory_region_set_dirty(vga->vram, addr * 4, 4);
}

const MemoryRegionOps vga_legacy_ops = {
    .read = legacy_read,
    .write = legacy_write,
    .impl = { .min = 1, .max = 1 },
};
