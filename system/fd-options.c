/* SPDX-License-Identifier: Apache-2.0 */
/* -add-fd: descriptors that the parent process left open for us, put into sets. */
#include <fcntl.h>
#include <unistd.h>

#include "system/machine-setup.h"
#include "util/error.h"
#include "util/fd-store.h"
#include "util/parse.h"

static bool get_number(json_object *json, const char *key, uint64_t *number, GError **error)
{
    const char *text = options_member(json, key);

    if (!text) {
        error_setf(error, "%s is required", key);
        return false;
    }
    if (!parse_uint64(text, number, error) || *number > INT32_MAX) {
        if (error && !*error) {
            error_setf(error, "%s=%s: too large", key, text);
        }
        return false;
    }
    return true;
}

static bool add_one(json_object *json, GError **error)
{
    uint64_t fd, set;
    int copy;

    if (!get_number(json, "fd", &fd, error) || !get_number(json, "set", &set, error)) {
        return false;
    }
    if (fd <= STDERR_FILENO) {
        error_setf(error, "fd=%u: standard input, output and error cannot be given away",
                   (unsigned)fd);
        return false;
    }
    copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) {
        error_setf(error, "fd=%u is not open", (unsigned)fd);
        return false;
    }
    if (fdset_add(set, copy, options_member(json, "opaque"), error) < 0) {
        close(copy);
        return false;
    }
    close(fd);
    return true;
}

bool setup_fds(VmOptions *options, GError **error)
{
    for (unsigned i = 0; i < options->add_fd->len; i++) {
        const OptionValue *value = g_ptr_array_index(options->add_fd, i);

        if (!add_one(value->json, error)) {
            g_prefix_error(error, "-add-fd: ");
            return false;
        }
    }
    return true;
}
