"""What an ingress replica counts of sign-ins."""

from prometheus_client import CollectorRegistry, Counter

from luna_serving.telemetry.metrics import Bound


class PeopleMetrics:
    """Sign-ins, and refresh tokens that were used twice."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.sign_ins = Bound(
            Counter(
                "luna_sign_ins_total",
                "Sign-ins of people, by how they were recognised and whether they were admitted.",
                ["by", "outcome"],
                registry=registry,
            )
        )
        self.reused = Counter(
            "luna_refresh_tokens_reused_total",
            "Refresh tokens that were presented twice; each ended its session.",
            registry=registry,
        )
