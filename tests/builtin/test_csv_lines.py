from __future__ import annotations

import csv
import io
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.builtin import csv_lines
from jobs.builtin.csv_lines import Records
from jobs.builtin.errors import FileRefused


def records(content: bytes, *, piece: int = 7, encoding: str = "utf-8"):
    pieces = (content[at : at + piece] for at in range(0, len(content), piece))
    read = Records(pieces, encoding=encoding, delimiter=",")
    return [(read.line, fields, fault) for fields, fault in read]


def test_each_record_is_read_with_the_line_it_begins_in():
    content = b'a,b\r\n"x\ny",2\r\n\r\nz,3'

    assert records(content) == [
        (1, ["a", "b"], ""),
        (2, ["x\ny", "2"], ""),
        (5, ["z", "3"], ""),
    ]


def test_a_byte_order_mark_is_dropped():
    assert records("\ufeffa,b\n".encode(), piece=2) == [(1, ["a", "b"], "")]


def test_another_encoding_is_read():
    assert records("caf\xe9\n".encode("latin-1"), encoding="latin-1") == [(1, ["caf\xe9"], "")]


def test_a_line_not_in_its_encoding_is_a_fault_of_its_record_alone():
    [first, second, third] = records(b"a,1\nb\xff,2\nc,3\n", piece=100)

    assert first == (1, ["a", "1"], "")
    assert second[0] == 2
    assert "not utf-8" in second[2]
    assert third == (3, ["c", "3"], "")


def test_a_misquoted_record_ends_with_its_line():
    [first, second] = records(b'"a"b,1\nc,2\n')

    assert first[0] == 1
    assert first[2]
    assert second == (2, ["c", "2"], "")


def test_a_quote_never_closed_is_a_fault_that_names_the_lines_it_took():
    [first, second] = records(b'a,1\n"b,2\nc,3\n')

    assert first == (1, ["a", "1"], "")
    assert second[0] == 2
    assert "line 3" in second[2]


def test_a_field_too_long_is_a_fault():
    [first, second] = records(b"x" * 200_000 + b"\nb,2\n", piece=65_536)

    assert "field limit" in first[2]
    assert second == (2, ["b", "2"], "")


@pytest.mark.parametrize(("first", "then"), [(b"x", b"x"), (b'"a\n', b'","a\n')])
def test_a_record_without_an_end_does_not_fill_the_memory(first, then):
    pieces = itertools.chain([b"code,label\n", first], itertools.repeat(then * 10_000, 1_000))
    read = Records(pieces, encoding="utf-8", delimiter=",")

    with pytest.raises(FileRefused, match="begins in line 2"):
        list(read)

    # It was noticed early: most of the pieces were never asked for.
    unread = sum(map(len, pieces))
    assert 1_000 * len(then) * 10_000 - unread < 2 * csv_lines.MAX_RECORD_BYTES


def test_many_empty_lines_are_no_endless_record():
    content = b"a\n" + b"\n" * (3 * csv_lines.MAX_RECORD_BYTES) + b"b\n"

    assert [fields for _, fields, _ in records(content, piece=65_536)] == [["a"], ["b"]]


FIELD = st.text(alphabet='ab",\n\r \x0b\x1c\x85\u2028\xe9', max_size=6)


@given(st.lists(st.lists(FIELD, min_size=2, max_size=3), max_size=8), st.integers(1, 9))
def test_what_the_csv_module_writes_is_read_back(written, piece):
    content = io.StringIO(newline="")
    csv.writer(content).writerows(written)

    read = records(content.getvalue().encode(), piece=piece)

    assert [(fields, fault) for _, fields, fault in read] == [(fields, "") for fields in written]


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "latin-1", "cp1252", "shift_jis", "gbk"]
)
def test_encodings_that_extend_ascii_are_taken(encoding):
    assert csv_lines.is_line_wise(encoding)


@pytest.mark.parametrize(
    "encoding", ["utf-16", "utf-32", "utf-7", "unicode_escape", "base64", "nonsense", ""]
)
def test_other_encodings_are_not(encoding):
    assert not csv_lines.is_line_wise(encoding)
