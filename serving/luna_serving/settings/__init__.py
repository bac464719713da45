"""Settings, read once where the application is built.

They travel to the replicas inside the Serve application. Secrets do not: Serve keeps what it is given in its control
store, so every process reads them from its own environment (`luna_store.accounts.secrets`).

Each group is one frozen object that goes to the code that uses it. An environment variable is
`LUNA_<GROUP>_<FIELD>`: LUNA_EDGE_MAX_BODY_BYTES is `edge.max_body_bytes`. A capability adds its own group.
"""

from luna_serving.settings.access import (
    AccessSettings,
    Argon2Settings,
    SessionSettings,
    ThrottleSettings,
    TokenSettings,
)
from luna_serving.settings.alertmanager import AlertmanagerSettings
from luna_serving.settings.cors import CorsSettings
from luna_serving.settings.edge import ONGOING_PER_INGRESS, DispatchSettings, EdgeSettings
from luna_serving.settings.group import CapabilitySettings, Group, Scaled, ShardSettings
from luna_serving.settings.objects import ObjectsSettings
from luna_serving.settings.openid import OidcSettings
from luna_serving.settings.platform import PlatformSettings, ReplicaSettings, Settings, WorkersSettings
from luna_serving.settings.prices import PricesSettings
from luna_serving.settings.reading import OTHER_VARIABLES, misspelt, read_settings, variables
from luna_serving.settings.records import AuditSettings, LogSettings, RequestsSettings, TraceSettings
from luna_serving.settings.webhooks import ReceiverSettings, WebhookSettings

__all__ = [
    "ONGOING_PER_INGRESS",
    "OTHER_VARIABLES",
    "AccessSettings",
    "AlertmanagerSettings",
    "Argon2Settings",
    "AuditSettings",
    "CapabilitySettings",
    "CorsSettings",
    "DispatchSettings",
    "EdgeSettings",
    "Group",
    "LogSettings",
    "ObjectsSettings",
    "OidcSettings",
    "PlatformSettings",
    "PricesSettings",
    "ReceiverSettings",
    "ReplicaSettings",
    "RequestsSettings",
    "Scaled",
    "SessionSettings",
    "Settings",
    "ShardSettings",
    "ThrottleSettings",
    "TokenSettings",
    "TraceSettings",
    "WebhookSettings",
    "WorkersSettings",
    "misspelt",
    "read_settings",
    "variables",
]
