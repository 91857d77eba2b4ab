/* Not a plug-in: a disk that fails while there is a file `broken`. Loaded in front of the C library, it has every sync of what lies below a
 * folder `spool`, and every write to a place there as the journal makes them, end with EIO; what failed is noted in the file `failed`. */

#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define VISIBLE __attribute__((visibility("default")))

static int fails(int fd)
{
    char link[64];
    char path[4096];
    ssize_t length;
    int noted;

    if (access("broken", F_OK) != 0)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    length = readlink(link, path, sizeof path - 2);
    if (length <= 0)
        return 0;
    path[length] = '\n';
    path[length + 1] = 0;
    if (strstr(path, "/spool/") == NULL)
        return 0;
    noted = open("failed", O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (noted >= 0) {
        /* The test misses what can't be noted. */
        if (write(noted, path, (size_t)length + 1) < 0)
            perror("failed");
        close(noted);
    }
    errno = EIO;
    return 1;
}

VISIBLE ssize_t pwrite64(int fd, const void *octets, size_t count, off64_t at)
{
    return fails(fd) ? -1 : syscall(SYS_pwrite64, fd, octets, count, at);
}

VISIBLE int fsync(int fd)
{
    return fails(fd) ? -1 : (int)syscall(SYS_fsync, fd);
}

VISIBLE int fdatasync(int fd)
{
    return fails(fd) ? -1 : (int)syscall(SYS_fdatasync, fd);
}
