# SPDX-License-Identifier: Apache-2.0
"""The one gate in front of every backend: are these the arrays that the card wants?"""

from collections.abc import Mapping, Sequence

import numpy as np

from perception_nodes.inference.model_card import ANY, ModelCard
from perception_nodes.types import Array, PerceptionError


def check_inputs(card: ModelCard, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Check names, dtypes and shapes; return the arrays C-contiguous, in the card's order.

    Raises
    ------
    PerceptionError
        One line that states which input is wrong and what it should be.
    """
    wanted = [spec.name for spec in card.inputs]
    if set(inputs) != set(wanted):
        missing = [name for name in wanted if name not in inputs]
        unknown = [name for name in inputs if name not in wanted]
        raise PerceptionError(
            f'model {card.name!r} takes {wanted}: missing {missing}, unknown {unknown}'
        )
    checked: dict[str, Array] = {}
    for spec in card.inputs:
        array = np.asarray(inputs[spec.name])
        if array.dtype != np.dtype(spec.dtype):
            raise PerceptionError(
                f'input {spec.name!r} of model {card.name!r} is {spec.dtype}, not {array.dtype}'
            )
        fits = array.ndim == len(spec.shape) and all(
            size == want or (want == ANY and size > 0)
            for size, want in zip(array.shape, spec.shape, strict=True)
        )
        if not fits:
            want = ', '.join('any' if size == ANY else str(size) for size in spec.shape)
            raise PerceptionError(
                f'input {spec.name!r} of model {card.name!r} has shape [{want}], '
                f'not {list(array.shape)}'
            )
        checked[spec.name] = np.ascontiguousarray(array)
    return checked


def check_outputs(card: ModelCard, outputs: Sequence[str] | None) -> list[str]:
    """Names to compute: all of the card's, or the given ones if the card has them."""
    known = [spec.name for spec in card.outputs]
    if outputs is None:
        return known
    unknown = [name for name in outputs if name not in known]
    if unknown:
        raise PerceptionError(f'model {card.name!r} has the outputs {known}, not {unknown}')
    return list(outputs)
