"""Reads settings from arguments and the environment, and names their variables."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydantic import create_model, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from luna_serving.settings.group import CapabilitySettings, Group
from luna_serving.settings.platform import PlatformSettings, Settings

# Variables of Luna that are no settings: secrets, what clients read from `.luna/env`, tests and other programs.
OTHER_VARIABLES: Final = frozenset(
    f"LUNA_{name}"
    for name in ("PEPPERS", "CLIENT_SECRETS", "URL", "ACCOUNT_ID", "API_KEY", "EMAIL", "PASSWORD", "RUN_DIR")
)
OTHER_PREFIXES: Final = ("LUNA_OPERATOR_", "LUNA_TEST_", "LUNA_CLUSTER_", "LUNA_CRDS")


def read_settings(
    groups: Mapping[str, type[CapabilitySettings]], arguments: Mapping[str, Any] | None = None
) -> Settings:
    """Read the settings of the platform and of capabilities.

    Args:
        groups: the settings of each capability, by its name.
        arguments: groups with fields, which win over the environment's LUNA_ variables.

    Raises:
        ValidationError: a setting is unknown or out of its range; names it.
    """
    # A group without fields takes no variables: LUNA_ACCOUNT_ID is not a setting of the capability `account`.
    known = {name: (group, group()) for name, group in groups.items() if group.model_fields}
    fields: dict[str, Any] = {
        name: (field.annotation, field) for name, field in PlatformSettings.model_fields.items()
    } | known
    reader = create_model("Settings", __base__=_FromEnvironment, **fields)
    read = reader(**(arguments or {}))
    own = {name: getattr(read, name) for name in PlatformSettings.model_fields}
    return Settings(
        PlatformSettings.model_validate(own),
        {name: getattr(read, name) if name in known else group() for name, group in groups.items()},
    )


class _FromEnvironment(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="LUNA_",
        env_nested_delimiter="_",
        env_nested_max_split=1,
        frozen=True,
        extra="forbid",
        env_ignore_empty=True,
    )

    @field_validator("only", mode="before", check_fields=False)  # create_model adds the field
    @classmethod
    def _names(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        names = tuple(name.strip() for name in value.split(",") if name.strip())
        if not names:
            raise ValueError("Name at least one capability, such as kalman.")
        return names


def variables(groups: Mapping[str, type[CapabilitySettings]]) -> Iterable[tuple[str, Any]]:
    """Every environment variable of the settings, with its pydantic field."""
    for name, field in PlatformSettings.model_fields.items():
        group = field.annotation
        if isinstance(group, type) and issubclass(group, Group):
            yield from ((f"LUNA_{name}_{inner}".upper(), f) for inner, f in group.model_fields.items())
        else:
            yield f"LUNA_{name}".upper(), field
    for name, capability in groups.items():
        yield from ((f"LUNA_{name}_{inner}".upper(), f) for inner, f in capability.model_fields.items())


def misspelt(groups: Mapping[str, type[CapabilitySettings]], environment: Iterable[str]) -> list[str]:
    """The variables that look like settings and are none.

    A pod's environment may hold others (Kubernetes makes LUNA_SERVE_SVC_PORT of a Service), so only `luna up` refuses
    them.
    """
    known = {name for name, _ in variables(groups)} | OTHER_VARIABLES
    return sorted(
        name
        for name in environment
        if name.startswith("LUNA_") and name not in known and not name.startswith(OTHER_PREFIXES)
    )
