# SPDX-License-Identifier: Apache-2.0
"""Templates of what people read: the report's page, docs/metrics.md. HTML is escaped."""

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

__all__ = ['TEMPLATES']

TEMPLATES = Environment(
    loader=PackageLoader('perception_nodes.evaluation'),
    autoescape=select_autoescape(('html.j2',)),
    undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
)
