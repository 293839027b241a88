"""A certificate: the evidence behind a verdict as JSON with a digest, to attach to the commit that deletes.

The digest is SHA-256 over everything but itself as canonical JSON: keys sorted, no spaces, UTF-8, numbers as
Python writes them. It shows that a certificate was not changed; it does not show who wrote it.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from lastcall.errors import UsageError
from lastcall.reasons import rfc3339
from lastcall.verdict_report import verdict_document

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lastcall.verdict import Verdict

FORMAT = "lastcall-certificate/1"


def certificate(verdicts: Sequence[Verdict], source: str, commit: str, version: str) -> dict[str, Any]:
    """The certificate for these verdicts, sealed. `commit` is the source's revision, empty if not known."""
    question = verdicts[0].question
    content = {
        "format": FORMAT,
        "lastcall": version,
        "issued": rfc3339(verdicts[0].at),
        "source": source,
        "commit": commit or None,
        "question": {
            "window_seconds": question.window,
            "required": [{"service": s or None, "environment": e or None} for s, e in question.required],
            "ignored": [{"service": s or None, "environment": e or None} for s, e in question.ignored],
            "releases": question.releases,
            "risk_limit": question.limit,
        },
        "verdicts": [verdict_document(verdict) for verdict in verdicts],
    }
    return {**content, "digest": digest(content)}


def digest(content: dict[str, Any]) -> str:
    """`sha256:...` over everything but the digest itself."""
    body = {key: value for key, value in content.items() if key != "digest"}
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return "sha256:" + hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


def as_text(content: dict[str, Any]) -> str:
    """The certificate as a file."""
    return json.dumps(content, indent=2, ensure_ascii=True, allow_nan=False) + "\n"


def verify(path: Path) -> dict[str, Any]:
    """The certificate in a file, if it is one and was not changed. Raises UsageError."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_once)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is no certificate: {error}.") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UsageError(f"{path} is no certificate: its format is not {FORMAT!r}.")
    if content.get("digest") != digest(content):
        raise UsageError(f"{path} was changed after it was issued: its digest does not fit.", "certificate")
    return content


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a key that is there twice: readers would disagree on what was signed."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found
