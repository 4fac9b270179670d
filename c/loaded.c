// SPDX-License-Identifier: BSD-2-Clause-Patent
/* How libpil4dfs.so comes to life: as the first constructor (-z initfirst). */
#include "pil.h"

__attribute__((constructor)) static void loaded(int argc, char **argv, char **envp)
{
	pil_begin(argc, argv, envp);
}
