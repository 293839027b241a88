"""What one `warnings.warn(...)` instruction passes, read off its source when it is met for the first time.

Nothing of the host's is run to learn it: names are looked up, constants taken, numbers added. Whatever else an
argument may be (a call, a subscript, `*args`) makes the call unreadable, and the caller of this module then takes
the arguments from the call itself, at the price of a frame.
"""

from __future__ import annotations

import ast
import builtins
import sys
from functools import lru_cache

from .asking import own
from .callsite import position_of
from .source_lines import source_lines

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from types import CodeType, FrameType
    from typing import Any

    from .callsite import Position

POSITIONAL = ("message", "category", "stacklevel", "source")
"""The parameters of `warnings.warn` that may be given by position."""
_READ = ("message", "category", "stacklevel", "skip_file_prefixes")
_DEFAULTS: dict[str, Any] = {"category": None, "stacklevel": 1, "skip_file_prefixes": ()}
_SAFE = (ast.Name, ast.Attribute, ast.Constant, ast.BinOp, ast.Add, ast.Sub, ast.Load, ast.Tuple)

CO_OPTIMIZED = 0x01
_MODULE = type(ast)
_PLAIN = (str, int)
_NAMED = (ast.Name, ast.Constant, ast.Load)

_ESCAPED = b"\r\n\\'\"abfnrtvxNuU01234567"
"""What may stand behind a backslash in a literal."""


class Call:
    """The arguments of one instruction, in the form that costs least to look at again."""

    __slots__ = (
        "builtin",
        "called_at",
        "category",
        "code",
        "global_names",
        "is_bare",
        "is_comparable",
        "is_of_function",
        "is_read_there",
        "is_worded",
        "level",
        "line",
        "only_read",
        "own_names",
        "read_at",
        "template",
        "values",
    )

    def __init__(self, code: CodeType, lasti: int, callee: ast.expr, arguments: dict[str, ast.expr]) -> None:
        self.code = code
        """Kept alive: instructions are known by the id of their code."""
        self.template = template_of(arguments.get("message"))
        """The constant words of the message, `{}` where something is filled in; None if only the frame tells."""
        self.is_worded = isinstance(arguments.get("message"), ast.Constant)
        """Whether these are all of its words."""
        self.category = _global_name(code, arguments.get("category"))
        """The name of the category, if no local variable can hide it: a class or module has any name among its own."""
        self.builtin = getattr(builtins, self.category, None)
        self.is_of_function = bool(code.co_flags & CO_OPTIMIZED)
        """Whether its names are a function's own, and not looked up in what may be a mapping of anybody's."""
        self.is_bare = self.is_of_function and _are_bare(arguments) and is_dropped(code, lasti)
        """Whether nothing is run between the read of `.warn` and the call; the call has no other arguments than those
        told here, and nothing is done with what it returns."""
        self.line = _line_of(code, lasti)
        """The line that a call blames which blames its own."""
        level = arguments.get("stacklevel")
        value: Any = 1 if level is None else getattr(level, "value", None)
        self.level: int | None = value if type(value) is int and "skip_file_prefixes" not in arguments else None
        looking = _Looking(_own_names(code))
        self.values = _compiled(arguments, looking, with_message=self.template is None)
        """(locals, globals) -> (message, category, stacklevel, skip_file_prefixes); LookupError if it cannot tell."""
        self.own_names = tuple(looking.own_names)
        """The frame's own names that are looked up."""
        self.global_names = tuple(looking.global_names)
        """The other names, but for the category's."""
        self.is_comparable = not looking.has_attributes
        """Whether the same objects under these names mean the same arguments."""
        self.called_at = lasti
        self.read_at, self.only_read = -1, False
        """The offset of the instruction that reads `.warn` for this call, -1 if there is none; whether the code cannot
        read it elsewhere."""
        if isinstance(callee, ast.Attribute) and not _reads_another(arguments):
            self.read_at, self.only_read = _read_at(code, lasti, callee)
        self.is_read_there = self.read_at < 0 or _line_of(code, self.read_at) == self.line
        """Whether who looks while `.warn` is read finds the line that the call blames if it blames its own."""

    def tells(self, frame: FrameType) -> bool:
        """Whether the arguments can be looked up in `frame`."""
        names = frame.f_locals if self.needs_locals else {}
        if not self.is_of_function and type(names) is not dict:  # looking would run what it does to be looked at
            return False
        try:
            self.values(names, frame.f_globals)
        except LookupError:
            return False
        return True

    @property
    def needs_locals(self) -> bool:
        """Whether the arguments cannot be told without the frame's own names."""
        return bool(self.own_names)

    @property
    def is_plain(self) -> bool:
        """Whether nothing but the category has to be looked up, among the globals."""
        return self.template is not None and self.level is not None and bool(self.category)


