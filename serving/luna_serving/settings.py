"""Settings, read once where the application is built.

They travel to the replicas inside the Serve application. Secrets do not: Serve keeps what it is given in its control
store, so every process reads them from its own environment (`luna_store.accounts.secrets`).

Each group is one frozen object that goes to the code that uses it. An environment variable is
`LUNA_<GROUP>_<FIELD>`: LUNA_EDGE_MAX_BODY_BYTES is `edge.max_body_bytes`. A capability adds its own group.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
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
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Networks of the proxies in front of Luna whose X-Forwarded-For is believed, in CIDR notation, "
        "separated by commas; none by default. Luna's own HAProxy is not named here ([abuse](abuse.md)).",
    )

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        return tuple(each.strip() for each in value.split(",") if each.strip()) if isinstance(value, str) else value

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            try:
                ip_network(each)
            except ValueError as e:
                raise ValueError(f"{e}. Write networks in CIDR notation, such as 10.0.0.0/8,fd00::/8.") from e
        return value


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
    """Access tokens, of keys and of people."""

    lifetime_s: int = Field(900, gt=0, description="Seconds that a token is valid.")
    issuer: str = Field("luna", min_length=1, description="The claim `iss`: names this installation.")
    audience: str = Field("luna", min_length=1, description="The claim `aud`; tokens for another audience are refused.")


class Argon2Settings(Group):
    """Password hashes: Argon2id, by default with the low-memory parameters of RFC 9106, section 4.

    New parameters take effect for a person at the next sign-in.
    """

    memory_kib: int = Field(65_536, ge=8_192, description="KiB of memory of one hash.")
    passes: int = Field(3, ge=1, description="Passes over the memory.")
    lanes: int = Field(4, ge=1, description="Lanes of one hash; the memory is divided among them.")
    at_once: int = Field(
        2, ge=1, description="Hashes at once in one ingress replica: bounds the memory and CPU that sign-ins take."
    )


class SessionSettings(Group):
    """Sessions of people."""

    lifetime_s: int = Field(
        2_592_000, gt=0, description="Seconds after which a person signs in again, however active (30 days)."
    )
    refresh_lifetime_s: int = Field(
        1_209_600, gt=0, description="Seconds after which an unused refresh token ends (14 days)."
    )
    most_per_person: int = Field(
        20, ge=1, description="Live sessions of a person in an account; the oldest end when more begin."
    )


class ThrottleSettings(Group):
    """Limits on failed attempts to authenticate, per address ([abuse](abuse.md))."""

    login_attempts: int = Field(
        30, gt=0, description="Failed logins of an address before it is blocked; enough for an office with one address."
    )
    login_attempts_per_email: int = Field(
        10, gt=0, description="Failed logins of an address with one email before they are blocked."
    )
    refresh_attempts: int = Field(60, gt=0, description="Refused refresh tokens of an address before it is blocked.")
    password_attempts: int = Field(
        20, gt=0, description="Failed changes of a password of an address before it is blocked."
    )
    provider_attempts: int = Field(
        30, gt=0, description="Failed callbacks of OpenID providers of an address before it is blocked."
    )
    refill_s: float = Field(
        60.0, gt=0, description="Seconds until one of these attempts comes back: guessing goes on at this pace at most."
    )
    block_s: float = Field(
        300.0, gt=0, le=300, description="Seconds of a block of people's attempts; the contract allows 5 minutes."
    )
    key_failures: int = Field(
        200, gt=0, description="Unknown API keys and invalid tokens of an address before they are answered 429."
    )
    key_refill_s: float = Field(15.0, gt=0, description="Seconds until one of these failures is forgotten.")
    key_block_s: float = Field(
        60.0, gt=0, le=300, description="Seconds of their block; valid keys are served meanwhile."
    )
    delay_after: int = Field(3, ge=0, description="Failures without a delay before the next attempt: people mistype.")
    delay_first_s: float = Field(
        0.05, ge=0, description="Seconds of the first delay before a further attempt; each later one is twice as long."
    )
    delay_most_s: float = Field(
        1.0, ge=0, le=10, description="Seconds of the longest delay; a waiting attempt holds a connection."
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
    argon2: Argon2Settings = Argon2Settings()
    session: SessionSettings = SessionSettings()
    throttle: ThrottleSettings = ThrottleSettings()
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
