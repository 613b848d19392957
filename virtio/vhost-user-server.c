/* SPDX-License-Identifier: Apache-2.0 */
/* The frontend's messages, one function each, and the table of them. */
#include "virtio/vhost-user-server.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/bits.h"
#include "util/error.h"
#include "util/log.h"

#define PROTOCOL_FEATURES                                                                          \
    (BIT_ULL(VHOST_USER_PROTOCOL_F_MQ) | BIT_ULL(VHOST_USER_PROTOCOL_F_LOG_SHMFD) |                \
     BIT_ULL(VHOST_USER_PROTOCOL_F_REPLY_ACK) | BIT_ULL(VHOST_USER_PROTOCOL_F_BACKEND_REQ) |       \
     BIT_ULL(VHOST_USER_PROTOCOL_F_CONFIG) | BIT_ULL(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD) |       \
     BIT_ULL(VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS))
#define OWN_FEATURES                                                                               \
    (BIT_ULL(VIRTIO_F_VERSION_1) | BIT_ULL(VIRTIO_RING_F_EVENT_IDX) |                              \
     BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC) | BIT_ULL(VHOST_F_LOG_ALL) |                             \
     BIT_ULL(VHOST_USER_F_PROTOCOL_FEATURES))

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
    *fd = -1;
}

static int take_fd(VhostUserMessage *message)
{
    return message->n_fds ? message->fds[--message->n_fds] : -1;
}

static bool negotiated(const VhostUserServer *server, VhostUserProtocolFeature feature)
{
    return server->protocol_features & BIT_ULL(feature);
}

/* ---- Features ---- */

static bool get_features(VhostUserServer *server, VhostUserMessage *message, GError **error)
{
    message->payload.u64 = server->device_features | OWN_FEATURES;
    return true;
}

static bool set_features(VhostUserServer *server, VhostUserMessage *message, GError **error)
{
    uint64_t features = message->payload.u64;

    if (features & ~(server->device_features | OWN_FEATURES)) {
        error_setf(error, "features 0x%" G_GINT64_MODIFIER "x that were not offered", features);
        return false;
    }
    server->features = features;
    if (server->ops->set_features) {
        server->ops->set_features(server->opaque, features);
    }
    return true;
}

static bool get_protocol_features(VhostUserServer *server, VhostUserMessage *message,
                                  GError **error)
{
    message->payload.u64 = PROTOCOL_FEATURES;
    return true;
}

static bool set_protocol_features(VhostUserServer *server, VhostUserMessage *message,
                                  GError **error)
{
    if (message->payload.u64 & ~PROTOCOL_FEATURES) {
        error_setf(error, "protocol features that were not offered");
        return false;
    }
    server->protocol_features = message->payload.u64;
    return true;
}

static bool nothing_to_do(VhostUserServer *server, VhostUserMessage *message, GError **error)
{
    return true;
}

static bool get_queue_num(VhostUserServer *server, VhostUserMessage *message, GError **error)
{
    message->payload.u64 = server->n_queues;
    return true;
}

static bool get_max_mem_slots(VhostUserServer *server, VhostUserMessage *message, GError **error)
{
    message->payload.u64 = VHOST_USER_MAX_REGIONS;
    return true;
}

/* ---- Memory ---- */

static void map_queues(VhostUserServer *server)
{
    for (unsigned i = 0; i < server->n_queues; i++) {
        vhost_user_queue_map(&server->queues[i]);
    }
}

static bool set_mem_table(VhostUserServer *server, VhostUserMessage *message, GError **error)
{
    const VhostUserMemTable *table = &message->payload.table;
    bool ok = true;

    if (table->n > VHOST_USER_TABLE_REGIONS || message->n_fds != table->n ||
        message->header.size <
            offsetof(VhostUserMemTable, regions) + table->n * sizeof(VhostUserRegion)) {
        error_setf(error, "a memory table of %u regions with %u descriptors", table->n,
                   message->n_fds);
        return false;
    }
    vhost_user_server_pause(server);
    vhost_user_memory_clear(&server->memory);
    for (uint32_t i = 0; i < table->n && ok; i++) {
        ok = vhost_user_memory_add(&server->memory, &table->regions[i], message->fds[i], error);
    }
    map_queues(server);
    vhost_user_server_resume(server);
    return ok;
}

