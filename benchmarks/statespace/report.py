"""Cells as tables and as JSON."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from .measure import Cell, Timed


def tables(cells: Sequence[Cell], bandwidth: float, peers: Sequence[str]) -> str:
    """Return for each task Luna's table, with its ratios, and the peers'."""
    parts = []
    for task, group in groupby(cells, key=lambda cell: cell.task):
        mine = list(group)
        limit = bandwidth / task.bytes_a_step
        copied = (
            f"a copy of the {task.bytes_a_step} bytes that a step reads and writes: {steps_a_second(limit)} steps/s"
        )
        parts += [f"{task.title}\n  {copied}", _aligned(_luna_rows(mine, limit, peers)), _aligned(_peer_rows(mine))]
    return "\n\n".join(part for part in parts if part)


def _luna_rows(cells: Sequence[Cell], limit: float, peers: Sequence[str]) -> list[list[str]]:
    rows = [["series", "periods", "Luna's way", "steps/s", "of copy", *(f"÷ {peer}" for peer in peers)]]
    for cell in cells:
        for way in cell.luna:
            against = {peer.name: _ratio(way.steps_per_s / peer.steps_per_s) for peer in cell.peers}
            share = f"{100 * way.steps_per_s / limit:.2g} %"
            figures = [steps_a_second(way.steps_per_s), share, *(against.get(peer, "") for peer in peers)]
            rows.append([*map(str, cell.size), way.name, *figures])
    return rows


def _peer_rows(cells: Sequence[Cell]) -> list[list[str]]:
    rows = [["series", "periods", "peer", "steps/s", "µs a step", "measured on"]]
    for cell in cells:
        for peer in cell.peers:
            part = "all" if peer.measured == cell.size else "{} x {}".format(*peer.measured)
            figures = [steps_a_second(peer.steps_per_s), f"{1e6 / peer.steps_per_s:.3g}", part]
            rows.append([*map(str, cell.size), peer.name, *figures])
    return rows if len(rows) > 1 else []


def _aligned(rows: list[list[str]]) -> str:
    """Columns with two blanks between them; names to the left, figures to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = (
            cell.ljust(width) if place == 2 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _ratio(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def steps_a_second(value: float) -> str:
    """Three digits and k, M or G."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        # What would round up to the next unit belongs there.
        if value >= 0.9995 * size:
            return f"{value / size:.3g} {letter}"
    return f"{value:.3g}  "


def as_json(cells: Sequence[Cell], facts: Mapping[str, str], bandwidth: float) -> dict[str, Any]:
    """Return everything that was seen, each round included."""
    return {
        "benchmark": "statespace",
        "facts": dict(facts),
        "copy_bytes_per_s": bandwidth,
        "cells": [
            {
                "task": cell.task.value,
                "bytes_a_step": cell.task.bytes_a_step,
                "series": cell.size.series,
                "periods": cell.size.periods,
                "luna": [_timed_json(way) for way in cell.luna],
                "peers": [_timed_json(peer) for peer in cell.peers],
            }
            for cell in cells
        ],
    }


def _timed_json(timed: Timed) -> dict[str, Any]:
    return {
        "name": timed.name,
        "measured_series": timed.measured.series,
        "measured_periods": timed.measured.periods,
        "steps_per_s": timed.steps_per_s,
        "seconds_a_call": timed.seconds,
    }
