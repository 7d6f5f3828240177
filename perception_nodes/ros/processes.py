# SPDX-License-Identifier: Apache-2.0
"""Nodes as processes of their own, started and ended from Python, where no launch is needed."""

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from perception_nodes.child import python_command
from perception_nodes.ros import image_delivery

STOP_S = 10.0


class NodeProcess:
    """One node that runs in its own process until it is closed.

    Parameters
    ----------
    executable : 'segmentation_node', ... as in setup.py's entry points.
    parameters : name to value. remappings : from to.
    log : file for its output; None = that of this process.
    environment : more variables; the Fast DDS profile and malloc settings are set anyway.
    """

    def __init__(
        self, executable: str, *, parameters: Mapping[str, Any] | None = None,
        remappings: Mapping[str, str] | None = None, log: str | Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.executable = executable
        arguments = [*ros_arguments(parameters or {}, remappings or {})]
        environment = {**image_delivery.environment(), **os.environ, **(environment or {})}
        with contextlib.ExitStack() as stack:
            output = None if log is None else stack.enter_context(Path(log).open('wb'))
            self.process = subprocess.Popen(
                python_command(f'perception_nodes.ros.start:{executable}', *arguments),
                stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT if output else None, env=environment,
            )

    def __enter__(self) -> 'NodeProcess':
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> int:
        """End it as Ctrl-C does, and for certain after ten seconds; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait()


def ros_arguments(parameters: Mapping[str, Any], remappings: Mapping[str, str]) -> list[str]:
    """Command line of a node: ``--ros-args -p name:=value -r from:=to``."""
    arguments = ['--ros-args']
    for name, value in parameters.items():
        # JSON is YAML; but a float without a point must stay one, and it does.
        arguments += ['-p', f'{name}:={json.dumps(value)}']
    for source, target in remappings.items():
        arguments += ['-r', f'{source}:={target}']
    return arguments
