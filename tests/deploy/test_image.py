from __future__ import annotations

import fnmatch
import json
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import wait
from tests.deploy import production
from tests.deploy.production import BASE_DIR

DOCKERFILE = BASE_DIR / "Dockerfile"
# One instruction a line: continuation lines are joined, comments dropped.
LINES = [
    line
    for line in re.sub(r"\\\n\s*", "", DOCKERFILE.read_text()).splitlines()
    if line and not line.startswith("#")
]
FINAL = LINES[max(number for number, line in enumerate(LINES) if line.startswith("FROM")) :]


def only(instruction: str) -> str:
    """Return what the last such instruction of the final stage says."""
    return [line for line in FINAL if line.startswith(instruction)][-1].removeprefix(instruction)


def test_hadolint_finds_nothing():
    linter = Path(sys.executable).with_name("hadolint")

    done = subprocess.run([linter, DOCKERFILE], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, "")


def test_it_runs_as_nobody_in_particular():
    assert int(only("USER ")) >= 10_000


def test_it_holds_only_what_it_runs_on():
    text = DOCKERFILE.read_text()

    assert "requirements-dev" not in text
    assert "requirements-demo" not in text
    assert FINAL[0].startswith("FROM python:3.13-slim")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder /app as the image has it: what is copied, then the commands of its RUN."""
    folder = tmp_path_factory.mktemp("app")
    for line in FINAL:
        if line.startswith("COPY ") and "--from" not in line:
            source = BASE_DIR / line.split()[1]
            if source.is_dir():
                shutil.copytree(source, folder / source.name, ignore=_ignored)
            else:
                shutil.copy(source, folder)
    (collect,) = re.findall(r"RUN (.*?collectstatic --noinput)", "\n".join(FINAL))
    done = subprocess.run(
        ["/bin/sh", "-c", collect.replace("python ", f"{sys.executable} ")],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "DJANGO_SETTINGS_MODULE": "jobsite.settings"},
        capture_output=True,
        text=True,
        check=False,
        timeout=production.LIMIT_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    yield folder
    shutil.rmtree(folder)


def _ignored(folder: str, names: list[str]) -> set[str]:
    patterns = [
        line.removeprefix("**/")
        for line in (BASE_DIR / ".dockerignore").read_text().splitlines()
        if line and not line.startswith(("#", "!")) and line != "*"
    ]
    place = Path(folder).relative_to(BASE_DIR)
    return {
        name
        for name in names
        for pattern in patterns
        if fnmatch.fnmatch(name, pattern) or str(place / name) == pattern
    }


@pytest.mark.process
def test_no_development_service_is_in_it(image: Path):
    assert (image / "jobs" / "apps.py").is_file()
    assert not (image / "jobs" / "dev").exists()
    assert not (image / "jobs" / "management" / "commands" / "devstack.py").exists()
    assert not (image / "tests").exists()


@pytest.mark.process
def test_its_site_is_fit_for_a_deployment(image: Path):
    done = production.run("manage.py", "check", "--deploy", "--fail-level", "WARNING", cwd=image)

    assert done.returncode == 0, done.stderr


@pytest.mark.process
@pytest.mark.parametrize("command", ["rqworker", "rqscheduler", "jobs"])
def test_its_commands_load(image: Path, command: str):
    done = production.run("manage.py", command, "--help", cwd=image)

    assert done.returncode == 0, done.stderr


@pytest.mark.process
def test_its_health_check_asks_its_own_web_server(image: Path):
    port = _free_port()
    serve = [part.replace("8000", str(port)) for part in json.loads(only("CMD "))]
    check = json.loads(only("HEALTHCHECK ").partition("CMD ")[2])
    check = [part.replace("8000", str(port)) for part in check]
    environment = production.environment()
    log_path = image / "web.log"
    with log_path.open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", *serve], cwd=image, env=environment, stdout=log, stderr=log
        )
    try:

        def is_healthy() -> bool:
            assert server.poll() is None, log_path.read_text()
            done = subprocess.run(
                [sys.executable, *check[1:]], env=environment, capture_output=True, check=False
            )
            return done.returncode == 0

        wait.until("a healthy web server", is_healthy)
    finally:
        server.kill()
        server.wait(10)
    unhealthy = subprocess.run(
        [sys.executable, *check[1:]], env=environment, capture_output=True, check=False
    )
    assert unhealthy.returncode != 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
