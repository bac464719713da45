"""`luna alerts`: rule files of Prometheus, and the calls that are made of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from luna_serving.cli import main
from luna_serving.commands.alerts import AlertCommands
from luna_serving.commands.calls import Calls
from luna_serving.commands.errors import CommandFailed
from luna_serving.commands.rule_files import read_rules

if TYPE_CHECKING:
    from pathlib import Path

FILE = """
groups:
- name: hosts
  interval: 30s
  query_offset: 1m
  labels: {team: infra}
  rules:
  - alert: Hot
    expr: |
      avg by (host) (cpu) > 0.9
    for: 5m
    keep_firing_for: 2m
    labels: {severity: page, level: 1}
    annotations: {summary: "{{ $labels.host }} is at {{ $value }}"}
  - alert: Down
    expr: 1 - up
"""
RECORDING = "groups: [{name: g, rules: [{record: 'a:b', expr: sum(a)}, {alert: A, expr: a}]}]"


def test_a_rule_file_becomes_rules() -> None:
    assert read_rules(FILE, "rules.yml", skip_recording=False) == [
        {
            "name": "Hot",
            "expr": "avg by (host) (cpu) > 0.9",
            "group": "hosts",
            "for": "5m",
            "keep_firing_for": "2m",
            "annotations": {"summary": "{{ $labels.host }} is at {{ $value }}"},
            "interval": "30s",
            "query_offset": "1m",
            "labels": {"team": "infra", "severity": "page", "level": "1"},
        },
        {
            "name": "Down",
            "expr": "1 - up",
            "group": "hosts",
            "interval": "30s",
            "query_offset": "1m",
            "labels": {"team": "infra"},
        },
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("groups: [", "not YAML"),
        ("rules: []", "no rule file"),
        ("groups: [{rules: []}]", "must have a `name`"),
        ("groups: [{name: g, rules: [{alert: A}]}]", "`alert` and `expr`"),
        ("groups: [{name: g, partial_response_strategy: warn}]", "'partial_response_strategy' is not known"),
        ("groups: [{name: g, limit: 3, rules: []}]", "`limit` is not supported"),
        ("groups: [{name: g, rules: [{alert: A, expr: a, fr: 5m}]}]", "'fr' is not known"),
        (RECORDING, "'a:b' is a recording rule.*--skip-recording"),
    ],
)
def test_what_luna_has_not_is_refused(text: str, words: str) -> None:
    with pytest.raises(CommandFailed, match=words):
        read_rules(text, "rules.yml", skip_recording=False)


def test_recording_rules_are_left_out_if_asked() -> None:
    assert [each["name"] for each in read_rules(RECORDING, "rules.yml", skip_recording=True)] == ["A"]


def test_a_dry_run_needs_no_luna(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "rules.yml").write_text(FILE)
    assert main(["alerts", "import", str(tmp_path / "rules.yml"), "--dry-run", "--webhook", "https://a.example/"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [each["webhook"] for each in shown] == ["https://a.example/"] * 2


def test_a_file_that_is_imported_again_replaces_its_rules() -> None:
    made: list[tuple[str, str, dict[str, Any]]] = []
    answer = {"id": "1", "state": "inactive", "health": "unknown", "last_error": None}

    def luna(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            items = [{**answer, **body, "id": str(i), "query": "x"} for i, (_, _, body) in enumerate(made, 1) if body]
            return httpx.Response(200, json={"items": items, "next_cursor": None})
        body = json.loads(request.content)
        made.append((request.method, request.url.path, body))
        return httpx.Response(200, json={**answer, **body, "query": "x"})

    rules = read_rules(FILE, "rules.yml", skip_recording=False)
    with httpx.Client(base_url="http://luna.test/api/v1", transport=httpx.MockTransport(luna)) as client:
        commands = AlertCommands(Calls(client))
        commands.put(rules)
        commands.put(rules)
        assert "2 rules" in commands.put(rules[:2]).text
    assert [(method, path.rsplit("/", 1)[-1]) for method, path, _ in made[:4]] == [
        ("POST", "rules"),
        ("POST", "rules"),
        ("PUT", "1"),
        ("PUT", "2"),
    ]
