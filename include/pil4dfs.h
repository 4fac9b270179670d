/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * libpil4dfs: file system calls below a DAOS mount, served in user space.
 *
 * Programs that link -lpil4dfs (pkg-config pil4dfs) need none of this: their file
 * calls are served as they are. These functions mount by call, and tell what the
 * library does. Functions are never removed, nor changed under the same name;
 * structures grow at their end. Made by cbindgen from rust/capi/src/api.rs.
 */

#ifndef PIL4DFS_H
#define PIL4DFS_H

#include <stddef.h>
#include <stdint.h>

/**
 * For `pil4dfs_mount`: nothing can be changed through this mount (EROFS), whatever the container allows.
 */
#define PIL4DFS_RDONLY 1

/**
 * What the library did for this process. Later versions add members at the end; `size` keeps programs
 * and libraries of different versions together.
 *
 * Counts of calls and bytes begin with the first call of `pil4dfs_mount` or `pil4dfs_statistics`, or,
 * with PIL4DFS_REPORT_DIR set, with the first call on a mount. The child of a fork begins at 0.
 */
struct pil4dfs_stats {
  /**
   * In: `sizeof(struct pil4dfs_stats)`. Out: how many of these bytes the library has filled.
   */
  uint64_t size;
  /**
   * File calls on mounts that succeeded.
   */
  uint64_t calls;
  /**
   * File calls on mounts that failed.
   */
  uint64_t errors;
  /**
   * Calls that looked like a mount's and were the kernel's after all.
   */
  uint64_t passed;
  /**
   * Bytes read into the program's memory by read calls (not through mappings).
   */
  uint64_t bytes_read;
  /**
   * Bytes written by write calls (not through mappings).
   */
  uint64_t bytes_written;
  /**
   * Bytes moved by copy_file_range, sendfile and splice.
   */
  uint64_t bytes_copied;
  /**
   * Calls of libdfs that may have gone to a server.
   */
  uint64_t dfs_calls;
  /**
   * Nanoseconds in the start of libdaos. Always counted.
   */
  uint64_t daos_start_ns;
  /**
   * Nanoseconds in connects to pools and containers. Always counted.
   */
  uint64_t daos_connect_ns;
  /**
   * Containers connected. Always counted.
   */
  uint64_t daos_connects;
  /**
   * Mounts now.
   */
  uint64_t mounts;
  /**
   * Of these, the ones in use: connected.
   */
  uint64_t mounts_up;
  /**
   * Descriptors of files and directories on mounts, now.
   */
  uint64_t open_files;
  /**
   * Mappings of files on mounts, now.
   */
  uint64_t mappings;
};

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The version of the library: a static string such as `"0.1.0"`, never freed.
 *
 * Never fails. Thread-safe and async-signal-safe.
 */
const char *pil4dfs_version(void);

/**
 * 1 when calls below a mount are intercepted in this process, else 0: there is no mount, the program
 * is left to dfuse, or interception is switched off or impossible here (`pil4dfs_reason` says which).
 *
 * Never fails, leaves errno alone. Thread-safe and async-signal-safe.
 */
int pil4dfs_active(void);

/**
 * 1 when `fd` is an open descriptor served by this library, else 0 (the kernel's, closed, or no
 * descriptor at all).
 *
 * Never fails, leaves errno alone. Thread-safe and async-signal-safe.
 */
int pil4dfs_owns(int fd);

/**
 * 1 when calls with `path` are served by this library, else 0. Relative paths start at the working
 * directory; symbolic links are followed; nothing need exist there. A null, unreadable or empty
 * path is nobody's: 0.
 *
 * Never fails, leaves errno alone. May look directories up, and connect to the container if nobody
 * has yet. Thread-safe, not async-signal-safe.
 */
int pil4dfs_owns_path(const char *path);

