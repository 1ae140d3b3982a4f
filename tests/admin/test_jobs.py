from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from jobs.insights import search
from jobs.models import JobStatus
from jobs.statuses import Status
from tests.admin.conftest import browser, person
from tests.make import make_attempt, make_job, make_worker

pytestmark = [pytest.mark.redis, pytest.mark.django_db(transaction=True)]
LIST = "/admin/jobs/jobstatus/"


@pytest.fixture(autouse=True)
def empty_redis(redis):
    return redis


def page_of(job):
    return reverse("admin:jobs_jobstatus_change", args=[job.id])


def do(job, verb):
    return reverse("admin:jobs_jobstatus_do", args=[job.id, verb])


def listed(answer):
    return {job.id for job in answer.context["cl"].result_list}


def select(action, *jobs, **fields):
    return {
        "action": action,
        "index": "0",
        "_selected_action": [str(job.id) for job in jobs],
    } | fields


# --- The list ---


def test_the_newest_job_is_first_and_shows_how_it_is(viewer):
    worker = make_worker()
    make_job(created_at=timezone.now() - timedelta(minutes=5))
    progress = {"done": 3, "total": 4, "message": "loading"}
    newest = make_job(status=Status.STARTED, worker=worker, progress=progress, tags=["airports"])

    answer = viewer.get(LIST)

    html = answer.content.decode()
    assert answer.context["cl"].result_list[0].id == newest.id
    for word in ("worker-1", "75 %", "loading", "1/5", "airports", "5 min ago"):
        assert word in html


def test_tabs_count_each_status_and_filter_by_it(viewer):
    failed = make_job(status=Status.FAILED)
    make_job(status=Status.COMPLETED)

    tabs = {tab.label: tab for tab in viewer.get(LIST).context["tabs"]}
    answer = viewer.get(LIST + tabs["Failed"].url)

    assert (tabs["Failed"].count, tabs["Completed"].count, tabs["Queued"].count) == ("1", "1", "0")
    assert listed(answer) == {failed.id}
    assert [tab.label for tab in answer.context["tabs"] if tab.is_selected] == ["Failed"]


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("class=Sleep", {"job_class": "Sleep"}),
        ("queue=low", {"queue": "low"}),
        ("tag=airports", {"tags": ["airports"]}),
        ("q=tag:airports", {"tags": ["airports"]}),
        ("q=sleep", {"job_class": "Sleep"}),
        ("q=refused+connection", {"status": Status.FAILED, "error": "Connection was REFUSED"}),
    ],
)
def test_filters_and_search_find_the_one_job(viewer, query, fields):
    make_job()
    wanted = make_job(**fields)

    assert listed(viewer.get(f"{LIST}?{query}")) == {wanted.id}


def test_a_job_is_found_by_its_id_and_by_the_beginning_of_it(viewer):
    job = make_job(id="0193b0a0-1111-7000-8000-000000000001")
    make_job(id="0193b0a0-2222-7000-8000-000000000001")

    whole = viewer.get(LIST, {"q": str(job.id)})
    beginning = viewer.get(LIST, {"q": "0193b0a0-11"})

    assert listed(whole) == listed(beginning) == {JobStatus.objects.earliest("id").id}


@pytest.mark.parametrize(
    "query",
    [
        *("q=%00", "q=tag:%00", "class=%00", "status__exact=%00", "tag=%00", "q=--------"),
        *("p=0", "p=-1", "p=x", "p=99999999999", "status=nonsense", "created_at__gte=x"),
        f"q={'a' * 36}",
    ],
)
def test_odd_queries_are_no_server_error(viewer, query):
    make_job()

    assert viewer.get(f"{LIST}?{query}", follow=True).status_code == 200


def test_a_long_list_is_counted_only_so_far(viewer, django_assert_max_num_queries):
    JobStatus.objects.bulk_create(
        JobStatus(
            job_class="Echo",
            queue="default",
            status=Status.COMPLETED,
            max_attempts=1,
            created_at=timezone.now(),
            updated_at=timezone.now(),
            due_at=timezone.now(),
        )
        for _ in range(1_200)
    )

    with django_assert_max_num_queries(10):
        html = viewer.get(LIST).content.decode()

    assert "1000+ jobs" in html
    assert '<span class="job-count job-count-completed">1000+</span>' in html
    assert "1200" not in html
    assert listed(viewer.get(LIST, {"p": "24"}))


