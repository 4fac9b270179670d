/*
 * Whose rights count: effective, real and file system ids, capabilities,
 * supplementary groups, user name spaces; and each thread's own.
 */
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include "t.h"

enum { STRANGER = 23456, OTHER = 23457, GROUP = 34567 };

static int raw_setresuid(uid_t r, uid_t e, uid_t s)
{
	return syscall(SYS_setresuid, r, e, s);
}

static int raw_setresgid(gid_t r, gid_t e, gid_t s)
{
	return syscall(SYS_setresgid, r, e, s);
}

static int raw_setgroups(size_t n, const gid_t *list)
{
	return syscall(SYS_setgroups, n, list);
}

/* Without glibc's shortcut for equal ids. */
static int effective_access(const char *path, int mask)
{
	return syscall(439, AT_FDCWD, path, mask, AT_EACCESS);
}

/* Files of root's with different modes; the directory is open to all. */
static void make_files(void)
{
	MUST(chmod(t_dir, 0777));
	t_put(t_at("private"), "x");
	MUST(chmod(t_at("private"), 0600));
	t_put(t_at("public"), "x");
	t_put(t_at("group"), "x");
	MUST(chown(t_at("group"), 0, GROUP));
	MUST(chmod(t_at("group"), 0660));
	MUST(mkdir(t_at("closed"), 0700));
	t_put(t_at("closed/f"), "x");
}

static int try_open(const char *name, int flags)
{
	char path[PATH_MAX];

	t_into(path, "%s", name);
	int fd = open(path, flags);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static int try_make(const char *name, struct stat *st)
{
	char path[PATH_MAX];

	t_into(path, "%s", name);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);

	if (fd < 0)
		return errno;
	close(fd);
	return stat(path, st) == 0 ? 0 : errno;
}

static void file_system_ids_in_child(void *arg)
{
	struct stat st;

	(void)arg;
	/* Capabilities over files come and go with the file system uid. */
	CHECK_EQ(setfsuid(STRANGER), 0);
	CHECK_EQ(setfsgid(STRANGER), 0);
	CHECK_EQ(setfsuid(-1), STRANGER);
	CHECK_EQ(geteuid(), 0);
	CHECK_EQ(try_open("private", O_RDONLY), EACCES);
	CHECK_EQ(try_open("public", O_RDONLY), 0);
	CHECK_EQ(try_open("public", O_WRONLY), EACCES);
	CHECK_EQ(try_open("closed/f", O_RDONLY), EACCES);
	CHECK_EQ(try_make("mine", &st), 0);
	CHECK_EQ(st.st_uid, STRANGER);
	CHECK_EQ(st.st_gid, STRANGER);
	CHECK_OK(mkdir(t_at("mydir"), 0755));
	MUST(stat(t_at("mydir"), &st));
	CHECK_EQ(st.st_uid, STRANGER);
	CHECK_OK(symlink("x", t_at("mylink")));
	MUST(lstat(t_at("mylink"), &st));
	CHECK_EQ(st.st_uid, STRANGER);
	CHECK_OK(chmod(t_at("mine"), 0600));
	CHECK_ERRNO(chmod(t_at("public"), 0600), EPERM);
	CHECK_ERRNO(chown(t_at("public"), STRANGER, -1), EPERM);
	/* access(2) goes by the real ids: root's. */
	CHECK_OK(access(t_at("private"), R_OK | W_OK));
	CHECK_OK(access(t_at("closed/f"), R_OK));
	CHECK_EQ(setfsuid(0), STRANGER);
	CHECK_EQ(setfsgid(0), STRANGER);
	CHECK_EQ(try_open("private", O_RDWR), 0);
	CHECK_EQ(try_make("roots", &st), 0);
	CHECK_EQ(st.st_uid, 0);
	CHECK_EQ(st.st_gid, 0);
}

static void file_system_ids(void)
{
	if (!t_root())
		SKIP_CASE("only root can become somebody else");
	make_files();
	CHECK_CHILD(file_system_ids_in_child, NULL);
}

