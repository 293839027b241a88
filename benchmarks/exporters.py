"""What exporting costs: throughput to loopback, background work, and what dead backends add to an exit.

    python benchmarks/exporters.py [throughput|background|agent|exit|burst ...]

Each row is measured in this run on this machine; the last column is what the row has to reach.
"""

from __future__ import annotations

import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "agent"), str(ROOT / "tests")]

import grpc  # noqa: E402 - after the path
from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client  # noqa: E402
from google.cloud.logging_v2.services.logging_service_v2.transports import LoggingServiceV2GrpcTransport  # noqa: E402

from lastcall.exporters import ExporterSettings, create  # noqa: E402
from lastcall.exporters.gcp import GcpExporter  # noqa: E402
from lastcall.exporters.gcp_clients import GrpcWriter  # noqa: E402
from observed_process import ObservedProcess, make_site  # noqa: E402

SERVERS = """
import sys, time
sys.path[:0] = [{agent!r}, {tests!r}]
from loopback.cloud_logging import CloudLogging
from loopback.otlp import Receiver
import threading
from lastcall.exporters import names
with CloudLogging() as cloud, Receiver() as receiver:
    # Decode and count, keep nothing: the bench is not about this process.
    def write(request):
        cloud.writes += len(request.entries)
        return {{}}
    cloud.write = write
    seen = {{"traces": 0}}
    def receive(signal, request):
        if signal == "traces":
            seen["traces"] += sum(len(s.spans) for r in request.resource_spans for s in r.scope_spans)
        return None
    receiver.receive = receive
    print(cloud.grpc_target, cloud.rest_endpoint, receiver.grpc_endpoint, receiver.http_endpoint, flush=True)
    for line in sys.stdin:
        print(cloud.writes, seen["traces"], flush=True)
"""


class Servers:
    """Both loopback services, in a process of their own, so that their work is not measured as ours."""

    def __enter__(self):
        code = SERVERS.format(agent=str(ROOT / "agent"), tests=str(ROOT / "tests"))
        self.process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.cloud_grpc, self.cloud_rest, self.otlp_grpc, self.otlp_http = (
            self.process.stdout.readline().split()
        )
        return self

    def __exit__(self, *exc):
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()

    def cpu(self):
        """CPU seconds that the services have used so far."""
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def received(self):
        self.process.stdin.write("?\n")
        self.process.stdin.flush()
        entries, spans = self.process.stdout.readline().split()
        return int(entries), int(spans)


def row(name, value, limit):
    print(f"| {name} | {value} | {limit} |", flush=True)


def grpc_writer(target):
    transport = LoggingServiceV2GrpcTransport(channel=grpc.insecure_channel(target))
    return GrpcWriter("demo", LoggingServiceV2Client(transport=transport))


def burst(number):
    """A batch of `number` first sights with stacks of 25 frames."""
    process = ObservedProcess()
    for n in range(number):
        process.use(make_site(n, depth=25), trace_id=n + 1, span_id=n + 1)
    return process.flush()


def timed(exporter, batch, expected, servers, which):
    """Wall seconds until the other side has all of it, our CPU seconds, and theirs."""
    before, served = servers.received()[which], servers.cpu()
    wall, cpu = time.perf_counter(), time.process_time()
    exporter.export(batch)
    while not exporter.force_flush(60):
        pass
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    served = servers.cpu() - served
    received = servers.received()[which] - before
    assert received == expected, (received, expected)
    return wall, cpu, served


def rate(number, runs):
    """A second of the clock, and the CPU time of each side: on a busy machine only that means anything.

    One request follows another, so the two sides' times add up; the service on loopback is a Python program too.
    """
    wall, cpu, served = (statistics.median(column) for column in zip(*runs, strict=True))
    return f"{number / wall:,.0f} (CPU: ours {cpu / number * 1e6:.0f} us, the service's {served / number * 1e6:.0f} us)"


def throughput():
    """Entries and spans a second, end to end: building, spooling, encoding, sending."""
    with Servers() as servers, tempfile.TemporaryDirectory() as folder:
        for transport in ("gRPC", "REST"):
            entries_a_second(servers, folder, transport)
        os.environ["OTEL_LOGS_EXPORTER"] = os.environ["OTEL_METRICS_EXPORTER"] = "none"
        for name, endpoint, protocol in (
            ("gRPC", servers.otlp_grpc, "grpc"),
            ("HTTP", servers.otlp_http, "http/protobuf"),
        ):
            os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = endpoint
            os.environ["OTEL_EXPORTER_OTLP_PROTOCOL"] = protocol
            for label, depth, amount in (("25-frame stacks", 25, 5000), ("repeats without stack", 0, 10_000)):
                spans_a_second(servers, f"{folder}/{name}{depth}", f"{name}, {label}", depth, amount)
        del os.environ["OTEL_LOGS_EXPORTER"], os.environ["OTEL_METRICS_EXPORTER"]


