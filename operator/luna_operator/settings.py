"""Settings of the operator, read once by `main`. Secrets: `luna_store.accounts.secrets`."""

from typing import Literal

from pydantic import AnyHttpUrl, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

A_DAY_S = 86_400.0


class Settings(BaseSettings):
    """How the operator behaves. Environment variables carry the prefix `LUNA_OPERATOR_`."""

    model_config = SettingsConfigDict(env_prefix="LUNA_OPERATOR_", frozen=True, extra="forbid", env_ignore_empty=True)

    public_url: AnyHttpUrl = Field(description="Where programs reach Luna; `url` in every Secret.")
    workers: int = Field(16, ge=1, le=256, description="Accounts under reconciliation at once.")
    sweep_s: float = Field(
        60.0, gt=0, le=A_DAY_S, description="Seconds between two looks at all accounts, which find and repair drift."
    )
    usage_s: float = Field(15.0, gt=0, le=A_DAY_S, description="Seconds between two looks at the accounts' usage.")
    usage_max_age_s: float = Field(
        300.0,
        gt=0,
        le=A_DAY_S,
        description="Seconds after which usage that changed is written to a status; a threshold at once.",
    )
    reissue_unknown_keys: bool = Field(
        default=False,
        description="Start although LUNA_PEPPERS lacks a pepper of live keys; their Accounts get new ones.",
    )
    migrate: bool = Field(
        default=False,
        description="Migrate the database at the start, and again if it loses its schema: for one that comes with the "
        "release.",
    )
    host: str = Field("0.0.0.0", description="Address of the two ports below.")  # noqa: S104  a pod's probes come from outside
    health_port: int = Field(8080, ge=0, le=65535, description="GET /healthz: alive.")
    metrics_port: int = Field(9090, ge=0, le=65535, description="GET /metrics and GET /readyz.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="JSON lines on standard error.")
    trace_endpoint: str = Field(
        "", description="An OTLP/HTTP collector for settlement's spans, such as http://collector:4318/v1/traces."
    )
