"""Claims about near duplicates, against a comparison of every pair."""

import time

import numpy as np
from tests.capabilities.datasets.validation.xray import making

from luna_serving.capabilities.datasets.validation.xray.near_duplicates import RADIUS, near_groups
from luna_serving.capabilities.datasets.validation.xray.pixels import reduce


def reduced(images):
    hashes, thumbnails = zip(*(reduce(image) for image in images), strict=True)
    return list(hashes), list(thumbnails)


def test_copies_that_were_changed_a_little_are_found_and_others_are_not():
    original = making.image(1, side=256)
    rng = np.random.default_rng(0)
    copies = {
        "brighter": original + 300,
        "halved": original // 2,
        "8 bits": (original >> 4).astype(np.uint16),
        "noisy": np.clip(original + rng.normal(0, 40, original.shape), 0, 65535).astype(np.uint16),
        "half the size": original.reshape(128, 2, 128, 2).mean(axis=(1, 3)).astype(np.uint16),
        "cropped by a line": original[1:, :-1],
    }
    negative = ((1 << 12) - 1 - original).astype(np.uint16)
    others = [making.image(seed, side=256) for seed in range(2, 60)]
    groups = list(near_groups(*reduced([original, *copies.values(), negative, *others])))
    assert [(g.first, g.copies, g.inverted) for g in groups] == [
        (0, tuple(range(1, len(copies) + 1)), False),
        (0, (len(copies) + 1,), True),
    ]


def test_every_pair_within_the_radius_is_a_candidate():
    rng = np.random.default_rng(3)
    thumbnail = rng.integers(0, 256, 1024, dtype=np.uint8).tobytes().hex()
    base = int(rng.integers(0, 1 << 63))
    for _ in range(300):
        apart = rng.choice(64, int(rng.integers(0, RADIUS + 3)), replace=False)
        other = base ^ sum(1 << int(bit) for bit in apart)
        found = bool(list(near_groups([base, other], [thumbnail, thumbnail])))
        assert found == (len(apart) <= RADIUS)


def test_ten_thousand_images_take_seconds():
    rng = np.random.default_rng(0)
    thumbnails = [rng.integers(0, 256, 1024, dtype=np.uint8).tobytes().hex() for _ in range(10_000)]
    # X-rays of one view: hashes a few bits apart.
    one_view = int(rng.integers(0, 1 << 63))
    hashes = [one_view ^ (1 << i % 61) ^ (1 << i % 47) ^ (1 << i % 29) for i in range(10_000)]
    thumbnails[7_000], hashes[7_000] = thumbnails[5], hashes[5]
    start = time.process_time()
    groups = list(near_groups(hashes, thumbnails))
    assert (5, (7_000,), False) in groups
    # About 1 s, 20 s for every pair; generous for a machine that does something else besides.
    assert time.process_time() - start < 15


def test_no_images_have_no_copies():
    assert list(near_groups([], [])) == []
