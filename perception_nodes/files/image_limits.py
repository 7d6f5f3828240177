# SPDX-License-Identifier: Apache-2.0
"""How large an image may be: what its header declares is checked before memory is taken."""

from dataclasses import dataclass

from perception_nodes.types import PerceptionError

__all__ = ['DEFAULT_IMAGE_LIMITS', 'ImageLimits']


@dataclass(frozen=True)
class ImageLimits:
    """Largest images that are decoded; generous for any camera.

    Attributes
    ----------
    side_px : width or height.
    megapixels : of a compressed image (the largest machine vision cameras have about 150).
    """

    side_px: int = 1 << 15
    megapixels: float = 200.0

    def __post_init__(self) -> None:
        if self.side_px < 1 or not self.megapixels > 0.0:
            raise PerceptionError(
                f'image limits of {self.side_px} px and {self.megapixels:g} megapixels must be '
                'positive'
            )

    def check(self, width: int, height: int) -> None:
        """Refuse an image that is empty or too large.

        Raises
        ------
        PerceptionError
            With the size and the limit.
        """
        if height < 1 or width < 1:
            raise PerceptionError(f'empty image: {width}x{height}')
        if max(height, width) > self.side_px or height * width > self.megapixels * 1e6:
            raise PerceptionError(
                f'image of {width}x{height} is larger than any camera makes (the limit is '
                f'{self.megapixels:g} megapixels and {self.side_px} px a side)'
            )


DEFAULT_IMAGE_LIMITS = ImageLimits()
