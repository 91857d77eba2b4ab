/* notes.c: what libnotes.so exports: a forwarder for each function with a fixed list of arguments, the functions without
 * one, and the one by which the bridge fills the table behind them. */

#include <stdio.h>
#include <stdlib.h>

#include "table.h"

#define EXPORT __attribute__((visibility("default")))

enum { LINE_OCTETS = 2048 };

struct NotesTable notes_table;

/* Somebody has loaded this library who is not the bridge: there is nothing behind its functions. */
static void stray(const char *name)
{
    fprintf(stderr, "libnotes.so: %s was called outside Stagepost's domino-bridge\n", name);
    abort();
}

#define VALUE(type, name, parameters, arguments) \
    EXPORT type name parameters                  \
    {                                            \
        if (notes_table.name == NULL)            \
            stray(#name);                        \
        return notes_table.name arguments;       \
    }
#define PLAIN(name, parameters, arguments) \
    EXPORT void name parameters            \
    {                                      \
        if (notes_table.name == NULL)      \
            stray(#name);                  \
        notes_table.name arguments;        \
    }
#include "functions.def"
#undef VALUE
#undef PLAIN

/* The published prototypes end in a STATUS, which is narrower than what is passed: -Wno-varargs, since C leaves that open
 * and both compilers find the list without it. */

/* Writes one line of the log. */
static void write_line(const char *name, const char *format, STATUS additional, va_list arguments)
{
    char line[LINE_OCTETS];

    if (notes_table.write_line == NULL)
        stray(name);
    notes_format(line, sizeof line, format, arguments);
    notes_table.write_line(line, additional);
}

EXPORT void AddInLogMessageText(char *format, STATUS additional, ...)
{
    va_list arguments;

    va_start(arguments, additional);
    write_line("AddInLogMessageText", format, additional, arguments);
    va_end(arguments);
}

static void log_one(const char *format, STATUS additional, ...)
{
    va_list arguments;

    va_start(arguments, additional);
    write_line("AddInLogErrorText", format, additional, arguments);
    va_end(arguments);
}

EXPORT void AddInLogErrorText(char *format, STATUS additional, char *argument)
{
    log_one(format, additional, argument == NULL ? "" : argument);
}

EXPORT void AddInFormatErrorText(char *text, char *format, ...)
{
    va_list arguments;

    if (text == NULL)
        return;
    va_start(arguments, format);
    notes_format(text, 256, format, arguments);
    va_end(arguments);
}

EXPORT STATUS LogEventText(char *format, HMODULE module, STATUS additional, ...)
{
    va_list arguments;

    (void)module;
    va_start(arguments, additional);
    write_line("LogEventText", format, additional, arguments);
    va_end(arguments);
    return NOERROR;
}

EXPORT STATUS LogEventTextNoConsole(char *format, HMODULE module, STATUS additional, ...)
{
    va_list arguments;

    (void)module;
    va_start(arguments, additional);
    write_line("LogEventTextNoConsole", format, additional, arguments);
    va_end(arguments);
    return NOERROR;
}

/* Fills the table by asking for each function by its name. Returns NULL, or the name of the first that the bridge does not
 * have; "agreement" when the two are of different builds. Not a Notes name, and none that an add-in could mean. */
EXPORT const char *stagepost_notes_bind(uint32_t agreement, void *(*find)(const char *name), NotesCall **call)
{
    void *found;

    if (agreement != NOTES_AGREEMENT)
        return "agreement";
#define VALUE(type, name, parameters, arguments) PLAIN(name, parameters, arguments)
#define PLAIN(name, parameters, arguments)                 \
    found = find(#name);                                   \
    if (found == NULL)                                     \
        return #name;                                      \
    memcpy(&notes_table.name, &found, sizeof notes_table.name);
#include "functions.def"
    PLAIN(write_line, , )
#undef VALUE
#undef PLAIN
    *call = notes_call;
    return NULL;
}
