"""The list of limits: what it accepts, and that a limit is written down there and in few other places."""

import re
from pathlib import Path

import pytest

from luna_store import limits
from luna_store.limits import LIMITS, Checked, Limit

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("serving", "migrations", "operator", "crds", "charts")
CODE = {".py", ".lua", ".yaml", ".yml", ".tpl"}


def places(limit: Limit) -> set[str]:
    """Files that name it; generated lines and examples, the shipped tiers among them, count as none."""
    found = set()
    for path in (path for folder in FOLDERS for path in (ROOT / folder).rglob("*")):
        if path.suffix not in CODE or path.is_symlink() or {"examples", ".venv", "tiers.py"} & {*path.parts}:
            continue
        text = re.sub(r"# Generated from.*?# End of the generated lines", "", path.read_text(), flags=re.DOTALL)
        if re.search(rf"\b({re.escape(limit.name)}|{limit.field})\b", text, re.IGNORECASE):
            name = str(path.relative_to(ROOT))
            # A limit is added with the first capability that checks it; others may check it, too.
            found.add(re.sub(r"(capabilities)/.*", r"\1", name))
    return found


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.name)
def test_a_limit_is_named_in_five_places_at_most(limit: Limit) -> None:
    named = places(limit)
    assert "migrations/luna_store/limits.py" in named
    assert len(named) <= 5, sorted(named)


def test_names_and_fields_are_written_as_each_side_writes_them() -> None:
    first = LIMITS[0]
    names = (first.name, first.field, first.path)
    assert names == ("max_series_length", "maxSeriesLength", "spec.limits.maxSeriesLength")
    assert all(re.fullmatch(r"([a-z]+\.)?[a-z]+(_[a-z]+)*", limit.name) for limit in LIMITS)
    assert len({limit.name for limit in LIMITS}) == len(LIMITS)
    assert all(1 <= limit.lowest <= limit.highest <= limits.HIGHEST_BYTES for limit in LIMITS)
    assert all(limit.highest <= limits.HIGHEST or limit.unit == "bytes" for limit in LIMITS)
    of_a_room = next(limit for limit in LIMITS if limit.name == "datasets.stored_bytes")
    assert of_a_room.path == "spec.limits.datasetsStoredBytes"


def test_a_default_holds_unless_the_account_has_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    with_default = Limit("max_jobs", "jobs", "Jobs at once at most", Checked.STORE, default=10)
    monkeypatch.setattr(limits, "LIMITS", (*LIMITS, with_default))
    others = {limit.name: limit.default for limit in LIMITS if limit.default is not None}
    assert limits.in_force({}) == others | {"max_jobs": 10}
    assert limits.in_force({"max_jobs": 3, "history_days": 7}) == others | {"max_jobs": 3, "history_days": 7}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"max_seires": 1}, "max_seires is not a limit; the limits are max_series_length, "),
        ({"max_series_length": 0}, "max_series_length must lie between 1 and 2147483647, or be left out, not 0."),
        ({"history_days": 36_501}, "history_days must lie between 1 and 36500, or be left out, not 36501."),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_the_cure(values: dict[str, int], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        limits.validated(values)
