"""A service on 127.0.0.1 by gRPC and by HTTP, that can die and come back on the same ports."""

from __future__ import annotations

import threading
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc

LARGEST_MESSAGE = 64 << 20


class Service:
    """What is behind both transports has `add_to(server)` for gRPC's and `http_handler()`. A context manager."""

    def __init__(self):
        self._ports = [0, 0]
        self._release = threading.Event()
        """Set when whatever hangs is to end."""

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc):
        self.stop()

    def start(self):
        self._release = threading.Event()
        self._pool = futures.ThreadPoolExecutor(max_workers=8)
        options = [("grpc.max_receive_message_length", LARGEST_MESSAGE), ("grpc.so_reuseport", 0)]
        self._grpc = grpc.server(self._pool, options=options)
        self.add_to(self._grpc)
        self._ports[0] = self._grpc.add_insecure_port(f"127.0.0.1:{self._ports[0]}")
        self._grpc.start()
        self._http = _Http(("127.0.0.1", self._ports[1]), self.http_handler())
        self._ports[1] = self._http.server_port
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def stop(self):
        self._release.set()
        self._grpc.stop(0).wait()
        self._pool.shutdown(wait=True)
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def grpc_target(self):
        return f"127.0.0.1:{self._ports[0]}"

    @property
    def http_endpoint(self):
        return f"http://127.0.0.1:{self._ports[1]}"


class HttpHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or every answer waits 40 ms for an acknowledgement
    wbufsize = -1

    def log_message(self, *args):
        pass

    def received(self):
        return self.rfile.read(int(self.headers["Content-Length"]))

    def answer(self, status, content_type, body=b""):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request, client_address):
        pass  # a client that went away: what the tests are about
