/* SPDX-License-Identifier: Apache-2.0 */
/* The commands that hand over file descriptors: getfd, closefd, add-fd, remove-fd, query-fdsets. */
#include <limits.h>
#include <unistd.h>

#include "monitor/internal.h"
#include "qapi/qapi-commands-monitor.h"
#include "util/error.h"
#include "util/fd-store.h"

bool qmp_getfd(const char *fdname, GError **error)
{
    int fd;

    if (!*fdname || g_ascii_isdigit(*fdname)) {
        error_setf(error, "Parameter 'fdname' must be a name that does not start with a digit");
        return false;
    }
    fd = qmp_session_take_fd(error);
    if (fd < 0) {
        return false;
    }
    fd_store_put(fdname, fd);
    return true;
}

bool qmp_closefd(const char *fdname, GError **error)
{
    int fd = fd_store_take(fdname, error);

    if (fd < 0) {
        return false;
    }
    close(fd);
    return true;
}

AddfdInfo *qmp_add_fd(bool has_fdset_id, int64_t fdset_id, const char *opaque, GError **error)
{
    AddfdInfo *info;
    int64_t set;
    int fd = qmp_session_take_fd(error);

    if (fd < 0) {
        return NULL;
    }
    if (has_fdset_id && fdset_id < 0) {
        error_setf(error, "Parameter 'fdset-id' must not be negative");
        close(fd);
        return NULL;
    }
    set = fdset_add(has_fdset_id ? fdset_id : FDSET_NEW, fd, opaque, error);
    if (set < 0) {
        close(fd);
        return NULL;
    }
    info = g_new0(AddfdInfo, 1);
    info->fdset_id = set;
    info->fd = fd;
    return info;
}

bool qmp_remove_fd(int64_t fdset_id, bool has_fd, int64_t fd, GError **error)
{
    if (has_fd && (fd < 0 || fd > INT_MAX)) {
        error_setf(error, "Parameter 'fd' is no file descriptor");
        return false;
    }
    return fdset_remove(fdset_id, has_fd ? (int)fd : -1, error);
}

static void list_entry(const FdsetEntry *entry, void *opaque)
{
    GPtrArray *sets = opaque;
    FdsetInfo *set = sets->len ? g_ptr_array_index(sets, sets->len - 1) : NULL;
    FdsetFdInfo *info;

    if (!set || set->fdset_id != entry->set) {
        set = g_new0(FdsetInfo, 1);
        set->fdset_id = entry->set;
        set->fds = FdsetFdInfo_list_new();
        g_ptr_array_add(sets, set);
    }
    info = g_new0(FdsetFdInfo, 1);
    info->fd = entry->fd;
    info->opaque = g_strdup(entry->opaque);
    g_ptr_array_add(set->fds, info);
}

GPtrArray *qmp_query_fdsets(GError **error)
{
    GPtrArray *sets = FdsetInfo_list_new();

    fdset_foreach(list_entry, sets);
    return sets;
}
