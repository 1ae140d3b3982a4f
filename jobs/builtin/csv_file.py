"""Open a file inside the allowed folders, and none outside them."""

from __future__ import annotations

import contextlib
import io
import os
import stat
from pathlib import Path

from jobs.builtin.errors import SourceRefused

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
# O_NONBLOCK: opening a named pipe must not wait for its writer.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK


def open_file(source: str, folders: tuple[str, ...]) -> io.FileIO:
    """Open `source`, which lies in one of `folders` once every link is followed.

    Args:
        source: A path; a relative one is looked up in each folder in turn.
        folders: The allowed folders; empty means that no file may be read.

    Raises:
        SourceRefused: There is no such file, or it lies elsewhere; the message doesn't tell which
            of the two, so that nobody can ask the host what files it has.
    """
    for folder in folders if "\0" not in source else ():
        root = Path(folder).resolve()
        path = (root / source).resolve()
        # Under the root after links and "..", and an absolute `source` replaces the root above.
        if path != root and path.is_relative_to(root):
            with contextlib.suppress(FileNotFoundError):
                return _open_beneath(root, path)
    where = ", ".join(folders) or "none"
    raise SourceRefused(
        f"No file {source!r} in the folders that may be imported from "
        f'(JOBS["IMPORT_FOLDERS"]: {where}).'
    )


def _open_beneath(root: Path, path: Path) -> io.FileIO:
    """Walk from `root` without following a link: one put there since the check is refused."""
    *folders, name = path.relative_to(root).parts
    opened = [os.open(root, _DIRECTORY)]
    try:
        for folder in folders:
            opened.append(os.open(folder, _DIRECTORY, dir_fd=opened[-1]))
        file = os.open(name, _FILE, dir_fd=opened[-1])
    except FileNotFoundError:
        raise
    except OSError as error:
        raise SourceRefused(f"{path} can't be opened: {error.strerror}.") from error
    finally:
        for descriptor in opened:
            os.close(descriptor)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise SourceRefused(f"{path} is not a regular file.")
    return io.FileIO(file, "rb")
