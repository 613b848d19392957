/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-scsi (VIRTIO 1.2, section 5.6): a SCSI host adapter. Queue 0 takes task management, queue
 * 1 buffers for events, the others commands: a header with LUN and CDB and the data to the unit;
 * then room for a response with sense data, and for the data from the unit.
 */
#include <linux/virtio_scsi.h>

#include "hw/core/machine.h"
#include "hw/scsi/scsi.h"
#include "hw/virtio/virtio-mmio.h"
#include "hw/virtio/virtio-pci.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/iov.h"

#define QUEUES_AUTO UINT32_MAX
#define FIXED_QUEUES 2
#define MAX_TARGET 255
#define MAX_LUN 16383
#define SENSE_SIZE_DEFAULT VIRTIO_SCSI_SENSE_DEFAULT_SIZE
#define CDB_SIZE_DEFAULT VIRTIO_SCSI_CDB_DEFAULT_SIZE
#define SENSE_SIZE_MAX 4096
#define CDB_SIZE_MAX 255
#define COMMAND_HEADER offsetof(struct virtio_scsi_cmd_req, cdb)
#define RESPONSE_HEADER offsetof(struct virtio_scsi_cmd_resp, sense)

typedef struct VirtioScsi {
    VirtioDevice dev;
    uint32_t n_queues, queue_size, max_sectors, cmd_per_lun; /* properties */
    bool seg_max_adjust, has_hotplug, has_param_change;
    uint32_t sense_size, cdb_size;  /* the driver may choose */
    ScsiBus *bus;
    VirtioQueue *events;
    bool events_missed;
    GQueue commands;                /* Command*: at work */
    GQueue waiting;                 /* Task*: task management that waits for units to be idle */
    GQueue loaded;                  /* Loaded*: begins when the VM goes on */
    VirtioSaved saved;
    LoopBh *resume;
    Notifier run_state;
} VirtioScsi;

typedef struct Command {
    VirtQueueElement element;
    GList link;                     /* in commands */
    VirtioScsi *scsi;
    VirtioQueue *queue;
    ScsiRequest request;
    size_t in_len;                  /* of the data from the unit, as there is room */
    size_t out_len;
    struct iovec *data;             /* both vectors without headers */
} Command;

typedef struct Task {
    VirtQueueElement element;
    VirtioQueue *queue;
    ScsiDevice *dev;
} Task;

typedef struct Loaded {
    VirtioQueue *queue;
    void *element;                  /* Command or Task, as the queue says */
} Loaded;

/* ---- LUNs ---- */

/* Byte 0 is 1, then the target, then a LUN of one level (5.6.6.1). */
static bool parse_lun(const uint8_t lun[8], uint32_t *target, uint32_t *unit)
{
    *target = lun[1];
    *unit = ldw_be(lun + 2) & 0x3fff;
    return lun[0] == 1;
}

static void make_lun(const ScsiDevice *dev, uint8_t lun[8])
{
    memset(lun, 0, 8);
    lun[0] = 1;
    lun[1] = (uint8_t)dev->scsi_id;
    stw_be(lun + 2, (uint16_t)(dev->lun < 256 ? dev->lun : 0x4000 | dev->lun));
}

/* ---- Commands ---- */

static void answer(Command *command, uint8_t response)
{
    VirtioQueue *queue = command->queue;
    const ScsiRequest *request = &command->request;
    uint32_t sense_len = MIN(request->sense_len, command->scsi->sense_size);
    uint64_t room = command->in_len ? command->in_len : command->out_len;
    struct virtio_scsi_cmd_resp resp = {
        .sense_len = htole32(sense_len),
        .resid = htole32((uint32_t)MIN(room - MIN(room, request->transferred), UINT32_MAX)),
        .status = request->status,
        .response = response,
    };
    size_t len = RESPONSE_HEADER + command->scsi->sense_size +
                 (command->in_len ? request->transferred : 0);

    memcpy(resp.sense, request->sense, sense_len);
    iov_from_buf(command->element.in, command->element.n_in, 0, &resp,
                 RESPONSE_HEADER + sense_len);
    g_free(command->data);
    g_queue_unlink(&command->scsi->commands, &command->link);
    virtqueue_push(&queue->vq, command, (uint32_t)MIN(len, UINT32_MAX));
    virtio_queue_notify(queue);
}

