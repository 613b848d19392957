/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --connect and --disconnect: the kernel as a client. We shake hands for it
 * over a socket pair; then it has the socket, and a thread lends it to the kernel until the device
 * is disconnected.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "block/nbd-server.h"
#include "io/channel-socket.h"
#include "nbd/client.h"
#include "tools/nbd/nbd.h"
#include "util/coroutine.h"
#include "util/error.h"
#include "util/thread.h"

#define SECTOR 512u
/* Of <linux/nbd.h>, which has other names of ours too. */
#define NBD_SET_SOCK _IO(0xab, 0)
#define NBD_SET_BLKSIZE _IO(0xab, 1)
#define NBD_DO_IT _IO(0xab, 3)
#define NBD_CLEAR_SOCK _IO(0xab, 4)
#define NBD_CLEAR_QUE _IO(0xab, 5)
#define NBD_SET_SIZE_BLOCKS _IO(0xab, 7)
#define NBD_DISCONNECT _IO(0xab, 8)
#define NBD_SET_FLAGS _IO(0xab, 10)

struct NbdKernel {
    int device;
    Channel *channel;  /* the kernel's end */
    pthread_t thread;
};

static int open_device(const char *path, GError **error)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);

    if (fd < 0) {
        error_set_errno(error, errno, "Failed to open %s", path);
    }
    return fd;
}

int nbd_tool_disconnect(const char *path)
{
    GError *error = NULL;
    int device = open_device(path, &error);

    if (device < 0) {
        error_report_err(error);
        return 1;
    }
    ioctl(device, NBD_CLEAR_QUE);
    ioctl(device, NBD_DISCONNECT);
    ioctl(device, NBD_CLEAR_SOCK);
    close(device);
    printf("%s disconnected\n", path);
    return 0;
}

/* ---- Attaching ---- */

typedef struct Handshake {
    Channel *channel;
    const char *export;
    NbdClientResult result;
    GError **error;
    bool ok;
} Handshake;

static void handshake_run(void *opaque)
{
    Handshake *shake = opaque;
    /* The kernel knows neither structured replies nor TLS. */
    const NbdClientWish wish = { .export = shake->export, .simple_replies = true };

    shake->ok = nbd_client_connect(shake->channel, &wish, &shake->result, shake->error);
}

static bool request(int device, unsigned long what, unsigned long value, const char *name,
                    GError **error)
{
    if (ioctl(device, what, value) < 0) {
        error_set_errno(error, errno, "%s fails", name);
        return false;
    }
    return true;
}

static bool set_up_device(int device, int socket, const NbdExportInfo *info, GError **error)
{
    uint32_t block = MAX(info->min_block, SECTOR);
    int read_only = info->flags & NBD_FLAG_READ_ONLY ? 1 : 0;

    if (info->size % block) {
        warn_report("the last %" PRIu64 " bytes do not fill a block: the device ends before them",
                    info->size % block);
    }
    if (!request(device, NBD_SET_SOCK, (unsigned long)socket, "NBD_SET_SOCK", error)) {
        return false;
    }
    if (!request(device, NBD_SET_BLKSIZE, block, "NBD_SET_BLKSIZE", error) ||
        !request(device, NBD_SET_SIZE_BLOCKS, info->size / block, "NBD_SET_SIZE_BLOCKS", error) ||
        !request(device, NBD_SET_FLAGS, info->flags, "NBD_SET_FLAGS", error) ||
        (read_only &&
         !request(device, BLKROSET, (unsigned long)&read_only, "BLKROSET", error))) {
        ioctl(device, NBD_CLEAR_SOCK);
        return false;
    }
    return true;
}

static void *lend_thread(void *opaque)
{
    NbdKernel *kernel = opaque;

    if (ioctl(kernel->device, NBD_DO_IT) < 0 && errno != EPIPE) {
        warn_report("NBD_DO_IT ends: %s", g_strerror(errno));
    }
    ioctl(kernel->device, NBD_CLEAR_QUE);
    ioctl(kernel->device, NBD_CLEAR_SOCK);
    channel_shutdown(kernel->channel, CHANNEL_READ | CHANNEL_WRITE);
    return NULL;
}

/* Our server at one end of it; the other end. */
static Channel *connect_to_server(GError **error)
{
    int pair[2];
    Channel *theirs, *ours;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
        error_set_errno(error, errno, "Cannot make a pair of sockets");
        return NULL;
    }
    theirs = channel_socket_new(pair[0], error);
    ours = theirs ? channel_socket_new(pair[1], error) : NULL;
    if (ours) {
        nbd_server_add_client(theirs);
        return ours;
    }
    close(pair[1]);
    if (theirs) {
        channel_unref(theirs);
    } else {
        close(pair[0]);
    }
    return NULL;
}

static bool attach(NbdKernel *kernel, const NbdToolOptions *o, GError **error)
{
    Handshake shake = { .export = o->export_name ? o->export_name : "", .error = error };
    bool ok;

    kernel->device = open_device(o->device, error);
    kernel->channel = kernel->device >= 0 ? connect_to_server(error) : NULL;
    if (!kernel->channel) {
        return false;
    }
    shake.channel = kernel->channel;
    coroutine_run(handshake_run, &shake);
    ok = shake.ok &&
         set_up_device(kernel->device, channel_socket_fd(kernel->channel), &shake.result.info,
                       error) &&
         thread_create(&kernel->thread, "nbd", lend_thread, kernel, error);
    if (shake.ok) {
        nbd_client_result_clear(&shake.result);
    }
    return ok;
}

NbdKernel *nbd_kernel_attach(const NbdToolOptions *o, GError **error)
{
    NbdKernel *kernel = g_new0(NbdKernel, 1);

    if (attach(kernel, o, error)) {
        return kernel;
    }
    if (kernel->channel) {
        channel_unref(kernel->channel);
    }
    if (kernel->device >= 0) {
        close(kernel->device);
    }
    g_free(kernel);
    return NULL;
}

void nbd_kernel_detach(NbdKernel *kernel)
{
    if (!kernel) {
        return;
    }
    ioctl(kernel->device, NBD_DISCONNECT);
    pthread_join(kernel->thread, NULL);
    channel_unref(kernel->channel);
    close(kernel->device);
    g_free(kernel);
}
