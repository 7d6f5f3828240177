# SPDX-License-Identifier: Apache-2.0
"""Answers from the first image on, and changes to an engine between two frames once it is ready.

::

    waiting -> looking -> loading -> ready          the cache holds a good engine
                      \\-> building -> loading       it does not: another process builds it
    any of them -> failed                           the fallback takes over, and reports it
"""

import dataclasses
import logging
import threading
from collections.abc import Callable, Mapping, Sequence

from perception_nodes.inference.check_inputs import check_inputs
from perception_nodes.inference.runner import EngineFailedError, Runner, RunnerState
from perception_nodes.inference.tensorrt.background_build import BackgroundBuild
from perception_nodes.inference.tensorrt.engine_builder import (
    EnginePlan,
    EngineRequest,
    plan_engine,
)
from perception_nodes.inference.tensorrt.engine_cache import EngineCache, StaleEngineError
from perception_nodes.types import Array, PerceptionError

Shapes = tuple[tuple[str, tuple[int, ...]], ...]
MAX_ENGINES = 2
LOG = logging.getLogger(__name__)


class SwitchingRunner:
    """A fallback that serves at once and the engine that takes over.

    Parameters
    ----------
    fallback : runner of the same model that is ready now.
    request_for : makes the request for an engine of given input shapes.
    open_engine : makes a runner of a plan and the engine's bytes; raises StaleEngineError if the
        library refuses the bytes, EngineFailedError if the device does.
    wait : the first image of new shapes waits until its engine is ready or has failed.
    """

    def __init__(
        self, fallback: Runner, request_for: Callable[[Mapping[str, tuple[int, ...]]],
                                                      EngineRequest],
        open_engine: Callable[[EnginePlan, bytes], Runner], *, wait: bool = False,
    ) -> None:
        self.card = fallback.card
        self._fallback = fallback
        self._request_for, self._open_engine = request_for, open_engine
        self._engines: dict[Shapes, Runner] = {}  # only the thread that calls run touches it
        self._arrived: tuple[Shapes, Runner] | None = None
        self._serving: Runner = fallback
        self._stage, self._detail, self._key = 'waiting', 'for the first image', ''
        self._build: BackgroundBuild | None = None
        self._thread: threading.Thread | None = None
        self._settled = threading.Event()
        self._closed, self._patient = False, wait

    @property
    def backend(self) -> str:
        """What serves now."""
        return self._serving.backend

    def run(
        self, inputs: Mapping[str, Array], outputs: Sequence[str] | None = None
    ) -> dict[str, Array]:
        """Run once (see Runner.run); an engine that fails loses no frame."""
        if self._closed:
            raise PerceptionError(f'model {self.card.name!r} was closed')
        arrays = check_inputs(self.card, inputs)
        shapes = tuple((name, array.shape) for name, array in arrays.items())
        engine = self._engine(shapes)
        if engine is None:
            self.prepare(dict(shapes))
            engine = self._wait_for(shapes) if self._patient else None
        self._serving = engine or self._fallback
        if engine is not None:
            try:
                return engine.run(arrays, outputs)
            except (EngineFailedError, RuntimeError, MemoryError) as error:
                self._fail(str(error) or repr(error))
                self._serving = self._fallback
                self._close_engines()
        return self._fallback.run(arrays, outputs)

    def prepare(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Start to look for, build and load an engine of these shapes, unless one is under way."""
        under_way = self._thread is not None and self._thread.is_alive()
        if under_way or self._arrived is not None or self._stage == 'failed' or self._closed:
            return
        self._settled.clear()
        self._stage, self._detail = 'looking', ''
        self._thread = threading.Thread(
            target=self._prepare, args=(dict(shapes),), name='engine', daemon=True
        )
        self._thread.start()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the engine is ready or has failed; True if it is ready.

        False at once if none was asked for yet: no image came.
        """
        if self._thread is None:
            return False
        self._settled.wait(timeout_s)
        return self._stage == 'ready'

    def state(self) -> RunnerState:
        """Look at it, from any thread."""
        build, detail, progress = self._build, self._detail, 0.0
        if self._stage == 'building' and build is not None:
            progress = build.fraction
            detail = f'{detail}; {build.phase} ({progress:.0%})'
        return RunnerState(
            serving=self.backend, engine=self._stage, detail=detail,
            progress=1.0 if self._stage == 'ready' else progress,
            healthy=self._stage != 'failed', engine_key=self._key,
        )

    def close(self) -> None:
        """Stop a build under way and free both runners."""
        self._closed = True
        if self._build is not None:
            self._build.stop()
        if self._thread is not None:
            self._thread.join()
        self._close_engines()
        self._fallback.close()

    def _wait_for(self, shapes: Shapes) -> Runner | None:
        """Engine of these shapes, when it is ready; None if there will be none."""
        while self._thread is not None:
            self._thread.join()
            engine = self._engine(shapes)
            if engine is not None or self._stage == 'failed' or self._closed:
                return engine
            self.prepare(dict(shapes))  # it was at work on other shapes
        return None

    def _engine(self, shapes: Shapes) -> Runner | None:
        """Take in an engine that is ready, in place of the oldest if there are many."""
        if self._arrived is not None:
            (key, runner), self._arrived = self._arrived, None
            self._engines[key] = runner
            if len(self._engines) > MAX_ENGINES:
                self._engines.pop(next(iter(self._engines))).close()
        return self._engines.get(shapes)

    def _prepare(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        try:
            request = self._request_for(shapes)
            plan = plan_engine(request)
            runner = self._load(plan) or self._rebuild(plan)
            if self._closed:
                runner.close()
                return
            self._arrived = tuple((name, tuple(size)) for name, size in shapes.items()), runner
            self._stage, self._detail = 'ready', ''
            LOG.info('%s: serving from %s', self.card.name, runner.backend)
        except (PerceptionError, EngineFailedError, StaleEngineError, OSError) as error:
            self._fail(str(error))
        except Exception as error:  # whatever the library throws, the fallback serves on
            self._fail(repr(error))
        finally:
            self._build = None
            self._settled.set()

    def _load(self, plan: EnginePlan) -> Runner | None:
        """Runner from the cache, or None with the reason noted."""
        try:
            key, content = EngineCache(plan.request.folder or None).find(plan.key)
            self._stage, self._key = 'loading', key.digest
            return self._open_engine(dataclasses.replace(plan, key=key), content)
        except StaleEngineError as error:
            self._detail = str(error)
            return None

    def _rebuild(self, plan: EnginePlan) -> Runner:
        cache = EngineCache(plan.request.folder or None)
        LOG.warning('%s: building an engine: %s', self.card.name, self._detail)
        if self._stage == 'loading':  # whole, and yet the library refuses it
            cache.path(plan.key).unlink(missing_ok=True)
        self._build = BackgroundBuild(plan.request)
        self._stage, self._key = 'building', plan.key.digest
        if self._closed:  # closed just before the process was known
            self._build.stop()
        if error := self._build.wait():
            raise EngineFailedError(error)
        self._stage = 'loading'
        return self._open_engine(plan, cache.load(plan.key))

    def _close_engines(self) -> None:
        if self._arrived is not None:
            self._arrived[1].close()
            self._arrived = None
        for runner in self._engines.values():
            runner.close()
        self._engines.clear()

    def _fail(self, reason: str) -> None:
        self._stage, self._detail = 'failed', ' '.join(reason.split())
        if not self._closed:
            LOG.error('%s: %s serves, no engine: %s', self.card.name, self._fallback.backend,
                      self._detail)
