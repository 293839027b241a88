"""Starts and stops the chat service under a real server with two workers, on a free port of the loopback."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).resolve().parent
SERVERS = ("gunicorn", "uvicorn")
WORKERS = 2
START_SECONDS = 60.0
STOP_SECONDS = 30.0


class ServiceError(Exception):
    """The service did not come up, or ended in another way than it should."""


@contextmanager
def running(server: str, environ: dict[str, str], log: Path) -> Iterator[int]:
    """Run the service while the block runs; gives its port. What it prints goes to the file `log`.

    `environ` is added to this process's environment. Raises ServiceError.
    """
    # The listening socket is made here and inherited: no port is guessed, and early connections wait.
    with socket.create_server(("127.0.0.1", 0)) as listener, log.open("wb") as output:
        descriptor = listener.fileno()
        process = subprocess.Popen(
            _command(server, descriptor),
            cwd=HERE,
            env={**os.environ, **environ},
            pass_fds=(descriptor,),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            port = listener.getsockname()[1]
            _wait_until_it_serves(process, log)
            yield port
        finally:
            _stop(process)


def _command(server: str, descriptor: int) -> list[str]:
    """gunicorn forks its workers, uvicorn spawns them: two different lives for an agent."""
    workers = ["--workers", str(WORKERS)]
    if server == "gunicorn":
        workers += ["--bind", f"fd://{descriptor}", "--worker-class", "uvicorn_worker.UvicornWorker"]
    else:
        workers += ["--fd", str(descriptor)]
    return [sys.executable, "-m", server, *workers, "chat_backend.app:app"]


def _wait_until_it_serves(process: subprocess.Popen[bytes], log: Path) -> None:
    """Both servers log the same line when a worker is ready."""
    deadline = time.monotonic() + START_SECONDS
    while log.read_text(errors="replace").count("Application startup complete") < WORKERS:
        if process.poll() is not None or time.monotonic() > deadline:
            said = log.read_text(errors="replace")
            raise ServiceError(f"the service did not start; it said:\n{said}")
        time.sleep(0.05)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Stop the way a deployment does, by SIGTERM; who has not gone in time is killed, which is an error."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise ServiceError(f"the service had not stopped {STOP_SECONDS:.0f} s after SIGTERM") from None
