# SPDX-License-Identifier: Apache-2.0
import cv2
import numpy as np
import pytest

from perception_nodes.errors import PerceptionError
from perception_nodes.image_header import declared_size

IMAGE = np.arange(60 * 70 * 3, dtype=np.uint8).reshape(60, 70, 3)


def encoded(kind: str, *options: int) -> bytes:
    return cv2.imencode(kind, IMAGE, options)[1].tobytes()


@pytest.mark.parametrize('content', [
    encoded('.png'), encoded('.jpg'), encoded('.jpg', cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
])
def test_the_size_is_found_and_bounded(content: bytes) -> None:
    assert declared_size(content) == (70, 60)
    with pytest.raises(PerceptionError, match='70x60 pixels, more than 4199'):
        declared_size(content, 4199)
    for cut in (3, 12, 20):
        with pytest.raises(PerceptionError, match=r'no size|neither'):
            declared_size(content[:cut])


def test_a_small_file_that_declares_a_large_image_is_refused() -> None:
    content = bytearray(encoded('.png'))
    content[16:24] = (20_000).to_bytes(4, 'big') * 2
    with pytest.raises(PerceptionError, match='20000x20000'):
        declared_size(bytes(content))
    with pytest.raises(PerceptionError, match='neither JPEG nor PNG'):
        declared_size(b'GIF89a')
