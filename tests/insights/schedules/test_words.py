from __future__ import annotations

from datetime import timedelta

import pytest

from jobs.insights.schedules.words import in_words


@pytest.mark.parametrize(
    ("crons", "every", "words"),
    [
        (["0 2 * * *"], None, "At 02:00"),
        (["0 1 * * mon-fri"], None, "At 01:00, Monday through Friday"),
        (["0 6 * * *", "30 18 * * 5"], None, "At 06:00; At 18:30, only on Friday"),
        ([], timedelta(minutes=90), "Every 1 h 30 min"),
        ([], timedelta(days=1, seconds=5), "Every 1 d 5 s"),
        ([], timedelta(seconds=2.5), "Every 2.5 s"),
        (["not a cron"], None, "not a cron"),
        ([], None, ""),
    ],
)
def test_every_kind_of_rule_has_words(crons, every, words):
    assert in_words(crons, every) == words
