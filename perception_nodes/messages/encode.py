# SPDX-License-Identifier: Apache-2.0
"""What the encoders of all tasks look like, and the one message that every task has."""

import json
from collections.abc import Callable, Container, Mapping
from typing import Any

from perception_nodes.messages.context import Context, History
from perception_nodes.messages.factory import MessageFactory

__all__ = ['Encoder', 'History', 'LatchedEncoder', 'model_info_message']

# From (result, factory, wanted topic names, context) to messages by topic name.
Encoder = Callable[[Any, MessageFactory, Container[str], Context], dict[str, Any]]
# From (model_info, factory, stamp in ns) to messages by topic name.
LatchedEncoder = Callable[[Mapping[str, Any], MessageFactory, int], dict[str, Any]]


def model_info_message(info: Mapping[str, Any], factory: MessageFactory) -> Any:
    """Make the std_msgs/String of ``~/model_info``: JSON of the model card and engine key."""
    return factory.make('std_msgs/msg/String', data=json.dumps(info, sort_keys=True))
