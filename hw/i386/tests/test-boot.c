/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel loaders: made-up kernels of each kind, with right and wrong headers, cut short and
 * scrambled; and Debian's own kernel where it has been fetched.
 */
#include <elf.h>
#include <glib/gstdio.h>

#include "hw/i386/boot-internal.h"
#include "util/bits.h"

#define RAM (64 * MiB)
#define BZ_SETUP (5 * 512)
#define BZ_SIZE (BZ_SETUP + 20000)

typedef struct Fixture {
    char *dir, *kernel, *initrd, *module;
    E820Map *map;
} Fixture;

static KernelConfig config_of(const Fixture *f)
{
    return (KernelConfig) { .kernel = f->kernel, .e820 = f->map, .rsdp = 0xe0000 };
}

static void write_file(const char *path, const void *data, size_t len)
{
    bool ok = g_file_set_contents(path, data, len, NULL);

    g_assert_true(ok);
}

/* What a direct boot would put at an address; NULL if nothing. */
static const uint8_t *blob_at(const DirectBoot *boot, uint64_t addr, gsize *len)
{
    for (unsigned i = 0; i < boot->blobs->len; i++) {
        const BootBlob *blob = &g_array_index(boot->blobs, BootBlob, i);
        gsize size;
        const uint8_t *data = g_bytes_get_data(blob->data, &size);

        if (addr >= blob->addr && addr - blob->addr < size) {
            *len = size - (addr - blob->addr);
            return data + (addr - blob->addr);
        }
    }
    return NULL;
}

static DirectBoot *boot_ok(const KernelConfig *config)
{
    g_autoptr(GError) error = NULL;
    DirectBoot *boot = kernel_boot_direct(config, &error);

    g_assert_no_error(error);
    return boot;
}

static void boot_fails(const KernelConfig *config, const char *part)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(kernel_boot_direct(config, &error));
    g_assert_nonnull(error);
    if (!strstr(error->message, part)) {
        g_error("expected '%s' in: %s", part, error->message);
    }
}

/*
 * Every prefix of a sample of lengths, and scrambled bytes in the headers: no harm (ASan watches).
 */
static void torment(const Fixture *f, const uint8_t *image, size_t size, size_t header)
{
    KernelConfig config = config_of(f);
    GRand *rand = g_rand_new_with_seed(7);
    g_autofree uint8_t *copy = g_malloc(size);

    config.initrd = f->initrd;
    for (size_t len = 0; len < size; len += len < 0x300 ? 3 : size / 61 + 1) {
        write_file(f->kernel, image, len);
        direct_boot_free(kernel_boot_direct(&config, NULL));
    }
    for (unsigned round = 0; round < 400; round++) {
        memcpy(copy, image, size);
        for (unsigned n = g_rand_int_range(rand, 1, 6); n > 0; n--) {
            size_t at = g_rand_int_range(rand, 0, header - 4);

            stl_le(copy + at, g_rand_boolean(rand) ? (uint32_t)g_rand_int(rand)
                                                   : (uint32_t)g_rand_int_range(rand, -2, 70));
        }
        write_file(f->kernel, copy, size);
        direct_boot_free(kernel_boot_direct(&config, NULL));
    }
    g_rand_free(rand);
}

static uint8_t *make_bzimage(void)
{
    uint8_t *image = g_malloc0(BZ_SIZE);

    memset(image + BZ_SETUP, 0x90, BZ_SIZE - BZ_SETUP);
    image[0x1f1] = 4;
    stw_le(image + 0x1fe, 0xaa55);
    stw_le(image + 0x200, 0x6aeb);
    memcpy(image + 0x202, "HdrS", 4);
    stw_le(image + 0x206, 0x20f);
    image[0x211] = 1;
    stl_le(image + 0x22c, 0x7fffffff);
    stl_le(image + 0x230, 0x200000);
    image[0x234] = 1;
    stw_le(image + 0x236, 1);
    stl_le(image + 0x238, 2047);
    stq_le(image + 0x258, 0x1000000);
    stl_le(image + 0x260, 8 * MiB);
    return image;
}

