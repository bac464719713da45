"""What keeps an account from being Ready and needs its owner or another team to act."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

# A condition's message is read by people.
MEMBERS_SHOWN = 3


class Stage(StrEnum):
    """The condition that an obstacle belongs to."""

    DATABASE = "DatabaseSynced"
    QUOTA = "QuotaSynced"
    KEY = "KeyIssued"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """One obstacle: a reason for programs, and a message with the cure for people."""

    stage: Stage
    reason: str
    """CamelCase, stable: https://pkg.go.dev/k8s.io/apimachinery/pkg/apis/meta/v1#Condition."""
    message: str


def tier_not_found(name: str) -> Obstacle:
    """The Tier in `spec.tier` does not exist."""
    return Obstacle(
        Stage.DATABASE,
        "TierNotFound",
        f"There is no Tier {name!r}. Create it, or name one that `kubectl get tiers` lists in spec.tier. "
        "Until then the previous limits stay in effect.",
    )


def secret_conflict(name: str) -> Obstacle:
    """A Secret of that name has another owner."""
    return Obstacle(
        Stage.KEY,
        "SecretConflict",
        f"The Secret {name!r} exists and does not belong to this Account; it is left unchanged. Delete it, or recreate "
        "the Account with another spec.apiKey.secretName.",
    )


def secret_refused(name: str, error: str) -> Obstacle:
    """The API server refuses the Secret: it is immutable, or a policy forbids it."""
    return Obstacle(
        Stage.KEY,
        "SecretRefused",
        f"The API server refuses to write the Secret {name!r}: {error}. Delete it if it is immutable or of another "
        "type, or change the policy that refuses it. Earlier keys stay valid.",
    )


def forbidden(stage: Stage, error: str) -> Obstacle:
    """The API server refuses the operator: a right is missing, or a quota or policy of the namespace forbids it."""
    return Obstacle(
        stage,
        "Forbidden",
        f"The API server forbids it: {error}. Grant the operator the rights that docs/operator.md lists (the chart "
        "does), or change the quota or policy that forbids it; the operator retries until then.",
    )


def name_taken(name: str, account_id: int) -> Obstacle:
    """An account that was made on the command line has the name."""
    return Obstacle(
        Stage.DATABASE,
        "NameTaken",
        f"Account {account_id} in the database is named {name!r} and was not made by an Account resource. "
        "Delete it (`luna account delete --purge`), or choose another name for this Account.",
    )


def invalid(message: str) -> Obstacle:
    """The resource has a value that its schema should have refused."""
    return Obstacle(
        Stage.DATABASE, "InvalidSpec", f"{message} Is the CustomResourceDefinition of this release applied?"
    )


def invalid_members(refused: Sequence[str]) -> Obstacle:
    """Some entries of `spec.members` cannot be applied; everything else of the resource is in effect."""
    shown, more = refused[:MEMBERS_SHOWN], len(refused) - MEMBERS_SHOWN
    others = [f"{more} more cannot be applied either."] if more > 0 else []
    return Obstacle(
        Stage.DATABASE, "InvalidMembers", " ".join([*shown, *others, "The other members and fields are in effect."])
    )


def unavailable(stage: Stage, store: str, error: str) -> Obstacle:
    """A store or the API server did not answer; the operator retries."""
    return Obstacle(stage, f"{store}Unavailable", f"{store} did not answer ({error}); retrying until it does.")
