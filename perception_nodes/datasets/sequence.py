# SPDX-License-Identifier: Apache-2.0
"""What all readers share: a sequence that reads a sample when it is asked for."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar, overload

__all__ = ['SampleSequence']

Entry = TypeVar('Entry')
Sample = TypeVar('Sample')


class SampleSequence(Sequence[Sample], Generic[Entry, Sample]):
    """Entries (file names) known at once, samples read one by one.

    Attributes
    ----------
    entries : what ``read`` turns into a sample.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = tuple(entries)

    @abstractmethod
    def read(self, entry: Entry) -> Sample:
        """Read one sample; a DataError names the file that is missing or broken."""

    def __len__(self) -> int:
        return len(self.entries)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Sample]: ...

    def __getitem__(self, index: int | slice) -> Sample | Sequence[Sample]:
        """Read a sample; of a slice all of its samples."""
        if isinstance(index, slice):
            return [self.read(entry) for entry in self.entries[index]]
        return self.read(self.entries[index])