static void test_linux(gconstpointer data)
{
    const Fixture *f = data;
    g_autofree uint8_t *image = make_bzimage();
    KernelConfig config = config_of(f);
    g_autoptr(DirectBoot) boot = NULL;
    const uint8_t *zero_page;
    gsize len;

    write_file(f->kernel, image, BZ_SIZE);
    config.append = "root=/dev/x vga=0x318";
    config.initrd = f->initrd;
    boot = boot_ok(&config);
    g_assert_cmphex(boot->rip, ==, 0x1000200);
    g_assert_cmphex(boot->regs[X86_RSI], ==, BOOT_ZERO_PAGE_ADDR);
    g_assert_cmphex(boot->efer & 0x500, ==, 0x500);
    zero_page = blob_at(boot, BOOT_ZERO_PAGE_ADDR, &len);
    g_assert_cmpuint(len, ==, 4096);
    g_assert_cmphex(ldw_le(zero_page + 0x1fa), ==, 0x318);
    g_assert_cmphex(zero_page[0x210], ==, 0xff);
    g_assert_cmpstr((const char *)blob_at(boot, ldl_le(zero_page + 0x228), &len), ==,
                    config.append);
    g_assert_cmphex(ldl_le(zero_page + 0x218), ==, RAM - 4096);
    g_assert_cmpuint(ldl_le(zero_page + 0x21c), ==, 6);
    g_assert_cmpmem(blob_at(boot, RAM - 4096, &len), 6, "initrd", 6);
    g_assert_cmphex(ldq_le(zero_page + 0x70), ==, 0xe0000);
    g_assert_cmpuint(zero_page[0x1e8], ==, f->map->entries->len);
    g_assert_cmphex(ldq_le(blob_at(boot, boot->cr3, &len)), ==, (boot->cr3 + 4096) | 3);
    g_assert_cmphex(ldq_le(blob_at(boot, boot->gdt.base + 0x10, &len)), ==, 0x00af9b000000ffffull);
}

static void test_linux_limits(gconstpointer data)
{
    const Fixture *f = data;
    g_autofree uint8_t *image = make_bzimage();
    g_autofree char *long_append = g_strnfill(2048, 'x');
    g_autoptr(DirectBoot) boot = NULL;
    KernelConfig config = config_of(f);
    gsize len;

    write_file(f->kernel, image, BZ_SIZE);
    config.append = long_append;
    boot_fails(&config, "2048 characters, at most 2047");
    config.append = NULL;
    config.initrd = f->initrd;
    config.reserved_top = RAM - 24 * MiB; /* the kernel's end is at 24 MiB */
    boot_fails(&config, "needs 6 B, there is room for 0 B");
    config.reserved_top -= 4096;
    boot = boot_ok(&config);
    g_clear_pointer(&boot, direct_boot_free);
    config.initrd = "/nonexistent";
    boot_fails(&config, "/nonexistent");
    config.initrd = NULL;

    stl_le(image + 0x260, 63 * MiB); /* only from 1 MiB up is there room, but alignment is 2 MiB */
    write_file(f->kernel, image, BZ_SIZE);
    boot_fails(&config, "does not fit");
    stl_le(image + 0x260, 62 * MiB);
    write_file(f->kernel, image, BZ_SIZE);
    boot = boot_ok(&config);
    g_assert_cmphex(boot->rip, ==, 0x200200);
    stl_le(image + 0x260, 8 * MiB);

    stw_le(image + 0x236, 0);
    write_file(f->kernel, image, BZ_SIZE);
    g_clear_pointer(&boot, direct_boot_free);
    boot = boot_ok(&config);
    g_assert_cmphex(boot->rip, ==, 0x1000000);
    g_assert_cmphex(boot->cr0, ==, 0x11);
    g_assert_cmphex(boot->efer | boot->cr4, ==, 0);
    g_assert_cmphex(boot->regs[X86_RSI], ==, BOOT_ZERO_PAGE_ADDR);
    g_assert_cmphex(ldq_le(blob_at(boot, boot->gdt.base + 0x10, &len)), ==, 0x00cf9b000000ffffull);
    stw_le(image + 0x206, 0x201);
    write_file(f->kernel, image, BZ_SIZE);
    boot_fails(&config, "too old: boot protocol 2.01");
    stw_le(image + 0x206, 0x20f);
    image[0x211] = 0;
    write_file(f->kernel, image, BZ_SIZE);
    boot_fails(&config, "zImage");
    image[0x211] = 1;
    image[0x1f1] = 255;
    write_file(f->kernel, image, BZ_SIZE);
    boot_fails(&config, "broken");
}

