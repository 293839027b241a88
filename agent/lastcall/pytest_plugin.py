"""The pytest plugin. Does nothing unless `--lastcall` is given."""

from __future__ import annotations