static bool add_mem_reg(VhostUserServer *server, VhostUserMessage *message, GError **error)
{
    return vhost_user_memory_add(&server->memory, &message->payload.region.region,
                                 message->fds[0], error);
}

static bool rem_mem_reg(VhostUserServer *server, VhostUserMessage *message, GError **error)
{
    bool ok;

    vhost_user_server_pause(server);
    ok = vhost_user_memory_remove(&server->memory, &message->payload.region.region);
    map_queues(server);
    vhost_user_server_resume(server);
    if (!ok) {
        error_setf(error, "there is no such region of memory to remove");
    }
    return ok;
}

static bool set_log_base(VhostUserServer *server, VhostUserMessage *message, GError **error)
{
    const VhostUserLog *log = &message->payload.log;
    bool ok;

    if (!negotiated(server, VHOST_USER_PROTOCOL_F_LOG_SHMFD)) {
        error_setf(error, "a log that is not in shared memory");
        return false;
    }
    vhost_user_server_pause(server);
    shared_mapping_cleanup(&server->memory.log);
    ok = shared_mapping_init(&server->memory.log, message->fds[0], log->offset, log->size, error);
    vhost_user_server_resume(server);
    message->header.size = sizeof(uint64_t);
    message->payload.u64 = 0;
    return ok;
}

/* ---- Queues ---- */

static VhostUserQueue *find_queue(VhostUserServer *server, uint64_t index, GError **error)
{
    if (index >= server->n_queues) {
        error_setf(error, "there is no queue %" G_GUINT64_FORMAT, index);
        return NULL;
    }
    return &server->queues[index];
}

/* One that is not running. */
static VhostUserQueue *find_idle_queue(VhostUserServer *server, uint64_t index, GError **error)
{
    VhostUserQueue *queue = find_queue(server, index, error);

    if (queue && queue->started) {
        error_setf(error, "queue %" G_GUINT64_FORMAT " is running", index);
        return NULL;
    }
    return queue;
}

static bool set_vring_num(VhostUserServer *server, VhostUserMessage *message, GError **error)
{
    uint32_t num = message->payload.state.num;
    VhostUserQueue *queue = find_idle_queue(server, message->payload.state.index, error);

    if (queue && (!num || num > VHOST_USER_MAX_QUEUE_SIZE || (num & (num - 1)))) {
        error_setf(error, "a queue of %u entries", num);
        return false;
    }
    if (queue) {
        queue->ring.size = (uint16_t)num;
    }
    return queue != NULL;
}

/* Also while it runs, when logging begins or ends. */
static bool set_vring_addr(VhostUserServer *server, VhostUserMessage *message, GError **error)
{
    VhostUserQueue *queue = find_queue(server, message->payload.addr.index, error);

    if (!queue) {
        return false;
    }
    queue->addr = message->payload.addr;
    queue->has_addr = true;
    if (queue->started) {
        vhost_user_queue_map(queue);
        if (!queue->ring.desc) {
            error_setf(error, "rings outside of memory");
            return false;
        }
    }
    return true;
}

static bool set_vring_base(VhostUserServer *server, VhostUserMessage *message, GError **error)
{
    VhostUserQueue *queue = find_idle_queue(server, message->payload.state.index, error);

    if (queue) {
        queue->ring.last_avail = (uint16_t)message->payload.state.num;
    }
    return queue != NULL;
}

