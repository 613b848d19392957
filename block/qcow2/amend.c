/* SPDX-License-Identifier: Apache-2.0 */
/* Changing what the header says of an image that exists. */
#include <errno.h>
#include <inttypes.h>

#include "block/qcow2/bitmap.h"
#include "block/qcow2/check.h"
#include "block/qcow2/crypto.h"
#include "util/error.h"
#include "util/parse.h"

static bool fail(GError **error, int ret, const char *what)
{
    if (ret < 0) {
        error_set_errno(error, -ret, "Could not change %s", what);
    }
    return ret >= 0;
}

/* ---- The backing file ---- */

int qcow2_change_backing_file(BlockNode *node, const char *file, const char *format)
{
    Qcow2 *q = node->opaque;
    char *old_file = node->header_backing_file, *old_format = node->header_backing_format;
    int ret;

    if (file && (strlen(file) > QCOW2_MAX_BACKING_NAME || qcow2_data_file_is_raw(q))) {
        return -EINVAL;
    }
    node->header_backing_file = g_strdup(file && *file ? file : NULL);
    node->header_backing_format = node->header_backing_file ? g_strdup(format) : NULL;
    ret = qcow2_header_write(q);
    if (ret < 0) {
        g_free(node->header_backing_file);
        g_free(node->header_backing_format);
        node->header_backing_file = old_file;
        node->header_backing_format = old_format;
        return ret;
    }
    g_free(old_file);
    g_free(old_format);
    return 0;
}

/* ---- Widths of counts ---- */

/* All counts anew, with another width, in another place; the header changes both at once. */
static int rebuild_counts(Qcow2 *q, unsigned order)
{
    BlockCheckResult result = { 0 };
    Check check = { .q = q, .result = &result, .quiet = true };
    unsigned old = q->refcount_order;
    int64_t size = block_getlength(q->node->file->node);
    int ret = size < 0 ? (int)size : qcow2_flush_all(q);

    ret = ret < 0 ? ret : qcow2_write_refcounts(q);
    if (ret < 0) {
        return ret;
    }
    refmap_init(&check.refs);
    check.file_clusters = qcow2_clusters(q, size);
    ret = check_references(&check);
    if (ret >= 0 && (result.corruptions || result.check_errors)) {
        ret = -EIO;
    }
    if (ret >= 0) {
        q->refcount_order = order;
        qcow2_derive_geometry(q);
        ret = check_rebuild(&check);
        if (ret < 0) {
            q->refcount_order = old;
            qcow2_derive_geometry(q);
        }
    }
    g_clear_pointer(&q->metadata, g_hash_table_unref);
    g_clear_pointer(&check.tables, g_hash_table_unref);
    refmap_cleanup(&check.refs);
    return ret;
}

static bool amend_refcount_bits(Qcow2 *q, const char *text, GError **error)
{
    uint64_t bits;
    int ret;

    if (!parse_uint64(text, &bits, error)) {
        return false;
    }
    if (!bits || bits > 64 || (bits & (bits - 1))) {
        error_setf(error, "Refcount width must be a power of two and may not exceed 64 bits");
        return false;
    }
    if (bits == 1u << q->refcount_order) {
        return true;
    }
    if (q->version < 3) {
        error_setf(error, "Refcount widths other than 16 bits require compatibility level 1.1 or "
                   "above (use compat=1.1 or greater)");
        return false;
    }
    co_mutex_lock(&q->lock);
    ret = rebuild_counts(q, (unsigned)__builtin_ctzll(bits));
    co_mutex_unlock(&q->lock);
    if (ret == -ERANGE) {
        error_setf(error, "Some clusters have more references than %" PRIu64 " bits can count",
                   bits);
        return false;
    }
    return fail(error, ret, "the refcount width");
}

/* ---- Versions ---- */

static bool can_be_v2(const Qcow2 *q, GError **error)
{
    const char *what = NULL;

    if (q->incompatible & ~QCOW2_INCOMPAT_DIRTY) {
        what = "features that version 2 does not have";
    } else if (q->refcount_order != 4) {
        what = "a refcount width other than 16 bits";
    } else if (q->snapshots->len) {
        what = "internal snapshots";
    } else if (q->nb_bitmaps) {
        what = "persistent dirty bitmaps";
    }
    if (what) {
        error_setf(error, "The image has %s, so it cannot be downgraded", what);
    }
    return !what;
}

