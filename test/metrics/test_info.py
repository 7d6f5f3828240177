# SPDX-License-Identifier: Apache-2.0
"""Records of metrics: names with variables, labels with units, and mistakes in them."""

import pytest

from perception_nodes.metrics.info import MetricInfo, find_info
from perception_nodes.metrics.odometry import OdometryMetric
from perception_nodes.metrics.segmentation import SegmentationMetric
from perception_nodes.types import PerceptionError


@pytest.mark.parametrize(
    ('infos', 'name', 'title', 'better'),
    [
        (SegmentationMetric.infos, 'iou_road', 'IoU of road', 'high'),
        (SegmentationMetric.infos, 'miou', 'mIoU', 'high'),
        (OdometryMetric.infos, 't_rel_percent', 'drift of position, %', 'low'),
        (OdometryMetric.infos, 't_rel_percent_200m', 'drift of position over 200 m, %', 'low'),
        (OdometryMetric.infos, 'path_m', 'length of the path, m', ''),
        (OdometryMetric.infos, 'coverage1', 'inside one sigma (nominal 0.683)', ''),
    ],
)
def test_a_name_finds_its_record(
    infos: tuple[MetricInfo, ...], name: str, title: str, better: str
) -> None:
    info = find_info(infos, name)
    assert (info.name, info.title, info.better) == (name, title, better)


def test_what_is_not_described_is_not_guessed() -> None:
    """ape_m once counted as higher-is-better, because its name begins like 'ap'."""
    with pytest.raises(KeyError, match='ape_m is not described'):
        find_info(OdometryMetric.infos, 'ape_m')


@pytest.mark.parametrize('mistake', [
    {'name': 'mIoU'}, {'better': 'more'}, {'label': ''}, {'definition': ''},
])
def test_mistakes_are_refused(mistake: dict[str, str]) -> None:
    good = {'name': 'miou', 'label': 'mIoU', 'definition': 'Mean.', 'better': 'high'}
    with pytest.raises(PerceptionError):
        MetricInfo(**(good | mistake))
