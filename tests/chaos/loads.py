"""The rule of imports: which rows must stand in the table, and which are kept as rejected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tests.chaos.case import Case
from tests.chaos.evidence import Import

ONCE = "Each row of an import stands once, or is kept once as rejected, and the counts say so."


def is_rejected(number: int) -> bool:
    """Whether an import rejects this row."""
    return number % 7 == 0


def is_left_out(number: int) -> bool:
    """Whether an import neither loads nor rejects it."""
    return number % 5 == 0


def wrongs(case: Case) -> Iterator[tuple[str, str]]:
    """Yield the broken rule with what breaks it."""
    for one in case.evidence.imports:
        job = case.job_by_id[one.job_id]
        whole = len(case.completed(job))  # so often it began at the first row and came to the last
        if job.status == "completed":
            is_well = one.counts == _counts(one.numbers) and _stands(one, one.numbers, whole - 1)
        else:
            is_well = any(_stands(one, end, whole) for end in range(one.numbers + 1))
        if not is_well:
            yield ONCE, f"{_describe(one)}: {case.describe(job)}"


def _stands(one: Import, end: int, whole: int) -> bool:
    """Whether what stands are so many whole imports, and one that came to `end`."""
    loaded = Counter(dict.fromkeys(_loaded(one.numbers), whole))
    loaded.update(_loaded(end))
    return one.loaded == loaded and list(one.rejected) == _rejected(end)


def _loaded(end: int) -> list[int]:
    return [n for n in range(1, end + 1) if not (is_rejected(n) or is_left_out(n))]


def _rejected(end: int) -> list[int]:
    return [number for number in range(1, end + 1) if is_rejected(number)]


def _counts(end: int) -> dict[str, int]:
    return {
        "rows_in": end,
        "rows_out": len(_loaded(end)),
        "rows_rejected": len(_rejected(end)),
    }


def _describe(one: Import) -> str:
    doubles = sorted(number for number, count in one.loaded.items() if count > 1)
    return (
        f"{one.loaded.total()} of {len(_loaded(one.numbers))} rows, doubles {doubles[:10]}, "
        f"{len(one.rejected)} of {len(_rejected(one.numbers))} rejected, counts {one.counts}"
    )