def test_a_search_looks_so_far_and_leads_further_down(viewer, monkeypatch):
    monkeypatch.setattr(search, "LOOKED_THROUGH", 4)
    now = timezone.now()
    rare = make_job(job_class="Sleep", created_at=now - timedelta(days=9))
    for minutes in range(5):
        make_job(created_at=now - timedelta(minutes=minutes))

    answer = viewer.get(LIST, {"class": "Sleep"})
    further = answer.context["cl"].further
    found = viewer.get(LIST + further["url"])

    assert listed(answer) == set()
    assert "Look further down" in answer.content.decode()
    assert "so far, back to" in answer.content.decode()
    assert listed(found) == {rare.id}
    assert "Look further down" not in found.content.decode()
    assert "so far" not in found.content.decode()


def test_another_question_begins_at_the_newest_job_again(viewer, monkeypatch):
    monkeypatch.setattr(search, "LOOKED_THROUGH", 1)
    for _ in range(3):
        make_job(job_class="Sleep")
    further = viewer.get(LIST, {"class": "Sleep"}).context["cl"].further

    answer = viewer.get(LIST + further["url"])

    assert "after=" in further["url"]
    links = re.findall(r'href="(\?[^"]*)"', answer.content.decode())
    asked = [link for link in links if "after=" in link]
    assert links
    assert asked == [answer.context["cl"].further["url"].replace("&", "&amp;")]


def test_what_is_done_to_all_that_match_is_done_beyond_one_look(operator, monkeypatch):
    monkeypatch.setattr(search, "LOOKED_THROUGH", 1)
    failed = [make_job(job_class="Sleep", status=Status.FAILED) for _ in range(3)]
    fields = select("retry_selected", failed[0], select_across="1", confirmed="yes")

    operator.post(f"{LIST}?class=Sleep", fields)

    assert JobStatus.objects.filter(status=Status.QUEUED).count() == len(failed)


@pytest.mark.parametrize("after", ["x", "%00", "MjAyNi0wMS0wMXx4"])
def test_a_place_that_is_none_is_the_newest_job(viewer, after):
    job = make_job()

    assert listed(viewer.get(f"{LIST}?after={after}", follow=True)) == {job.id}


def test_neither_params_nor_results_are_read_for_the_list(viewer, django_assert_max_num_queries):
    for _ in range(20):
        make_job(status=Status.COMPLETED, worker=make_worker())

    with django_assert_max_num_queries(10) as queries:
        viewer.get(LIST)

    assert not [query["sql"] for query in queries if '"params"' in query["sql"]]


# --- One job ---


def test_a_job_page_tells_the_whole_story(viewer):
    worker = make_worker()
    job = make_job(
        status=Status.RETRYING,
        attempt=2,
        claim=3,
        worker=worker,
        params={"value": "a <b> c", "nested": {"list": [1, None]}},
        error="ConnectionError: no answer",
    )
    make_attempt(job, number=1, claim=1, worker_name="worker-1", traceback="Traceback: first\n")
    make_attempt(job, number=2, claim=3, peak_memory=64 * 1024 * 1024)

    html = viewer.get(page_of(job)).content.decode()

    for word in (
        "Attempt 2 of 5 failed; the next is due at",
        "Traceback: first",
        "a &lt;b&gt; c",
        "Attempt 3 is due",
        "64.0 MiB",
        "ConnectionError: no answer",
    ):
        assert word in html


def test_a_redacted_param_is_on_no_page(boss):
    params = {"user": "alice", "password": "correct horse"}
    job = make_job(job_class="Secretive", params=params)

    pages = [page_of(job), LIST, reverse("admin:jobs_jobstatus_live", args=[job.id])]
    pages.append(reverse("admin:jobs_jobstatus_run_class", args=["Secretive"]) + f"?job={job.id}")
    html = "".join(boss.get(page).content.decode() for page in pages)

    assert "alice" in html
    assert "correct horse" not in html


def test_params_of_a_class_that_is_gone_are_all_hidden(boss):
    job = make_job(job_class="Gone", params={"anything": "correct horse"})

    html = boss.get(page_of(job)).content.decode()

    assert "No job class named Gone" in html
    assert "correct horse" not in html


def test_the_live_part_says_when_the_job_has_ended(viewer):
    living, ended = make_job(status=Status.STARTED), make_job(status=Status.COMPLETED)

    first, second = (
        viewer.get(reverse("admin:jobs_jobstatus_live", args=[job.id])) for job in (living, ended)
    )

    assert first.json()["is_living"]
    assert "started" in first.json()["html"]
    assert not second.json()["is_living"]
    assert "no-store" in second["Cache-Control"]


def test_a_page_costs_few_queries(viewer, django_assert_max_num_queries):
    job = make_job(status=Status.FAILED, attempt=5)
    for claim in range(5):
        make_attempt(job, claim=claim, number=claim + 1)

    with django_assert_max_num_queries(9):
        viewer.get(page_of(job))