def entries_a_second(servers, folder, transport):
    number = 5000
    settings = ExporterSettings(
        gcp_project="demo", gcp_endpoint=servers.cloud_rest, store=f"{folder}/{transport}", attempt_timeout=30
    )
    connect = {"connect": lambda _: grpc_writer(servers.cloud_grpc)} if transport == "gRPC" else {}
    exporter = GcpExporter(settings, **connect)
    exporter.export(burst(1))  # imports and the connection
    exporter.force_flush(10)
    runs = [timed(exporter, burst(number), number, servers, 0) for _ in range(3)]
    row(f"Cloud Logging entries a second, {transport}, 25-frame stacks", rate(number, runs), "5,000")
    exporter.shutdown(1)


def spans_a_second(servers, store, label, depth, amount):
    exporter = create("otlp", ExporterSettings(store=store, attempt_timeout=30))
    exporter.export(burst(1))
    exporter.force_flush(10)
    runs = []
    for _ in range(3):
        process = ObservedProcess()
        for n in range(amount):
            process.use(make_site(n, depth=depth), trace_id=n + 1, span_id=n + 1)
        runs.append(timed(exporter, process.flush(), amount, servers, 1))
    row(f"OTLP spans a second, {label}", rate(amount, runs), "10,000")
    exporter.shutdown(1)


def background():
    """CPU of the background work for one minute of 1,000 uses a second over 50 sites, both exporters on."""
    with Servers() as servers, tempfile.TemporaryDirectory() as folder:
        os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"], os.environ["OTEL_EXPORTER_OTLP_PROTOCOL"] = (
            servers.otlp_http,
            "http/protobuf",
        )
        exporters = [
            GcpExporter(
                ExporterSettings(gcp_project="demo", gcp_endpoint=servers.cloud_rest, store=f"{folder}/s")
            ),
            create("otlp", ExporterSettings(store=f"{folder}/s", metric_interval=0.0)),
        ]
        process = ObservedProcess()
        for n in range(50):
            process.use(make_site(n, depth=25))
        for exporter in exporters:
            exporter.export(process.flush(observe=True))
            exporter.force_flush(20)
        cpu = 0.0
        for second in range(600):
            process.now += 1
            for n in range(50):
                process.use(make_site(n, depth=25), times=20, detailed=second % 60 == n)
            batch = process.flush(observe=second % 600 == 0)
            if second % 15:  # the metrics' interval: this loop does not wait for it
                exporters[1]._metrics_due = float("inf")
            else:
                exporters[1]._metrics_due = 0.0
            began = time.process_time()
            for exporter in exporters:
                exporter.export(batch)
            cpu += time.process_time() - began
        for exporter in exporters:
            exporter.shutdown(5)
        row(
            "background CPU at 1,000 uses/s, 50 sites, both exporters (share of one core)",
            f"{cpu / 600:.2%}",
            "1 %",
        )


HOST = """
import sys, time
import shim
for _ in range(100):
    shim.old()
time.sleep(float(sys.argv[1]))
for _ in range(100):
    shim.old()
print(time.time(), flush=True)
"""


def exit_seconds(folder, environment, lived, during=lambda: None, after=lambda: None):
    """From the program's last statement to the end of its process; `during` happens while it runs."""
    runs = []
    for number in range(5):
        env = {
            **os.environ,
            "PYTHONPATH": f"{ROOT}:{ROOT / 'agent'}:{folder}",
            **environment,
            "LASTCALL_STORE": f"{folder}/{number}.db",
        }
        command = [sys.executable, f"{folder}/host.py", str(lived)]
        host = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        during()
        said, complaints = host.communicate(timeout=60)
        runs.append(time.time() - float(said))
        after()
        assert not complaints, complaints
    return statistics.median(runs)


ON = {
    "LASTCALL_ENABLED": "1",
    "LASTCALL_TARGETS": "shim:old",
    "GOOGLE_CLOUD_PROJECT": "demo",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
}


def at_exit():
    """What an exit takes with living, refusing, black-holed and dying backends."""
    with (
        Servers() as servers,
        tempfile.TemporaryDirectory() as folder,
        socket.socket() as hole,
        socket.socket() as closed,
    ):
        Path(folder, "shim.py").write_text("def old():\n    pass\n")
        Path(folder, "host.py").write_text(textwrap.dedent(HOST))
        hole.bind(("127.0.0.1", 0))
        hole.listen(128)
        closed.bind(("127.0.0.1", 0))  # bound, not listening: refuses
        alive = (servers.cloud_rest, servers.otlp_http)
        refusing, black_hole = (f"http://127.0.0.1:{end.getsockname()[1]}" for end in (closed, hole))

        def die():
            time.sleep(2.5)
            servers.process.send_signal(signal.SIGSTOP)  # connections stay open, and nobody answers

        def revive():
            servers.process.send_signal(signal.SIGCONT)

        for lived in (0.2, 3.0):
            bare = exit_seconds(folder, {"LASTCALL_ENABLED": ""}, lived)
            alone = exit_seconds(folder, {**ON, "LASTCALL_EXPORTERS": "store"}, lived)
            row(f"exit after {lived:g} s, store only, added", f"{(alone - bare) * 1e3:.0f} ms", "5 ms")
            both_backends("alive", alive, folder, lived, bare, limit="2,000 ms")
            both_backends("refusing", (refusing, refusing), folder, lived, bare)
            both_backends("black hole", (black_hole, black_hole), folder, lived, bare)
        both_backends("dying under way", alive, folder, lived, bare, meanwhile=(die, revive))