static bool get_vring_base(VhostUserServer *server, VhostUserMessage *message, GError **error)
{
    VhostUserQueue *queue = find_queue(server, message->payload.state.index, error);

    if (!queue) {
        return false;
    }
    vhost_user_queue_stop(queue);
    close_fd(&queue->kick_fd);
    close_fd(&queue->call_fd);
    message->payload.state.num = queue->ring.last_avail;
    return true;
}

static bool set_vring_enable(VhostUserServer *server, VhostUserMessage *message, GError **error)
{
    VhostUserQueue *queue = find_queue(server, message->payload.state.index, error);

    if (queue) {
        queue->enabled = message->payload.state.num != 0;
        loop_bh_schedule(queue->again);
    }
    return queue != NULL;
}

/* Where /proc does not say what it is, it is taken on trust: reading never waits. */
static bool is_eventfd(int fd)
{
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
    g_autofree char *target = g_file_read_link(path, NULL);

    return !target || strcmp(target, "anon_inode:[eventfd]") == 0;
}

/* The message's descriptor, or -1 if it says that there is none. */
static bool take_event_fd(VhostUserMessage *message, int *fd, GError **error)
{
    bool none = message->payload.u64 & VHOST_USER_VRING_NO_FD;
    int flags;

    *fd = -1;
    if (none != (message->n_fds == 0)) {
        error_setf(error, "a queue's descriptor is missing, or there is one too many");
        return false;
    }
    if (none) {
        return true;
    }
    *fd = take_fd(message);
    flags = fcntl(*fd, F_GETFL);
    if (!is_eventfd(*fd) || flags < 0 || fcntl(*fd, F_SETFL, flags | O_NONBLOCK) < 0) {
        error_setf(error, "a queue's descriptor is not an eventfd");
        close_fd(fd);
        return false;
    }
    return true;
}

static bool set_vring_kick(VhostUserServer *server, VhostUserMessage *message, GError **error)
{
    VhostUserQueue *queue =
        find_queue(server, message->payload.u64 & VHOST_USER_VRING_INDEX, error);
    int fd;

    if (!queue || !take_event_fd(message, &fd, error)) {
        return false;
    }
    if (fd < 0) {
        error_setf(error, "a queue without kicks (polling) is not supported");
        return false;
    }
    vhost_user_queue_stop(queue);
    close_fd(&queue->kick_fd);
    queue->kick_fd = fd;
    return vhost_user_queue_start(queue, error);
}

static bool set_vring_call(VhostUserServer *server, VhostUserMessage *message, GError **error)
{
    VhostUserQueue *queue =
        find_queue(server, message->payload.u64 & VHOST_USER_VRING_INDEX, error);
    int fd;

    if (!queue || !take_event_fd(message, &fd, error)) {
        return false;
    }
    close_fd(&queue->call_fd);
    queue->call_fd = fd;
    if (queue->started) {
        /* Who was told by the old one may not have heard it: once too often does no harm. */
        vhost_user_queue_call(queue);
    }
    return true;
}

static bool set_vring_err(VhostUserServer *server, VhostUserMessage *message, GError **error)
{
    VhostUserQueue *queue =
        find_queue(server, message->payload.u64 & VHOST_USER_VRING_INDEX, error);
    int fd;

    if (!queue || !take_event_fd(message, &fd, error)) {
        return false;
    }
    close_fd(&queue->err_fd);
    queue->err_fd = fd;
    return true;
}

/* ---- The rest ---- */

static bool set_backend_req_fd(VhostUserServer *server, VhostUserMessage *message, GError **error)
{
    struct stat st;

    if (fstat(message->fds[0], &st) < 0 || !S_ISSOCK(st.st_mode)) {
        error_setf(error, "the channel for our requests is not a socket");
        return false;
    }
    close_fd(&server->backend_fd);
    server->backend_fd = take_fd(message);
    return true;
}

