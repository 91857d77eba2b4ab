/* format.c: texts of add-ins, put together as printf does, by formats that may not be meant as such: add-ins hand over texts
 * that are finished, with a '%' from a peer's host name in them and no argument behind. So at most six conversions
 * are made, none of them writes, and a string is read only where there is memory to read. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/uio.h>
#include <unistd.h>

#include "table.h"

enum {
    CONVERSIONS_MAX = 6,
    SPEC_MAX = 12,
    NUMBER_MAX = 999,
    STRING_MAX = 1024,
    PAGE = 4096,
};

/* One conversion: its flags, width and precision as written, and what it converts. */
struct conversion {
    char spec[SPEC_MAX + 2];
    char length;
    char kind;
};

/* Reads memory of this process that may not be there, within one page: how many octets there are, or -1. Where the system does not
 * let process_vm_readv do that, as in some containers, by a pipe, which takes nothing that can't be read. */
static ssize_t read_memory(char *to, const char *from, size_t most)
{
    struct iovec here, there;
    ssize_t got;
    int ends[2];

    here.iov_base = to;
    here.iov_len = most;
    there.iov_base = (void *)(uintptr_t)from;
    there.iov_len = most;
    got = process_vm_readv(getpid(), &here, 1, &there, 1, 0);
    if (got >= 0 || (errno != ENOSYS && errno != EPERM))
        return got;
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
        return -1;
    got = write(ends[1], from, most);
    if (got > 0)
        got = read(ends[0], to, (size_t)got);
    close(ends[0]);
    close(ends[1]);
    return got;
}

/* Copies a string that may not be there, page by page: octets copied, without the NUL. */
static size_t copy_string(char *to, const char *from)
{
    size_t done = 0;

    while (done < STRING_MAX) {
        size_t most = PAGE - ((uintptr_t)(from + done) % PAGE);
        ssize_t got;
        char *end;

        if (most > STRING_MAX - done)
            most = STRING_MAX - done;
        got = read_memory(to + done, from + done, most);
        if (got <= 0)
            break;
        end = (char *)memchr(to + done, '\0', (size_t)got);
        if (end != NULL)
            return (size_t)(end - to);
        done += (size_t)got;
    }
    return done;
}

/* Skips a number: an asterisk, or at most three digits, since more would be padding without end. */
static const char *skip_number(const char *at)
{
    size_t digits = strspn(at, "0123456789");

    if (*at == '*')
        return at + 1;
    return at + (digits < 3 ? digits : 3);
}

/* Reads what stands behind a '%'. Returns how many octets it has, 0 when it is no conversion that is made here. */
static size_t read_conversion(const char *at, struct conversion *found)
{
    const char *end = skip_number(at + strspn(at, "-+ #0"));
    size_t used;

    /* Flags, width and precision, in this order. */
    if (*end == '.')
        end = skip_number(end + 1);
    used = (size_t)(end - at);
    if (used > SPEC_MAX)
        return 0;
    found->length = '\0';
    found->spec[0] = '%';
    memcpy(found->spec + 1, at, used);
    found->spec[1 + used] = '\0';
    if (at[used] == 'l' && at[used + 1] == 'l') {
        found->length = 'l';
        used += 2;
    } else if (at[used] == 'h' && at[used + 1] == 'h') {
        used += 2;
    } else if (at[used] != '\0' && strchr("hlz", at[used]) != NULL) {
        found->length = at[used] == 'h' ? '\0' : 'l';
        used += 1;
    }
    found->kind = at[used];
    if (found->kind == '\0' || strchr("diuxXocspfgeE", found->kind) == NULL)
        return 0;
    if (found->kind == 'c')
        found->length = '\0';
    return used + 1;
}

/* Puts numbers that are arguments in the place of asterisks, within what a number may be. */
static void resolve(char *spec, size_t size, const char *written, va_list *arguments)
{
    size_t used = 0;

    for (; *written != '\0' && used + 5 < size; written++) {
        if (*written == '*') {
            int number = va_arg(*arguments, int);

            number = number > NUMBER_MAX ? NUMBER_MAX : number < -NUMBER_MAX ? -NUMBER_MAX : number;
            /* A negative precision is none. */
            if (number < 0 && spec[used - 1] == '.')
                used--;
            else
                used += (size_t)snprintf(spec + used, size - used, "%d", number);
        } else {
            spec[used++] = *written;
        }
    }
    spec[used] = '\0';
}

/* Makes a conversion, of the next argument. */
static void convert(char *text, size_t size, const struct conversion *one, va_list *arguments)
{
    char numbers[32], spec[40], string[STRING_MAX + 1];
    const char *from;

    resolve(numbers, sizeof numbers, one->spec, arguments);
    switch (one->kind) {
    case 's':
        from = va_arg(*arguments, const char *);
        string[copy_string(string, from)] = '\0';
        snprintf(spec, sizeof spec, "%ss", numbers);
        snprintf(text, size, spec, string);
        break;
    case 'p':
        snprintf(text, size, "%p", va_arg(*arguments, void *));
        break;
    case 'f':
    case 'g':
    case 'e':
    case 'E':
        snprintf(spec, sizeof spec, "%s%c", numbers, one->kind);
        snprintf(text, size, spec, va_arg(*arguments, double));
        break;
    default:
        snprintf(spec, sizeof spec, "%s%s%c", numbers, one->length == 'l' ? "l" : "", one->kind);
        if (one->length == 'l')
            snprintf(text, size, spec, va_arg(*arguments, long));
        else
            snprintf(text, size, spec, va_arg(*arguments, int));
    }
}

void notes_format(char *text, size_t size, const char *format, va_list arguments)
{
    size_t used = 0;
    int conversions = 0;
    va_list list;

    va_copy(list, arguments);
    text[0] = '\0';
    while (format != NULL && *format != '\0' && used + 1 < size) {
        struct conversion one;
        size_t octets = 0;

        if (format[0] == '%' && format[1] == '%') {
            text[used++] = '%';
            format += 2;
            continue;
        }
        if (format[0] == '%' && conversions < CONVERSIONS_MAX)
            octets = read_conversion(format + 1, &one);
        if (octets == 0) {
            text[used++] = *format++;
            continue;
        }
        convert(text + used, size - used, &one, &list);
        used += strlen(text + used);
        conversions++;
        format += 1 + octets;
    }
    text[used] = '\0';
    va_end(list);
}
