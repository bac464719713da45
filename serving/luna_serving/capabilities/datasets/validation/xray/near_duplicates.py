"""Finds images that are nearly equal, in less than quadratic time.

Candidates are pairs whose 64-bit hashes differ in at most `RADIUS` bits. Multi-index hashing (M. Norouzi, A. Punjani,
D. J. Fleet, "Fast Search in Hamming Space with Multi-Index Hashing", CVPR 2012): cut into RADIUS + 1 chunks, two such
hashes agree in at least one chunk, so only images that share a chunk are compared. X-rays of one view are alike, and their
hashes are too; thumbnails decide which candidates are the same image.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

RADIUS: Final = 3
_CHUNKS: Final = RADIUS + 1
_CHUNK_BITS: Final = 64 // _CHUNKS
# Pearson's correlation of thumbnails: below 0.999 for images of two patients, above for one that was compressed again.
MIN_CORRELATION: Final = 0.999
_BLOCK: Final = 1 << 20

Bits = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Pairs:
    """Nearly equal images, by index; each pair once."""

    first: Indices
    second: Indices
    inverted: npt.NDArray[np.bool_]
    """Whether one is nearly the negative of the other."""


def near_pairs(hashes: Sequence[int], thumbnails: Sequence[str]) -> Pairs:
    """Pairs of nearly equal images.

    Args:
        hashes: a 64-bit dHash for each image.
        thumbnails: for each image as many area means as bytes, in hexadecimal.
    """
    bits = np.array(hashes, np.uint64)
    unit = _unit(thumbnails)
    found: list[npt.NDArray[np.int64]] = []
    for inverted, others in ((0, bits), (1, ~bits)):
        for first, second in _candidates(bits, others):
            close = np.einsum("ij,ij->i", unit[first], unit[second]) * (1 - 2 * inverted) >= MIN_CORRELATION
            first, second = first[close], second[close]  # noqa: PLW2901
            found.append(np.stack([first, second, np.full(len(first), inverted)]))
    pairs = np.unique(np.concatenate(found, axis=1), axis=1) if found else np.zeros((3, 0), np.int64)
    return Pairs(pairs[0], pairs[1], pairs[2].astype(np.bool_))


def _unit(thumbnails: Sequence[str]) -> npt.NDArray[np.float32]:
    """Thumbnails without their mean, of length one: their product is Pearson's correlation."""
    size = len(thumbnails[0]) // 2 if thumbnails else 0
    raw = np.frombuffer(bytes.fromhex("".join(thumbnails)), np.uint8).reshape(len(thumbnails), size)
    centred = raw.astype(np.float32)
    centred -= centred.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(centred, axis=1, keepdims=True)
    return centred / np.maximum(norms, 1e-6)


def _candidates(bits: Bits, others: Bits) -> Iterator[tuple[Indices, Indices]]:
    """Pairs i < j with `bits[i]` and `others[j]` at most `RADIUS` bits apart; some twice."""
    for chunk in range(_CHUNKS):
        shift = np.uint64(chunk * _CHUNK_BITS)
        mask = np.uint64((1 << _CHUNK_BITS) - 1)
        keys, keys_of_others = (bits >> shift) & mask, (others >> shift) & mask
        order = np.argsort(keys_of_others, kind="stable")
        ranked = keys_of_others[order]
        begins, ends = np.searchsorted(ranked, keys, "left"), np.searchsorted(ranked, keys, "right")
        yield from _compared(bits, others, order, begins, ends)


def _compared(
    bits: Bits, others: Bits, order: Indices, begins: Indices, ends: Indices
) -> Iterator[tuple[Indices, Indices]]:
    """Compare each hash with those of its bucket, about a million pairs at a time."""
    sizes = ends - begins
    edges = np.searchsorted(np.cumsum(sizes), np.arange(0, sizes.sum() + _BLOCK, _BLOCK))
    for start, stop in zip(edges[:-1], np.minimum(edges[1:] + 1, len(bits)), strict=True):
        for first in _ranges(start, stop, sizes):
            counts = sizes[first]
            left = np.repeat(first, counts)
            within = np.arange(len(left)) - np.repeat(np.cumsum(counts) - counts, counts)
            right = order[np.repeat(begins[first], counts) + within]
            close = (left < right) & (np.bitwise_count(bits[left] ^ others[right]) <= RADIUS)
            if close.any():
                yield left[close], right[close]


def _ranges(start: int, stop: int, sizes: Indices) -> Iterator[Indices]:
    del sizes
    if start < stop:
        yield np.arange(start, stop)
