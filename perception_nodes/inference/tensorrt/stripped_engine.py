# SPDX-License-Identifier: Apache-2.0
"""An engine that was stored without its weights gets them back from the ONNX file."""

from typing import Any

from perception_nodes.inference.tensorrt.engine_builder import EnginePlan, typed_model
from perception_nodes.inference.tensorrt.engine_cache import StaleEngineError


def put_weights_in(plan: EnginePlan, engine: Any, logger: Any) -> None:
    """Refit a stripped engine in place.

    The graph is made static and lowered once more, just as for building, because the engine knows
    its weights by the names in that graph.

    Raises
    ------
    StaleEngineError
        If the graph does not hold the weights that the engine wants.
    """
    trt = plan.library.module
    refitter = trt.Refitter(engine, logger)
    parser = trt.OnnxParserRefitter(refitter, logger)
    taken = parser.refit_from_bytes(typed_model(plan))
    missing = [str(name) for name in refitter.get_missing_weights()]
    if not taken or missing or not refitter.refit_cuda_engine():
        errors = [parser.get_error(index).desc() for index in range(parser.num_errors)]
        reasons = '; '.join([*errors, *(f'no weights {name!r}' for name in missing[:3])])
        raise StaleEngineError(
            f'{plan.key.file_name} does not take the weights of {plan.card.name!r}: '
            + (reasons or 'the library reports no reason')
        )
