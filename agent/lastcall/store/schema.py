"""The database's tables, as SQL that explains itself.

Kept as text on purpose: `sqlite3 store.db .schema` shows the same comments to whoever opens a store.
"""

from __future__ import annotations

from lastcall.store.sqlite import complete_statement

TYPE_CHECKING = False  # typing costs a bare host 5 ms, and 1 ms more at its end
if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA_VERSION = 2

# The history of the schema, one line a version:
#   1: processes, targets and their states, observed time, call sites and counts, references, findings
#   2: sets of target states, so that a year of processes that watched alike is read as one

_FIRST = """
CREATE TABLE meta (
    key TEXT PRIMARY KEY,      -- 'schema': the version of these tables; 'lastcall': who made them
    value TEXT NOT NULL        -- see there
) WITHOUT ROWID;

CREATE TABLE scope (
    -- What a fleet is compared by. Everything that is summed is summed within one scope.
    id INTEGER PRIMARY KEY,        -- what the other tables say for it
    service TEXT NOT NULL,         -- '' if it was not named
    environment TEXT NOT NULL,     -- '' if it was not named
    release TEXT NOT NULL,         -- '' if it was not named
    UNIQUE (service, environment, release)
);

CREATE TABLE process (
    -- One observed process; a forked child is a process of its own.
    id INTEGER PRIMARY KEY,        -- what the other tables say for it
    name TEXT NOT NULL UNIQUE,     -- the random hex string that names its live files
    scope INTEGER NOT NULL REFERENCES scope (id), -- its service, environment and release
    host TEXT NOT NULL,            -- name of the machine or container
    pid INTEGER NOT NULL,          -- on that host
    python TEXT NOT NULL,          -- version of the interpreter
    started REAL NOT NULL,         -- seconds since the epoch, UTC, as are all times here
    root TEXT NOT NULL,            -- folder that relative paths start from
    attributes TEXT NOT NULL,      -- JSON array of [key, value]
    seen REAL NOT NULL,            -- last sign of life
    ended REAL,                    -- a clean end, else NULL: still running, or killed
    ended_how TEXT NOT NULL,       -- 'exit'; '' without a clean end
    read_to INTEGER NOT NULL,      -- bytes of its journal that are in this store
    finished INTEGER NOT NULL      -- 1: read to the end, its files may be deleted and must not be read again
);

CREATE TABLE target (
    id INTEGER PRIMARY KEY,        -- what the other tables say for it
    ref TEXT NOT NULL UNIQUE,      -- package.module:qualname
    stamp INTEGER NOT NULL,        -- when the columns up to `source` were stated; the newest statement wins
    kind TEXT NOT NULL,            -- function, method, class, attribute, module, parameter
    replacement TEXT NOT NULL,     -- what to use instead, as configured
    owner TEXT NOT NULL,           -- who is to remove it, as configured
    issue TEXT NOT NULL,           -- where that is tracked, as configured
    since TEXT NOT NULL,           -- date of the deprecation, as configured
    remove_by TEXT NOT NULL,       -- date, as configured
    note TEXT NOT NULL,            -- the deprecation's own message
    schedule TEXT NOT NULL,        -- declared rhythm of use: daily ... yearly, or ''
    source TEXT NOT NULL,          -- config, wildcard, pep702, warning, log; 'seen': known only from its uses
    defined_stamp INTEGER NOT NULL, -- the same for the definition, which only a process that armed it knows
    defined_file TEXT NOT NULL,    -- relative to the process's root; '' until a process knows
    defined_line INTEGER NOT NULL  -- 0 until a process knows
);

CREATE TABLE outcome (
    -- Few and often repeated, so kept once.
    id INTEGER PRIMARY KEY,        -- what target_state says for it
    state TEXT NOT NULL,           -- armed, pending, missing, failed, partial, removed
    reason TEXT NOT NULL,          -- in a person's words
    engine TEXT NOT NULL,          -- what armed it
    UNIQUE (state, reason, engine)
);

CREATE TABLE target_state (
    -- What became of a target in a process, every change of it.
    process INTEGER NOT NULL REFERENCES process (id), -- in which process
    target INTEGER NOT NULL REFERENCES target (id), -- of which target
    since REAL NOT NULL,           -- when the process found it so
    until REAL,                    -- when the next state began; NULL: it lasted to the end
    outcome INTEGER NOT NULL REFERENCES outcome (id), -- what it found
    PRIMARY KEY (process, target, since)
) WITHOUT ROWID;

CREATE TABLE observed (
    -- When a process is known to have been alive and watching. A container that slept, a machine that was
    -- suspended: a gap of five minutes between two signs of life begins a new interval.
    process INTEGER NOT NULL REFERENCES process (id), -- which process
    since REAL NOT NULL,           -- first sign of life
    until REAL NOT NULL,           -- last sign of life before the gap
    PRIMARY KEY (process, since)
) WITHOUT ROWID;

CREATE TABLE frame (
    id INTEGER PRIMARY KEY,        -- what stacks say for it
    file TEXT NOT NULL,            -- relative to the root where below it
    line INTEGER NOT NULL,         -- line in the file
    function TEXT NOT NULL,        -- qualified name where known
    UNIQUE (file, line, function)
);

CREATE TABLE stack (
    id INTEGER PRIMARY KEY,        -- what sites say for it
    digest TEXT NOT NULL UNIQUE,   -- of the frames' text: equal in every store
    frames TEXT NOT NULL           -- JSON array of frame ids, innermost first
);

CREATE TABLE site (
    -- A call site. Which release it was seen in is the processes' business (use_count).
    id INTEGER PRIMARY KEY,        -- what the other tables say for it
    digest TEXT NOT NULL UNIQUE,   -- of all but the stack: equal in every store
    target INTEGER NOT NULL REFERENCES target (id), -- what was used
    kind TEXT NOT NULL,            -- call, construct, access, import, warning
    file TEXT NOT NULL,            -- of the caller, relative to the root where below it
    line INTEGER NOT NULL,         -- of the call
    function TEXT NOT NULL,        -- qualified name of the calling function
    module TEXT NOT NULL,          -- of the caller
    expression TEXT NOT NULL,      -- the callee as the caller spelled it
    origin TEXT NOT NULL,          -- self, direct, indirect
    during_import INTEGER NOT NULL, -- 1: while the caller's module was imported
    by_test INTEGER NOT NULL,      -- 1: a test runner was at work
    scanner INTEGER NOT NULL,      -- reached by reflection, not by code that needs it
    via TEXT NOT NULL,             -- the subclass whose construction reached the target
    note TEXT NOT NULL,            -- a warning's message template
    stack INTEGER REFERENCES stack (id) -- one stack that led here: an example
);
CREATE INDEX site_target ON site (target);

CREATE TABLE use_count (
    -- How often a process used a site, in total: two copies merge to the greater.
    site INTEGER NOT NULL REFERENCES site (id), -- which site
    process INTEGER NOT NULL REFERENCES process (id), -- used by which process
    count INTEGER NOT NULL,        -- uses so far
    errors INTEGER,                -- uses known to have raised; NULL: nobody looked
    allowed INTEGER NOT NULL,      -- 1: the target's allow list covers it
    first_seen REAL NOT NULL,      -- exact
    last_seen REAL NOT NULL,       -- exact for one use, else to the second in which it was read
    PRIMARY KEY (site, process)
) WITHOUT ROWID;
CREATE INDEX use_count_process ON use_count (process);

CREATE TABLE activity (
    -- When the uses were: what each reading of the counters found new, in the hour it was found.
    site INTEGER NOT NULL REFERENCES site (id), -- which site
    hour INTEGER NOT NULL,         -- hours since the epoch
    process INTEGER NOT NULL REFERENCES process (id), -- used by which process
    count INTEGER NOT NULL,        -- uses in that hour
    PRIMARY KEY (site, hour, process)
) WITHOUT ROWID;

CREATE TABLE slot (
    -- The counters of journals that are still being read; gone when their process is.
    process INTEGER NOT NULL REFERENCES process (id), -- whose table
    slot INTEGER NOT NULL,         -- place in the table of counters
    site INTEGER NOT NULL REFERENCES site (id), -- what is counted there
    count INTEGER NOT NULL,        -- as last read
    errors INTEGER,                -- known to have raised, as last read
    allowed INTEGER NOT NULL,      -- 1: the allow list covers it
    spelled INTEGER NOT NULL,      -- 1: the process itself said how the caller spelled it
    first_seen REAL NOT NULL,      -- time of the first use
    PRIMARY KEY (process, slot)
) WITHOUT ROWID;

CREATE TABLE reference (
    -- A module that holds a target's object under some name.
    id INTEGER PRIMARY KEY,        -- what reference_seen says for it
    target INTEGER NOT NULL REFERENCES target (id), -- what is held
    module TEXT NOT NULL,          -- by which module
    name TEXT NOT NULL,            -- under which name
    file TEXT NOT NULL,            -- of that module
    line INTEGER NOT NULL,         -- of the import statement
    how TEXT NOT NULL,             -- module, class, registry, closure, default, static
    UNIQUE (target, module, name, file, line, how)
);

CREATE TABLE reference_seen (
    reference INTEGER NOT NULL REFERENCES reference (id), -- which reference
    scope INTEGER NOT NULL REFERENCES scope (id), -- held in which scope
    first_seen REAL NOT NULL,      -- start of the first process that held it
    last_seen REAL NOT NULL,       -- last sign of life when it was reported
    PRIMARY KEY (reference, scope)
) WITHOUT ROWID;

CREATE TABLE finding (
    -- What blocks `safe` and is not a use.
    id INTEGER PRIMARY KEY,        -- names the row
    digest TEXT NOT NULL UNIQUE,   -- of all but the count
    process INTEGER NOT NULL REFERENCES process (id), -- who found it
    kind TEXT NOT NULL,            -- isolation, removed, impact
    target INTEGER NOT NULL REFERENCES target (id), -- about which target
    at REAL NOT NULL,              -- when
    message TEXT NOT NULL,         -- in a person's words
    site INTEGER REFERENCES site (id), -- where, if that is known
    count INTEGER NOT NULL,        -- how many times so far
    attributes TEXT NOT NULL       -- JSON array of [key, value]
);

CREATE TABLE counter (
    -- What a process dropped and what failed inside it, in total so far.
    process INTEGER NOT NULL REFERENCES process (id), -- in which process
    kind TEXT NOT NULL,            -- dropped, internal (in the process), reading (in its files)
    name TEXT NOT NULL,            -- the reason or the slug
    value INTEGER NOT NULL,        -- how many so far
    PRIMARY KEY (process, kind, name)
) WITHOUT ROWID;
"""

