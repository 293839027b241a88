"""Cloud Logging on loopback: `google.logging.v2` over gRPC and REST, with the service's documented limits.

Keeps what it is sent. `behave` makes it refuse, deny, answer slowly, or accept and never answer; `stop` and `start`
make it die and come back on the same ports. Nothing leaves 127.0.0.1.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import threading
import time

import grpc
from google.cloud.logging_v2 import types
from google.logging.type import log_severity_pb2
from google.protobuf import any_pb2, json_format
from google.rpc import code_pb2, status_pb2
from grpc_status import rpc_status

from loopback.transports import HttpHandler, Service

MAX_ENTRY = 256 * 1024
MAX_REQUEST = 10 * 1024 * 1024
MAX_LABELS, MAX_LABEL_KEY, MAX_LABEL_VALUE = 64, 512, 64 * 1024
MAX_PAGE, DEFAULT_PAGE, MAX_FILTER = 1000, 50, 20_000
AHEAD = dt.timedelta(hours=24)

SERVICE = "google.logging.v2.LoggingServiceV2"
CODES = {
    "refuse": grpc.StatusCode.UNAVAILABLE,
    "deny": grpc.StatusCode.PERMISSION_DENIED,
    "expired": grpc.StatusCode.UNAUTHENTICATED,
    "missing": grpc.StatusCode.NOT_FOUND,
    "quota": grpc.StatusCode.RESOURCE_EXHAUSTED,
}
HTTP_CODES = {"refuse": 503, "deny": 403, "expired": 401, "missing": 404, "quota": 429}


class Rejected(Exception):
    """The whole request is invalid."""


class CloudLogging(Service):
    """State and behaviour of the service. Use as a context manager."""

    def __init__(self):
        super().__init__()
        self.entries = []  # LogEntry protobuf messages, in order of arrival
        self.writes = 0
        self.duplicates = 0
        self.filters = []
        self.pages = 0
        self.behaviour = "ok"
        self.delay = 0.0
        self.entry_errors = {}  # insert id -> google.rpc code to answer, once
        self._seen = set()
        self._lock = threading.Lock()

    # -- life ------------------------------------------------------------------------------------------------

    def add_to(self, server):
        unary = grpc.unary_unary_rpc_method_handler
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {
            "WriteLogEntries": unary(self._grpc_write, types.WriteLogEntriesRequest.deserialize, types.WriteLogEntriesResponse.serialize),
            "ListLogEntries": unary(self._grpc_list, types.ListLogEntriesRequest.deserialize, types.ListLogEntriesResponse.serialize),
        }),))

    def http_handler(self):
        return _handler(self)

    @property
    def rest_endpoint(self):
        return self.http_endpoint

    def behave(self, behaviour="ok", delay=0.0):
        self.behaviour, self.delay = behaviour, delay

    # -- writing ---------------------------------------------------------------------------------------------

    def before(self):
        """Whether to go on; the name of the behaviour otherwise."""
        if self.behaviour == "hang":
            self._release.wait(60)
            return "refuse"
        if self.delay:
            time.sleep(self.delay)
        return None if self.behaviour == "ok" else self.behaviour

    def write(self, request):
        """Keep the entries of a WriteLogEntriesRequest message; returns {index: (code, text)} of those refused."""
        if request.ByteSize() > MAX_REQUEST:
            raise Rejected("Request size exceeds 10.0M")
        if not request.log_name and not all(entry.log_name for entry in request.entries):
            raise Rejected("log_name is required")
        errors = {}
        with self._lock:
            self.writes += 1
            for index, entry in enumerate(request.entries):
                problem = self._problem(entry)
                if problem:
                    errors[index] = problem
                elif not request.dry_run:
                    self._keep(request, entry)
        return errors

    def _problem(self, entry):  # noqa: PLR0911 - one return for each limit
        if entry.insert_id in self.entry_errors:
            return self.entry_errors.pop(entry.insert_id), "injected"
        invalid = code_pb2.INVALID_ARGUMENT
        if entry.ByteSize() > MAX_ENTRY:
            return invalid, f"Log entry with size {entry.ByteSize() / 1024:.1f}K exceeds maximum size of 256.0K"
        if len(entry.labels) > MAX_LABELS or any(len(k.encode()) > MAX_LABEL_KEY or len(v.encode()) > MAX_LABEL_VALUE for k, v in entry.labels.items()):
            return invalid, "labels exceed their limits"
        at = entry.timestamp.ToDatetime(tzinfo=dt.timezone.utc)
        if at > dt.datetime.now(dt.timezone.utc) + AHEAD:
            return invalid, "timestamp too far in the future"
        if not entry.WhichOneof("payload"):
            return invalid, "an entry needs a payload"
        if entry.trace and not re.fullmatch(r"projects/[^/]+/traces/[0-9a-f]{32}", entry.trace):
            return invalid, "malformed trace"
        if entry.span_id and not re.fullmatch(r"[0-9a-f]{16}", entry.span_id):
            return invalid, "malformed span id"
        return None

    def _keep(self, request, entry):
        kept = type(entry)()
        kept.CopyFrom(entry)
        kept.log_name = entry.log_name or request.log_name
        if not kept.resource.type:
            kept.resource.CopyFrom(request.resource)
        for key, value in request.labels.items():
            kept.labels.setdefault(key, value)
        key = (kept.log_name, kept.timestamp.seconds, kept.timestamp.nanos, kept.insert_id)
        if kept.insert_id and key in self._seen:
            self.duplicates += 1
            return
        self._seen.add(key)
        kept.receive_timestamp.GetCurrentTime()
        self.entries.append(kept)

    # -- listing ---------------------------------------------------------------------------------------------

    def list(self, names, filter_, order, size, token):
        if size > MAX_PAGE:
            raise Rejected("page_size must be at most 1000")
        if len(filter_) > MAX_FILTER:
            raise Rejected("filter is longer than 20000 characters")
        if order not in ("", "timestamp asc", "timestamp desc"):
            raise Rejected(f"cannot order by {order!r}")
        if not names:
            raise Rejected("resource_names is required")
        matches = compile_filter(filter_)
        self.filters.append(filter_)
        self.pages += 1
        with self._lock:
            rows = [entry for entry in self.entries if any(entry.log_name.startswith(name + "/") for name in names) and matches(entry)]
        rows.sort(key=lambda e: (e.timestamp.seconds, e.timestamp.nanos, e.insert_id), reverse=order == "timestamp desc")
        start = int(token or 0)
        page = rows[start:start + (size or DEFAULT_PAGE)]
        end = start + len(page)
        return page, str(end) if end < len(rows) else ""

    def payloads(self, event=None):
        """`jsonPayload.lastcall` of every entry kept, as plain Python."""
        found = [json_format.MessageToDict(entry.json_payload)["lastcall"] for entry in list(self.entries)]
        return [fields for fields in found if event in (None, fields["event"])]

    # -- gRPC ------------------------------------------------------------------------------------------------

    def _grpc_write(self, request, context):
        wrong = self.before()
        if wrong:
            context.abort(CODES[wrong], f"injected: {wrong}")
        try:
            errors = self.write(types.WriteLogEntriesRequest.pb(request))
        except Rejected as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        if errors:
            partial = types.WriteLogEntriesPartialErrors(log_entry_errors={
                index: status_pb2.Status(code=code, message=text) for index, (code, text) in errors.items()})
            detail = any_pb2.Any()
            detail.Pack(types.WriteLogEntriesPartialErrors.pb(partial))
            code, text = next(iter(errors.values()))
            context.abort_with_status(rpc_status.to_status(status_pb2.Status(code=code, message=text, details=[detail])))
        return types.WriteLogEntriesResponse()

    def _grpc_list(self, request, context):
        wrong = self.before()
        if wrong:
            context.abort(CODES[wrong], f"injected: {wrong}")
        try:
            page, token = self.list(list(request.resource_names), request.filter, request.order_by, request.page_size, request.page_token)
        except Rejected as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        return types.ListLogEntriesResponse(entries=[types.LogEntry.wrap(entry) for entry in page], next_page_token=token)


# -- REST ------------------------------------------------------------------------------------------------------


def _handler(service):
    class Handler(HttpHandler):
        def do_POST(self):
            raw = self.received()
            wrong = service.before()
            if wrong:
                return self._error(HTTP_CODES[wrong], wrong, [])
            try:
                answer = self._write(raw) if self.path.split("?")[0] == "/v2/entries:write" else self._list(raw)
            except (Rejected, json_format.ParseError) as error:
                return self._error(400, str(error), [])
            if answer is not None:
                self._send(200, answer)
            return None

        def _write(self, raw):
            request = types.WriteLogEntriesRequest.pb(types.WriteLogEntriesRequest())
            json_format.ParseDict(json.loads(raw), request)  # strict: an unknown field is an error
            errors = service.write(request)
            if not errors:
                return {}
            code, text = next(iter(errors.values()))
            self._error(400 if code == code_pb2.INVALID_ARGUMENT else 503, text, [{
                "@type": "type.googleapis.com/google.logging.v2.WriteLogEntriesPartialErrors",
                "logEntryErrors": {str(i): {"code": c, "message": t} for i, (c, t) in errors.items()}}])
            return None

        def _list(self, raw):
            body = json.loads(raw)
            page, token = service.list(body.get("resourceNames", []), body.get("filter", ""), body.get("orderBy", ""),
                                       int(body.get("pageSize", 0)), body.get("pageToken", ""))
            answer = {"entries": [json_format.MessageToDict(entry) for entry in page]}
            return {**answer, "nextPageToken": token} if token else answer

        def _error(self, status, text, details):
            self._send(status, {"error": {"code": status, "message": text, "details": details}})

        def _send(self, status, body):
            self.answer(status, "application/json", json.dumps(body).encode())

    return Handler


# -- the filter language, as far as it is used here; anything else is an error, as an unknown field would be ------

_TOKEN = re.compile(r'\s*(?:(AND\b)|(OR\b)|([()])|((?:[A-Za-z_][\w.]*)|"[^"]*")\s*(>=|<=|!=|=|>|<|:)\s*("(?:[^"\\]|\\.)*"|[\w.:+-]+|\())')
_SEVERITY = ["DEFAULT", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY"]


def compile_filter(text):
    """A predicate over LogEntry messages. Comparisons joined by AND (or a line break) and OR, and parentheses."""
    tokens, position = [], 0
    stripped = text.strip()
    while position < len(stripped):
        match = _TOKEN.match(stripped, position)
        if not match:
            raise Rejected(f"unparseable filter at {stripped[position:position + 40]!r}")
        if match[6] == "(":
            start = match.end()
            end = stripped.index(")", start)
            values = re.findall(r'"((?:[^"\\]|\\.)*)"', stripped[start:end])
            tokens.append(("any", match[4], values))
            position = end + 1
            continue
        tokens.append(("op", match[1] or match[2] or match[3]) if not match[4] else ("cmp", match[4], match[5], _value(match[6])))
        position = match.end()
    predicate, rest = _either(tokens)
    if rest:
        raise Rejected("unparseable filter: unbalanced parentheses")
    return predicate


def _value(token):
    return json.loads(token) if token.startswith('"') else token


def _either(tokens):
    left, tokens = _both(tokens)
    while tokens and tokens[0] == ("op", "OR"):
        right, tokens = _both(tokens[1:])
        left = _joined(any, left, right)
    return left, tokens


def _both(tokens):
    left = lambda e: True  # noqa: E731
    while tokens and tokens[0] not in (("op", "OR"), ("op", ")")):
        if tokens[0] == ("op", "AND"):
            tokens = tokens[1:]
            continue
        if tokens[0] == ("op", "("):
            right, tokens = _either(tokens[1:])
            if not tokens or tokens[0] != ("op", ")"):
                raise Rejected("unparseable filter: unbalanced parentheses")
            tokens = tokens[1:]
        else:
            right, tokens = _comparison(tokens[0]), tokens[1:]
        left = _joined(all, left, right)
    return left, tokens


def _joined(how, left, right):
    return lambda entry: how(test(entry) for test in (left, right))


def _comparison(token):
    if token[0] == "any":
        tests = [_comparison(("cmp", token[1], "=", value)) for value in token[2]]
        return lambda entry: any(test(entry) for test in tests)
    _, field, op, wanted = token
    if field in ("timestamp", "receiveTimestamp"):
        instant = _instant(wanted)
        when = (lambda entry: entry.timestamp) if field == "timestamp" else (lambda entry: entry.receive_timestamp)
        return lambda entry: _compare((when(entry).seconds, when(entry).nanos), op, instant)
    if field == "severity":
        level = _SEVERITY.index(wanted)
        return lambda entry: _compare(_SEVERITY.index(log_severity_pb2.LogSeverity.Name(entry.severity)), op, level)
    head = field.split(".")[0]
    if head not in ("logName", "labels", "jsonPayload", "resource", "trace", "insertId", "sourceLocation"):
        raise Rejected(f"unknown field {field!r} in the filter")

    def test(entry):
        found = json_format.MessageToDict(entry)
        for part in field.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        if found is None:
            return op == "!="
        if isinstance(found, bool):
            found = str(found).lower()
        if isinstance(found, (int, float)):
            return _compare(float(found), op, float(wanted))
        return wanted.lower() in found.lower() if op == ":" else _compare(found, op, wanted)

    return test


def _instant(text):
    try:
        whole = dt.datetime.fromisoformat(text.split(".")[0].rstrip("Z") + "+00:00")
    except ValueError:
        raise Rejected(f"not a timestamp: {text!r}") from None
    nanos = text.rstrip("Z").partition(".")[2]
    return int(whole.timestamp()), int(nanos.ljust(9, "0")) if nanos else 0


def _compare(found, op, wanted):
    return {"=": found == wanted, "!=": found != wanted, ">=": found >= wanted, "<=": found <= wanted,
            ">": found > wanted, "<": found < wanted, ":": found == wanted}[op]
