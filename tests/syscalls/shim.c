/* Preloaded into a process of a test: kills it at its n-th change of the files below a folder, or records them all.
 *
 * Changes are what the kernel does to files and names: open with O_CREAT or O_TRUNC, write, pwrite, ftruncate,
 * rename, link, unlink, fsync, fdatasync. A process is killed just before the change, or, of a write, after half of it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static char folder[PATH_MAX];
static long left = -1; /* changes until the kill; -1 is never */
static int torn;       /* whether half of a write is done before it */
static int record = -1; /* where changes are recorded */

/* Called from Python through ctypes, in the child that is to die. */
void shim_arm(const char *watched, long number, int tear, int descriptor) {
    snprintf(folder, sizeof folder, "%s", watched);
    left = number;
    torn = tear;
    record = descriptor;
}

static int is_watched(const char *path) { return folder[0] && !strncmp(path, folder, strlen(folder)); }

static int path_of(int descriptor, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return is_watched(path);
}

static void put(const void *data, size_t size) { syscall(SYS_write, record, data, size); }

static void note(char kind, const char *path, uint64_t offset, const void *data, uint32_t size) {
    if (record < 0) return;
    uint32_t length = strlen(path);
    put(&kind, 1); put(&length, 4); put(path, length); put(&offset, 8); put(&size, 4); put(data, size);
}

/* Whether the process dies at this change. */
static int is_due(void) { return left >= 0 && left-- == 0; }

static void die(void) {
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;) pause();
}

#define REAL(name) static __typeof__(&name) real; if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

#define AT_PATH(kind, path, data, size) \
    if (is_watched(path)) { if (is_due()) die(); note(kind, path, 0, data, size); }

#define AT_DESCRIPTOR(kind, descriptor, offset) \
    { char path[PATH_MAX]; \
      if (path_of(descriptor, path)) { if (is_due()) die(); note(kind, path, offset, "", 0); } }

#define AT_WRITE(descriptor, buffer, size, offset) \
    char path[PATH_MAX]; \
    if (path_of(descriptor, path)) { \
        if (is_due()) { \
            if (torn && size > 1) syscall(SYS_pwrite64, descriptor, buffer, size / 2, offset); \
            die(); \
        } \
        note('w', path, offset, buffer, size); \
    }

ssize_t write(int descriptor, const void *buffer, size_t size) {
    REAL(write);
    if (folder[0] && (left >= 0 || record >= 0)) {
        int saved = errno;
        off_t offset = lseek(descriptor, 0, SEEK_CUR);
        if (offset >= 0) {
            if (fcntl(descriptor, F_GETFL) & O_APPEND) offset = lseek(descriptor, 0, SEEK_END);
            AT_WRITE(descriptor, buffer, size, offset)
        }
        errno = saved;
    }
    return real(descriptor, buffer, size);
}

ssize_t pwrite(int descriptor, const void *buffer, size_t size, off_t offset) {
    REAL(pwrite);
    AT_WRITE(descriptor, buffer, size, offset)
    return real(descriptor, buffer, size, offset);
}

ssize_t pwrite64(int descriptor, const void *buffer, size_t size, off64_t offset) {
    REAL(pwrite64);
    AT_WRITE(descriptor, buffer, size, offset)
    return real(descriptor, buffer, size, offset);
}

int ftruncate(int descriptor, off_t size) { REAL(ftruncate); AT_DESCRIPTOR('t', descriptor, size) return real(descriptor, size); }
int ftruncate64(int descriptor, off64_t size) { REAL(ftruncate64); AT_DESCRIPTOR('t', descriptor, size) return real(descriptor, size); }
int fsync(int descriptor) { REAL(fsync); AT_DESCRIPTOR('s', descriptor, 0) return real(descriptor); }
int fdatasync(int descriptor) { REAL(fdatasync); AT_DESCRIPTOR('s', descriptor, 0) return real(descriptor); }
int unlink(const char *path) { REAL(unlink); AT_PATH('u', path, "", 0) return real(path); }
int link(const char *from, const char *to) { REAL(link); AT_PATH('l', from, to, strlen(to)) return real(from, to); }
int rename(const char *from, const char *to) { REAL(rename); AT_PATH('r', from, to, strlen(to)) return real(from, to); }

static void at_open(const char *path, int flags) {
    if (!(flags & (O_CREAT | O_TRUNC))) return;
    if ((flags & O_TRUNC) || syscall(SYS_faccessat, AT_FDCWD, path, F_OK)) AT_PATH(flags & O_TRUNC ? 'o' : 'c', path, "", 0)
}

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        REAL(name); \
        va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, mode_t); va_end(rest); \
        at_open(path, flags); \
        return real(path, flags, mode); \
    }

OPEN(open)
OPEN(open64)