static void real_and_effective_in_child(void *arg)
{
	(void)arg;
	MUST(setgroups(0, NULL));
	MUST(setresgid(STRANGER, STRANGER, STRANGER));
	/* Effective root, real stranger, and the other way round. */
	MUST(setresuid(STRANGER, 0, 0));
	CHECK_EQ(try_open("private", O_RDWR), 0);
	CHECK_ERRNO(access(t_at("private"), R_OK), EACCES);
	CHECK_OK(faccessat(AT_FDCWD, t_at("private"), R_OK, AT_EACCESS));
	CHECK_OK(eaccess(t_at("private"), R_OK));
	CHECK_ERRNO(access(t_at("closed/f"), F_OK), EACCES);
	CHECK_OK(eaccess(t_at("closed/f"), F_OK));
	MUST(setresuid(0, STRANGER, 0));
	CHECK_EQ(try_open("private", O_RDONLY), EACCES);
	CHECK_OK(access(t_at("private"), R_OK | W_OK));
	CHECK_OK(access(t_at("closed/f"), F_OK));
	CHECK_ERRNO(faccessat(AT_FDCWD, t_at("private"), R_OK, AT_EACCESS),
		    EACCES);
	/* Somebody else with root's saved id. */
	MUST(setresuid(-1, 0, -1));
	MUST(setresuid(OTHER, STRANGER, 0));
	CHECK_EQ(try_open("private", O_RDONLY), EACCES);
	CHECK_ERRNO(access(t_at("private"), R_OK), EACCES);
}

static void real_and_effective(void)
{
	if (!t_root())
		SKIP_CASE("only root can become somebody else");
	make_files();
	CHECK_CHILD(real_and_effective_in_child, NULL);
}

/* A user who kept capabilities, and a root who gave them away. */
static void capabilities_in_child(void *arg)
{
	struct {
		unsigned int version;
		int pid;
	} head = {0x20080522, 0};
	unsigned int caps[6] = {0};
	struct stat st;

	(void)arg;
	MUST(prctl(PR_SET_KEEPCAPS, 1));
	MUST(setgroups(0, NULL));
	MUST(setresgid(STRANGER, STRANGER, STRANGER));
	MUST(setresuid(STRANGER, STRANGER, 0));
	CHECK_EQ(try_open("private", O_RDONLY), EACCES);
	caps[0] = caps[1] = 1 << 2; /* CAP_DAC_READ_SEARCH */
	MUST(syscall(SYS_capset, &head, caps));
	CHECK_EQ(try_open("private", O_RDONLY), 0);
	CHECK_EQ(try_open("private", O_WRONLY), EACCES);
	CHECK_EQ(try_open("closed/f", O_RDONLY), 0);
	/* access(2) asks what the user could do without. */
	CHECK_ERRNO(access(t_at("private"), R_OK), EACCES);
	CHECK_OK(effective_access(t_at("private"), R_OK));
	caps[0] = 0;
	MUST(syscall(SYS_capset, &head, caps));
	CHECK_EQ(try_open("private", O_RDONLY), EACCES);
	caps[1] = 0;
	MUST(syscall(SYS_capset, &head, caps));
	CHECK_EQ(stat(t_at("closed/f"), &st), -1);
	CHECK_EQ(errno, EACCES);
}

static void powerless_root(void *arg)
{
	struct {
		unsigned int version;
		int pid;
	} head = {0x20080522, 0};
	unsigned int caps[6];

	(void)arg;
	MUST(syscall(SYS_capget, &head, caps));
	/* Effective ones only: access(2) takes the permitted ones. */
	unsigned int kept = caps[0];

	caps[0] &= ~0x1fU;
	MUST(syscall(SYS_capset, &head, caps));
	CHECK_EQ(try_open("strange", O_RDONLY), EACCES);
	CHECK_OK(access(t_at("strange"), R_OK));
	CHECK_ERRNO(effective_access(t_at("strange"), R_OK), EACCES);
	CHECK_ERRNO(chmod(t_at("strange"), 0644), EPERM);
	CHECK_ERRNO(chown(t_at("private"), STRANGER, -1), EPERM);
	caps[0] = kept;
	MUST(syscall(SYS_capset, &head, caps));
	CHECK_EQ(try_open("strange", O_RDONLY), 0);
}

static void capabilities(void)
{
	if (!t_root())
		SKIP_CASE("only root has some");
	make_files();
	t_put(t_at("strange"), "x");
	MUST(chown(t_at("strange"), STRANGER, STRANGER));
	MUST(chmod(t_at("strange"), 0600));
	CHECK_CHILD(capabilities_in_child, NULL);
	CHECK_CHILD(powerless_root, NULL);
}