def read(frame: FrameType, watched: Any) -> Call | None:
    """The arguments of the call of `watched` that `frame` is making, None if the source does not tell them plainly."""
    position = position_of(frame.f_code, frame.f_lasti)
    node = _call_at(frame.f_code.co_filename, position, frame.f_lineno)
    arguments = None if node is None else passed_by(node, frame, watched)
    if node is None or arguments is None:
        return None
    return Call(frame.f_code, frame.f_lasti, node.func, arguments)


def dropped(frame: FrameType, watched: Any) -> tuple[Call | None, bool]:
    """The call for which `frame` is reading `warnings.warn`, if nothing is done with what it returns, and whether the
    source tells what it passes."""
    code = frame.f_code
    offset = _dropped_call_of(code, frame.f_lasti)
    node = None if offset < 0 else _call_at(code.co_filename, position_of(code, offset), frame.f_lineno, dropped=True)
    if node is None or not _calls(node.func, frame, watched):
        return None, False
    arguments = passed_by(node, frame, watched)
    call = Call(code, offset, node.func, arguments or {})
    return (call if call.read_at == frame.f_lasti else None), arguments is not None and call.tells(frame)


def passed_by(node: ast.Call, frame: FrameType, watched: Any) -> dict[str, ast.expr] | None:
    """The arguments by name, if `node` in the code of `frame` calls `watched` and says plainly what it passes."""
    if not _calls(node.func, frame, watched):
        return None
    if any(isinstance(item, ast.Starred) for item in node.args) or any(key.arg is None for key in node.keywords):
        return None
    arguments = dict(zip(POSITIONAL, node.args, strict=False))
    arguments.update({keyword.arg: keyword.value for keyword in node.keywords if keyword.arg})
    if "message" not in arguments:
        return None
    for name in _READ:
        if name == "message" and template_of(arguments[name]) is not None:
            continue
        if name in arguments and not _is_safe(arguments[name]):
            return None
    return arguments


def settled(arguments: dict[str, ast.expr], frame: FrameType) -> tuple[Any, Any, Any, Any] | None:
    """(None, category, stacklevel, skip_file_prefixes), if none of them depends on the frame's own names."""
    looking = _Looking(_own_names(frame.f_code))
    try:
        found: tuple[Any, Any, Any, Any] = _compiled(arguments, looking, with_message=False)({}, frame.f_globals)
    except LookupError:
        return None
    return found


def _calls(callee: ast.expr, frame: FrameType, watched: Any) -> bool:
    """Whether the expression called is the watched function itself, and no `partial` that adds arguments."""
    if isinstance(callee, ast.Name):
        name, holder = callee.id, None
    elif isinstance(callee, ast.Attribute) and isinstance(callee.value, ast.Name):
        name, holder = callee.value.id, callee.attr
    else:
        return False
    local = frame.f_locals
    value = local[name] if name in local else frame.f_globals.get(name, getattr(builtins, name, None))
    if holder is None:
        return value is watched
    return type(value).__name__ == "module" and vars(value).get(holder) is watched


def _call_at(filename: str, position: Position | None, line: int, *, dropped: bool = False) -> ast.Call | None:
    if sys.version_info < (3, 11):
        return _only_call_on(filename, line, dropped=dropped)
    lines = source_lines(filename)
    if position is not None and position[2] <= len(lines):
        first, left, last, right = position
        piece = list(lines[first - 1 : last])
        piece[-1] = piece[-1][:right]
        piece[0] = piece[0][left:]
        try:
            node = ast.parse(quietly(b"(" + b"\n".join(piece) + b")"), mode="eval").body
        except (SyntaxError, ValueError):
            return None
        return node if isinstance(node, ast.Call) else None
    return None if dropped else _only_call_on(filename, line or 0)


def quietly(source: bytes) -> bytes:
    """Source of the same length that the parser has nothing to say about: it warns of `"\\d"` in the host's name.

    What warns there fails where the filters make errors of warnings.
    """
    import re

    return re.sub(rb"\\(.)", lambda pair: pair[0] if pair[1] in _ESCAPED else b"/" + pair[1], source, flags=re.DOTALL)


