"""JSON or nothing: rq must never unpickle what somebody put into Redis."""

from __future__ import annotations

import rq.exceptions
import rq.serializers


def force_json() -> None:
    """Make JSON rq's only serializer in this process.

    rq falls back to pickle wherever nobody names a serializer: the dashboard and rq-scheduler do
    not, so an entry planted in Redis would run code in the web process.
    """
    rq.serializers.PickleSerializer = rq.serializers.JSONSerializer  # type: ignore[assignment]
    rq.serializers.DefaultSerializer = rq.serializers.JSONSerializer  # type: ignore[misc, assignment]
    rq.serializers.SERIALIZER_ALIASES["pickle"] = rq.serializers.JSONSerializer
    # Django's templates then show an entry that isn't JSON as an empty text, not as a server error.
    rq.exceptions.DeserializationError.silent_variable_failure = True  # type: ignore[attr-defined]
