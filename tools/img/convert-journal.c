/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal is a JSON object: "job" says what is converted into what, "done" up to where the
 * target is known to be right, "target-is-zero" what it was like at first, "target-file" which file
 * it is. A job is compared as a whole: one difference, and nothing is continued.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/open.h"
#include "tools/img/convert.h"
#include "util/error.h"

#define VERSION 1
#define SUFFIX ".vireo-resume"
#define MARK_INTERVAL_US 2000000
/* Before the mark, so much of the target is compared with the source again. */
#define VERIFY_BYTES (16 * 1024 * 1024)
#define VERIFY_CHUNK (1024 * 1024)

struct ConvertJournal {
    char *path;
    const char *target;  /* borrowed */
    json_object *root;
    int64_t marked_us;
};

/* ---- What is converted ---- */

static json_object *describe_file(const char *path)
{
    json_object *file = json_object_new_object();
    struct stat st;

    json_object_object_add(file, "path", json_object_new_string(path));
    if (stat(path, &st) == 0) {
        json_object_object_add(file, "size", json_object_new_int64(st.st_size));
        json_object_object_add(file, "device", json_object_new_int64(st.st_dev));
        json_object_object_add(file, "inode", json_object_new_int64(st.st_ino));
        json_object_object_add(file, "modified-s", json_object_new_int64(st.st_mtim.tv_sec));
        json_object_object_add(file, "modified-ns", json_object_new_int64(st.st_mtim.tv_nsec));
    }
    return file;
}

/* Every storage node below, backing files too. */
static void describe_files(BlockNode *node, json_object *files)
{
    if (node->driver->protocol) {
        g_autofree char *path = g_canonicalize_filename(node->filename, NULL);

        json_object_array_add(files, describe_file(block_path_has_protocol(node->filename)
                                                       ? node->filename : path));
        return;
    }
    for (guint i = 0; i < node->children->len; i++) {
        const BlockChild *child = g_ptr_array_index(node->children, i);

        if (child->node) {
            describe_files(child->node, files);
        }
    }
}

static void add_text(json_object *to, const char *key, const char *text)
{
    if (text) {
        json_object_object_add(to, key, json_object_new_string(text));
    }
}

static json_object *describe_job(const ConvertArgs *args, const Convert *convert)
{
    json_object *job = json_object_new_object();
    json_object *sources = json_object_new_array();

    for (unsigned i = 0; i < convert->n_sources; i++) {
        BlockNode *node = block_backend_node(convert->sources[i].blk);
        json_object *source = json_object_new_object();
        json_object *files = json_object_new_array();

        describe_files(node, files);
        add_text(source, "format", node->driver->name);
        json_object_object_add(source, "files", files);
        json_object_array_add(sources, source);
    }
    json_object_object_add(job, "sources", sources);
    json_object_object_add(job, "size", json_object_new_int64(convert->total));
    add_text(job, "format", args->output_format);
    if (args->common.create_options) {
        json_object_object_add(job, "options", json_object_get(args->common.create_options));
    }
    add_text(job, "snapshot-id", args->snapshot_id);
    add_text(job, "snapshot-name", args->snapshot_name);
    json_object_object_add(job, "has-backing", json_object_new_boolean(convert->has_backing));
    json_object_object_add(job, "compressed", json_object_new_boolean(args->compressed));
    return job;
}

/* ---- The file ---- */

static void set_number(ConvertJournal *journal, const char *key, int64_t value)
{
    json_object_object_add(journal->root, key, json_object_new_int64(value));
}

static int64_t number(const ConvertJournal *journal, const char *key)
{
    json_object *value;
    bool found = json_object_object_get_ex(journal->root, key, &value);

    return found ? json_object_get_int64(value) : -1;
}

static bool save(const ConvertJournal *journal, GError **error)
{
    const char *text = json_object_to_json_string_ext(journal->root, JSON_C_TO_STRING_PRETTY);

    return g_file_set_contents_full(journal->path, text, -1,
                                    G_FILE_SET_CONTENTS_CONSISTENT |
                                    G_FILE_SET_CONTENTS_DURABLE, 0644, error);
}

static bool load(ConvertJournal *journal, json_object *job, GError **error)
{
    g_autofree char *text = NULL;
    json_object *old_job;

    if (!g_file_get_contents(journal->path, &text, NULL, error)) {
        return false;
    }
    json_object_put(journal->root);
    journal->root = json_tokener_parse(text);
    if (number(journal, "version") != VERSION || number(journal, "done") < 0 ||
        !json_object_object_get_ex(journal->root, "job", &old_job)) {
        error_setf(error, "'%s' is no journal of a conversion; remove it to begin anew",
                   journal->path);
        return false;
    }
    if (!json_object_equal(old_job, job)) {
        error_setf(error, "the conversion that was interrupted had another source, the source has "
                   "changed since, or the options are others (see '%s'); remove that file to begin "
                   "anew", journal->path);
        return false;
    }
    return true;
}

