"""What a job shows of itself, beyond its columns."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from luna_serving.edge.event_stream import frame, read_last_id
from luna_serving.jobs.routes.wire import (
    at_event,
    dumped,
    error_of,
    eta_s,
    item,
    look_again_s,
    matches,
    page_of,
    tag_of,
)
from luna_serving.wire.problems import Problem
from luna_store.jobs.reading import Job, JobDetail
from luna_store.jobs.states import JobStatus

BEGAN = datetime(2026, 11, 29, 8, tzinfo=UTC)


def job(**changes: Any) -> Job:
    fields: dict[str, Any] = {
        "id": uuid.UUID(int=7),
        "account_id": 3,
        "kind": "kalman/fit",
        "status": JobStatus.RUNNING,
        "priority": 0,
        "labels": {},
        "progress": {"completed": 10, "total": 40, "unit": "series"},
        "error": None,
        "units_reserved": 40,
        "units_used": 0,
        "attempt": 1,
        "created_at": BEGAN,
        "started_at": BEGAN,
        "finished_at": None,
        "deadline": BEGAN + timedelta(days=5),
        "expires_at": BEGAN + timedelta(days=30),
        "data_deleted_at": None,
        "cancel_requested_at": None,
        "queued_at": BEGAN,
        "webhook_url": None,
    }
    return Job(**fields | changes)


def after(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def test_the_time_left_follows_the_pace_so_far() -> None:
    assert eta_s(job(), after(5)) == 15
    assert eta_s(job(progress={"completed": 0, "total": 4}), after(5)) is None
    assert eta_s(job(status=JobStatus.QUEUED), after(5)) is None
    # A clock that is behind the database's.
    assert eta_s(job(), after(-5)) == 0


def test_who_polls_looks_again_soon_and_then_less_often() -> None:
    waiting = job(status=JobStatus.QUEUED, started_at=None)
    assert [look_again_s(waiting, after(s)) for s in (0, 20, 7200)] == [1, 5, 30]
    assert [look_again_s(job(), after(s)) for s in (0.1, 5, 7200)] == [1, 15, 30]


def test_a_tag_changes_with_the_job_and_not_with_the_clock() -> None:
    def tag(changed: Job, seconds: float) -> str:
        return tag_of(page_of(JobDetail(changed, None, None, None, (), ()), after(seconds)))

    assert tag(job(), 5) == tag(job(), 9)
    assert tag(job(), 5) != tag(job(progress={"completed": 11, "total": 40, "unit": "series"}), 5)
    assert matches(f'"x", {tag(job(), 1)}', tag(job(), 2))
    assert matches(tag(job(), 1).removeprefix("W/"), tag(job(), 2))
    assert matches("*", tag(job(), 1))
    assert not matches(None, tag(job(), 1))
    assert not matches('"x"', tag(job(), 1))


def test_an_error_names_its_type_by_a_uri() -> None:
    error = {"type": "worker-lost", "title": "T", "detail": "D"}
    assert error_of(error) == error | {"type": "https://luna.dev/problems/worker-lost"}
    assert error_of({"type": "https://other.test/x"}) == {"type": "https://other.test/x"}


def test_an_event_shows_the_job_as_it_was_then() -> None:
    then = {
        "status": "queued",
        "progress": {"completed": 0, "total": 40, "unit": "series"},
        "attempt": 0,
        "started_at": None,
        "finished_at": "2026-11-29T10:00:00.5+02:00",
        "units_used": 0,
        "error": None,
    }
    shown = at_event(job(), then)
    assert shown["status"] == "queued"
    assert shown.keys() == item(job()).keys()
    assert b'"finished_at":"2026-11-29T08:00:00.500000Z"' in dumped(shown)


def test_a_frame_is_one_event() -> None:
    assert frame(7, "progress", b"{}") == b"id: 7\nevent: progress\ndata: {}\n\n"


@pytest.mark.parametrize(
    ("header", "parameter", "found"),
    [(None, None, None), ("7", None, 7), (None, "8", 8), ("7", "8", 7), ("", "8", None), (" 7 ", None, 7)],
)
def test_the_last_id_is_the_headers_or_the_parameters(
    header: str | None, parameter: str | None, found: int | None
) -> None:
    assert read_last_id(header, parameter) == found


@pytest.mark.parametrize("text", ["-1", "x", "1.0", "9" * 19, "٣"])
def test_a_last_id_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(Problem) as refused:
        read_last_id(None, text)
    assert refused.value.status == 422
