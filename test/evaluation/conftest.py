# SPDX-License-Identifier: Apache-2.0
"""A small drive past a textured wall, exact in disparity, depth, flow, labels and pose."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from perception_nodes.bags.factory import BagFactory
from perception_nodes.bags.writer import BagWriter
from perception_nodes.messages.camera import info_from_camera
from perception_nodes.messages.image import encode_image, image_message
from perception_nodes.messages.odometry import odometry_message
from perception_nodes.types import Camera, Image, Odometry, StereoRig

HEIGHT, WIDTH, FOCAL_PX, BASELINE_M, DISPARITY_PX = 96, 192, 100.0, 0.5, 8
DEPTH_M = FOCAL_PX * BASELINE_M / DISPARITY_PX
STEP_PX = 3
STEP_M = STEP_PX * DEPTH_M / FOCAL_PX
FRAME_NS = 100_000_000


@dataclass(frozen=True)
class WallDrive:
    """Images of a wall from a camera that slides to the right by STEP_PX a frame."""

    texture: np.ndarray

    def view(self, offset_px: int) -> np.ndarray:
        """What a camera sees whose first column is this column of the wall."""
        return self.texture[:, offset_px : offset_px + WIDTH]

    def pair(self, frame: int) -> tuple[np.ndarray, np.ndarray]:
        """Left and right image: what is at u in the left one is at u - DISPARITY_PX right."""
        offset = 20 + STEP_PX * frame
        return self.view(offset), self.view(offset + DISPARITY_PX)


@pytest.fixture(scope='session')
def wall_drive() -> WallDrive:
    noise = np.random.default_rng(7).normal(size=(HEIGHT, 400)).astype(np.float32)
    texture = cv2.GaussianBlur(noise, (0, 0), 1.2) + 2.0 * cv2.GaussianBlur(noise, (0, 0), 4.0)
    texture = np.clip(127.0 + 110.0 * texture / np.abs(texture).max() * 1.5, 0, 255)
    return WallDrive(np.repeat(texture.astype(np.uint8)[..., None], 3, axis=2))


def wall_rig() -> StereoRig:
    centre = (0.5 * (WIDTH - 1), 0.5 * (HEIGHT - 1))
    return StereoRig(
        Camera.pinhole(WIDTH, HEIGHT, FOCAL_PX, FOCAL_PX, *centre, frame_id='left_optical'),
        Camera.pinhole(WIDTH, HEIGHT, FOCAL_PX, FOCAL_PX, *centre, baseline_m=BASELINE_M,
                       frame_id='right_optical'),
    )  # fmt: skip


@pytest.fixture(scope='session')
def wall_bag(wall_drive: WallDrive, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six frames with all truth topics; base_link looks along x, the wall passes to its left."""
    path = tmp_path_factory.mktemp('wall') / 'drive'
    factory, rig = BagFactory(), wall_rig()
    full = np.ones((HEIGHT, WIDTH), np.float32)
    flow = np.stack([-STEP_PX * full, 0 * full], axis=-1)
    labels = np.full((HEIGHT, WIDTH), 1, np.uint8)
    with BagWriter(path) as writer:
        for frame in range(6):
            stamp = 10**9 + frame * FRAME_NS
            for side, picture, camera in zip(
                ('left', 'right'), wall_drive.pair(frame), (rig.left, rig.right), strict=True
            ):
                image = Image(np.ascontiguousarray(picture), stamp, camera.frame_id)
                writer.write(f'/{side}/image_rect', stamp, image_message(image, factory))
                info = info_from_camera(camera, factory, stamp)
                writer.write(f'/{side}/camera_info', stamp, info)
            truths = {'labels': (labels, 'mono8'), 'depth': (DEPTH_M * full, '32FC1'),
                      'disparity': (DISPARITY_PX * full, '32FC1')}  # fmt: skip
            if frame:
                truths['flow'] = (flow, '32FC2')
            for name, (array, encoding) in truths.items():
                message = encode_image(array, encoding, factory, stamp, 'left_optical')
                writer.write(f'/ground_truth/{name}', stamp, message)
            pose = np.eye(4)
            pose[1, 3] = -STEP_M * frame
            truth = Odometry(
                stamp, 'odom', 'base_link', pose, np.eye(6), np.zeros(6), np.eye(6)
            )
            writer.write('/ground_truth/odometry', stamp, odometry_message(truth, factory))
    return path
