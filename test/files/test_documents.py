# SPDX-License-Identifier: Apache-2.0
import json
from dataclasses import dataclass

import numpy as np
import pytest

from perception_nodes.files.documents import decode_json, to_json
from perception_nodes.types import PerceptionError


@dataclass(frozen=True)
class Toy:
    name: str
    sizes: tuple[int, ...] = ()
    share: float = 0.0


def test_json_becomes_the_type() -> None:
    assert decode_json(b'{"name": "a", "sizes": [1, 2], "share": 1}', Toy) == Toy('a', (1, 2), 1.0)


@pytest.mark.parametrize(('text', 'told'), [
    ('{"name": 5}', r'\$\.name'),
    ('{"name": "a", "sizes": [1.5]}', r'\$\.sizes\[0\]'),
    ('{"name": "a", "sizes": null}', r'\$\.sizes'),
    ('{}', 'name'),
    ('[]', 'object'),
    ('', 'truncated'),
    ('{"name": "a", "share": NaN}', 'malformed'),
    ('{"name": "a", "share": Infinity}', 'malformed'),
    ('{"name": "a", "share": 1e999}', 'range'),
    ('[' * 200_000, 'array'),
    ('{"name": "a", "other": ' + '[' * 200_000, 'deep|truncated|malformed'),
    (b'\xff\xfe', 'malformed'),
])
def test_what_does_not_fit_is_one_line_that_says_where(text: str | bytes, told: str) -> None:
    with pytest.raises(PerceptionError, match=told) as error:
        decode_json(text, Toy)
    assert '\n' not in str(error.value)
    assert len(str(error.value)) <= 200


def test_what_is_not_finite_becomes_null_and_numpy_becomes_plain() -> None:
    value = {'a': float('nan'), 'b': np.float32('inf'), 'c': np.arange(2), 'd': (np.int64(3),),
             'e': Toy('x', share=-np.inf), 5: np.array([np.nan, 1.0])}
    assert json.loads(to_json(value)) == {
        'a': None, 'b': None, 'c': [0, 1], 'd': [3],
        'e': {'name': 'x', 'sizes': [], 'share': None}, '5': [None, 1.0],
    }