static bool check_config(const VhostUserMessage *message, GError **error)
{
    const VhostUserConfig *config = &message->payload.config;

    if (!range_ok(config->offset, config->size, VHOST_USER_CONFIG_MAX) ||
        message->header.size != offsetof(VhostUserConfig, data) + config->size) {
        error_setf(error, "%u bytes at %u of the configuration space", config->size,
                   config->offset);
        return false;
    }
    return true;
}

static bool get_config(VhostUserServer *server, VhostUserMessage *message, GError **error)
{
    VhostUserConfig *config = &message->payload.config;
    uint8_t all[VHOST_USER_CONFIG_MAX] = { 0 };

    if (!check_config(message, error)) {
        return false;
    }
    server->ops->get_config(server->opaque, all);
    memcpy(config->data, all + config->offset, config->size);
    return true;
}

static bool set_config(VhostUserServer *server, VhostUserMessage *message, GError **error)
{
    const VhostUserConfig *config = &message->payload.config;

    if (!check_config(message, error)) {
        return false;
    }
    if (!server->ops->set_config ||
        !server->ops->set_config(server->opaque, config->offset, config->data, config->size)) {
        error_setf(error, "%u bytes at %u of the configuration space cannot be written",
                   config->size, config->offset);
        return false;
    }
    return true;
}

static bool check_inflight(VhostUserServer *server, const VhostUserInflight *shape, GError **error)
{
    uint64_t size = vhost_user_inflight_size(shape);

    if (!size || shape->n_queues > server->n_queues) {
        error_setf(error, "in-flight memory for %u queues of %u", shape->n_queues,
                   shape->queue_size);
        return false;
    }
    for (unsigned i = 0; i < server->n_queues; i++) {
        if (server->queues[i].started) {
            error_setf(error, "in-flight memory while queue %u is running", i);
            return false;
        }
    }
    return true;
}

static bool use_inflight(VhostUserServer *server, const VhostUserInflight *shape, int fd,
                         GError **error)
{
    shared_mapping_cleanup(&server->inflight);
    if (!shared_mapping_init(&server->inflight, fd, shape->mmap_offset,
                             vhost_user_inflight_size(shape), error)) {
        return false;
    }
    if (!IS_ALIGNED((uintptr_t)server->inflight.data, VHOST_USER_INFLIGHT_ALIGN)) {
        error_setf(error, "in-flight memory that is not aligned");
        shared_mapping_cleanup(&server->inflight);
        return false;
    }
    server->inflight_shape = *shape;
    return true;
}

static bool get_inflight_fd(VhostUserServer *server, VhostUserMessage *message, GError **error)
{
    VhostUserInflight *shape = &message->payload.inflight;
    int fd;

    if (!check_inflight(server, shape, error)) {
        return false;
    }
    shape->mmap_size = vhost_user_inflight_size(shape);
    shape->mmap_offset = 0;
    fd = memfd_create("vhost-user-inflight", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || ftruncate(fd, (off_t)shape->mmap_size) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0) {
        error_set_errno(error, errno, "cannot make in-flight memory");
        close_fd(&fd);
        return false;
    }
    message->fds[0] = fd;
    message->n_fds = 1;
    return use_inflight(server, shape, fd, error);
}

static bool set_inflight_fd(VhostUserServer *server, VhostUserMessage *message, GError **error)
{
    const VhostUserInflight *shape = &message->payload.inflight;

    if (!check_inflight(server, shape, error)) {
        return false;
    }
    if (shape->mmap_size < vhost_user_inflight_size(shape)) {
        error_setf(error, "too little in-flight memory");
        return false;
    }
    return use_inflight(server, shape, message->fds[0], error);
}

/* ---- The table ---- */

typedef struct MessageKind {
    bool (*handle)(VhostUserServer *server, VhostUserMessage *message, GError **error);
    uint16_t min_size, max_size; /* of the payload */
    uint8_t min_fds, max_fds;
    bool replies;                /* with the payload as handle leaves it; if 0 long, then a u64 */
} MessageKind;