static void command_done(ScsiRequest *request)
{
    Command *command = (Command *)(void *)((char *)request - offsetof(Command, request));

    answer(command, request->overrun ? VIRTIO_SCSI_S_OVERRUN
                    : request->status == SCSI_TASK_ABORTED ? VIRTIO_SCSI_S_ABORTED
                                                           : VIRTIO_SCSI_S_OK);
}

static void start_command(Command *command, const struct virtio_scsi_cmd_req *header)
{
    uint32_t target, lun;
    ScsiDevice *dev, *neighbour;

    if (!parse_lun(header->lun, &target, &lun)) {
        answer(command, VIRTIO_SCSI_S_BAD_TARGET);
        return;
    }
    dev = scsi_bus_find(command->scsi->bus, target, lun);
    neighbour = dev ? dev : scsi_bus_find_target(command->scsi->bus, target);
    if (!neighbour) {
        answer(command, VIRTIO_SCSI_S_BAD_TARGET);
    } else {
        scsi_execute(neighbour, &command->request, dev != NULL);
    }
}

/* False: the driver broke a rule. */
static bool take_command(VirtioScsi *scsi, VirtioQueue *queue, Command *command)
{
    VirtQueueElement *element = &command->element;
    size_t out = COMMAND_HEADER + scsi->cdb_size, in = RESPONSE_HEADER + scsi->sense_size;
    size_t out_room = iov_size(element->out, element->n_out);
    size_t in_room = iov_size(element->in, element->n_in);
    struct virtio_scsi_cmd_req header = { 0 };
    unsigned n_out, n_in;

    if (out_room < out || in_room < in) {
        virtqueue_drop(&queue->vq, command);
        virtio_queue_error(queue, "a command without room for its header or response");
        return false;
    }
    iov_to_buf(element->out, element->n_out, 0, &header, MIN(out, sizeof(header)));
    command->scsi = scsi;
    command->queue = queue;
    command->link = (GList) { .data = command };
    g_queue_push_tail_link(&scsi->commands, &command->link);
    command->out_len = out_room - out;
    command->in_len = in_room - in;
    command->data = g_new(struct iovec, element->n_out + element->n_in);
    n_out = iov_slice(command->data, element->n_out, element->out, element->n_out, out,
                      command->out_len);
    n_in = iov_slice(command->data + n_out, element->n_in, element->in, element->n_in, in,
                     command->in_len);
    command->request = (ScsiRequest) {
        .out = command->data, .n_out = n_out, .in = command->data + n_out, .n_in = n_in,
        .done = command_done,
    };
    memcpy(command->request.cdb, header.cdb, MIN(scsi->cdb_size, sizeof(header.cdb)));
    if (command->in_len && command->out_len) {
        answer(command, VIRTIO_SCSI_S_FAILURE); /* both ways at once is not offered */
    } else {
        start_command(command, &header);
    }
    return true;
}

static void handle_commands(VirtioDevice *dev, VirtioQueue *queue)
{
    VirtioScsi *scsi = (VirtioScsi *)dev;
    unsigned budget = queue->vq.size;
    Command *command;

    do {
        virtqueue_disable_kicks(&queue->vq);
        while (budget && (command = virtqueue_pop(&queue->vq, sizeof(*command)))) {
            budget--;
            if (!take_command(scsi, queue, command)) {
                return;
            }
        }
        if (!budget) {
            virtio_queue_schedule(queue);
            return;
        }
    } while (virtqueue_enable_kicks(&queue->vq));
}

/* ---- Task management ---- */

static void answer_control(VirtioQueue *queue, VirtQueueElement *element, const void *data,
                           size_t len)
{
    iov_from_buf(element->in, element->n_in, 0, data, len);
    virtqueue_push(&queue->vq, element, (uint32_t)len);
    virtio_queue_notify(queue);
}

static void answer_task(Task *task, uint8_t response)
{
    answer_control(task->queue, &task->element, &response, 1);
}

/* What is at work cannot be called back, only waited for. */
static void abort_unit(VirtioScsi *scsi, Task *task, ScsiDevice *dev)
{
    ((const ScsiDeviceOps *)object_ops(dev))->abort_waiting(dev);
    if (dev->in_flight) {
        task->dev = dev;
        g_queue_push_tail(&scsi->waiting, task);
    } else {
        answer_task(task, VIRTIO_SCSI_S_OK);
    }
}