def _only_call_on(filename: str, line: int, *, dropped: bool = False) -> ast.Call | None:
    """Before 3.11, which kept no columns: the one call of what may be `warn` that covers this line.

    With `dropped`, if it is a statement.
    """
    found = [held for held in _warning_calls(filename) if held[0].lineno <= line <= (held[0].end_lineno or 0)]
    if len(found) != 1 or (dropped and not found[0][1]):
        return None
    return found[0][0]


@lru_cache(maxsize=64)
def _warning_calls(filename: str) -> tuple[tuple[ast.Call, bool], ...]:
    """Every call in a file of what is named warn, or is no name and may be it, and whether it is a statement."""
    try:
        tree = ast.parse(quietly(b"\n".join(source_lines(filename))))
    except (SyntaxError, ValueError, RecursionError):
        return ()
    nodes = list(ast.walk(tree))
    statements = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    imported = (alias for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names)
    names = {"warn", *(alias.asname or alias.name for alias in imported if alias.name == "warn")}
    return tuple(
        (node, id(node) in statements)
        for node in nodes
        if isinstance(node, ast.Call)
        and (
            not isinstance(node.func, (ast.Name, ast.Attribute))
            or getattr(node.func, "attr", None) == "warn"
            or getattr(node.func, "id", None) in names
        )
    )


def _reads_another(arguments: dict[str, ast.expr]) -> bool:
    """Whether something of this name is read between the read of `.warn` and the call."""
    parts = [part for node in arguments.values() for part in ast.walk(node)]
    return any(isinstance(part, ast.Attribute) and part.attr == "warn" for part in parts)


def _line_of(code: CodeType, lasti: int) -> int | None:
    if sys.version_info >= (3, 11):
        position = position_of(code, lasti)
        return None if position is None else position[0]
    return next((line for first, end, line in code.co_lines() if first <= lasti < end), None)


def _read_at(code: CodeType, lasti: int, callee: ast.Attribute) -> tuple[int, bool]:
    """The offset of the instruction before `lasti` that reads the `.warn` called there, and whether nothing else in
    `code` can read it, with the name of the module or without.

    Both begin where the expression `warnings.warn` does. Before 3.11, which kept no columns, it is the last one before
    the call on the lines of that expression: no other call of a `warn` is there (`_only_call_on`).
    """
    import dis  # once for each instruction that warns

    call, found, reads, holders, line = position_of(code, lasti), -1, 0, 0, 0
    lines = range(callee.lineno, (callee.end_lineno or callee.lineno) + 1)
    holder = getattr(callee.value, "id", "")
    for instruction in dis.get_instructions(code):
        line = instruction.starts_line or line
        names = instruction.argval if isinstance(instruction.argval, tuple) else (instruction.argval,)
        if instruction.opname in ("IMPORT_FROM", "LOAD_CONST") and instruction.argval == "warn":
            reads += 1  # `from warnings import warn`, `getattr(warnings, "warn")`
        elif instruction.opname.startswith("LOAD_") and instruction.opname != "LOAD_CONST":
            holders += names.count(holder)
        if instruction.opname not in ("LOAD_ATTR", "LOAD_METHOD") or instruction.argval != "warn":
            continue
        reads += 1
        if instruction.offset >= lasti:
            continue
        read = position_of(code, instruction.offset)
        begins_there = call is not None and read is not None and read[:2] == call[:2]
        if begins_there or (sys.version_info < (3, 11) and line in lines):
            found = instruction.offset
    return found, reads == holders == 1


def _dropped_call_of(code: CodeType, lasti: int) -> int:
    """The offset of the instruction that calls what the one at `lasti` reads; -1 if none does or the result is used.

    Before 3.11, which kept no columns, it is the first after it whose result is dropped, if the call is a statement.
    """
    from opcode import opname

    if opname[code.co_code[lasti]] not in ("LOAD_ATTR", "LOAD_METHOD"):
        return -1  # `from warnings import warn`, which a program does that never warns
    import dis

    has_columns = sys.version_info >= (3, 11)
    begin = position_of(code, lasti)
    found = -1
    for instruction in dis.get_instructions(code):
        if instruction.offset <= lasti or instruction.opname == "CACHE":
            continue
        if found >= 0:
            if instruction.opname == "POP_TOP":
                return found
            if has_columns:
                return -1
        found = -1
        if instruction.opname.startswith("CALL"):
            call = position_of(code, instruction.offset)
            if not has_columns or (call is not None and begin is not None and call[:2] == begin[:2]):
                found = instruction.offset
    return -1


