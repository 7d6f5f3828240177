# SPDX-License-Identifier: Apache-2.0
"""Which camera_info belongs to an image: the rule that live nodes and replay share.

The one of the image's own stamp (image_transport sends both with one stamp); else the newest of
the same frame and size, if it is not much older or newer than the image. A calibration of another
camera, of another resolution or of long ago (a zoom) would silently yield wrong metres: it is
refused, with the reason.
"""

from collections import deque
from dataclasses import dataclass
from typing import Any

from perception_nodes.messages.primitives import stamp_ns
from perception_nodes.types import PerceptionError

__all__ = ['MAX_AGE_S', 'CameraInfos', 'Match', 'published_size']

MAX_AGE_S = 10.0
_CAPACITY = 100


@dataclass(frozen=True)
class Match:
    """The camera_info of an image.

    Attributes
    ----------
    info : the message. exact : whether it has the image's own stamp.
    """

    info: Any
    exact: bool


@dataclass(frozen=True)
class _Entry:
    info: Any
    stamp_ns: int
    latched: bool


class CameraInfos:
    """The newest camera_infos of one camera.

    Parameters
    ----------
    max_age_s : how far the stamps of an image and of a camera_info that is not its own may be
        apart; 0 = as far as they like.
    """

    def __init__(self, max_age_s: float = MAX_AGE_S) -> None:
        self._max_age_ns = round(max_age_s * 1e9)
        self._entries: deque[_Entry] = deque(maxlen=_CAPACITY)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def newest(self) -> Any:
        """The message that came last; None before the first."""
        return self._entries[-1].info if self._entries else None

    def add(self, message: Any, *, latched: bool = False) -> None:
        """Take a CameraInfo.

        Parameters
        ----------
        latched : its publisher keeps it for whoever comes later (transient local): it holds until
            the next one, however old it is.

        Raises
        ------
        PerceptionError
            If its stamp is none.
        """
        self._entries.append(_Entry(message, stamp_ns(message.header.stamp), latched))

    def find(self, image: Any) -> Match:
        """Return the camera_info of an image message.

        Raises
        ------
        PerceptionError
            If none of them belongs to it; the reason is in the text.
        """
        if not self._entries:
            raise PerceptionError('no camera_info came')
        stamp = stamp_ns(image.header.stamp)
        own = next((e for e in reversed(self._entries) if e.stamp_ns == stamp), None)
        if own is not None:
            reason = _foreign(image, own.info)
            if reason:
                raise PerceptionError(reason)
            return Match(own.info, exact=True)
        refused = ''
        for entry in reversed(self._entries):
            reason = _foreign(image, entry.info) or self._too_far(stamp, entry)
            if not reason:
                return Match(entry.info, exact=False)
            refused = refused or reason
        raise PerceptionError(refused)

    def _too_far(self, stamp: int, entry: _Entry) -> str:
        if entry.latched or not self._max_age_ns or not entry.stamp_ns:
            return ''  # a stamp of 0 is none: a fixed calibration that somebody repeats
        apart_ns = stamp - entry.stamp_ns
        if abs(apart_ns) <= self._max_age_ns:
            return ''
        side = 'older' if apart_ns > 0 else 'newer'
        return (
            f'image has no camera_info of its own and the newest is {abs(apart_ns) / 1e9:.1f} s '
            f'{side}; camera_info_max_age_s allows {self._max_age_ns / 1e9:g} s'
        )


def published_size(info: Any) -> tuple[int, int]:
    """Width and height of the image that a CameraInfo describes: its region, binned."""
    region = info.roi
    width, height = int(region.width), int(region.height)
    if not width or not height:
        width, height = int(info.width), int(info.height)
    return width // max(int(info.binning_x), 1), height // max(int(info.binning_y), 1)


def _foreign(image: Any, info: Any) -> str:
    """Return why a CameraInfo is of another camera than the image; '' if it may be its own."""
    ours, theirs = str(image.header.frame_id), str(info.header.frame_id)
    if ours and theirs and ours != theirs:  # many drivers leave one of them empty
        return f'image is of frame {ours[:80]!r} but its camera_info is of {theirs[:80]!r}'
    if hasattr(image, 'format'):  # compressed: its size is known when it is decoded
        return ''
    size = (int(image.width), int(image.height))
    if size != published_size(info) and all(size):
        width, height = published_size(info)
        return f'image is {size[0]}x{size[1]} but its camera_info says {width}x{height}'
    return ''
