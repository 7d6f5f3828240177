# SPDX-License-Identifier: Apache-2.0
"""A node while its engine is built, when it takes over, and when it is lost: no frame is missing.

Node, DDS, building process, cache and model are real; only the GPU's part is played by the CPU.
"""

import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from sensor_msgs.msg import CameraInfo, Image

from perception_nodes.inference import model_path
from perception_nodes.inference.onnx_runner import OnnxRunner
from perception_nodes.inference.runner import EngineFailedError
from perception_nodes.inference.switching_runner import SwitchingRunner
from perception_nodes.inference.tensorrt.engine_builder import EngineRequest
from perception_nodes.ros.processes import NodeProcess
from perception_nodes.ros.tasks import loading

START_LIMIT_S, BARE_STARTS = 2.0, 4.0


class FakeEngine(OnnxRunner):
    """What an engine answers, until the device is lost."""

    lost = False

    def run(self, inputs, outputs=None):
        """Answer as the model does."""
        if self.lost:
            raise EngineFailedError('cudaErrorDeviceLost')
        return super().run(inputs, outputs)


def test_every_frame_is_answered_while_the_engine_comes_and_goes(
    bench, wall, diagnosis, tmp_path, monkeypatch
):
    """Diagnostics tell of building, then of the engine, then an ERROR; each frame has a mask."""
    pytest.importorskip('tensorrt_rtx', reason='pip install tensorrt-rtx-cu13')
    path = model_path('segmentation')
    engine = FakeEngine(path, threads=1)
    engine.backend = 'played engine'

    def open_engine(plan, content):
        assert content[:4] == b'vtrt'
        return engine

    def open_runner(model, **options):
        return SwitchingRunner(OnnxRunner(path, threads=1), lambda shapes: EngineRequest(
            str(path), dict(shapes), 'fp32', target='sm89', folder=str(tmp_path), level=0,
        ), open_engine)

    monkeypatch.setattr(loading, 'open_runner', open_runner)
    node = bench.add('segmentation')
    bench.active(node)
    masks = bench.listen(Image, '/segmentation_node/mask')
    bench.until(lambda: node.count_subscribers('/segmentation_node/mask') == 1)
    bench.connect_cameras(mono=True)
    (pair,) = wall(1)
    sent = 0

    def answer():
        nonlocal sent
        sent += 1
        stamp_ns = pair.left.stamp_ns + sent * 100_000_000
        bench.send(replace(pair, left=replace(pair.left, stamp_ns=stamp_ns)), mono=True)
        bench.until(lambda: len(masks) == sent)
        stamp = masks[-1].header.stamp
        assert stamp.sec * 10**9 + stamp.nanosec == stamp_ns

    told = {}
    until = time.monotonic() + 300  # the build has the lowest priority of all that runs here
    while told.get('played engine') is None and time.monotonic() < until:
        answer()
        level, message, values = diagnosis(node)
        told.setdefault(values['segmentation.backend'], []).append(values['segmentation.engine'])
        if values['segmentation.engine'] == 'building':
            assert level == 0
            assert 'serves while an engine is built' in message
    fallback = next(name for name in told if name.startswith('onnxruntime'))
    assert 'building' in told[fallback]
    assert told['played engine'] == ['ready']
    engine.lost = True
    answer()
    level, message, values = diagnosis(node)
    assert level == 2
    assert 'cudaErrorDeviceLost' in message
    assert values['segmentation.backend'] == fallback
    answer()
    assert values['dropped'] == '0'


def test_a_node_answers_within_two_seconds_with_nothing_in_the_cache(bench, wall, tmp_path):
    """From the start of its process to the first mask of a camera that runs; the best of five.

    While others had its cores it could not start: that time, of all its threads, does not count.
    A machine that is slow at the time shows it in a bare process, which loads the same libraries
    and opens the model: four times that are allowed then; a quiet one needs half of it.
    """
    bench.publisher(CameraInfo, 'camera_info')
    bench.publisher(Image, 'image')
    masks = bench.listen(Image, '/segmentation_node/mask')
    (pair,) = wall(1)
    told, sent = [], 0
    for attempt in range(5):
        bare_s = bare_start_s()
        masks.clear()
        log, start = tmp_path / f'log{attempt}', time.time()
        environment = {'PERCEPTION_ENGINES': str(tmp_path / f'engines{attempt}')}
        with NodeProcess('segmentation_node', log=log, environment=environment) as node:
            while not masks and time.time() - start < 20:
                sent += 1
                stamp_ns = pair.left.stamp_ns + sent * 50_000_000
                bench.send(replace(pair, left=replace(pair.left, stamp_ns=stamp_ns)), mono=True)
                time.sleep(0.05)
            needed_s = time.time() - start - waited_s(node.process.pid)
        assert masks, log.read_text()
        active = re.search(r'\[([\d.]+)\] \[segmentation_node\]: active', log.read_text())
        assert active
        assert float(active[1]) > start
        if needed_s < max(START_LIMIT_S, BARE_STARTS * bare_s):
            return
        told.append(f'{needed_s:.2f} s (bare {bare_s:.2f} s)')
    pytest.fail(f'the first mask came after {", ".join(told)}')


def bare_start_s() -> float:
    """Seconds that a process needs to load what any such node loads, and to end."""
    code = (
        'import cv2, rclpy\n'
        'from perception_nodes.inference import model_path\n'
        'from perception_nodes.inference.onnx_runner import OnnxRunner\n'
        'rclpy.init()\n'
        'rclpy.create_node("bare")\n'
        'OnnxRunner(model_path("segmentation"), threads=1)\n'
    )
    start = time.time()
    subprocess.run([sys.executable, '-c', code], check=True)
    return time.time() - start


def waited_s(process: int) -> float:
    """Seconds that the threads of a process were ready to run and had no core."""
    threads = Path(f'/proc/{process}/task').glob('*/schedstat')
    return sum(int(thread.read_text().split()[1]) for thread in threads) / 1e9
