from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import sys

import pytest

from tests.dev.stacks import BASE_DIR, LIMIT_SECONDS, devstack, ended, environment

pytestmark = pytest.mark.process


@pytest.fixture
def port():
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def taken_port():
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield server.getsockname()[1]


def test_the_first_job_is_shown_to_its_end_and_sigterm_leaves_no_process(tmp_path, port):
    with devstack(tmp_path, PORT=str(port)) as stack:
        stack.read_until(f"Jobsite runs at http://localhost:{port}")
        stack.read_until("first job| completed: ")
        tree = stack.tree()

        stack.process.send_signal(signal.SIGTERM)

        assert stack.wait() == 0
        assert ended(tree)


def test_a_taken_port_is_one_line_and_nothing_was_started(tmp_path, taken_port):
    with devstack(tmp_path, PORT=str(taken_port)) as stack:
        assert stack.wait() == 2
        assert stack.said.count("\n") == 1
        assert f"Port {taken_port} can't be had" in stack.said
        assert not (tmp_path / "postgres").exists()


def test_what_a_killed_stack_noted_hides_nothing_that_its_user_says_again(tmp_path, taken_port):
    # The note lies beside the settings: a folder of their own, with the code of this one.
    shutil.copytree(BASE_DIR / "jobsite", tmp_path / "jobsite")
    shutil.copy(BASE_DIR / "manage.py", tmp_path)
    (tmp_path / "jobs").symlink_to(BASE_DIR / "jobs")
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "devstack.env").write_text(f"PORT={taken_port}\n")

    done = subprocess.run(
        [sys.executable, "manage.py", "devstack"],
        cwd=tmp_path,
        env=environment(PORT=str(taken_port), DJANGO_SETTINGS_MODULE="jobsite.settings"),
        timeout=LIMIT_SECONDS,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert f"Port {taken_port} can't be had" in done.stderr


@pytest.mark.parametrize("text", ["eight", "0", "65536"])
def test_a_port_that_is_none_is_named(tmp_path, text):
    with devstack(tmp_path, PORT=text) as stack:
        assert stack.wait() == 2
        assert f"'{text}' is no port" in stack.said
