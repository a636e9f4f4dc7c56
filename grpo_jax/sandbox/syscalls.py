"""System calls by name: their numbers on x86_64 and aarch64, from Linux' headers."""

# Audit's name of the architecture, by that of `os.uname().machine`, and its column below.
ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}

# What Python needs to compute, read files and end. None: the architecture has no such call.
COMPUTE: dict[str, tuple[int | None, int | None]] = {
  "read": (0, 63), "write": (1, 64), "readv": (19, 65), "writev": (20, 66), "pread64": (17, 67),
  "pwrite64": (18, 68), "close": (3, 57), "close_range": (436, 436), "lseek": (8, 62),
  "fstat": (5, 80), "newfstatat": (262, 79), "stat": (4, None), "lstat": (6, None),
  "statx": (332, 291), "readlink": (89, None), "readlinkat": (267, 78), "access": (21, None),
  "faccessat": (269, 48), "faccessat2": (439, 439), "getdents64": (217, 61), "getcwd": (79, 17),
  "chdir": (80, 49), "fchdir": (81, 50), "dup": (32, 23), "dup2": (33, None), "dup3": (292, 24),
  "pipe": (22, None), "poll": (7, None), "ppoll": (271, 73),
  "select": (23, None), "pselect6": (270, 72), "umask": (95, 166), "brk": (12, 214),
  "mmap": (9, 222), "munmap": (11, 215), "mremap": (25, 216), "mprotect": (10, 226),
  "madvise": (28, 233), "futex": (202, 98), "set_robust_list": (273, 99), "rseq": (334, 293),
  "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139),
  "sigaltstack": (131, 132), "restart_syscall": (219, 128), "setitimer": (38, 103),
  "getitimer": (36, 102), "alarm": (37, None), "getpid": (39, 172), "getppid": (110, 173),
  "gettid": (186, 178), "getuid": (102, 174), "geteuid": (107, 175), "getgid": (104, 176),
  "getegid": (108, 177), "uname": (63, 160), "getrusage": (98, 165), "times": (100, 153),
  "getrlimit": (97, 163), "sched_yield": (24, 124), "sched_getaffinity": (204, 123),
  "getrandom": (318, 278), "clock_gettime": (228, 113), "clock_getres": (229, 114),
  "clock_nanosleep": (230, 115), "nanosleep": (35, 101), "gettimeofday": (96, 169),
  "time": (201, None), "exit": (60, 93), "exit_group": (231, 94),
}  # fmt: skip

# What changes files: only where they are the program's own, and bounded.
WRITE: dict[str, tuple[int | None, int | None]] = {
  "mkdir": (83, None), "mkdirat": (258, 34), "rmdir": (84, None), "unlink": (87, None),
  "unlinkat": (263, 35), "rename": (82, None), "renameat": (264, 38), "renameat2": (316, 276),
  "ftruncate": (77, 46), "truncate": (76, 45), "fsync": (74, 82), "fdatasync": (75, 83),
}  # fmt: skip

# What is allowed by its arguments.
OPEN, OPENAT = (2, None), (257, 56)
FCNTL, PRLIMIT, PIPE2 = (72, 25), (302, 261), (293, 59)
