"""The filter as a runtime of MLServer. Runs in the environment of mlserver.txt.

MLServer speaks the V2 inference protocol: a tensor of [series, periods] with its values in one list. Adaptive batching
joins the tensors of many calls, which works for series of one length only, and JSON's null is no number of a tensor:
unlike the others this server takes no missing observations.
"""

from benchmarks.http.peers.local_level import filter_values
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Kalman(MLModel):
    """A local level filter."""

    async def load(self) -> bool:
        """Nothing is to be loaded."""
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Filter the series of all calls of a batch."""
        series = NumpyCodec.decode_input(payload.inputs[0])
        # [time, series]: in a copy, whose rows are contiguous.
        levels = filter_values(series.T.copy(order="C")).T
        return InferenceResponse(
            model_name=self.name,
            outputs=[
                NumpyCodec.encode_output("processed_results", levels),
                NumpyCodec.encode_output("input_data", series),
            ],
        )