static void start_task(VirtioScsi *scsi, Task *task, const struct virtio_scsi_ctrl_tmf_req *req)
{
    uint32_t target, lun;
    ScsiDevice *dev = NULL, *neighbour = NULL;

    if (parse_lun(req->lun, &target, &lun)) {
        dev = scsi_bus_find(scsi->bus, target, lun);
        neighbour = dev ? dev : scsi_bus_find_target(scsi->bus, target);
    }
    if (!dev && le32toh(req->subtype) == VIRTIO_SCSI_T_TMF_I_T_NEXUS_RESET) {
        dev = neighbour;
    }
    if (!dev) {
        answer_task(task, neighbour ? VIRTIO_SCSI_S_INCORRECT_LUN : VIRTIO_SCSI_S_BAD_TARGET);
        return;
    }
    switch (le32toh(req->subtype)) {
    case VIRTIO_SCSI_T_TMF_LOGICAL_UNIT_RESET:
    case VIRTIO_SCSI_T_TMF_I_T_NEXUS_RESET:
        dev->attention = SCSI_UA_RESET;
        abort_unit(scsi, task, dev);
        break;
    case VIRTIO_SCSI_T_TMF_ABORT_TASK:
    case VIRTIO_SCSI_T_TMF_ABORT_TASK_SET:
    case VIRTIO_SCSI_T_TMF_CLEAR_TASK_SET:
        abort_unit(scsi, task, dev);
        break;
    case VIRTIO_SCSI_T_TMF_QUERY_TASK:
    case VIRTIO_SCSI_T_TMF_QUERY_TASK_SET:
        answer_task(task, dev->in_flight ? VIRTIO_SCSI_S_FUNCTION_SUCCEEDED
                                         : VIRTIO_SCSI_S_OK);
        break;
    default:
        answer_task(task, VIRTIO_SCSI_S_FUNCTION_REJECTED);
        break;
    }
}

/* Queries and subscriptions of asynchronous events: none are known. */
static void answer_notification(VirtioQueue *queue, Task *task)
{
    const struct virtio_scsi_ctrl_an_resp resp = { 0, VIRTIO_SCSI_S_OK };

    answer_control(queue, &task->element, &resp, sizeof(resp));
}

static bool take_task(VirtioScsi *scsi, VirtioQueue *queue, Task *task)
{
    VirtQueueElement *element = &task->element;
    struct virtio_scsi_ctrl_tmf_req req = { 0 };
    size_t out = iov_to_buf(element->out, element->n_out, 0, &req, sizeof(req));
    size_t in = iov_size(element->in, element->n_in);
    bool is_task = le32toh(req.type) == VIRTIO_SCSI_T_TMF;

    if (out < (is_task ? sizeof(req) : sizeof(struct virtio_scsi_ctrl_an_req)) ||
        in < (is_task ? 1 : sizeof(struct virtio_scsi_ctrl_an_resp))) {
        virtqueue_drop(&queue->vq, task);
        virtio_queue_error(queue, "a task without room for its header or response");
        return false;
    }
    task->queue = queue;
    if (is_task) {
        start_task(scsi, task, &req);
    } else {
        answer_notification(queue, task);
    }
    return true;
}

static void handle_control(VirtioDevice *dev, VirtioQueue *queue)
{
    unsigned budget = queue->vq.size;
    Task *task;

    do {
        while (budget && (task = virtqueue_pop(&queue->vq, sizeof(*task)))) {
            budget--;
            if (!take_task((VirtioScsi *)dev, queue, task)) {
                return;
            }
        }
        if (!budget) {
            virtio_queue_schedule(queue);
            return;
        }
    } while (virtqueue_enable_kicks(&queue->vq));
}

static void unit_idle(void *opaque, ScsiDevice *dev)
{
    VirtioScsi *scsi = opaque;

    for (GList *at = scsi->waiting.head, *next; at && !dev->in_flight; at = next) {
        Task *task = at->data;

        next = at->next;
        if (task->dev == dev) {
            g_queue_delete_link(&scsi->waiting, at);
            answer_task(task, VIRTIO_SCSI_S_OK);
        }
    }
}

/* ---- Events ---- */

static void send_event(VirtioScsi *scsi, const ScsiDevice *dev, uint32_t event, uint32_t reason)
{
    VirtioQueue *queue = scsi->events;
    VirtQueueElement *element = virtqueue_pop(&queue->vq, sizeof(*element));
    struct virtio_scsi_event data = { .reason = htole32(reason) };

    if (!element) {
        scsi->events_missed |= dev != NULL;
        virtqueue_enable_kicks(&queue->vq);
        return;
    }
    if (iov_size(element->in, element->n_in) < sizeof(data)) {
        virtqueue_drop(&queue->vq, element);
        virtio_queue_error(queue, "too little room for an event");
        return;
    }
    if (scsi->events_missed) {
        event |= VIRTIO_SCSI_T_EVENTS_MISSED;
        scsi->events_missed = false;
    }
    if (dev) {
        make_lun(dev, data.lun);
    }
    data.event = htole32(event);
    answer_control(queue, element, &data, sizeof(data));
}

