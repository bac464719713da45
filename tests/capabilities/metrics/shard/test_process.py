"""The process of a shard is small: it loads neither JAX nor TA-Lib, which no shard needs."""

import subprocess
import sys

LOADED = """
import sys
import luna_serving.capabilities.metrics.shard.shard
import luna_serving.shards.replica
print(*sorted({each.partition(".")[0] for each in sys.modules}))
"""


def test_a_shard_loads_neither_jax_nor_ta_lib() -> None:
    loaded = subprocess.run([sys.executable, "-c", LOADED], check=True, capture_output=True, text=True).stdout.split()
    assert "numpy" in loaded
    assert {"jax", "jaxlib", "talib", "scipy", "clarabel", "fastapi"}.isdisjoint(loaded)
