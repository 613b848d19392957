/* SPDX-License-Identifier: Apache-2.0 */
/* Virtio over PCI: the function as a whole, its vectors, saved state. */
#include "hw/virtio/virtio-pci.h"

#include <linux/virtio_pci.h>

#include "hw/pci/pci-regs.h"
#include "util/bits.h"
#include "util/error.h"

#define VENDOR_ID 0x1af4
#define MODERN_ID_BASE 0x1040
#define MODERN_REVISION 1
#define MSIX_BAR 1
#define SAVED_MAX (4 * MiB)

const VirtioPciOps *virtio_pci_ops(const VirtioPci *proxy)
{
    return object_ops(proxy);
}

static VirtioPci *proxy_of(const VirtioDevice *dev)
{
    return (VirtioPci *)dev->owner;
}

/* ---- Interrupts ---- */

void virtio_pci_interrupt(VirtioDevice *dev, uint16_t vector, uint8_t isr)
{
    VirtioPci *proxy = proxy_of(dev);

    __atomic_fetch_or(&dev->isr, isr, __ATOMIC_RELAXED);
    if (pci_msix_enabled(&proxy->parent_obj)) {
        if (vector != VIRTIO_NO_VECTOR) {
            pci_msix_notify(&proxy->parent_obj, vector);
        }
    } else {
        pci_set_irq(&proxy->parent_obj, true);
    }
}

uint8_t virtio_pci_take_isr(VirtioPci *proxy)
{
    uint8_t isr = __atomic_exchange_n(&proxy->vdev->isr, 0, __ATOMIC_RELAXED);

    pci_set_irq(&proxy->parent_obj, false);
    return isr;
}

static void clear_interrupt(VirtioDevice *dev)
{
    pci_set_irq(&proxy_of(dev)->parent_obj, false);
}

static bool can_dma(const VirtioDevice *dev)
{
    return pci_bus_master(&proxy_of(dev)->parent_obj);
}

static const VirtioTransportOps transport_ops = {
    .interrupt = virtio_pci_interrupt,
    .clear_interrupt = clear_interrupt,
    .can_dma = can_dma,
    .queue_running = virtio_pci_queue_running,
};

/* ---- Life ---- */

/* legacy and modern, as the type and the user want it. */
static bool choose_interfaces(VirtioPci *proxy, GError **error)
{
    bool can_legacy = virtio_pci_ops(proxy)->transitional_id;
    bool old_type = object_is_a(proxy, VIRTIO_PCI_TRANSITIONAL);
    bool new_type = object_is_a(proxy, VIRTIO_PCI_NON_TRANSITIONAL);

    proxy->modern = old_type || new_type || !proxy->disable_modern;
    proxy->legacy = !new_type && can_legacy && (old_type || proxy->disable_legacy != PROP_ON);
    if (!can_legacy && proxy->disable_legacy == PROP_OFF) {
        error_setf(error, "%s: there is no legacy driver for it: disable-legacy=off cannot be had",
                   object_type_name(proxy));
        return false;
    }
    if (!proxy->modern && !proxy->legacy) {
        error_setf(error, "%s: with disable-modern=on and without legacy nothing is left",
                   object_type_name(proxy));
        return false;
    }
    return true;
}

static void fill_ids(VirtioPci *proxy)
{
    const VirtioPciOps *ops = virtio_pci_ops(proxy);
    uint8_t *config = proxy->parent_obj.config;

    stw_le(config + PCI_VENDOR_ID, VENDOR_ID);
    stw_le(config + PCI_SUBSYSTEM_VENDOR_ID, VENDOR_ID);
    if (proxy->legacy) {
        stw_le(config + PCI_DEVICE_ID, ops->transitional_id);
        stw_le(config + PCI_SUBSYSTEM_ID, ops->device->id);
    } else {
        stw_le(config + PCI_DEVICE_ID, MODERN_ID_BASE + ops->device->id);
        config[PCI_REVISION_ID] = MODERN_REVISION;
    }
}

