"""Where the clocks change: what each kind of line does there, worked out by hand."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from jobs.schedules.moments import cron
from jobs.schedules.moments.cron import Rule

# The change, its zone, and the span looked at: from (not included) and until, in UTC.
SPANS = {
    # 31 March 2024, 02:00 +0100 is 03:00 +0200.
    "Berlin spring": ("Europe/Berlin", "2024-03-30 23:45", "2024-03-31 02:45"),
    # 27 October 2024, 03:00 +0200 is 02:00 +0100.
    "Berlin autumn": ("Europe/Berlin", "2024-10-26 22:45", "2024-10-27 03:45"),
    # 10 March 2024, 02:00 -0500 is 03:00 -0400.
    "New York spring": ("America/New_York", "2024-03-10 05:45", "2024-03-10 08:45"),
    # 3 November 2024, 02:00 -0400 is 01:00 -0500.
    "New York autumn": ("America/New_York", "2024-11-03 04:45", "2024-11-03 07:45"),
    # 6 October 2024, 02:00 +1030 is 02:30 +1100.
    "Lord Howe spring": ("Australia/Lord_Howe", "2024-10-05 14:15", "2024-10-05 17:45"),
    # 7 April 2024, 02:00 +1100 is 01:30 +1030.
    "Lord Howe autumn": ("Australia/Lord_Howe", "2024-04-06 13:45", "2024-04-06 17:15"),
    # 31 March 2024, 01:00 +0000 is 02:00 +0100; in Irish law the winter is the exception.
    "Dublin spring": ("Europe/Dublin", "2024-03-30 23:45", "2024-03-31 02:45"),
    # 27 October 2024, 02:00 +0100 is 01:00 +0000.
    "Dublin autumn": ("Europe/Dublin", "2024-10-26 22:45", "2024-10-27 02:45"),
    # 26 April 2024, 00:00 +0200 is 01:00 +0300: there is no midnight.
    "Cairo spring": ("Africa/Cairo", "2024-04-25 20:45", "2024-04-26 00:45"),
    # 1 November 2024, 00:00 +0300 is 31 October, 23:00 +0200.
    "Cairo autumn": ("Africa/Cairo", "2024-10-31 19:15", "2024-10-31 23:45"),
    # 31 March 2024, 00:00 +0200 is 01:00 +0300.
    "Beirut spring": ("Asia/Beirut", "2024-03-30 20:45", "2024-03-31 00:45"),
    # 27 October 2024, 00:00 +0300 is 26 October, 23:00 +0200.
    "Beirut autumn": ("Asia/Beirut", "2024-10-26 19:15", "2024-10-26 23:45"),
    # 31 March 2024, 01:00 +0000 is 03:00 +0200: two hours.
    "Troll spring": ("Antarctica/Troll", "2024-03-30 23:45", "2024-03-31 02:45"),
    # 27 October 2024, 03:00 +0200 is 01:00 +0000.
    "Troll autumn": ("Antarctica/Troll", "2024-10-26 22:15", "2024-10-27 03:15"),
    # 4 November 2018, 00:00 -0300 is 01:00 -0200. Brazil gave it up in 2019.
    "São Paulo spring": ("America/Sao_Paulo", "2018-11-04 01:45", "2018-11-04 04:45"),
    # 17 February 2019, 00:00 -0200 is 16 February, 23:00 -0300.
    "São Paulo autumn": ("America/Sao_Paulo", "2019-02-17 00:15", "2019-02-17 03:45"),
    # 10 March 2024, 03:00 +0100 is 02:00 +0000: Ramadan begins; it ends on 14 April.
    "Casablanca Ramadan": ("Africa/Casablanca", "2024-03-09 23:45", "2024-03-10 03:45"),
    # 30 December 2011, 00:00 -1000 is 31 December, 00:00 +1400: there is no 30 December.
    "Apia 2011": ("Pacific/Apia", "2011-12-30 07:45", "2011-12-30 12:45"),
    # 4 May 2018, 23:30 +0830 is 5 May, 00:00 +0900: the zone itself is moved.
    "Pyongyang 2018": ("Asia/Pyongyang", "2018-05-04 14:05", "2018-05-04 16:45"),
    # 15 August 2015, 00:00 +0900 is 14 August, 23:30 +0830.
    "Pyongyang 2015": ("Asia/Pyongyang", "2015-08-14 13:50", "2015-08-14 16:50"),
    # 27 December 2020, 02:00 +0400 is 01:00 +0300: for good.
    "Volgograd 2020": ("Europe/Volgograd", "2020-12-26 20:45", "2020-12-27 00:45"),
}

# The lines, and the local times at which they come.
TABLE = [
    # A fixed time that is skipped comes at the change; one that is repeated comes the first time.
    ("Berlin spring", "30 2 * * *", "31 03:00 +0200"),
    ("Berlin autumn", "30 2 * * *", "27 02:30 +0200"),
    ("New York spring", "30 2 * * *", "10 03:00 -0400"),
    ("New York autumn", "30 1 * * *", "03 01:30 -0400"),
    ("Lord Howe spring", "15 2 * * *", "06 02:30 +1100"),
    ("Lord Howe autumn", "45 1 * * *", "07 01:45 +1100"),
    ("Dublin spring", "30 1 * * *", "31 02:00 +0100"),
    ("Dublin autumn", "30 1 * * *", "27 01:30 +0100"),
    ("Troll spring", "30 1 * * *", "31 03:00 +0200"),
    ("Troll autumn", "30 2 * * *", "27 02:30 +0200"),
    ("Casablanca Ramadan", "30 2 * * *", "10 02:30 +0100"),
    ("Pyongyang 2018", "45 23 * * *", "05 00:00 +0900"),
    ("Pyongyang 2015", "45 23 * * *", "14 23:45 +0900"),
    ("Volgograd 2020", "30 1 * * *", "27 01:30 +0400"),
    # So do seconds of a fixed time.
    ("Berlin spring", "15 30 2 * * *", "31 03:00 +0200"),
    ("Berlin autumn", "0 30 2 * * *", "27 02:30 +0200"),
    # The edges: the first time after a gap is there, the last before it too.
    ("Berlin spring", "0 3 * * *", "31 03:00 +0200"),
    ("Berlin spring", "0 2 * * *", "31 03:00 +0200"),
    ("Berlin spring", "59 1 * * *", "31 01:59 +0100"),
    ("Berlin autumn", "0 2 * * *", "27 02:00 +0200"),
    ("Berlin autumn", "0 3 * * *", "27 03:00 +0100"),
    ("Lord Howe spring", "30 2 * * *", "06 02:30 +1100"),
    ("Lord Howe autumn", "30 1 * * *", "07 01:30 +1100"),
    ("Lord Howe autumn", "0 2 * * *", "07 02:00 +1030"),
    # Where the change is at midnight, the day keeps its nightly run.
    ("Cairo spring", "0 0 * * *", "26 01:00 +0300"),
    ("Cairo spring", "30 0 * * fri", "26 01:00 +0300"),
    ("Cairo spring", "30 0 * * thu", ""),
    ("Cairo spring", "30 23 * * *", "25 23:30 +0200"),
    ("Cairo autumn", "0 0 * * *", "01 00:00 +0200"),
    ("Cairo autumn", "30 23 * * *", "31 23:30 +0300"),
    ("Beirut spring", "0 0 * * *", "31 01:00 +0300"),
    ("Beirut autumn", "0 0 * * *", "27 00:00 +0200"),
    ("Beirut autumn", "30 23 * * sat", "26 23:30 +0300"),
    ("São Paulo spring", "0 0 * * *", "04 01:00 -0200"),
    ("São Paulo autumn", "30 23 * * *", "16 23:30 -0200"),
    ("São Paulo autumn", "0 0 * * *", "17 00:00 -0300"),
    # Several skipped times come together, once.
    ("Berlin spring", "0,30 2 * * *", "31 03:00 +0200"),
    ("Berlin spring", "15 1-3 * * *", "31 01:15 +0100", "31 03:00 +0200", "31 03:15 +0200"),
    ("Berlin autumn", "0,30 2 * * *", "27 02:00 +0200", "27 02:30 +0200"),
    ("Troll spring", "0 1,2 * * *", "31 03:00 +0200"),
    ("Troll autumn", "0 1,2 * * *", "27 01:00 +0200", "27 02:00 +0200"),
    ("Lord Howe spring", "0,15,45 2 * * *", "06 02:30 +1100", "06 02:45 +1100"),
    # A day that never was: its times come as the next day begins.
    ("Apia 2011", "0 2 * * *", "31 00:00 +1400", "31 02:00 +1400"),
    ("Apia 2011", "0 12 30 * *", "31 00:00 +1400"),
    ("Apia 2011", "0 0 * * *", "31 00:00 +1400"),
    # Minutes or seconds with a star: skipped times as above, repeated ones both times.
    ("Berlin spring", "*/30 2 * * *", "31 03:00 +0200"),
    ("Berlin spring", "*/30 1-2 * * *", "31 01:00 +0100", "31 01:30 +0100", "31 03:00 +0200"),
    ("Berlin autumn", "*/30 2 * * *",
     "27 02:00 +0200", "27 02:30 +0200", "27 02:00 +0100", "27 02:30 +0100"),
    ("Berlin autumn", "*/40 1-3 * * *",
     "27 01:00 +0200", "27 01:40 +0200", "27 02:00 +0200", "27 02:40 +0200",
     "27 02:00 +0100", "27 02:40 +0100", "27 03:00 +0100", "27 03:40 +0100"),
    ("Berlin spring", "*/20 1-3 * * *",
     "31 01:00 +0100", "31 01:20 +0100", "31 01:40 +0100",
     "31 03:00 +0200", "31 03:20 +0200", "31 03:40 +0200"),
    ("Berlin autumn", "*/30 59 2 * * *",
     "27 02:59 +0200", "27 02:59:30 +0200", "27 02:59 +0100", "27 02:59:30 +0100"),
    ("Lord Howe autumn", "*/15 1 * * *",
     "07 01:00 +1100", "07 01:15 +1100", "07 01:30 +1100", "07 01:45 +1100",
     "07 01:30 +1030", "07 01:45 +1030"),
    # Each second, third ... hour: a skipped hour comes at the change, a repeated one both times.
    ("Berlin spring", "0 */2 * * *", "31 03:00 +0200", "31 04:00 +0200"),
    ("Berlin autumn", "0 */2 * * *", "27 02:00 +0200", "27 02:00 +0100", "27 04:00 +0100"),
    ("Cairo spring", "0 */12 * * *", "26 01:00 +0300"),
    ("Lord Howe spring", "0 */2 * * *", "06 02:30 +1100", "06 04:00 +1100"),
    # Every hour: the skipped hour is passed over, the repeated one has its runs.
    ("Berlin spring", "30 * * * *", "31 01:30 +0100", "31 03:30 +0200", "31 04:30 +0200"),
    ("Berlin autumn", "30 * * * *",
     "27 01:30 +0200", "27 02:30 +0200", "27 02:30 +0100", "27 03:30 +0100", "27 04:30 +0100"),
    ("Berlin autumn", "30 0-23 * * *",
     "27 01:30 +0200", "27 02:30 +0200", "27 02:30 +0100", "27 03:30 +0100", "27 04:30 +0100"),
    ("New York spring", "0 * * * *", "10 01:00 -0500", "10 03:00 -0400", "10 04:00 -0400"),
    ("New York autumn", "0 * * * *",
     "03 01:00 -0400", "03 01:00 -0500", "03 02:00 -0500"),
    ("Cairo autumn", "30 * * * *",
     "31 22:30 +0300", "31 23:30 +0300", "31 23:30 +0200", "01 00:30 +0200", "01 01:30 +0200"),
    ("Troll spring", "30 * * * *", "31 00:30 +0000", "31 03:30 +0200", "31 04:30 +0200"),
    ("Troll autumn", "30 * * * *",
     "27 00:30 +0200", "27 01:30 +0200", "27 02:30 +0200",
     "27 01:30 +0000", "27 02:30 +0000"),
    ("Apia 2011", "0 * * * *",
     "29 22:00 -1000", "29 23:00 -1000", "31 00:00 +1400", "31 01:00 +1400", "31 02:00 +1400"),
    ("Casablanca Ramadan", "0 * * * *",
     "10 01:00 +0100", "10 02:00 +0100", "10 02:00 +0000", "10 03:00 +0000"),
    ("Pyongyang 2015", "45 * * * *", "14 23:45 +0900", "14 23:45 +0830", "15 00:45 +0830"),
    # Half an hour forward or back: each time that the clock shows is there, as often as it does.
    ("Lord Howe spring", "30 * * * *",
     "06 01:30 +1030", "06 02:30 +1100", "06 03:30 +1100", "06 04:30 +1100"),
    ("Lord Howe spring", "0 * * * *", "06 01:00 +1030", "06 03:00 +1100", "06 04:00 +1100"),
    ("Lord Howe spring", "*/20 1-2 * * *",
     "06 01:00 +1030", "06 01:20 +1030", "06 01:40 +1030", "06 02:30 +1100", "06 02:40 +1100"),
    ("Lord Howe autumn", "30 * * * *",
     "07 01:30 +1100", "07 01:30 +1030", "07 02:30 +1030", "07 03:30 +1030"),
    ("Lord Howe autumn", "0 * * * *", "07 01:00 +1100", "07 02:00 +1030", "07 03:00 +1030"),
    # Several lines: each by its own kind; what two of them name is one moment.
    ("Berlin spring", "30 2 * * * | 0 3 * * *", "31 03:00 +0200"),
    ("Berlin spring", "30 2 * * * | 30 * * * *",
     "31 01:30 +0100", "31 03:00 +0200", "31 03:30 +0200", "31 04:30 +0200"),
    ("Berlin autumn", "30 2 * * * | 30 * * * *",
     "27 01:30 +0200", "27 02:30 +0200", "27 02:30 +0100", "27 03:30 +0100", "27 04:30 +0100"),
    ("Berlin autumn", "30 2 * * * | 0 2,4 * * *",
     "27 02:00 +0200", "27 02:30 +0200", "27 04:00 +0100"),
]  # fmt: skip


@pytest.mark.parametrize(("span", "lines", "times"), [(row[0], row[1], row[2:]) for row in TABLE])
def test_each_kind_of_line_keeps_the_rule_at_each_kind_of_change(span, lines, times):
    zone, after, until = SPANS[span]
    rule = Rule(crons=tuple(lines.split(" | ")), timezone=zone)

    found = list(cron.moments(rule, after=utc(after), until=utc(until)))

    assert [shown(moment, zone) for moment in found] == [time for time in times if time]


@pytest.mark.parametrize(("span", "lines"), [row[:2] for row in TABLE])
def test_a_change_reads_the_same_from_each_minute_near_it(span, lines):
    zone, after, until = SPANS[span]
    rule = Rule(crons=tuple(lines.split(" | ")), timezone=zone)
    found = list(cron.moments(rule, after=utc(after), until=utc(until)))
    first, last = int(utc(after).timestamp()), int(utc(until).timestamp())

    for second in range(first, last, 300):
        start = datetime.fromtimestamp(second, UTC)
        assert list(cron.moments(rule, after=start, until=utc(until))) == [
            moment for moment in found if moment > start
        ]


DOCUMENTED = re.findall(
    r"^\| [^|]* \| ([^|]*) \| ([^|]*\d\d:\d\d[+]\d{4}[^|]*) \| ([^|]*) \|$",
    Path(__file__).parents[3].joinpath("docs", "schedules.md").read_text(),
    re.MULTILINE,
)


@pytest.mark.parametrize(("example", "spring", "autumn"), DOCUMENTED)
def test_the_documented_table_tells_what_comes(example, spring, autumn):
    crons = tuple(re.findall("`([^`]*)`", example))
    every = None if crons else {"two hours": timedelta(hours=2)}[example]
    rule = Rule(crons=crons, every=every, timezone="Europe/Berlin")

    in_spring = cron.moments(rule, after=utc("2024-03-31 00:59"), until=utc("2024-03-31 02:00"))
    in_autumn = cron.moments(rule, after=utc("2024-10-26 23:59"), until=utc("2024-10-27 03:00"))

    assert [told(moment) for moment in in_spring] == re.findall(r"\d\d:\d\d[+]\d{4}", spring)
    assert [told(moment) for moment in in_autumn] == re.findall(r"\d\d:\d\d[+]\d{4}", autumn)


def test_each_kind_of_line_is_documented():
    assert len(DOCUMENTED) == 9


def told(moment):
    return moment.astimezone(ZoneInfo("Europe/Berlin")).strftime("%H:%M%z")


def utc(text):
    return datetime.strptime(text + " +0000", "%Y-%m-%d %H:%M %z")


def shown(moment, zone):
    return moment.astimezone(ZoneInfo(zone)).strftime("%d %H:%M:%S %z").replace(":00 ", " ")
