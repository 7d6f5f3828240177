# SPDX-License-Identifier: Apache-2.0
"""Choosing a backend.

====================  ==========================================================================
backend               what runs the model
====================  ==========================================================================
auto                  tensorrt if the driver lists a GPU and TensorRT for it is installed,
                      else onnxruntime. Nothing is measured at start
onnxruntime           ONNX Runtime on the CPU
onnxruntime_cuda      ONNX Runtime, CUDA execution provider (needs onnxruntime-gpu)
onnxruntime_tensorrt  ONNX Runtime, TensorRT execution provider (needs onnxruntime-gpu, TensorRT)
tensorrt              an engine of our own; ONNX Runtime on the CPU serves until it is built
tensorrt_rtx          the same, with TensorRT for RTX even if the data-centre library is there
openvino              OpenVINO on the CPU in f32
====================  ==========================================================================

ONNX Runtime is the default on the CPU because it is the faster or equal one for most of the
released models, it is on every platform of ROS 2, and it needs no compiling at the first image;
``perception bench all --backends onnxruntime,openvino`` shows both on your machine.
"""

import contextlib
from collections.abc import Mapping
from pathlib import Path

from perception_nodes.inference.backends import BACKENDS, PRECISIONS
from perception_nodes.inference.classical import CLASSICAL
from perception_nodes.inference.model_card import check_model
from perception_nodes.inference.models import model_path
from perception_nodes.inference.onnx_runner import OnnxRunner
from perception_nodes.inference.openvino_runner import OpenvinoRunner
from perception_nodes.inference.runner import Runner
from perception_nodes.inference.switching_runner import SwitchingRunner
from perception_nodes.inference.tensorrt.engine_builder import EnginePlan, EngineRequest
from perception_nodes.inference.tensorrt.gpu import probe
from perception_nodes.inference.tensorrt.library import load_tensorrt
from perception_nodes.types import PerceptionError


def open_runner(
    model: str | Path, *, backend: str = 'auto', precision: str = 'fp16', threads: int = 0,
    engine_dir: str = '', gpu: int = 0, memory_limit_mb: int = 0, spinning: bool = False,
    wait: bool = False,
) -> Runner:
    """Load a model on a backend.

    Parameters
    ----------
    model : released name, or path to an ONNX file with its card; or a classical method by its
        name (``classical.CLASSICAL``), which OpenCV answers whatever the backend.
    backend : one of BACKENDS (see the table above).
    precision : of an engine, one of PRECISIONS; the other backends run the file as it is.
    threads : CPU threads, 0 = onnx_runner.default_threads().
    engine_dir : folder of engines, '' = engine_cache.engine_folder().
    gpu : number of the device.
    memory_limit_mb : most memory of the device for this model, 0 = no limit.
    spinning : let idle CPU threads of ONNX Runtime burn their core for a little less latency.
    wait : the first image waits until its engine is built, instead of being served by ONNX Runtime
        meanwhile: for replay and evaluation, whose results then come from one backend.

    Raises
    ------
    PerceptionError
        If the model cannot be loaded or the backend is not there.
    """
    if backend not in BACKENDS:
        raise PerceptionError(f'backend {backend!r} is not one of {", ".join(BACKENDS)}')
    if precision not in PRECISIONS:
        raise PerceptionError(f'precision {precision!r} is not one of {", ".join(PRECISIONS)}')
    if str(model) in CLASSICAL:
        return CLASSICAL[str(model)]()
    path = model_path(model)
    if backend == 'auto':
        backend = 'tensorrt' if _tensorrt_runs(gpu) else 'onnxruntime'
    if backend == 'openvino':
        return OpenvinoRunner(path, threads=threads)
    if backend.startswith('tensorrt'):
        fallback = OnnxRunner(path, threads=threads, spinning=spinning)
        return _with_engine(fallback, path, backend, precision, engine_dir, gpu, memory_limit_mb,
                            wait)
    device = backend.partition('_')[2] or 'cpu'
    return OnnxRunner(path, device=device, threads=threads, spinning=spinning, gpu=gpu,
                      memory_limit_mb=memory_limit_mb)


def engine_model(path: Path, precision: str) -> tuple[Path, str]:
    """File that an engine is made from, and the precision that it then has.

    An int8 file yields an int8 engine whatever is requested; int8 of an fp32 NAME.onnx is
    NAME_int8.onnx beside it.
    """
    if check_model(path).precision == 'int8':
        return path, 'int8'
    if precision != 'int8':
        return path, precision
    sibling = path.with_name(f'{path.stem}_int8.onnx')
    if not sibling.is_file():
        raise PerceptionError(
            f'{sibling.name} is missing beside {path}: make it with '
            f'perception export {path.stem} --precision int8 --calibration BAG'
        )
    return sibling, 'int8'


def _with_engine(
    fallback: OnnxRunner, path: Path, backend: str, precision: str, engine_dir: str, gpu: int,
    memory_limit_mb: int, wait: bool,
) -> SwitchingRunner:
    from perception_nodes.inference.tensorrt.cuda_runtime import load_cuda
    from perception_nodes.inference.tensorrt.runner import TensorrtRunner

    device, reason = probe(gpu)
    if device is None:
        raise PerceptionError(f'backend {backend} needs an NVIDIA GPU: {reason}; use onnxruntime')
    flavour = 'auto' if backend == 'tensorrt' else backend
    load_tensorrt(device, flavour)
    load_cuda()
    source, precision = engine_model(path, precision)

    def request_for(shapes: Mapping[str, tuple[int, ...]]) -> EngineRequest:
        return EngineRequest(
            str(source), dict(shapes), precision, flavour=flavour, gpu=gpu, folder=engine_dir,
            workspace_mb=memory_limit_mb,
        )

    def open_engine(plan: EnginePlan, content: bytes) -> Runner:
        return TensorrtRunner(plan, content, memory_limit_mb=memory_limit_mb)

    return SwitchingRunner(fallback, request_for, open_engine, wait=wait)


def _tensorrt_runs(gpu: int) -> bool:
    from perception_nodes.inference.tensorrt.cuda_runtime import load_cuda

    device, _ = probe(gpu)
    if device is None:
        return False
    with contextlib.suppress(PerceptionError):
        load_tensorrt(device)
        load_cuda()
        return True
    return False
