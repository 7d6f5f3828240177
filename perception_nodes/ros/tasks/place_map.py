# SPDX-License-Identifier: Apache-2.0
"""Place recognition's map services."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perception_nodes.pipelines.perception import MonoFrame, Results, StereoFrame
from perception_nodes.ros.output.diagnostics import Finding
from perception_nodes.ros.tasks.interface import ServiceSet, TaskSite
from perception_nodes.ros.tasks.loading import Loaded
from perception_nodes.types import ConfigError, MapError


@dataclass(frozen=True)
class MapConfig:
    """The map of places.

    Attributes
    ----------
    map_path : file that save_map writes and load_map reads, below map_folder; may be changed at
        any time.
    map_folder : maps lie in this folder or below it, wherever map_path points; read in configure.
        '' = the folder of map_path as it was in configure, else ~/.ros/perception_nodes/maps.
    load_map : load map_path in configure; a file that is not there or not good is a failure.
    """

    map_path: str = ''
    map_folder: str = ''
    load_map: bool = False

    def __post_init__(self) -> None:
        if self.load_map and not self.map_path:
            raise ConfigError('load_map is true but map_path is empty')


class MapInterface:
    """See interface.TaskInterface."""

    def __init__(
        self, site: TaskSite, config: MapConfig, loaded: Loaded
    ) -> None:
        self._node, self._loaded = site.node, loaded
        self._parameter = f'{site.parameter_prefix}map_path'
        self._folder = _folder(config)
        if config.load_map:
            self._load()
        self._services = ServiceSet(site)
        self._services.add('save_map', self._save)
        self._services.add('load_map', self._load)
        self._services.add('clear_map', self._clear)

    def before(self, frame: StereoFrame | MonoFrame) -> bool:
        """Every frame is good."""
        return True

    def after(self, results: Results) -> None:
        """Take nothing."""

    def time_jumped(self, *, keep_pose: bool) -> None:
        """Keep the places: they are where they were."""

    def findings(self) -> list[Finding]:
        """No entries."""
        return []

    def close(self) -> None:
        """Destroy the services."""
        self._services.close()

    @property
    def _pipeline(self) -> Any:
        return self._loaded.perception.pipelines['place_recognition']

    def _path(self) -> Path:
        """Return the file of the map.

        map_path may be set by whoever reaches the node over the network; where maps may lie is
        said by who started it.
        """
        text = str(self._node.get_parameter(self._parameter).value)
        if not text:
            raise MapError(f'no file: set the parameter {self._parameter}')
        try:
            path = (self._folder / Path(text).expanduser()).resolve()
        except (OSError, RuntimeError, ValueError) as error:
            raise MapError(f'{self._parameter} is no path: {error}') from None
        if not path.is_relative_to(self._folder):
            raise MapError(
                f'{self._parameter} leads to {path}, which is not below {self._folder}; '
                'map_folder (read in configure) is the folder of maps'
            )
        return path

    def _save(self) -> str:
        self._pipeline.save(self._path())
        return f'saved {self._path()}'

    def _load(self) -> str:
        self._pipeline.load(self._path())
        return f'loaded {self._path()}'

    def _clear(self) -> str:
        self._pipeline.clear()
        return 'the map is empty'


def _folder(config: MapConfig) -> Path:
    """Where maps may lie, links followed."""
    given = Path(config.map_path).expanduser()
    folder = Path(os.environ.get('ROS_HOME') or '~/.ros') / 'perception_nodes' / 'maps'
    if config.map_folder:
        folder = Path(config.map_folder)
    elif given.is_absolute():
        folder = given.parent
    return folder.expanduser().resolve()
