from __future__ import annotations

import os

import pytest

from jobs.builtin.csv_file import open_file
from jobs.builtin.errors import SourceRefused


@pytest.fixture
def outside(tmp_path):
    path = tmp_path / "secret.csv"
    path.write_text("secret")
    return path


@pytest.fixture
def root(tmp_path):
    path = tmp_path / "imports"
    (path / "deep").mkdir(parents=True)
    (path / "deep" / "a.csv").write_text("inside")
    return path


def read(source, *folders) -> bytes:
    with open_file(str(source), tuple(map(str, folders))) as file:
        return file.read()


def test_a_relative_path_is_looked_up_in_each_folder(tmp_path, root):
    first = tmp_path / "first"
    first.mkdir()

    assert read("deep/a.csv", first, root) == b"inside"


def test_an_absolute_path_inside_a_folder_is_opened(root):
    assert read(root / "deep" / "a.csv", root) == b"inside"


def test_a_link_that_stays_inside_is_followed(root):
    (root / "link.csv").symlink_to(root / "deep" / "a.csv")

    assert read("link.csv", root) == b"inside"


def test_a_folder_that_is_itself_a_link_is_the_folder_it_leads_to(tmp_path, root):
    (tmp_path / "current").symlink_to(root)

    assert read("deep/a.csv", tmp_path / "current") == b"inside"


@pytest.mark.usefixtures("outside")
@pytest.mark.parametrize(
    "source", ["../secret.csv", "deep/../../secret.csv", "", ".", "deep\0/a.csv", "x" * 5_000]
)
def test_a_path_out_of_the_folder_is_refused(root, source):
    with pytest.raises(SourceRefused):
        read(source, root)


def test_an_absolute_path_outside_is_refused(root, outside):
    with pytest.raises(SourceRefused, match="IMPORT_FOLDERS"):
        read(outside, root)


def test_a_neighbour_whose_name_begins_alike_is_outside(tmp_path, root):
    neighbour = tmp_path / "imports-private"
    neighbour.mkdir()
    (neighbour / "a.csv").write_text("secret")

    with pytest.raises(SourceRefused):
        read("../imports-private/a.csv", root)


@pytest.mark.parametrize("folder_link", [True, False])
def test_a_link_out_of_the_folder_is_refused(tmp_path, root, outside, folder_link):
    (root / "link").symlink_to(tmp_path if folder_link else outside)

    with pytest.raises(SourceRefused):
        read("link/secret.csv" if folder_link else "link", root)


def test_no_folder_means_no_file(root):
    with pytest.raises(SourceRefused, match="none"):
        read(root / "deep" / "a.csv")


@pytest.mark.usefixtures("outside")
def test_a_message_does_not_tell_whether_a_file_exists_outside(root):
    with pytest.raises(SourceRefused) as existing:
        read("../secret.csv", root)
    with pytest.raises(SourceRefused) as missing:
        read("../absent.csv", root)

    assert str(existing.value).replace("secret", "absent") == str(missing.value)


def test_a_named_pipe_is_refused_and_not_waited_for(root):
    os.mkfifo(root / "pipe.csv")

    with pytest.raises(SourceRefused, match="not a regular file"):
        read("pipe.csv", root)


def test_a_directory_is_refused(root):
    with pytest.raises(SourceRefused, match="not a regular file"):
        read("deep", root)