/* Zero marks become data that is zero, or nothing where no backing file shows. */
static int expand_zeroes(Qcow2 *q, BlockProgressFn *progress, void *opaque)
{
    g_autofree uint8_t *zeroes = g_try_malloc0(q->cluster_size);
    int ret = zeroes ? 0 : -ENOMEM;

    for (int64_t at = 0; at < q->disk_size && ret >= 0;) {
        Qcow2Run run;
        int64_t n;

        ret = qcow2_lookup(q, at, q->disk_size - at, false, &run);
        n = run.bytes;
        if (ret >= 0 && (run.type == QCOW2_ZERO_PLAIN || run.type == QCOW2_ZERO_HOST)) {
            n = MIN(n, (int64_t)q->cluster_size);
            ret = q->node->backing || q->node->header_backing_file
                ? qcow2_write(q, at, n, BLOCK_VEC_BUF(zeroes, (size_t)n), 0)
                : qcow2_deallocate(q, at, q->cluster_size, QCOW2_FREE_OTHER);
        }
        at += n;
        if (progress) {
            progress(opaque, at, q->disk_size);
        }
    }
    return ret;
}

static int write_as_v2(Qcow2 *q)
{
    uint64_t compatible = q->compatible, autoclear = q->autoclear;
    uint32_t header_length = q->header_length;
    int ret;

    q->version = 2;
    q->header_length = QCOW2_V2_HEADER_LENGTH;
    q->compatible = q->autoclear = 0;
    q->settings.lazy_refcounts = false;
    ret = qcow2_header_write(q);
    if (ret < 0) {
        q->version = 3;
        q->header_length = header_length;
        q->compatible = compatible;
        q->autoclear = autoclear;
    }
    return ret;
}

static bool amend_compat(Qcow2 *q, const char *text, BlockProgressFn *progress, void *opaque,
                         GError **error)
{
    bool v2 = !strcmp(text, "0.10") || !strcmp(text, "v2");
    int ret;

    if (!v2 && strcmp(text, "1.1") && strcmp(text, "v3")) {
        error_setf(error, "Unknown compatibility level %s; there are 0.10 (v2) and 1.1 (v3)", text);
        return false;
    }
    if (v2 == (q->version == 2)) {
        return true;
    }
    if (!v2) {
        q->version = 3;
        q->header_length = QCOW2_HEADER_LENGTH;
        ret = qcow2_header_write(q);
        q->version = ret < 0 ? 2 : 3;
        return fail(error, ret, "the compatibility level");
    }
    if (!can_be_v2(q, error)) {
        return false;
    }
    ret = expand_zeroes(q, progress, opaque);
    ret = ret < 0 ? ret : qcow2_settle(q);
    return fail(error, ret < 0 ? ret : write_as_v2(q), "the compatibility level");
}

/* ---- Bits ---- */

static bool amend_lazy(Qcow2 *q, const char *text, GError **error)
{
    uint64_t old = q->compatible;
    bool on;
    int ret;

    if (!parse_bool(text, &on, error)) {
        return false;
    }
    if (on && q->version < 3) {
        error_setf(error, "Lazy refcounts only supported with compatibility level 1.1 and above "
                   "(use compat=1.1 or greater)");
        return false;
    }
    ret = qcow2_settle(q);
    if (ret >= 0) {
        q->compatible = on ? old | QCOW2_COMPAT_LAZY_REFCOUNTS
                           : old & ~QCOW2_COMPAT_LAZY_REFCOUNTS;
        ret = q->compatible == old ? 0 : qcow2_header_write(q);
    }
    if (ret < 0) {
        q->compatible = old;
    } else {
        q->settings.lazy_refcounts = on;
    }
    return fail(error, ret, "lazy refcounts");
}

static bool amend_data_file_raw(Qcow2 *q, const char *text, GError **error)
{
    bool on;

    if (!parse_bool(text, &on, error)) {
        return false;
    }
    if (on && !qcow2_data_file_is_raw(q)) {
        error_setf(error, "data-file-raw cannot be set on existing images");
        return false;
    }
    if (!on && qcow2_data_file_is_raw(q)) {
        q->autoclear &= ~QCOW2_AUTOCLEAR_DATA_FILE_RAW;
        return fail(error, qcow2_header_write(q), "data-file-raw");
    }
    return true;
}