static void handle_events(VirtioDevice *dev, VirtioQueue *queue)
{
    VirtioScsi *scsi = (VirtioScsi *)dev;

    if (scsi->events_missed) {
        send_event(scsi, NULL, VIRTIO_SCSI_T_NO_EVENT, 0);
    }
    virtqueue_enable_kicks(&queue->vq);
}

static void tell_transport(VirtioScsi *scsi, ScsiDevice *dev, uint32_t reason)
{
    if (virtio_is_started(&scsi->dev) && virtio_has_feature(&scsi->dev, VIRTIO_SCSI_F_HOTPLUG)) {
        send_event(scsi, dev, VIRTIO_SCSI_T_TRANSPORT_RESET, reason);
    }
}

static void unit_plugged(void *opaque, ScsiDevice *dev)
{
    tell_transport(opaque, dev, VIRTIO_SCSI_EVT_RESET_RESCAN);
}

static void unit_unplugged(void *opaque, ScsiDevice *dev)
{
    tell_transport(opaque, dev, VIRTIO_SCSI_EVT_RESET_REMOVED);
}

static void unit_changed(void *opaque, ScsiDevice *dev, ScsiSense sense)
{
    VirtioScsi *scsi = opaque;

    if (virtio_is_started(&scsi->dev) && virtio_has_feature(&scsi->dev, VIRTIO_SCSI_F_CHANGE)) {
        send_event(scsi, dev, VIRTIO_SCSI_T_PARAM_CHANGE, sense.asc | (uint32_t)sense.ascq << 8);
    }
}

static const ScsiBusOps bus_ops_table = {
    .plugged = unit_plugged,
    .unplugged = unit_unplugged,
    .changed = unit_changed,
    .idle = unit_idle,
};

/* ---- The device ---- */

static void abort_waiting(ScsiDevice *dev, void *opaque)
{
    ((const ScsiDeviceOps *)object_ops(dev))->abort_waiting(dev);
}

static void scsi_stop(VirtioDevice *dev)
{
    VirtioScsi *scsi = (VirtioScsi *)dev;
    Loaded *loaded;
    Task *task;

    scsi_bus_foreach(scsi->bus, abort_waiting, NULL);
    while ((task = g_queue_pop_head(&scsi->waiting))) {
        virtqueue_drop(&task->queue->vq, task);
    }
    while ((loaded = g_queue_pop_head(&scsi->loaded))) {
        virtqueue_drop(&loaded->queue->vq, loaded->element);
        g_free(loaded);
    }
}

static void scsi_queue_reset(VirtioDevice *dev, VirtioQueue *queue)
{
    scsi_stop(dev);
}

static void drain_unit(ScsiDevice *dev, void *opaque)
{
    ((const ScsiDeviceOps *)object_ops(dev))->drain(dev);
}

static void scsi_drain(VirtioDevice *dev)
{
    scsi_bus_foreach(((VirtioScsi *)dev)->bus, drain_unit, NULL);
}

static void scsi_reset(VirtioDevice *dev)
{
    VirtioScsi *scsi = (VirtioScsi *)dev;

    scsi->sense_size = SENSE_SIZE_DEFAULT;
    scsi->cdb_size = CDB_SIZE_DEFAULT;
    scsi->events_missed = false;
}

static uint64_t scsi_features(VirtioDevice *dev)
{
    const VirtioScsi *scsi = (const VirtioScsi *)dev;

    return (scsi->has_hotplug ? BIT_ULL(VIRTIO_SCSI_F_HOTPLUG) : 0) |
           (scsi->has_param_change ? BIT_ULL(VIRTIO_SCSI_F_CHANGE) : 0);
}

static void scsi_get_config(VirtioDevice *dev, uint8_t *config)
{
    const VirtioScsi *scsi = (const VirtioScsi *)dev;
    const struct virtio_scsi_config c = {
        .num_queues = htole32(scsi->n_queues),
        .seg_max = htole32((scsi->seg_max_adjust ? scsi->queue_size : 128) - 2),
        .max_sectors = htole32(scsi->max_sectors),
        .cmd_per_lun = htole32(scsi->cmd_per_lun),
        .event_info_size = htole32(sizeof(struct virtio_scsi_event)),
        .sense_size = htole32(scsi->sense_size),
        .cdb_size = htole32(scsi->cdb_size),
        .max_target = htole16(MAX_TARGET),
        .max_lun = htole32(MAX_LUN),
    };

    memcpy(config, &c, sizeof(c));
}

