/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * libpil4dfs: file system calls below a DAOS mount, served in user space.
 *
 * Programs that link -lpil4dfs (pkg-config pil4dfs) need none of this; it tells
 * them what the library does for them. Made by cbindgen from rust/capi/src/api.rs.
 */

#ifndef PIL4DFS_H
#define PIL4DFS_H

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
 * 1 when calls below a mount are intercepted in this process, else 0: no mount is configured, the program
 * is left to dfuse, or interception is switched off or impossible here (a line on stderr said why).
 *
 * Never fails. Thread-safe and async-signal-safe.
 */
int pil4dfs_active(void);

/**
 * 1 when `fd` is an open descriptor served by this library, else 0 (the kernel's, closed, or no
 * descriptor at all).
 *
 * Never fails, leaves errno alone. Thread-safe and async-signal-safe.
 */
int pil4dfs_owns(int fd);

#ifdef __cplusplus
} // extern "C"
#endif // __cplusplus

#endif /* PIL4DFS_H */


