from __future__ import annotations

import os
import stat

import pytest
from django.core.management.base import CommandError

from jobs.dev import folder


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_folder_under_the_base_is_closed_to_others(tmp_path):
    base = tmp_path / "var"
    base.mkdir(mode=0o755)

    made = folder.make(base / "test", base=base)

    assert [mode(path) for path in (base, made.path, made.sockets)] == [0o700] * 3


def test_somebody_elses_folder_keeps_its_mode(tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)

    made = folder.make(shared, base=tmp_path / "var")

    assert mode(shared) == 0o755
    assert mode(made.sockets) == 0o700


def test_a_planted_link_is_refused_as_sockets_folder(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(CommandError, match="belongs to somebody else"):
        folder.make(tmp_path, base=tmp_path / "var")


def test_a_held_folder_is_refused_and_its_holder_named(tmp_path):
    place = folder.make(tmp_path / "stack", base=tmp_path)

    with (
        folder.lock(place),
        pytest.raises(CommandError, match=f"process {os.getpid()}") as refused,
    ):
        folder.lock(place)

    assert refused.value.returncode == 2


def test_the_secret_key_is_kept_between_runs(tmp_path):
    place = folder.make(tmp_path / "stack", base=tmp_path)

    key = folder.secret_key(place)

    assert folder.secret_key(place) == key
    assert len(key) >= 50
    assert mode(place.path / "secret_key") == 0o600