static void scsi_set_config(VirtioDevice *dev, const uint8_t *config, size_t offset, size_t len)
{
    VirtioScsi *scsi = (VirtioScsi *)dev;
    uint32_t sense = ldl_le(config + offsetof(struct virtio_scsi_config, sense_size));
    uint32_t cdb = ldl_le(config + offsetof(struct virtio_scsi_config, cdb_size));

    if (sense <= SENSE_SIZE_MAX && cdb && cdb <= CDB_SIZE_MAX) {
        scsi->sense_size = sense;
        scsi->cdb_size = cdb;
    }
}

static bool check_properties(VirtioScsi *scsi, GError **error)
{
    uint32_t size = scsi->queue_size;

    if (scsi->n_queues == QUEUES_AUTO) {
        scsi->n_queues = object_is_a(scsi->dev.owner, TYPE_VIRTIO_PCI)
                             ? MIN(machine_current()->smp.cpus, VIRTIO_MAX_QUEUES - FIXED_QUEUES)
                             : 1;
    }
    if (!scsi->n_queues || scsi->n_queues > VIRTIO_MAX_QUEUES - FIXED_QUEUES) {
        error_setf(error, "Invalid number of queues (= %u), must be a positive integer less than "
                   "%u", scsi->n_queues, VIRTIO_MAX_QUEUES - FIXED_QUEUES);
    } else if (size <= 2 || size > VIRTIO_MAX_QUEUE_SIZE || (size & (size - 1))) {
        error_setf(error, "invalid virtqueue_size (= %u), must be a power of two from 4 to %u",
                   size, VIRTIO_MAX_QUEUE_SIZE);
    } else {
        return true;
    }
    return false;
}

/* ---- Saved state ---- */

/* What is at work while the VM stands has failed, and is made again from its beginning. */
static void scsi_pre_save(void *opaque)
{
    VirtioScsi *scsi = opaque;

    virtio_saved_clear(&scsi->saved);
    for (const GList *at = scsi->commands.head; at; at = at->next) {
        const Command *command = at->data;

        virtio_saved_add(&scsi->saved, command->queue, command);
    }
    for (const GList *at = scsi->waiting.head; at; at = at->next) {
        const Task *task = at->data;

        virtio_saved_add(&scsi->saved, task->queue, task);
    }
    for (const GList *at = scsi->loaded.head; at; at = at->next) {
        const Loaded *loaded = at->data;

        virtio_saved_add(&scsi->saved, loaded->queue, loaded->element);
    }
}

static bool scsi_pre_load(void *opaque, GError **error)
{
    virtio_saved_clear(&((VirtioScsi *)opaque)->saved);
    return true;
}

static bool scsi_post_load(void *opaque, int version, GError **error)
{
    VirtioScsi *scsi = opaque;

    if (scsi->sense_size > SENSE_SIZE_MAX || !scsi->cdb_size || scsi->cdb_size > CDB_SIZE_MAX) {
        error_setf(error, "virtio-scsi: saved sizes of CDBs or sense data are impossible");
        return false;
    }
    while (virtio_saved_more(&scsi->saved)) {
        VirtioQueue *queue;
        void *element = virtio_saved_take(&scsi->saved, &scsi->dev,
                                          MAX(sizeof(Command), sizeof(Task)), &queue, error);
        Loaded *loaded;

        if (!element) {
            return false;
        }
        loaded = g_new(Loaded, 1);
        *loaded = (Loaded) { queue, element };
        g_queue_push_tail(&scsi->loaded, loaded);
    }
    virtio_saved_clear(&scsi->saved);
    return true;
}

static void resume_loaded(void *opaque)
{
    VirtioScsi *scsi = opaque;
    Loaded *loaded;

    while ((loaded = g_queue_pop_head(&scsi->loaded))) {
        if (loaded->queue->index == 0) {
            take_task(scsi, loaded->queue, loaded->element);
        } else if (loaded->queue->index >= FIXED_QUEUES) {
            take_command(scsi, loaded->queue, loaded->element);
        } else {
            virtqueue_drop(&loaded->queue->vq, loaded->element);
        }
        g_free(loaded);
    }
}

