# SPDX-License-Identifier: Apache-2.0
"""The managed node that every task's node is: parameters, lifecycle, diagnostics.

========================  ======================================================================
state                     what is there
========================  ======================================================================
unconfigured              parameters, /diagnostics
inactive (configured)     models loaded, publishers, services
active                    subscriptions and the worker
========================  ======================================================================
"""

import traceback
from collections.abc import Callable, Sequence
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.context import Context
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.task import Future

from perception_nodes.ros import parameters
from perception_nodes.ros.node.active_state import ActiveState
from perception_nodes.ros.node.configured_state import ConfiguredState
from perception_nodes.ros.node.host import Host
from perception_nodes.ros.node.reporting import NodeState, report
from perception_nodes.ros.node.transitions import guard_transitions
from perception_nodes.ros.problems import Problems
from perception_nodes.ros.tasks.task_set import LIVE, TaskSet
from perception_nodes.text import one_line
from perception_nodes.types import PerceptionError

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
DIAGNOSTICS_S = 1.0


class PerceptionLifecycleNode(LifecycleNode):
    """Runs some tasks on one camera's or one pair's images.

    Parameters
    ----------
    name : of the node.
    choose : returns the tasks; may declare a parameter for it.
    context, cli_args, namespace, parameter_overrides : as rclpy.node.Node takes them.

    Raises
    ------
    PerceptionError
        If a parameter was given with a wrong type.
    """

    exit_status = 0
    hangs = False
    configured: ConfiguredState | None = None
    active: ActiveState | None = None

    def __init__(
        self, name: str, choose: Callable[[LifecycleNode], TaskSet], *,
        context: Context | None = None,
        cli_args: list[str] | None = None, namespace: str | None = None,
        parameter_overrides: list[Parameter] | None = None,
    ) -> None:
        super().__init__(
            name, context=context, cli_args=cli_args, namespace=namespace,
            parameter_overrides=parameter_overrides,
        )
        guard_transitions(self)
        self.stage = 'unconfigured'
        self.failure = ''
        self.problems = Problems(self.get_logger().error)
        self.tasks = choose(self)
        self.tasks.declare(self)
        self.host = Host(
            self, self.tasks, self.problems, self.on_worker, self._failed, self.finish,
            self.filter_input,
        )
        self.statistics = self.host.statistics
        self.add_on_set_parameters_callback(self._check_parameters)
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self._diagnostics_timer = self.create_timer(
            DIAGNOSTICS_S, self.publish_diagnostics, clock=self.host.steady_clock
        )
        self._autostart_timer = None
        if self.get_parameter('autostart').value:
            self._autostart_timer = self.create_timer(
                0.0, self._autostart, clock=self.host.steady_clock
            )

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the models; FAILURE with the reason in the log and in /diagnostics."""
        return self._attempt('configure', self._configure, 'inactive')

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe and start the worker."""
        result = super().on_activate(state)
        if result != SUCCESS:
            return result
        result = self._attempt('activate', self._activate, 'active')
        if result != SUCCESS:
            super().on_deactivate(state)
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """End the subscriptions and the worker."""
        self._deactivate()
        self.stage = 'inactive'
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the models, destroy publishers and services."""
        self._close_all()
        self.stage = 'unconfigured'
        return SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free everything, from any state."""
        self._close_all()
        self.stage = 'finalized'
        return SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Come back to unconfigured from whatever went wrong."""
        self._close_all()
        self.stage = 'unconfigured'
        return SUCCESS

    def destroy_node(self) -> None:
        """Free everything and leave ROS."""
        self._close_all()
        super().destroy_node()

    def filter_input(self, name: str, source: Any) -> Any:
        """Put filters of one's own in front of an input; for subclasses, with message_filters.

        Parameters
        ----------
        name : of the input, 'left/image_rect'. source : its message_filters.Subscriber.

        Returns
        -------
        The filter whose messages the node takes: the source, or one that is connected to it.
        """
        return source

    def publish_diagnostics(self) -> None:
        """Publish the state now; called once a second."""
        state = NodeState(self.stage, self.failure, self.configured, self.active)
        try:
            self._diagnostics.publish(report(self.host, state))
            if self.stage == 'active' and self.configured is not None:
                self.configured.publish_latched()
        except Exception as error:  # a middleware without this must not end the node
            self._failed(error, 'diagnostics')

    async def on_worker(self, job: Callable[[], str]) -> tuple[bool, str]:
        """Do a job between two frames; returns (done, its message or why not)."""
        future: Future[tuple[bool, str]] = Future(executor=self.executor)

        def run() -> None:
            try:
                future.set_result((True, job()))
            except (PerceptionError, OSError) as error:
                future.set_result((False, str(error)))
            except Exception as error:
                self._failed(error)
                future.set_result((False, repr(error)))

        if self.hangs:
            return False, 'a worker hangs: end this process and start it again'
        if self.active is None or not self.active.worker.mailbox.put_job(run):
            run()  # no worker: nobody else touches the pipelines
        return await future or (False, 'it was not done')

    def finish(self, status: int) -> None:
        """End the process that spins this node (its work is done: build_only)."""
        self.exit_status = status
        self.context.try_shutdown()

    def _configure(self) -> None:
        self.configured = ConfiguredState(self.host, self.tasks.read(self))

    def _activate(self) -> None:
        if self.configured is None:
            raise PerceptionError('it is not configured')
        if self.hangs:
            raise PerceptionError('a worker still hangs: end this process and start it again')
        self.problems.clear()
        self.active = self.configured.activate()
        self.configured.publish_latched()
        if self.configured.settings.node.build_only:
            self.active.worker.mailbox.put_job(self.configured.build_engines)

    def _attempt(
        self, name: str, step: Callable[[], None], stage: str
    ) -> TransitionCallbackReturn:
        try:
            step()
        except Exception as error:
            if not self.context.ok():
                return FAILURE  # the process is ending under it
            self.failure = one_line(f'{name} failed: {error}' if str(error) else repr(error))
            self.get_logger().error(self.failure)
            if not isinstance(error, PerceptionError):
                self.get_logger().error(traceback.format_exc())
            if name == 'configure':
                self._close_all()
            self.publish_diagnostics()
            return FAILURE
        self.failure, self.stage = '', stage
        serving = self.configured.loaded.states().values() if self.configured else ()
        models = ', '.join(sorted({state.serving for state in serving})) or 'no model'
        self.get_logger().info(f'{stage}: {", ".join(self.tasks.tasks)} on {models}')
        return SUCCESS

    def _autostart(self) -> None:
        """Once, when the executor spins: so a service can be answered in between."""
        if self._autostart_timer is not None:
            self.destroy_timer(self._autostart_timer)
        if self.stage == 'unconfigured' and self.trigger_configure() == SUCCESS:
            self.trigger_activate()

    def _failed(self, error: Exception, task: str = '') -> None:
        """Note what the worker met, and in which task; it goes on with the next frame."""
        if not self.context.ok():
            return  # the process is ending under it
        self.statistics.count('bad')
        who = f'{task}: ' if task else ''
        if isinstance(error, PerceptionError):
            self.problems.add(f'{who}{error}')
            return
        where = traceback.extract_tb(error.__traceback__)[-1:]
        place = f' ({where[0].name}, line {where[0].lineno})' if where else ''
        self.problems.add(f'{who}{error!r}{place}', f'{who}{type(error).__name__}{place}')

    def _check_parameters(self, changes: Sequence[Parameter]) -> SetParametersResult:
        try:
            reason = parameters.refusal(self, self.tasks.configs(), changes)
        except Exception as error:  # out of here it would end the process
            reason = f'it cannot be read: {error!r}'
        mine = self.tasks.parameter_names()
        late = [
            change.name for change in changes
            if change.name in mine and change.name.split('.')[-1] not in LIVE
        ]
        if not reason and late and self.configured is not None:
            reason = f'{", ".join(late)}: read in configure; clean the node up first'
        return SetParametersResult(successful=not reason, reason=one_line(reason))

    def _deactivate(self) -> None:
        active, self.active = self.active, None
        if active is not None and not active.close():
            self.hangs = True
            self.get_logger().error('the worker hangs and was left behind')

    def _close_all(self) -> None:
        self._deactivate()
        configured, self.configured = self.configured, None
        if configured is not None:
            configured.close(keep_models=self.hangs)
