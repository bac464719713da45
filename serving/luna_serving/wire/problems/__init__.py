"""Every error that the edge answers: RFC 9457 problems with stable types.

A problem is a value that can be raised: raised where the reason is known, never changed on the way, and turned into an
answer in one place. `type` is the part that programs compare; it never changes meaning.
"""

from luna_serving.wire.problems.callers import (
    NotPresented,
    SecretRefused,
    expired,
    not_allowed,
    other_account,
    role_needed,
    suspended,
    too_many_attempts,
    unauthenticated,
)
from luna_serving.wire.problems.problem import CONTENT_TYPE, REALM, TYPE_BASE, FieldError, Problem
from luna_serving.wire.problems.quota import PERMANENT_RETRY_S, quota_exhausted, rate_limited
from luna_serving.wire.problems.requests import (
    bad_request,
    invalid,
    limit_reached,
    managed,
    method_not_allowed,
    not_acceptable,
    not_compressed_so,
    not_found,
    precondition_failed,
    too_large,
    unsupported_content_coding,
    unsupported_media_type,
)
from luna_serving.wire.problems.service import deadline, dependencies_gone, internal, overloaded, slow_body

__all__ = [
    "CONTENT_TYPE",
    "PERMANENT_RETRY_S",
    "REALM",
    "TYPE_BASE",
    "FieldError",
    "NotPresented",
    "Problem",
    "SecretRefused",
    "bad_request",
    "deadline",
    "dependencies_gone",
    "expired",
    "internal",
    "invalid",
    "limit_reached",
    "managed",
    "method_not_allowed",
    "not_acceptable",
    "not_allowed",
    "not_compressed_so",
    "not_found",
    "other_account",
    "overloaded",
    "precondition_failed",
    "quota_exhausted",
    "rate_limited",
    "role_needed",
    "slow_body",
    "suspended",
    "too_large",
    "too_many_attempts",
    "unauthenticated",
    "unsupported_content_coding",
    "unsupported_media_type",
]
