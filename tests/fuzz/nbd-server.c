/* SPDX-License-Identifier: Apache-2.0 */
/* A client of the NBD server says what the input is, reads all answers, and leaves. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "block/nbd-server.h"
#include "block/export.h"
#include "block/tests/mem-driver.h"
#include "io/channel-socket.h"
#include "tests/fuzz/target.h"
#include "util/vm-lock.h"

#define DISK_SIZE (256 * 1024)
/* A socket takes this much at once. */
#define MAX_WORDS (64 * 1024)

static unsigned present;

static void clients_changed(void *opaque, unsigned clients)
{
    present = clients;
}

static void start(void)
{
    g_autoptr(BlockExportOptions) options = g_new0(BlockExportOptions, 1);
    NbdServerParams params = { .clients_changed = clients_changed };
    BlockNode *node = mem_node_new(&mem_driver, DISK_SIZE, NULL);
    GError *error = NULL;

    nbd_server_start(&params, &error);
    g_assert_no_error(error);
    options->type = BLOCK_EXPORT_TYPE_NBD;
    options->id = g_strdup("export");
    options->node_name = g_strdup(node->name);
    options->has_writable = options->writable = true;
    options->u.nbd.name = g_strdup("e");
    options->u.nbd.has_allocation_depth = options->u.nbd.allocation_depth = true;
    block_export_add(options, &error);
    g_assert_no_error(error);
}

static void read_answers(int fd)
{
    static uint8_t answers[256 * 1024];

    while (recv(fd, answers, sizeof(answers), MSG_DONTWAIT) > 0) {
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;
    int fds[2];

    if (!ready) {
        vm_lock();
        start();
        ready = true;
    }
    size = MIN(size, MAX_WORDS);
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
    g_assert_cmpint(send(fds[1], data, size, 0), ==, (gssize)size);
    shutdown(fds[1], SHUT_WR);
    nbd_server_add_client(channel_socket_new(fds[0], NULL));
    while (present) {
        read_answers(fds[1]);
        loop_iterate(loop_main(), false);
    }
    close(fds[1]);
    return 0;
}
