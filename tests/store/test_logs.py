"""Log lines: their members, and what they never contain."""

import io
import json
import logging

import pytest

from luna_store.platform.logs import CONTEXT, configure

SECRET = "hunter-2"
LOG = logging.getLogger("luna.test")


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


def fail(secret: str) -> None:
    raise ValueError(f"of {len(secret)} characters")


def test_a_line_is_one_json_object_with_the_request_and_its_facts(stream: io.StringIO) -> None:
    configure("json", stream=stream)
    token = CONTEXT.set({"request_id": "r-1", "account_id": 7})
    try:
        LOG.info("%s answered", "kalman", extra={"facts": {"status": 200}})
    finally:
        CONTEXT.reset(token)
    line = json.loads(stream.getvalue())
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "logger": "luna.test",
        "message": "kalman answered",
        "request_id": "r-1",
        "account_id": 7,
        "status": 200,
    }


@pytest.mark.parametrize("form", ["json", "text"])
def test_an_exception_is_logged_with_its_stack_and_without_local_variables(form: str, stream: io.StringIO) -> None:
    configure(form, stream=stream)
    try:
        fail(SECRET)
    except ValueError:
        LOG.exception("it failed")
    written = stream.getvalue()
    assert "ValueError: of 8 characters" in written
    assert "test_logs.py" in written
    assert SECRET not in written
    assert len(written.splitlines()) == 1 or form == "text"


def test_lines_below_the_level_are_not_written(stream: io.StringIO) -> None:
    configure("json", level="WARNING", stream=stream)
    LOG.info("quiet")
    LOG.warning("loud")
    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["loud"]
