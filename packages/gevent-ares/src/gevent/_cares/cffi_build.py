"""Makes ``gevent._cares._shim``, the compiled half of gevent-ares, from ``shim.h``: for CPython and PyPy alike, by cffi.

On CPython it keeps to the limited API: one file serves every version from 3.9 on. pkg-config says where c-ares is, so that
``PKG_CONFIG_PATH`` chooses among several; without pkg-config, the compiler has to find it.
"""

import os
import shlex
import subprocess

import cffi

HERE = os.path.dirname(os.path.abspath(__file__))

DECLARATIONS = """
typedef struct gv_channel gv_channel;
typedef struct { uint64_t request; int status; int names; size_t size; char *text; ...; } gv_answer;
typedef struct { int fd; int events; } gv_change;
struct gv_channel { gv_answer *first; gv_change *changes; size_t n_changes; ...; };

static gv_channel *gv_open(int mask, int flags, int milliseconds, int tries, int ndots, int udp_port, int tcp_port, int *status);
static void gv_close(gv_channel *channel);
static void gv_free(gv_channel *channel);
static gv_answer *gv_take_answer(gv_channel *channel);
static void gv_free_answer(gv_answer *answer);
static int gv_getaddrinfo(gv_channel *channel, uint64_t request, const char *name, int family, int flags);
static int gv_getnames(gv_channel *channel, uint64_t request, int family, const char *address);
static int gv_set_servers(gv_channel *channel, const char *servers);
static void gv_process(gv_channel *channel, int read_fd, int write_fd);
static int gv_limits(gv_channel *channel, double *first, double *bound);

int ares_library_init(int flags);
const char *ares_version(int *version);
const char *ares_strerror(int code);
"""

#: Names of c-ares that gevent.ares has too, and those that it needs.
CONSTANTS = """
ARES_SUCCESS ARES_ENODATA ARES_EFORMERR ARES_ESERVFAIL ARES_ENOTFOUND ARES_ENOTIMP ARES_EREFUSED ARES_EBADQUERY ARES_EBADNAME
ARES_EBADFAMILY ARES_EBADRESP ARES_ECONNREFUSED ARES_ETIMEOUT ARES_EOF ARES_EFILE ARES_ENOMEM ARES_EDESTRUCTION ARES_EBADSTR
ARES_EBADFLAGS ARES_ENONAME ARES_EBADHINTS ARES_ENOTINITIALIZED ARES_ELOADIPHLPAPI ARES_EADDRGETNETWORKPARAMS ARES_ECANCELLED
ARES_ESERVICE
ARES_FLAG_USEVC ARES_FLAG_PRIMARY ARES_FLAG_IGNTC ARES_FLAG_NORECURSE ARES_FLAG_STAYOPEN ARES_FLAG_NOSEARCH ARES_FLAG_NOALIASES
ARES_FLAG_NOCHECKRESP
ARES_OPT_FLAGS ARES_OPT_TIMEOUTMS ARES_OPT_TRIES ARES_OPT_NDOTS ARES_OPT_UDP_PORT ARES_OPT_TCP_PORT
ARES_AI_CANONNAME ARES_AI_NOSORT
ARES_LIB_INIT_ALL
""".split()


def pkg_config(option):
    try:
        text = subprocess.run(
            ["pkg-config", option, "libcares"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return []
    return shlex.split(text.decode())


ffi = cffi.FFI()
ffi.cdef(DECLARATIONS + "".join(f"#define {name} ...\n" for name in CONSTANTS))
ffi.set_source(
    "gevent._cares._shim",
    '#include "shim.h"\n',
    include_dirs=[HERE],
    depends=[os.path.join(HERE, "shim.h")],
    extra_compile_args=["-g0", "-O2", "-Wno-unused-function", "-Wno-deprecated-declarations", *pkg_config("--cflags")],
    extra_link_args=pkg_config("--libs") or ["-lcares"],
)
