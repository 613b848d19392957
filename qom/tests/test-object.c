/* SPDX-License-Identifier: Apache-2.0 */
/* Types, lives and the tree. */
#include "qom/object.h"

#include <string.h>

typedef struct Animal {
    Object parent;
    GString *diary; /* borrowed; what happened, in order */
    char *name;
    uint32_t legs;
} Animal;

typedef struct Dog {
    Animal parent;
    bool barks;
} Dog;

/* Finalizers have no argument to report to. */
static GString *last_words;

static void say(const char *word)
{
    if (last_words) {
        g_string_append_printf(last_words, "%s ", word);
    }
}

static void animal_init(Object *obj)
{
    g_assert_cmpuint(((Animal *)obj)->legs, ==, 4); /* defaults are there */
    say("animal+");
}

static void animal_finalize(Object *obj)
{
    say("animal-");
}

static void dog_init(Object *obj)
{
    say("dog+");
}

static void dog_finalize(Object *obj)
{
    g_assert_cmpstr(((Animal *)obj)->name, ==, "rex"); /* properties are still there */
    say("dog-");
}

static const Property animal_properties[] = {
    PROP_STRING("name", Animal, name, "rex", "what it answers to"),
    PROP_UINT32("legs", Animal, legs, 4, "how many"),
    PROP_END,
};

static const int animal_ops;
static const char *const pet_interfaces[] = { "pet", NULL };
static const char *const dog_aliases[] = { "hound", NULL };

static const TypeInfo animal_type = {
    .name = "animal",
    .parent = TYPE_OBJECT,
    .instance_size = sizeof(Animal),
    .is_abstract = true,
    .properties = animal_properties,
    .instance_init = animal_init,
    .instance_finalize = animal_finalize,
    .ops = &animal_ops,
};
QOM_TYPE(animal_type);

static const TypeInfo dog_type = {
    .name = "dog",
    .parent = "animal",
    .instance_size = sizeof(Dog),
    .interfaces = pet_interfaces,
    .aliases = dog_aliases,
    .instance_init = dog_init,
    .instance_finalize = dog_finalize,
};
QOM_TYPE(dog_type);

static const TypeInfo puppy_type = {
    .name = "puppy",
    .parent = "dog",
};
QOM_TYPE(puppy_type);

static void test_types(void)
{
    const TypeInfo *puppy = type_find("puppy");
    g_autoptr(GPtrArray) animals = type_list("animal", false);
    g_autoptr(GPtrArray) all = type_list("animal", true);

    g_assert_true(puppy == &puppy_type);
    g_assert_null(type_find("cat"));
    g_assert_true(type_find("hound") == &dog_type);
    g_assert_true(type_parent(puppy) == &dog_type);
    g_assert_null(type_parent(type_find(TYPE_OBJECT)));
    g_assert_true(type_is_a(puppy, "puppy"));
    g_assert_true(type_is_a(puppy, "animal"));
    g_assert_true(type_is_a(puppy, "pet"));
    g_assert_true(type_is_a(puppy, TYPE_OBJECT));
    g_assert_false(type_is_a(&dog_type, "puppy"));
    g_assert_true(type_ops(puppy) == &animal_ops);
    g_assert_cmpuint(animals->len, ==, 2);
    g_assert_true(g_ptr_array_index(animals, 0) == &dog_type);
    g_assert_cmpuint(all->len, ==, 3);
}

static const TypeInfo late_type = { .name = "late", .parent = "dog" };

static void test_register(void)
{
    g_assert_null(type_find("late"));
    type_register(&late_type);
    g_assert_true(type_find("late") == &late_type);
    g_assert_true(type_find("dog") == &dog_type);
}

static void test_life(void)
{
    g_autoptr(GString) diary = g_string_new(NULL);
    Object *dog;

    last_words = diary;
    dog = object_new("puppy");
    g_assert_cmpstr(diary->str, ==, "animal+ dog+ ");
    object_ref(dog);
    object_unref(dog);
    g_assert_cmpstr(diary->str, ==, "animal+ dog+ ");
    object_unref(dog);
    g_assert_cmpstr(diary->str, ==, "animal+ dog+ dog- animal- ");
    object_unref(NULL);
    last_words = NULL;
}

