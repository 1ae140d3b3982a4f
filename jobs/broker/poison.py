"""Keys of the wrong type: put aside, so that nothing planted in Redis stops a queue."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from redis import Redis
from redis.client import Pipeline
from redis.exceptions import ResponseError

from jobs.broker import keys

logger = logging.getLogger("jobs.broker")

# For whoever wants to know what it was; then it is gone.
KEPT_SECONDS = 86_400

# Compared and moved in one step: somebody else may have put it aside and begun the key anew.
_PUT_ASIDE = """
local found = redis.call('TYPE', KEYS[1])['ok']
if found == 'none' or found == ARGV[1] then return false end
redis.call('RENAME', KEYS[1], KEYS[2])
redis.call('EXPIRE', KEYS[2], ARGV[2])
return found
"""


class Proof(Redis):
    """A Redis client that puts keys of the wrong type aside and goes on.

    To redis-py the answer WRONGTYPE is an error like a server that is down: without this, one bad
    key under a name of ours would look like an outage, and last until a person removes it.
    """

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Do one command; once more where it met keys of the wrong type."""
        try:
            return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        except ResponseError as error:
            if not (is_wrong_type(error) and put_aside_all(self, args)):
                raise
        return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:  # noqa: FBT001, FBT002 - redis-py's signature
        """Return a pipeline that does the same."""
        return _ProofPipeline(self, transaction=transaction, shard_hint=shard_hint)


class _ProofPipeline(Pipeline):
    def __init__(self, client: Redis, *, transaction: bool, shard_hint: str | None) -> None:
        super().__init__(client.connection_pool, client.response_callbacks, transaction, shard_hint)
        self._client = client

    def execute(self, raise_on_error: bool = True) -> list[Any]:  # noqa: FBT001, FBT002 - redis-py's signature
        commands = self.command_stack
        answers = super().execute(raise_on_error=False)
        refused = [number for number, answer in enumerate(answers) if is_wrong_type(answer)]
        words = [word for number in refused for word in commands[number][0]]
        if refused and put_aside_all(self._client, words):
            # The others have been done, in a MULTI too: Redis rolls nothing back.
            with Pipeline(
                self.connection_pool, self.response_callbacks, self.transaction, self.shard_hint
            ) as again:
                again.command_stack = [commands[number] for number in refused]
                repeated = again.execute(raise_on_error=False)
            for number, answer in zip(refused, repeated, strict=True):
                answers[number] = answer
        if raise_on_error:
            self.raise_first_error(commands, answers)  # type: ignore[no-untyped-call]
        return answers


def put_aside(client: Redis, key: str) -> None:
    """Move what nobody can read out of the way; it is kept for a day."""
    _rename(client, key, type_name="")


def is_wrong_type(answer: object) -> bool:
    """Whether an answer says that a key was of another type than the command's."""
    return isinstance(answer, ResponseError) and "WRONGTYPE" in str(answer)


def put_aside_all(client: Redis, words: Iterable[Any]) -> bool:
    """Put aside those keys of ours among `words` that aren't of their type; whether there is one.

    A true answer says that there are keys of ours: somebody may have come before us.
    """
    found = False
    for key, type_name in _our_keys(words):
        was = _rename(client, key, type_name=type_name)
        found = True
        if was:
            logger.error(
                "Redis: %.200s held a %s instead of a %s; it is kept for a day as %.200s",
                key,
                was,
                type_name,
                keys.poison(key),
            )
    return found


def _rename(client: Redis, key: str, *, type_name: str) -> str:
    """Move `key` unless it is of this type; return the type it was of, if it moved."""
    was = client.eval(_PUT_ASIDE, 2, key, keys.poison(key), type_name, KEPT_SECONDS)
    return was.decode() if isinstance(was, bytes) else ""


def _our_keys(words: Iterable[Any]) -> list[tuple[str, str]]:
    texts = {
        word if isinstance(word, str) else word.decode(errors="replace")
        for word in words
        if isinstance(word, str | bytes)
    }
    return [(text, name) for text in sorted(texts) if (name := keys.type_of(text)) is not None]
