"""What the load balancer asks. Imports its subjects when it runs, so that a broken one is a failed check."""

from __future__ import annotations


class HealthChecker:
    """Checks one thing a method; each returns a word for the status page."""

    def check(self) -> dict[str, str]:
        """Every check's result by name."""
        return {"websocket": self._check_websocket(), "answers": self._check_answers()}

    def _check_websocket(self) -> str:
        from chat_backend.websocket_core.websocket_manager_factory import get_websocket_manager_factory

        factory = get_websocket_manager_factory()
        return "ok" if callable(factory.create) else "broken"

    def _check_answers(self) -> str:
        from chat_backend.agents.answer import answer

        return "ok" if answer("north", "when is the office open") else "broken"
