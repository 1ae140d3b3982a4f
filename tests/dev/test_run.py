from __future__ import annotations

import contextlib
import signal
import socket

import pytest

from tests.dev.stacks import devstack, ended

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


@pytest.mark.parametrize("text", ["eight", "0", "65536"])
def test_a_port_that_is_none_is_named(tmp_path, text):
    with devstack(tmp_path, PORT=text) as stack:
        assert stack.wait() == 2
        assert f"'{text}' is no port" in stack.said
