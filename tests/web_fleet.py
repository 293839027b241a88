"""A store as a team would have it after half a year of migrating a chat backend, made by hand and by a fixed seed.

Three services release weekly. Callers are migrated week by week, so that the burn-down falls. There are targets
in use (one past its deadline), unproven and safe ones, references, findings, drops.
"""

from __future__ import annotations

import datetime as dt
import json
import random

from lastcall.evidence import Frame, Site
from lastcall.store import Store
from lastcall.store.names import Names

DAY = 86400.0
WEEKS = 26
SERVICES = ("backend", "chat", "worker")
TARGETS = (
    # reference, kind, owner, days to the deadline, share of the call sites
    ("app.websocket_core.websocket_manager_factory:get_websocket_manager_factory", "function", "platform", 39, 30),
    ("app.websocket_core.compat:get_websocket_manager", "function", "platform", 39, 24),
    ("app.websocket_core.unified_manager:UnifiedWebSocketManager", "class", "platform", 70, 14),
    ("app.auth.legacy_tokens:decode_token", "function", "identity", -12, 9),
    ("app.auth.session:Session.get_user", "method", "identity", 101, 12),
    ("app.agents.registry:AgentRegistry.register_legacy", "method", "agents", 70, 8),
    ("app.agents.supervisor:run_agent(timeout=)", "parameter", "agents", 130, 5),
    ("app.db.session:get_db_session", "function", "platform", 39, 16),
    ("app.config.settings:OLD_SETTINGS", "attribute", "platform", 101, 6),
    ("app.notifications.mailer", "module", "growth", 160, 4),
    ("app.billing.invoices:make_invoice_v1", "function", "growth", 160, 0),
    ("app.websocket_core.canonical_imports:WebSocketManager", "attribute", "platform", 39, 0),
    ("app.search.index:LegacyIndex", "class", "growth", 200, 0),
    ("app.routes.v1:router", "attribute", "", None, 0),
)
FEATURES = ("health_checks", "login", "threads", "messages", "typing", "presence", "uploads", "search", "admin",
            "billing", "exports", "webhooks", "audit", "rooms", "mentions", "reactions")  # fmt: skip
FRAMEWORK = tuple(
    Frame(f"/srv/venv/lib/python3.12/site-packages/starlette/{file}.py", line, function)
    for file, line, function in (
        ("routing", 76, "request_response.<locals>.app"), ("routing", 288, "Route.handle"),
        ("routing", 758, "Router.__call__"), ("middleware/exceptions", 62, "ExceptionMiddleware.__call__"),
        ("middleware/errors", 152, "ServerErrorMiddleware.__call__"), ("applications", 123, "Starlette.__call__"),
    )
)  # fmt: skip


def build(path, *, now, seed=7, sites=130):
    """Make the store at `path`, as it is at `now`."""
    with Store.open(path) as store:
        database = store._database
        with database.transaction() as connection:
            made = _Fleet(connection, random.Random(seed), now)
            made.targets()
            made.processes()
            made.states()
            made.sites(sites)
            made.references()
            made.findings()
        database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


