"""The report as a page: self-contained, without scripts."""

import html
from typing import Any

import orjson


def page_of(report: bytes) -> str:
    """The page of a report, from its JSON."""
    document: dict[str, Any] = orjson.loads(report)
    title = f"{document['name']}@{document['version']}: {document['state']}"
    rows = "".join(
        f"<tr><td>{_text(f['severity'])}<td>{_text(f['id'])}<td>{_text(f.get('path') or '')}<td>{_text(f.get('row'))}"
        f"<td>{_text(f['count'])}<td>{_text(f['message'])} {_text(f['remedy'])}"
        for f in document["findings"]
    )
    head = f"<!doctype html><html lang=en><meta charset=utf-8><title>{_text(title)}</title>"
    return f"{head}<h1>{_text(title)}</h1><table>{rows}</table>"


def _text(value: object) -> str:
    return "" if value is None else html.escape(str(value))
