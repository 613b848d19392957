/* SPDX-License-Identifier: Apache-2.0 */
/* Builds without liburing: the thread pool does all file I/O. */
#include "util/file-io-internal.h"

FileRing *file_ring_new(Loop *loop)
{
    return NULL;
}

void file_ring_free(FileRing *ring)
{
}

void file_ring_submit(FileRing *ring, FileRequest *request)
{
    g_assert_not_reached();
}
