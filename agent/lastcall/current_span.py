"""`LASTCALL_SPANS=all`: a span that is current during the call, so that what the call does lies under it.

The host's thread only makes the span's context current; the span itself is made later, in the background,
under the ids chosen here.
"""

from __future__ import annotations

import random
import sys

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

    from .agent import Agent
    from .sites import Tap


class CurrentSpan:
    """The advice of one target: see `engines.around`. Does nothing where the host has no OpenTelemetry."""

    def __init__(self, agent: Agent, tap: Tap) -> None:
        self.agent = agent
        self.tap = tap
        agent.spanned.add((tap.target.ref, tap.use))

    def enter(self, frame: FrameType | None, _args: Any, _kwargs: Any) -> Any:
        """Make a new span's context current."""
        recorder = self.agent.recorder
        trace: Any = sys.modules.get("opentelemetry.trace")
        context: Any = sys.modules.get("opentelemetry.context")
        parent = recorder.samples.trace_now()
        own = (parent[0] or random.getrandbits(128) | 1, random.getrandbits(64) | 1)
        token = None
        if trace is not None and context is not None and hasattr(context, "attach"):
            flags = trace.TraceFlags(parent[2] if parent[0] else 1)
            span = trace.NonRecordingSpan(
                trace.SpanContext(own[0], own[1], is_remote=False, trace_flags=flags)
            )
            token = context.attach(trace.set_span_in_context(span))
        return recorder.samples.claim(recorder.record_at(self.tap, frame), parent, own), context, token

    def leave(self, entered: Any, _result: Any, error: BaseException | None) -> None:
        """Note the end and what was raised; the parent's context is current again."""
        sample, context, token = entered
        if token is not None:
            context.detach(token)
        self.agent.recorder.samples.finish(sample, type(error).__qualname__ if error is not None else "")
