/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names of all CPU models, aliases and versions included, for those who need them at compile
 * time: the object types "<name>-x86_64-cpu". A unit test holds the list against the tables.
 */
#ifndef VIREO_CPU_X86_MODEL_NAMES_H
#define VIREO_CPU_X86_MODEL_NAMES_H

#define X86_MODEL_NAMES(N)                                                                        \
    N("486") N("486-v1") N("Broadwell") N("Broadwell-IBRS") N("Broadwell-noTSX")                  \
    N("Broadwell-noTSX-IBRS") N("Broadwell-v1") N("Broadwell-v2") N("Broadwell-v3")               \
    N("Broadwell-v4") N("Cascadelake-Server") N("Cascadelake-Server-noTSX")                       \
    N("Cascadelake-Server-v1") N("Cascadelake-Server-v2") N("Cascadelake-Server-v3")              \
    N("Cascadelake-Server-v4") N("Cascadelake-Server-v5") N("Conroe") N("Conroe-v1")              \
    N("Cooperlake") N("Cooperlake-v1") N("Cooperlake-v2") N("Denverton") N("Denverton-v1")        \
    N("Denverton-v2") N("Denverton-v3") N("Dhyana") N("Dhyana-v1") N("Dhyana-v2") N("EPYC")       \
    N("EPYC-IBPB") N("EPYC-Milan") N("EPYC-Milan-v1") N("EPYC-Rome") N("EPYC-Rome-v1")            \
    N("EPYC-Rome-v2") N("EPYC-v1") N("EPYC-v2") N("EPYC-v3") N("Haswell") N("Haswell-IBRS")       \
    N("Haswell-noTSX") N("Haswell-noTSX-IBRS") N("Haswell-v1") N("Haswell-v2") N("Haswell-v3")    \
    N("Haswell-v4") N("Icelake-Server") N("Icelake-Server-noTSX") N("Icelake-Server-v1")          \
    N("Icelake-Server-v2") N("Icelake-Server-v3") N("Icelake-Server-v4") N("Icelake-Server-v5")   \
    N("Icelake-Server-v6") N("IvyBridge") N("IvyBridge-IBRS") N("IvyBridge-v1")                   \
    N("IvyBridge-v2") N("KnightsMill") N("KnightsMill-v1") N("Nehalem") N("Nehalem-IBRS")         \
    N("Nehalem-v1") N("Nehalem-v2") N("Opteron_G1") N("Opteron_G1-v1") N("Opteron_G2")            \
    N("Opteron_G2-v1") N("Opteron_G3") N("Opteron_G3-v1") N("Opteron_G4") N("Opteron_G4-v1")      \
    N("Opteron_G5") N("Opteron_G5-v1") N("Penryn") N("Penryn-v1") N("SandyBridge")                \
    N("SandyBridge-IBRS") N("SandyBridge-v1") N("SandyBridge-v2") N("Skylake-Client")             \
    N("Skylake-Client-IBRS") N("Skylake-Client-noTSX-IBRS") N("Skylake-Client-v1")                \
    N("Skylake-Client-v2") N("Skylake-Client-v3") N("Skylake-Client-v4") N("Skylake-Server")      \
    N("Skylake-Server-IBRS") N("Skylake-Server-noTSX-IBRS") N("Skylake-Server-v1")                \
    N("Skylake-Server-v2") N("Skylake-Server-v3") N("Skylake-Server-v4") N("Skylake-Server-v5")   \
    N("Snowridge") N("Snowridge-v1") N("Snowridge-v2") N("Snowridge-v3") N("Snowridge-v4")        \
    N("Westmere") N("Westmere-IBRS") N("Westmere-v1") N("Westmere-v2") N("athlon")                \
    N("athlon-v1") N("base") N("core2duo") N("core2duo-v1") N("coreduo") N("coreduo-v1")          \
    N("host") N("kvm32") N("kvm32-v1") N("kvm64") N("kvm64-v1") N("max") N("n270") N("n270-v1")   \
    N("pentium") N("pentium-v1") N("pentium2") N("pentium2-v1") N("pentium3") N("pentium3-v1")    \
    N("phenom") N("phenom-v1") N("qemu32") N("qemu32-v1") N("qemu64") N("qemu64-v1")

#endif
