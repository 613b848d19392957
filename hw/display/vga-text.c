/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a text mode shows, as text. A cell is a character code in plane 0 and its attribute in plane
 * 1; the CRTC says where the first cell is and how the rows follow. Codes are those of code page
 * 437.
 */
#include "hw/display/vga-internal.h"

#define TEXT_ROWS_MAX 128
#define TEXT_COLUMNS_MAX 256
#define CELLS 0x10000 /* addresses wrap there */

/* Codes 0x80 to 0xff. */
static const char *const code_page_437 =
    "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐"
    "└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■ ";

static void append_code(GString *text, uint8_t code)
{
    if (code < 0x20 || code == 0x7f) {
        g_string_append_c(text, ' ');
    } else if (code < 0x80) {
        g_string_append_c(text, code);
    } else {
        const char *at = g_utf8_offset_to_pointer(code_page_437, code - 0x80);

        g_string_append_unichar(text, g_utf8_get_char(at));
    }
}

static void append_row(GString *text, const Vga *vga, uint32_t first, unsigned columns)
{
    gsize length = text->len;

    for (unsigned column = 0; column < columns; column++) {
        uint8_t code = vga->mem[(first + column) % CELLS * 4];

        append_code(text, code);
        if (code > 0x20 && code != 0x7f && code != 0xff) {
            length = text->len;
        }
    }
    g_string_truncate(text, length);
    g_string_append_c(text, '\n');
}

char *vga_text(const Vga *vga)
{
    const uint8_t *crtc = vga->crtc;
    unsigned columns = MIN(crtc[CRTC_HDISPLAY_END] + 1u, TEXT_COLUMNS_MAX);
    unsigned lines = (crtc[CRTC_DISPLAY_END] | (crtc[CRTC_OVERFLOW] & 0x02) << 7 |
                      (crtc[CRTC_OVERFLOW] & 0x40) << 3) + 1u;
    unsigned rows = MIN(lines / ((crtc[CRTC_MAX_SCAN] & 0x1fu) + 1), TEXT_ROWS_MAX);
    uint32_t start = crtc[CRTC_START_HIGH] << 8 | crtc[CRTC_START_LOW];
    g_autoptr(GString) text = NULL;

    if (vga_vbe_enabled(vga) || (vga->gfx[GFX_MISC] & GFX_MISC_GRAPHICS)) {
        return NULL;
    }
    text = g_string_new(NULL);
    for (unsigned row = 0; row < rows; row++) {
        append_row(text, vga, start + row * crtc[CRTC_OFFSET] * 2, columns);
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}

json_object *vga_get_text(Object *obj, const Property *prop)
{
    g_autofree char *text = vga_text_snapshot((Device *)obj);

    return json_object_new_string(text ? text : "");
}

char *vga_text_snapshot(Device *dev)
{
    Vga *vga = vga_of_device(dev);

    return vga ? vga_text(vga) : NULL;
}
