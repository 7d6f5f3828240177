# SPDX-License-Identifier: Apache-2.0
"""What a file of a recording offers, whatever its format."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

__all__ = ['Channel', 'Record', 'StorageFile', 'plural', 'says_latched', 'shown']


@dataclass(frozen=True)
class Channel:
    """One topic of one file.

    Attributes
    ----------
    count : number of its messages that the file declares.
    serialization : 'cdr' for ROS 2.
    latched : its publisher kept the last message for whoever came later (transient local).
    """

    id: int
    topic: str
    type: str
    serialization: str = 'cdr'
    count: int = 0
    latched: bool = False


class Record(NamedTuple):
    """One message: whose it is, when it was written down, its bytes."""

    channel: int
    recorded_ns: int
    data: bytes


class StorageFile(Protocol):
    """An open file of a recording.

    Attributes
    ----------
    problems : what was found wrong with the file so far, one line each; reading adds to it.
    """

    path: Path
    channels: dict[int, Channel]
    problems: dict[str, None]

    def messages(self, channels: Collection[int]) -> Iterator[Record]:
        """Return the messages of some channels in the order of their recording."""

    def close(self) -> None:
        """Close the file."""


def says_latched(offered_qos_profiles: str) -> bool:
    """Return whether the QoS profiles that rosbag2 wrote down are of a latched topic.

    Until Iron they held the number of the policy, since then its name.
    """
    return bool(re.search(r'durability: *(1|transient_local)\b', offered_qos_profiles))


def plural(number: int, noun: str) -> str:
    """Say a number of things: '1 message', '2 messages'."""
    return f'{number} {noun}' if number == 1 else f'{number} {noun}s'


def shown(names: Sequence[str], most: int = 8) -> str:
    """List names; of many the first ones and how many there are."""
    if len(names) <= most:
        return ', '.join(names)
    return f'{", ".join(names[:most])}, ... ({len(names)} in all)'
