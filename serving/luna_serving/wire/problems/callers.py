"""Who calls is not known, may not, or has tried too often."""

from luna_serving.wire.problems.problem import REALM, Problem


class NotPresented(Problem):
    """401 for a request without any credential: nobody has guessed one."""


class SecretRefused(Problem):
    """A password, refresh token or link was wrong: somebody may be guessing. Counted apart from refused API keys."""

    @classmethod
    def of(cls, problem: Problem) -> "SecretRefused":
        """The same problem, as one that counts as a failed attempt."""
        return cls(problem.slug, problem.status, problem.title, problem.detail, problem.headers, problem.extra)


def unauthenticated(detail: str, kind: type[Problem] = Problem) -> Problem:
    """401: a malformed or unknown key; with `NotPresented`, a missing one."""
    return kind(
        "unauthenticated",
        401,
        "Missing or invalid credentials.",
        detail,
        {"WWW-Authenticate": f'Bearer {REALM}, ApiKey {REALM} header="X-API-Key"'},
    )


def other_account() -> Problem:
    """403: the key belongs to another account."""
    return Problem(
        "other-account",
        403,
        "The key belongs to another account.",
        "Put your own account's id in the path, or use that account's key.",
    )


def role_needed(least: str, role: str, *, person: bool) -> Problem:
    """403: the caller is recognised, and its role does not suffice."""
    if person:
        cure = f"Ask an admin of the account for the role {least}, then call /api/v1/auth/refresh."
    else:
        cure = f"API keys act as {role}. Sign in as a person with the role {least}: POST /api/v1/auth/login."
    return Problem(
        "role",
        403,
        "The role does not suffice.",
        f"This needs the role {least}, and you have the role {role}. {cure}",
        extra={"needed": least, "role": role},
    )


def suspended() -> Problem:
    """403: the account exists but may not call."""
    return Problem("suspended", 403, "The account is suspended.", "Ask the team that runs Luna to resume it.")


def expired() -> Problem:
    """403: the account has expired."""
    return Problem("expired", 403, "The account has expired.", "Ask the team that runs Luna to extend it.")


def not_allowed(capability: str, name: str) -> Problem:
    """403: the account may call, but not this: neither its Account nor its Tier allows it."""
    cure = (
        f"GET /api/v1/{{account_id}} shows under `allowed` what it may. The team that runs Luna adds {name!r} to "
        f"spec.allowed.{capability} of the Account or its Tier."
    )
    extra = {"capability": capability, "name": name}
    if capability == "kalman":  # the type of this problem when Kalman's models were all that could be allowed
        detail = f"The model {name!r} is not among the account's allowed models. {cure}"
        return Problem("model-not-allowed", 403, "The account may not use this model.", detail, extra=extra)
    return Problem(
        "not-allowed",
        403,
        f"The account may not use this part of {capability}.",
        f"{name!r} is not among what the account may use of {capability}. {cure}",
        extra=extra,
    )


def too_many_attempts(retry_after_s: int) -> Problem:
    """429: too many attempts to authenticate have failed at the caller's address."""
    return Problem(
        "too-many-attempts",
        429,
        "Too many failed attempts.",
        f"Too many attempts to authenticate have failed from your address. Try again in {retry_after_s} s. A valid API "
        "key is accepted at any time.",
        {"Retry-After": str(retry_after_s)},
    )
