"""Every kind of model that the wire knows: from the fields of its JSON to checked matrices.

Here stand the builders and what may be estimated of each kind (`parameters`). No schemas: they are the edge's.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from luna_serving.engines.statespace.kinds.arima import arima
from luna_serving.engines.statespace.kinds.local import local_level, local_linear_trend
from luna_serving.engines.statespace.kinds.state_space import state_space
from luna_serving.engines.statespace.kinds.structural import structural
from luna_serving.engines.statespace.kinds.tracking import constant_acceleration, constant_velocity
from luna_serving.engines.statespace.model.model import Model

# A wire "kind" to what builds it; each takes the wire's field names as keywords, and `initial`.
KINDS: Final[Mapping[str, Callable[..., Model]]] = MappingProxyType(
    {
        "local_level": local_level,
        "local_linear_trend": local_linear_trend,
        "constant_velocity": constant_velocity,
        "constant_acceleration": constant_acceleration,
        "structural": structural,
        "arima": arima,
        "state_space": state_space,
    }
)