# --- Nothing is edited ---


@pytest.mark.parametrize("address", ["add/", "{id}/change/", "{id}/delete/"])
def test_even_a_superuser_can_write_nothing(boss, address):
    job = make_job()
    before = JobStatus.objects.filter(id=job.id).values().get()
    answer = boss.post(LIST + address.format(id=job.id), {"status": "completed", "_save": "1"})

    assert answer.status_code == 403
    assert JobStatus.objects.filter(id=job.id).values().get() == before
    assert JobStatus.objects.count() == 1


@pytest.mark.parametrize("action", ["delete_selected", "nonsense"])
def test_there_is_no_action_that_deletes(boss, action):
    job = make_job()

    boss.post(LIST, select(action, job, post="yes"))

    assert JobStatus.objects.filter(id=job.id, status=Status.QUEUED).exists()


# --- Who may ---


def test_a_viewer_sees_no_buttons_and_is_refused(viewer):
    job = make_job(status=Status.FAILED)

    html = viewer.get(page_of(job)).content.decode() + viewer.get(LIST).content.decode()
    answers = [
        viewer.post(do(job, "retry")).status_code,
        viewer.get(do(job, "cancel")).status_code,
    ]
    viewer.post(LIST, select("retry_selected", job))

    assert "/do/" not in html
    assert 'name="action"' not in html
    assert answers == [403, 403]
    assert JobStatus.objects.get(id=job.id).status == Status.FAILED


def test_staff_without_any_permission_see_nothing(db):
    job = make_job()
    nobody = browser(person("nora"))
    pages = [LIST, page_of(job), reverse("admin:jobs_jobstatus_live", args=[job.id])]
    pages += [do(job, "cancel"), reverse("admin:jobs_jobstatus_run")]

    assert {nobody.get(page).status_code for page in pages} == {403}
    assert {nobody.post(page).status_code for page in pages} == {403}


def test_strangers_are_sent_to_the_login():
    job = make_job()
    pages = [LIST, page_of(job), reverse("admin:jobs_jobstatus_live", args=[job.id])]
    pages += [do(job, "cancel"), reverse("admin:jobs_jobstatus_run")]

    assert {Client().get(page).status_code for page in pages} == {302}


def test_who_made_a_job_may_look_at_it_and_at_no_other():
    mine = make_job(created_by=person("rosa", "jobs.run_echo"))
    rosa = browser(mine.created_by)
    other = make_job()

    assert [rosa.get(page_of(job)).status_code for job in (mine, other)] == [200, 403]


# --- Verbs on one job ---


@pytest.mark.parametrize(
    ("status", "offered"),
    [
        (Status.SCHEDULED, {"cancel"}),
        (Status.WAITING, {"cancel"}),
        (Status.QUEUED, {"cancel"}),
        (Status.STARTED, {"cancel"}),
        (Status.RETRYING, {"cancel"}),
        (Status.COMPLETED, {"run-again"}),
        (Status.FAILED, {"retry"}),
        (Status.CANCELLED, {"retry"}),
    ],
)
def test_a_page_offers_only_what_the_status_allows(operator, status, offered):
    job = make_job(status=status)

    html = operator.get(page_of(job)).content.decode()

    assert {verb for verb in ("retry", "run-again", "cancel") if do(job, verb) in html} == offered


def test_retry_gives_another_attempt_and_says_so(operator):
    job = make_job(status=Status.FAILED, attempt=5)

    answer = operator.post(do(job, "retry"), follow=True)

    job.refresh_from_db()
    assert (job.status, job.max_attempts) == (Status.QUEUED, 6)
    assert "1 job queued for another attempt." in answer.content.decode()
    assert answer.redirect_chain == [(page_of(job), 302)]
    assert LogEntry.objects.get().object_id == str(job.id)


def test_cancel_asks_first_and_keeps_who_and_why(operator):
    job = make_job()

    asked = operator.get(do(job, "cancel")).content.decode()
    operator.post(do(job, "cancel"), {"reason": "not today"})

    job.refresh_from_db()
    assert 'name="reason"' in asked
    assert (job.status, job.cancel_requested_by) == (Status.CANCELLED, "olga")
    assert job.cancel_reason == "not today"


def test_a_started_job_is_asked_to_stop(operator):
    job = make_job(status=Status.STARTED)

    answer = operator.post(do(job, "cancel"), {"reason": "not today"}, follow=True)

    html = answer.content.decode()
    assert JobStatus.objects.get(id=job.id).status == Status.STARTED
    assert "1 job asked to stop" in html
    assert "olga asked to cancel it: not today" in html
    assert do(job, "cancel") not in html


