# SPDX-License-Identifier: Apache-2.0
"""The map: places in the order of their recording, and the poses of sessions in it.

A session is one run of odometry: its places know their pose in that session's odom. Where odom
lies in the map is known at once for the first session (it defines the map) and for a later one
when a place of an older session is recognised; until then its places' poses are NaN.
"""

from dataclasses import dataclass

import numpy as np

from perception_nodes.types import FloatArray, PerceptionError

NOWHERE = np.full((4, 4), np.nan)


@dataclass(frozen=True)
class Place:
    """One recorded place.

    Attributes
    ----------
    descriptor : float32 [D], unit length. odom_from_base : [4, 4], NaN without odometry.
    points_px : float32 [N, 2], local_descriptors : float16 [N, d], depth_m, sigma_m : float32 [N].
    k : [3, 3] intrinsics of the image.
    """

    stamp_ns: int
    session: int
    odom_from_base: FloatArray
    descriptor: FloatArray
    points_px: FloatArray
    local_descriptors: FloatArray
    depth_m: FloatArray
    sigma_m: FloatArray
    k: FloatArray


class PlaceMap:
    """Places and sessions.

    Attributes
    ----------
    places : in the order of their ids. map_from_session : [4, 4] each, NaN unknown.
    session : the one that is running.
    """

    def __init__(self) -> None:
        self.places: list[Place] = []
        self.map_from_session: list[FloatArray] = [np.eye(4)]
        self._descriptors = np.zeros((0, 0), np.float32)

    @property
    def session(self) -> int:
        """Number of the running session."""
        return len(self.map_from_session) - 1

    @property
    def localised(self) -> bool:
        """Whether the running session's place in the map is known."""
        return bool(np.isfinite(self.map_from_session[-1]).all())

    def begin_session(self) -> None:
        """Odometry restarts somewhere; an empty map restarts with it."""
        if not self.places:
            self.map_from_session = [np.eye(4)]
        else:
            self.map_from_session.append(NOWHERE.copy())

    def localise(self, map_from_odom: FloatArray) -> None:
        """Say where the running session's odom lies in the map."""
        self.map_from_session[-1] = map_from_odom

    def add(self, place: Place) -> int:
        """Append a place; returns its id."""
        if self.places and self._descriptors.shape[1] != len(place.descriptor):
            raise PerceptionError(
                f'the map has descriptors of {self._descriptors.shape[1]} numbers, this model '
                f'makes {len(place.descriptor)}: clear the map or use the model that made it'
            )
        count = len(self.places)
        if count >= len(self._descriptors):  # doubled, so that adding stays cheap
            grown = np.zeros((max(64, 2 * count), len(place.descriptor)), np.float32)
            if count:
                grown[:count] = self._descriptors[:count]
            self._descriptors = grown
        self._descriptors[count] = place.descriptor
        self.places.append(place)
        return count

    def map_from_base(self, place_id: int) -> FloatArray:
        """Pose of a place in the map [4, 4]; NaN unknown."""
        place = self.places[place_id]
        return np.asarray(self.map_from_session[place.session] @ place.odom_from_base)

    def nearest(
        self, descriptor: FloatArray, count: int, least: float, *, stamp_ns: int,
        recency_ns: int,
    ) -> list[tuple[int, float]]:
        """Ids and cosines of the most similar places, without this session's recent ones."""
        if not self.places:
            return []
        similarity = self._descriptors[: len(self.places)] @ descriptor.astype(np.float32)
        stamps = np.array([place.stamp_ns for place in self.places])
        sessions = np.array([place.session for place in self.places])
        recent = (sessions == self.session) & (np.abs(stamps - stamp_ns) < recency_ns)
        similarity = np.where(recent, -2.0, similarity)
        order = np.argsort(-similarity, kind='stable')[:count]
        return [(int(i), float(similarity[i])) for i in order if similarity[i] >= least]
