/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shortcuts past the CPU's thread: doorbells as ioeventfds, vectors as irqfds.
 *
 * A queue's `call` is an irqfd while the queue runs, its vector is not masked, and the accelerator
 * holds the interrupt controllers. Else interrupts go through pci_msix_notify(), which also notes
 * what is pending behind a mask.
 */
#include <linux/virtio_pci.h>

#include "accel/accel.h"
#include "hw/virtio/virtio-pci.h"

static bool have_irqfds(void)
{
    return accel_ops()->irqfd_add && accel_ops()->route_add_msi &&
           accel_irqchip() != ACCEL_IRQCHIP_OFF;
}

static void disconnect_irqfd(VirtioPci *proxy, VirtioQueue *queue)
{
    int *virq = &proxy->virqs[queue->index];

    if (*virq < 0) {
        return;
    }
    virtio_queue_set_irqfd(queue, false);
    accel_ops()->irqfd_del(accel_current(), &queue->call, *virq);
    accel_ops()->route_del(accel_current(), *virq);
    accel_ops()->route_commit(accel_current());
    *virq = -1;
}

/* Without success interrupts take the longer way. */
static void connect_irqfd(VirtioPci *proxy, VirtioQueue *queue)
{
    const AccelOps *ops = accel_ops();
    uint64_t address;
    uint32_t data;
    int virq;

    if (!have_irqfds() || pci_msix_is_masked(&proxy->parent_obj, queue->vector) ||
        !pci_msix_message(&proxy->parent_obj, queue->vector, &address, &data)) {
        return;
    }
    virq = ops->route_add_msi(accel_current(), address, data);
    if (virq < 0) {
        return;
    }
    if (ops->route_commit(accel_current()) < 0 ||
        ops->irqfd_add(accel_current(), &queue->call, NULL, virq) < 0) {
        ops->route_del(accel_current(), virq);
        return;
    }
    proxy->virqs[queue->index] = virq;
    virtio_queue_set_irqfd(queue, true);
}

void virtio_pci_vector_changed(PciDevice *pci, unsigned vector, bool masked)
{
    VirtioPci *proxy = (VirtioPci *)pci;

    for (unsigned i = 0; have_irqfds() && i < proxy->vdev->n_queues; i++) {
        VirtioQueue *queue = proxy->vdev->queues[i];

        if (queue->watched && queue->vector == vector) {
            disconnect_irqfd(proxy, queue);
            if (!masked) {
                connect_irqfd(proxy, queue);
            }
        }
    }
}

void virtio_pci_set_vector(VirtioPci *proxy, VirtioQueue *queue, uint16_t vector)
{
    uint16_t known = vector < proxy->vectors ? vector : VIRTIO_NO_VECTOR;

    if (!queue) {
        proxy->vdev->config_vector = known;
        return;
    }
    disconnect_irqfd(proxy, queue);
    queue->vector = known;
    if (queue->watched) {
        connect_irqfd(proxy, queue);
    }
}

static void set_ioeventfd(VirtioPci *proxy, VirtioQueue *queue, bool on)
{
    void (*set)(MemoryRegion *region, uint64_t offset, unsigned size, bool match_data,
                uint64_t data, EventNotifier *notifier) =
        on ? memory_region_add_eventfd : memory_region_del_eventfd;

    if (!proxy->use_ioeventfd) {
        return;
    }
    if (proxy->modern) {
        set(proxy->notify, queue->index * 4u, 0, false, 0, &queue->kick);
    }
    if (proxy->legacy) {
        set(proxy->legacy_bar, VIRTIO_PCI_QUEUE_NOTIFY, 2, true, queue->index, &queue->kick);
    }
}

void virtio_pci_queue_running(VirtioDevice *dev, VirtioQueue *queue, bool running)
{
    VirtioPci *proxy = (VirtioPci *)dev->owner;

    set_ioeventfd(proxy, queue, running);
    if (running) {
        connect_irqfd(proxy, queue);
    } else {
        disconnect_irqfd(proxy, queue);
    }
}
