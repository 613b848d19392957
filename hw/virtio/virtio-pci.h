/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtio over PCI (VIRTIO 1.2, section 4.1): modern, transitional and legacy-only functions.
 *
 *   BAR 0  I/O    the legacy registers, then the device's configuration   (unless disable-legacy)
 *   BAR 1  memory MSI-X table and pending bits                            (unless vectors=0)
 *   BAR 4  memory 0x0000 common configuration, 0x1000 ISR, 0x2000 device configuration,
 *                 0x3000 doorbells, 4 bytes apart                         (unless disable-modern)
 *
 * A model's types come from VIRTIO_PCI_TYPES(): NAME-pci, NAME-pci-transitional and
 * NAME-pci-non-transitional.
 */
#ifndef VIREO_HW_VIRTIO_VIRTIO_PCI_H
#define VIREO_HW_VIRTIO_VIRTIO_PCI_H

#include "hw/pci/pci.h"
#include "hw/virtio/virtio.h"

#define TYPE_VIRTIO_PCI "virtio-pci"
#define VIRTIO_PCI_TRANSITIONAL "virtio-pci-transitional"
#define VIRTIO_PCI_NON_TRANSITIONAL "virtio-pci-non-transitional"
#define VIRTIO_PCI_VECTORS_AUTO UINT32_MAX

/* The leaf type's TypeInfo.ops. */
typedef struct VirtioPciOps {
    PciDeviceOps pci;            /* first; its ids are made from what follows */
    const VirtioDeviceOps *device;
    size_t offset;               /* of the VirtioDevice in the object */
    uint16_t transitional_id;    /* PCI device id with legacy; 0: the device is modern only */
    uint32_t vectors;            /* of vectors=auto; VIRTIO_PCI_VECTORS_AUTO: queues + 1 */
} VirtioPciOps;

typedef struct VirtioPci {
    PciDevice parent_obj;
    VirtioDevice *vdev;
    int disable_legacy;          /* PropOnOffAuto */
    bool disable_modern, use_ioeventfd;
    uint32_t vectors;            /* property; then as many as there are */
    bool legacy, modern;
    uint8_t config_cap;          /* offset of the capability that reaches BAR 4; 0: none */
    uint32_t device_feature_select, driver_feature_select;
    uint64_t driver_features;
    uint16_t queue_select;
    MemoryRegion *legacy_bar, *modern_bar, *common, *isr, *device, *notify;
    int *virqs;                  /* per queue: its route for an irqfd; -1: none */
    uint8_t *saved;
    uint32_t saved_len;
} VirtioPci;

uint32_t virtio_pci_config_read(PciDevice *pci, uint32_t addr, unsigned size);
void virtio_pci_config_write(PciDevice *pci, uint32_t addr, uint32_t value, unsigned size);

/*
 * prefix: of the C names; text: of the types; Model: the model's struct, whose first member is
 * VirtioDevice; PROPERTIES(Object, member): its rows; ops: VirtioDeviceOps.
 */
#define VIRTIO_PCI_TYPES(prefix, text, Model, PROPERTIES, model_ops, pci_class, pci_id, n_vectors, \
                         device_category, summary)                                                 \
    VIRTIO_PCI_TYPES_WITH_ROM(prefix, text, Model, PROPERTIES, model_ops, pci_class, pci_id,       \
                              n_vectors, device_category, summary, NULL)
/* rom: the default option ROM's file name. */
#define VIRTIO_PCI_TYPES_WITH_ROM(prefix, text, Model, PROPERTIES, model_ops, pci_class, pci_id,   \
                                  n_vectors, device_category, summary, rom)                        \
    typedef struct Model##Pci {                                                                    \
        VirtioPci parent_obj;                                                                      \
        Model model;                                                                               \
    } Model##Pci;                                                                                  \
    static const VirtioPciOps prefix##_pci_ops = {                                                 \
        .pci = {                                                                                   \
            .class_id = (pci_class), .interrupt_pin = 1, .config_read = virtio_pci_config_read,    \
            .config_write = virtio_pci_config_write, .romfile = (rom),                             \
        },                                                                                         \
        .device = &(model_ops), .offset = offsetof(Model##Pci, model),                             \
        .transitional_id = (pci_id), .vectors = (n_vectors),                                       \
    };                                                                                             \
    static const Property prefix##_pci_properties[] = { PROPERTIES(Model##Pci, model), PROP_END }; \
    static const DeviceHooks prefix##_pci_hooks = {                                                \
        .category = (device_category), .hotpluggable = true,                                       \
    };                                                                                             \
    static const char *const prefix##_pci_aliases[] = { text, NULL };                              \
    static const TypeInfo prefix##_pci_type = {                                                    \
        .name = text "-pci", .parent = TYPE_VIRTIO_PCI, .description = summary,                    \
        .instance_size = sizeof(Model##Pci), .user_creatable = true,                               \
        .aliases = prefix##_pci_aliases, .properties = prefix##_pci_properties,                    \
        .hooks = &prefix##_pci_hooks, .ops = &prefix##_pci_ops,                                    \
    };                                                                                             \
    QOM_TYPE(prefix##_pci_type);                                                                   \
    static const char *const prefix##_old[] = { VIRTIO_PCI_TRANSITIONAL, NULL };                   \
    static const char *const prefix##_new[] = { VIRTIO_PCI_NON_TRANSITIONAL, NULL };               \
    static const TypeInfo prefix##_old_type = {                                                    \
        .name = text "-pci-transitional", .parent = text "-pci",                                   \
        .description = summary ", for legacy and modern drivers",                                  \
        .instance_size = sizeof(Model##Pci), .user_creatable = true, .interfaces = prefix##_old,   \
    };                                                                                             \
    QOM_TYPE(prefix##_old_type);                                                                   \
    static const TypeInfo prefix##_new_type = {                                                    \
        .name = text "-pci-non-transitional", .parent = text "-pci",                               \
        .description = summary ", for modern drivers only",                                        \
        .instance_size = sizeof(Model##Pci), .user_creatable = true, .interfaces = prefix##_new,   \
    };                                                                                             \
    QOM_TYPE(prefix##_new_type)

/* ---- Between the transport's files ---- */

const VirtioPciOps *virtio_pci_ops(const VirtioPci *proxy);
void virtio_pci_interrupt(VirtioDevice *dev, uint16_t vector, uint8_t isr);
/* Read and clear the interrupt status. */
uint8_t virtio_pci_take_isr(VirtioPci *proxy);
/* The driver's choice for the configuration (queue NULL) or a queue. */
void virtio_pci_set_vector(VirtioPci *proxy, VirtioQueue *queue, uint16_t vector);
void virtio_pci_queue_running(VirtioDevice *dev, VirtioQueue *queue, bool running);
void virtio_pci_vector_changed(PciDevice *pci, unsigned vector, bool masked);
void virtio_pci_reset_registers(VirtioPci *proxy);
/* BAR 0. */
void virtio_pci_add_legacy(VirtioPci *proxy);
/* BAR 4 and its capabilities. */
bool virtio_pci_add_modern(VirtioPci *proxy, GError **error);

#endif
