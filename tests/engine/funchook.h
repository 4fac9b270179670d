/*
 * funchook.h - the declarations of libfunchook that the library's binding uses,
 * beside the stand-in of the suite `engine`. Names and types are funchook's.
 */
#ifndef FUNCHOOK_H
#define FUNCHOOK_H

typedef struct funchook funchook_t;

funchook_t *funchook_create(void);
int funchook_prepare(funchook_t *handle, void **target, void *hook);
int funchook_install(funchook_t *handle, int flags);
int funchook_uninstall(funchook_t *handle, int flags);
int funchook_destroy(funchook_t *handle);
const char *funchook_error_message(const funchook_t *handle);
int funchook_set_debug_file(const char *name);

#endif
