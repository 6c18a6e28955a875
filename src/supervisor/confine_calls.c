/* The system calls of each role. */
#include <errno.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "supervisor/confine.h"

/* What a process with threads, a loop, sockets and files needs. */
static const char *const common[] = {
    /* bytes and descriptors */
    "read", "write", "readv", "writev", "pread64", "pwrite64", "preadv", "pwritev", "preadv2",
    "pwritev2", "close", "close_range", "lseek", "dup", "dup2", "dup3", "fcntl", "flock", "ioctl",
    "pipe", "pipe2", "sendfile", "splice", "copy_file_range", "readahead", "fadvise64",
    /* files: which ones is Landlock's business */
    "open", "openat", "openat2", "stat", "lstat", "fstat", "newfstatat", "statx", "statfs",
    "fstatfs", "access", "faccessat", "faccessat2", "readlink", "readlinkat", "getdents",
    "getdents64", "getcwd", "ftruncate", "fallocate", "fsync", "fdatasync", "sync_file_range",
    "memfd_create", "umask",
    /* memory */
    "brk", "mmap", "munmap", "mremap", "mprotect", "madvise", "mincore", "msync", "mlock", "mlock2",
    "munlock", "membarrier",
    /* waiting */
    "poll", "ppoll", "select", "pselect6", "epoll_create", "epoll_create1", "epoll_ctl",
    "epoll_wait", "epoll_pwait", "epoll_pwait2", "eventfd", "eventfd2", "timerfd_create",
    "timerfd_settime", "timerfd_gettime", "futex", "futex_waitv", "nanosleep", "clock_nanosleep",
    "restart_syscall", "sched_yield",
    /* time */
    "clock_gettime", "clock_getres", "gettimeofday", "time", "times", "alarm", "setitimer",
    "getitimer", "timer_create", "timer_settime", "timer_gettime", "timer_delete",
    /* threads, and a child that looks at a file that may be damaged (kv): as confined as we are */
    "clone", "fork", "vfork", "wait4", "waitid",
    /* itself */
    "exit", "exit_group", "getpid", "getppid", "gettid", "getuid", "geteuid", "getgid", "getegid",
    "getgroups", "getresuid", "getresgid", "getpgrp", "getpgid", "getsid", "set_tid_address",
    "set_robust_list", "get_robust_list", "rseq", "arch_prctl", "prctl", "prlimit64", "getrlimit",
    "getrusage", "sched_getaffinity", "sched_getparam", "sched_getscheduler", "getpriority",
    "getcpu", "uname", "sysinfo", "getrandom",
    /* signals: to itself, Landlock refuses the others where it can */
    "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigpending", "rt_sigtimedwait",
    "rt_sigsuspend", "sigaltstack", "tgkill", "kill", "setrlimit",
    /* sockets; socket() itself is below */
    "connect", "bind", "sendto", "recvfrom", "sendmsg", "recvmsg", "sendmmsg", "recvmmsg",
    "shutdown", "getsockname", "getpeername", "setsockopt", "getsockopt", "socketpair", NULL};

/* Names in directories: who keeps files. (SQLite and LMDB among them.) */
static const char *const keeping[] = {
    "mkdir",  "mkdirat",  "rmdir", "unlink",   "unlinkat", "rename", "renameat",  "renameat2",
    "link",   "linkat",   "creat", "truncate", "chmod",    "fchmod", "fchmodat",  "utimensat",
    "fchown", "fchownat", "chdir", "fchdir",   "utime",    "utimes", "futimesat", NULL};

static const char *const listening[] = {"listen", "accept", "accept4", NULL};

/* What is not a mistake but an attack. */
static const char *const never[] = {"execve",
                                    "execveat",
                                    "ptrace",
                                    "process_vm_readv",
                                    "process_vm_writev",
                                    "mount",
                                    "umount2",
                                    "pivot_root",
                                    "chroot",
                                    "move_mount",
                                    "open_tree",
                                    "fsopen",
                                    "fsmount",
                                    "setns",
                                    "unshare",
                                    "init_module",
                                    "finit_module",
                                    "delete_module",
                                    "kexec_load",
                                    "kexec_file_load",
                                    "reboot",
                                    "bpf",
                                    "perf_event_open",
                                    "userfaultfd",
                                    "add_key",
                                    "request_key",
                                    "keyctl",
                                    "swapon",
                                    "swapoff",
                                    "open_by_handle_at",
                                    "iopl",
                                    "ioperm",
                                    NULL};

/* Libraries ask for these and go another way when they are not there. */
static const char *const absent[] = {"clone3", "io_uring_setup", "io_uring_enter",
                                     "io_uring_register", NULL};

static int add(scmp_filter_ctx f, uint32_t action, const char *const *names)
{
    int rc = 0;
    for (; *names && rc == 0; names++) {
        int number = seccomp_syscall_resolve_name(*names);
        if (number != __NR_SCMP_ERROR)
            rc = seccomp_rule_add(f, action, number, 0);
    }
    return rc;
}

static int add_sockets(scmp_filter_ctx f)
{
    /* AF_NETLINK: getaddrinfo looks which addresses the host has. */
    static const int domains[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};
    int rc = 0;
    for (size_t i = 0; i < sizeof domains / sizeof *domains && rc == 0; i++)
        rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
                              SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)domains[i]));
    return rc;
}

static int build(scmp_filter_ctx f, enum role role)
{
    int rc = add(f, SCMP_ACT_ALLOW, common);
    if (rc == 0)
        rc = add(f, SCMP_ACT_KILL_PROCESS, never);
    if (rc == 0)
        rc = add(f, SCMP_ACT_ERRNO(ENOSYS), absent);
    if (rc == 0)
        rc = add_sockets(f);
    if (rc == 0)
        rc = add(f, SCMP_ACT_ALLOW, keeping);
    if (rc == 0 && role != ROLE_SCAN)
        rc = add(f, SCMP_ACT_ALLOW, listening);
    return rc;
}

int confine_calls(enum role role, bool *done, struct err *e)
{
    *done = false;
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (!f)
        return err_set(e, "seccomp: no filter can be made");
    int rc = build(f, role);
    if (rc == 0)
        rc = seccomp_load(f);
    seccomp_release(f);
    if (rc == -EINVAL || rc == -ENOSYS || rc == -ECANCELED) /* a kernel without it */
        return prctl(PR_GET_SECCOMP) >= 0 ? err_set(e, "seccomp: %s", strerror(-rc)) : 0;
    if (rc < 0)
        return err_set(e, "seccomp: %s", strerror(-rc));
    *done = true;
    return 0;
}
