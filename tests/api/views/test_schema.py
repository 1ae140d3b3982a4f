from __future__ import annotations

from io import StringIO

import jsonschema
import openapi_spec_validator
import pytest
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.test import Client

from jobs import registry

pytestmark = pytest.mark.django_db

COMPONENT = "#/components/schemas/"


@pytest.fixture
def schema(client_with):
    response = client_with("run_echo").get("/schema/")
    assert response.status_code == 200
    return response.json()


def test_the_schema_is_valid_openapi_3_1(schema):
    assert schema["openapi"] == "3.1.0"
    openapi_spec_validator.validate(schema)


def test_making_the_schema_warns_of_nothing():
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=StringIO())


@pytest.mark.parametrize("slash", ["", "/"])
def test_the_schema_is_yaml_where_asked_for(client_with, slash):
    response = client_with().get(f"/schema{slash}?format=yaml")

    assert response.status_code == 200
    assert response.content.startswith(b"openapi: 3.1.0")


def test_every_address_is_described_once(schema):
    assert set(schema["paths"]) == {
        "/create-jobs/", "/job-status/{job_id}", "/api/jobs/", "/api/jobs/{job_id}/",
        "/api/jobs/{job_id}/retry/", "/api/jobs/{job_id}/cancel/", "/api/job-classes/",
        "/api/jobs/{job_id}/rejected-rows.csv",
        "/api/schedules/", "/api/schedules/{name}/", "/api/schedules/{name}/runs/",
        "/api/schedules/{name}/pause/", "/api/schedules/{name}/resume/",
        "/api/schedules/{name}/run/", "/api/schedules/{name}/backfills/",
        "/api/schedules/{name}/backfills/{backfill_id}/",
        "/api/schedules/{name}/backfills/{backfill_id}/stop/",
        "/api/schedules/{name}/backfills/{backfill_id}/continue/",
    }  # fmt: skip


def test_every_job_class_has_a_schema_of_its_params_with_an_example(schema):
    schemas = schema["components"]["schemas"]

    for spec in registry.specs():
        component = schemas[f"{spec.name}Params"]
        assert set(component["properties"]) == spec.params.names
        assert component["examples"]


def test_every_example_fits_its_job_class(schema):
    for spec in registry.specs():
        example = schema["components"]["schemas"][f"{spec.name}Params"]["examples"][0]

        jsonschema.Draft202012Validator(spec.params.json_schema()).validate(example)


def test_a_job_is_one_of_the_classes_told_apart_by_their_name(schema):
    create = schema["components"]["schemas"]["CreateJob"]

    assert create["discriminator"]["propertyName"] == "job"
    assert set(create["discriminator"]["mapping"]) == {spec.name for spec in registry.specs()}
    assert create["discriminator"]["mapping"]["Echo"] == f"{COMPONENT}CreateJob.Echo"
    body = schema["components"]["schemas"]["CreateJob.Echo"]
    assert body["properties"]["job"]["const"] == "Echo"
    assert body["properties"]["params"] == {"$ref": f"{COMPONENT}EchoParams"}


def test_both_ways_to_say_who_you_are_are_described(schema):
    assert set(schema["components"]["securitySchemes"]) == {"token", "cookieAuth"}
    for operations in schema["paths"].values():
        for operation in operations.values():
            assert operation["security"] == [{"token": []}, {"cookieAuth": []}]


@pytest.mark.parametrize("path", ["/docs", "/docs/"])
def test_a_browser_is_sent_to_log_in_before_the_docs(path):
    response = Client().get(path, headers={"accept": "text/html,*/*"})

    assert response.status_code == 302
    assert response.headers["Location"] == f"/admin/login/?next={path}"


def test_a_browser_with_a_wrong_token_is_refused():
    headers = {"accept": "text/html", "authorization": "Bearer js_wrong"}

    assert Client().get("/docs", headers=headers).status_code == 401


def test_a_form_that_the_schema_does_not_have_is_a_problem(client_with):
    response = client_with().get("/schema/", headers={"accept": "image/png"})

    assert response.status_code == 406
    assert response.json()["type"] == "urn:jobsite:problem:not-acceptable"


@pytest.mark.parametrize("path", ["/docs", "/docs/"])
def test_the_docs_load_nothing_from_elsewhere(person, path):
    client = Client()
    client.force_login(person())

    response = client.get(path, headers={"accept": "text/html"})

    assert response.status_code == 200
    page = response.content.decode()
    assert "http://" not in page
    assert "https://" not in page
    assert '"validatorUrl": null' in page
    assert "/schema/" in page
    for name in ("swagger-ui-bundle.js", "swagger-ui.css", "swagger-ui-standalone-preset.js"):
        local = f"drf_spectacular_sidecar/swagger-ui-dist/{name}"
        assert local in page
        assert finders.find(local)
