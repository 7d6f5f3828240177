# SPDX-License-Identifier: Apache-2.0
"""nv12, nv21 and nv24: a plane of luma, then one of interleaved chroma (V4L2's NV formats).

Limited range BT.601, as for the other YUV encodings.
"""

import cv2
import numpy as np

from perception_nodes.types import Array, PerceptionError

__all__ = ['SEMI_PLANAR', 'semi_planar_rgb']

SEMI_PLANAR = ('nv12', 'nv21', 'nv24')


def semi_planar_rgb(
    data: Array, encoding: str, width: int, height: int, step: int
) -> Array:
    """Convert to RGB.

    Parameters
    ----------
    data : uint8 [N], the message's bytes. step : bytes of a row of luma.

    Returns
    -------
    uint8 [H, W, 3].

    Raises
    ------
    PerceptionError
        If the size does not go with the data.
    """
    full = encoding == 'nv24'
    if step < width:
        raise PerceptionError(f'image step {step} is too small: {width} px of {encoding}')
    if not full and (width % 2 or height % 2):
        raise PerceptionError(f'{encoding} image has odd size {width}x{height}')
    wanted = step * height * 3 if full else step * height * 3 // 2
    if data.size != wanted:
        raise PerceptionError(
            f'image data is {data.size} bytes but {encoding} of step {step} x height {height} '
            f'has {wanted}'
        )
    luma = data[:step * height].reshape(height, step)[:, :width]
    if not full:
        chroma = data[step * height:].reshape(height // 2, step)[:, :width]
        code = cv2.COLOR_YUV2RGB_NV12 if encoding == 'nv12' else cv2.COLOR_YUV2RGB_NV21
        return np.asarray(cv2.cvtColor(np.vstack([luma, chroma]), code))
    # The same arithmetic as of nv12: an image of twice the size whose chroma is this one's.
    chroma = data[step * height:].reshape(height, 2 * step)[:, :2 * width]
    twice = np.vstack([luma.repeat(2, axis=0).repeat(2, axis=1), chroma])
    return np.ascontiguousarray(cv2.cvtColor(twice, cv2.COLOR_YUV2RGB_NV12)[::2, ::2])
