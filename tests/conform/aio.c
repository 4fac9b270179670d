/* POSIX asynchronous I/O (threads of libc) and libaio's system calls. */
#include <aio.h>
#include <linux/aio_abi.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/uio.h>
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

static aio_context_t context;

static struct iocb request(int fd, int opcode, void *buf, size_t len, off_t at)
{
	return (struct iocb){.aio_fildes = fd,
			     .aio_lio_opcode = opcode,
			     .aio_buf = (unsigned long)buf,
			     .aio_nbytes = len,
			     .aio_offset = at};
}

static long submit(struct iocb *cb)
{
	return syscall(SYS_io_submit, context, 1, &cb);
}

/* Waits for one event: its result, after a look at whose it is. */
static long result(struct iocb *cb)
{
	struct timespec wait = {5, 0};
	struct io_event event;

	CHECK_EQ(syscall(SYS_io_getevents, context, 1, 1, &event, &wait), 1);
	CHECK_EQ(event.obj, (unsigned long)cb);
	CHECK_EQ(event.data, cb->aio_data);
	return event.res;
}

static void kernel_interface(void)
{
	char got[16] = "", one[4] = "", two[8] = "";
	struct iovec out[2] = {{"li", 2}, {"baio", 4}};
	struct iovec in[2] = {{one, 3}, {two, 8}};
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));

	if (syscall(SYS_io_setup, 8, &context) != 0)
		SKIP_CASE("no kernel aio");
	struct iocb cb = request(fd, IOCB_CMD_PWRITE, "libaio", 6, 0);

	cb.aio_data = 77;
	CHECK_EQ(submit(&cb), 1);
	CHECK_EQ(result(&cb), 6);
	CHECK_EQ(cb.aio_fildes, fd);
	CHECK_EQ(cb.aio_nbytes, 6);
	CHECK_EQ(cb.aio_lio_opcode, IOCB_CMD_PWRITE);
	CHECK_FILE(t_at("f"), "libaio");
	cb = request(fd, IOCB_CMD_PREAD, got, 16, 3);
	CHECK_EQ(submit(&cb), 1);
	CHECK_EQ(result(&cb), 3);
	CHECK_STR(got, "aio");
	cb = request(fd, IOCB_CMD_PREAD, got, 16, 100);
	CHECK_EQ(submit(&cb), 1);
	CHECK_EQ(result(&cb), 0);
	cb = request(fd, IOCB_CMD_PWRITEV, out, 2, 6);
	CHECK_EQ(submit(&cb), 1);
	CHECK_EQ(result(&cb), 6);
	CHECK_FILE(t_at("f"), "libaiolibaio");
	cb = request(fd, IOCB_CMD_PREADV, in, 2, 1);
	CHECK_EQ(submit(&cb), 1);
	CHECK_EQ(result(&cb), 11);
	CHECK_STR(one, "iba");
	CHECK_MEM(two, "iolibaio", 8);
	cb = request(fd, IOCB_CMD_FSYNC, NULL, 0, 0);
	CHECK_EQ(submit(&cb), 1);
	CHECK_EQ(result(&cb), 0);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 0);
	CHECK_OK(syscall(SYS_io_destroy, context));
	CHECK_OK(close(fd));
}

static void kernel_refusals(void)
{
	char got[4];
	int fd = MUST(open(t_at("f"), O_RDONLY | O_CREAT, 0644));

	if (syscall(SYS_io_setup, 8, &context) != 0)
		SKIP_CASE("no kernel aio");
	struct iocb cb = request(fd, IOCB_CMD_PWRITE, "x", 1, 0);

	CHECK_ERRNO(submit(&cb), EBADF);
	cb = request(fd, IOCB_CMD_PREAD, got, 4, -1);
	CHECK_ERRNO(submit(&cb), EINVAL);
	cb = request(fd, 99, got, 4, 0);
	CHECK_ERRNO(submit(&cb), EINVAL);
	CHECK_ERRNO(syscall(SYS_io_submit, context, 1, NULL), EFAULT);
	CHECK_ERRNO(syscall(SYS_io_submit, context, -1, NULL), EINVAL);
	CHECK_EQ(syscall(SYS_io_submit, context, 0, NULL), 0);
	CHECK_OK(close(fd));
	cb = request(fd, IOCB_CMD_PREAD, got, 4, 0);
	CHECK_ERRNO(submit(&cb), EBADF);
	CHECK_OK(syscall(SYS_io_destroy, context));
}

/* Several at once, one of them of a pipe, and a notice by eventfd. */
static void kernel_batch(void)
{
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644)), pair[2];
	int notice = MUST(eventfd(0, 0));
	struct timespec wait = {5, 0};
	struct io_event events[3];
	uint64_t seen = 0;

	MUST(pipe(pair));
	if (syscall(SYS_io_setup, 8, &context) != 0)
		SKIP_CASE("no kernel aio");
	struct iocb cb[3] = {request(fd, IOCB_CMD_PWRITE, "one", 3, 0),
			     request(pair[1], IOCB_CMD_PWRITE, "two", 3, 0),
			     request(fd, IOCB_CMD_PWRITE, "three", 5, 3)};
	struct iocb *list[3] = {&cb[0], &cb[1], &cb[2]};
	long sum = 0;

	for (int i = 0; i < 3; i++) {
		cb[i].aio_flags = IOCB_FLAG_RESFD;
		cb[i].aio_resfd = notice;
	}
	CHECK_EQ(syscall(SYS_io_submit, context, 3, list), 3);
	CHECK_EQ(syscall(SYS_io_getevents, context, 3, 3, events, &wait), 3);
	for (int i = 0; i < 3; i++)
		sum += events[i].res;
	CHECK_EQ(sum, 11);
	CHECK_EQ(read(notice, &seen, 8), 8);
	CHECK_EQ(seen, 3);
	CHECK_FILE(t_at("f"), "onethree");
	CHECK_OK(syscall(SYS_io_destroy, context));
	CHECK_OK(close(pair[0]) | close(pair[1]) | close(notice) | close(fd));
}

T_MAIN(CASE(posix), CASE(kernel_interface), CASE(kernel_refusals),
       CASE(kernel_batch))
