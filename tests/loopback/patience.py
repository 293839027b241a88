"""How long a backend that answers may take in tests: the exporters' own patience is for dead ones."""

from lastcall.exporters import queueing

PLENTY = 60.0


def wait_for_answers(monkeypatch):
    """Have nothing that a busy machine delays taken for dead."""
    monkeypatch.setattr(queueing, "KNOCK_SECONDS", PLENTY)
    monkeypatch.setattr(queueing, "PATIENT_KNOCK_SECONDS", PLENTY)
    monkeypatch.setattr(queueing._patience, "_left", PLENTY)
