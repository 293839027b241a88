"""Says in one sentence what a failed request to Google means, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lastcall.provision.kinds import Kind

ROLES = "roles/monitoring.dashboardEditor, roles/monitoring.alertPolicyEditor and roles/logging.configWriter"
LOGIN = "run gcloud auth application-default login"
APIS = "monitoring.googleapis.com logging.googleapis.com"


def sentence(error: Exception, project: str, kind: Kind | None = None) -> str:
    """`error` in a person's words: what was refused, where, and the next step."""
    from google.api_core import exceptions
    from google.auth import exceptions as auth

    where = f"the {kind.plural} of project {project}" if kind else f"project {project}"
    text = _first_line(error)
    unreachable = (
        exceptions.ServiceUnavailable,
        exceptions.DeadlineExceeded,
        exceptions.GatewayTimeout,
        exceptions.RetryError,
    )
    worded = (
        (
            (auth.GoogleAuthError,),
            f"no usable credentials for {where} ({text}): {LOGIN}, or set GOOGLE_APPLICATION_CREDENTIALS",
        ),
        (
            (exceptions.Unauthenticated,),
            f"Google does not accept the credentials for {where} ({text}): {LOGIN} again",
        ),
        ((exceptions.Forbidden,), _forbidden(error, where, project)),
        (
            (exceptions.NotFound,),
            f"not found: {where} ({text}); check the project's id with gcloud projects list",
        ),
        (
            (exceptions.TooManyRequests,),
            f"Google takes no more requests for {where} just now ({text}); run the command again in a minute",
        ),
        (unreachable, f"Google's service cannot be reached for {where} ({text}); try again later"),
        ((exceptions.BadRequest,), f"Google refuses the request for {where}: {text}"),
    )
    for types, message in worded:
        if isinstance(error, types):
            return message
    return f"{where}: {type(error).__name__}: {text}"


def changed_meanwhile(name: str) -> str:
    """What to say when somebody changed a resource between the plan and its execution."""
    return (
        f"{name} was changed by somebody since the plan was made; nothing was overwritten, "
        "run the command again"
    )


def _forbidden(error: Exception, where: str, project: str) -> str:
    text = _first_line(error)
    if "SERVICE_DISABLED" in str(error) or "has not been used" in text or "is disabled" in text:
        return (
            f"an API is switched off for {where} ({text}): "
            f"run gcloud services enable {APIS} --project {project}"
        )
    return (
        f"no permission for {where} ({text}): the account needs {ROLES}, or --project names the wrong project"
    )


def _first_line(error: Exception) -> str:
    # A RetryError's own message says how long it tried; its cause says why.
    cause = getattr(error, "cause", None)
    text = str(getattr(cause or error, "message", "") or cause or error).strip()
    return text.splitlines()[0] if text else type(error).__name__
