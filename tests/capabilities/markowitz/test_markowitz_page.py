"""The examples of docs/markowitz.md are answered as it says."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.capabilities.markowitz.asking import answer, refused

PAGE = (Path(__file__).parents[3] / "docs" / "markowitz.md").read_text()
EXAMPLES = re.findall(r"```json\nPOST /markowitz\n(.*?)\n-> (422 )?(.*?)\n```", PAGE, re.DOTALL)


def same(shown: Any, found: Any) -> None:
    """What the page shows is in the answer."""
    if isinstance(shown, dict):
        for name, value in shown.items():
            same(value, found[name])
    elif isinstance(shown, list):
        assert len(shown) == len(found)
        for a, b in zip(shown, found, strict=True):
            same(a, b)
    elif isinstance(shown, float | int):
        assert found == pytest.approx(shown, rel=1e-9, abs=1e-12)
    else:
        assert found == shown


@pytest.mark.parametrize("place", range(len(EXAMPLES)))
def test_an_example(place: int) -> None:
    body, refusal, shown = EXAMPLES[place]
    found = refused(json.loads(body)) if refusal else answer(**json.loads(body))
    same(json.loads(shown), found)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 5


def test_the_paper_s_numbers() -> None:
    (body,) = (json.loads(body) for body, _, _ in EXAMPLES if "black_litterman" in body)
    posterior = answer(**body)["posterior"]
    assert round(100 * posterior["mean"][3], 2) == 11.04
    assert round(100 * posterior["weights"][3], 1) == 35.4