def both_backends(name, ends, folder, lived, bare, *, limit="500 ms", meanwhile=()):
    cloud, otlp = ends
    environment = {
        **ON,
        "LASTCALL_EXPORTERS": "store,gcp,otlp",
        "LASTCALL_GCP_ENDPOINT": cloud,
        "OTEL_EXPORTER_OTLP_ENDPOINT": otlp,
    }
    took = exit_seconds(folder, environment, lived, *meanwhile)
    row(f"exit after {lived:g} s, both backends {name}, added", f"{(took - bare) * 1e3:.0f} ms", limit)


BUSY_HOST = """
import os, sys, time
import shim

callers = []
for number in range(50):
    names = {}
    exec(compile("def use():\\n    shim.old()\\n", f"caller_{number}.py", "exec"), {"shim": shim}, names)
    callers.append(names["use"])

def others():
    \"\"\"CPU seconds of all threads but this one.\"\"\"
    tasks = [task for task in os.listdir("/proc/self/task") if int(task) != os.getpid()]
    return sum(int(open(f"/proc/self/task/{task}/schedstat").read().split()[0]) for task in tasks) / 1e9

def run(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for use in callers:
            use()
        time.sleep(0.05)

run(4)
before, began = others(), time.monotonic()
run(float(sys.argv[1]))
print((others() - before) / (time.monotonic() - began), time.time())
"""


def agent():
    """CPU of the agent's thread in a real process: 1,000 uses a second over 50 sites, the store and both exporters."""
    with Servers() as servers, tempfile.TemporaryDirectory() as folder:
        Path(folder, "shim.py").write_text("def old():\n    pass\n")
        Path(folder, "host.py").write_text(textwrap.dedent(BUSY_HOST))
        env = {
            **os.environ,
            "PYTHONPATH": f"{ROOT}:{ROOT / 'agent'}:{folder}",
            "LASTCALL_ENABLED": "1",
            "LASTCALL_TARGETS": "shim:old",
            "LASTCALL_EXPORTERS": "store,gcp,otlp",
            "LASTCALL_STORE": f"{folder}/store.db",
            "LASTCALL_GCP_ENDPOINT": servers.cloud_rest,
            "GOOGLE_CLOUD_PROJECT": "demo",
            "OTEL_EXPORTER_OTLP_ENDPOINT": servers.otlp_http,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        }
        command = [sys.executable, f"{folder}/host.py", "40"]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
        share = float(done.stdout.split()[0])
        row("the agent's thread at 1,000 uses/s, 50 sites, store and both exporters", f"{share:.2%}", "1 %")


def burst_of_spans():
    """A burst of 20,000 spans: ours, and the SDK's batch processor with its defaults."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    number = 20_000
    with Servers() as servers, tempfile.TemporaryDirectory() as folder:
        os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"], os.environ["OTEL_EXPORTER_OTLP_PROTOCOL"] = (
            servers.otlp_http,
            "http/protobuf",
        )
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        tracer = provider.get_tracer("bench")
        for n in range(number):
            tracer.start_span(f"deprecated {n % 50}").end()
        provider.shutdown()
        arrived = servers.received()[1]
        row(
            "of a burst of 20,000 spans lost by the SDK's batch processor", f"{1 - arrived / number:.1%}", "-"
        )
        exporter = create("otlp", ExporterSettings(store=f"{folder}/s", attempt_timeout=30))
        process = ObservedProcess()
        for n in range(number):
            process.use(make_site(n, depth=0))
        timed(exporter, process.flush(), number, servers, 1)
        row("of a burst of 20,000 spans lost by ours", "0.0%", "0")
        exporter.shutdown(5)


PARTS = {
    "throughput": throughput,
    "background": background,
    "agent": agent,
    "exit": at_exit,
    "burst": burst_of_spans,
}


def main():
    """Run the parts named on the command line, or all."""
    wanted = sys.argv[1:] or list(PARTS)
    print("| row | measured | at least / at most |\n|---|---|---|")
    for name in wanted:
        PARTS[name]()


if __name__ == "__main__":
    main()
