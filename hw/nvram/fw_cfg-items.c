/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fw_cfg: the items and the file directory.
 *
 * Item 0x19 is the directory: u32 count, then count entries of { u32 size, u16 key, u16 reserved,
 * char name[56] }, all big-endian, in order of name. It is made anew when the guest selects it.
 */
#include "hw/nvram/fw_cfg-internal.h"
#include "util/bits.h"
#include "util/error.h"

#define DIR_ENTRY_SIZE 64
#define DIR_NAME 8

FwCfgItem *fw_cfg_item(FwCfg *fw, uint16_t key)
{
    uint16_t index = key & FW_CFG_KEY_MASK;
    bool arch = key & FW_CFG_ARCH_LOCAL;

    if (key == FW_CFG_INVALID) {
        return NULL;
    }
    if (index < FW_CFG_FILE_FIRST) {
        return &fw->items[arch][index];
    }
    index -= FW_CFG_FILE_FIRST;
    if (arch || index >= fw->files->len) {
        return NULL;
    }
    return &((FwCfgFile *)g_ptr_array_index(fw->files, index))->item;
}

const uint8_t *fw_cfg_item_data(const FwCfgItem *item, uint32_t *len)
{
    size_t size = 0;
    const uint8_t *data = item->writable;

    if (data) {
        *len = item->writable_len;
        return data;
    }
    if (item->data) {
        data = g_bytes_get_data(item->data, &size);
    }
    *len = size;
    return data;
}

static uint32_t fw_cfg_item_size(const FwCfgItem *item)
{
    uint32_t len;

    fw_cfg_item_data(item, &len);
    return len;
}

static void fw_cfg_item_set(FwCfgItem *item, GBytes *data)
{
    GBytes *old = item->data;

    item->data = g_bytes_ref(data);
    if (old) {
        g_bytes_unref(old);
    }
}

static void fw_cfg_build_directory(void *opaque)
{
    FwCfg *fw = opaque;
    size_t len = 4 + (size_t)fw->files->len * DIR_ENTRY_SIZE;
    uint8_t *dir = g_malloc0(len);
    g_autoptr(GBytes) bytes = NULL;

    stl_be(dir, fw->files->len);
    for (unsigned i = 0; i < fw->files->len; i++) {
        const FwCfgFile *file = g_ptr_array_index(fw->files, i);
        uint8_t *entry = dir + 4 + (size_t)i * DIR_ENTRY_SIZE;

        stl_be(entry, fw_cfg_item_size(&file->item));
        stw_be(entry + 4, FW_CFG_FILE_FIRST + i);
        memcpy(entry + DIR_NAME, file->name, strlen(file->name));
    }
    bytes = g_bytes_new_take(dir, len);
    fw_cfg_item_set(&fw->items[0][FW_CFG_FILE_DIR], bytes);
}

void fw_cfg_add_bytes(FwCfg *fw, uint16_t key, GBytes *data)
{
    g_assert((key & FW_CFG_KEY_MASK) < FW_CFG_FILE_FIRST);
    g_assert(g_bytes_get_size(data) <= UINT32_MAX);
    fw_cfg_item_set(fw_cfg_item(fw, key), data);
}

void fw_cfg_add_copy(FwCfg *fw, uint16_t key, const void *data, size_t len)
{
    g_autoptr(GBytes) bytes = g_bytes_new(data, len);

    fw_cfg_add_bytes(fw, key, bytes);
}

void fw_cfg_add_string(FwCfg *fw, uint16_t key, const char *text)
{
    fw_cfg_add_copy(fw, key, text, strlen(text) + 1);
}

void fw_cfg_add_u16(FwCfg *fw, uint16_t key, uint16_t value)
{
    uint8_t bytes[2];

    stw_le(bytes, value);
    fw_cfg_add_copy(fw, key, bytes, sizeof(bytes));
}

void fw_cfg_add_u32(FwCfg *fw, uint16_t key, uint32_t value)
{
    uint8_t bytes[4];

    stl_le(bytes, value);
    fw_cfg_add_copy(fw, key, bytes, sizeof(bytes));
}

void fw_cfg_add_u64(FwCfg *fw, uint16_t key, uint64_t value)
{
    uint8_t bytes[8];

    stq_le(bytes, value);
    fw_cfg_add_copy(fw, key, bytes, sizeof(bytes));
}

static FwCfgFile *fw_cfg_find(FwCfg *fw, const char *name)
{
    for (unsigned i = 0; i < fw->files->len; i++) {
        FwCfgFile *file = g_ptr_array_index(fw->files, i);

        if (g_str_equal(file->name, name)) {
            return file;
        }
    }
    return NULL;
}

static FwCfgFile *fw_cfg_new_file(FwCfg *fw, const char *name, GError **error)
{
    FwCfgFile *file;
    unsigned at = 0;

    if (name[0] == '\0' || strlen(name) >= FW_CFG_MAX_FILE_PATH) {
        error_setf(error, "fw_cfg: the name '%s' does not have 1 to %d characters", name,
                   FW_CFG_MAX_FILE_PATH - 1);
        return NULL;
    }
    if (fw_cfg_find(fw, name)) {
        error_setf(error, "fw_cfg: there is a file '%s' already", name);
        return NULL;
    }
    if (fw->files->len >= fw->file_slots) {
        error_setf(error, "fw_cfg: no room for '%s': all %u file slots are taken "
                   "(-global fw_cfg.x-file-slots=N makes more)", name, fw->file_slots);
        return NULL;
    }
    file = g_new0(FwCfgFile, 1);
    file->name = g_strdup(name);
    while (at < fw->files->len &&
           strcmp(((FwCfgFile *)g_ptr_array_index(fw->files, at))->name, name) < 0) {
        at++;
    }
    g_ptr_array_insert(fw->files, at, file);
    return file;
}