#define SIZE(type) sizeof(type), sizeof(type)
/* Up to its last field, with padding or not. */
#define INFLIGHT_SIZE                                                                              \
    offsetof(VhostUserInflight, queue_size) + sizeof(uint16_t), sizeof(VhostUserInflight)

static const MessageKind kinds[VHOST_USER__MAX] = {
    [VHOST_USER_GET_FEATURES] = { get_features, 0, 0, 0, 0, true },
    [VHOST_USER_SET_FEATURES] = { set_features, SIZE(uint64_t) },
    [VHOST_USER_SET_OWNER] = { nothing_to_do },
    [VHOST_USER_RESET_OWNER] = { nothing_to_do },
    [VHOST_USER_SET_MEM_TABLE] = { set_mem_table, offsetof(VhostUserMemTable, regions),
                                   sizeof(VhostUserMemTable), 0, VHOST_USER_TABLE_REGIONS },
    [VHOST_USER_SET_LOG_BASE] = { set_log_base, SIZE(VhostUserLog), 1, 1, true },
    [VHOST_USER_SET_LOG_FD] = { nothing_to_do, 0, sizeof(uint64_t), 0, 1 },
    [VHOST_USER_SET_VRING_NUM] = { set_vring_num, SIZE(VhostUserVringState) },
    [VHOST_USER_SET_VRING_ADDR] = { set_vring_addr, SIZE(VhostUserVringAddr) },
    [VHOST_USER_SET_VRING_BASE] = { set_vring_base, SIZE(VhostUserVringState) },
    [VHOST_USER_GET_VRING_BASE] = { get_vring_base, SIZE(VhostUserVringState), 0, 0, true },
    [VHOST_USER_SET_VRING_KICK] = { set_vring_kick, SIZE(uint64_t), 0, 1 },
    [VHOST_USER_SET_VRING_CALL] = { set_vring_call, SIZE(uint64_t), 0, 1 },
    [VHOST_USER_SET_VRING_ERR] = { set_vring_err, SIZE(uint64_t), 0, 1 },
    [VHOST_USER_GET_PROTOCOL_FEATURES] = { get_protocol_features, 0, 0, 0, 0, true },
    [VHOST_USER_SET_PROTOCOL_FEATURES] = { set_protocol_features, SIZE(uint64_t) },
    [VHOST_USER_GET_QUEUE_NUM] = { get_queue_num, 0, 0, 0, 0, true },
    [VHOST_USER_SET_VRING_ENABLE] = { set_vring_enable, SIZE(VhostUserVringState) },
    [VHOST_USER_SET_BACKEND_REQ_FD] = { set_backend_req_fd, 0, sizeof(uint64_t), 1, 1 },
    [VHOST_USER_GET_CONFIG] = { get_config, offsetof(VhostUserConfig, data),
                                sizeof(VhostUserConfig), 0, 0, true },
    [VHOST_USER_SET_CONFIG] = { set_config, offsetof(VhostUserConfig, data),
                                sizeof(VhostUserConfig) },
    [VHOST_USER_GET_INFLIGHT_FD] = { get_inflight_fd, INFLIGHT_SIZE, 0, 0, true },
    [VHOST_USER_SET_INFLIGHT_FD] = { set_inflight_fd, INFLIGHT_SIZE, 1, 1 },
    [VHOST_USER_GET_MAX_MEM_SLOTS] = { get_max_mem_slots, 0, 0, 0, 0, true },
    [VHOST_USER_ADD_MEM_REG] = { add_mem_reg, SIZE(VhostUserOneRegion), 1, 1 },
    [VHOST_USER_REM_MEM_REG] = { rem_mem_reg, SIZE(VhostUserOneRegion), 0, 1 },
};