static char *journal_path(const char *target)
{
    return g_strconcat(target, SUFFIX, NULL);
}

ConvertJournal *convert_journal_open(const ConvertArgs *args, const Convert *convert, bool *found,
                                     GError **error)
{
    ConvertJournal *journal;
    json_object *job;

    if (args->target_image_opts || block_path_has_protocol(args->target)) {
        error_setf(error, "--resume needs a target that is a file of this host");
        return NULL;
    }
    job = describe_job(args, convert);
    journal = g_new0(ConvertJournal, 1);
    journal->path = journal_path(args->target);
    journal->target = args->target;
    journal->root = json_object_new_object();
    *found = g_file_test(journal->path, G_FILE_TEST_EXISTS);
    if (*found) {
        if (!load(journal, job, error)) {
            g_clear_pointer(&journal, convert_journal_free);
        }
        json_object_put(job);
    } else {
        set_number(journal, "version", VERSION);
        json_object_object_add(journal->root, "job", job);
    }
    return journal;
}

bool convert_journal_begin(ConvertJournal *journal, const Convert *convert, GError **error)
{
    json_object_object_add(journal->root, "target-file", describe_file(journal->target));
    json_object_object_add(journal->root, "target-is-zero",
                           json_object_new_boolean(convert->target_is_zero));
    set_number(journal, "done", 0);
    journal->marked_us = g_get_monotonic_time();
    return save(journal, error);
}

/* ---- Continuing ---- */

static bool is_same_target(const ConvertJournal *journal)
{
    json_object *now = describe_file(journal->target);
    json_object *then, *a, *b;
    bool same = json_object_object_get_ex(journal->root, "target-file", &then) &&
                json_object_object_get_ex(then, "inode", &a) &&
                json_object_object_get_ex(now, "inode", &b) && json_object_equal(a, b);

    json_object_put(now);
    return same;
}

/* The target's bytes before the mark are those of the source; *same says whether. */
static int compare_tail(Convert *c, int64_t mark, bool *same)
{
    g_autofree uint8_t *ours = g_malloc(VERIFY_CHUNK), *theirs = g_malloc(VERIFY_CHUNK);
    int64_t n;
    int ret = 0;

    *same = true;
    for (int64_t at = MAX(0, mark - VERIFY_BYTES); ret == 0 && *same && at < mark; at += n) {
        ConvertSource *source = &c->sources[0];

        while (at >= source->start + source->size) {
            source++;
        }
        n = MIN(MIN(VERIFY_CHUNK, mark - at), source->start + source->size - at);
        ret = block_backend_pread(source->blk, at - source->start, n, ours);
        ret = ret < 0 ? ret : block_backend_pread(c->target, at, n, theirs);
        *same = ret == 0 && !memcmp(ours, theirs, n);
    }
    return ret;
}

bool convert_journal_check(ConvertJournal *journal, Convert *c, int64_t *start, GError **error)
{
    int64_t mark = number(journal, "done");
    json_object *zero;
    bool same;
    int ret;

    if (!is_same_target(journal) || mark > c->total) {
        error_setf(error, "'%s' is not the file that was being written; remove '%s' to begin anew",
                   journal->target, journal->path);
        return false;
    }
    ret = compare_tail(c, mark, &same);
    if (ret < 0) {
        error_set_errno(error, -ret, "could not compare the target with the source");
        return false;
    }
    if (!same) {
        error_setf(error, "what '%s' has before byte %" PRId64 " is not what was written; remove "
                   "'%s' to begin anew", journal->target, mark, journal->path);
        return false;
    }
    c->target_is_zero = json_object_object_get_ex(journal->root, "target-is-zero", &zero) &&
                        json_object_get_boolean(zero);
    journal->marked_us = g_get_monotonic_time();
    *start = mark;
    return true;
}

/* ---- While it runs ---- */

bool convert_journal_is_due(const ConvertJournal *journal)
{
    return g_get_monotonic_time() - journal->marked_us >= MARK_INTERVAL_US;
}

int convert_journal_mark(ConvertJournal *journal, const Convert *convert)
{
    int64_t done = convert_low_water(convert); /* before the flush: what comes now is not in it */
    int ret = block_backend_flush(convert->target);

    if (ret < 0) {
        return ret;
    }
    set_number(journal, "done", done);
    journal->marked_us = g_get_monotonic_time();
    return save(journal, NULL) ? 0 : -EIO;
}

bool convert_journal_finish(ConvertJournal *journal, const Convert *convert, GError **error)
{
    int ret = block_backend_flush(convert->target);

    if (ret < 0) {
        error_set_errno(error, -ret, "could not flush '%s'", journal->target);
        return false;
    }
    unlink(journal->path);
    return true;
}

void convert_journal_free(ConvertJournal *journal)
{
    if (journal) {
        json_object_put(journal->root);
        g_free(journal->path);
        g_free(journal);
    }
}

void convert_journal_drop(const char *target)
{
    g_autofree char *path = journal_path(target);

    unlink(path);
}
