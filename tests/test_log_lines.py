"""The log on stderr: what it says is what logging's own says, in fewer writes."""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Iterator

import pytest

from jobs.log_lines import PIPE_BYTES, LineFormatter, Lines

FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


class Writes(io.StringIO):
    """A stream that remembers each write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []
        self.flushes = 0

    def write(self, text: str) -> int:
        self.writes.append(text)
        return super().write(text)

    def flush(self) -> None:
        self.flushes += 1


@pytest.fixture
def stream() -> Writes:
    return Writes()


@pytest.fixture
def log(stream: Writes) -> Iterator[tuple[logging.Logger, Lines]]:
    lines = Lines(stream)
    handler = logging.StreamHandler(lines)
    handler.setFormatter(LineFormatter("%(message)s"))
    logger = logging.getLogger("tests.log_lines")
    logger.propagate = False
    logger.addHandler(handler)
    yield logger, lines
    logger.removeHandler(handler)


@pytest.mark.parametrize("created", [0.0, 1_700_000_000.0005, 1_700_000_000.9999, 1_700_000_001.5])
def test_a_line_is_what_loggings_own_formatter_writes(created: float) -> None:
    record = logging.makeLogRecord({"name": "jobs", "levelname": "INFO", "msg": "a line"})
    ours, own = LineFormatter(FORMAT), logging.Formatter(FORMAT)
    for second in (created, created + 0.25, created + 3_600):
        record.created, record.msecs = second, second % 1 * 1_000

        assert ours.format(record) == own.format(record)


def test_a_date_format_of_the_sites_own_holds() -> None:
    record = logging.makeLogRecord({"msg": "a line"})
    ours, own = (kind(FORMAT, datefmt="%H") for kind in (LineFormatter, logging.Formatter))

    assert ours.format(record) == own.format(record)


def test_a_line_is_written_at_once(log, stream) -> None:
    logger, _ = log

    logger.warning("one")
    logger.warning("two")

    assert stream.writes == ["one\n", "two\n"]
    assert stream.flushes == 2


def test_lines_said_together_are_one_write(log, stream) -> None:
    logger, lines = log

    with lines.together():
        logger.warning("one")
        logger.warning("two")
        assert stream.writes == []
    logger.warning("three")

    assert stream.writes == ["one\ntwo\n", "three\n"]
    assert stream.flushes == 2


def test_no_write_is_longer_than_a_pipe_takes_whole(log, stream) -> None:
    logger, lines = log

    with lines.together():
        for number in range(200):
            logger.warning("line %d of an ü %s", number, "ä" * 20)
        logger.warning("x" * 10_000)

    assert max(len(text.encode()) for text in stream.writes[:-1]) <= PIPE_BYTES
    assert all(text.endswith("\n") for text in stream.writes)
    assert len(stream.writes) < 10
    assert stream.getvalue().count("\n") == 201


def test_another_threads_line_is_not_kept(log, stream) -> None:
    logger, lines = log

    with lines.together():
        logger.warning("ours")
        other = threading.Thread(target=logger.warning, args=("another's",))
        other.start()
        other.join()

    assert stream.writes == ["another's\n", "ours\n"]


def test_what_was_said_before_an_error_is_written(log, stream) -> None:
    logger, lines = log

    def fail() -> None:
        with lines.together():
            logger.warning("one")
            raise KeyError

    with pytest.raises(KeyError):
        fail()

    assert stream.writes == ["one\n"]


def test_a_log_that_cannot_be_written_ends_nothing(log, stream) -> None:
    logger, lines = log

    with lines.together():
        logger.warning("one")
        stream.close()

    assert stream.closed
