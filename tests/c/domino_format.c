/* Puts texts together as libnotes.so does for add-ins, and prints them: with strings that are there, that end where their page does, and
 * that are not there. With REFUSED, an errno, the system does not read memory for those who ask. */

#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "table.h"

#ifdef REFUSED
ssize_t process_vm_readv(pid_t pid, const struct iovec *here, unsigned long here_count, const struct iovec *there,
                         unsigned long there_count, unsigned long flags)
{
    (void)pid, (void)here, (void)here_count, (void)there, (void)there_count, (void)flags;
    errno = REFUSED;
    return -1;
}
#endif

static void show(const char *format, ...)
{
    char text[2048];
    va_list list;

    va_start(list, format);
    notes_format(text, sizeof text, format, list);
    va_end(list);
    printf("%u %s\n", (unsigned)strlen(text), strlen(text) < 200 ? text : "...");
}

int main(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *pages = (char *)mmap(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int descriptor, last = dup(0);

    munmap(pages + 2 * page, page);
    strcpy(pages + page - 3, "across");
    show("[%s] [%-8.3s]", pages + page - 3, pages + page - 3);
    memcpy(pages + 2 * page - 5, "open!", 5);
    show("[%s]", pages + 2 * page - 5);
    show("[%s] [%s] [%s]", NULL, (char *)8, pages + 2 * page);
    memset(pages, 'x', page);
    show("%s", pages);
    show("%5d|%-5u|%05.1f|%x|%lu|%c|%d", -7, 8u, 2.5, 255, 1ul << 40, 'c', 9);
    show("%*d|%.*s|%hhd|%%|%n|%5", 5, 42, 2, "words", 3);
    show("100%s of [%d", "!", 5);
    /* Whatever was opened to read with is closed again. */
    descriptor = dup(0);
    printf("%d\n", descriptor - last);
    return 0;
}
