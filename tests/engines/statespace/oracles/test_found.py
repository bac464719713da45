"""Cases that the engine was once wrong about, shrunk by `shrink.py`; `found.json` names the seed and what was wrong."""

import json
from pathlib import Path
from typing import Any

import pytest

from .cases import Case
from .judge import judged

FOUND: list[dict[str, Any]] = json.loads(Path(__file__).with_name("found.json").read_text())


@pytest.mark.parametrize("found", [pytest.param(each, id=each["name"]) for each in FOUND])
def test_what_was_once_wrong_is_exact(found: dict[str, Any]) -> None:
    wrong = judged(Case.of_words(found)).wrong
    assert not wrong, "\n".join(map(str, wrong))