static void test_cast(void)
{
    g_autoptr(Object) dog = object_new("dog");

    g_assert_true(object_cast(dog, "animal") == dog);
    g_assert_null(object_cast(NULL, "animal"));
    g_assert_true(object_is_a(dog, "pet"));
    g_assert_false(object_is_a(NULL, "pet"));
    if (g_test_subprocess()) {
        object_cast(dog, "puppy");
        return;
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_failed();
    g_test_trap_assert_stderr("*'dog' is not a 'puppy'*");
}

static bool collect_name(Object *child, void *opaque)
{
    g_string_append_printf(opaque, "%s ", child->name);
    return true;
}

static bool unparent_each(Object *child, void *opaque)
{
    object_unparent(child);
    return true;
}

static void test_children(void)
{
    g_autoptr(Object) parent = object_new("dog");
    g_autoptr(GString) names = g_string_new(NULL);
    g_autoptr(GError) error = NULL;

    for (int i = 0; i < 3; i++) {
        g_autoptr(Object) child = object_new("dog");

        g_assert_true(object_add_child(parent, "pup[*]", child, NULL));
        g_assert_cmpuint(child->refs, ==, 2);
        g_assert_null(object_path(child)); /* its parent hangs in the air */
    }
    object_unparent(object_child(parent, "pup[1]"));
    for (int i = 0; i < 2; i++) {
        g_autoptr(Object) child = object_new("dog");

        g_assert_true(object_add_child(parent, i ? "pup[*]" : "extra", child, NULL));
    }
    object_foreach_child(parent, collect_name, names);
    g_assert_cmpstr(names->str, ==, "pup[0] pup[2] extra pup[1] ");
    {
        static const char *const bad[] = { "extra", "name", "", "a/b" };

        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
            g_autoptr(Object) child = object_new("dog");

            g_assert_false(object_add_child(parent, bad[i], child, &error));
            g_assert_nonnull(error);
            g_clear_error(&error);
            g_assert_null(child->parent);
        }
    }
    object_foreach_child(parent, unparent_each, NULL);
    g_assert_null(object_child(parent, "extra"));
}

static void test_finalize_order(void)
{
    g_autoptr(GString) diary = g_string_new(NULL);
    Object *parent = object_new(TYPE_CONTAINER);
    g_autoptr(Object) child = object_new("dog");
    g_autoptr(Object) kept = NULL;

    g_assert_true(object_add_child(parent, "child", child, NULL));
    kept = object_ref(child);
    object_unref(parent);
    g_assert_null(kept->parent); /* whoever holds a reference keeps an orphan, not a dead thing */
    g_assert_cmpuint(kept->refs, ==, 2);
}

static Object *put(const char *where, const char *name)
{
    g_autoptr(Object) obj = object_new("dog");
    bool ok = object_add_child(object_container(where), name, obj, NULL);

    g_assert_true(ok);
    return obj;
}

static void test_paths(void)
{
    Object *serial = put("/machine/peripheral", "serial0");
    Object *twin1 = put("/machine/a", "twin");
    Object *twin2 = put("/machine/b", "twin");
    Object *friend = NULL;
    g_autofree char *path = object_path(serial);
    g_autofree char *root_path = object_path(object_root());
    bool ambiguous;

    g_assert_cmpstr(path, ==, "/machine/peripheral/serial0");
    g_assert_cmpstr(root_path, ==, "/");
    g_assert_true(object_resolve("/", NULL) == object_root());
    g_assert_true(object_resolve(path, &ambiguous) == serial && !ambiguous);
    g_assert_true(object_resolve("/machine//peripheral/serial0", NULL) == serial);
    g_assert_true(object_resolve("serial0", &ambiguous) == serial && !ambiguous);
    g_assert_true(object_resolve("peripheral/serial0", NULL) == serial);
    g_assert_true(object_resolve("a/twin", NULL) == twin1);
    g_assert_true(object_resolve("b/twin", NULL) == twin2);
    g_assert_null(object_resolve("twin", &ambiguous));
    g_assert_true(ambiguous);
    g_assert_null(object_resolve("nobody", &ambiguous));
    g_assert_false(ambiguous);
    g_assert_null(object_resolve("/machine/nobody/x", NULL));
    g_assert_null(object_resolve("", &ambiguous));
    g_assert_true(ambiguous);

    object_add_link(serial, "friend", "dog", &friend);
    g_assert_null(object_resolve("/machine/peripheral/serial0/friend", NULL));
    friend = twin1;
    g_assert_true(object_resolve("/machine/peripheral/serial0/friend", NULL) == twin1);
    g_assert_true(object_resolve("serial0/friend", NULL) == twin1);

    object_unparent(object_container("/machine"));
    g_assert_null(object_resolve(path, NULL));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qom/types", test_types);
    g_test_add_func("/qom/register", test_register);
    g_test_add_func("/qom/life", test_life);
    g_test_add_func("/qom/cast", test_cast);
    g_test_add_func("/qom/children", test_children);
    g_test_add_func("/qom/finalize-order", test_finalize_order);
    g_test_add_func("/qom/paths", test_paths);
    return g_test_run();
}