/**
 * Mounts the POSIX container `cont` of `pool` (labels or UUIDs) at `path`: absolute, not "/",
 * without "..". The path need not exist; what lies there is out of the program's sight until
 * `pil4dfs_unmount`. `flags` is 0 or PIL4DFS_RDONLY. The strings stay the caller's and are copied.
 *
 * The mount is this process's and its fork children's; a program started by exec gets its mounts from
 * its environment. Where the process began without any mount, this first patches libc, and then the
 * process must have one thread: call it early.
 *
 * 0, or a negative error number: -EINVAL a bad path, flag or null pointer; -EBUSY a mount is there
 * already; -ENOENT, -EACCES, -EIO the connect failed; -ETXTBSY other threads run, and libc is not
 * patched yet; -EPERM a set-id program; -ENOTSUP interception is off or impossible; -EDEADLK
 * called from within a file call. `pil4dfs_reason` has a sentence about a connect that failed, and
 * about why nothing is intercepted. errno is left alone.
 * Blocks for the time of a connect (and of the start of libdaos, the first time). Thread-safe, not
 * async-signal-safe.
 *
 * # Safety
 * `pool`, `cont` and `path` are null or strings.
 */
int pil4dfs_mount(const char *pool,
                  const char *cont,
                  const char *path,
                  unsigned int flags);

/**
 * Ends the mount at `path`, which was made by `pil4dfs_mount` or by the variables D_IL_MOUNT_POINT,
 * D_IL_POOL and D_IL_CONTAINER, and gives its connection back. What lies there in the kernel's file
 * systems is in sight again. `flags` is 0.
 *
 * 0, or a negative error number: -EINVAL no such mount, or a mount of dfuse's, a bad flag or null
 * pointer; -EBUSY a descriptor, a mapping or the working directory of this process is in it, a call of
 * another thread does not end, or another mount lies below it; -EDEADLK called from within a file
 * call. errno is left alone. In a fork child the parent's mount stays as it is. Waits for calls under
 * way, at most some seconds. Thread-safe, not async-signal-safe.
 *
 * # Safety
 * `path` is null or a string.
 */
int pil4dfs_unmount(const char *path,
                    unsigned int flags);

/**
 * Writes to DAOS whatever this process has changed below its mounts and is not written yet: the
 * dirty pages of shared mappings (what write calls wrote is there when they return). The streams of
 * stdio are the program's to flush, before.
 *
 * 0, also without a mount, or the first failure as a negative error number (-EIO, -ENOSPC, ...; the
 * other files are written all the same); -EDEADLK called from within a file call. errno is left
 * alone. Blocks. Thread-safe, not async-signal-safe.
 */
int pil4dfs_flush(void);

/**
 * Fills `stats`, whose `size` the caller has set, with the numbers of this process; the first call
 * begins to count. `stats` stays the caller's.
 *
 * 0, or a negative error number: -EINVAL a null pointer, or a `size` that holds not even itself; -EDEADLK
 * called from within a file call. errno is left alone. Numbers of calls under way in other threads
 * may be in some members and not yet in others. Thread-safe, not async-signal-safe.
 *
 * # Safety
 * `stats` is null, or points to `stats->size` writable bytes.
 */
int pil4dfs_statistics(struct pil4dfs_stats *stats);

/**
 * Copies the reason of the last failure of this process into `text`, at most `size` bytes with the
 * closing NUL: why nothing is intercepted here, why a mount cannot be used, or why the last
 * `pil4dfs_mount` failed; an empty string if nothing has failed. One sentence in English, the one
 * that is in the log where the log has it.
 *
 * The length of the whole sentence, as snprintf's (at most 512); `text` may be null when `size` is
 * 0. errno is left alone. Thread-safe, not async-signal-safe.
 *
 * # Safety
 * `text` points to `size` writable bytes.
 */
size_t pil4dfs_reason(char *text, size_t size);

#ifdef __cplusplus
} // extern "C"
#endif // __cplusplus

#endif /* PIL4DFS_H */


