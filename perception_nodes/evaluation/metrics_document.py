# SPDX-License-Identifier: Apache-2.0
"""docs/metrics.md, written from the records of the metrics.

``python -m perception_nodes.evaluation.metrics_document docs/metrics.md`` writes it anew.
"""

import sys
from pathlib import Path

from perception_nodes.evaluation.scorers import SCORERS
from perception_nodes.evaluation.templates import TEMPLATES

__all__ = ['metrics_document']


def metrics_document() -> str:
    """Return the content of docs/metrics.md."""
    return TEMPLATES.get_template('metrics.md.j2').render(scorers=SCORERS)


if __name__ == '__main__':
    Path(sys.argv[1]).write_text(metrics_document(), encoding='utf-8')
