/* POSIX asynchronous I/O (threads of libc) and libaio's system calls. */
#include <aio.h>
#include <linux/aio_abi.h>
#include <sys/syscall.h>
#include "t.h"

static void posix(void)
{
	char got[8] = "";
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));
	struct aiocb out = {.aio_fildes = fd,
			    .aio_buf = "asynchro",
			    .aio_nbytes = 8,
			    .aio_offset = 4};
	struct aiocb in = {.aio_fildes = fd,
			   .aio_buf = got,
			   .aio_nbytes = 8,
			   .aio_offset = 4};
	const struct aiocb *list[] = {&out};

	CHECK_OK(aio_write(&out));
	while (aio_error(&out) == EINPROGRESS)
		aio_suspend(list, 1, NULL);
	CHECK_EQ(aio_return(&out), 8);
	list[0] = &in;
	CHECK_OK(aio_read(&in));
	while (aio_error(&in) == EINPROGRESS)
		aio_suspend(list, 1, NULL);
	CHECK_EQ(aio_return(&in), 8);
	CHECK_MEM(got, "asynchro", 8);
	CHECK_EQ(t_size(t_at("f")), 12);
	CHECK_OK(close(fd));
}

/* Right bytes or an error in the event, never a lost write. */
static void kernel_interface(void)
{
	aio_context_t context = 0;
	struct iocb cb = {0}, *list[] = {&cb};
	struct io_event event;
	struct timespec wait = {5, 0};
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	if (syscall(SYS_io_setup, 4, &context) != 0)
		SKIP_CASE("no kernel aio");
	cb.aio_fildes = fd;
	cb.aio_lio_opcode = IOCB_CMD_PWRITE;
	cb.aio_buf = (unsigned long)"libaio";
	cb.aio_nbytes = 6;
	long n = syscall(SYS_io_submit, context, 1, list);

	if (n == 1) {
		CHECK_EQ(
			syscall(SYS_io_getevents, context, 1, 1, &event, &wait),
			1);
		if (event.res == 6)
			CHECK_FILE(t_at("f"), "libaio");
		else
			CHECK(t_mount() && event.res < 0);
	} else {
		CHECK(t_mount() && n == -1);
	}
	CHECK_OK(syscall(SYS_io_destroy, context));
	CHECK_OK(close(fd));
}

T_MAIN(CASE(posix), CASE(kernel_interface))
