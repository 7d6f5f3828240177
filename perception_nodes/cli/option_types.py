# SPDX-License-Identifier: Apache-2.0
"""Types of option values: bounded, so that impossible sizes are rejected at once."""

import math
import re
from typing import Any

import click

__all__ = ['MOST_SIDE_PX', 'SEED', 'THREADS', 'FiniteFloat', 'ImageSize', 'count']

LEAST_SIDE_PX, MOST_SIDE_PX = 8, 16384
MOST_COUNT = 10**9
THREADS = click.IntRange(0, 1024)
SEED = click.IntRange(0, 2**31 - 1)


def count(least: int = 0, most: int = MOST_COUNT) -> click.IntRange:
    """Return the type of a number of frames, calls, samples, megabytes."""
    return click.IntRange(least, most)


class FiniteFloat(click.FloatRange):
    """A number in a range; neither NaN, which is in every range, nor infinite."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Turn the text into a number."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f'{value!r} is not a finite number', param, ctx)
        return number


class ImageSize(click.ParamType):  # type: ignore[type-arg]
    """Width and height in pixels, written 640x480."""

    name = 'WxH'

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Turn the text into (width, height)."""
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r'([0-9]{1,6})[xX]([0-9]{1,6})', str(value))
        sides = () if match is None else (int(match[1]), int(match[2]))
        if not sides or not all(LEAST_SIDE_PX <= side <= MOST_SIDE_PX for side in sides):
            self.fail(f'{value!r} is no size in pixels like 640x480, sides {LEAST_SIDE_PX} to '
                      f'{MOST_SIDE_PX}', param, ctx)
        return sides[0], sides[1]