static void test_linux_dtb(gconstpointer data)
{
    const Fixture *f = data;
    g_autofree uint8_t *image = make_bzimage();
    g_autofree char *dtb = g_build_filename(f->dir, "dtb", NULL);
    KernelConfig config = config_of(f);
    g_autoptr(DirectBoot) boot = NULL;
    uint8_t tree[40] = { 0xd0, 0x0d, 0xfe, 0xed, 0, 0, 0, 40 };
    const uint8_t *node;
    gsize len;

    write_file(f->kernel, image, BZ_SIZE);
    write_file(dtb, tree, sizeof(tree));
    config.dtb = dtb;
    config.initrd = f->initrd;
    boot = boot_ok(&config);
    node = blob_at(boot, ldq_le(blob_at(boot, BOOT_ZERO_PAGE_ADDR + 0x250, &len)), &len);
    g_assert_cmpuint(len, ==, 56);
    g_assert_cmpuint(ldq_le(node), ==, 0);
    g_assert_cmpuint(ldl_le(node + 8), ==, 2);
    g_assert_cmpuint(ldl_le(node + 12), ==, 40);
    g_assert_cmpmem(node + 16, 40, tree, 40);
    tree[7] = 41;
    write_file(dtb, tree, sizeof(tree));
    boot_fails(&config, "device tree");
    g_unlink(dtb);
}

static void test_linux_hostile(gconstpointer data)
{
    g_autofree uint8_t *image = make_bzimage();

    torment(data, image, BZ_SIZE, 0x280);
}

/* An ELF file with one segment at addr and a PVH note; 64-bit or not. */
static GByteArray *make_elf(bool is64, uint64_t addr, uint64_t mem_size, uint32_t entry)
{
    GByteArray *out = g_byte_array_new();
    uint8_t note[24] = { 4, 0, 0, 0, 8, 0, 0, 0, 18, 0, 0, 0, 'X', 'e', 'n', 0 };
    uint8_t text[64];

    memset(text, 0x90, sizeof(text));
    stq_le(note + 16, entry);
    if (is64) {
        Elf64_Ehdr header = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1 },
            .e_type = ET_EXEC, .e_machine = EM_X86_64, .e_version = 1, .e_entry = addr,
            .e_phoff = 64, .e_ehsize = 64, .e_phentsize = 56, .e_phnum = 2 };
        Elf64_Phdr segments[2] = {
            { .p_type = PT_LOAD, .p_offset = 512, .p_vaddr = addr, .p_paddr = addr,
              .p_filesz = sizeof(text), .p_memsz = mem_size },
            { .p_type = PT_NOTE, .p_offset = 256, .p_filesz = sizeof(note), .p_align = 4 },
        };

        g_byte_array_append(out, (uint8_t *)&header, sizeof(header));
        g_byte_array_append(out, (uint8_t *)segments, sizeof(segments));
    } else {
        Elf32_Ehdr header = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, 1 },
            .e_type = ET_EXEC, .e_machine = EM_386, .e_version = 1, .e_entry = addr,
            .e_phoff = 52, .e_ehsize = 52, .e_phentsize = 32, .e_phnum = 2 };
        Elf32_Phdr segments[2] = {
            { .p_type = PT_LOAD, .p_offset = 512, .p_vaddr = addr, .p_paddr = addr,
              .p_filesz = sizeof(text), .p_memsz = mem_size },
            { .p_type = PT_NOTE, .p_offset = 256, .p_filesz = sizeof(note), .p_align = 4 },
        };

        g_byte_array_append(out, (uint8_t *)&header, sizeof(header));
        g_byte_array_append(out, (uint8_t *)segments, sizeof(segments));
    }
    g_byte_array_set_size(out, 256);
    g_byte_array_append(out, note, sizeof(note));
    g_byte_array_set_size(out, 512);
    g_byte_array_append(out, text, sizeof(text));
    return out;
}

static void test_pvh(gconstpointer data)
{
    const Fixture *f = data;

    for (int is64 = 0; is64 < 2; is64++) {
        g_autoptr(GByteArray) elf = make_elf(is64, 0x200000, 0x10000, 0x200020);
        KernelConfig config = config_of(f);
        g_autoptr(DirectBoot) boot = NULL;
        const uint8_t *info;
        gsize len;

        write_file(f->kernel, elf->data, elf->len);
        config.append = "hello pvh";
        config.initrd = f->initrd;
        boot = boot_ok(&config);
        g_assert_cmphex(boot->rip, ==, 0x200020);
        g_assert_cmphex(boot->cr0 & 0x80000001u, ==, 1);
        info = blob_at(boot, boot->regs[X86_RBX], &len);
        g_assert_cmphex(ldl_le(info), ==, 0x336ec578);
        g_assert_cmpuint(ldl_le(info + 12), ==, 1);
        g_assert_cmpmem(blob_at(boot, ldq_le(blob_at(boot, ldq_le(info + 16), &len)), &len), 6,
                        "initrd", 6);
        g_assert_cmpstr((const char *)blob_at(boot, ldq_le(info + 24), &len), ==, "hello pvh");
        g_assert_cmphex(ldq_le(info + 32), ==, 0xe0000);
        g_assert_cmpuint(ldl_le(info + 48), ==, f->map->entries->len);
        config.dtb = f->initrd;
        boot_fails(&config, "bzImage");
    }
}

