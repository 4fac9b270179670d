/*
 * A module that is linked with MPI, in a program that is not and loads it
 * without RTLD_GLOBAL, as Python does its modules.
 *
 *	plugin MODULE DIR	(compiled without -DMODULE)
 */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#ifdef MODULE
#include <mpi.h>
#include <sys/stat.h>

int run(const char *dir);
int run(const char *dir)
{
	char path[4096], got[16] = "";
	int rank, rc, provided = -1;
	MPI_File file;
	FILE *own;

	rc = MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided);
	if (rc != MPI_SUCCESS || provided < MPI_THREAD_SINGLE) {
		fprintf(stderr, "MPI_Init_thread: %d\n", rc);
		return 1;
	}
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	if (rank == 0)
		mkdir(dir, 0755);
	MPI_Barrier(MPI_COMM_WORLD);
	snprintf(path, sizeof(path), "%s/own.%d", dir, rank);
	own = fopen(path, "w");
	rc = !own || fprintf(own, "rank %d\n", rank) < 0 || fclose(own);
	snprintf(path, sizeof(path), "%s/shared", dir);
	rc |= MPI_File_open(MPI_COMM_WORLD, path,
			    MPI_MODE_CREATE | MPI_MODE_RDWR, MPI_INFO_NULL,
			    &file);
	rc |= MPI_File_write_at_all(file, 8 * rank, "shared,\n", 8, MPI_BYTE,
				    MPI_STATUS_IGNORE);
	rc |= MPI_File_read_at_all(file, 8 * rank, got, 8, MPI_BYTE,
				   MPI_STATUS_IGNORE);
	rc |= MPI_File_close(&file);
	MPI_Allreduce(MPI_IN_PLACE, &rc, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
	if (rank == 0)
		printf("module: %s\n",
		       rc || strcmp(got, "shared,\n") != 0 ? "WRONG" : "right");
	MPI_Finalize();
	return rc;
}
#else
int main(int argc, char **argv)
{
	void *module = argc > 2 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
	int (*run)(const char *) =
		module ? (int (*)(const char *))dlsym(module, "run") : NULL;

	if (!run) {
		fprintf(stderr, "%s\n", dlerror());
		return 2;
	}
	return run(argv[2]);
}
#endif
