# SPDX-License-Identifier: Apache-2.0
"""Middlebury flow in its own layout.

``ROOT/other-data/NAME/frame1{0,1}.png`` and ``ROOT/other-gt-flow/NAME/flow10.flo``.

S. Baker et al., "A database and evaluation methodology for optical flow", IJCV 2011.
"""

from pathlib import Path

from perception_nodes.datasets.files import list_files, read_flo, read_rgb, require_folder
from perception_nodes.datasets.samples import FlowPair
from perception_nodes.datasets.sequence import SampleSequence
from perception_nodes.types import Image

__all__ = ['MiddleburyFlow']

_FRAME_NS = 100_000_000


class MiddleburyFlow(SampleSequence[Path, FlowPair]):
    """The scenes with public ground truth."""

    def __init__(self, root: Path) -> None:
        self.images = require_folder(Path(root), 'other-data', layout='Middlebury flow')
        truth = require_folder(Path(root), 'other-gt-flow', layout='Middlebury flow')
        super().__init__(list_files(truth, '*/flow10.flo'))

    def read(self, entry: Path) -> FlowPair:
        """Read frames 10 and 11 and the flow on frame 10."""
        name = entry.parent.name
        return FlowPair(
            name,
            Image(read_rgb(self.images / name / 'frame10.png')),
            Image(read_rgb(self.images / name / 'frame11.png'), stamp_ns=_FRAME_NS),
            read_flo(entry),
        )