static void test_pvh_limits(gconstpointer data)
{
    const Fixture *f = data;
    KernelConfig config = config_of(f);
    static const struct {
        uint64_t addr, size;
        uint32_t entry;
        const char *part;
    } wrong[] = {
        { 0x1000, 64, 0x1000, "does not fit" },
        { 0x200000, RAM, 0x200000, "does not fit" },
        { 0x200000, UINT64_MAX, 0x200000, "does not fit" },
        { UINT64_MAX - 10, 64, 0x200000, "does not fit" },
        { 0x100000000, 64, 0x200000, "does not fit" },
        { 0x200000, 64, 0x100000, "entry is outside" },
        { 0x200000, 32, 0x200000, "broken" }, /* larger in the file than in memory */
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(GByteArray) elf = make_elf(true, wrong[i].addr, wrong[i].size, wrong[i].entry);

        write_file(f->kernel, elf->data, elf->len);
        boot_fails(&config, wrong[i].part);
    }
    write_file(f->kernel, "junk", 4);
    boot_fails(&config, "no bzImage");
    config.kernel = "/nonexistent";
    boot_fails(&config, "/nonexistent");
}

static void test_elf_hostile(gconstpointer data)
{
    g_autoptr(GByteArray) elf64 = make_elf(true, 0x200000, 0x1000, 0x200000);
    g_autoptr(GByteArray) elf32 = make_elf(false, 0x200000, 0x1000, 0x200000);

    torment(data, elf64->data, elf64->len, 512);
    torment(data, elf32->data, elf32->len, 512);
}

/* The header stands 16 bytes into the file; with its own addresses if flat. */
static void make_multiboot(uint8_t image[256], bool flat)
{
    uint32_t flags = flat ? 0x10003 : 3;

    memset(image, 0, 256);
    stl_le(image + 16, 0x1badb002);
    stl_le(image + 20, flags);
    stl_le(image + 24, -(0x1badb002 + flags));
    stl_le(image + 28, 0x200010); /* header */
    stl_le(image + 32, 0x200000); /* load */
    stl_le(image + 36, 0x200080); /* load end */
    stl_le(image + 40, 0x201000); /* bss end */
    stl_le(image + 44, 0x200060); /* entry */
}

static void test_multiboot(gconstpointer data)
{
    const Fixture *f = data;
    KernelConfig config = config_of(f);
    g_autofree char *modules = g_strdup_printf("%s a,,b c,%s", f->module, f->initrd);
    g_autofree char *expected = g_strdup_printf("%s a,b c", f->module);
    g_autofree char *cmdline = g_strdup_printf("%s one two", f->kernel);
    g_autoptr(DirectBoot) boot = NULL;
    const uint8_t *info, *mods;
    uint8_t image[256];
    gsize len;

    make_multiboot(image, true);
    write_file(f->kernel, image, sizeof(image));
    config.append = "one two";
    config.initrd = modules;
    boot = boot_ok(&config);
    g_assert_cmphex(boot->rip, ==, 0x200060);
    g_assert_cmphex(boot->regs[X86_RAX], ==, 0x2badb002);
    info = blob_at(boot, boot->regs[X86_RBX], &len);
    g_assert_cmphex(ldl_le(info), ==, 0x24d);
    g_assert_cmpstr((const char *)blob_at(boot, ldl_le(info + 16), &len), ==, cmdline);
    g_assert_cmpstr((const char *)blob_at(boot, ldl_le(info + 64), &len), ==, "vireo");
    g_assert_cmpuint(ldl_le(info + 20), ==, 2);
    mods = blob_at(boot, ldl_le(info + 24), &len);
    g_assert_cmphex(ldl_le(mods) & 0xfff, ==, 0);
    g_assert_cmpuint(ldl_le(mods + 4) - ldl_le(mods), ==, 3);
    g_assert_cmpmem(blob_at(boot, ldl_le(mods), &len), 3, "mod", 3);
    g_assert_cmpstr((const char *)blob_at(boot, ldl_le(mods + 8), &len), ==, expected);
    g_assert_cmpmem(blob_at(boot, ldl_le(mods + 16), &len), 6, "initrd", 6);
    g_assert_cmpuint(ldl_le(info + 8), ==, RAM / KiB - 1024);
    g_assert_cmpuint(ldl_le(info + 44), ==, 24 * f->map->entries->len);

    config.initrd = "/nonexistent";
    boot_fails(&config, "module 1");
}

