"""The stack's folder: who holds it, where its sockets lie, what it tells other processes."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import os
import secrets
import stat
import tempfile
from pathlib import Path
from typing import IO

from django.core.management.base import CommandError

MAX_SOCKET_PATH_BYTES = 100
"""The kernel's limit is 107; the rest is room for a server that appends to the name."""

_LONGEST_SOCKET_NAME = ".s.PGSQL.5432.lock"
_PRIVATE = 0o700


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """Where one stack keeps its data (`path`) and its sockets (`sockets`)."""

    path: Path
    sockets: Path

    @property
    def env_file(self) -> Path:
        """What other processes need to reach the running stack."""
        return self.path / "devstack.env"

    @property
    def record(self) -> Path:
        """Who runs, for a start after this stack was killed."""
        return self.path / "children.json"


def make(path: Path, *, base: Path) -> Folder:
    """Make the folder and its sockets' folder, both open to their owner only.

    A folder that was there before keeps its mode unless it lies under `base`, so that a mistyped
    path never closes somebody's folder.
    """
    path = path.resolve()
    if path.is_relative_to(base) and path != base:
        make_private(base)
    existed = path.is_dir()
    path.mkdir(parents=True, exist_ok=True, mode=_PRIVATE)
    if not existed or path.is_relative_to(base):
        path.chmod(_PRIVATE)
    return Folder(path=path, sockets=_sockets_folder(path))


def _sockets_folder(path: Path) -> Path:
    near = path / "run"
    if len(os.fsencode(near / _LONGEST_SOCKET_NAME)) <= MAX_SOCKET_PATH_BYTES:
        return make_private(near)
    return make_private(short_folder(path, "run"))


def short_folder(path: Path, purpose: str) -> Path:
    """Return a short path outside `path` that belongs to it alone."""
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
    candidates = (os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir(), "/tmp")  # noqa: S108
    name = f"jobsite-{os.getuid()}-{digest}-{purpose}"
    for parent in filter(None, candidates):
        found = Path(parent) / name
        fits = len(os.fsencode(found / _LONGEST_SOCKET_NAME)) <= MAX_SOCKET_PATH_BYTES
        if fits and os.access(parent, os.W_OK | os.X_OK):
            return found
    raise CommandError(f"No folder short enough for sockets: set TMPDIR to one ({path}).")


def make_private(path: Path) -> Path:
    """Make `path` for its owner only; refuse one that somebody else prepared."""
    path.mkdir(parents=True, exist_ok=True, mode=_PRIVATE)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise CommandError(f"{path} belongs to somebody else: remove it, or choose --folder.")
    path.chmod(_PRIVATE)
    return path


def lock(folder: Folder) -> IO[str]:
    """Hold the folder until the returned file is closed or this process ends.

    Raises:
        CommandError: Another stack holds it (exit code 2).
    """
    file = (folder.path / "stack.lock").open("a+", encoding="ascii")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise CommandError(
            f"A stack already runs in {folder.path} (process {holder}): stop it, "
            "or choose another folder with --folder or DEVSTACK_FOLDER.",
            returncode=2,
        ) from error
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file


def leave(folder: Folder) -> None:
    """Remove the sockets' folder if it lies elsewhere; the next start makes it again."""
    if not folder.sockets.is_relative_to(folder.path):
        with contextlib.suppress(OSError):
            folder.sockets.rmdir()


def secret_key(folder: Folder) -> str:
    """Return the folder's own SECRET_KEY, made once and kept."""
    path = folder.path / "secret_key"
    if not path.is_file():
        write_private(path, secrets.token_urlsafe(64))
    return path.read_text(encoding="ascii").strip()


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)


def write_env(folder: Folder, variables: dict[str, str]) -> None:
    """Tell other processes how to reach this stack."""
    lines = (f"{name}={value}\n" for name, value in variables.items())
    write_private(folder.env_file, "".join(lines))
