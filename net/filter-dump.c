/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filter-dump: writes frames to a file in the format of libpcap 2.4 (draft-ietf-opsawg-pcap): a
 * header of 24 bytes, then 16 bytes and the data for each frame, in the host's byte order.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "net/filter.h"
#include "util/error.h"
#include "util/fd-store.h"
#include "util/iov.h"
#include "util/timer.h"

#define PCAP_MAGIC 0xa1b2c3d4
#define PCAP_VERSION_MAJOR 2
#define PCAP_VERSION_MINOR 4
#define PCAP_LINK_ETHERNET 1
#define DEFAULT_MAX_LEN 65536

typedef struct PcapFileHeader {
    uint32_t magic;
    uint16_t version_major, version_minor;
    uint32_t zone, accuracy;
    uint32_t max_len;
    uint32_t link_type;
} PcapFileHeader;

typedef struct PcapRecord {
    uint32_t seconds, microseconds;
    uint32_t captured, length;
} PcapRecord;

typedef struct DumpFilter {
    NetFilter parent_obj;
    char *file;
    uint32_t max_len;
    int fd;
} DumpFilter;

static void give_up(DumpFilter *dump, int err)
{
    warn_report("filter-dump: cannot write '%s': %s; dumping ends", dump->file, g_strerror(err));
    close(dump->fd);
    dump->fd = -1;
}

static bool dump_receive(NetFilter *filter, NetClient *from, const NetPacket *packet)
{
    DumpFilter *dump = (DumpFilter *)filter;
    int64_t now_us = vm_clock_ns(VM_CLOCK_HOST) / NS_PER_US;
    PcapRecord record = {
        .seconds = now_us / G_USEC_PER_SEC,
        .microseconds = now_us % G_USEC_PER_SEC,
        .captured = MIN(packet->size, dump->max_len),
        .length = packet->size,
    };
    g_autofree struct iovec *iov = g_new(struct iovec, packet->n + 1);
    unsigned n;
    ssize_t written;

    if (dump->fd < 0) {
        return false;
    }
    iov[0] = (struct iovec){ &record, sizeof(record) };
    n = 1 + iov_slice(iov + 1, packet->n, packet->iov, packet->n, 0, record.captured);
    written = n <= IOV_MAX ? writev(dump->fd, iov, n) : (errno = EMSGSIZE, -1);
    if (written != (ssize_t)(sizeof(record) + record.captured)) {
        give_up(dump, written < 0 ? errno : ENOSPC);
    }
    return false;
}

static bool dump_complete(Object *obj, GError **error)
{
    DumpFilter *dump = (DumpFilter *)obj;
    const PcapFileHeader header = {
        .magic = PCAP_MAGIC,
        .version_major = PCAP_VERSION_MAJOR,
        .version_minor = PCAP_VERSION_MINOR,
        .max_len = dump->max_len,
        .link_type = PCAP_LINK_ETHERNET,
    };

    if (!dump->file) {
        error_setf(error, "filter-dump needs file=FILE");
        return false;
    }
    if (!dump->max_len) {
        error_setf(error, "filter-dump: maxlen must not be 0");
        return false;
    }
    dump->fd = fdset_is_path(dump->file)
                   ? fdset_open(dump->file, O_WRONLY, error)
                   : open(dump->file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (dump->fd < 0) {
        if (!fdset_is_path(dump->file)) {
            error_set_errno(error, errno, "cannot open '%s' for dumping", dump->file);
        }
        return false;
    }
    if (write(dump->fd, &header, sizeof(header)) != sizeof(header)) {
        error_set_errno(error, errno, "cannot write '%s'", dump->file);
        return false;
    }
    return true;
}

static void dump_init(Object *obj)
{
    ((DumpFilter *)obj)->fd = -1;
}

static void dump_finalize(Object *obj)
{
    DumpFilter *dump = (DumpFilter *)obj;

    if (dump->fd >= 0) {
        close(dump->fd);
    }
}

static const Property dump_properties[] = {
    PROP_STRING("file", DumpFilter, file, NULL, "file to write"),
    PROP_UINT32("maxlen", DumpFilter, max_len, DEFAULT_MAX_LEN, "bytes kept of each frame"),
    PROP_END,
};

static const NetFilterOps dump_ops = {
    .receive = dump_receive,
};

static const UserObjectHooks dump_hooks = {
    .complete = dump_complete,
};

static const TypeInfo dump_type = {
    .name = "filter-dump",
    .parent = TYPE_NET_FILTER,
    .description = "writes frames to a pcap file",
    .instance_size = sizeof(DumpFilter),
    .user_creatable = true,
    .properties = dump_properties,
    .instance_init = dump_init,
    .instance_finalize = dump_finalize,
    .hooks = &dump_hooks,
    .ops = &dump_ops,
};
QOM_TYPE(dump_type);
