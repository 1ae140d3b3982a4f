"""The peers: how each is started, two processes that run jobs, and where its ends are read."""

from __future__ import annotations

from pathlib import Path

from benchmarks.subject import Plan

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / "var" / "peers"


def bin_of(name: str) -> Path:
    """Return the folder of the programs of a peer's virtual environment."""
    return HOME / name / "bin"


def _django(peer: str, **environment: str) -> dict[str, str]:
    return {"DJANGO_SETTINGS_MODULE": f"benchmarks.peers.{peer}.settings", **environment}


def _celery(name: str, **environment: str) -> Plan:
    program = (str(bin_of("celery") / "celery"), "-A", "benchmarks.peers.celery.app", "worker")
    return Plan(
        name=name,
        python=str(bin_of("celery") / "python"),
        driver="benchmarks.peers.celery.driver",
        environment=_django("celery", **environment),
        workers=((*program, "-c", "2", "-l", "INFO", "-Q", "{queues,}"),),
        tables=("django_celery_results_taskresult",),
        is_done="SELECT count(*) >= %(count)s FROM django_celery_results_taskresult "
        "WHERE status = 'SUCCESS'",
        ended_since="SELECT count(*), extract(epoch FROM max(date_done)) "
        "FROM django_celery_results_taskresult "
        "WHERE status = 'SUCCESS' AND date_done > to_timestamp(%s)",
    )


def _django_ox(name: str, *options: str) -> Plan:
    python = str(bin_of("django_ox") / "python")
    command = (python, "-m", "django", "ox_worker", "--processes", "2")
    return Plan(
        name=name,
        python=python,
        driver="benchmarks.peers.django_ox.driver",
        environment=_django("django_ox"),
        workers=((*command, *options, "--queues", "{queues,}"),),
        tables=("django_ox_oxtask",),
        is_done="SELECT NOT EXISTS (SELECT FROM django_ox_oxtask WHERE status <> 'SUCCESSFUL')",
        ended_since="SELECT count(*), extract(epoch FROM max(finished_at)) FROM django_ox_oxtask "
        "WHERE finished_at > to_timestamp(%s)",
    )


def _procrastinate() -> Plan:
    python = str(bin_of("procrastinate") / "python")
    worker = (python, "-m", "django", "procrastinate", "worker", "-c", "10", "-q", "{queues,}")
    return Plan(
        name="procrastinate",
        python=python,
        driver="benchmarks.peers.procrastinate.driver",
        environment=_django("procrastinate"),
        workers=(worker,) * 2,
        tables=("procrastinate_jobs", "procrastinate_events"),
        is_done="SELECT NOT EXISTS (SELECT FROM procrastinate_jobs WHERE status <> 'succeeded')",
        ended_since="SELECT count(*), extract(epoch FROM max(at)) FROM procrastinate_events "
        "WHERE type = 'succeeded' AND at > to_timestamp(%s)",
    )


def _pgqueuer() -> Plan:
    consumer = "benchmarks.peers.pgqueuer.consumer:main"
    return Plan(
        name="pgqueuer",
        python=str(bin_of("pgqueuer") / "python"),
        driver="benchmarks.peers.pgqueuer.driver",
        workers=((str(bin_of("pgqueuer") / "pgq"), "run", consumer, "--batch-size", "100"),) * 2,
        tables=("pgqueuer", "pgqueuer_log"),
        is_done="SELECT NOT EXISTS (SELECT FROM pgqueuer)",
        ended_since="SELECT count(*), extract(epoch FROM max(created)) FROM pgqueuer_log "
        "WHERE status = 'successful' AND created > to_timestamp(%s)",
    )


# By the peer's folder: a peer may be measured in more than one way.
PLANS: dict[str, tuple[Plan, ...]] = {
    "celery": (_celery("celery"), _celery("celery_tracked", BENCH_TRACKED="1")),
    "procrastinate": (_procrastinate(),),
    "django_ox": (
        _django_ox("django_ox"),
        _django_ox("django_ox_tuned", "--interval", "0.02", "--concurrency", "10"),
    ),
    "pgqueuer": (_pgqueuer(),),
}
