"""Scripts that Redis keeps: named by their digest, sent again where it has forgotten them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from redis import Redis
from redis.exceptions import NoScriptError


@dataclass(frozen=True, slots=True)
class Script:
    """A script's text, and the hash by which a server that has seen it knows it."""

    text: str
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()
        object.__setattr__(self, "sha", sha)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of a script."""

    script: Script
    keys: Sequence[str]
    args: Sequence[Any]

    @property
    def words(self) -> tuple[Any, ...]:
        """What comes after the script."""
        return (len(self.keys), *self.keys, *self.args)


def run(client: Redis, call: Call) -> Any:
    """Call a script; one round trip, unless the server has forgotten it."""
    try:
        return client.evalsha(call.script.sha, *call.words)
    except NoScriptError:
        return client.eval(call.script.text, *call.words)


def run_all(client: Redis, calls: Sequence[Call]) -> list[Any]:
    """Call scripts one after the other in one round trip; an answer may be the error of its call.

    redis-py's own way asks with every pipeline whether the server knows the scripts.
    """
    with client.pipeline(transaction=False) as pipe:
        for call in calls:
            pipe.evalsha(call.script.sha, *call.words)
        answers = pipe.execute(raise_on_error=False)
    for number, call in enumerate(calls):
        if isinstance(answers[number], NoScriptError):
            answers[number] = _again(client, call)
    return answers


def _again(client: Redis, call: Call) -> Any:
    with client.pipeline(transaction=False) as pipe:
        pipe.eval(call.script.text, *call.words)
        [answer] = pipe.execute(raise_on_error=False)
    return answer
