/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The descriptor: lines "key=value", and one line an extent:
 *
 *   RW 4192256 SPARSE "disk-s001.vmdk"
 *   RW 1048576 FLAT "disk-flat.vmdk" 0
 *   RW 63 ZERO
 *
 * A file of text, or sectors in the head of the only extent.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "block/vmdk/format.h"
#include "block/vmdk/vmdk.h"
#include "crypto/random.h"
#include "util/error.h"

bool vmdk_is_descriptor(const char *text, size_t len)
{
    static const char *const versions[] = { "version=1", "version=2", "version=3" };
    size_t at = 0;

    while (at < len) {
        const char *newline = memchr(text + at, '\n', len - at);
        size_t end = newline ? (size_t)(newline - text) : len;
        size_t line = end - at;

        while (line && isspace((unsigned char)text[at + line - 1])) {
            line--;
        }
        if (line && text[at] != '#') {
            for (size_t i = 0; i < G_N_ELEMENTS(versions); i++) {
                if (line == strlen(versions[i]) && !memcmp(text + at, versions[i], line)) {
                    return true;
                }
            }
            return false;
        }
        at = end + 1;
    }
    return false;
}

static void extent_line_free(void *opaque)
{
    VmdkExtentLine *line = opaque;

    g_free(line->type);
    g_free(line->name);
    g_free(line);
}

void vmdk_descriptor_clear(VmdkDescriptor *descriptor)
{
    g_free(descriptor->create_type);
    g_free(descriptor->parent_hint);
    g_clear_pointer(&descriptor->extents, g_ptr_array_unref);
    *descriptor = (VmdkDescriptor) { 0 };
}

/* ---- Extents ---- */

/* The next word of *text, or what stands in quotes; NULL at the end or where a quote is missing. */
static char *next_word(const char **text)
{
    const char *start = *text + strspn(*text, " \t");
    const char *end;

    if (*start == '"') {
        end = strchr(++start, '"');
        if (!end) {
            return NULL;
        }
        *text = end + 1;
    } else {
        end = start + strcspn(start, " \t");
        *text = end;
    }
    return end > start ? g_strndup(start, end - start) : NULL;
}

static bool parse_sectors(const char *word, int64_t *out)
{
    guint64 value;

    if (!word || !g_ascii_string_to_unsigned(word, 10, 0, BLOCK_MAX_LENGTH / BLOCK_SECTOR, &value,
                                             NULL)) {
        return false;
    }
    *out = value;
    return true;
}

/* Behind the access word. */
static bool parse_extent(const char *rest, VmdkExtentLine *line)
{
    g_autofree char *sectors = next_word(&rest);
    g_autofree char *offset = NULL, *more = NULL;

    line->type = next_word(&rest);
    line->name = next_word(&rest);
    offset = next_word(&rest);
    more = next_word(&rest);
    return parse_sectors(sectors, &line->sectors) && line->sectors > 0 && line->type && !more &&
           !line->name == !strcmp(line->type, "ZERO") &&
           (!offset || parse_sectors(offset, &line->offset));
}

static bool take_extent(VmdkDescriptor *out, const char *rest, bool writable, GError **error)
{
    VmdkExtentLine *line = g_new0(VmdkExtentLine, 1);

    g_ptr_array_add(out->extents, line);
    line->writable = writable;
    if (!parse_extent(rest, line)) {
        error_setf(error, "invalid extent");
        return false;
    }
    if (out->extents->len > VMDK_MAX_EXTENTS) {
        error_setf(error, "more than %d extents", VMDK_MAX_EXTENTS);
        return false;
    }
    return true;
}

/* ---- Keys ---- */

static bool take_hex(const char *value, uint32_t *out, GError **error)
{
    guint64 number;

    if (!g_ascii_string_to_unsigned(value, 16, 0, UINT32_MAX, &number, NULL)) {
        error_setf(error, "'%s' is not a hexadecimal number of 32 bits", value);
        return false;
    }
    *out = number;
    return true;
}

