/*
 * Emulators that a test starts itself: as many at once as it likes, as another
 * user, with file descriptors to inherit, and killed or stopped at will
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * libqtest starts one after the other and waits for each; it ends the test when
 * an emulator dies.  These are spoken to over QMP and qtest's protocol, and
 * what goes wrong with one is the test's to judge.
 */

#ifndef HOST_CLOCK_PROCESS_H
#define HOST_CLOCK_PROCESS_H

#include "host-clock-util.h"
#include "qobject/qdict.h"

typedef struct Process Process;

/**
 * process_start: start an emulator, do not wait for it
 * @args: arguments, as for a shell
 *
 * It has a PC, or whatever @args says, that runs nothing (-accel qtest, unless
 * @args has another), and a qtest server.
 */
Process *process_start(const char *args);

/**
 * process_start_as: the same, as another user, with file descriptors
 * @uid: user and group; 0: do not change
 * @fds: descriptors that it inherits under the same number
 * @n_fds: how many
 */
Process *process_start_as(const char *args, uid_t uid, const int *fds,
                          int n_fds);

/**
 * process_ready: wait until an emulator answers; done by the functions below
 *
 * Returns: false, with the test failed, if it ends or takes too long
 */
bool process_ready(Process *p);

/* From its start until it answered; 0 before */
int64_t process_start_ns(Process *p);

/**
 * process_wait_end: wait until it has ended by itself, with exit status 0
 *
 * Returns: false if it does not within @seconds
 */
bool process_wait_end(Process *p, int seconds);

/* End it, however it fares, and free it. */
void process_end(Process *p);
/* SIGKILL, at once; process_end() is still to be called. */
void process_kill(Process *p);
pid_t process_pid(Process *p);
/* False, with the test failed, once it has ended by itself */
bool process_check_alive(Process *p);

/* What it has written to its standard error until now */
char *process_stderr(Process *p);

/**
 * process_qmp: run a QMP command
 *
 * Returns: what it returned, or NULL with the error's words in *@error, or with
 * the test failed where @error is NULL; to be freed in both cases
 */
QObject *process_qmp(Process *p, char **error, const char *fmt, ...)
    G_GNUC_PRINTF(3, 4);

/* The same, with the text as it is sent, and a descriptor or -1 beside it */
QObject *process_command(Process *p, char **error, const char *text, int fd);

/* Before anything is sent: let commands be run out of band. */
void process_enable_oob(Process *p);

/**
 * process_send: send a line of QMP, and do not wait for the reply
 *
 * Returns: false, with the test failed, if that is not possible
 */
bool process_send(Process *p, const char *fmt, ...) G_GNUC_PRINTF(2, 3);

/* The next reply, or NULL with the test failed; to be freed */
QDict *process_receive(Process *p, int seconds);

/**
 * process_qtest: send a line of qtest's protocol
 *
 * Returns: the reply, to be freed; "" with the test failed if there is none
 */
char *process_qtest(Process *p, const char *fmt, ...) G_GNUC_PRINTF(2, 3);

/* The value that follows OK, or 0; -1, with the test failed, without an OK */
int64_t process_qtest_value(Process *p, const char *fmt, ...)
    G_GNUC_PRINTF(2, 3);

/* getfd: give the emulator a descriptor under a name */
bool process_give_fd(Process *p, const char *name, int fd);

/**
 * process_add_clock: object-add of a host clock, and wait until it runs
 * @source: name of the source
 * @id: id of the object
 * @props: JSON of more properties, such as "'device': '/dev/null'", or ""
 *
 * Returns: NULL, or the words of the error, to be freed
 */
char *process_add_clock(Process *p, const char *source, const char *id,
                        const char *props);
void process_del_clock(Process *p, const char *id);

/* query-host-clocks of one clock, NULL if there is none; to be freed */
QDict *process_clock(Process *p, const char *id);

/**
 * process_wait_clock: wait until a member of query-host-clocks has a value
 * @seconds: how long it may take
 *
 * Returns: false, with the test failed, if it does not get it
 */
bool process_wait_clock(Process *p, const char *id, const char *member,
                        const char *value, int seconds);

/* How many events of this name there were, and data of the last or NULL */
int process_events(Process *p, const char *name, QDict **last);
void process_forget_events(Process *p);

/* One reading of a host clock */
typedef struct Look {
    Span at;            /* when it was taken, on CLOCK_MONOTONIC */
    int64_t mono_ns, wall_ns, error_ns;
} Look;

/**
 * process_look: read a host clock, as closely as can be told
 *
 * Tries some times and takes the one that took least.
 */
bool process_look(Process *p, const char *id, Look *look);

/* The machine's property rtc-time in seconds since 1970, or -1 */
int64_t process_rtc_time(Process *p);

/**
 * process_holdings: open descriptors, and mappings of devices, as text
 *
 * Two equal texts: nothing was left behind.
 */
char *process_holdings(Process *p);

/* Now, on CLOCK_MONOTONIC */
int64_t now_ns(void);

/* Sleep for as long as it takes, whatever signals come. */
void sleep_ns(int64_t ns);

#endif
