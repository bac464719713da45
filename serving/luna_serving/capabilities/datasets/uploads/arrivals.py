"""Compares what a set declares with what the object store has."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from luna_serving.capabilities.datasets.store.records import FileRecord, SetRecord
from luna_serving.capabilities.datasets.uploads.keys import incoming_of, upload_key
from luna_serving.objects.client import ObjectStore
from luna_serving.objects.errors import ObjectMissing
from luna_serving.objects.values import Part

# Multipart uploads that are asked for their parts at once.
ASKED_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What of a set is in the store."""

    present: frozenset[int]
    """Positions of files whose bytes were there before: they have a sealed object."""
    stored: frozenset[int]
    """Positions of files that were uploaded whole."""
    parts: Mapping[int, Sequence[Part]] = field(default_factory=dict)
    """Of files that are sent in parts: those that have arrived with their size."""
    gone: frozenset[int] = frozenset()
    """Positions of files whose multipart upload was given up: they need another one."""

    def missing(self, files: Sequence[FileRecord]) -> list[FileRecord]:
        """The files that are still to be sent, in whole or in part."""
        there = self.present | self.stored
        return [each for each in files if each.position not in there]


def part_sizes(size: int, part_bytes: int, most_parts: int) -> list[int]:
    """The sizes of a file's parts: `part_bytes`, or more where there would be too many, and the rest."""
    step = max(part_bytes, -(-size // most_parts))
    whole, rest = divmod(size, step)
    return [step] * whole + ([rest] if rest else [])


class PartSizes:
    """How files are divided."""

    def __init__(self, part_bytes: int, most_parts: int) -> None:
        self._part_bytes = part_bytes
        self._most_parts = most_parts

    def is_divided(self, size: int) -> bool:
        """Whether a file of this size is sent in parts."""
        return size > self._part_bytes

    def of(self, size: int) -> list[int]:
        """The sizes of its parts."""
        return part_sizes(size, self._part_bytes, self._most_parts)


async def look(store: ObjectStore, record: SetRecord, files: Sequence[FileRecord], sizes: PartSizes) -> Arrivals:
    """What has arrived. An object of the wrong size is deleted: its URL can then be used again.

    Raises:
        StoreGone, StoreRefused: the store does not answer.
    """
    present = frozenset(each.position for each in files if each.object_key is not None)
    if len(present) == len(files):
        return Arrivals(present, frozenset())
    prefix = incoming_of(record.account_id, record.id)
    found = {listed.key: listed.bytes async for listed in store.list(prefix)}
    stored: set[int] = set()
    wrong: list[str] = []
    under_way: list[FileRecord] = []
    for each in files:
        if each.position in present:
            continue
        key = upload_key(record.account_id, record.id, each.position)
        if found.get(key) == each.bytes:
            stored.add(each.position)
        elif key in found:
            wrong.append(key)
        elif each.upload_id is not None:
            under_way.append(each)
    if wrong:
        await store.delete_many(wrong)
    parts = await _parts(store, record, under_way, sizes)
    gone = frozenset(position for position, arrived in parts.items() if arrived is None)
    return Arrivals(
        present, frozenset(stored), {i: arrived for i, arrived in parts.items() if arrived is not None}, gone
    )


async def _parts(
    store: ObjectStore, record: SetRecord, files: Sequence[FileRecord], sizes: PartSizes
) -> dict[int, Sequence[Part] | None]:
    turns = asyncio.Semaphore(ASKED_AT_ONCE)

    async def of(file: FileRecord) -> tuple[int, Sequence[Part] | None]:
        wanted = sizes.of(file.bytes)
        async with turns:
            try:
                key = upload_key(record.account_id, record.id, file.position)
                arrived = await store.multipart.parts(key, file.upload_id or "")
            except ObjectMissing:
                return file.position, None
        return file.position, [p for p in arrived if p.number <= len(wanted) and p.bytes == wanted[p.number - 1]]

    return dict(await asyncio.gather(*(of(each) for each in files)))


def whole(file: FileRecord, parts: Sequence[Part], sizes: PartSizes) -> bool:
    """Whether all parts of a file have arrived."""
    return file.upload_id is not None and len(parts) == len(sizes.of(file.bytes))
