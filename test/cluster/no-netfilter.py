"""Runs a command for which the kernel has no netfilter: no-netfilter.py COMMAND...

Whoever asks for such a socket is told what a kernel without the option says. A filter of system
calls does that, for the command and all that it starts.
"""

import ctypes
import errno
import os
import struct
import sys

PR_SET_NO_NEW_PRIVS = 38
PR_SET_SECCOMP = 22
SECCOMP_MODE_FILTER = 2
RET_ALLOW = 0x7FFF0000
RET_ERRNO = 0x00050000
AF_NETLINK = 16
NETLINK_NETFILTER = 12
# The numbers of socket(2): AUDIT_ARCH_X86_64, AUDIT_ARCH_AARCH64.
SOCKET = {"x86_64": 41, "aarch64": 198}[os.uname().machine]

LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
NUMBER, FIRST, THIRD = 0, 16, 32
program = [
    (LOAD, 0, 0, NUMBER),
    (EQUAL, 0, 5, SOCKET),
    (LOAD, 0, 0, FIRST),
    (EQUAL, 0, 3, AF_NETLINK),
    (LOAD, 0, 0, THIRD),
    (EQUAL, 0, 1, NETLINK_NETFILTER),
    (RETURN, 0, 0, RET_ERRNO | errno.EPROTONOSUPPORT),
    (RETURN, 0, 0, RET_ALLOW),
]


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filters", ctypes.c_char_p)]


code = b"".join(struct.pack("HBBI", *instruction) for instruction in program)
libc = ctypes.CDLL(None, use_errno=True)
for option, argument, pointer in [
    (PR_SET_NO_NEW_PRIVS, 1, None),
    (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(Program(len(program), code))),
]:
    if libc.prctl(option, ctypes.c_ulong(argument), pointer, ctypes.c_ulong(0), ctypes.c_ulong(0)):
        sys.exit(os.strerror(ctypes.get_errno()))
os.execvp(sys.argv[1], sys.argv[1:])
