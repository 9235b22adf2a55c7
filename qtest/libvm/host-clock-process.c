/*
 * Emulators that a test starts itself
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <grp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include "host-clock-process.h"
#include "qapi/error.h"
#include "qobject/qjson.h"
#include "qobject/qlist.h"

/*
 * An emulator answers in 0.1 s; nested in a guest it takes 4 s, and sixteen at
 * once on two processors 40 s.
 */
#define START_S         300
#define ANSWER_S        60

struct Process {
    pid_t pid;
    int qmp, qtest;
    FILE *err;
    int64_t began_ns, ready_ns;
    bool ended, wants_oob;
    GString *input;
    QList *events;
};

int64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * NS + ts.tv_nsec;
}

void sleep_ns(int64_t ns)
{
    int64_t end = now_ns() + ns;

    while (now_ns() < end) {
        g_usleep((end - now_ns()) / 1000 + 1);
    }
}

/* Start and end */

static char **command_line(const char *args, int qmp, int qtest)
{
    g_autofree char *line = g_strdup_printf(
        "%s -machine pc -m 16 %s -nodefaults -display none "
        "-chardev socket,id=qmp,fd=%d -mon chardev=qmp,mode=control "
        "-chardev socket,id=qtest,fd=%d -qtest chardev:qtest -qtest-log none "
        "%s", g_getenv("QTEST_QEMU_BINARY"),
        strstr(args, "-accel ") ? "" : "-accel qtest", qmp, qtest, args);
    char **argv = NULL;

    g_test_message("starting %s", line);
    g_assert_true(g_shell_parse_argv(line, NULL, &argv, NULL));
    return argv;
}

static void keep_on_exec(int fd)
{
    fcntl(fd, F_SETFD, fcntl(fd, F_GETFD) & ~FD_CLOEXEC);
}

/* In the child, until it becomes an emulator or nothing */
static G_NORETURN void become(char **argv, uid_t uid, int err)
{
    /* Should the test die, nothing of it stays behind. */
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    dup2(err, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    if (uid && (setgroups(0, NULL) || setgid(uid) || setuid(uid))) {
        fprintf(stderr, "cannot become user %d: %s\n", uid, strerror(errno));
        _exit(1);
    }
    if (uid) {
        /* To change the user clears it. */
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    }
    execv(argv[0], argv);
    fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
    _exit(1);
}

Process *process_start_as(const char *args, uid_t uid, const int *fds,
                          int n_fds)
{
    Process *p = g_new0(Process, 1);
    g_auto(GStrv) argv = NULL;
    int sock[2], qtest[2];

    g_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock) == 0);
    g_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, qtest) == 0);
    p->err = tmpfile();
    g_assert(p->err);
    p->qmp = sock[0];
    p->qtest = qtest[0];
    p->input = g_string_new("");
    p->events = qlist_new();
    argv = command_line(args, sock[1], qtest[1]);
    p->began_ns = now_ns();
    p->pid = fork();
    g_assert(p->pid >= 0);
    if (p->pid == 0) {
        keep_on_exec(sock[1]);
        keep_on_exec(qtest[1]);
        for (int i = 0; i < n_fds; i++) {
            keep_on_exec(fds[i]);
        }
        become(argv, uid, fileno(p->err));
    }
    close(sock[1]);
    close(qtest[1]);
    return p;
}

Process *process_start(const char *args)
{
    return process_start_as(args, 0, NULL, 0);
}

char *process_stderr(Process *p)
{
    struct stat st;
    char *text;
    ssize_t n;

    fstat(fileno(p->err), &st);
    text = g_malloc0(st.st_size + 1);
    n = pread(fileno(p->err), text, st.st_size, 0);
    text[MAX(n, 0)] = 0;
    return text;
}

bool process_check_alive(Process *p)
{
    int status;

    if (!p->ended && waitpid(p->pid, &status, WNOHANG) == p->pid) {
        g_autofree char *said = process_stderr(p);

        p->ended = true;
        g_test_message("emulator %d ended, %s %d: %s", p->pid,
                       WIFSIGNALED(status) ? "signal" : "exit status",
                       WIFSIGNALED(status) ? WTERMSIG(status)
                                           : WEXITSTATUS(status), said);
        g_test_fail();
    }
    return !p->ended;
}

