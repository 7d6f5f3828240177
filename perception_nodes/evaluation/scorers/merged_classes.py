# SPDX-License-Identifier: Apache-2.0
"""A model's class probabilities as those of a data set with fewer, coarser classes."""

from collections.abc import Mapping, Sequence

import numpy as np

from perception_nodes.types import FloatArray, PerceptionError

__all__ = ['merged_probabilities']


def merged_probabilities(
    probabilities: FloatArray,
    model_classes: Sequence[str],
    merged: Mapping[str, Sequence[str]],
) -> FloatArray:
    """Sum what is merged; the events exclude each other, so their probabilities add.

    Parameters
    ----------
    probabilities : float32 [K, h, w], sum 1 over K. model_classes : K names.
    merged : the names that each of M classes takes in. What none of them takes in is left out, and
        the rest sums to 1 again.

    Returns
    -------
    float32 [M, h, w].

    Raises
    ------
    PerceptionError
        If the model lacks one of the names.
    """
    index = {name: number for number, name in enumerate(model_classes)}
    missing = sorted({part for parts in merged.values() for part in parts} - set(index))
    if missing:
        raise PerceptionError(
            f'the model does not know the class(es) {", ".join(missing)} that this data set merges'
        )
    planes = np.stack([
        probabilities[[index[part] for part in parts]].sum(axis=0) for parts in merged.values()
    ])
    total = planes.sum(axis=0, keepdims=True)
    shared: FloatArray = planes / np.maximum(total, np.float32(1e-12))
    return shared
