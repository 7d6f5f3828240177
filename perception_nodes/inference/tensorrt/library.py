# SPDX-License-Identifier: Apache-2.0
"""The one place that imports TensorRT: ``tensorrt`` (10, 11) or ``tensorrt_rtx``, the same API.

========================  =====================================  ================================
package                   builds an engine                       runs an engine
========================  =====================================  ================================
tensorrt (JetPack, data   on a machine with the GPU it is for    on that GPU
centre)
tensorrt_rtx              anywhere, for a named compute          on any RTX GPU of that compute
                          capability                             capability (7.5, 8.x, 12.x)
========================  =====================================  ================================
"""

import importlib
import importlib.util
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from perception_nodes.inference.tensorrt.gpu import Gpu
from perception_nodes.types import PerceptionError

FLAVOURS = ('tensorrt', 'tensorrt_rtx')
RTX_CAPABILITIES = ('7.5', '8.0', '8.6', '8.9', '12.0', '12.1')


@dataclass(frozen=True)
class TensorrtLibrary:
    """An installed TensorRT.

    Attributes
    ----------
    flavour : one of FLAVOURS.
    version : as the library reports it, '10.3.0'.
    module : the imported Python module.
    """

    flavour: str
    version: str
    module: ModuleType

    @property
    def ahead_of_time(self) -> bool:
        """Whether it builds for a GPU that is not in this machine."""
        return self.flavour == 'tensorrt_rtx'


def load_tensorrt(gpu: Gpu | None, flavour: str = 'auto') -> TensorrtLibrary:
    """Import the flavour that fits.

    Parameters
    ----------
    gpu : the device to build for or to run on; None = there is none here, and then the data-centre
        library, which needs one, is not even imported.
    flavour : 'auto' prefers ``tensorrt`` (its engines are tuned on the very GPU), or a flavour.

    Raises
    ------
    PerceptionError
        If none fits; the line lists what is installed and what is missing.
    """
    if flavour not in ('auto', *FLAVOURS):
        raise PerceptionError(f'TensorRT flavour {flavour!r} is not auto, {" or ".join(FLAVOURS)}')
    reasons = []
    for name in FLAVOURS if flavour == 'auto' else (flavour,):
        if importlib.util.find_spec(name) is None:
            reasons.append(f'{name} is not installed')
        elif name == 'tensorrt' and gpu is None:
            reasons.append('tensorrt needs a GPU in this machine')
        elif (
            name == 'tensorrt_rtx' and gpu is not None
            and gpu.compute_capability not in RTX_CAPABILITIES
        ):
            reasons.append(f'tensorrt_rtx does not serve compute {gpu.compute_capability}')
        else:
            try:
                module = importlib.import_module(name)
            except (ImportError, OSError) as error:  # a library of it is missing
                reasons.append(f'{name} does not load ({error})')
            else:
                return TensorrtLibrary(name, str(module.__version__), module)
    raise PerceptionError('no TensorRT: ' + ', '.join(reasons))


def make_logger(
    library: TensorrtLibrary, messages: list[str], notes: list[str] | None = None
) -> Any:
    """Logger that collects warnings and errors, and into notes the other messages."""
    trt = library.module

    class Collector(trt.ILogger):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            if severity <= trt.ILogger.WARNING:
                messages.append(message)
            elif notes is not None and severity == trt.ILogger.INFO:
                notes.append(message)

    return Collector()
