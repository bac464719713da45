"""Settings, read once where the application is built.

They travel to the replicas inside the Serve application. Secrets do not: Serve keeps what it is given in its control
store, so every process reads them from its own environment (`luna_store.accounts.secrets`).

Each group is one frozen object that goes to the code that uses it. An environment variable is
`LUNA_<GROUP>_<FIELD>`: LUNA_EDGE_MAX_BODY_BYTES is `edge.max_body_bytes`. A capability adds its own group.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, create_model, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

# Serve's own default target of an ingress replica would start a second one at 2 calls under way.
ONGOING_PER_INGRESS = 64


# Variables of Luna that are no settings: secrets, what clients read from `.luna/env`, tests and other programs.
OTHER_VARIABLES: Final = frozenset(
    {"LUNA_PEPPERS", "LUNA_URL", "LUNA_ACCOUNT_ID", "LUNA_API_KEY", "LUNA_EMAIL", "LUNA_PASSWORD", "LUNA_RUN_DIR"}
)
OTHER_PREFIXES: Final = ("LUNA_OPERATOR_", "LUNA_TEST_", "LUNA_CLUSTER_", "LUNA_CRDS")


class Group(BaseModel):
    """Settings of one part. A misspelt name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Scaled(Group):
    """Settings of a Serve deployment that scales."""

    replicas_min: int = Field(1, ge=1, description="Replicas that always run.")
    replicas_max: int = Field(1, ge=1, description="Replicas under full load.")
    cpus: float = Field(0.5, ge=0, description="CPU cores that Ray reserves for a replica.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.replicas_min > self.replicas_max:
            raise ValueError(f"replicas_min ({self.replicas_min}) must not exceed replicas_max ({self.replicas_max}).")
        return self


class EdgeSettings(Scaled):
    """The ingress deployment: HTTP in, HTTP out."""

    max_body_bytes: int = Field(
        10 * 1024 * 1024, gt=0, description="Bytes of a request body; a larger one is answered 413."
    )
    request_timeout_s: float = Field(
        30.0, gt=0, description="Seconds until a call is answered 408; a caller may ask for less."
    )
    max_sockets: int = Field(
        1_000, gt=0, description="WebSockets of one ingress replica; more are refused with 503 before the upgrade."
    )
    log_requests: bool = Field(
        default=False,
        description="One log line per request; off by default: it adds a sixth to the edge's CPU time of a call. "
        "Answers of 500 and above are logged in any case.",
    )


class DispatchSettings(Group):
    """Batching, in each ingress replica."""

    max_queued: int = Field(2_000, gt=0, description="Calls that wait in one lane; more are answered 503 at once.")
    max_batch: int = Field(
        256, gt=0, description="Calls in one round trip to Redis and to a replica: bounds what one slow call delays."
    )
    max_batch_points: int = Field(262_144, gt=0, description="Points in one round trip to a replica, beyond one call.")
    batches_in_flight: int = Field(
        2, ge=1, description="Round trips under way at once: one debits while the one before computes."
    )


class AccessSettings(Group):
    """The stores that decide about calls."""

    store_timeout_s: float = Field(
        1.0,
        gt=0,
        description="Seconds that Redis has to answer before Postgres takes over the debits, and Postgres before a "
        "named model comes from memory.",
    )


class TokenSettings(Group):
    """Tokens of /api/v1/auth/token."""

    lifetime_s: int = Field(900, gt=0, description="Seconds that a token is valid.")


class AuditSettings(Group):
    """The audit log: who changed accounts, keys, members and models."""

    retention_days: int = Field(
        400, ge=1, le=36_500, description="Days that an entry is kept at least; it goes with the last one of its month."
    )


class WorkersSettings(Group):
    """The deployment that hosts periodic work: retention, housekeeping."""

    replicas: int = Field(1, ge=1, description="Replicas; each takes a share of the loops, and all when others die.")
    cpus: float = Field(0.0, ge=0, description="CPU cores that Ray reserves for a replica; it mostly waits.")


class LogSettings(Group):
    """Log lines of every process, on its standard error."""

    format: Literal["json", "text"] = Field("json", description="json, an object per line, or text.")
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="The least severe level logged.")


class TraceSettings(Group):
    """OpenTelemetry spans of every process."""

    endpoint: str = Field(
        "", description="An OTLP/HTTP collector, such as http://collector:4318/v1/traces; empty: no spans."
    )
    ratio: float = Field(
        1.0, ge=0, le=1, description="Share of traces that are recorded where the caller's traceparent does not say."
    )


class CapabilitySettings(Group):
    """Settings of a capability; the base of those that compute nothing."""

    def ceilings(self) -> Mapping[str, int]:
        """The server's own limits, which those of an account can only lower, by the limit's name."""
        return {}


class ReplicaSettings(CapabilitySettings, Scaled):
    """Settings of a capability that computes on replicas."""

    gpus: float = Field(0.0, ge=0, description="GPUs that Ray reserves for a replica; 0 runs on CPUs.")

    def ongoing(self, platform: "PlatformSettings") -> int:
        """Calls under way at once in one replica, from all ingress replicas."""
        return 4 * platform.dispatch.batches_in_flight + platform.edge.replicas_max


class PlatformSettings(Group):
    """What belongs to no capability."""

    edge: EdgeSettings = EdgeSettings()
    dispatch: DispatchSettings = DispatchSettings()
    access: AccessSettings = AccessSettings()
    token: TokenSettings = TokenSettings()
    audit: AuditSettings = AuditSettings()
    workers: WorkersSettings = WorkersSettings()
    proxy: Literal["haproxy", "serve"] = Field(
        "serve", description="What listens in front: haproxy or serve; shown by /health/detailed."
    )
    log: LogSettings = LogSettings()
    trace: TraceSettings = TraceSettings()
    only: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="The capabilities to serve, separated by commas; all by default. `account` is always served."
    )
    hosts: dict[str, tuple[str, ...]] = Field(
        {},
        description='Deployments that host several capabilities, as JSON: {"compute": ["kalman", "indicators"]}; "*" '
        "is every other one. A capability that is not named has a deployment of its own.",
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of an application."""

    platform: PlatformSettings
    capabilities: Mapping[str, CapabilitySettings]


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
