"""Statistics over a window."""

from typing import Final

from luna_serving.engines.indicators.catalogue.entry import Group, Indicator, Stability
from luna_serving.engines.indicators.catalogue.inputs import CLOSE
from luna_serving.engines.indicators.catalogue.lookbacks import BEFORE_PERIOD, PERIOD
from luna_serving.engines.indicators.catalogue.talib_entry import LARGEST, number, of_talib, period
from luna_serving.engines.indicators.functions.relative import beta, correl

GROUP, WINDOW = Group.STATISTIC, Stability.WINDOW
FIT: Final = (period(14),)
NBDEV: Final = number("nbdev", 1.0, -LARGEST, LARGEST)

ENTRIES: Final[tuple[Indicator, ...]] = (
    of_talib("LINEARREG", "End of a regression line", GROUP, CLOSE, WINDOW, BEFORE_PERIOD, FIT),
    of_talib("LINEARREG_SLOPE", "Slope of a regression line", GROUP, CLOSE, WINDOW, BEFORE_PERIOD, FIT),
    of_talib("LINEARREG_INTERCEPT", "Start of a regression line", GROUP, CLOSE, WINDOW, BEFORE_PERIOD, FIT),
    of_talib("LINEARREG_ANGLE", "Slope in degrees", GROUP, CLOSE, WINDOW, BEFORE_PERIOD, FIT),
    of_talib("TSF", "A regression line's forecast of the next bar", GROUP, CLOSE, WINDOW, BEFORE_PERIOD, FIT),
    of_talib("STDDEV", "Population deviation", GROUP, CLOSE, WINDOW, BEFORE_PERIOD, (period(5), NBDEV)),
    of_talib("VAR", "Population variance", GROUP, CLOSE, WINDOW, BEFORE_PERIOD, (period(5, 1),)),
    of_talib("AVGDEV", "Mean absolute deviation", GROUP, CLOSE, WINDOW, BEFORE_PERIOD, FIT),
    of_talib("MAX", "Largest close", GROUP, CLOSE, WINDOW, BEFORE_PERIOD, (period(30),)),
    of_talib("MIN", "Smallest close", GROUP, CLOSE, WINDOW, BEFORE_PERIOD, (period(30),)),
    of_talib("SUM", "Sum of closes", GROUP, CLOSE, WINDOW, BEFORE_PERIOD, (period(30),)),
    of_talib(
        "PERCENTILE",
        "Percentile of closes",
        GROUP,
        CLOSE,
        WINDOW,
        BEFORE_PERIOD,
        (period(30), number("percentile", 50.0, 0.0, 100.0)),
    ),
    Indicator(
        name="beta",
        title="Slope of returns on the benchmark's returns",
        group=GROUP,
        inputs=CLOSE,
        parameters=(period(5, 1),),
        outputs=("beta",),
        stability=WINDOW,
        lookback_rule=PERIOD,
        formula=beta,
        needs_benchmark=True,
    ),
    Indicator(
        name="correl",
        title="Correlation with the benchmark's prices",
        group=GROUP,
        inputs=CLOSE,
        parameters=(period(30, 1),),
        outputs=("correl",),
        stability=WINDOW,
        lookback_rule=BEFORE_PERIOD,
        formula=correl,
        needs_benchmark=True,
    ),
    of_talib("PERCENTRANK", "Rank among earlier closes, percent", GROUP, CLOSE, WINDOW, PERIOD, (period(100),)),
)
