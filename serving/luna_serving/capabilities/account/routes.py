"""`GET /api/v1/{account_id}` and `/usage`: an account's limits, quota and usage history."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal

import orjson
import pyarrow as pa
from fastapi import APIRouter, Depends, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncEngine

from luna_serving.access.authorization import Authorization
from luna_serving.edge.account_scope import AccountRoutes, Owner
from luna_serving.edge.openapi import refusals
from luna_serving.edge.query import Instant, in_utc
from luna_serving.edge.store_answers import Meanings, store_answer
from luna_serving.wire import problems
from luna_serving.wire.tabular import JSON, OTHER_FORMS, acceptable, rendered
from luna_store import limits
from luna_store.accounts.accounts import AccountInfo, AccountNotFound, Accounts
from luna_store.ledger.usage import UsagePoint, usage
from luna_store.quota.debits import Standing
from luna_store.quota.windows import window_end

# Two months of hours, years of days: an answer stays below a few thousand rows per route.
LONGEST = {"hour": timedelta(days=62), "day": timedelta(days=1830)}
USAGE = pa.schema(
    [("start", pa.timestamp("us", "UTC")), ("route", pa.string()), ("units", pa.int64()), ("calls", pa.int64())]
)
USAGE_DESCRIPTION = (
    "Units and calls of each route in each hour or day (UTC) of a span; steps without usage are left out. Where the "
    "account's history is limited (`limits.history_days` of `GET /api/v1/{account_id}`), nothing older is shown: the "
    "span then begins where the history does. `since` and `until` of the JSON answer, and the headers `Usage-Since` "
    "and `Usage-Until` of every form, tell the span that was shown."
)
INSTANT = "%Y-%m-%dT%H:%M:%S.%fZ"
MEANINGS: Final[Meanings] = {AccountNotFound: lambda e: problems.not_found(str(e))}


def router(
    authorization: Authorization, accounts: Accounts, engine: AsyncEngine, *, ceilings: Mapping[str, int]
) -> APIRouter:
    """Build the routes.

    Args:
        authorization: recognises callers.
        accounts: the repository.
        engine: where the ledger is.
        ceilings: the server's own limits by name; an account's can only be lower.
    """
    routes = AccountRoutes(authorization, "account", tags=["account"], responses=refusals(401, 403, 404, 422, 503))

    async def own(owner: Annotated[Owner, Depends(routes.own)]) -> tuple[AccountInfo, Standing]:
        return await store_answer(accounts.get(owner.account_id), "The account store", MEANINGS), owner.standing

    Own = Annotated[tuple[AccountInfo, Standing], Depends(own)]  # noqa: N806  a type

    @routes.get("", summary="Own account and quota")
    async def account(found: Own) -> dict[str, Any]:
        info, standing = found
        ends = window_end(info.quota_window, info.window_started_at)
        return {
            "account_id": info.id,
            "account_name": info.account_name,
            "display_name": info.display_name,
            "tier": info.tier,
            "state": info.state,
            "quota": {
                "limit": standing.quota_limit,
                "used": standing.quota_limit - standing.quota_left,
                "remaining": standing.remaining,
                "window": info.quota_window.value,
                "window_ends_at": ends,
            },
            "rate_limit": {"requests_per_second": info.rate_per_second, "burst": info.rate_burst},
            "allowed_models": info.allowed_models,
            "allowed": info.allowed,
            "limits": shown_limits(info.limits, standing.limits, ceilings),
            "expires_at": info.expires_at,
            "keys": [
                {"prefix": k.prefix, "created_at": k.created_at, "expires_at": k.expires_at, "state": k.state}
                for k in info.keys
            ],
        }

    @routes.get(
        "/usage",
        summary="Usage by hour or day; JSON, CSV or Parquet by Accept",
        description=USAGE_DESCRIPTION,
        responses={200: {"description": "The usage of the span.", "content": OTHER_FORMS}, **refusals(406)},
    )
    async def account_usage(
        request: Request,
        found: Own,
        step: Literal["hour", "day"] = "day",
        since: Annotated[Instant | None, Query(description="Inclusive; default 30 days before `until`.")] = None,
        until: Annotated[Instant | None, Query(description="Exclusive; default now.")] = None,
    ) -> Response:
        info, _ = found
        form = acceptable(request.headers.get("accept", "*/*"))
        now = datetime.now(UTC)
        asked, end = span(since, until, step, now)
        start = shown_from(asked, end, limits.in_force(info.limits).get("history_days"), now)
        points = await store_answer(usage(engine, info.id, since=start, until=end, step=step), "The usage ledger")
        headers = {"Usage-Since": f"{start:{INSTANT}}", "Usage-Until": f"{end:{INSTANT}}"}
        return Response(render(points, form, start, end), media_type=form, headers=headers)

    return routes


def shown_limits(
    own: Mapping[str, int], at_debit: Mapping[str, int], ceilings: Mapping[str, int]
) -> dict[str, int | None]:
    """Every limit in force for an account; None where there is none.

    Args:
        own: the limits that were set, from Postgres.
        at_debit: the limits that debits apply at this moment.
        ceilings: the server's.
    """
    shown: dict[str, int | None] = {}
    for limit in limits.LIMITS:
        held = at_debit if limit.checked is limits.Checked.DEBIT else limits.in_force(own)
        bounds = [values[limit.name] for values in (held, ceilings) if limit.name in values]
        shown[limit.name] = min(bounds, default=None)
    return shown


def span(
    since: datetime | None, until: datetime | None, step: Literal["hour", "day"], now: datetime
) -> tuple[datetime, datetime]:
    """The requested span, in UTC; by default the last 30 days.

    Raises:
        Problem: 422.
    """
    end = in_utc("/query/until", until) if until else now
    try:
        start = in_utc("/query/since", since) if since else end - timedelta(days=30)
    except OverflowError as e:
        wrong = "Must lie 30 days after the first of all dates, or come with `since`."
        raise problems.invalid(problems.FieldError("/query/until", wrong)) from e
    if not start < end or end - start > LONGEST[step]:
        wrong = f"Must lie before `until`, and by at most {LONGEST[step].days} days with step={step}."
        raise problems.invalid(problems.FieldError("/query/since", wrong))
    return start, end


def shown_from(since: datetime, until: datetime, history_days: int | None, now: datetime) -> datetime:
    """The instant from which usage is shown: `since`, or where an account's history begins if that is later.

    At most `until`: a span that is older than the history is empty.
    """
    if history_days is None or (now - since) / timedelta(days=1) <= history_days:
        return since
    return min(now - timedelta(days=history_days), until)


def render(points: Sequence[UsagePoint], form: str, since: datetime, until: datetime) -> bytes:
    """The usage of a span in one of the forms."""
    rows = [{"start": p.start, "route": p.route, "units": p.units, "calls": p.calls} for p in points]
    if form == JSON:
        return orjson.dumps({"since": since, "until": until, "usage": rows}, option=orjson.OPT_UTC_Z)
    return rendered(rows, USAGE, form)
