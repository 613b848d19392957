/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The corpus as an ordinary test: each file of the folders given is one input, and none may crash.
 * With -runs=0 libFuzzer's own main does the same.
 */
#include <glib.h>
#include <stdlib.h>

#include "tests/fuzz/target.h"

static void replay(gconstpointer opaque)
{
    g_autofree char *content = NULL;
    g_autoptr(GError) error = NULL;
    gsize len;

    g_file_get_contents(opaque, &content, &len, &error);
    g_assert_no_error(error);
    LLVMFuzzerTestOneInput((const uint8_t *)content, len);
}

static void add_folder(const char *folder)
{
    g_autoptr(GError) error = NULL;
    GDir *dir = g_dir_open(folder, 0, &error);
    const char *name;

    g_assert_no_error(error);
    while ((name = g_dir_read_name(dir))) {
        g_autofree char *path = g_strdup_printf("/%s", name);

        g_test_add_data_func_full(path, g_build_filename(folder, name, NULL), replay, g_free);
    }
    g_dir_close(dir);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (int i = 1; i < argc; i++) {
        add_folder(argv[i]);
    }
    return g_test_run();
}
