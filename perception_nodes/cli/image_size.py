# SPDX-License-Identifier: Apache-2.0
"""The option value WxH."""

import re

import click


class ImageSize(click.ParamType):
    """Width and height in pixels, written 640x480."""

    name = 'WxH'

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Turn the text into (width, height)."""
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r'(\d+)[xX](\d+)', str(value))
        if match is None or '0' in match.groups():
            self.fail(f'{value!r} is no size in pixels like 640x480', param, ctx)
        return int(match[1]), int(match[2])
