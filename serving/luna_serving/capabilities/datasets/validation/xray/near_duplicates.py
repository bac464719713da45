"""Groups images that are nearly equal, in less than quadratic time.

Candidates are images whose 64-bit hashes differ in at most `RADIUS` bits. Multi-index hashing (M. Norouzi, A. Punjani,
D. J. Fleet, "Fast Search in Hamming Space with Multi-Index Hashing", CVPR 2012): cut into RADIUS + 1 chunks, two such
hashes agree in at least one, so only images that share a chunk are compared. X-rays of one view are alike, and their
hashes are, too: gradients of the thumbnails sort out most candidates, and their correlation decides.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

RADIUS: Final = 3
_CHUNKS: Final = RADIUS + 1
_CHUNK_BITS: Final = 64 // _CHUNKS
# Pearson's correlation of thumbnails. A lossy compression, a scaling or a shift of grey values leaves above 0.999.
MIN_CORRELATION: Final = 0.995
# Of the 240 horizontal gradients of a 16 x 16 thumbnail; unrelated images differ in about 120.
_MAX_GRADIENTS: Final = 64
# Thumbnails that are compared at once. Only sets made for it have more candidates of one image.
_BLOCK: Final = 1_024

Bits = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.int64]


class Group(NamedTuple):
    """Images, by index, that are nearly equal to the first of them or to its negative."""

    first: int
    copies: tuple[int, ...]
    inverted: bool


def near_groups(hashes: Sequence[int], thumbnails: Sequence[str]) -> Iterator[Group]:
    """Groups of nearly equal images; an image is a copy in one group at most.

    Each image is compared with the first of its group only: n nearly equal images take n comparisons.

    Args:
        hashes: a 64-bit dHash for each image.
        thumbnails: for each image as many area means as bytes, in hexadecimal.
    """
    if not hashes:
        return
    bits = np.array(hashes, np.uint64)
    means = _means(thumbnails)
    unit = _unit(means)
    gradients = _gradients(means)
    index = _Index(bits)
    free = np.ones(len(bits), np.bool_)
    for i in range(len(bits)):
        if not free[i]:
            continue
        free[i] = False
        for inverted, wanted in ((False, bits[i]), (True, ~bits[i])):
            near = index.near(wanted, free)
            own = ~gradients[i] if inverted else gradients[i]
            apart = np.bitwise_count(gradients[near] ^ own).sum(axis=1, dtype=np.int64)
            near = np.unique(near[apart <= _MAX_GRADIENTS])
            copies = _copies(near, unit, -unit[i] if inverted else unit[i])
            if len(copies):
                free[copies] = False
                yield Group(i, tuple(copies.tolist()), inverted)


def _copies(near: Indices, unit: npt.NDArray[np.float32], own: npt.NDArray[np.float32]) -> Indices:
    """Those whose thumbnails correlate with an image's, in blocks, up to the first block that has none."""
    found = [near[:0]]
    for at in range(0, len(near), _BLOCK):
        block = near[at : at + _BLOCK]
        copies = block[unit[block] @ own >= MIN_CORRELATION]
        if len(copies) == 0:
            break
        found.append(copies)
    return np.concatenate(found)


class _Index:
    """Finds hashes by each of their chunks."""

    def __init__(self, bits: Bits) -> None:
        self._bits = bits
        self._orders: list[Indices] = []
        self._begins: list[Indices] = []
        for chunk in range(_CHUNKS):
            keys = self._key(bits, chunk)
            order = np.argsort(keys, kind="stable")
            self._orders.append(order)
            self._begins.append(np.searchsorted(keys[order], np.arange((1 << _CHUNK_BITS) + 1, dtype=np.uint64)))

    @staticmethod
    def _key(bits: Bits, chunk: int) -> Bits:
        return (bits >> np.uint64(chunk * _CHUNK_BITS)) & np.uint64((1 << _CHUNK_BITS) - 1)

    def near(self, wanted: np.uint64, free: npt.NDArray[np.bool_]) -> Indices:
        """Images that are free and at most `RADIUS` bits away; some several times."""
        buckets = []
        for chunk in range(_CHUNKS):
            key = (int(wanted) >> (chunk * _CHUNK_BITS)) & ((1 << _CHUNK_BITS) - 1)
            begins = self._begins[chunk]
            buckets.append(self._orders[chunk][begins[key] : begins[key + 1]])
        candidates = np.concatenate(buckets)
        candidates = candidates[free[candidates]]
        close = np.bitwise_count(self._bits[candidates] ^ wanted) <= RADIUS
        found: Indices = candidates[close]
        return found


def _means(thumbnails: Sequence[str]) -> npt.NDArray[np.float32]:
    """Thumbnails as images x rows x columns."""
    side = int((len(thumbnails[0]) // 2) ** 0.5)
    raw = np.frombuffer(bytes.fromhex("".join(thumbnails)), np.uint8)
    return raw.reshape(len(thumbnails), side, side).astype(np.float32)


def _unit(means: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Thumbnails without their mean, of length one: their product is Pearson's correlation."""
    flat = means.reshape(len(means), -1)
    centred = flat - flat.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(centred, axis=1, keepdims=True)
    unit: npt.NDArray[np.float32] = centred / np.maximum(norms, np.float32(1e-6))
    return unit


def _gradients(means: npt.NDArray[np.float32]) -> Bits:
    """Whether each of 16 x 15 means is less than its neighbour, in four words per image."""
    images, side, _ = means.shape
    small = means.reshape(images, 16, side // 16, 16, side // 16).sum(axis=(2, 4))
    bits = np.zeros((images, 256), np.bool_)
    bits[:, :240] = (small[:, :, 1:] > small[:, :, :-1]).reshape(images, 240)
    return np.packbits(bits, axis=1).view(np.uint64)
