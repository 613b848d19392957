/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who holds a lock. The kernel names no process for locks of an open file description, but
 * /proc/PID/fdinfo/FD lists them, one a line:
 *
 *   lock:\t1: OFDLCK  ADVISORY  READ -1 fe:00:10969185 100 101
 *
 * with the first and the last byte, or EOF. Only processes that we may look into can be found.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/file-internal.h"

#define COMMAND_SHOWN 80

/* Does this line of fdinfo cover the byte? */
static bool line_covers(const char *line, int64_t byte)
{
    char last_text[32];
    long long first;

    if (!g_str_has_prefix(line, "lock:")
        || sscanf(line, "lock: %*s %*s %*s %*s %*s %*s %lld %31s", &first, last_text) != 2) {
        return false;
    }
    return first <= byte
           && (strcmp(last_text, "EOF") == 0 || g_ascii_strtoll(last_text, NULL, 10) >= byte);
}

static bool fd_has_lock(const char *pid, const char *fd, int64_t byte)
{
    g_autofree char *path = g_strdup_printf("/proc/%s/fdinfo/%s", pid, fd);
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;

    if (!g_file_get_contents(path, &text, NULL, NULL)) {
        return false;
    }
    lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        if (line_covers(*line, byte)) {
            return true;
        }
    }
    return false;
}

/* Has this process, by a descriptor other than our_fd, the file open and locked? */
static bool process_has_lock(const char *pid, int our_fd, const struct stat *file, int64_t byte)
{
    g_autofree char *folder = g_strdup_printf("/proc/%s/fd", pid);
    DIR *dir = opendir(folder);
    struct dirent *entry;
    bool found = false;

    if (!dir) {
        return false;
    }
    while (!found && (entry = readdir(dir))) {
        struct stat other;

        /* Only files with such a lock are looked at: others may be on a server that is gone. */
        found = g_ascii_isdigit(entry->d_name[0]) && atoi(entry->d_name) != our_fd
                && fd_has_lock(pid, entry->d_name, byte)
                && fstatat(dirfd(dir), entry->d_name, &other, 0) == 0
                && other.st_dev == file->st_dev && other.st_ino == file->st_ino;
    }
    closedir(dir);
    return found;
}

/* The command line, in one short printable line. */
static char *describe_process(const char *pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%s/cmdline", pid);
    g_autofree char *text = NULL;
    gsize len = 0;

    if (!g_file_get_contents(path, &text, &len, NULL) || len == 0) {
        return g_strdup_printf("is in use by process %s", pid);
    }
    for (gsize i = 0; i + 1 < len; i++) {
        text[i] = text[i] == '\0' ? ' ' : g_ascii_isprint(text[i]) ? text[i] : '?';
    }
    return g_strdup_printf("is in use by process %s (%.*s%s)", pid, COMMAND_SHOWN, text,
                           len - 1 > COMMAND_SHOWN ? "..." : "");
}

static char *search_processes(DIR *proc, int fd, const struct stat *file, int64_t byte)
{
    long self = getpid();
    struct dirent *entry;

    while ((entry = readdir(proc))) {
        if (g_ascii_isdigit(entry->d_name[0]) && atol(entry->d_name) != self
            && process_has_lock(entry->d_name, -1, file, byte)) {
            return describe_process(entry->d_name);
        }
    }
    if (process_has_lock("self", fd, file, byte)) {
        return g_strdup("is in use by this process already");
    }
    return NULL;
}

char *file_lock_find_holder(int fd, int64_t byte)
{
    DIR *proc = opendir("/proc");
    char *text = NULL;
    struct stat file;

    if (proc && fstat(fd, &file) == 0) {
        text = search_processes(proc, fd, &file, byte);
    }
    if (proc) {
        closedir(proc);
    }
    return text;
}