static bool take_text(const char *value, char **out, GError **error)
{
    size_t len = strlen(value);

    if (*out || len < 2 || value[0] != '"' || value[len - 1] != '"') {
        error_setf(error, *out ? "given twice" : "no text in quotes");
        return false;
    }
    *out = g_strndup(value + 1, len - 2);
    return true;
}

static bool take_key(VmdkDescriptor *out, const char *key, const char *value, GError **error)
{
    if (!strcmp(key, "CID")) {
        return take_hex(value, &out->cid, error);
    }
    if (!strcmp(key, "parentCID")) {
        return take_hex(value, &out->parent_cid, error);
    }
    if (!strcmp(key, "createType")) {
        return take_text(value, &out->create_type, error);
    }
    return strcmp(key, "parentFileNameHint") != 0 || take_text(value, &out->parent_hint, error);
}

static bool take_line(VmdkDescriptor *out, char *line, GError **error)
{
    static const struct { const char *word; bool known, writable; } access[] = {
        { "RW ", true, true }, { "RDONLY ", true, false }, { "NOACCESS ", false, false },
    };
    char *equals = strchr(line, '=');

    if (!*line || *line == '#') {
        return true;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(access); i++) {
        if (g_str_has_prefix(line, access[i].word)) {
            if (!access[i].known) {
                error_setf(error, "an extent without access");
                return false;
            }
            return take_extent(out, line + strlen(access[i].word), access[i].writable, error);
        }
    }
    if (!equals) {
        error_setf(error, "neither a setting nor an extent");
        return false;
    }
    *equals = '\0';
    return take_key(out, g_strstrip(line), g_strstrip(equals + 1), error);
}

bool vmdk_descriptor_parse(const char *text, VmdkDescriptor *out, GError **error)
{
    unsigned number = 1;

    *out = (VmdkDescriptor) { .parent_cid = VMDK_NO_PARENT };
    out->extents = g_ptr_array_new_with_free_func(extent_line_free);
    while (*text) {
        size_t len = strcspn(text, "\n");
        g_autofree char *line = g_strndup(text, len);

        if (!take_line(out, g_strstrip(line), error)) {
            g_prefix_error(error, "VMDK descriptor, line %u: ", number);
            return false;
        }
        text += len + (text[len] != '\0');
        number++;
    }
    if (!out->create_type) {
        error_setf(error, "VMDK descriptor: it has no createType");
    }
    return out->create_type != NULL;
}

/* ---- The content number ---- */

/* Where the digits of the line "CID=..." stand; 0 if there is no such line. */
static size_t find_cid(const char *text, size_t *digits)
{
    const char *at = text;

    while (at && !g_str_has_prefix(at, "CID=")) {
        at = strchr(at, '\n');
        at = at ? at + 1 : NULL;
    }
    if (!at) {
        return 0;
    }
    *digits = strspn(at + 4, "0123456789abcdefABCDEF");
    return at + 4 - text;
}

int vmdk_renew_cid(BlockNode *node)
{
    VmdkImage *image = node->opaque;
    size_t digits, at = image->text ? find_cid(image->text, &digits) : 0;
    char number[9];
    uint32_t cid;
    int ret;

    if (image->cid_is_new || !at || digits != 8) {
        return 0;
    }
    do {
        if (!crypto_random_bytes(&cid, sizeof(cid), NULL)) {
            return -EIO;
        }
    } while (cid >= VMDK_NO_PARENT - 1); /* "none", and what a child takes for "unknown" */
    snprintf(number, sizeof(number), "%08" PRIx32, cid);
    ret = block_pwrite(node->file, image->text_at + at, 8, number, 0);
    if (ret >= 0) {
        image->cid_is_new = true;
        image->descriptor.cid = cid;
        memcpy(image->text + at, number, 8);
    }
    return ret;
}
