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
    GMutex lock; /* of the child's end: nobody signals a process id that was given to another */
    bool ended;
} ChannelCommand;

static bool reap(ChannelCommand *self, int options)
{
    pid_t result = 0;

    g_mutex_lock(&self->lock);
    while (!self->ended && (result = waitpid(self->pid, &self->status, options)) < 0 &&
           errno == EINTR) {
    }
    self->ended |= result != 0; /* an error means that somebody else reaped it */
    g_mutex_unlock(&self->lock);
    return self->ended;
}

static void send_signal(ChannelCommand *self, int signal)
{
    g_mutex_lock(&self->lock);
    if (!self->ended) {
        kill(self->pid, signal);
    }
    g_mutex_unlock(&self->lock);
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
        send_signal(self, SIGTERM);
        if (!reap_within_grace(self)) {
            send_signal(self, SIGKILL);
            reap(self, 0);
        }
    }
    trace_channel_command_end(self, self->status);
    g_spawn_close_pid(self->pid);
    return result;
}

/* Whoever reads or writes then finds the pipes broken. */
static int command_shutdown(Channel *channel, unsigned sides)
{
    send_signal((ChannelCommand *)channel, SIGTERM);
    return 0;
}

static void command_free(Channel *channel)
{
    g_mutex_clear(&((ChannelCommand *)channel)->lock);
    channel_fd_free(channel);
}

static const ChannelOps command_ops = {
    .kind = "command",
    .readv = channel_fd_readv,
    .writev = channel_fd_writev,
    .set_blocking = channel_fd_set_blocking,
    .shutdown = command_shutdown,
    .close = command_close,
    .watch = channel_fd_watch,
    .wait = channel_fd_wait,
    .free = command_free,
};

Channel *channel_command_new(const char *const *argv, int flags, GError **error)
{
    ChannelCommand *self = g_new0(ChannelCommand, 1);
    int access = flags & O_ACCMODE;
    GSpawnFlags spawn = G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD |
                        G_SPAWN_CLOEXEC_PIPES |
                        (access == O_WRONLY ? G_SPAWN_STDOUT_TO_DEV_NULL : 0);

    self->fd.read_fd = self->fd.write_fd = -1;
    g_mutex_init(&self->lock);
    if (!g_spawn_async_with_pipes(NULL, (char **)argv, NULL, spawn, NULL, NULL, &self->pid,
                                  access == O_RDONLY ? NULL : &self->fd.write_fd,
                                  access == O_WRONLY ? NULL : &self->fd.read_fd, NULL, error)) {
        g_prefix_error(error, "cannot run '%s': ", argv[0]);
        g_mutex_clear(&self->lock);
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

bool channel_is_command(const Channel *channel)
{
    return channel->ops == &command_ops;
}

void channel_command_finish(Channel *channel)
{
    ChannelCommand *self = (ChannelCommand *)channel;
    struct timespec step = { .tv_nsec = GRACE_STEP_MS * 1000000L };

    g_assert(channel_is_command(channel));
    if (self->fd.write_fd >= 0) {
        close(self->fd.write_fd);
        self->fd.write_fd = -1;
    }
    while (!reap(self, WNOHANG)) {
        nanosleep(&step, NULL);
    }
}