void process_kill(Process *p)
{
    if (!p->ended) {
        kill(p->pid, SIGKILL);
        waitpid(p->pid, NULL, 0);
        p->ended = true;
    }
}

bool process_wait_end(Process *p, int seconds)
{
    int64_t deadline = now_ns() + seconds * NS;
    int status;

    while (!p->ended && now_ns() < deadline) {
        p->ended = waitpid(p->pid, &status, WNOHANG) == p->pid;
        if (p->ended && (!WIFEXITED(status) || WEXITSTATUS(status))) {
            g_test_message("emulator %d ended with 0x%x", p->pid, status);
            g_test_fail();
        }
        g_usleep(1000);
    }
    return p->ended;
}

void process_end(Process *p)
{
    if (process_check_alive(p)) {
        process_kill(p);
    }
    close(p->qmp);
    close(p->qtest);
    fclose(p->err);
    g_string_free(p->input, true);
    qobject_unref(p->events);
    g_free(p);
}

pid_t process_pid(Process *p)
{
    return p->pid;
}

int64_t process_start_ns(Process *p)
{
    return p->ready_ns ? p->ready_ns - p->began_ns : 0;
}

/* QMP */

static void fail_silent(Process *p, const char *why)
{
    if (process_check_alive(p)) {
        g_autofree char *said = process_stderr(p);

        g_test_message("emulator %d: %s: %s", p->pid, why, said);
        g_test_fail();
    }
}

/* Wait for more input; false, with the test failed, if there is none. */
static bool receive_some(Process *p, int64_t deadline_ns)
{
    char buf[4096];
    struct pollfd pfd = { .fd = p->qmp, .events = POLLIN };
    int64_t left_ms = (deadline_ns - now_ns()) / MS;
    ssize_t n;

    if (left_ms < 0 || poll(&pfd, 1, left_ms) == 0) {
        fail_silent(p, "no answer in time");
        return false;
    }
    n = read(p->qmp, buf, sizeof(buf));
    if (n <= 0) {
        /* The socket closes a little before the process can be waited for. */
        sleep_ns(100 * MS);
        fail_silent(p, "it closed QMP");
        return false;
    }
    g_string_append_len(p->input, buf, n);
    return true;
}

static QDict *take_message(Process *p)
{
    char *end = strchr(p->input->str, '\n');
    QObject *obj;

    if (!end) {
        return NULL;
    }
    *end = 0;
    obj = qobject_from_json(p->input->str, &error_abort);
    g_string_erase(p->input, 0, end + 1 - p->input->str);
    return qobject_to(QDict, obj);
}

/* The next message that is no event, or NULL with the test failed */
static QDict *receive(Process *p, int64_t deadline_ns)
{
    while (true) {
        QDict *message = take_message(p);

        if (message && qdict_haskey(message, "event")) {
            qlist_append(p->events, message);
        } else if (message) {
            return message;
        } else if (!receive_some(p, deadline_ns)) {
            return NULL;
        }
    }
}

static bool send_text(Process *p, const char *text, int fd)
{
    char control[CMSG_SPACE(sizeof(int))] = { 0 };
    struct iovec iov = { (char *)text, strlen(text) };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

    if (fd >= 0) {
        struct cmsghdr *cmsg;

        msg.msg_control = control;
        msg.msg_controllen = sizeof(control);
        cmsg = CMSG_FIRSTHDR(&msg);
        cmsg->cmsg_len = CMSG_LEN(sizeof(int));
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
    }
    if (sendmsg(p->qmp, &msg, MSG_NOSIGNAL) != strlen(text)) {
        fail_silent(p, "it takes no QMP command");
        return false;
    }
    return true;
}

bool process_ready(Process *p)
{
    QDict *message;

    if (p->ready_ns || p->ended) {
        return !p->ended;
    }
    /* The greeting, then the answer to qmp_capabilities */
    message = receive(p, p->began_ns + START_S * NS);
    if (!message) {
        return false;
    }
    qobject_unref(message);
    if (!send_text(p, p->wants_oob ? "{'execute':'qmp_capabilities',"
                      "'arguments':{'enable':['oob']}}\n" :
                      "{'execute':'qmp_capabilities'}\n", -1)) {
        return false;
    }
    message = receive(p, now_ns() + ANSWER_S * NS);
    qobject_unref(message);
    p->ready_ns = now_ns();
    return message != NULL;
}