static bool add_msix(VirtioPci *proxy, GError **error)
{
    const VirtioPciOps *ops = virtio_pci_ops(proxy);

    if (proxy->vectors == VIRTIO_PCI_VECTORS_AUTO) {
        proxy->vectors = ops->vectors == VIRTIO_PCI_VECTORS_AUTO ? proxy->vdev->n_queues + 1
                                                                 : ops->vectors;
    }
    if (!proxy->vectors) {
        return true;
    }
    if (proxy->vectors > 2048) {
        error_setf(error, "vectors=%u: at most 2048", proxy->vectors);
        return false;
    }
    if (!pci_msix_init_exclusive_bar(&proxy->parent_obj, proxy->vectors, MSIX_BAR, error)) {
        return false;
    }
    pci_msix_set_vector_notifier(&proxy->parent_obj, virtio_pci_vector_changed);
    return true;
}

static bool proxy_realize(Device *device, GError **error)
{
    VirtioPci *proxy = (VirtioPci *)device;
    const VirtioPciOps *ops = virtio_pci_ops(proxy);
    VirtioDevice *vdev = (VirtioDevice *)(void *)((char *)proxy + ops->offset);

    if (!choose_interfaces(proxy, error)) {
        return false;
    }
    if (proxy->legacy && (vdev->host_features & BIT_ULL(VIRTIO_F_ACCESS_PLATFORM))) {
        error_setf(error, "%s: iommu_platform=on needs disable-legacy=on: legacy drivers know "
                   "nothing of it", object_type_name(proxy));
        return false;
    }
    fill_ids(proxy);
    pci_rom_set_ids(&proxy->parent_obj);
    vdev->dma_as = proxy->parent_obj.dma_as;
    vdev->use_ioeventfd = proxy->use_ioeventfd;
    if (!virtio_device_realize(vdev, ops->device, &transport_ops, device, proxy->modern, error)) {
        return false;
    }
    proxy->vdev = vdev;
    proxy->virqs = g_new(int, vdev->n_queues);
    memset(proxy->virqs, 0xff, vdev->n_queues * sizeof(int));
    if ((proxy->modern && !virtio_pci_add_modern(proxy, error)) || !add_msix(proxy, error)) {
        virtio_device_unrealize(vdev);
        return false;
    }
    if (proxy->legacy) {
        virtio_pci_add_legacy(proxy);
    }
    virtio_reset(vdev);
    return true;
}

static void proxy_unrealize(Device *device)
{
    VirtioPci *proxy = (VirtioPci *)device;

    virtio_device_unrealize(proxy->vdev);
}

void virtio_pci_reset_registers(VirtioPci *proxy)
{
    proxy->device_feature_select = proxy->driver_feature_select = 0;
    proxy->driver_features = 0;
    proxy->queue_select = 0;
}

static void proxy_reset(Device *device)
{
    VirtioPci *proxy = (VirtioPci *)device;

    virtio_reset(proxy->vdev);
    virtio_pci_reset_registers(proxy);
}

static void proxy_finalize(Object *obj)
{
    VirtioPci *proxy = (VirtioPci *)obj;

    if (proxy->modern_bar) {
        memory_region_remove(proxy->modern_bar, proxy->common);
        memory_region_remove(proxy->modern_bar, proxy->isr);
        memory_region_remove(proxy->modern_bar, proxy->device);
        memory_region_remove(proxy->modern_bar, proxy->notify);
    }
    g_clear_pointer(&proxy->common, memory_region_free);
    g_clear_pointer(&proxy->isr, memory_region_free);
    g_clear_pointer(&proxy->device, memory_region_free);
    g_clear_pointer(&proxy->notify, memory_region_free);
    g_clear_pointer(&proxy->modern_bar, memory_region_free);
    g_clear_pointer(&proxy->legacy_bar, memory_region_free);
    pci_msix_cleanup(&proxy->parent_obj);
    g_free(proxy->virqs);
    g_free(proxy->saved);
}