def _are_bare(arguments: dict[str, ast.expr]) -> bool:
    """Whether they are constants and names; a `stacklevel` may be a sum of those."""
    sums = (*_NAMED, ast.BinOp, ast.Add, ast.Sub)
    return set(arguments) <= {"message", "category", "stacklevel"} and all(
        isinstance(part, sums if name == "stacklevel" else _NAMED)
        for name, node in arguments.items()
        for part in ast.walk(node)
    )


def is_dropped(code: CodeType, lasti: int) -> bool:
    """Whether the instruction behind the one at `lasti` throws away what that returns."""
    import dis  # once for each instruction that warns

    following = (i.opname for i in dis.get_instructions(code) if i.offset > lasti and i.opname != "CACHE")
    return next(following, "") == "POP_TOP"


def _is_safe(node: ast.expr) -> bool:
    return all(isinstance(part, _SAFE) for part in ast.walk(node))


def _global_name(code: CodeType, node: ast.expr | None) -> str:
    if not isinstance(node, ast.Name):
        return ""
    own = (*code.co_varnames, *code.co_cellvars, *code.co_freevars)
    return "" if node.id in own or not code.co_flags & CO_OPTIMIZED else node.id


def _own_names(code: CodeType) -> set[str]:
    own = {*code.co_varnames, *code.co_cellvars, *code.co_freevars}
    if code.co_name == "<module>" or not code.co_flags & 0x02:  # without the fast locals of a function
        own.update(code.co_names)
    return own


class _Looking(ast.NodeTransformer):
    """Turns names into look-ups in the frame's own names, its globals and the builtins."""

    def __init__(self, own: set[str]) -> None:
        self.own = own
        self.own_names: dict[str, None] = {}
        self.global_names: dict[str, None] = {}
        self.has_attributes = False

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in self.own:
            self.own_names[node.id] = None
            return _expression(f"own[{node.id!r}]")
        self.global_names[node.id] = None
        return _expression(f"names[{node.id!r}] if {node.id!r} in names else builtins[{node.id!r}]")

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        self.has_attributes = True
        return _call("attribute", self.visit(node.value), ast.Constant(node.attr))

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        function = "add" if isinstance(node.op, ast.Add) else "subtract"
        return _call(function, self.visit(node.left), self.visit(node.right))


def _call(function: str, *arguments: ast.expr) -> ast.expr:
    return ast.Call(ast.Name(function, ast.Load()), list(arguments), [])


def _attribute(value: Any, name: str) -> Any:
    """An attribute as Python finds it by itself. Raises LookupError where code of the host's would tell it."""
    found = vars(value).get(name) if type(value) is _MODULE else own(value, name)
    if found is None:
        raise LookupError(name)
    return found


def _add(left: Any, right: Any) -> Any:
    if type(left) is type(right) and type(left) in _PLAIN:
        return left + right
    raise LookupError


def _subtract(left: Any, right: Any) -> Any:
    if type(left) is type(right) is int:
        return left - right
    raise LookupError


def _expression(source: str) -> ast.expr:
    return ast.parse(source, mode="eval").body


def _compiled(arguments: dict[str, ast.expr], looking: _Looking, *, with_message: bool) -> Any:
    """A function of a frame's locals and globals that gives what the call passes.

    Compiled, because looking is what a warning pays for each time, and `eval` is twice as dear as a function.
    """
    parts: list[ast.expr] = []
    for name in _READ:
        if (name == "message" and not with_message) or name not in arguments:
            parts.append(ast.Constant(_DEFAULTS.get(name)))
            continue
        before = dict(looking.global_names)
        parts.append(looking.visit(arguments[name]))
        if name == "category" and isinstance(arguments[name], ast.Name):  # taken for settled, as classes are
            looking.global_names = before
    tree = _expression("lambda own, names: None")
    assert isinstance(tree, ast.Lambda)
    tree.body = ast.Tuple(parts, ast.Load())
    code = compile(ast.fix_missing_locations(ast.Expression(tree)), "<lastcall>", "eval")
    names = {"builtins": vars(builtins), "attribute": _attribute, "add": _add, "subtract": _subtract}
    return eval(code, names)  # noqa: S307 - `_is_safe` let in names, constants and sums


def template_of(node: ast.expr | None) -> str | None:
    """The constant text of a message, `{}` for each part that is filled in; None if it is no literal."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        return template_of(node.left)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = template_of(node.left), template_of(node.right)
        if left is not None or right is not None:
            return (left or "{}") + (right or "{}")
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
        return template_of(node.func.value)
    return None
