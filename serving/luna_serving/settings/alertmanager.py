"""The Alertmanagers that alerts go to."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from luna_serving.settings.group import Group


class AlertmanagerSettings(Group):
    """Prometheus Alertmanagers that the alerts of all accounts go to ([alerts](alerts.md))."""

    url: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Where they are, separated by commas, such as http://alertmanager:9093; a path prefix may follow. "
        "Each is sent every alert, as Prometheus does. None by default.",
    )
    timeout_s: float = Field(10.0, gt=0, le=60, description="Seconds that an Alertmanager has to answer.")

    @field_validator("url", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return tuple(each.strip() for each in value.split(",") if each.strip()) if isinstance(value, str) else value

    @field_validator("url")
    @classmethod
    def _urls(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            parts = urlsplit(each)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
                raise ValueError(f"{each!r} is not the address of an Alertmanager: write http://host:9093.")
        return tuple(each.rstrip("/") for each in value)
