/* SPDX-License-Identifier: Apache-2.0 */
/* vireo-nbd: serves one image by NBD, or lists what another server has. */
#ifndef VIREO_TOOLS_NBD_NBD_H
#define VIREO_TOOLS_NBD_NBD_H

#include <glib.h>
#include <stdbool.h>

#include "block/node.h"
#include "qapi-types-sockets.h"

typedef struct NbdToolOptions {
    const char *file;
    /* Connection */
    const char *port, *bind, *socket;   /* NULL: not given */
    const char *tls_creds, *tls_hostname, *tls_authz;
    int shared;
    bool persistent, verbose;
    const char *export_name, *description, *bitmap;
    bool allocation_depth;
    /* Image */
    const char *format, *cache, *aio, *discard, *detect_zeroes, *load_snapshot;
    uint64_t offset;
    bool read_only, snapshot, image_opts;
    /* Process */
    bool list, fork, disconnect;
    const char *device;                 /* --connect: the kernel's, or NULL */
    const char *selinux_label;
    int parent_fd;                      /* of --fork: for background_ready(); or -1 */
    const char *pid_file;
    GPtrArray *objects;                 /* --object, as written; borrowed texts */
} NbdToolOptions;

/* Where to listen or connect. The caller's. */
SocketAddress *nbd_tool_address(const NbdToolOptions *options);
/* The node to export; a reference, or NULL with the error set. *writethrough: by the cache mode. */
BlockNode *nbd_tool_open(const NbdToolOptions *options, bool *writethrough, GError **error);
/* --connect: the kernel is a client until detached. In kernel.c. */
typedef struct NbdKernel NbdKernel;
NbdKernel *nbd_kernel_attach(const NbdToolOptions *options, GError **error);
/* NULL is ignored. */
void nbd_kernel_detach(NbdKernel *kernel);
/* Exit statuses. */
int nbd_tool_disconnect(const char *device);
int nbd_tool_list(const NbdToolOptions *options);
int nbd_tool_serve(const NbdToolOptions *options);

#endif
