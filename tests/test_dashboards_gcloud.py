"""The files loaded by hand, with the real gcloud, into the loopback service: as `dashboards/README.md` says."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from loopback_monitoring import rest_front
from loopback_monitoring.state import State

pytestmark = [pytest.mark.backend, pytest.mark.timeout(400)]
CLOUD = Path(__file__).resolve().parents[1] / "dashboards" / "cloud-monitoring"


@pytest.fixture
def gcloud(tmp_path):
    if not shutil.which("gcloud"):
        pytest.skip("gcloud is not on this machine: install the Google Cloud CLI")
    state = State()
    with rest_front.serving(state) as url:
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("CLOUDSDK_", "GOOGLE_"))}
        environment |= {
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_MONITORING": f"{url}/", "CLOUDSDK_API_ENDPOINT_OVERRIDES_LOGGING": f"{url}/",
            "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true", "CLOUDSDK_CORE_PROJECT": "demo",
            "CLOUDSDK_CORE_CHECK_GCE_METADATA": "false", "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true",
            "CLOUDSDK_CONFIG": str(tmp_path), "CLOUDSDK_CORE_DISABLE_PROMPTS": "true",
        }  # fmt: skip

        def run(*arguments):
            done = subprocess.run(["gcloud", *arguments], env=environment, capture_output=True, text=True, check=False,
                                  timeout=60)
            assert done.returncode == 0, done.stderr
            return done.stdout

        run.state = state
        yield run


def test_one_file_of_each_kind_loads(gcloud):
    gcloud("logging", "metrics", "create", "lastcall/uses", f"--config-from-file={CLOUD}/log-metrics/uses.json")
    gcloud("alpha", "monitoring", "policies", "create", f"--policy-from-file={CLOUD}/alerts/new-call-site.json")
    gcloud("monitoring", "dashboards", "create", f"--config-from-file={CLOUD}/dashboards/road-to-zero.json")
    assert gcloud.state.writes() == ["CreateLogMetric", "CreateAlertPolicy", "CreateDashboard"]


@pytest.mark.slow
def test_every_file_loads(gcloud):
    for path in sorted((CLOUD / "log-metrics").glob("*.json")):
        gcloud("logging", "metrics", "create", f"lastcall/{path.stem}", f"--config-from-file={path}")
    for path in sorted((CLOUD / "alerts").glob("*.json")):
        gcloud("alpha", "monitoring", "policies", "create", f"--policy-from-file={path}")
    for path in sorted((CLOUD / "dashboards").glob("*.json")):
        gcloud("monitoring", "dashboards", "create", f"--config-from-file={path}")

    state = gcloud.state
    assert set(state.metrics) == {f"lastcall/{path.stem}" for path in (CLOUD / "log-metrics").glob("*.json")}
    titles = {json.loads(path.read_text())["displayName"] for folder in ("alerts", "dashboards")
              for path in (CLOUD / folder).glob("*.json")}
    assert {r.display_name for r in (*state.policies.values(), *state.dashboards.values())} == titles
    board = json.loads((CLOUD / "dashboards" / "road-to-zero.json").read_text())
    loaded = next(d for d in state.dashboards.values() if d.display_name == board["displayName"])
    assert len(loaded.mosaic_layout.tiles) == len(board["mosaicLayout"]["tiles"])


def test_the_service_refuses_a_file_with_an_unknown_field(gcloud, tmp_path):
    """gcloud passes anything on, so the refusal shows that the service above does look."""
    bad = tmp_path / "bad.json"
    bad.write_text('{"displayName": "x", "description": "not in the API"}')
    with pytest.raises(AssertionError, match="description"):
        gcloud("monitoring", "dashboards", "create", f"--config-from-file={bad}")
