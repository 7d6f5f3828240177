# SPDX-License-Identifier: Apache-2.0
"""Progress bars on stderr, one for each stage of a command."""

import sys
from types import TracebackType
from typing import Any

import click

__all__ = ['Progress']


class Progress:
    """Called with (stage, done, total); a stage's bar starts with its first call.

    Bars are closed at the end of the block, on errors too.
    """

    def __init__(self) -> None:
        self._bars: dict[str, Any] = {}

    def __enter__(self) -> 'Progress':
        return self

    def __call__(self, stage: str, done: int, total: int, detail: str = '') -> None:
        """Show how far a stage is.

        Parameters
        ----------
        detail : what it does right now, shown beside the bar.
        """
        bar = self._bars.get(stage)
        if bar is None:
            bar = click.progressbar(
                length=total, label=stage, file=sys.stderr, item_show_func=lambda item: item,
            )
            self._bars[stage] = bar.__enter__()
        bar.update(done - bar.pos, detail or None)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for bar in self._bars.values():
            bar.__exit__(kind, error, trace)
        self._bars.clear()