static void run_state_changed(Notifier *notifier, void *data)
{
    VirtioScsi *scsi = (VirtioScsi *)(void *)((char *)notifier - offsetof(VirtioScsi, run_state));

    if (*(bool *)data) {
        loop_bh_schedule(scsi->resume);
    }
}

static bool scsi_realize(VirtioDevice *dev, GError **error)
{
    static const ScsiBusLimits limits = { 0, MAX_TARGET, MAX_LUN };
    VirtioScsi *scsi = (VirtioScsi *)dev;
    g_autofree char *name = dev->owner->id ? g_strdup_printf("%s.0", dev->owner->id) : NULL;

    if (!check_properties(scsi, error)) {
        return false;
    }
    g_queue_init(&scsi->commands);
    g_queue_init(&scsi->waiting);
    g_queue_init(&scsi->loaded);
    scsi->resume = loop_bh_new(loop_main(), resume_loaded, scsi);
    scsi->run_state.notify = run_state_changed;
    notifier_list_add(run_state_notifiers(), &scsi->run_state);
    scsi->bus = scsi_bus_new(dev->owner, name ? name : "scsi.0", &limits, &bus_ops_table, scsi);
    virtio_add_queue(dev, (uint16_t)scsi->queue_size, handle_control);
    scsi->events = virtio_add_queue(dev, (uint16_t)scsi->queue_size, handle_events);
    for (unsigned i = 0; i < scsi->n_queues; i++) {
        virtio_add_queue(dev, (uint16_t)scsi->queue_size, handle_commands);
    }
    return true;
}

static void scsi_unrealize(VirtioDevice *dev)
{
    VirtioScsi *scsi = (VirtioScsi *)dev;

    notifier_list_remove(run_state_notifiers(), &scsi->run_state);
    loop_bh_free(scsi->resume);
    virtio_saved_clear(&scsi->saved);
}

static const VmState scsi_vmstate = {
    .name = "virtio-scsi",
    .version = 2,
    .minimum_version = 2,
    .pre_save = scsi_pre_save,
    .pre_load = scsi_pre_load,
    .post_load = scsi_post_load,
    .fields = (const VmStateField[]) {
        VMSTATE_U32(VirtioScsi, sense_size),
        VMSTATE_U32(VirtioScsi, cdb_size),
        VMSTATE_BOOL(VirtioScsi, events_missed),
        VMSTATE_STRUCT(VirtioScsi, saved, virtio_saved_vmstate),
        VMSTATE_END
    },
};

static const VirtioDeviceOps scsi_ops = {
    .name = "virtio-scsi",
    .id = VIRTIO_ID_SCSI,
    .config_size = sizeof(struct virtio_scsi_config),
    .realize = scsi_realize,
    .unrealize = scsi_unrealize,
    .features = scsi_features,
    .get_config = scsi_get_config,
    .set_config = scsi_set_config,
    .stop = scsi_stop,
    .reset = scsi_reset,
    .queue_reset = scsi_queue_reset,
    .drain = scsi_drain,
    .vmstate = &scsi_vmstate,
};

#define SCSI_PROPERTIES(S, m)                                                                      \
    VIRTIO_COMMON_PROPERTIES(S, m.dev),                                                            \
    PROP_UINT32("num_queues", S, m.n_queues, QUEUES_AUTO, "of commands; as many as CPUs else"),    \
    PROP_UINT32("virtqueue_size", S, m.queue_size, 256, "requests that a queue can hold"),         \
    PROP_BOOL("seg_max_adjust", S, m.seg_max_adjust, true, "segments fill the queue"),             \
    PROP_UINT32("max_sectors", S, m.max_sectors, 0xffff, "of one command"),                        \
    PROP_UINT32("cmd_per_lun", S, m.cmd_per_lun, 128, "commands at a time for a unit"),            \
    PROP_BOOL("hotplug", S, m.has_hotplug, true, "tell of units that come and go"),                \
    PROP_BOOL("param_change", S, m.has_param_change, true, "tell of media and sizes that change")

VIRTIO_PCI_TYPES(virtio_scsi, "virtio-scsi", VirtioScsi, SCSI_PROPERTIES, scsi_ops, 0x0100, 0x1004,
                 VIRTIO_PCI_VECTORS_AUTO, DEVICE_CATEGORY_STORAGE, "virtio SCSI host adapter");
VIRTIO_MMIO_TYPE(virtio_scsi, "virtio-scsi", VirtioScsi, SCSI_PROPERTIES, scsi_ops,
                 DEVICE_CATEGORY_STORAGE, "virtio SCSI host adapter");
