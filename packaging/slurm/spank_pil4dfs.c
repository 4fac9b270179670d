// SPDX-License-Identifier: BSD-2-Clause-Patent
/*
 * SPANK plugin: srun, sbatch and salloc get the option --pil4dfs; the tasks of a
 * step that was given it run under libpil4dfs, all others are untouched.
 *
 *     plugstack.conf:  optional spank_pil4dfs.so [lib=/path/libpil4dfs.so.0]
 *     srun --pil4dfs ...                      the mounts of dfuse, or of D_IL_* in the job
 *     srun --pil4dfs=POOL:CONTAINER@/DIR ...
 *
 * Follows spank(7). All of it runs in Slurm's processes, before the task is executed.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <slurm/spank.h>

SPANK_PLUGIN(pil4dfs, 1)

#define LABEL_MAX 127 /* DAOS_PROP_LABEL_MAX_LEN */

static const char *library = "libpil4dfs.so.0";
static bool asked;
static char pool[LABEL_MAX + 1], container[LABEL_MAX + 1], directory[4096];

/* The first `len` bytes of `from` as a string; false if there are none, or too many. */
static bool part(char *to, size_t size, const char *from, size_t len)
{
	if (len == 0 || len >= size)
		return false;
	memcpy(to, from, len);
	to[len] = '\0';
	return true;
}

/* POOL:CONTAINER@/DIR */
static bool mount_of(const char *text)
{
	const char *at = strchr(text, '@');
	const char *colon = memchr(text, ':', at ? at - text : 0);

	return colon && at[1] == '/' &&
	       part(pool, sizeof(pool), text, colon - text) &&
	       part(container, sizeof(container), colon + 1, at - colon - 1) &&
	       part(directory, sizeof(directory), at + 1, strlen(at + 1));
}

static int take_option(int value, const char *text, int remote)
{
	(void)value;
	(void)remote;
	asked = true;
	/* Slurm says "(null)" where an optional value is left out and handed on. */
	if (!text || !*text || !strcmp(text, "(null)") || mount_of(text))
		return ESPANK_SUCCESS;
	slurm_error("--pil4dfs=%s: wanted POOL:CONTAINER@/DIR", text);
	return ESPANK_BAD_ARG;
}

int slurm_spank_init(spank_t spank, int ac, char **av)
{
	static struct spank_option option = {
		.name = "pil4dfs",
		.arginfo = "[POOL:CONTAINER@/DIR]",
		.usage = "serve file calls below DAOS mounts in user space",
		.has_arg = 2,
		.cb = take_option,
	};
	int i;

	for (i = 0; i < ac; i++) {
		if (!strncmp(av[i], "lib=", 4))
			library = av[i] + 4;
		else
			slurm_error("spank_pil4dfs: unknown argument %s",
				    av[i]);
	}
	return spank_option_register(spank, &option);
}

/* Behind what is there: other interposers see the program first. */
static int preload(spank_t spank)
{
	char old[8192], value[sizeof(old) + sizeof(directory)];

	if (spank_getenv(spank, "LD_PRELOAD", old, sizeof(old)) !=
		    ESPANK_SUCCESS ||
	    !*old)
		return spank_setenv(spank, "LD_PRELOAD", library, 1);
	if (strstr(old, library))
		return ESPANK_SUCCESS;
	snprintf(value, sizeof(value), "%s:%s", old, library);
	return spank_setenv(spank, "LD_PRELOAD", value, 1);
}

int slurm_spank_task_init(spank_t spank, int ac, char **av)
{
	(void)ac;
	(void)av;
	if (!asked)
		return ESPANK_SUCCESS;
	if (*pool &&
	    (spank_setenv(spank, "D_IL_POOL", pool, 1) != ESPANK_SUCCESS ||
	     spank_setenv(spank, "D_IL_CONTAINER", container, 1) !=
		     ESPANK_SUCCESS ||
	     spank_setenv(spank, "D_IL_MOUNT_POINT", directory, 1) !=
		     ESPANK_SUCCESS))
		return ESPANK_ENV_NOEXIST;
	return preload(spank);
}
