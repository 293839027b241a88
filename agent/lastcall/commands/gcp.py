"""`lastcall gcp plan|apply|destroy`: dashboards, alerts and log-based metrics of a Google Cloud project."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lastcall.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from lastcall.provision.api import Api
    from lastcall.provision.plan import Change

_PROJECT = re.compile(r"[a-z0-9][a-z0-9.:-]{0,62}")
_CHANNEL = re.compile(r"projects/[^/]+/notificationChannels/[^/]+")
_RESOURCE_TYPE = re.compile(r"[a-z][a-z0-9_/.-]{0,99}")
_SIGNS = {"create": "+", "update": "~", "delete": "-", "unchanged": "=", "conflict": "!"}
_COLOURS = {
    "create": "green",
    "update": "yellow",
    "delete": "red",
    "unchanged": "dim",
    "conflict": "bold red",
}
_PAST = {"create": "created", "update": "updated", "delete": "deleted", "conflict": "left alone"}

Project = Annotated[
    str,
    typer.Option(
        "--project",
        help="The project's id. Default: gcp_project of the configuration, or GOOGLE_CLOUD_PROJECT.",
        show_default=False,
    ),
]
Channels = Annotated[
    list[str] | None,
    typer.Option(
        "--notification-channel",
        metavar="NAME",
        help="Where alerts go: projects/P/notificationChannels/ID; may be repeated. "
        "Without it, the channels set by hand on a policy stay.",
    ),
]
Reads = Annotated[
    str,
    typer.Option(
        "--from",
        metavar="logs|otlp|both",
        help="What dashboards and alerts read: log entries, OpenTelemetry metrics, or one set of each.",
    ),
]
ResourceType = Annotated[
    str,
    typer.Option(
        "--resource-type", help="The monitored resource your services run on, for example k8s_container."
    ),
]
Adopt = Annotated[
    bool, typer.Option("--adopt", help="Take over resources of the same name that lastcall gcp did not make.")
]
Full = Annotated[bool, typer.Option("--full", help="Show the text of what is created and deleted, too.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

gcp = typer.Typer(
    no_args_is_help=True,
    help="Cloud Monitoring dashboards, alert policies and log-based metrics, as code.\n\n"
    "Everything made here is marked, and nothing without the mark is ever touched.",
)


def register(app: typer.Typer) -> None:
    """Add the `gcp` group to the command line."""
    app.add_typer(gcp, name="gcp")


@gcp.command("plan")
def plan_command(  # noqa: PLR0917 - typer reads the options off the signature
    project: Project = "",
    channels: Channels = None,
    reads: Reads = "logs",
    resource_type: ResourceType = "cloud_run_revision",
    adopt: Adopt = False,
    full: Full = False,
    check: Annotated[bool, typer.Option("--check", help="Exit with 1 if anything would change.")] = False,
    output: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
) -> None:
    """Show what `apply` would create, change (as a diff) and remove. Changes nothing."""
    if output not in ("text", "json"):
        raise UsageError(f"--format is {output!r}: expected text or json")
    _look_at(channels, reads, resource_type)
    api, project = _connect(project)
    changes = _planned(api, project, channels, reads, resource_type, adopt=adopt)
    if output == "json":
        typer.echo(
            json.dumps({"project": project, "changes": [_as_json(change) for change in changes]}, indent=2)
        )
    else:
        _show(changes, project, full=full)
    if check and any(change.action != "unchanged" for change in changes):
        raise typer.Exit(1)


@gcp.command("apply")
def apply_command(  # noqa: PLR0917 - typer reads the options off the signature
    project: Project = "",
    channels: Channels = None,
    reads: Reads = "logs",
    resource_type: ResourceType = "cloud_run_revision",
    adopt: Adopt = False,
    full: Full = False,
    yes: Yes = False,
) -> None:
    """Make the project match: show the diff, ask, then create, update and remove. Safe to run again."""
    _look_at(channels, reads, resource_type)
    api, project = _connect(project)
    _carry_out(
        api, _planned(api, project, channels, reads, resource_type, adopt=adopt), project, full=full, yes=yes
    )


@gcp.command("destroy")
def destroy_command(project: Project = "", full: Full = False, yes: Yes = False) -> None:
    """Remove everything that lastcall gcp made in the project, and nothing else."""
    from lastcall.provision.execute import survey
    from lastcall.provision.plan import removal

    api, project = _connect(project)
    with _working(f"Reading project {project}"):
        live = survey(api, project)
    _carry_out(api, removal(live), project, full=full, yes=yes)


def _connect(project: str) -> tuple[Api, str]:
    """The services, and the project that the command line or the configuration names."""
    from google.auth.exceptions import GoogleAuthError

    from lastcall import config
    from lastcall.provision.api import connect
    from lastcall.provision.failures import sentence

    settings = config.load()
    project = project or settings.gcp_project
    if not project:
        raise UsageError("which project? Give --project ID, or set GOOGLE_CLOUD_PROJECT or gcp_project")
    if not _PROJECT.fullmatch(project):
        raise UsageError(
            f"the project is {project!r}: expected a project id of lower-case letters, digits and hyphens"
        )
    try:
        with _working("Looking for credentials"):
            return connect(project, settings.gcp_endpoint), project
    except GoogleAuthError as error:
        raise UsageError(sentence(error, project)) from error


def _look_at(channels: Sequence[str] | None, reads: str, resource_type: str) -> None:
    """Raises UsageError for an option that no project could be planned with, before one is asked."""
    from lastcall.provision.definitions import SOURCES

    for channel in channels or ():
        if not _CHANNEL.fullmatch(channel):
            raise UsageError(
                f"--notification-channel is {channel!r}: expected projects/PROJECT/notificationChannels/ID, "
                "as gcloud beta monitoring channels list prints it"
            )
    if not _RESOURCE_TYPE.fullmatch(resource_type):
        raise UsageError(
            f"--resource-type is {resource_type!r}: expected a monitored resource type such as k8s_container"
        )
    if reads not in SOURCES:
        raise UsageError(f"--from is {reads!r}: expected logs, otlp or both")


def _planned(
    api: Api, project: str, channels: Sequence[str] | None, reads: str, resource_type: str, *, adopt: bool
) -> tuple[Change, ...]:
    from lastcall.provision.definitions import load
    from lastcall.provision.execute import survey
    from lastcall.provision.plan import plan

    wanted = load(reads=reads, resource_type=resource_type, notification_channels=tuple(channels or ()))
    with _working(f"Reading project {project}"):
        live = survey(api, project)
    return plan(wanted, live, adopt=adopt)


def _carry_out(api: Api, changes: Sequence[Change], project: str, *, full: bool, yes: bool) -> None:
    from lastcall.provision.execute import execute

    _show(changes, project, full=full)
    if all(change.action in ("unchanged", "conflict") for change in changes):
        raise typer.Exit(1 if any(change.action == "conflict" for change in changes) else 0)
    _confirm(yes=yes)
    console = _console()
    failed = 0
    for outcome in execute(api, changes, project):
        change = outcome.change
        if outcome.result == "done":
            _line(
                console, f"{_PAST[change.action]} {change.kind.name} {change.slug}", _COLOURS[change.action]
            )
        else:
            failed += 1
            _line(
                console, f"{outcome.result} {change.kind.name} {change.slug}: {outcome.message}", "bold red"
            )
    if failed:
        print(
            f"lastcall: {failed} of {sum(c.action != 'unchanged' for c in changes)} changes were not made in "
            f"project {project}; the others were. Run the command again once the cause is gone.",
            file=sys.stderr,
        )
        raise typer.Exit(1)


def _confirm(*, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("nobody is there to confirm (standard input is not a terminal): add --yes")
    if not typer.confirm("Carry this out?"):
        raise typer.Exit(1)


def _show(changes: Sequence[Change], project: str, *, full: bool) -> None:
    console = _console()
    for change in changes:
        if change.action == "unchanged":
            continue
        reason = f": {change.reason}" if change.reason else ""
        _line(
            console,
            f"{_SIGNS[change.action]} {change.kind.name} {change.slug} ({change.action}){reason}",
            _COLOURS[change.action],
        )
        for line in change.diff().splitlines() if full or change.action == "update" else ():
            colour = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "dim")
            _line(console, f"    {line}", colour)
    counted = {action: sum(change.action == action for change in changes) for action in _SIGNS}
    print(
        f"Project {project}: {counted['create']} to create, {counted['update']} to update, "
        f"{counted['delete']} to delete, {counted['unchanged']} unchanged, {counted['conflict']} in conflict."
    )


def _as_json(change: Change) -> dict[str, Any]:
    return {
        "action": change.action,
        "kind": change.kind.name,
        "id": change.slug,
        "name": str((change.live or {}).get("name", "")),
        "reason": change.reason,
        "diff": change.diff(),
    }


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True)


def _line(console: Console, text: str, colour: str) -> None:
    # A name or a filter may hold square brackets: markup stays off.
    console.print(text, style=colour, markup=False)


def _working(what: str) -> Any:
    from rich.console import Console

    return Console(stderr=True).status(what)
