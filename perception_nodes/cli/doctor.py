# SPDX-License-Identifier: Apache-2.0
"""``perception doctor``: what is installed, what is missing, and which features need it."""

import dataclasses
import json

import click

from perception_nodes.cli.doctor_checks import BROKEN, MISSING, OK, all_checks

MARK = {OK: 'ok     ', MISSING: 'missing', BROKEN: 'BROKEN '}


@click.command(
    'doctor', short_help='List what is installed, what is missing, and which features need it.'
)
@click.option('--json', 'as_json', is_flag=True, help='Print the findings as JSON.')
def command(as_json: bool) -> None:
    """Check Python, ROS, middleware, GPU, backends and models.

    Status 0: replay and evaluation work (each line names what is affected).
    Status 1: something that everything needs is broken.
    """
    checks = all_checks()
    healthy = all(check.status != BROKEN for check in checks)
    if as_json:
        findings = [dataclasses.asdict(check) for check in checks]
        click.echo(json.dumps({'healthy': healthy, 'checks': findings}, indent=1))
    else:
        group, width = '', max(len(check.name) for check in checks)
        for check in checks:
            if check.group != group:
                group = check.group
                click.echo(click.style(group, bold=True))
            click.echo(f'  {MARK[check.status]} {check.name:<{width}} {check.found}')
            if check.advice:
                click.echo(f'          {"":<{width}} {check.advice}')
    if not healthy:
        raise SystemExit(1)