@pytest.mark.parametrize(
    ("status", "verb"),
    [(Status.STARTED, "retry"), (Status.COMPLETED, "retry"), (Status.FAILED, "cancel")],
)
def test_a_verb_that_the_status_forbids_moves_nothing_and_says_why(operator, status, verb):
    job = make_job(status=status)

    answer = operator.post(do(job, verb), follow=True)

    assert JobStatus.objects.get(id=job.id).status == status
    assert f"1 job left alone: 1 is {status}." in answer.content.decode()


def test_a_reason_that_no_row_can_hold_is_cleaned(operator):
    job = make_job()

    operator.post(do(job, "cancel"), {"reason": "bad\x00 " + "x" * 5_000})

    job.refresh_from_db()
    assert job.cancel_reason.startswith("bad\N{REPLACEMENT CHARACTER} xxx")
    assert len(job.cancel_reason) < 4_100


def test_an_unknown_verb_is_404(operator):
    assert operator.post(do(make_job(), "explode")).status_code == 404


def test_a_get_changes_nothing(operator):
    job = make_job(status=Status.FAILED)

    operator.get(do(job, "retry"))

    assert JobStatus.objects.get(id=job.id).status == Status.FAILED


def test_a_post_without_a_token_is_refused():
    job = make_job(status=Status.FAILED)
    careful = Client(enforce_csrf_checks=True)
    careful.force_login(person("carl", "jobs.change_jobstatus"))

    assert careful.post(do(job, "retry")).status_code == 403
    assert JobStatus.objects.get(id=job.id).status == Status.FAILED


# --- Verbs on many ---


def test_selected_jobs_are_retried_and_the_others_counted(operator):
    jobs = [make_job(status=status) for status in Status]

    answer = operator.post(LIST, select("retry_selected", *jobs), follow=True)

    html = answer.content.decode()
    assert "2 jobs queued for another attempt." in html
    assert (
        "6 jobs left alone: 1 is completed, 1 is queued, 1 is retrying, 1 is scheduled, "
        "1 is started, 1 is waiting."
    ) in html
    assert JobStatus.objects.filter(status=Status.QUEUED).count() == 3


def test_many_are_cancelled_only_after_they_were_confirmed(operator):
    jobs = [make_job(), make_job(status=Status.STARTED), make_job(status=Status.COMPLETED)]

    asked = operator.post(LIST, select("cancel_selected", *jobs))
    before = set(JobStatus.objects.values_list("cancel_requested_by", flat=True))
    fields = select("cancel_selected", *jobs, confirmed="1", reason="wrong file")
    del fields["index"]
    answer = operator.post(LIST, fields, follow=True)

    assert "3 jobs" in asked.content.decode()
    assert before == {""}
    html = answer.content.decode()
    assert "1 job cancelled. 1 job asked to stop" in html
    assert "1 job left alone: 1 is completed." in html
    assert JobStatus.objects.get(id=jobs[0].id).cancel_reason == "wrong file"


def test_all_matching_takes_only_what_the_verb_is_for(operator):
    failed = [make_job(status=Status.FAILED, queue="low") for _ in range(3)]
    done = make_job(status=Status.COMPLETED, queue="low")
    elsewhere = make_job(status=Status.FAILED, queue="high")
    fields = select("retry_selected", failed[0], select_across="1", confirmed="1")

    answer = operator.post(f"{LIST}?queue=low", fields, follow=True)

    assert "3 jobs queued for another attempt." in answer.content.decode()
    assert JobStatus.objects.filter(status=Status.QUEUED).count() == 3
    assert JobStatus.objects.get(id=done.id).status == Status.COMPLETED
    assert JobStatus.objects.get(id=elsewhere.id).status == Status.FAILED


def test_all_matching_is_confirmed_first(operator):
    job = make_job(status=Status.FAILED)

    answer = operator.post(LIST, select("retry_selected", job, select_across="1"))

    assert 'name="confirmed"' in answer.content.decode()
    assert JobStatus.objects.get(id=job.id).status == Status.FAILED


@pytest.mark.parametrize(
    ("job_id", "code"), [("nonsense", 400), ("0193b0a0-0000-7000-8000-000000000000", 200)]
)
def test_a_selection_of_what_is_not_there_moves_nothing(operator, job_id, code):
    job = make_job(status=Status.FAILED)
    fields = {"action": "retry_selected", "index": "0", "_selected_action": [job_id]}

    answer = operator.post(LIST, fields, follow=True)

    assert answer.status_code == code
    assert JobStatus.objects.get(id=job.id).status == Status.FAILED
