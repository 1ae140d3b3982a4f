from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose

from jobs import conf
from tests.deploy.production import BASE_DIR

TEXT = (BASE_DIR / "docker-compose.yml").read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(TEXT)["services"]
# Without these there is no start: ${NAME:?what to do}.
NEEDED = set(re.findall(r"\$\{([A-Z_]+):\?", TEXT))


def resolved() -> dict[str, Any]:
    """Return the file with its variables and merge keys resolved, as compose does it first."""
    defaults = re.sub(r"\$\{[A-Z_]+:?-([^}]*)\}", r"\1", TEXT)
    return yaml.safe_load(re.sub(r"\$\{[A-Z_]+:\?[^}]*\}", "given", defaults))


def test_the_file_is_what_compose_understands():
    compose = PyCompose.from_yaml(yaml.safe_dump(resolved()))

    compose.validate()

    assert set(compose.service_names()) == {
        "web", "worker", "scheduler", "migrate", "postgres", "valkey",
    }  # fmt: skip


def test_a_broken_file_would_be_refused():
    broken = resolved()
    broken["services"]["web"]["networks"] = ["elsewhere"]

    with pytest.raises(ValueError, match="elsewhere"):
        PyCompose.from_yaml(yaml.safe_dump(broken)).validate()


def test_only_the_web_server_is_published_and_only_on_this_host():
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}

    assert published == {"web": ["127.0.0.1:${PORT:-8000}:8000"]}


def test_a_worker_can_be_scaled():
    assert not {"container_name", "ports", "hostname"} & set(SERVICES["worker"])


@pytest.mark.parametrize("name", ["SECRET_KEY", "ALLOWED_HOSTS", "POSTGRES_PASSWORD"])
def test_a_missing_secret_says_what_to_do(name: str):
    assert name in NEEDED
    assert re.search(rf"\$\{{{name}:\?set it in \.env", TEXT)


def test_no_secret_stands_in_the_file():
    for service in SERVICES.values():
        for name, value in service["environment"].items():
            if re.search("SECRET|PASSWORD|AUTH|_URL", name):
                assert "${" in value, name


def example() -> dict[str, str]:
    lines = (BASE_DIR / ".env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if re.match(r"[A-Z_]+=", line))


def test_the_example_names_every_variable_that_is_needed_and_sets_no_secret():
    given = example()

    assert given.keys() >= NEEDED
    assert not any(given[name] for name in NEEDED)


def test_every_service_that_goes_on_is_watched():
    image_watches = "HEALTHCHECK" in (BASE_DIR / "Dockerfile").read_text()
    for name, service in SERVICES.items():
        if name not in {"migrate", "web"}:
            assert service["healthcheck"]["test"], name
    assert image_watches
    assert "healthcheck" not in SERVICES["web"]  # the image's own


def test_nothing_starts_before_the_tables_stand():
    for name in ("web", "worker", "scheduler"):
        conditions = SERVICES[name]["depends_on"]
        assert conditions["migrate"]["condition"] == "service_completed_successfully"
        assert conditions["postgres"]["condition"] == "service_healthy"


def test_migrate_makes_the_tables_of_the_demo_too():
    command = " ".join(SERVICES["migrate"]["command"])

    assert "manage.py migrate" in command
    assert "manage.py jobs demo" in command


def test_the_shipped_schedules_may_touch_what_they_are_for():
    given = example()

    assert SERVICES["worker"]["env_file"] == [".env"]
    assert given["TRUNCATABLE_TABLES"] == "public.daily_stats"
    assert given["IMPORT_TABLES"] == "public.airports"


def test_data_lie_in_named_volumes():
    volumes = {name: SERVICES[name]["volumes"] for name in ("postgres", "valkey")}

    assert volumes == {"postgres": ["postgres:/var/lib/postgresql"], "valkey": ["valkey:/data"]}


def test_a_stopped_worker_has_longer_than_its_jobs():
    seconds = int(SERVICES["worker"]["stop_grace_period"].removesuffix("s"))
    settings = conf.Conf()

    assert seconds > (settings.grace + settings.kill_after).total_seconds() + 5


@pytest.mark.parametrize("name", ["web", "worker", "scheduler", "migrate"])
def test_our_processes_may_do_little(name: str):
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
