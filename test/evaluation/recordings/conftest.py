# SPDX-License-Identifier: Apache-2.0
"""A drive of three frames with exact truth, and bags of results that are right or wrong by it."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perception_nodes.bags.factory import BagFactory
from perception_nodes.bags.writer import BagWriter
from perception_nodes.datasets.camvid import CLASSES
from perception_nodes.geometry import se3
from perception_nodes.geometry.stereo import depth_from_disparity
from perception_nodes.messages.image import encode_image, image_message
from perception_nodes.messages.odometry import odometry_message
from perception_nodes.messages.topics import full_name
from perception_nodes.pipelines.tasks import TASKS
from perception_nodes.types import Camera, Depth, Flow, Image, Odometry, Segmentation

HEIGHT, WIDTH, FRAME_NS, FRAMES = 12, 16, 100_000_000, 4
CAMERA = Camera.pinhole(WIDTH, HEIGHT, 20.0, 20.0, 7.5, 5.5, frame_id='cam')
BASELINE_M = 0.5


def stamp_of(frame: int) -> int:
    """Stamp of a frame, ns."""
    return 5_000_000_000 + frame * FRAME_NS


def true_results(frame: int) -> dict[str, Any]:
    """The exact answer of every task."""
    rng, stamp = np.random.default_rng(frame), stamp_of(frame)
    disparity = rng.uniform(2.0, 6.0, (HEIGHT, WIDTH)).astype(np.float32)
    sigma_px = np.full_like(disparity, 0.5)
    depth, sigma = depth_from_disparity(disparity, sigma_px, 20.0, BASELINE_M)
    labels = rng.integers(0, len(CLASSES), (HEIGHT, WIDTH), dtype=np.uint8)
    sure, none = np.ones((HEIGHT, WIDTH), np.float32), np.zeros((HEIGHT, WIDTH), np.float32)
    flow = rng.normal(0, 3, (HEIGHT, WIDTH, 2)).astype(np.float32)
    small = np.eye(6) * 1e-4
    pose = se3.exp(np.array([0.4 * frame, 0.0, 0.0, 0.0, 0.0, 0.05 * frame]))
    results = {
        'segmentation': Segmentation(stamp, 'cam', labels, sure, none),
        'stereo_depth': Depth(
            stamp, 'cam', CAMERA, depth, sigma, disparity, sigma_px, BASELINE_M
        ),
        'mono_depth': Depth(stamp, 'cam', CAMERA, depth, sigma),
        'visual_odometry': Odometry(
            stamp, 'odom', 'base_link', pose, small, np.zeros(6), small, True, '', 50, 60
        ),
    }
    if frame:
        results['optical_flow'] = Flow(stamp, 'cam', stamp_of(frame - 1), flow, sure)
    return results


@pytest.fixture
def truth_bag(tmp_path: Path) -> Path:
    """Write the camera's images and what is true, as rendered bags hold it."""
    factory, path = BagFactory(), tmp_path / 'truth'
    with BagWriter(path) as writer:
        for frame in range(FRAMES):
            stamp, true = stamp_of(frame), true_results(frame)

            def put(name: str, pixels: np.ndarray, encoding: str, at: int = stamp) -> None:
                message = encode_image(pixels, encoding, factory, at, 'cam')
                writer.write(f'/ground_truth/{name}', at, message)

            grey = np.full((HEIGHT, WIDTH), 40 * frame, np.uint8)
            writer.write('/cam/image', stamp, image_message(Image(grey, stamp, 'cam'), factory))
            put('labels', true['segmentation'].labels, 'mono8')
            put('depth', true['stereo_depth'].depth_m, '32FC1')
            put('disparity', true['stereo_depth'].disparity_px, '32FC1')
            if frame:
                put('flow', true['optical_flow'].flow_px, '32FC2')
            writer.write(
                '/ground_truth/odometry', stamp,
                odometry_message(true['visual_odometry'], factory),
            )
    return path


@pytest.fixture
def outputs_bag(tmp_path: Path) -> Callable[..., Path]:
    """Write the topics of the nodes for results that a test changed.

    ``change(task, frame, result)`` gives the result to be published, None for none.
    """

    def write(
        change: Callable[[str, int, Any], Any] = lambda _task, _frame, result: result,
        tasks: Iterable[str] = (), order: Callable[[Any], Any] | None = None,
        skip: Iterable[str] = (),
    ) -> Path:
        factory, entries = BagFactory(), []
        for frame in range(FRAMES):
            for task, true in true_results(frame).items():
                if tasks and task not in tasks:
                    continue
                result = change(task, frame, true)
                if result is None:
                    continue
                wanted = {topic.name for topic in TASKS[task].topics} - set(skip)
                messages = TASKS[task].implementation.encode(result, factory, wanted)
                if frame == 0:
                    info = {'classes': list(CLASSES), 'name': task}
                    messages |= TASKS[task].latched_messages(info, factory, stamp_of(0))
                for name, message in messages.items():
                    entries.append((full_name(task, name), stamp_of(frame), message))
        path = tmp_path / 'outputs'
        with BagWriter(path) as writer:
            for topic, recorded_ns, message in (order or list)(entries):
                writer.write(topic, recorded_ns, message)
        return path

    return write


@pytest.fixture
def changed() -> Callable[..., Any]:
    """Give dataclasses.replace, for tests that publish something else than the truth."""
    return replace
