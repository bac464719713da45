"""The operator's settings: read from the environment, refused by name, never shown where they are secret."""

from typing import Any

import pytest
from pydantic import ValidationError

from luna_operator.settings import Settings
from luna_store.accounts.api_keys import PepperMissing
from luna_store.accounts.secrets import Secrets

URL = "http://luna.example:8000"
SECRETS = {
    "DATABASE_URL": "postgresql://luna:hunter2@db/luna",
    "REDIS_URL": "redis://:hunter2@redis/0",
    "LUNA_PEPPERS": "new:hunter2-hunter2-hunter2,old:hunter3-hunter3-hunter3",
}
GIVEN: dict[str, tuple[str, Any]] = {
    "workers": ("3", 3),
    "sweep_s": ("0.5", 0.5),
    "usage_s": ("1e1", 10.0),
    "usage_max_age_s": ("86400", 86_400.0),
    "reissue_unknown_keys": ("true", True),
    "migrate": ("true", True),
    "host": ("127.0.0.1", "127.0.0.1"),
    "health_port": ("0", 0),
    "metrics_port": ("65535", 65_535),
    "log_level": ("DEBUG", "DEBUG"),
    "trace_endpoint": ("http://collector:4318/v1/traces", "http://collector:4318/v1/traces"),
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Nothing but the one setting that has no default."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"LUNA_OPERATOR_{name.upper()}", raising=False)
    for name in SECRETS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LUNA_OPERATOR_PUBLIC_URL", URL)
    return monkeypatch


def test_every_setting_has_a_value_here() -> None:
    assert {*GIVEN, "public_url"} == set(Settings.model_fields)


@pytest.mark.parametrize("name", GIVEN)
def test_a_setting_is_read_from_its_variable(environment: pytest.MonkeyPatch, name: str) -> None:
    text, value = GIVEN[name]
    environment.setenv(f"LUNA_OPERATOR_{name.upper()}", text)
    assert Settings().model_dump(exclude={"public_url"}) == {
        **{other: field.default for other, field in Settings.model_fields.items() if other != "public_url"},
        name: value,
    }


@pytest.mark.parametrize("name", GIVEN)
def test_an_empty_variable_says_nothing(environment: pytest.MonkeyPatch, name: str) -> None:
    """Charts and compose files pass on unset variables as empty."""
    environment.setenv(f"LUNA_OPERATOR_{name.upper()}", "")
    assert getattr(Settings(), name) == Settings.model_fields[name].default


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("public_url", "luna"),
        ("public_url", "ftp://luna.example"),
        ("workers", "0"),
        ("workers", "257"),
        ("workers", "many"),
        ("sweep_s", "0"),
        ("sweep_s", "inf"),
        ("usage_s", "-1"),
        ("usage_s", "nan"),
        ("usage_max_age_s", "0"),
        ("usage_max_age_s", "1e300"),
        ("health_port", "-1"),
        ("metrics_port", "65536"),
        ("log_level", "LOUD"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_by_name(environment: pytest.MonkeyPatch, name: str, text: str) -> None:
    environment.setenv(f"LUNA_OPERATOR_{name.upper()}", text)
    with pytest.raises(ValidationError) as refused:
        Settings()
    assert [error["loc"] for error in refused.value.errors()] == [(name,)]


def test_without_a_public_url_there_are_no_settings(environment: pytest.MonkeyPatch) -> None:
    environment.delenv("LUNA_OPERATOR_PUBLIC_URL")
    with pytest.raises(ValidationError) as refused:
        Settings()
    assert [(error["loc"], error["type"]) for error in refused.value.errors()] == [(("public_url",), "missing")]


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().workers = 2  # type: ignore[misc]


def test_every_setting_says_what_it_is() -> None:
    for field in (*Settings.model_fields.values(), *Secrets.model_fields.values()):
        assert field.description
        assert field.description.endswith(".")


class TestSecrets:
    """Where the stores are, and what keys are hashed with."""

    @pytest.fixture(autouse=True)
    def given(self, environment: pytest.MonkeyPatch) -> None:
        for name, value in SECRETS.items():
            environment.setenv(name, value)

    def test_they_are_read_from_the_variables_that_serving_reads(self) -> None:
        secrets = Secrets()
        assert secrets.database_url.get_secret_value() == SECRETS["DATABASE_URL"]
        assert secrets.redis_url.get_secret_value() == SECRETS["REDIS_URL"]
        assert list(secrets.peppers.by_name) == ["new", "old"]

    def test_they_do_not_show(self) -> None:
        secrets = Secrets()
        assert "hunter" not in f"{secrets!r} {secrets} {secrets.model_dump()} {secrets.peppers!r}"

    @pytest.mark.parametrize("name", SECRETS)
    @pytest.mark.parametrize("absent", [None, ""])
    def test_without_one_there_is_no_start(
        self, environment: pytest.MonkeyPatch, name: str, absent: str | None
    ) -> None:
        environment.delenv(name)
        if absent is not None:
            environment.setenv(name, absent)
        with pytest.raises(ValidationError) as refused:
            Secrets()
        assert [error["loc"] for error in refused.value.errors()] == [(name.lower(),)]

    def test_a_pepper_that_is_too_short_is_refused_without_showing_it(self, environment: pytest.MonkeyPatch) -> None:
        environment.setenv("LUNA_PEPPERS", "new:hunter2")
        with pytest.raises(PepperMissing, match="LUNA_PEPPERS") as refused:
            _ = Secrets().peppers
        assert "hunter2" not in str(refused.value)
