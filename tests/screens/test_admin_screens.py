from __future__ import annotations

import pytest

from jobs.models import JobStatus
from jobs.statuses import Status
from tests.admin.entries import make_shown_job, show_worker
from tests.make import make_attempt, make_job

pytestmark = [pytest.mark.screens, pytest.mark.django_db(transaction=True)]


def page_of(job):
    return f"/admin/jobs/jobstatus/{job.id}/change/"


def change(job, **fields):
    """Write to the row as a worker would meanwhile."""
    JobStatus.objects.filter(id=job.id).update(**fields)


def background(screen, selector):
    return screen.find(selector).value_of_css_property("background-color")


def test_a_person_logs_in_and_sees_the_overview(screen):
    make_job(status=Status.FAILED, error="ValueError: the file is empty")

    screen.log_in("demo")

    assert screen.find(".job-tile-failed strong").text == "1"
    assert "ValueError: the file is empty" in screen.text
    assert "No worker is alive" in screen.text
    assert [row.text.split()[0] for row in screen.all(".job-panel tbody tr")] == [
        "high", "default", "etl", "low",
    ]  # fmt: skip


def test_a_wrong_password_opens_nothing(screen):
    screen.open("/admin/jobs/jobstatus/")
    screen.fill("username", "demo")
    screen.fill("password", "guess")
    screen.press("[type=submit]")

    assert "Please enter the correct username and password" in screen.text
    assert "/admin/login/" in screen.driver.current_url


def test_the_list_leads_from_a_tab_and_a_filter_to_a_job(screen):
    wanted = make_job(status=Status.FAILED, queue="low", error="ValueError: the file is empty")
    make_job(status=Status.FAILED, queue="high")
    make_job(status=Status.COMPLETED, queue="low")
    screen.log_in("demo")

    screen.open("/admin/jobs/jobstatus/")
    assert len(screen.all("#result_list tbody tr")) == 3
    screen.click("Failed")
    screen.shows("2 jobs")
    screen.find(".job-filter:nth-of-type(2) > summary").click()
    screen.click("low")
    screen.shows("1 job")
    screen.click("Echo")

    screen.shows(str(wanted.id))
    assert "ValueError: the file is empty" in screen.text


def test_a_jobs_page_follows_the_job_to_its_end_by_itself(screen):
    job = make_job(status=Status.STARTED, progress={"done": 1, "total": 4, "message": "loading"})
    screen.log_in("demo")
    screen.open(page_of(job))
    screen.shows("25 %")

    change(job, progress={"done": 3, "total": 4, "message": "loading"})
    screen.shows("75 %")
    change(job, status=Status.COMPLETED, result={"rows": 28_000}, finished_at=job.created_at)

    screen.shows("It completed on its first attempt.")
    assert screen.find("#result .json-number").text == "28000"
    assert screen.find(".job-head .job-badge").text == "completed"
    assert "Run again" in screen.find(".job-head").text


def test_a_traceback_folds_out(screen):
    job = make_job(status=Status.FAILED)
    make_attempt(job, traceback="Traceback (most recent call last):\nValueError: deep inside\n")
    screen.log_in("demo")
    screen.open(page_of(job))
    assert not screen.find(".job-traceback").is_displayed()

    screen.find("#attempts summary").click()

    assert "ValueError: deep inside" in screen.find(".job-traceback").text


def test_a_failed_job_is_retried_with_a_button(screen):
    job = make_job(status=Status.FAILED)
    screen.log_in("demo")
    screen.open(page_of(job))

    screen.press(".job-actions form button")

    assert "1 job queued for another attempt." in screen.text
    assert screen.find(".job-head .job-badge").text == "queued"


def test_a_job_is_cancelled_with_a_reason(screen):
    job = make_job()
    screen.log_in("demo")
    screen.open(page_of(job))

    screen.press(".job-button-danger")
    screen.fill("reason", "not today")
    screen.press(".submit-row [type=submit]")

    assert "demo cancelled it: not today" in screen.text
    assert screen.find(".job-head .job-badge").text == "cancelled"


def test_selected_jobs_are_cancelled_after_a_question(screen):
    make_job()
    make_job()
    screen.log_in("demo")
    screen.open("/admin/jobs/jobstatus/")

    screen.find("#action-toggle").click()
    screen.find("[name=action] option[value=cancel_selected]").click()
    screen.press(".actions button")
    assert "2 jobs" in screen.text
    screen.press(".submit-row [type=submit]")

    assert "2 jobs cancelled." in screen.text


def test_a_job_is_run_from_its_form(screen):
    screen.log_in("demo")
    screen.open("/admin/jobs/jobstatus/run/")
    screen.click("FailTwice")
    screen.shows("Fail on the first two attempts.")
    screen.open("/admin/jobs/jobstatus/run/Sleep/")

    screen.press(".submit-row [type=submit]")
    assert "is required" in screen.find(".errorlist").text
    screen.fill("param-seconds", "0.5")
    screen.find("[name=queue] option[value=low]").click()
    screen.press(".submit-row [type=submit]")

    job = JobStatus.objects.get()
    assert (job.job_class, job.queue, job.params) == ("Sleep", "low", {"seconds": 0.5})
    assert screen.driver.current_url.endswith(page_of(job))
    assert "Sleep was dispatched to queue low." in screen.text


def test_the_dashboard_shows_queues_and_a_running_job(screen):
    show_worker()
    job = make_shown_job(Status.STARTED)
    screen.log_in("demo")

    screen.open("/admin/django_rq/dashboard/")
    assert "Queues" in screen.text
    screen.open("/admin/django_rq/dashboard/queues/0/started/")
    screen.press(f"[href*='{job.id}']")

    screen.shows("Echo")
    assert "started" in screen.text


@pytest.mark.parametrize(
    "path", ["/admin/", "/admin/jobs/jobstatus/", "/admin/jobs/jobstatus/run/Echo/", "job"]
)
def test_a_narrow_window_cuts_nothing_off(screen, path):
    job = make_job(status=Status.FAILED, error="ValueError: " + "x" * 300)
    make_attempt(job, message="x" * 300)
    screen.log_in("demo")
    screen.driver.set_window_size(500, 900)

    screen.open(page_of(job) if path == "job" else path)

    widths = "return [document.scrollingElement.scrollWidth, window.innerWidth]"
    scrolled, seen = screen.driver.execute_script(widths)
    assert scrolled <= seen


def test_colours_follow_the_theme(screen):
    job = make_job(status=Status.FAILED)
    screen.log_in("demo")
    shown = {}
    for theme in ("light", "dark"):
        screen.driver.execute_script("localStorage.setItem('theme', arguments[0])", theme)
        screen.open(page_of(job))
        shown[theme] = (background(screen, "body"), background(screen, ".job-badge"))
    screen.driver.execute_script("localStorage.removeItem('theme')")

    assert shown["light"] == ("rgba(255, 255, 255, 1)", "rgba(251, 224, 224, 1)")
    assert shown["dark"] == ("rgba(18, 18, 18, 1)", "rgba(77, 23, 23, 1)")


def test_swagger_lists_the_addresses_and_the_job_classes(screen):
    screen.log_in("demo")

    screen.open("/docs")

    screen.shows("/create-jobs/")
    screen.shows("/job-status/")
    assert screen.all(".swagger-ui .opblock")
