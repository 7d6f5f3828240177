# SPDX-License-Identifier: Apache-2.0
"""Many damaged inputs, seeded and bounded: what is counted, and how inputs are damaged.

A target makes one input from a random generator and runs the package on it. It may accept the
input or refuse it with a PerceptionError; a target that knows the right answer asserts it.
Everything else is a fault: another exception, half a minute, two gigabytes.

``PERCEPTION_FUZZ`` says how many inputs each target gets: few in ``make test``, many in
``make fuzz``.
"""

import copy
import faulthandler
import json
import os
import random
import resource
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from perception_nodes.types import PerceptionError

INPUTS = int(os.environ.get('PERCEPTION_FUZZ', '0'))
MOST_S, MOST_MB = 30.0, 2000.0
SHOWN = 8

# What the world puts where a number, a name or a list should be.
NASTY: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, -(2**63), 10**30, 0.5, -0.0, 1e308, 1e-320,
    float('nan'), float('inf'), '', ' ', 'x', 'nan', '0', '../..', '/', '/dev/null', 'a\0b', '\n',
    '\ud800', '\U0001f600' * 3, 'x' * 5000, [], [[]], {}, {'x': 1}, [None], [0] * 300,
    '!!python/object:x', '2020-99-99',
)


@dataclass
class Figures:
    """What came of the inputs of one target."""

    name: str
    inputs: int = 0
    accepted: int = 0
    refused: int = 0
    slowest_s: float = 0.0
    peak_mb: float = 0.0
    faults: list[str] = field(default_factory=list)

    def line(self) -> str:
        """One line for people."""
        return (f'{self.name:<24} {self.inputs:>6} inputs  {self.accepted:>6} accepted  '
                f'{self.refused:>6} refused  {len(self.faults):>4} faults  slowest '
                f'{self.slowest_s:5.2f} s  peak {self.peak_mb:6.0f} MB')


class HangError(Exception):
    """An input took too long."""


def fuzz(
    name: str, target: Callable[[random.Random], object], few: int, seed: int = 0
) -> Figures:
    """Run a target on its inputs; every fault is told with the seed that repeats it.

    Parameters
    ----------
    target : makes an input and runs the package on it.
    few : inputs in ``make test``; ``PERCEPTION_FUZZ`` overrules.
    """
    figures, before_mb = Figures(name), _peak_mb()
    for number in range(seed, seed + (INPUTS or few)):
        start = time.monotonic()
        try:
            with _time_limit():
                target(random.Random(f'{name} {number}'))
            figures.accepted += 1
        except PerceptionError as error:
            figures.refused += 1
            if '\n' in str(error) or not str(error):
                figures.faults.append(f'{name} {number}: told in {str(error)!r:.200}')
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            figures.faults.append(f'{name} {number}: {type(error).__name__}: {error!s:.160} at '
                                  f'{place.filename.rpartition("/")[2]}:{place.lineno}')
        figures.inputs += 1
        figures.slowest_s = max(figures.slowest_s, time.monotonic() - start)
        peak_mb = _peak_mb()
        if peak_mb > max(before_mb + MOST_MB, figures.peak_mb):
            figures.faults.append(f'{name} {number}: {peak_mb - before_mb:.0f} MB more')
        figures.peak_mb = peak_mb
    print(figures.line())
    return figures


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def require_none(figures: Figures) -> None:
    """Fail with the first faults, if there are any."""
    assert not figures.faults, '\n'.join([figures.line(), *figures.faults[:SHOWN]])


class _time_limit:  # noqa: N801
    """Raise HangError in Python code that takes too long; end the process where C code does."""

    def __enter__(self) -> None:
        self._before = signal.signal(signal.SIGALRM, self._late)
        signal.setitimer(signal.ITIMER_REAL, MOST_S)
        faulthandler.dump_traceback_later(2 * MOST_S, exit=True)

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._before)
        faulthandler.cancel_dump_traceback_later()

    def _late(self, number: int, frame: FrameType | None) -> None:
        raise HangError(f'more than {MOST_S:.0f} s')


def damaged_bytes(rng: random.Random, content: bytes) -> bytes:
    """Cut, flip, overwrite, repeat or drop a few pieces."""
    made = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(made) + 1)
        size = min(rng.choice((1, 2, 4, 8, 64, 1024)), len(made) - at)
        kind = rng.choice(('flip', 'set', 'cut', 'drop', 'repeat', 'noise', 'ends'))
        if kind == 'flip' and size:
            made[at] ^= 1 << rng.randrange(8)
        elif kind == 'set':
            made[at:at + size] = rng.choice((b'\0', b'\xff', b'\x7f', b'\x80')) * size
        elif kind == 'cut':
            del made[at:]
        elif kind == 'drop':
            del made[at:at + size]
        elif kind == 'repeat':
            made[at:at] = made[at:at + size] * rng.randint(1, 20)
        elif kind == 'noise':
            made[at:at + size] = rng.randbytes(size)
        else:
            made += rng.randbytes(rng.choice((1, 100)))
    return bytes(made)


def damaged_value(rng: random.Random, value: Any) -> Any:
    """Change one to three places of a JSON-like value: put, take away, nest, exchange."""
    made = copy.deepcopy(value)
    for _ in range(rng.randint(1, 3)):
        places = list(_places(made))
        if not places:
            return rng.choice(NASTY)
        holder, key = rng.choice(places)
        kind = rng.choice(('nasty',) * 3 + ('drop', 'nest', 'repeat', 'exchange', 'more'))
        if kind == 'nasty':
            holder[key] = copy.deepcopy(rng.choice(NASTY))
        elif kind == 'drop':
            del holder[key]
        elif kind == 'nest':
            holder[key] = [holder[key]]
        elif kind == 'repeat' and isinstance(holder, list):
            holder.insert(key, copy.deepcopy(holder[key]))
        elif kind == 'exchange':
            other, there = rng.choice(places)
            holder[key] = copy.deepcopy(other.get(there) if isinstance(other, dict)
                                        else other[there] if there < len(other) else None)
        elif isinstance(holder, dict):
            holder[rng.choice(('x', '', 'schema', 'name', 'a.b'))] = rng.choice(NASTY)
    return made


def damaged_json(rng: random.Random, value: Any) -> bytes:
    """JSON text of a damaged value, now and then damaged as text, too, or nested without end."""
    if rng.random() < 0.05:
        return rng.choice((b'[', b'{"a":', b'[[{"x":')) * rng.choice((50, 5000, 200_000))
    text = json.dumps(damaged_value(rng, value)).encode('utf-8', 'surrogatepass')
    return damaged_bytes(rng, text) if rng.random() < 0.2 else text


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict):
        for key in value:
            yield value, key
            yield from _places(value[key])
    elif isinstance(value, list):
        for index in range(len(value)):
            yield value, index
            yield from _places(value[index])
