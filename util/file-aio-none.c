/* SPDX-License-Identifier: Apache-2.0 */
/* Builds without libaio: there is no aio=native. */
#include "util/file-io-internal.h"

FileAio *file_aio_new(Loop *loop)
{
    return NULL;
}

void file_aio_free(FileAio *aio)
{
}

void file_aio_submit(FileAio *aio, FileRequest *request)
{
    g_assert_not_reached();
}
