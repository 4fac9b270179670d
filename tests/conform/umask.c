/* umask(2): every call that creates obeys it, from the moment it changes. */
#include "t.h"

static void shapes_modes(void)
{
	CHECK_EQ(umask(0), 022);
	MUST(close(MUST(open(t_at("f0"), O_RDWR | O_CREAT, 0666))));
	CHECK_EQ(t_mode(t_at("f0")), S_IFREG | 0666);
	MUST(mkdir(t_at("d0"), 0777));
	CHECK_EQ(t_mode(t_at("d0")), S_IFDIR | 0777);
	CHECK_EQ(umask(077), 0);
	MUST(close(MUST(open(t_at("f1"), O_RDWR | O_CREAT, 0666))));
	CHECK_EQ(t_mode(t_at("f1")), S_IFREG | 0600);
	MUST(mkdir(t_at("d1"), 0777));
	CHECK_EQ(t_mode(t_at("d1")), S_IFDIR | 0700);
	MUST(mknod(t_at("n1"), S_IFREG | 0666, 0));
	CHECK_EQ(t_mode(t_at("n1")), S_IFREG | 0600);
	FILE *f = MUST_PTR(fopen(t_at("s1"), "w"));

	MUST(fclose(f));
	CHECK_EQ(t_mode(t_at("s1")), S_IFREG | 0600);
	CHECK_EQ(umask(0777), 077);
	MUST(close(MUST(open(t_at("f2"), O_RDWR | O_CREAT, 0666))));
	CHECK_EQ(t_mode(t_at("f2")), S_IFREG);
	CHECK_EQ(umask(022), 0777);
	/* chmod does not care. */
	CHECK_OK(chmod(t_at("f2"), 0666));
	CHECK_EQ(t_mode(t_at("f2")), S_IFREG | 0666);
}

static void of_the_child_only(void *arg)
{
	(void)arg;
	umask(0);
	MUST(close(MUST(open(t_at("child"), O_RDWR | O_CREAT, 0666))));
}

static void not_shared_over_fork(void)
{
	CHECK_CHILD(of_the_child_only, NULL);
	CHECK_EQ(t_mode(t_at("child")), S_IFREG | 0666);
	MUST(close(MUST(open(t_at("parent"), O_RDWR | O_CREAT, 0666))));
	CHECK_EQ(t_mode(t_at("parent")), S_IFREG | 0644);
}

T_MAIN(CASE(shapes_modes), CASE(not_shared_over_fork))
