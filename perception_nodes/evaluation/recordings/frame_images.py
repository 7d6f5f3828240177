# SPDX-License-Identifier: Apache-2.0
"""All outputs of one frame as images, with the truth and the errors where they are known."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from perception_nodes.evaluation.recordings.ground_truth import DEPTH, DISPARITY, FLOW, LABELS
from perception_nodes.evaluation.report_parts import Legend, ReportImage
from perception_nodes.types import UNLABELLED, Array, Depth, Flow, Image, Segmentation
from perception_nodes.visualization.colors import (
    Palette,
    class_color,
    class_palette,
    depth_color,
    flow_color,
    overlay,
    sigma_color,
)

__all__ = ['frame_images', 'legend']

Truth = Mapping[str, Array]


def frame_images(
    results: Mapping[str, Any], image: Image | None, truth: Truth, model: Mapping[str, Any]
) -> list[ReportImage]:
    """Show the results of one frame.

    Parameters
    ----------
    results : by task. image : of the camera. truth : truth images by topic.
    model : model_info of segmentation: its classes and palette.
    """
    images = []
    if image is not None:
        images.append(ReportImage(image.data, 'camera'))
    if 'segmentation' in results:
        images += _mask(results['segmentation'], image, truth, model)
    if 'stereo_depth' in results:
        images += _depth(results['stereo_depth'], 'stereo depth', truth)
        images += _disparity_error(results['stereo_depth'], truth)
    if 'mono_depth' in results:
        images += _depth(results['mono_depth'], 'mono depth', truth)
    if 'optical_flow' in results:
        images += _flow(results['optical_flow'], truth)
    return images


def legend(model: Mapping[str, Any]) -> list[Legend]:
    """Name the colours of the classes; nothing without their names."""
    names, palette = tuple(model.get('classes', ())), _palette(model)
    if not names:
        return []
    return [Legend([(name, palette[i % len(palette)]) for i, name in enumerate(names)])]


def _palette(model: Mapping[str, Any]) -> Palette:
    given = tuple(tuple(colour) for colour in model.get('palette', ()))
    return given or class_palette(len(model.get('classes', ())) or UNLABELLED)


def _mask(
    mask: Segmentation, image: Image | None, truth: Truth, model: Mapping[str, Any]
) -> list[ReportImage]:
    palette = _palette(model)
    fits = image is not None and image.data.shape[:2] == mask.labels.shape
    under = image if fits and image is not None else Image(np.zeros_like(mask.labels))
    images = [ReportImage(overlay(under, mask, palette, 0.5 if fits else 1.0), 'mask')]
    if LABELS in truth:
        images.append(ReportImage(class_color(truth[LABELS], palette), 'true classes', exact=True))
    images.append(ReportImage(sigma_color(mask.entropy, 1.0), 'uncertainty of the mask, 0 to 1'))
    mutual = mask.mutual_information
    if mutual is not None:
        top = float(np.nanmax(mutual))
        images.append(ReportImage(sigma_color(mutual), f'epistemic part, 0 to {top:.2g}'))
    return images


def _depth(depth: Depth, name: str, truth: Truth) -> list[ReportImage]:
    """Depth and truth in one scale, that of the truth where it is known."""
    scale = truth.get(DEPTH, depth.depth_m)
    valid = scale[np.isfinite(scale) & (scale > 0.0)]
    near, far = np.percentile(valid, (2.0, 98.0)) if valid.size else (1.0, 100.0)
    ends = f'{near:.1f} m (red) to {far:.1f} m (blue)'
    images = [ReportImage(depth_color(depth.depth_m, near, far), f'{name}, {ends}')]
    if DEPTH in truth:
        images.append(ReportImage(depth_color(truth[DEPTH], near, far), 'true depth'))
    relative = depth.sigma_m / depth.depth_m
    images.append(
        ReportImage(sigma_color(relative, 0.5), f'sigma of {name} over depth, 0 to 50 %')
    )
    return images


def _disparity_error(depth: Depth, truth: Truth) -> list[ReportImage]:
    if DISPARITY not in truth or depth.disparity_px is None:
        return []
    error = np.abs(depth.disparity_px - truth[DISPARITY])
    return [ReportImage(sigma_color(error, 5.0), 'error of disparity, 0 to 5 px')]


def _flow(flow: Flow, truth: Truth) -> list[ReportImage]:
    """Flow and truth in one scale, that of the truth where it is known."""
    length = np.linalg.norm(truth.get(FLOW, flow.flow_px), axis=-1)
    finite = length[np.isfinite(length)]
    longest = max(float(np.percentile(finite, 99.0)), 0.5) if finite.size else 1.0
    images = [
        ReportImage(flow_color(flow.flow_px, longest), f'flow, full colour is {longest:.1f} px')
    ]
    if FLOW in truth:
        error = np.linalg.norm(flow.flow_px - truth[FLOW], axis=-1)
        images.append(ReportImage(flow_color(truth[FLOW], longest), 'true flow'))
        images.append(ReportImage(sigma_color(error, 5.0), 'error of flow, 0 to 5 px'))
    top = float(np.nanpercentile(flow.sigma_px, 98.0)) if np.isfinite(flow.sigma_px).any() else 1.0
    sigma = sigma_color(flow.sigma_px, top)
    images.append(ReportImage(sigma, f'sigma of flow, 0 to {top:.1f} px'))
    return images
