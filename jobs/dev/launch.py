"""Become a child of the stack: dies with its parent, never runs PostgreSQL as root, execs.

Run as a script by a bare interpreter (`python -I -S launch.py ...`), so it imports only the
standard library. It stands between the stack and the program because what it does must happen in
the new process: a function run between fork and exec would be unsafe beside the stack's threads.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

SAME_USER = "same"
USER_NAMESPACE = "namespace"
_PR_SET_PDEATHSIG = 1
_CLONE_NEWUSER = 0x10000000
_MAPPED_ID = 1000
_NOT_FOUND = 127


def command(
    argv: tuple[str, ...], *, death_signal: int, identity: str = SAME_USER
) -> tuple[str, ...]:
    """Return the command line that runs `argv` under this launcher.

    Args:
        argv: The program and its arguments.
        death_signal: Sent by the kernel when the calling thread ends (Linux; ignored elsewhere).
        identity: `SAME_USER`; `USER_NAMESPACE`, where root goes by an ordinary user id; or
            ``uid:gid`` to become that user.
    """
    here = str(Path(__file__).resolve())
    head = (sys.executable, "-I", "-S", here, str(os.getpid()), str(int(death_signal)), identity)
    return (*head, *argv)


def _take_identity(libc: ctypes.CDLL, identity: str) -> None:
    if identity == USER_NAMESPACE:
        uid, gid = os.getuid(), os.getgid()
        if libc.unshare(_CLONE_NEWUSER) != 0:
            raise OSError(ctypes.get_errno(), "no user namespace for root")
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"{_MAPPED_ID} {uid} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"{_MAPPED_ID} {gid} 1", encoding="ascii")
    elif identity != SAME_USER:
        user, group = (int(number) for number in identity.split(":"))
        os.setgroups([])
        os.setgid(group)
        os.setuid(user)


def _main(parent: int, death_signal: int, identity: str, argv: list[str]) -> None:
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        _take_identity(libc, identity)
        # After the change of user, which clears it. The parent may have died before the call:
        # then nobody will send the signal.
        libc.prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
        if os.getppid() != parent:
            sys.exit(1)
    try:
        os.execvp(argv[0], argv)  # noqa: S606 - running the given command is the purpose
    except OSError as error:
        sys.stderr.write(f"{argv[0]}: {error.strerror}\n")
        sys.exit(_NOT_FOUND)


if __name__ == "__main__":
    _main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:])
