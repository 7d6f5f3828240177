# SPDX-License-Identifier: Apache-2.0
"""Starting another Python that imports what this one does, and nothing of the current folder."""

import sys

__all__ = ['python_command']


def python_command(entry: str, *arguments: str) -> list[str]:
    """Command line that calls a function in a Python of its own.

    ``python -m`` and ``python -c`` put the current folder first on the import path, so that a
    ``json.py`` that happens to lie there would run; isolated mode (-I) would leave out PYTHONPATH,
    on which ROS 2 lives, and -P came with Python 3.11. So the folder is taken off before the first
    import.

    Parameters
    ----------
    entry : 'package.module:function'; its result is the exit status.
    arguments : sys.argv[1:] of the function.
    """
    module, _, function = entry.partition(':')
    code = (
        'import sys; sys.path[:] = [folder for folder in sys.path if folder]; '
        f'from {module} import {function}; sys.exit({function}())'
    )
    return [sys.executable, '-c', code, *arguments]