static void test_multiboot_limits(gconstpointer data)
{
    const Fixture *f = data;
    KernelConfig config = config_of(f);
    static const struct {
        unsigned offset;
        uint32_t value;
        const char *part;
    } wrong[] = {
        { 28, 0x1fffff, "header address" },
        { 28, 0x200011, "header address" },
        { 32, 0x1000, "header address" },
        { 36, 0x200101, "load end" },
        { 36, 0x1ff000, "load end" },
        { 40, 0xffffffff, "does not fit" },
        { 44, 0x100000, "entry" },
    };
    uint8_t image[256];

    for (unsigned i = 0; i < G_N_ELEMENTS(wrong); i++) {
        make_multiboot(image, true);
        stl_le(image + wrong[i].offset, wrong[i].value);
        write_file(f->kernel, image, sizeof(image));
        boot_fails(&config, wrong[i].part);
    }
    make_multiboot(image, true);
    stl_le(image + 20, 0x10013);
    stl_le(image + 24, -(0x1badb002u + 0x10013));
    write_file(f->kernel, image, sizeof(image));
    boot_fails(&config, "flags 0x10");
    make_multiboot(image, false);
    write_file(f->kernel, image, sizeof(image));
    boot_fails(&config, "ELF");
}

static void test_multiboot_hostile(gconstpointer data)
{
    uint8_t image[256];

    make_multiboot(image, true);
    torment(data, image, sizeof(image), 64);
}

static void test_debian(gconstpointer data)
{
    const Fixture *f = data;
    const char *path = g_getenv("VIREO_TEST_KERNEL");
    KernelConfig config = config_of(f);
    g_autoptr(DirectBoot) boot = NULL;
    KernelKind kind;
    bool ok;

    if (!path || !g_file_test(path, G_FILE_TEST_EXISTS)) {
        g_test_skip("Debian's kernel has not been fetched (scripts/fetch-guest)");
        return;
    }
    ok = kernel_sniff(path, &kind, NULL);
    g_assert_true(ok);
    g_assert_cmpint(kind, ==, KERNEL_LINUX);
    config.kernel = path;
    boot = boot_ok(&config);
    g_assert_cmphex(boot->rip & 0xfff, ==, 0x200);
}

int main(int argc, char **argv)
{
    static Fixture f;
    static const struct {
        const char *name;
        GTestDataFunc fn;
    } tests[] = {
        { "/boot/linux", test_linux },
        { "/boot/linux-limits", test_linux_limits },
        { "/boot/linux-dtb", test_linux_dtb },
        { "/boot/linux-hostile", test_linux_hostile },
        { "/boot/pvh", test_pvh },
        { "/boot/pvh-limits", test_pvh_limits },
        { "/boot/elf-hostile", test_elf_hostile },
        { "/boot/multiboot", test_multiboot },
        { "/boot/multiboot-limits", test_multiboot_limits },
        { "/boot/multiboot-hostile", test_multiboot_hostile },
        { "/boot/debian", test_debian },
    };
    int status;

    g_test_init(&argc, &argv, NULL);
    f.dir = g_dir_make_tmp("vireo-boot-XXXXXX", NULL);
    f.kernel = g_build_filename(f.dir, "kernel", NULL);
    f.initrd = g_build_filename(f.dir, "initrd", NULL);
    f.module = g_build_filename(f.dir, "module", NULL);
    write_file(f.initrd, "initrd", 6);
    write_file(f.module, "mod", 3);
    f.map = e820_new();
    e820_add(f.map, 0, RAM, E820_RAM);
    for (unsigned i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_test_add_data_func(tests[i].name, &f, tests[i].fn);
    }
    status = g_test_run();
    g_unlink(f.kernel);
    g_unlink(f.initrd);
    g_unlink(f.module);
    g_rmdir(f.dir);
    e820_free(f.map);
    g_free(f.kernel);
    g_free(f.initrd);
    g_free(f.module);
    g_free(f.dir);
    return status;
}
