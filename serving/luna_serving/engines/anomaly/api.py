"""What the engine offers; callers import nothing else of it. Loads NumPy and `scipy.special`, no JAX.

Rules learn (`learn`), keep `Models.values()` and `States.values()` as JSON, and advance (`advance`) with every
sample; `alarms` says which samples are alarms, and `thresholds` beyond what they are. PromQL uses `score`, `band`,
`forecast` and `probability_of_crossing`, which need samples from `history_start(first step)` on.
"""

from collections.abc import Sequence

from luna_serving.engines.anomaly import learning
from luna_serving.engines.anomaly.alarms import Caution, alarms, thresholds
from luna_serving.engines.anomaly.causal import HISTORY_MS, history_start
from luna_serving.engines.anomaly.functions import band, forecast, probability_of_crossing, score
from luna_serving.engines.anomaly.learning import FEWEST_SAMPLES, MOST_SCORED
from luna_serving.engines.anomaly.memory import Memory
from luna_serving.engines.anomaly.model import FORMAT, Models, States, empty_states, models_of, states_of
from luna_serving.engines.anomaly.panel import Floats, Series, pack
from luna_serving.engines.anomaly.running import run

__all__ = [
    "FEWEST_SAMPLES",
    "FORMAT",
    "HISTORY_MS",
    "MOST_SCORED",
    "Caution",
    "Memory",
    "Models",
    "Series",
    "States",
    "advance",
    "alarms",
    "band",
    "empty_states",
    "forecast",
    "history_start",
    "learn",
    "models_of",
    "probability_of_crossing",
    "score",
    "states_of",
    "thresholds",
]

# Series at a time, so that memory does not grow with their number.
SERIES = 256


def learn(histories: Sequence[Series], most_scored: int = MOST_SCORED) -> tuple[Models, States]:
    """Learns a model of each series, and the state after its history.

    Args:
        histories: timestamps (ms, ascending) and values; values that are not finite count as missing. With fewer than
            `FEWEST_SAMPLES` finite values nothing is learnt: `Models.learnt`.
        most_scored: patterns are fitted to whole histories; level, trend and tails to so many of the last samples.

    Raises:
        ValueError: timestamps that do not ascend, or of another number than the values.
    """
    parts = [
        learning.learn(pack(histories[i : i + SERIES]), most_scored) for i in range(0, max(len(histories), 1), SERIES)
    ]
    return Models.joined([part.models for part in parts]), States.joined([part.states for part in parts])


def advance(models: Models, states: States, samples: Sequence[Series]) -> tuple[list[Floats], list[Floats], States]:
    """Scores further samples.

    Args:
        models: one per series.
        states: after the samples before; not changed.
        samples: of each series, in the order of the models; none is an empty pair. Samples not later than a state's
        last
            are ignored, so sending them twice changes nothing.

    Returns:
        The scores of each series, in standard deviations of the prediction, signed, NaN where missing, late or nothing
        is learnt; the evidence for a shift of the level up to each sample, signed, see `shifts`; the states after.

    Raises:
        ValueError: timestamps that do not ascend, or of another number than the values.
    """
    panel = pack(samples)
    scored, after = run(models, states, panel)
    return panel.unpacked(scored.scores), panel.unpacked(scored.sums), after
