/* Preloaded into a program, keeps a record of what it does to the files under one folder: every write,
   cut, rename, removal and sync, in the order in which they returned, each with its time. What a disk may
   hold after a loss of power can be made of it.

   FLEETWIRE_RECORD is the record's file, FLEETWIRE_RECORD_UNDER the folder. An entry is its kind (1 byte),
   the time in nanoseconds (CLOCK_MONOTONIC), an offset, the lengths of a path and of data (8, 8, 4, 4 bytes
   in the machine's order), the path below the folder, the data. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int record = -2;
static const char *under;
static size_t under_length;

static void begin(void) {
  const char *file = getenv("FLEETWIRE_RECORD");
  under = getenv("FLEETWIRE_RECORD_UNDER");
  if (!file || !under) {
    record = -1;
    return;
  }
  under_length = strlen(under);
  record = (int)syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (record < 0) abort();
}

/* The part of a path below the folder, or none. */
static const char *below(const char *path) {
  if (record == -2) begin();
  if (record < 0 || strncmp(path, under, under_length) != 0 || path[under_length] != '/') return NULL;
  return path + under_length + 1;
}

static const char *path_of(int fd, char *space, size_t size) {
  if (record == -2) begin();
  if (record < 0) return NULL;
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, space, size - 1);
  if (length <= 0) return NULL;
  space[length] = 0;
  return below(space);
}

static void put(const void *bytes, size_t length) {
  const char *at = bytes;
  while (length > 0) {
    ssize_t written = syscall(SYS_write, record, at, length);
    if (written <= 0) abort();
    at += written;
    length -= (size_t)written;
  }
}

static void note(char kind, const char *path, uint64_t offset, const void *data, size_t length) {
  struct timespec now;
  syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
  uint64_t time = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
  uint32_t path_length = (uint32_t)strlen(path), data_length = (uint32_t)length;
  put(&kind, 1);
  put(&time, 8);
  put(&offset, 8);
  put(&path_length, 4);
  put(&data_length, 4);
  put(path, path_length);
  put(data, length);
}

static ssize_t written_at(int fd, const void *data, size_t length, off_t offset, int positioned) {
  char space[4096];
  const char *path = path_of(fd, space, sizeof space);
  if (!path) return positioned ? syscall(SYS_pwrite64, fd, data, length, offset) : syscall(SYS_write, fd, data, length);
  pthread_mutex_lock(&lock);
  if (!positioned) {
    struct stat status;
    int appends = (int)syscall(SYS_fcntl, fd, F_GETFL) & O_APPEND;
    offset = appends && syscall(SYS_fstat, fd, &status) == 0 ? status.st_size : syscall(SYS_lseek, fd, 0, SEEK_CUR);
  }
  ssize_t written = positioned ? syscall(SYS_pwrite64, fd, data, length, offset) : syscall(SYS_write, fd, data, length);
  if (written > 0) note('w', path, (uint64_t)offset, data, (size_t)written);
  pthread_mutex_unlock(&lock);
  return written;
}

ssize_t write(int fd, const void *data, size_t length) { return written_at(fd, data, length, 0, 0); }
ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) { return written_at(fd, data, length, offset, 1); }
ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) { return written_at(fd, data, length, offset, 1); }

ssize_t writev(int fd, const struct iovec *parts, int count) {
  char space[4096];
  if (!path_of(fd, space, sizeof space)) return syscall(SYS_writev, fd, parts, count);
  /* One part is as right as all of them: whoever writes goes on with the rest. */
  for (int i = 0; i < count; i++)
    if (parts[i].iov_len > 0) return write(fd, parts[i].iov_base, parts[i].iov_len);
  return 0;
}

static int synced(int fd, long number) {
  char space[4096];
  const char *path = path_of(fd, space, sizeof space);
  if (!path) return (int)syscall(number, fd);
  /* What is written meanwhile by others may be on the disk or not: the entry stands before it. */
  pthread_mutex_lock(&lock);
  int result = (int)syscall(number, fd);
  if (result == 0) note('s', path, 0, NULL, 0);
  pthread_mutex_unlock(&lock);
  return result;
}

int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }

static int cut(int fd, off_t length) {
  char space[4096];
  const char *path = path_of(fd, space, sizeof space);
  if (!path) return (int)syscall(SYS_ftruncate, fd, length);
  pthread_mutex_lock(&lock);
  int result = (int)syscall(SYS_ftruncate, fd, length);
  if (result == 0) note('t', path, (uint64_t)length, NULL, 0);
  pthread_mutex_unlock(&lock);
  return result;
}

int ftruncate(int fd, off_t length) { return cut(fd, length); }
int ftruncate64(int fd, off64_t length) { return cut(fd, length); }

int rename(const char *from, const char *to) {
  const char *from_below = below(from), *to_below = below(to);
  if (!from_below || !to_below) return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
  pthread_mutex_lock(&lock);
  int result = (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
  if (result == 0) note('r', from_below, 0, to_below, strlen(to_below));
  pthread_mutex_unlock(&lock);
  return result;
}

int unlink(const char *path) {
  const char *path_below = below(path);
  if (!path_below) return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
  pthread_mutex_lock(&lock);
  int result = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
  if (result == 0) note('u', path_below, 0, NULL, 0);
  pthread_mutex_unlock(&lock);
  return result;
}