_STATE_SETS = """
CREATE TABLE state_set_digest (
    -- What the processes of a fleet say of their targets, each different answer once. Made from target_state.
    id INTEGER PRIMARY KEY,        -- what state_set and process_states say for it
    digest TEXT NOT NULL UNIQUE    -- of the set's names: equal in every store
);

CREATE TABLE state_set (
    -- The states in a set: those that lasted, and those that came before.
    id INTEGER NOT NULL REFERENCES state_set_digest (id), -- which set
    target INTEGER NOT NULL REFERENCES target (id), -- of which target
    outcome INTEGER NOT NULL REFERENCES outcome (id), -- what became of it
    last INTEGER NOT NULL,         -- 1: to the end of the process; 0: another state came after it
    PRIMARY KEY (id, target, outcome, last)
) WITHOUT ROWID;

CREATE TABLE process_states (
    -- Which set a process has. No row: not worked out since its states last changed.
    process INTEGER PRIMARY KEY REFERENCES process (id), -- which process
    state_set INTEGER NOT NULL REFERENCES state_set_digest (id) -- its set
);
CREATE INDEX process_states_set ON process_states (state_set);

-- Whoever changes the rows of a process, an older version of Lastcall too, need not know of the sets.
CREATE TRIGGER target_state_inserted AFTER INSERT ON target_state BEGIN
    DELETE FROM process_states WHERE process = NEW.process;
END;
CREATE TRIGGER target_state_updated AFTER UPDATE ON target_state BEGIN
    DELETE FROM process_states WHERE process = NEW.process;
END;
CREATE TRIGGER target_state_deleted AFTER DELETE ON target_state BEGIN
    DELETE FROM process_states WHERE process = OLD.process;
END;
"""

SCHEMA = _FIRST + _STATE_SETS
"""The tables of a new store."""

MIGRATIONS = {1: _STATE_SETS}
"""By version: what makes the next one of it. Quick, for it may be a host that opens the store: what takes long
is left to who reads (`state_sets.complete`)."""


def statements(script: str) -> Iterator[str]:
    """The statements of `script`, one by one: `executescript` would commit the transaction it is run in."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if complete_statement(statement):
            yield statement
            statement = ""