static bool amend_data_file(Qcow2 *q, const char *text, GError **error)
{
    if (!qcow2_has_data_file(q)) {
        error_setf(error, "data-file can only be set for images that use an external data file");
        return false;
    }
    g_free(q->data_file_name);
    q->data_file_name = *text ? g_strdup(text) : NULL;
    return fail(error, qcow2_header_write(q), "the data file's name");
}

/* ---- All of them ---- */

static bool amend_encryption(Qcow2 *q, json_object *encrypt, bool force, GError **error)
{
    g_autoptr(QCryptoBlockAmendOptions) typed = NULL;

    if (!json_object_object_get_ex(encrypt, "format", NULL)) {
        json_object_object_add(encrypt, "format", json_object_new_string("luks"));
    }
    return QCryptoBlockAmendOptions_from_json(encrypt, QAPI_KEYVAL, &typed, error) &&
           qcow2_crypto_amend(q, typed, force, error);
}

static bool amend_one(Qcow2 *q, const char *name, const char *text, BlockProgressFn *progress,
                      void *opaque, GError **error)
{
    if (!strcmp(name, "compat")) {
        return amend_compat(q, text, progress, opaque, error);
    }
    if (!strcmp(name, "lazy_refcounts")) {
        return amend_lazy(q, text, error);
    }
    if (!strcmp(name, "refcount_bits")) {
        return amend_refcount_bits(q, text, error);
    }
    if (!strcmp(name, "data_file_raw")) {
        return amend_data_file_raw(q, text, error);
    }
    if (!strcmp(name, "data_file")) {
        return amend_data_file(q, text, error);
    }
    if (!strcmp(name, "size")) {
        BlockTruncate truncate = { .exact = true };
        uint64_t size;

        if (!parse_size(text, 1, &size, error)) {
            return false;
        }
        truncate.size = (int64_t)MIN(size, INT64_MAX);
        return qcow2_truncate(q->node, &truncate, error) >= 0;
    }
    error_setf(error, "The option '%s' of a qcow2 image cannot be changed", name);
    return false;
}

static bool amend_backing(Qcow2 *q, json_object *options, GError **error)
{
    json_object *file = NULL, *format = NULL;

    json_object_object_get_ex(options, "backing_file", &file);
    json_object_object_get_ex(options, "backing_fmt", &format);
    if (!file && !format) {
        return true;
    }
    return fail(error, qcow2_change_backing_file(
        q->node, file ? json_object_get_string(file) : q->node->header_backing_file,
        format ? json_object_get_string(format) : q->node->header_backing_format),
        "the backing file");
}

bool qcow2_amend_image(BlockNode *node, json_object *options, bool force,
                       BlockProgressFn *progress, void *opaque, GError **error)
{
    json_object *encrypt = json_object_new_object(), *compat;
    Qcow2 *q = node->opaque;
    bool ok = true;

    /* A new version first: other options may need it. Going back comes last. */
    if (json_object_object_get_ex(options, "compat", &compat) && q->version < 3) {
        ok = amend_one(q, "compat", json_object_get_string(compat), progress, opaque, error);
    }
    json_object_object_foreach(options, name, value) {
        if (g_str_has_prefix(name, "encrypt.")) {
            json_object_object_add(encrypt, name + strlen("encrypt."), json_object_get(value));
        } else if (ok && strcmp(name, "compat") && !g_str_has_prefix(name, "backing_")) {
            ok = amend_one(q, name, json_object_get_string(value), progress, opaque, error);
        }
    }
    ok = ok && amend_backing(q, options, error);
    if (ok && json_object_object_length(encrypt)) {
        ok = amend_encryption(q, encrypt, force, error);
    }
    if (ok && json_object_object_get_ex(options, "compat", &compat)) {
        ok = amend_one(q, "compat", json_object_get_string(compat), progress, opaque, error);
    }
    json_object_put(encrypt);
    return ok;
}

bool qcow2_amend(BlockNode *node, const BlockdevAmendOptions *options, bool force,
                 BlockProgressFn *progress, void *opaque, GError **error)
{
    const BlockdevAmendOptionsQcow2 *o = &options->u.qcow2;

    return !o->encrypt || qcow2_crypto_amend(node->opaque, o->encrypt, force, error);
}
