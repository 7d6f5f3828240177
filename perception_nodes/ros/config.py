# SPDX-License-Identifier: Apache-2.0
"""Parameters that every node has, whatever its task."""

from dataclasses import dataclass

from perception_nodes.files.image_limits import DEFAULT_IMAGE_LIMITS
from perception_nodes.inference import BACKENDS, PRECISIONS
from perception_nodes.messages.camera_infos import MAX_AGE_S
from perception_nodes.messages.pairing import PAIR_CAPACITY, PAIR_TOLERANCE_NS
from perception_nodes.pipelines.images import require_range
from perception_nodes.time_order import CLOCK_JUMP_S
from perception_nodes.types import ConfigError

MAX_SIDE_PX = 1 << 14
TRANSPORTS = ('raw', 'compressed')
SYNCS = ('own', 'exact', 'approximate')
CODECS = ('own', 'cv_bridge')


@dataclass(frozen=True)
class NodeConfig:
    """How a node gets its images and runs its models.

    Attributes
    ----------
    autostart : configure and activate by itself; false: wait for a lifecycle manager.
    backend : what runs the models (auto, onnxruntime, tensorrt, openvino, ...).
    precision : of a TensorRT engine: fp32, fp16 or int8.
    threads : CPU threads of one model, 0 = the default of the backend.
    spinning : let idle threads of ONNX Runtime burn their core for a little less latency.
    engine_dir : folder of TensorRT engines, '' = the user's cache folder.
    gpu : number of the device.
    memory_limit_mb : most memory of the device for one model, 0 = no limit.
    build_only : build the engines for the images that come (or build_size), then end.
    build_size : width and height to build engines for; 0 0 = those of the first image.
    transport : raw (sensor_msgs/Image) or compressed (CompressedImage on <image>/compressed).
    rectify : take raw images (left/image instead of left/image_rect) and rectify them here.
    codec : what decodes sensor_msgs/Image: own, or cv_bridge (has to be installed).
    sync : what pairs left and right: own, or message_filters' policy exact or approximate (has to
        be installed).
    sync_tolerance_s : stamps of left and right may differ by this much, seconds; the slop of
        approximate, which takes only less; exact asks for equal ones.
    pair_capacity : images that wait for their partner on each side; queue_size of the policies.
    queue_size : messages kept per input.
    max_megapixels : larger images are refused before they are decoded.
    clock_jump_s : stamps that jump back by this much are a time jump (a looped bag):
        what is remembered is dropped; a frame that is older by less is late and dropped itself.
        Seconds.
    camera_info_max_age_s : a camera_info that has not the stamp of an image may be this much older
        or newer, unless it is latched, seconds; 0 = any age.
    auxiliary_wait_s : how long a frame waits for what another node sends about it (depth, mask,
        flow, odometry) if somebody publishes that, seconds; 0 = not at all.
    """

    autostart: bool = True
    backend: str = 'auto'
    precision: str = 'fp16'
    threads: int = 0
    spinning: bool = False
    engine_dir: str = ''
    gpu: int = 0
    memory_limit_mb: int = 0
    build_only: bool = False
    build_size: tuple[int, ...] = (0, 0)
    transport: str = 'raw'
    rectify: bool = False
    codec: str = 'own'
    sync: str = 'own'
    sync_tolerance_s: float = PAIR_TOLERANCE_NS / 1e9
    pair_capacity: int = PAIR_CAPACITY
    queue_size: int = 5
    max_megapixels: float = DEFAULT_IMAGE_LIMITS.megapixels
    clock_jump_s: float = CLOCK_JUMP_S
    camera_info_max_age_s: float = MAX_AGE_S
    auxiliary_wait_s: float = 0.3

    def __post_init__(self) -> None:
        for name, value, known in (
            ('backend', self.backend, BACKENDS),
            ('precision', self.precision, PRECISIONS),
            ('transport', self.transport, TRANSPORTS),
            ('codec', self.codec, CODECS),
            ('sync', self.sync, SYNCS),
        ):
            if value not in known:
                raise ConfigError(f'{name} is {value!r}; it is one of {", ".join(known)}')
        require_range('threads', self.threads, 0, 256)
        require_range('gpu', self.gpu, 0, 64)
        require_range('memory_limit_mb', self.memory_limit_mb, 0, 1 << 20)
        require_range('sync_tolerance_s', self.sync_tolerance_s, 0.0, 1.0)
        if self.sync == 'approximate' and not self.sync_tolerance_s:
            raise ConfigError(
                'sync approximate pairs stamps that differ by less than sync_tolerance_s, which '
                'is 0: choose exact or own'
            )
        require_range('pair_capacity', self.pair_capacity, 1, 1000)
        require_range('max_megapixels', self.max_megapixels, 1e-3, 1e6)
        require_range('queue_size', self.queue_size, 1, 1000)
        require_range('clock_jump_s', self.clock_jump_s, 1e-3, 1e5)
        require_range('camera_info_max_age_s', self.camera_info_max_age_s, 0.0, 1e9)
        require_range('auxiliary_wait_s', self.auxiliary_wait_s, 0.0, 10.0)
        if len(self.build_size) != 2 or not 0 <= min(self.build_size) <= max(
            self.build_size
        ) <= MAX_SIDE_PX:
            raise ConfigError(
                f'build_size is {list(self.build_size)}; give width and height, '
                f'{MAX_SIDE_PX} at most'
            )
