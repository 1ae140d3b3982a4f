"""Scripts that Redis keeps: named by their digest, sent again where it has forgotten them."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from redis import Redis
from redis.exceptions import NoScriptError, RedisError, ResponseError

from jobs.broker import poison
from jobs.values import value


@dataclass(frozen=True, slots=True)
class Script:
    """A script's text, and the hash by which a server that has seen it knows it."""

    text: str
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()
        object.__setattr__(self, "sha", sha)


@value
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

    redis-py's own scripts ask with every one whether the server knows them.
    """
    answers = _ask(client, [_command(call) for call in calls])
    return [_mended(client, call, answers[number]) for number, call in enumerate(calls)]


def run_when_pushed(client: Redis, call: Call, lists: Sequence[str], *, seconds: float) -> Any:
    """Wait until something can be popped off one of `lists`, at most `seconds`, then call a script.

    One round trip: sent together, since while Redis holds the wait back it holds the rest of this
    connection as well.
    """
    popped, answer = _ask(client, [("BLPOP", *lists, seconds), _command(call)])
    if poison.is_wrong_type(popped):
        # What the script has done the caller must hear of, whatever becomes of this.
        with contextlib.suppress(RedisError):
            poison.put_aside_all(client, lists)
    answer = _mended(client, call, answer)
    if isinstance(answer, Exception):
        raise answer
    return answer


def _command(call: Call) -> tuple[Any, ...]:
    return ("EVALSHA", call.script.sha, *call.words)


def _ask(client: Redis, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Return the answers to `commands`, errors among them: on the bare connection.

    redis-py's pipeline takes more than twice as long.
    """
    connection: Any = client.connection_pool.get_connection()
    try:
        connection.send_packed_command(connection.pack_commands(commands))
        return [_read(connection) for _ in commands]
    finally:
        client.connection_pool.release(connection)


def _read(connection: Any) -> Any:
    try:
        return connection.read_response()
    except ResponseError as error:
        return error


def _mended(client: Redis, call: Call, answer: Any) -> Any:
    if isinstance(answer, NoScriptError) or (
        poison.is_wrong_type(answer) and poison.put_aside_all(client, call.words)
    ):
        return _again(client, call)
    return answer


def _again(client: Redis, call: Call) -> Any:
    with client.pipeline(transaction=False) as pipe:
        pipe.eval(call.script.text, *call.words)
        [answer] = pipe.execute(raise_on_error=False)
    return answer
