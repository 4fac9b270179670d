/*
 * What is written: records of 16 bytes. A misplaced one names its author, its
 * file and its place; the file's own number stands in an extended attribute.
 */
#include "history.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

void record(char *at, unsigned int number, unsigned int part, unsigned int file,
	    long offset)
{
	char text[64];

	snprintf(text, sizeof(text), "%c%04x%02x:%04x@%03lx", 'A' + me,
		 number & 0xffff, part & 0xff, file & 0xffff,
		 offset < 0 ? NOWHERE : (unsigned long)offset / CELL % NOWHERE);
	memcpy(at, text, CELL);
}

bool belongs(const char *cell, size_t length, unsigned int file, long index)
{
	static const char zero[CELL];
	unsigned int number, part, whose, place;
	char writer, text[CELL + 1];

	memcpy(text, cell, CELL);
	text[CELL] = '\0';
	if (length != CELL)
		return false;
	if (memcmp(cell, zero, CELL) == 0)
		return true;
	return sscanf(text, "%c%4x%2x:%4x@%3x", &writer, &number, &part, &whose,
		      &place) == 5 &&
	       writer >= 'A' && writer < 'A' + WORKERS && whose == file &&
	       (place == NOWHERE || place == index % NOWHERE);
}

unsigned int hash_of(const void *data, size_t len)
{
	const unsigned char *at = data;
	unsigned int hash = 2166136261U;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ at[i]) * 16777619U;
	return hash;
}

unsigned int parse_id(const char *text, ssize_t len)
{
	char id[8] = "";

	if (len != 4)
		return NO_FILE;
	memcpy(id, text, 4);
	return strtoul(id, NULL, 16);
}

unsigned int id_of(int fd)
{
	char text[8];
	ssize_t n = fgetxattr(fd, ID, text, sizeof(text));

	return parse_id(text, n);
}

void give_id(int fd, unsigned int number)
{
	char text[8];
	int kept = errno;

	snprintf(text, sizeof(text), "%04x", number & 0xffff);
	fsetxattr(fd, ID, text, 4, XATTR_CREATE);
	errno = kept;
}

static int check_file(const char *path)
{
	char cell[CELL];
	long index = 0;
	int wrong = 0;
	size_t n;
	FILE *f = fopen(path, "r");

	if (!f) {
		/* A history may have closed it to its owner. */
		if (errno == EACCES)
			return 0;
		perror(path);
		return 1;
	}
	unsigned int file = id_of(fileno(f));

	for (; (n = fread(cell, 1, CELL, f)) > 0; index++) {
		if (belongs(cell, n, file, index))
			continue;
		printf("%s (%04x): cell %ld: \"%.16s\" does not belong there\n",
		       path, file, index, cell);
		wrong++;
	}
	fclose(f);
	return wrong;
}

int check_tree(const char *path)
{
	char inner[PATH_MAX];
	struct dirent *entry;
	struct stat st;
	int wrong = 0;
	DIR *dir = opendir(path);

	if (!dir) {
		perror(path);
		return 1;
	}
	while ((entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") == 0 ||
		    strcmp(entry->d_name, "..") == 0)
			continue;
		snprintf(inner, sizeof(inner), "%.3000s/%s", path,
			 entry->d_name);
		if (lstat(inner, &st) != 0)
			wrong++;
		else if (S_ISDIR(st.st_mode))
			wrong += check_tree(inner);
		else if (S_ISREG(st.st_mode))
			wrong += check_file(inner);
	}
	closedir(dir);
	return wrong;
}
