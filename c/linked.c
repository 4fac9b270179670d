// SPDX-License-Identifier: BSD-2-Clause-Patent
/*
 * How libpil4dfs.a comes to life: the program that it is linked into calls it before any
 * constructor. A shared object has no such functions, and the linker says so.
 */
#include "pil.h"

__attribute__((section(".preinit_array"), used)) static void (*const linked)(int, char **, char **) =
	pil_begin;