static void groups_in_child(void *arg)
{
	gid_t group = GROUP;

	(void)arg;
	MUST(setgroups(0, NULL));
	MUST(setresgid(STRANGER, STRANGER, STRANGER));
	MUST(setresuid(-1, STRANGER, -1));
	CHECK_EQ(try_open("group", O_RDWR), EACCES);
	MUST(setresuid(-1, 0, -1));
	MUST(setgroups(1, &group));
	MUST(setresuid(-1, STRANGER, -1));
	CHECK_EQ(try_open("group", O_RDWR), 0);
	/* Giving a file of one's own to a group one is in, and no other. */
	struct stat st;

	CHECK_EQ(try_make("mine", &st), 0);
	CHECK_OK(chown(t_at("mine"), -1, GROUP));
	CHECK_ERRNO(chown(t_at("mine"), -1, GROUP + 1), EPERM);
	CHECK_ERRNO(chown(t_at("mine"), OTHER, -1), EPERM);
	CHECK_OK(chown(t_at("mine"), STRANGER, -1));
	/* The set-group-id bit of a group one is not in goes. */
	CHECK_OK(chmod(t_at("mine"), 02755));
	CHECK_EQ(t_mode(t_at("mine")), S_IFREG | 02755);
	CHECK_OK(chmod(t_at("not-mine"), 02755));
	CHECK_EQ(t_mode(t_at("not-mine")), S_IFREG | 0755);
}

static void groups(void)
{
	if (!t_root())
		SKIP_CASE("only root can change groups");
	make_files();
	t_put(t_at("not-mine"), "x");
	MUST(chown(t_at("not-mine"), STRANGER, GROUP + 7));
	CHECK_CHILD(groups_in_child, NULL);
}

/* ------------------------------------------------------------ threads */

struct worker {
	pthread_t thread;
	uid_t uid;
	gid_t group;
	int rounds, wrong;
};

static pthread_barrier_t barrier;

/* Each thread becomes somebody of its own, as file servers do. */
static void *serve(void *arg)
{
	struct worker *w = arg;
	struct stat st;
	char name[64];

	if (w->uid) {
		raw_setgroups(w->group ? 1 : 0, &w->group);
		raw_setresgid(w->uid, w->uid, 0);
		raw_setresuid(-1, w->uid, -1);
	}
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < w->rounds; i++) {
		int want = w->uid ? EACCES : 0;

		w->wrong += try_open("private", O_RDONLY) != want;
		w->wrong += try_open("closed/f", O_RDONLY) != want;
		w->wrong += try_open("group", O_RDWR) !=
			    (w->uid && !w->group ? EACCES : 0);
		snprintf(name, sizeof(name), "by-%u-%d", w->uid, i);
		w->wrong += try_make(name, &st) != 0 || st.st_uid != w->uid;
	}
	pthread_barrier_wait(&barrier);
	return NULL;
}

static void threads_in_child(void *arg)
{
	struct worker workers[3] = {
		{.uid = 0}, {.uid = STRANGER}, {.uid = OTHER, .group = GROUP}};

	(void)arg;
	MUST(pthread_barrier_init(&barrier, NULL, 3));
	for (int i = 0; i < 3; i++) {
		workers[i].rounds = 20;
		MUST(-pthread_create(&workers[i].thread, NULL, serve,
				     &workers[i]));
	}
	for (int i = 0; i < 3; i++) {
		MUST(-pthread_join(workers[i].thread, NULL));
		CHECK_EQ(workers[i].wrong, 0);
	}
	/* This thread is root still. */
	CHECK_EQ(try_open("private", O_RDWR), 0);
}

static void threads(void)
{
	if (!t_root())
		SKIP_CASE("only root can become somebody else");
	make_files();
	CHECK_CHILD(threads_in_child, NULL);
}

static void *look(void *arg)
{
	int *result = arg;

	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	*result = try_open("private", O_RDONLY);
	return NULL;
}

/* libc's setresuid is for all threads of the process. */
static void all_threads_in_child(void *arg)
{
	pthread_t thread;
	int result = -1;

	(void)arg;
	MUST(pthread_barrier_init(&barrier, NULL, 2));
	MUST(-pthread_create(&thread, NULL, look, &result));
	CHECK_EQ(try_open("private", O_RDONLY), 0);
	pthread_barrier_wait(&barrier);
	MUST(setgroups(0, NULL));
	MUST(setresgid(STRANGER, STRANGER, STRANGER));
	MUST(setresuid(STRANGER, STRANGER, STRANGER));
	CHECK_EQ(try_open("private", O_RDONLY), EACCES);
	pthread_barrier_wait(&barrier);
	MUST(-pthread_join(thread, NULL));
	CHECK_EQ(result, EACCES);
}

