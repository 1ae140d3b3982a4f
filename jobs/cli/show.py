"""`jobs show`: one job whole, with its attempts."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from jobs.cli import describe
from jobs.cli.command import OK, Output, Subcommand, as_json, job_id, unusable
from jobs.conf import MIB
from jobs.insights import search

MAX_ATTEMPTS = 100
_OWN_PLACE = frozenset({"explanation", "params", "result", "attempts", "depends_on", "dependents"})


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("id", help="the job's id")


def _run(options: dict[str, Any], out: Output) -> int:
    job = search.job_with_names(job_id(options["id"]))
    if job is None:
        raise unusable(f"There is no job {options['id']}: `jobs list` shows the newest.")
    shown = describe.whole(job, search.attempts(job, newest=MAX_ATTEMPTS))
    out.data(shown)
    for sentence in shown["explanation"]:
        out.say(sentence)
    out.say()
    out.table(
        [
            (name, value if not isinstance(value, dict | list) else as_json(value))
            for name, value in shown.items()
            if name not in _OWN_PLACE and value not in (None, "", [])
        ],
    )
    out.say(f"\nparams\n{as_json(shown['params'])}")
    out.say(f"\nresult\n{as_json(shown['result'])}")
    for title, key in (("depends on", "depends_on"), ("dependents", "dependents")):
        if shown[key]:
            out.say(f"\n{title}")
            out.table([(one["id"], one["step"] or one["job"], one["status"]) for one in shown[key]])
    for attempt in shown["attempts"]:
        _say_attempt(attempt, out)
    return OK


def _say_attempt(attempt: dict[str, Any], out: Output) -> None:
    memory = attempt["peak_memory"]
    seconds = (attempt["ended_at"] - attempt["started_at"]).total_seconds()
    out.say(
        f"\nattempt {attempt['number']}: {attempt['outcome'].replace('_', ' ')} after "
        f"{seconds:.2f} s on {attempt['worker'] or 'an unknown worker'}, then {attempt['status']}"
        + (f", due {attempt['due_at']:%Y-%m-%d %H:%M:%S %Z}" if attempt["due_at"] else "")
        + (f", peak memory {memory / MIB:.0f} MiB" if memory else "")
    )
    if attempt["error_class"]:
        out.say(f"  {attempt['error_class']}: {attempt['message']}")
    for line in attempt["traceback"].splitlines():
        out.say(f"  {line}")


SUBCOMMAND = Subcommand(
    name="show",
    about="Show one job whole: why it is where it is, params, result, attempts with tracebacks.",
    examples="""\
  manage.py jobs show 019ab0c2-7b7f-7c3e-8a52-0d7f0c6a4f11
  manage.py jobs show 019ab0c2-7b7f-7c3e-8a52-0d7f0c6a4f11 --json""",
    add_arguments=_add_arguments,
    run=_run,
)
