"""All groups that belong to no capability."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import NoDecode

from luna_serving.settings.access import (
    AccessSettings,
    Argon2Settings,
    SessionSettings,
    ThrottleSettings,
    TokenSettings,
)
from luna_serving.settings.alertmanager import AlertmanagerSettings
from luna_serving.settings.cors import CorsSettings
from luna_serving.settings.edge import DispatchSettings, EdgeSettings
from luna_serving.settings.group import CapabilitySettings, Group, Scaled
from luna_serving.settings.objects import ObjectsSettings
from luna_serving.settings.openid import OidcSettings
from luna_serving.settings.prices import PricesSettings
from luna_serving.settings.records import AuditSettings, LogSettings, RequestsSettings, TraceSettings
from luna_serving.settings.webhooks import ReceiverSettings, WebhookSettings


class WorkersSettings(Group):
    """The deployment that hosts background work: jobs, retention, housekeeping."""

    replicas: int = Field(
        1, ge=1, description="Replicas that always run; each takes a share of the loops, and all when others die."
    )
    replicas_max: int = Field(
        1,
        ge=1,
        description="Replicas while many jobs wait, one per `job_slots` that could run; at `replicas` or below, none "
        "are added.",
    )
    replicas_per_node: int = Field(
        0, ge=0, le=100, description="Replicas on one node at most; 0: as many as fit. The chart sets it."
    )
    scale_up_s: float = Field(5.0, ge=0, description="Seconds that jobs wait before replicas are added.")
    scale_down_s: float = Field(
        300.0,
        ge=0,
        description="Seconds without need before replicas go. The jobs of one that goes continue elsewhere, from their "
        "checkpoints.",
    )
    job_slots: int = Field(
        16, ge=1, le=1000, description="Jobs that a replica runs at once. A job mostly waits for blocks of its work."
    )
    blocks: int = Field(
        2,
        ge=1,
        le=100,
        description="Blocks of jobs' work that a replica has computed at once; live calls have the rest.",
    )
    cpus: float = Field(0.0, ge=0, description="CPU cores that Ray reserves for a replica; it mostly waits.")


class PlatformSettings(Group):
    """What belongs to no capability."""

    edge: EdgeSettings = EdgeSettings()
    cors: CorsSettings = CorsSettings()
    dispatch: DispatchSettings = DispatchSettings()
    access: AccessSettings = AccessSettings()
    token: TokenSettings = TokenSettings()
    argon2: Argon2Settings = Argon2Settings()
    session: SessionSettings = SessionSettings()
    oidc: OidcSettings = OidcSettings()
    throttle: ThrottleSettings = ThrottleSettings()
    requests: RequestsSettings = RequestsSettings()
    audit: AuditSettings = AuditSettings()
    workers: WorkersSettings = WorkersSettings()
    objects: ObjectsSettings = ObjectsSettings()
    prices: PricesSettings = PricesSettings()
    webhooks: WebhookSettings = WebhookSettings()
    webhook: ReceiverSettings = ReceiverSettings()
    alertmanager: AlertmanagerSettings = AlertmanagerSettings()
    proxy: Literal["haproxy", "serve"] = Field(
        "serve", description="What listens in front: haproxy or serve; shown by /health/detailed."
    )
    data_dir: str = Field(
        "",
        description="A folder on the disk that /health/system shows: in `luna up` the data folder, otherwise that of "
        "temporary files.",
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

    @model_validator(mode="after")
    def _networks_of_both(self) -> Self:
        """Add the networks of `webhook.allow` to those of `webhooks`, which the rest reads."""
        both = tuple(dict.fromkeys((*self.webhooks.allow_networks, *self.webhook.allow)))
        if both == self.webhooks.allow_networks:
            return self
        return self.model_copy(update={"webhooks": self.webhooks.model_copy(update={"allow_networks": both})})


class ReplicaSettings(CapabilitySettings, Scaled):
    """Settings of a capability that computes on replicas."""

    gpus: float = Field(0.0, ge=0, description="GPUs that Ray reserves for a replica; 0 runs on CPUs.")

    def ongoing(self, platform: "PlatformSettings") -> int:
        """Calls under way at once in one replica, from all ingress replicas."""
        return 4 * platform.dispatch.batches_in_flight + platform.edge.replicas_max


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of an application."""

    platform: PlatformSettings
    capabilities: Mapping[str, CapabilitySettings]