QObject *process_command(Process *p, char **error, const char *text, int fd)
{
    QDict *message;
    QObject *result;

    if (!process_ready(p) || !send_text(p, text, fd)) {
        return NULL;
    }
    message = receive(p, now_ns() + ANSWER_S * NS);
    if (!message) {
        return NULL;
    }
    result = qobject_ref(qdict_get(message, "return"));
    if (!result) {
        const char *desc = qdict_get_str(qdict_get_qdict(message, "error"),
                                         "desc");

        if (error) {
            *error = g_strdup(desc);
        } else {
            g_test_message("QMP: %s: %s", text, desc);
            g_test_fail();
        }
    }
    qobject_unref(message);
    return result;
}

QObject *process_qmp(Process *p, char **error, const char *fmt, ...)
{
    g_autoptr(GString) text = NULL;
    QObject *request;
    va_list ap;

    va_start(ap, fmt);
    request = qobject_from_vjsonf_nofail(fmt, ap);
    va_end(ap);
    text = qobject_to_json(request);
    g_string_append_c(text, '\n');
    qobject_unref(request);
    return process_command(p, error, text->str, -1);
}

void process_enable_oob(Process *p)
{
    p->wants_oob = true;
}

bool process_send(Process *p, const char *fmt, ...)
{
    g_autofree char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    return process_ready(p) && send_text(p, text, -1);
}

QDict *process_receive(Process *p, int seconds)
{
    return receive(p, now_ns() + seconds * NS);
}

bool process_give_fd(Process *p, const char *name, int fd)
{
    g_autofree char *text = g_strdup_printf(
        "{'execute': 'getfd', 'arguments': { 'fdname': '%s' } }\n", name);
    QObject *result = process_command(p, NULL, text, fd);

    qobject_unref(result);
    return result != NULL;
}

int process_events(Process *p, const char *name, QDict **last)
{
    const QListEntry *e;
    int n = 0;

    if (last) {
        *last = NULL;
    }
    QLIST_FOREACH_ENTRY(p->events, e) {
        QDict *event = qobject_to(QDict, qlist_entry_obj(e));

        if (g_str_equal(qdict_get_str(event, "event"), name)) {
            n++;
            if (last) {
                *last = qdict_get_qdict(event, "data");
            }
        }
    }
    return n;
}

void process_forget_events(Process *p)
{
    qobject_unref(p->events);
    p->events = qlist_new();
}

/* qtest */

/* A line, to be freed, or NULL with the test failed */
static char *receive_line(Process *p)
{
    int64_t deadline = now_ns() + ANSWER_S * NS;
    g_autoptr(GString) line = g_string_new("");
    struct pollfd pfd = { .fd = p->qtest, .events = POLLIN };
    char c;

    do {
        int64_t left_ms = (deadline - now_ns()) / MS;

        if (left_ms < 0 || poll(&pfd, 1, left_ms) <= 0 ||
            read(p->qtest, &c, 1) != 1) {
            fail_silent(p, "no answer to qtest");
            return NULL;
        }
        g_string_append_c(line, c);
    } while (c != '\n');
    g_string_truncate(line, line->len - 1);
    return g_string_free(g_steal_pointer(&line), false);
}

char *process_qtest(Process *p, const char *fmt, ...)
{
    g_autofree char *text = NULL;
    g_autofree char *line = NULL;
    va_list ap;

    va_start(ap, fmt);
    text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    line = g_strconcat(text, "\n", NULL);
    if (send(p->qtest, line, strlen(line), MSG_NOSIGNAL) != strlen(line)) {
        fail_silent(p, "it takes no qtest command");
        return g_strdup("");
    }
    return receive_line(p) ?: g_strdup("");
}

int64_t process_qtest_value(Process *p, const char *fmt, ...)
{
    g_autofree char *text = NULL;
    g_autofree char *reply = NULL;
    va_list ap;

    va_start(ap, fmt);
    text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    reply = process_qtest(p, "%s", text);
    if (!g_str_has_prefix(reply, "OK")) {
        g_test_message("qtest: %s: %s", text, reply);
        g_test_fail();
        return -1;
    }
    return g_ascii_strtoull(reply + 2, NULL, 0);
}
