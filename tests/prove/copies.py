"""Copies of the work tree, each with one break in it; the tree itself is never touched."""

from __future__ import annotations

import compileall
import os
import py_compile
import shutil
import subprocess
from pathlib import Path


class DoesNotApply(Exception):
    """Raised when a patch doesn't fit the tree."""


def copy_of_tree(root: Path, to: Path) -> None:
    """Copy what git knows of `root`, or would know after an add, as it lies there; compile it."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (root / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, to / name)
    # Once: the copies of this copy take the compiled files along. Known by their source's hash: a
    # break may be as long as what it replaces, and as old.
    compileall.compile_dir(
        to, quiet=2, invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH
    )


def broken_copy(base: Path, to: Path, patch: Path) -> None:
    """Copy `base` to the new folder `to` and apply `patch` there.

    Raises:
        DoesNotApply: With what git says.
    """
    shutil.copytree(base, to)
    apply(patch, to)


def apply(patch: Path, tree: Path, *options: str) -> None:
    """Apply `patch` to `tree`; with the option `--check` only see whether it would.

    Raises:
        DoesNotApply: With what git says.
    """
    done = subprocess.run(
        ["git", "apply", "-C1", *options, str(patch.resolve())],  # noqa: S607
        cwd=tree,
        # Inside of somebody's repository git would silently apply nothing.
        env={**os.environ, "GIT_CEILING_DIRECTORIES": str(tree.resolve().parent)},
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise DoesNotApply(done.stderr.strip())