class _Fleet:
    def __init__(self, connection, chance, now):
        self.connection, self.chance, self.now = connection, chance, now
        self.names = Names(connection)
        self.start = now - WEEKS * 7 * DAY
        self.by_week = {}
        self.numbers = {}

    def targets(self):
        for i, (ref, kind, owner, days, _) in enumerate(TARGETS):
            self.names.target(ref)
            module, _, name = ref.partition(":")
            remove_by = "" if days is None else dt.datetime.fromtimestamp(self.now + days * DAY, dt.timezone.utc).date().isoformat()
            self.connection.execute(
                "UPDATE target SET stamp = 1, kind = ?, replacement = ?, owner = ?, issue = ?, since = '2026-02-01',"
                " remove_by = ?, source = 'config', defined_stamp = 1, defined_file = ?, defined_line = ?, note = ?"
                " WHERE ref = ?",
                (kind, "app.websocket_core.websocket_manager:WebSocketManager" if "websocket" in ref else "", owner,
                 f"https://issues.example.com/{500 + i}" if i % 2 else f"#{500 + i}", remove_by,
                 module.replace(".", "/") + ".py", 212 - 7 * i, "Bypasses user isolation." if i == 2 else "", ref),
            )  # fmt: skip

    def processes(self):
        for s, service in enumerate(SERVICES):
            for week in range(WEEKS):
                scope = self.names.scope(service, "staging", f"2026.{week + 1}.{s}")
                since = self.start + week * 7 * DAY
                until = min(since + 7 * DAY, self.now)
                last = week == WEEKS - 1
                for i in range(2):
                    cursor = self.connection.execute(
                        "INSERT INTO process VALUES (NULL, ?, ?, ?, ?, '3.12.4', ?, '/srv/app', '[]', ?, ?, ?, 0, ?)",
                        (f"{s:02x}{week:04x}{i:02x}{self.chance.getrandbits(64):016x}", scope, f"{service}-{i}", 100 + i,
                         since + i, until, None if last else until, "" if last else "exit", int(not last)),
                    )  # fmt: skip
                    self.connection.execute("INSERT INTO observed VALUES (?, ?, ?)", (cursor.lastrowid, since + i, until))
                    self.by_week.setdefault((s, week), []).append((cursor.lastrowid, since + i, until))
        worker = self.by_week[2, WEEKS - 1][0][0]
        self.connection.execute("INSERT INTO counter VALUES (?, 'dropped', 'sighting-queue', 14)", (worker,))

    def states(self):
        armed = self.names.outcome("armed", "", "wrapt")
        partial = self.names.outcome(
            "partial", "1 reference captured earlier escapes it: app.routes.registry:HANDLERS['chat']", "wrapt"
        )
        pending = self.names.outcome("pending", "its module has not been imported so far", "")
        missing = self.names.outcome("missing", "app.routes.v1 has no name router", "")
        special = {7: partial, 10: pending, 13: missing}
        for processes in self.by_week.values():
            for process, since, _ in processes:
                for i, (ref, *_) in enumerate(TARGETS):
                    self.connection.execute(
                        "INSERT INTO target_state VALUES (?, ?, ?, NULL, ?)",
                        (process, self.names.target(ref), since + 0.2, special.get(i, armed)),
                    )

    def sites(self, count):
        pool = [i for i, target in enumerate(TARGETS) for _ in range(target[4])]
        for n in range(count):
            ref, kind, *_ = TARGETS[pool[n % len(pool)]]
            feature, service = FEATURES[n % len(FEATURES)], n % len(SERVICES)
            self._site(n, ref, kind, feature, service)

    def _site(self, n, ref, kind, feature, service):
        file = f"app/{feature}/{('views', 'service', 'tasks')[n % 3]}.py"
        function = f"{feature.title().replace('_', '')}.{('check', 'handle', 'run', 'load')[n % 4]}"
        name = ref.partition(":")[2] or ref.rpartition(".")[2]
        site = Site(
            ref, {"class": "construct", "attribute": "access", "module": "import"}.get(kind, "call"), file, 20 + 9 * (n % 30),
            function, file[:-3].replace("/", "."), name.partition("(")[0],
            "indirect" if n % 17 == 5 else "direct", by_test=n % 29 == 3,
            stack=(Frame(file, 20 + 9 * (n % 30), function), *FRAMEWORK),
        )  # fmt: skip
        number = self.names.site(site)
        self.numbers[n] = number
        began = self.chance.randrange(0, 4) if n % 40 else WEEKS - 1
        # Most callers were moved in the last months, a few never.
        ended = WEEKS if n % 6 == 0 else min(WEEKS, 8 + int(self.chance.random() * 21))
        counts = {}
        for day in range(began * 7, max(began + 1, ended) * 7):
            if day % 7 > 4 and self.chance.random() < 0.7:
                continue
            process, since, until = self.chance.choice(self.by_week[service, min(day // 7, WEEKS - 1)])
            moment = self.start + (day + 0.9 * self.chance.random()) * DAY
            if not since < moment < until:
                continue
            uses = 1 + int(self.chance.paretovariate(1.1)) % 60
            before = counts.get(process, (0, moment, moment))
            counts[process] = (before[0] + uses, before[1], moment)
            self.connection.execute("INSERT INTO activity VALUES (?, ?, ?, ?)", (number, int(moment // 3600), process, uses))
        for process, (uses, first, last) in counts.items():
            raised = uses // 40 if n % 11 == 2 else None
            self.connection.execute("INSERT INTO use_count VALUES (?, ?, ?, ?, ?, ?, ?)", (number, process, uses, raised, int(n % 23 == 1), first, last))

    def references(self):
        places = ((0, "app.websocket_core.canonical_imports", 35), (0, "app.core.health_checks", 12), (1, "app.routes.chat", 8),
                  (7, "app.routes.registry", 61), (11, "app.agents.supervisor", 19))  # fmt: skip
        for i, module, line in places:
            ref = TARGETS[i][0]
            cursor = self.connection.execute(
                "INSERT INTO reference VALUES (NULL, ?, ?, ?, ?, ?, ?)",
                (self.names.target(ref), module, ref.partition(":")[2], module.replace(".", "/") + ".py", line, "registry" if i == 7 else "module"),
            )
            scope = self.names.scope("backend", "staging", f"2026.{WEEKS}.0")
            self.connection.execute("INSERT INTO reference_seen VALUES (?, ?, ?, ?)", (cursor.lastrowid, scope, self.start, self.now))

    def findings(self):
        process = self.by_week[0, WEEKS - 1][0][0]
        rows = [
            ("isolation", 2, 3, "one object was handed to two owners", 0.4, 1,
             [["type", "UnifiedWebSocketManager"], ["first_owner", "9f31c2aa07d4"], ["owner", "c07be1925e88"]]),
            ("isolation", 1, 31, "an object was made for no owner", 2.2, 6, [["type", "UnifiedWebSocketManager"]]),
            *(("impact", 0, n, f"the request ended in {how}", 0.1 + k, count, [])
              for k, (n, how, count) in enumerate(((0, "close code 1011", 41), (0, "an exception: TypeError", 7),
                                                   (18, "status 500", 12), (6, "close code 1011", 3)))),
        ]  # fmt: skip
        for k, (kind, target, site, message, days, count, attributes) in enumerate(rows):
            self.connection.execute(
                "INSERT INTO finding VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (f"finding-{k}", process, kind, self.names.target(TARGETS[target][0]), self.now - days * DAY, message,
                 self.numbers.get(site), count, json.dumps(attributes)),
            )