/* ---- Saved state ---- */

static void proxy_pre_save(void *opaque)
{
    VirtioPci *proxy = opaque;
    g_autoptr(GByteArray) out = g_byte_array_new();

    vmstate_save(&pci_device_vmstate, &proxy->parent_obj, out);
    vmstate_save(&virtio_vmstate, proxy->vdev, out);
    g_free(proxy->saved);
    proxy->saved_len = out->len;
    proxy->saved = g_byte_array_free(g_steal_pointer(&out), FALSE);
}

static bool proxy_pre_load(void *opaque, GError **error)
{
    g_clear_pointer(&((VirtioPci *)opaque)->saved, g_free);
    return true;
}

/* Configuration space first: the device may go on only while it may reach memory. */
static bool proxy_post_load(void *opaque, int version, GError **error)
{
    VirtioPci *proxy = opaque;
    size_t at, used;

    virtio_reset(proxy->vdev);
    if (!vmstate_load(&pci_device_vmstate, &proxy->parent_obj, pci_device_vmstate.version,
                      proxy->saved, proxy->saved_len, &at, error) ||
        !vmstate_load(&virtio_vmstate, proxy->vdev, virtio_vmstate.version, proxy->saved + at,
                      proxy->saved_len - at, &used, error)) {
        return false;
    }
    if (used != proxy->saved_len - at) {
        error_setf(error, "%s: the saved state is too long", object_type_name(proxy));
        return false;
    }
    pci_set_irq(&proxy->parent_obj, proxy->vdev->isr && !pci_msix_enabled(&proxy->parent_obj));
    return true;
}

static const VmState proxy_vmstate = {
    .name = "virtio-pci",
    .version = 2,
    .minimum_version = 2,
    .pre_save = proxy_pre_save,
    .pre_load = proxy_pre_load,
    .post_load = proxy_post_load,
    .fields = (const VmStateField[]) {
        VMSTATE_U32(VirtioPci, device_feature_select),
        VMSTATE_U32(VirtioPci, driver_feature_select),
        VMSTATE_U64(VirtioPci, driver_features),
        VMSTATE_U16(VirtioPci, queue_select),
        VMSTATE_U32(VirtioPci, saved_len),
        VMSTATE_VBUFFER(VirtioPci, saved, saved_len, SAVED_MAX),
        VMSTATE_END
    },
};

static const Property proxy_properties[] = {
    PROP_ON_OFF_AUTO("disable-legacy", VirtioPci, disable_legacy, PROP_AUTO,
                     "do without the interface of drivers before VIRTIO 1.0"),
    PROP_BOOL("disable-modern", VirtioPci, disable_modern, false,
              "only the interface of drivers before VIRTIO 1.0"),
    PROP_BOOL("ioeventfd", VirtioPci, use_ioeventfd, true,
              "let kicks come as events, without stopping the CPU"),
    PROP_UINT32("vectors", VirtioPci, vectors, VIRTIO_PCI_VECTORS_AUTO,
                "MSI-X vectors; 0: none; not given: as many as are of use"),
    PROP_END
};

static char *proxy_boot_path(Device *device)
{
    return g_strdup(virtio_pci_ops((VirtioPci *)device)->device->boot_unit);
}

static const DeviceHooks proxy_hooks = {
    .realize = proxy_realize,
    .unrealize = proxy_unrealize,
    .reset = proxy_reset,
    .vmstate = &proxy_vmstate,
    .boot_path = proxy_boot_path,
};

static const TypeInfo proxy_info = {
    .name = TYPE_VIRTIO_PCI,
    .parent = TYPE_PCI_DEVICE,
    .description = "any virtio device on PCI",
    .instance_size = sizeof(VirtioPci),
    .is_abstract = true,
    .properties = proxy_properties,
    .instance_finalize = proxy_finalize,
    .hooks = &proxy_hooks,
};
QOM_TYPE(proxy_info);
