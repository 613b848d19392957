/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors by name and by set. The store is process-wide, as descriptors are. */
#include "util/fd-store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "util/error.h"
#include "util/parse.h"

#define FDSET_PREFIX "/dev/fdset/"

typedef struct Entry {
    int64_t set;
    int fd;
    char *opaque;
} Entry;

static struct {
    GMutex lock;
    GHashTable *named; /* name -> fd */
    GPtrArray *sets;   /* Entry, by set id */
} store;

static void close_pointer(void *fd)
{
    close(GPOINTER_TO_INT(fd));
}

static void entry_free(void *opaque)
{
    Entry *entry = opaque;

    close(entry->fd);
    g_free(entry->opaque);
    g_free(entry);
}

/* Lock held. */
static void make_store(void)
{
    if (!store.named) {
        store.named = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, close_pointer);
        store.sets = g_ptr_array_new_with_free_func(entry_free);
    }
}

void fd_store_put(const char *name, int fd)
{
    g_mutex_lock(&store.lock);
    make_store();
    g_hash_table_replace(store.named, g_strdup(name), GINT_TO_POINTER(fd));
    g_mutex_unlock(&store.lock);
}

int fd_store_take(const char *name, GError **error)
{
    char *key;
    void *value;
    bool found;

    g_mutex_lock(&store.lock);
    make_store();
    found = g_hash_table_steal_extended(store.named, name, (void **)&key, &value);
    g_mutex_unlock(&store.lock);
    if (!found) {
        error_setf(error, "There is no file descriptor named '%s'", name);
        return -1;
    }
    g_free(key);
    return GPOINTER_TO_INT(value);
}

int fd_store_parse(const char *text, GError **error)
{
    uint64_t number;
    int fd;

    if (!g_ascii_isdigit(*text)) {
        return fd_store_take(text, error);
    }
    if (!parse_uint64(text, &number, error)) {
        return -1;
    }
    fd = number > INT_MAX ? -1 : fcntl((int)number, F_DUPFD_CLOEXEC, 3);
    if (fd < 0) {
        error_set_errno(error, number > INT_MAX ? EBADF : errno, "File descriptor %s", text);
    }
    return fd;
}

/* Lock held. The position where a descriptor of this set is added: after the set's last. */
static guint set_end(int64_t set)
{
    guint i = 0;

    while (i < store.sets->len && ((Entry *)store.sets->pdata[i])->set <= set) {
        i++;
    }
    return i;
}

/* Lock held. */
static int64_t free_set(void)
{
    int64_t set = 0;

    for (guint i = 0; i < store.sets->len; i++) {
        int64_t used = ((Entry *)store.sets->pdata[i])->set;

        if (used > set) {
            break;
        }
        set = used + 1;
    }
    return set;
}

int64_t fdset_add(int64_t set, int fd, const char *opaque, GError **error)
{
    Entry *entry;

    if (set < FDSET_NEW) {
        error_setf(error, "'fdset-id' must not be negative");
        return -1;
    }
    entry = g_new0(Entry, 1);
    entry->fd = fd;
    entry->opaque = g_strdup(opaque);
    g_mutex_lock(&store.lock);
    make_store();
    entry->set = set == FDSET_NEW ? free_set() : set;
    set = entry->set;
    g_ptr_array_insert(store.sets, (int)set_end(set), entry);
    g_mutex_unlock(&store.lock);
    return set;
}

bool fdset_remove(int64_t set, int fd, GError **error)
{
    bool found = false;

    g_mutex_lock(&store.lock);
    make_store();
    for (guint i = store.sets->len; i-- > 0;) {
        Entry *entry = g_ptr_array_index(store.sets, i);

        if (entry->set == set && (fd < 0 || entry->fd == fd)) {
            g_ptr_array_remove_index(store.sets, i);
            found = true;
        }
    }
    g_mutex_unlock(&store.lock);
    if (!found && fd < 0) {
        error_setf(error, "There is no file descriptor set %" PRId64, set);
    } else if (!found) {
        error_setf(error, "File descriptor set %" PRId64 " has no descriptor %d", set, fd);
    }
    return found;
}

void fdset_foreach(void (*fn)(const FdsetEntry *entry, void *opaque), void *opaque)
{
    g_mutex_lock(&store.lock);
    make_store();
    for (guint i = 0; i < store.sets->len; i++) {
        Entry *entry = g_ptr_array_index(store.sets, i);

        fn(&(FdsetEntry){ entry->set, entry->fd, entry->opaque }, opaque);
    }
    g_mutex_unlock(&store.lock);
}

bool fdset_is_path(const char *path)
{
    return g_str_has_prefix(path, FDSET_PREFIX);
}

/* Lock held. A copy of a descriptor of the set with this access mode; -1 with errno. */
static int dup_matching(uint64_t set, int mode)
{
    errno = ENOENT;
    for (guint i = 0; i < store.sets->len; i++) {
        Entry *entry = g_ptr_array_index(store.sets, i);

        if ((uint64_t)entry->set != set) {
            continue;
        }
        if ((fcntl(entry->fd, F_GETFL) & O_ACCMODE) == mode) {
            return fcntl(entry->fd, F_DUPFD_CLOEXEC, 3);
        }
        errno = EACCES;
    }
    return -1;
}

int fdset_open(const char *path, int flags, GError **error)
{
    static const char *const modes[] = { [O_RDONLY] = "reading", [O_WRONLY] = "writing",
                                         [O_RDWR] = "reading and writing" };
    int mode = flags & O_ACCMODE;
    uint64_t set;
    int fd, saved;

    if (!parse_uint64(path + strlen(FDSET_PREFIX), &set, error)) {
        return -1;
    }
    g_mutex_lock(&store.lock);
    make_store();
    fd = dup_matching(set, mode);
    saved = errno;
    g_mutex_unlock(&store.lock);
    if (fd < 0 && saved == EACCES) {
        error_setf(error, "'%s' has no descriptor that is open for %s", path, modes[mode]);
    } else if (fd < 0) {
        error_set_errno(error, saved, "Could not open '%s'", path);
    }
    return fd;
}
