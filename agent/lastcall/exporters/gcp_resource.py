"""Which monitored resource the entries belong to, found without ever hanging.

Google's own detection asks the metadata server for up to 20 s. Here the environment variables of the
platforms say where we are; the metadata server is asked only if they, or the machine's firmware, say that
there is one, by its address and with a deadline.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

METADATA_ADDRESS: Final = "169.254.169.254"
METADATA_SECONDS: Final = 1.0
"""For all questions together."""
FIRMWARE: Final = Path("/sys/class/dmi/id/product_name")
NAMESPACE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")

PLATFORM_VARIABLES: Final = (
    "K_SERVICE", "CLOUD_RUN_JOB", "FUNCTION_TARGET", "FUNCTION_NAME", "GAE_SERVICE",
    "KUBERNETES_SERVICE_HOST", "GCE_METADATA_HOST",
)  # fmt: skip

Resource = dict[str, object]
"""`{"type": str, "labels": {str: str}}`, as in the REST API."""


def on_google(environ: Mapping[str, str] = os.environ, firmware: Path = FIRMWARE) -> bool:
    """Whether a metadata server may be there to answer."""
    if any(environ.get(name) for name in PLATFORM_VARIABLES):
        return True
    try:
        return firmware.read_text(encoding="utf-8", errors="replace").startswith("Google")
    except OSError:
        return False


class Metadata:
    """Asks the metadata server, within one deadline for all questions; silence is an empty answer."""

    def __init__(self, environ: Mapping[str, str] = os.environ, seconds: float = METADATA_SECONDS) -> None:
        # An address: resolving the name cannot be bounded in time.
        self._host = environ.get("GCE_METADATA_IP") or environ.get("GCE_METADATA_HOST") or METADATA_ADDRESS
        self._deadline = time.monotonic() + seconds

    def __call__(self, path: str) -> str:
        import http.client  # 15 ms, and most processes are nowhere near a metadata server

        left = self._deadline - time.monotonic()
        if left <= 0:
            return ""
        connection = http.client.HTTPConnection(self._host, timeout=left)
        try:
            connection.request("GET", f"/computeMetadata/v1/{path}", headers={"Metadata-Flavor": "Google"})
            answer = connection.getresponse()
            text = answer.read(4096).decode("utf-8", "replace").strip()
        except (OSError, http.client.HTTPException):
            self._deadline = 0.0  # one silence is enough
            return ""
        finally:
            connection.close()
        return text if answer.status == http.client.OK else ""


def detect(  # noqa: PLR0911 - one return for each platform
    project: str,
    environ: Mapping[str, str] = os.environ,
    *,
    ask: Callable[[str], str] | None = None,
    firmware: Path = FIRMWARE,
    namespace: Path = NAMESPACE,
) -> Resource:
    """The monitored resource of this process; `global` where nothing says more. Takes at most about a
    second."""
    ask = ask or Metadata(environ)
    get = environ.get
    if get("CLOUD_RUN_JOB"):
        return _resource(
            "cloud_run_job", project, job_name=get("CLOUD_RUN_JOB"), location=_region(environ, ask)
        )
    if get("FUNCTION_TARGET") or get("FUNCTION_NAME"):
        name = get("FUNCTION_NAME") or get("K_SERVICE") or get("FUNCTION_TARGET")
        region = get("FUNCTION_REGION") or _region(environ, ask)
        return _resource("cloud_function", project, function_name=name, region=region)
    if get("K_SERVICE"):
        return _resource(
            "cloud_run_revision", project, service_name=get("K_SERVICE"), revision_name=get("K_REVISION"),
            configuration_name=get("K_CONFIGURATION"), location=_region(environ, ask),
        )  # fmt: skip
    if get("GAE_SERVICE"):
        return _resource(
            "gae_app", project, module_id=get("GAE_SERVICE"), version_id=get("GAE_VERSION"),
            zone=_zone(environ, ask),
        )  # fmt: skip
    if get("KUBERNETES_SERVICE_HOST"):
        return _kubernetes(project, environ, ask, namespace)
    if on_google(environ, firmware) and (instance := ask("instance/id")):
        return _resource("gce_instance", project, instance_id=instance, zone=_zone(environ, ask))
    return _resource("global", project)


def _kubernetes(
    project: str, environ: Mapping[str, str], ask: Callable[[str], str], namespace: Path
) -> Resource:
    try:
        space = namespace.read_text(encoding="utf-8").strip()
    except OSError:
        space = environ.get("NAMESPACE_NAME", "")
    return _resource(
        "k8s_container",
        project,
        location=environ.get("CLUSTER_LOCATION") or ask("instance/attributes/cluster-location"),
        cluster_name=environ.get("CLUSTER_NAME") or ask("instance/attributes/cluster-name"),
        namespace_name=space,
        pod_name=environ.get("POD_NAME") or environ.get("HOSTNAME"),
        container_name=environ.get("CONTAINER_NAME"),
    )


def _resource(kind: str, project: str, **labels: str | None) -> Resource:
    return {"type": kind, "labels": {"project_id": project, **{k: v for k, v in labels.items() if v}}}


def _region(environ: Mapping[str, str], ask: Callable[[str], str]) -> str:
    """From GOOGLE_CLOUD_REGION or CLOUD_RUN_REGION if set, else `projects/NUMBER/regions/REGION` of the
    server."""
    known = environ.get("GOOGLE_CLOUD_REGION") or environ.get("CLOUD_RUN_REGION")
    return known or ask("instance/region").rpartition("/")[2]


def _zone(environ: Mapping[str, str], ask: Callable[[str], str]) -> str:
    return environ.get("GOOGLE_CLOUD_ZONE") or ask("instance/zone").rpartition("/")[2]
