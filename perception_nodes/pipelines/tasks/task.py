# SPDX-License-Identifier: Apache-2.0
"""The record of a task: everything that nodes, replay, launch and command line derive from it.

A record is light: names and flags. What runs the task is imported when it is first asked for
(``Task.load``), so that ``perception --help`` and launch files do not load OpenCV or a backend.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perception_nodes.messages.encode import (
    Encoder,
    History,
    LatchedEncoder,
    model_info_message,
)
from perception_nodes.messages.factory import MessageFactory
from perception_nodes.messages.topics import MODEL_INFO, Topic, node_name
from perception_nodes.types import PerceptionError

if TYPE_CHECKING:
    from perception_nodes.pipelines.pipeline import OpenModel, Pipeline

__all__ = ['AuxiliaryInput', 'Implementation', 'Task']

MAX_CAMERAS = 2


def _unchanged(result: Any) -> Any:
    return result


@dataclass(frozen=True)
class AuxiliaryInput:
    """Another task's result that improves a task, where there is one.

    Attributes
    ----------
    task : whose result it is.
    argument : keyword of the pipeline's call that takes it.
    topics : of that task's node; together they carry one result between processes.
    when : boolean field of the taking task's config that switches it on; '' = always on.
    by_time : the result need not be of the same image; it is interpolated to its stamp.
    value : from the result to the argument; None if this result is of no use.
    """

    task: str
    argument: str
    topics: tuple[str, ...]
    when: str = ''
    by_time: bool = False
    value: Callable[[Any], Any] = _unchanged

    def used(self, config: Any) -> bool:
        """Whether the taking task with this config uses it."""
        return not self.when or bool(getattr(config, self.when))


@dataclass(frozen=True)
class Implementation:
    """What runs a task and writes its results as messages.

    Attributes
    ----------
    config : its frozen dataclass; built without arguments it holds the defaults.
    build : from (a function that opens a model, the model's name, the config) to the pipeline.
    topics : what its node publishes, beside ``model_info``.
    encode : from a result to messages by topic name.
    latched : the same for what is published once, when the model is loaded; None = nothing.
    decode : from the messages of one stamp, by topic name, back to the result; None = cannot.
    required : topics without which ``decode`` has no result.
    between : from results around a stamp and that stamp to the result there; None where a result
        belongs to its image alone. Inputs taken ``by_time`` need it.
    history : makes what ``encode`` remembers of earlier results; None = nothing.
    """

    config: type[Any]
    build: Callable[[OpenModel, str | Path, Any], Pipeline]
    topics: tuple[Topic, ...]
    encode: Encoder
    latched: LatchedEncoder | None = None
    decode: Callable[[Mapping[str, Any]], Any] | None = None
    required: tuple[str, ...] = ()
    between: Callable[[Sequence[Any], int], Any] | None = None
    history: Callable[[Any, MessageFactory], History] | None = None

    def result_at(self, recorded: Sequence[Mapping[str, Any]], stamp_ns: int) -> Any:
        """Return the result at a stamp.

        Parameters
        ----------
        recorded : messages by topic name of the one result at that stamp or, of a task that has
            ``between``, of those around it.

        Returns
        -------
        None if it has none there.

        Raises
        ------
        PerceptionError
            If a message is malformed, or the task's results cannot be read back.
        """
        if self.decode is None:
            raise PerceptionError(f'{self.config.__name__}: its results cannot be read back')
        results = [self.decode(messages) for messages in recorded]
        return results[0] if self.between is None else self.between(results, stamp_ns)


@dataclass(frozen=True)
class Task:
    """One task.

    Attributes
    ----------
    name : key of TASKS; its node is ``<name>_node``.
    summary : one line for people.
    load : imports and returns what runs it.
    model : released model that it uses by default; '' = it needs none.
    cameras : images of a frame that it takes: 1, 2 (a stereo pair), or 0. Without a camera it is
        called with the frame's stamp and what it takes, if any of that is there (a fused output);
        if it takes nothing, no frame calls it (a map server: its services do).
    needs_camera : whether one image must come with its calibration (a pair always does).
    stateful : its results depend on every frame before, so it runs even if nobody listens.
    takes : other tasks' results that improve it.
    """

    name: str
    summary: str
    load: Callable[[], Implementation]
    model: str = ''
    cameras: int = 1
    needs_camera: bool = False
    stateful: bool = False
    takes: tuple[AuxiliaryInput, ...] = ()

    def __post_init__(self) -> None:
        if not self.name.isidentifier() or self.name != self.name.lower():
            raise PerceptionError(f'a task is named in lower_case, not {self.name!r}')
        if not 0 <= self.cameras <= MAX_CAMERAS:
            raise PerceptionError(f'{self.name} takes {self.cameras} cameras; 0, 1 or 2 are known')

    @property
    def node(self) -> str:
        """Name of its node and of that node's executable."""
        return node_name(self.name)

    @property
    def stereo(self) -> bool:
        """Whether it takes a pair."""
        return self.cameras == MAX_CAMERAS

    @cached_property
    def implementation(self) -> Implementation:
        """What runs it, loaded when first asked for."""
        return self.load()

    @property
    def config(self) -> type[Any]:
        """Config class of its pipeline."""
        return self.implementation.config

    @property
    def topics(self) -> tuple[Topic, ...]:
        """Everything that its node publishes."""
        return (*self.implementation.topics, MODEL_INFO)

    @property
    def mounted(self) -> bool:
        """Whether it wants to know where the camera sits on the vehicle."""
        return any(field.name == 'base_from_camera' for field in fields(self.config))

    def auxiliary_remappings(self, namespace: str = '') -> dict[str, str]:
        """Where its node finds the results that it takes, by the names under which it takes them.

        Parameters
        ----------
        namespace : of the other nodes, with its slash; '' = the own.
        """
        return {
            topic: f'{namespace}{node_name(take.task)}/{topic}'
            for take in self.takes for topic in take.topics
        }

    def topic(self, name: str) -> Topic:
        """Look up a topic by its name; KeyError if it publishes none of that name."""
        found = {topic.name: topic for topic in self.topics}
        return found[name]

    def latched_messages(
        self, info: Mapping[str, Any], factory: MessageFactory, stamp_ns: int
    ) -> dict[str, Any]:
        """Make what its node publishes once, when the model is loaded, by topic name.

        Parameters
        ----------
        info : what ``model_info`` holds.
        """
        messages = {MODEL_INFO.name: model_info_message(info, factory)}
        if self.implementation.latched is not None:
            messages |= self.implementation.latched(info, factory, stamp_ns)
        return messages