static const MessageKind *find_kind(const VhostUserMessage *message, GError **error)
{
    const VhostUserHeader *header = &message->header;
    const MessageKind *kind = header->request < VHOST_USER__MAX ? &kinds[header->request] : NULL;

    if (!kind || !kind->handle) {
        error_setf(error, "request %u is unknown", header->request);
    } else if ((header->flags & VHOST_USER_FLAG_VERSION) != VHOST_USER_VERSION ||
               (header->flags & VHOST_USER_FLAG_REPLY)) {
        error_setf(error, "request %u has flags 0x%x", header->request, header->flags);
    } else if (header->size < kind->min_size || header->size > kind->max_size) {
        error_setf(error, "request %u has %u bytes", header->request, header->size);
    } else if (message->n_fds < kind->min_fds || message->n_fds > kind->max_fds) {
        error_setf(error, "request %u has %u descriptors", header->request, message->n_fds);
    } else {
        return kind;
    }
    return NULL;
}

static void close_fds(VhostUserMessage *message)
{
    while (message->n_fds) {
        close(message->fds[--message->n_fds]);
    }
}

/* What a frontend that wants to know is told, instead of losing the connection. */
static void make_ack(VhostUserMessage *message, bool *ok, GError **error)
{
    message->header.size = sizeof(uint64_t);
    message->payload.u64 = !*ok;
    if (!*ok) {
        log_guest_error("vhost-user: request %u fails: %s\n", message->header.request,
                        error && *error ? (*error)->message : "");
        g_clear_error(error);
        *ok = true;
    }
}

bool vhost_user_server_handle(VhostUserServer *server, VhostUserMessage *message, bool *reply,
                              GError **error)
{
    const MessageKind *kind = find_kind(message, error);
    bool wants_ack = (message->header.flags & VHOST_USER_FLAG_NEED_REPLY) &&
                     negotiated(server, VHOST_USER_PROTOCOL_F_REPLY_ACK);
    bool ok;

    *reply = false;
    if (!kind) {
        close_fds(message);
        return false;
    }
    if (kind->replies && !message->header.size) {
        message->header.size = sizeof(uint64_t);
    }
    ok = kind->handle(server, message, error);
    if (!ok || !kind->replies || message->header.request != VHOST_USER_GET_INFLIGHT_FD) {
        close_fds(message); /* those that nobody took */
    }
    if (wants_ack && !kind->replies) {
        make_ack(message, &ok, error);
    }
    *reply = ok && (kind->replies || wants_ack);
    message->header.flags = VHOST_USER_VERSION | VHOST_USER_FLAG_REPLY;
    return ok;
}

/* ---- Life ---- */

static void go_on(void *opaque)
{
    vhost_user_queue_process(opaque);
}

void vhost_user_server_init(VhostUserServer *server, Loop *loop)
{
    g_assert(server->n_queues <= VHOST_USER_MAX_QUEUES);
    server->loop = loop;
    server->backend_fd = -1;
    server->chain = g_new(VirtioChain, 1);
    for (unsigned i = 0; i < server->n_queues; i++) {
        VhostUserQueue *queue = &server->queues[i];

        queue->server = server;
        queue->kick_fd = queue->call_fd = queue->err_fd = -1;
        queue->again = loop_bh_new(loop, go_on, queue);
    }
}

void vhost_user_server_cleanup(VhostUserServer *server)
{
    for (unsigned i = 0; i < server->n_queues; i++) {
        VhostUserQueue *queue = &server->queues[i];

        vhost_user_queue_stop(queue);
        close_fd(&queue->kick_fd);
        close_fd(&queue->call_fd);
        close_fd(&queue->err_fd);
    }
    for (unsigned i = 0; i < server->n_queues; i++) {
        loop_bh_free(server->queues[i].again); /* an answer of any queue schedules all of them */
    }
    vhost_user_memory_clear(&server->memory);
    shared_mapping_cleanup(&server->memory.log);
    shared_mapping_cleanup(&server->inflight);
    close_fd(&server->backend_fd);
    g_free(server->chain);
}