bool fw_cfg_add_file_callback(FwCfg *fw, const char *name, FwCfgSelectFn *select, void *opaque,
                              GBytes *data, GError **error)
{
    FwCfgFile *file;

    if (g_bytes_get_size(data) > UINT32_MAX) {
        error_setf(error, "fw_cfg: '%s' is too large: %zu bytes, at most 4 GiB - 1 fit", name,
                   g_bytes_get_size(data));
        return false;
    }
    file = fw_cfg_new_file(fw, name, error);
    if (!file) {
        return false;
    }
    file->item.select = select;
    file->item.opaque = opaque;
    fw_cfg_item_set(&file->item, data);
    return true;
}

bool fw_cfg_add_file(FwCfg *fw, const char *name, GBytes *data, GError **error)
{
    return fw_cfg_add_file_callback(fw, name, NULL, NULL, data, error);
}

bool fw_cfg_add_file_copy(FwCfg *fw, const char *name, const void *data, size_t len,
                          GError **error)
{
    g_autoptr(GBytes) bytes = g_bytes_new(data, len);

    return fw_cfg_add_file(fw, name, bytes, error);
}

bool fw_cfg_add_writable_file(FwCfg *fw, const char *name, void *data, uint32_t len,
                              FwCfgWriteFn *written, void *opaque, GError **error)
{
    FwCfgFile *file = fw_cfg_new_file(fw, name, error);

    if (!file) {
        return false;
    }
    file->item.writable = data;
    file->item.writable_len = len;
    file->item.written = written;
    file->item.opaque = opaque;
    return true;
}

bool fw_cfg_modify_file(FwCfg *fw, const char *name, GBytes *data, GError **error)
{
    FwCfgFile *file = fw_cfg_find(fw, name);

    if (!file) {
        return fw_cfg_add_file(fw, name, data, error);
    }
    g_assert(!file->item.writable);
    if (g_bytes_get_size(data) > UINT32_MAX) {
        error_setf(error, "fw_cfg: '%s' is too large: at most 4 GiB - 1 fit", name);
        return false;
    }
    fw_cfg_item_set(&file->item, data);
    return true;
}

void fw_cfg_foreach_file(FwCfg *fw, void (*fn)(const char *name, uint32_t size, void *opaque),
                         void *opaque)
{
    for (unsigned i = 0; i < fw->files->len; i++) {
        const FwCfgFile *file = g_ptr_array_index(fw->files, i);

        fn(file->name, fw_cfg_item_size(&file->item), opaque);
    }
}

bool fw_cfg_has_file(FwCfg *fw, const char *name)
{
    return fw_cfg_find(fw, name) != NULL;
}

static GBytes *fw_cfg_item_copy(const FwCfgItem *item)
{
    uint32_t len;
    const uint8_t *data;

    if (item->data) {
        return g_bytes_ref(item->data);
    }
    data = fw_cfg_item_data(item, &len);
    return data ? g_bytes_new(data, len) : NULL;
}

GBytes *fw_cfg_get_file(FwCfg *fw, const char *name)
{
    const FwCfgFile *file = fw_cfg_find(fw, name);

    return file ? fw_cfg_item_copy(&file->item) : NULL;
}

GBytes *fw_cfg_get_item(FwCfg *fw, uint16_t key)
{
    const FwCfgItem *item = fw_cfg_item(fw, key);

    return item ? fw_cfg_item_copy(item) : NULL;
}

static void fw_cfg_file_free(void *data)
{
    FwCfgFile *file = data;

    g_clear_pointer(&file->item.data, g_bytes_unref);
    g_free(file->name);
    g_free(file);
}

static void fw_cfg_boot_entry_free(void *data)
{
    FwCfgBootEntry *entry = data;

    g_free(entry->path);
    g_free(entry);
}

void fw_cfg_take(FwCfg *fw, void *data, GDestroyNotify free_fn)
{
    FwCfgOwned owned = { .data = data, .free_fn = free_fn };

    g_array_append_val(fw->owned, owned);
}

static void fw_cfg_owned_clear(void *data)
{
    FwCfgOwned *owned = data;

    owned->free_fn(owned->data);
}

void fw_cfg_items_init(FwCfg *fw)
{
    fw->owned = g_array_new(false, false, sizeof(FwCfgOwned));
    g_array_set_clear_func(fw->owned, fw_cfg_owned_clear);
    fw->files = g_ptr_array_new_with_free_func(fw_cfg_file_free);
    fw->boot_entries = g_ptr_array_new_with_free_func(fw_cfg_boot_entry_free);
    fw->items[0][FW_CFG_FILE_DIR].select = fw_cfg_build_directory;
    fw->items[0][FW_CFG_FILE_DIR].opaque = fw;
}

void fw_cfg_items_free(FwCfg *fw)
{
    for (unsigned arch = 0; arch < G_N_ELEMENTS(fw->items); arch++) {
        for (unsigned i = 0; i < FW_CFG_FILE_FIRST; i++) {
            g_clear_pointer(&fw->items[arch][i].data, g_bytes_unref);
        }
    }
    g_ptr_array_unref(fw->files);
    g_ptr_array_unref(fw->boot_entries);
    g_array_unref(fw->owned);
}
