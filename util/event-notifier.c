/* SPDX-License-Identifier: Apache-2.0 */
/* eventfd(2), non-blocking and close-on-exec. */
#include "util/event-notifier.h"

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/error.h"

bool event_notifier_init(EventNotifier *notifier, GError **error)
{
    notifier->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (notifier->fd < 0) {
        error_set_errno(error, errno, "cannot create an eventfd");
        return false;
    }
    return true;
}

void event_notifier_cleanup(EventNotifier *notifier)
{
    if (notifier->fd >= 0) {
        close(notifier->fd);
        notifier->fd = -1;
    }
}

void event_notifier_set(EventNotifier *notifier)
{
    uint64_t one = 1;
    ssize_t n;

    do {
        n = write(notifier->fd, &one, sizeof(one));
    } while (n < 0 && errno == EINTR);
    /* EAGAIN means that the counter is full: it is set. */
}

bool event_notifier_test_and_clear(EventNotifier *notifier)
{
    uint64_t count;
    ssize_t n;

    do {
        n = read(notifier->fd, &count, sizeof(count));
    } while (n < 0 && errno == EINTR);
    return n == sizeof(count);
}