static void all_threads(void)
{
	if (!t_root())
		SKIP_CASE("only root can become somebody else");
	make_files();
	CHECK_CHILD(all_threads_in_child, NULL);
}

/* ------------------------------------------------------------ user name spaces */

static bool write_to(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	bool good = fd >= 0 && write(fd, text, strlen(text)) > 0;

	if (fd >= 0)
		close(fd);
	return good;
}

static void name_space_in_child(void *arg)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	char map[64];
	struct stat st;

	(void)arg;
	if (unshare(CLONE_NEWUSER) != 0)
		_exit(0);
	write_to("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "0 %u 1", uid);
	if (!write_to("/proc/self/uid_map", map))
		_exit(0);
	snprintf(map, sizeof(map), "0 %u 1", gid);
	if (!write_to("/proc/self/gid_map", map))
		_exit(0);
	/* Root in here; what is ours shows as root's. */
	CHECK_EQ(geteuid(), 0);
	MUST(stat(t_at("mine"), &st));
	CHECK_EQ(st.st_uid, 0);
	CHECK_EQ(st.st_gid, 0);
	/* All rights over files of mapped ids only. */
	CHECK_EQ(try_open("mine", O_RDWR), 0);
	CHECK_OK(chmod(t_at("mine"), 0600));
	CHECK_ERRNO(chown(t_at("mine"), 5, -1), EINVAL);
	CHECK_OK(chown(t_at("mine"), 0, 0));
	CHECK_EQ(try_make("new", &st), 0);
	CHECK_EQ(st.st_uid, 0);
	if (t_exists(t_at("theirs"))) {
		CHECK_EQ(try_open("theirs", O_RDONLY), EACCES);
		MUST(stat(t_at("theirs"), &st));
		CHECK_EQ(st.st_uid, 65534);
		CHECK_ERRNO(chmod(t_at("theirs"), 0644), EPERM);
		CHECK_ERRNO(chown(t_at("theirs"), 0, 0), EPERM);
		CHECK_ERRNO(access(t_at("theirs"), R_OK), EACCES);
	}
}

static void as_stranger(void *arg)
{
	MUST(setgroups(0, NULL));
	MUST(setresgid(STRANGER, STRANGER, STRANGER));
	MUST(setresuid(STRANGER, STRANGER, STRANGER));
	/* /proc/self belongs to root until then. */
	MUST(prctl(PR_SET_DUMPABLE, 1));
	t_put(t_at("mine"), "x");
	MUST(chmod(t_at("mine"), 0));
	name_space_in_child(arg);
}

static void name_space(void)
{
	if (t_root()) {
		MUST(chmod(t_dir, 0777));
		t_put(t_at("theirs"), "x");
		MUST(chmod(t_at("theirs"), 0600));
		CHECK_CHILD(as_stranger, NULL);
	} else {
		t_put(t_at("mine"), "x");
		MUST(chmod(t_at("mine"), 0));
		CHECK_CHILD(name_space_in_child, NULL);
	}
}

static char looked_at[PATH_MAX];
static volatile bool enough;

/* Looks at a file, under changing and unchanging identities of its own. */
static void *look_often(void *arg)
{
	uid_t mine = geteuid();
	struct stat st;

	for (int i = 0; !enough || i < 20; i++) {
		syscall(SYS_setfsuid, arg && i % 2 ? STRANGER : mine);
		if (stat(looked_at, &st) != 0 && errno != EACCES)
			t_fail(T_HERE, "stat: errno %d", errno);
	}
	return NULL;
}

/* A check of rights takes no descriptor, not even for a moment. */
static void takes_no_number(void)
{
	t_put(t_at("f"), "x");
	t_into(looked_at, "f");
	for (long differ = 0; differ < 2; differ++) {
		pthread_t thread;

		enough = false;
		MUST(-pthread_create(&thread, NULL, look_often,
				     t_root() && differ ? t_dir : NULL));
		int first = MUST(open("/dev/null", O_RDONLY)), wrong = 0;

		CHECK_OK(close(first));
		for (int i = 0; i < 20000; i++) {
			int fd = MUST(open("/dev/null", O_RDONLY));

			wrong += fd != first;
			MUST(close(fd));
		}
		enough = true;
		MUST(-pthread_join(thread, NULL));
		CHECK_EQ(wrong, 0);
	}
}

T_MAIN(CASE(file_system_ids), CASE(real_and_effective), CASE(capabilities),
       CASE(groups), CASE(threads), CASE(all_threads), CASE(name_space),
       CASE(takes_no_number))
