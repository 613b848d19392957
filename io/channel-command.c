/* SPDX-License-Identifier: Apache-2.0 */
/* Child processes as channels. */
#include "io/channel-command.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "io/channel-fd.h"
#include "io/trace.h"
#include "util/error.h"

/* How long a child may take after its pipes were closed, and again after SIGTERM. */
#define GRACE_MS 500
#define GRACE_STEP_MS 5

typedef struct ChannelCommand {
    ChannelFd fd;
    GPid pid;
    int status;
} ChannelCommand;

static bool reap(ChannelCommand *self, int options)
{
    pid_t result;

    do {
        result = waitpid(self->pid, &self->status, options);
    } while (result < 0 && errno == EINTR);
    return result != 0; /* an error means that somebody else reaped it */
}

static bool reap_within_grace(ChannelCommand *self)
{
    struct timespec step = { .tv_nsec = GRACE_STEP_MS * 1000000L };

    for (int ms = 0; ms < GRACE_MS; ms += GRACE_STEP_MS) {
        if (reap(self, WNOHANG)) {
            return true;
        }
        nanosleep(&step, NULL);
    }
    return false;
}

static int command_close(Channel *channel)
{
    ChannelCommand *self = (ChannelCommand *)channel;
    int result = channel_fd_close(channel);

    if (!reap_within_grace(self)) {
        kill(self->pid, SIGTERM);
        if (!reap_within_grace(self)) {
            kill(self->pid, SIGKILL);
            reap(self, 0);
        }
    }
    trace_channel_command_end(self, self->status);
    g_spawn_close_pid(self->pid);
    return result;
}

static const ChannelOps command_ops = {
    .kind = "command",
    .readv = channel_fd_readv,
    .writev = channel_fd_writev,
    .set_blocking = channel_fd_set_blocking,
    .close = command_close,
    .watch = channel_fd_watch,
    .wait = channel_fd_wait,
    .free = channel_fd_free,
};

Channel *channel_command_new(const char *const *argv, int flags, GError **error)
{
    ChannelCommand *self = g_new0(ChannelCommand, 1);
    int access = flags & O_ACCMODE;
    GSpawnFlags spawn = G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD |
                        G_SPAWN_CLOEXEC_PIPES |
                        (access == O_WRONLY ? G_SPAWN_STDOUT_TO_DEV_NULL : 0);

    self->fd.read_fd = self->fd.write_fd = -1;
    if (!g_spawn_async_with_pipes(NULL, (char **)argv, NULL, spawn, NULL, NULL, &self->pid,
                                  access == O_RDONLY ? NULL : &self->fd.write_fd,
                                  access == O_WRONLY ? NULL : &self->fd.read_fd, NULL, error)) {
        g_prefix_error(error, "cannot run '%s': ", argv[0]);
        g_free(self);
        return NULL;
    }
    channel_init(&self->fd.channel, &command_ops);
    channel_fd_set_blocking(&self->fd.channel, false);
    trace_channel_command_new(self, argv[0], self->pid);
    return &self->fd.channel;
}

int channel_command_status(const Channel *channel)
{
    g_assert(channel->ops == &command_ops && channel->closed);
    return ((const ChannelCommand *)channel)->status;
}
