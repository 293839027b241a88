"""What one file's own words make of its definitions."""

from __future__ import annotations

import ast
import textwrap

import pytest

from lastcall.scanning.detect import Unreadable, decode, detect, parse
from lastcall.scanning.emissions import Knowledge
from lastcall.scanning.replacements import replacement_in
from lastcall.scanning.syntax import literal_text
from lastcall.scanning.wording import removal_in, since_in


def marks(source, emitters=(), categories=()):
    found = detect(textwrap.dedent(source).encode(), Knowledge(frozenset(emitters), frozenset(categories)))
    return {
        mark.qualname: {(item.kind, item.confidence) for item in mark.evidence} | {("is", mark.kind)}
        for mark in found.marks
    }


@pytest.mark.parametrize(
    ("source", "qualname", "expected"),
    [
        ("@deprecated('use new')\ndef f(): ...", "f", {("decorator", "high"), ("is", "function")}),
        ("@util.deprecated_20('x')\nclass C: ...", "C", {("decorator", "high"), ("is", "class")}),
        ("class C:\n    @deprecated('x')\n    def m(self): ...", "C.m", {("decorator", "high"), ("is", "method")}),
        ("class C:\n    @property\n    @deprecated('x')\n    def p(self): ...", "C.p", {("decorator", "high"), ("is", "attribute")}),
        ("@overload\n@deprecated('x')\ndef f(a: int): ...", "f", {("decorator", "medium"), ("is", "function")}),
        ("@deprecate_kwarg('mode')\ndef f(mode=None): ...", "f(mode=)", {("decorator", "high"), ("is", "parameter")}),
        ("@deprecated_params(a=('1.4', 'gone'))\ndef f(a=1, b=2): ...", "f(a=)", {("decorator", "high"), ("is", "parameter")}),
        ("def f():\n    warnings.warn('gone', DeprecationWarning)", "f", {("warning", "high"), ("is", "function")}),
        ("def f():\n    warnings.warn('gone', category=RemovedInDjango50Warning)", "f", {("warning", "high"), ("is", "function")}),
        ("def f():\n    msg = 'f is deprecated'\n    warnings.warn(msg)", "f", {("warning", "high"), ("is", "function")}),
        ("def f():\n    _api.warn_deprecated('3.5', name='f')", "f", {("warning", "high"), ("is", "function")}),
        ("def warn_old(a):\n    warnings.warn('warn_old is deprecated', DeprecationWarning)", "warn_old", {("warning", "high"), ("name", "low"), ("is", "function")}),
        ("async def f():\n    with x:\n        warnings.warn('gone', DeprecationWarning)", "f", {("warning", "high"), ("is", "function")}),
        ("class C:\n    def __init__(self):\n        warnings.warn('C is deprecated', DeprecationWarning)", "C", {("warning", "high"), ("is", "class")}),
        ("def f(a):\n    if g():\n        warnings.warn('f is deprecated', DeprecationWarning)", "f", {("warning", "medium"), ("is", "function")}),
        ("def f(a):\n    if g():\n        warnings.warn('deprecated', DeprecationWarning)", "f", {("warning", "low"), ("is", "function")}),
        ("def f(a):\n    if a:\n        return 1\n    warnings.warn('f is deprecated', DeprecationWarning)", "f", {("warning", "medium"), ("is", "function")}),
        ("def f(mode=None):\n    if mode is not None:\n        warnings.warn('mode is deprecated', DeprecationWarning)", "f(mode=)", {("warning", "medium"), ("is", "parameter")}),
        ("def f(**kwargs):\n    if 'mode' in kwargs:\n        warnings.warn('deprecated', DeprecationWarning)", "f(mode=)", {("warning", "medium"), ("is", "parameter")}),
        ("warnings.warn('this module is deprecated', DeprecationWarning)", "", {("warning", "high"), ("is", "module")}),
        ("def f():\n    '''Do.\n\n    .. deprecated:: 2.6\n       Use g.\n    '''", "f", {("docstring", "high"), ("is", "function")}),
        ("def f():\n    '''Do.\n\n    Deprecated:\n        Use g.\n    '''", "f", {("docstring", "high"), ("is", "function")}),
        ("def f():\n    '''Do.\n\n    Deprecated\n    ----------\n    Use g.\n    '''", "f", {("docstring", "high"), ("is", "function")}),
        ("def f():\n    '''Deprecated, use :func:`g`.'''", "f", {("docstring", "high"), ("is", "function")}),
        ("def f():\n    '''Do. This method is deprecated, use g.'''", "f", {("docstring", "high"), ("is", "function")}),
        ("def f():\n    '''Make one. Deprecated: call `g`.'''", "f", {("docstring", "high"), ("is", "function")}),
        ("def f():\n    '''Compatibility wrapper around g.'''", "f", {("docstring", "medium"), ("is", "function")}),
        ("def f(a):\n    '''Do.\n\n    :param a:\n        @deprecated - use b\n        A thing.\n    '''", "f(a=)", {("docstring", "high"), ("is", "parameter")}),
        ("def f(a):\n    '''Do.\n\n    @deprecated: use g\n    '''", "f", {("docstring", "high"), ("is", "function")}),
        ("def f(a):\n    '''Do.\n\n    Parameters\n    ----------\n    a : int\n        Some.\n\n        .. deprecated:: 1.0\n    '''", "f(a=)", {("docstring", "high"), ("is", "parameter")}),
        ("# Deprecated: use g.\ndef f(): ...", "f", {("comment", "high"), ("is", "function")}),
        ("def f():  # deprecated\n    return 1", "f", {("comment", "high"), ("is", "function")}),
        ("def f():\n    logger.warning('f is deprecated, use g')", "f", {("log", "high"), ("is", "function")}),
        ("class C:\n    def m(self):\n        self.log.warning('deprecated: %s', x)", "C.m", {("log", "high"), ("is", "method")}),
        ("def get_websocket_manager_factory(): ...", "get_websocket_manager_factory", {("name", "low"), ("is", "function")}),
        ("class LegacyClient: ...", "LegacyClient", {("name", "low"), ("is", "class")}),
        ("Old = New  # deprecated alias", "Old", {("comment", "medium"), ("is", "attribute")}),
        ("old = deprecated('x')(new)", "old", {("decorator", "medium"), ("is", "attribute")}),
        ("def __getattr__(name):\n    if name in ('OLD', 'OLDER'):\n        warnings.warn('deprecated', DeprecationWarning)", "OLD", {("warning", "medium"), ("is", "attribute")}),
        ("from typing_extensions import deprecated as dep\n@dep('x')\ndef f(): ...", "f", {("decorator", "high"), ("is", "function")}),
        ("@router.get('/x', deprecated=True)\ndef f(): ...", "f", {("decorator", "high"), ("is", "function")}),
        ("def f(q=Query(None, deprecated=True)): ...", "f(q=)", {("decorator", "medium"), ("is", "parameter")}),
        ("class M:\n    old: int = Field(1, deprecated='use new')", "M.old", {("decorator", "medium"), ("is", "attribute")}),
        ("@deprecate_kwarg(old_arg_name='mode', new_arg_name='m')\ndef f(m=None): ...", "f(mode=)", {("decorator", "high"), ("is", "parameter")}),
        ("@rename_parameter('3.5', 'mode', 'm')\n@_api.deprecated_renamed_argument('mode', 'm', '1.0')\ndef f(m=None): ...", "f(mode=)", {("decorator", "high"), ("is", "parameter")}),
        ("@deprecated_renamed_argument(['a', 'b'], ['c', 'd'], '1.0')\ndef f(c, d): ...", "f(b=)", {("decorator", "high"), ("is", "parameter")}),
        ("@_deprecate_positional_args(version='1.0', names=['x'])\ndef f(x): ...", "f", {("decorator", "low"), ("is", "function")}),
        ("class Soon(DeprecationWarning): ...\nclass Sooner(Soon): ...\ndef f():\n    warnings.warn('x', Sooner)", "f", {("warning", "high"), ("is", "function")}),
        ("def f():\n    raise RuntimeError('f is deprecated, use g')", "f", {("warning", "medium"), ("is", "function")}),
        ("def f(mode=UNSET):\n    if mode is UNSET:\n        mode = 1\n    else:\n        warnings.warn('mode is deprecated', DeprecationWarning)", "f(mode=)", {("warning", "medium"), ("is", "parameter")}),
        ("def f(mode=None):\n    if mode is None:\n        return 1\n    warnings.warn('mode is deprecated', DeprecationWarning)", "f(mode=)", {("warning", "medium"), ("is", "parameter")}),
        ("def f(mode=None):\n    if not isinstance(mode, Sentinel):\n        warnings.warn('mode is deprecated', DeprecationWarning)", "f(mode=)", {("warning", "medium"), ("is", "parameter")}),
        ("def f(**kw):\n    if kw.pop('mode', None) is not None:\n        warnings.warn('mode is deprecated', DeprecationWarning)", "f(mode=)", {("warning", "medium"), ("is", "parameter")}),
        ("def f(**kw):\n    mode = kw.pop('mode', None)\n    if mode:\n        warnings.warn('mode is deprecated', DeprecationWarning)", "f(mode=)", {("warning", "medium"), ("is", "parameter")}),
        ("def f(a=None, mode=None):\n    if a or mode:\n        warnings.warn('mode is deprecated', DeprecationWarning)", "f(mode=)", {("warning", "medium"), ("is", "parameter")}),
        ("def f(mode=None):\n    if mode:\n        warnings.warn('mode is deprecated', DeprecationWarning)", "f", {("warning", "low"), ("is", "function")}),
        ("def f(mode=None):\n    if isinstance(mode, str):\n        warnings.warn('Passing a string is deprecated', DeprecationWarning)", "f", {("warning", "low"), ("is", "function")}),
        ("def f():\n    '''Do.\n\n    .. versionchanged:: 1.2\n       Deprecated in favour of g.\n    '''", "f", {("docstring", "high"), ("is", "function")}),
        ("def f():\n    '''Do.\n\n    .. warning::\n\n        This is deprecated, use g.\n    '''", "f", {("docstring", "high"), ("is", "function")}),
        ("def f(mode):\n    '''Do.\n\n    Args:\n        mode: (Deprecated) how.\n        x: some\n    '''", "f(mode=)", {("docstring", "high"), ("is", "parameter")}),
        ("def f(mode):\n    '''Do.\n\n    :param mode: deprecated, use x\n    '''", "f(mode=)", {("docstring", "high"), ("is", "parameter")}),
        ("def f(mode):\n    '''Do.\n\n    Parameters\n    ----------\n    x : int\n        Some.\n    mode : str, optional\n        How. This parameter is deprecated.\n    '''", "f(mode=)", {("docstring", "high"), ("is", "parameter")}),
        ("# FIXME(me): deprecated, delete in 3.0\ndef f(): ...", "f", {("comment", "high"), ("is", "function")}),
        ("# TODO: remove\ndef f(): ...", "f", {("comment", "medium"), ("is", "function")}),
        ("# legacy shim\ndef f(): ...", "f", {("comment", "medium"), ("is", "function")}),
        ("class C:\n    timeout = 3\n    '''Deprecated, use limit.'''", "C.timeout", {("docstring", "high"), ("is", "attribute")}),
        ("class C:\n    tries: int = 3  # deprecated, use limit", "C.tries", {("comment", "medium"), ("is", "attribute")}),
        ("_l = logging.getLogger('x')\ndef f():\n    _l.warning('f is deprecated')", "f", {("log", "high"), ("is", "function")}),
        ("audit = structlog.get_logger()\ndef f():\n    audit.bind(a=1).warning('f is deprecated', use='g')", "f", {("log", "high"), ("is", "function")}),
        ("from loguru import logger as say\ndef f():\n    say.opt(depth=1).info('f is deprecated')", "f", {("log", "high"), ("is", "function")}),
        ("def f():\n    logging.getLogger(__name__).warning('f is deprecated')", "f", {("log", "high"), ("is", "function")}),
        ("def f(ctx):\n    ctx.audit.warning('f is deprecated')", "f", {("log", "medium"), ("is", "function")}),
        ("_GONE = {'OLD': 'NEW'}\ndef __getattr__(name):\n    if name in _GONE:\n        warnings.warn('deprecated', DeprecationWarning)", "OLD", {("warning", "medium"), ("is", "attribute")}),
        ("x = 1\n\x0c\n# Deprecated.\ndef f(): ...", "f", {("comment", "high"), ("is", "function")}),
        ("class C:\n    def __init_subclass__(cls):\n        warnings.warn('Inheritance from C is deprecated', DeprecationWarning)", "C", {("warning", "medium"), ("is", "class")}),
        ("class C:\n    @property\n    def p(self): ...\n    @p.setter\n    def p(self, value):\n        warnings.warn('setting it is deprecated', DeprecationWarning)", "C.p", {("warning", "low"), ("is", "attribute")}),
        ("deprecated('Old', 'use New')\nfrom x import Old", "Old", {("decorator", "high"), ("is", "attribute")}),
        ("deprecated_alias('pkg', {'Old': New}, Warn, {'Old': 'pkg.New'})", "Old", {("decorator", "high"), ("is", "attribute")}),
        ("class W:\n    '''A box.\n\n    W is DEPRECATED and will be removed in 3.0.\n    '''", "W", {("docstring", "high"), ("is", "class")}),
        ("def f():\n    '''Do.'''\n    # This is deprecated, will be removed.\n    g()", "f", {("comment", "medium"), ("is", "function")}),
        ("@numeric_only_deprecate_default\ndef f(): ...", "f", {("decorator", "low"), ("is", "function")}),
        ("@deprecate_kwarg({'seed': 'rng'}, deprecated_version='0.21')\ndef f(rng=None): ...", "f(seed=)", {("decorator", "high"), ("is", "parameter")}),
        ("def f(rng, **kw):\n    '''Do.\n\n    Parameters\n    ----------\n    rng : int\n        .. deprecated:: 0.15\n\n           seed has been deprecated, use rng.\n    '''", "f(seed=)", {("docstring", "high"), ("is", "parameter")}),
        ("def f(a):\n    '''Do.\n\n    Parameters\n    ----------\n    a : int\n        .. deprecated:: 0.15\n           The default will change to None.\n    '''", "f(a=)", {("docstring", "low"), ("is", "parameter")}),
        ("def f(a):\n    '''Do.\n\n    Parameters\n    ----------\n    a : str\n        .. deprecated:: 1.1\n            The `\"auto\"` option was deprecated in 1.1.\n    '''", "f(a=)", {("docstring", "low"), ("is", "parameter")}),
        ("def f(a):\n    '''Do.\n\n    Parameters\n    ----------\n    a : str\n        .. deprecated:: 1.1\n            `a=True` is deprecated.\n    '''", "f(a=)", {("docstring", "low"), ("is", "parameter")}),
        ("def f(mode=None):\n    if mode is not None:\n        warnings.warn(\"'mode' is deprecated\", DeprecationWarning)", "f(mode=)", {("warning", "medium"), ("is", "parameter")}),
        ("def f(chunk_size=None):\n    if chunk_size:\n        warnings.warn('Chunk size is deprecated', DeprecationWarning)", "f(chunk_size=)", {("warning", "medium"), ("is", "parameter")}),
        ("def f(mode=None):\n    if mode:\n        warnings.warn('mode was renamed to kind', FutureWarning)", "f(mode=)", {("warning", "medium"), ("is", "parameter")}),
    ],
)
def test_a_definition_is_marked_with_its_evidence_and_kind(source, qualname, expected):
    assert marks(source)[qualname] == expected


@pytest.mark.parametrize(
    "source",
    [
        "def f():\n    '''Decorator to mark functions as deprecated.'''\n    return g",
        "def warn_deprecated(message):\n    warnings.warn(message, DeprecationWarning, stacklevel=3)",
        "def is_deprecated(x):\n    '''Whether it is deprecated.'''\n    logger.info('deprecated: %s', x)",
        "class MyDeprecationWarning(DeprecationWarning):\n    '''A deprecation.'''",
        "def f():\n    warnings.filterwarnings('ignore', category=DeprecationWarning)",
        "@pytest.mark.filterwarnings('ignore::DeprecationWarning')\ndef f(): ...",
        "@ignore_deprecation\ndef f(): ...",
        "@_copy_docstring_and_deprecators(g)\ndef f(): ...",
        "def f():\n    def inner():\n        warnings.warn('deprecated', DeprecationWarning)\n    return 1",
        "def f():\n    warnings.warn('experimental, subject to deprecation', ExperimentalWarning)",
        "threshold = 1\ndef fold(): ...",
        "x = '''\n# deprecated\n'''\ndef f(): ...",
        "def f(mode):\n    '''Do.\n\n    Args:\n        mode: one of the deprecated values\n    '''",
        "# TODO: remove the lock after use\ndef f(): ...",
        "# café: 已弃用, устарело\ndef f(): ...",
        "LIMIT = 5  # some deprecated callers pass more",
        "def deprecate(what):\n    warnings.warn(f'{what} is deprecated and will go', DeprecationWarning, 3)",
        "class DeprecatedStateAttribute:\n    def __set__(self, a, b):\n        warnings.warn('deprecated', DeprecationWarning)",
        "class Deprecated:\n    def __new__(cls):\n        warnings.warn(f'{cls} has been deprecated', DeprecationWarning)",
        "def f(a):\n    '''Do.\n\n    Args:\n        a: the frame. The frame class option is deprecated.\n    '''",
        "@delete_parameter('3.5', 'args')\ndef f(*args): ...",
        "def f(**kwargs):\n    '''Do.\n\n    :param **kwargs:\n        @deprecated - use b\n    '''",
        "class C:\n    '''Do.\n\n    Attributes\n    ----------\n    a : int\n        .. deprecated:: 1.1\n            `a` is deprecated.\n    '''",
        "class E(OSError):\n    # Silence the warning about message being deprecated since it is not valid here.\n    message = None",
        "RULE = policy.DeprecatedRule(name='x', check='y')",
    ],
)
def test_what_only_has_to_do_with_deprecation_is_not_marked(source):
    assert marks(source) == {}


@pytest.mark.parametrize(
    "source",
    [
        "def f(file):\n    '''Show.\n\n    Before 9.1, the first argument was file. This is now deprecated.\n    '''",
    ],
)
def test_words_about_something_else_are_only_a_mention(source):
    (found,) = marks(source).values()
    assert "low" in {confidence for _, confidence in found}


def test_a_quoted_word_is_only_a_mention():
    assert marks("def f():\n    '''`deprecated <name>`, the name of a span.'''")["f"] == {("docstring", "low"), ("is", "function")}


@pytest.mark.parametrize(
    "source",
    [
        "def f(self, how=None):\n    if how is not None:\n        warnings.warn('dropping labels is deprecated', DeprecationWarning)",
        "def f(sync=False):\n    if sync:\n        warnings.warn('f(sync=True) without a loop is deprecated', DeprecationWarning)",
        "def f(title=None):\n    if not isinstance(title, str):\n        warnings.warn('Passing a callable as title is deprecated', DeprecationWarning)",
        "def f(kw):\n    if 'bind' in kw:\n        warnings.warn('bind is deprecated', DeprecationWarning)",
        "def f(**extra):\n    if extra:\n        warnings.warn('extra is deprecated', DeprecationWarning)",
    ],
)
def test_a_warning_that_does_not_name_the_argument_it_looks_at_is_not_about_that_argument(source):
    assert all(kind != ("is", "parameter") for found in marks(source).values() for kind in found)


@pytest.mark.parametrize(
    ("source", "qualname"),
    [
        ("class C:\n    @observe('password')\n    def _changed(self, change):\n        warnings.warn('C.password is deprecated', DeprecationWarning)", "C._changed"),
        ("class Action:\n    def __call__(self, parser, values):\n        warnings.warn(f'{self.option} is deprecated', DeprecationWarning)", "Action.__call__"),
        ("@_deprecated_members(date)\nclass Date: ...", "Date"),
        ("def f():\n    if OLD_CONFIG:\n        warnings.warn('The tmp-dir setting is deprecated', DeprecationWarning)", "f"),
        ("def f():\n    '''Do.\n\n    .. deprecated:: 2.1\n        :attr:`payment` will be removed.\n    '''", "f"),
        ("def f():\n    '''Do.\n\n    The setDaemon method of the Thread class has been deprecated since Python 3.10.\n    '''", "f"),
        ("class C:\n    '''Do.\n\n    Deprecated fields (still in use):\n        a: use b\n    '''", "C"),
        ("class P:\n    def parse(self, text):\n        try:\n            value = old_way(text)\n            warnings.warn('An H in the middle is deprecated', DeprecationWarning)\n            return value\n        except ValueError:\n            return new_way(text)", "P.parse"),
        ("def f():\n    if hasattr(g, 'old'):\n        warnings.warn('The `old` method is deprecated, write `f`', DeprecationWarning)", "f"),
    ],
)
def test_words_about_another_thing_or_a_part_of_it_are_a_mention(source, qualname):
    assert {confidence for kind, confidence in marks(source)[qualname] if kind != "is"} == {"low"}


@pytest.mark.parametrize(
    ("source", "qualname", "expected"),
    [
        ("class C:\n    def __call__(self):\n        warnings.warn('mod.C is deprecated', DeprecationWarning)", "C.__call__", ("warning", "high")),
        ("class Old(Base):\n    def __init__(self):\n        warnings.warn('The __init__ method of Old is deprecated', DeprecationWarning)", "Old", ("warning", "medium")),
        ("def f(*args):\n    raise errors.DeprecatedMethod('f has been removed, use g')", "f", ("warning", "medium")),
        ("class U3Gate:\n    '''Turn.\n\n    .. warning::\n\n        This gate is deprecated.\n    '''", "U3Gate", ("docstring", "high")),
        ("class KeyProvider:\n    '''Keys.\n\n    This provider only works there and it is deprecated, use x.\n    '''", "KeyProvider", ("docstring", "high")),
        ("def f():\n    '''Tidies a name. NB: deprecated'''", "f", ("docstring", "high")),
        ("class Document:\n    '''Documents were deprecated in 2022 and this stub is left.'''", "Document", ("docstring", "high")),
        ("def f():\n    '''Now as text, as timeutils.f() is deprecated.'''", "f", ("docstring", "medium")),
        ("def f():\n    '''Do.\n\n    .. deprecated:: 2.1\n        The file-per-folder mode is deprecated.\n    '''", "f", ("docstring", "medium")),
        ("def f(a, b=1, c=2):\n    '''Do.\n\n    .. deprecated:: 2.1.0\n        A deprecation warning is shown if ``b`` is specified as a\n        positional argument. Use keywords.\n    '''", "f", ("docstring", "low")),
        ("def f(a, b=1, c=2):\n    '''Do.\n\n    .. deprecated:: 2.1.0\n        A warning is emitted when the thing was made before the other thing that it is a part of.\n    '''", "f", ("docstring", "medium")),
        ("class Box:\n    # TODO: remove, this box is deprecated\n    is_box = True", "Box", ("comment", "medium")),
    ],
)
def test_words_about_the_thing_itself_are_found_in_other_forms(source, qualname, expected):
    assert expected in marks(source)[qualname]


@pytest.mark.parametrize(
    "source",
    [
        "def f():\n    '''Checks compatibility of the requirements.'''",
        "def f():\n    '''Handle backward compatibility.'''",
        "def f():\n    '''For backwards compatibility, allow both.'''",
        "def f():\n    '''Create an arbitrary obsolete marker.'''",
        "def f():\n    '''Do.\n\n    We do not allow the short form since this has been deprecated since 2.0.\n    '''",
        "'''Obsolete marker handling.'''",
        "'''Compatibility layer to run on Linux and Windows.'''",
    ],
)
def test_work_for_compatibility_is_no_compatibility_wrapper(source):
    assert all(kind == "is" or confidence == "low" for found in marks(source).values() for kind, confidence in found)


@pytest.mark.parametrize(
    ("source", "qualname"),
    [
        ("@deprecated_parameter('ids', 'places')\ndef f(ids=None, places=None): ...", "f(ids=)"),
        ("def f(watch=False, watch_interval=None):\n    if watch:\n        if watch_interval is not None:\n            warnings.warn('The --watch-interval flag is deprecated', DeprecationWarning)", "f(watch_interval=)"),
        ("def f(theme=None, colors=None):\n    if colors is not None and theme is not None:\n        warnings.warn('You passed both `theme` and `colors` (deprecated since 9.0)', DeprecationWarning)", "f(colors=)"),
    ],
)
def test_of_two_arguments_the_deprecated_one_is_meant(source, qualname):
    assert [name for name in marks(source) if "(" in name] == [qualname]


def test_a_comment_in_a_class_above_a_name_is_about_that_name():
    assert "C" not in marks("class C:\n    # deprecated: sets are allowed\n    services = None")


def test_an_argument_that_only_marks_others_as_deprecated_is_not_deprecated():
    source = "def f(deprecated=None):\n    if deprecated:\n        logger.debug('Marking all as deprecated')"
    assert "f(deprecated=)" not in marks(source)


@pytest.mark.parametrize(
    "words", ["This argument will be converted to an optional argument.", "Generator functions are no longer accepted."]
)
def test_an_argument_whose_values_change_is_not_deprecated(words):
    source = f"def f(a):\n    '''Do.\n\n    Args:\n        a: A thing.\n\n            .. deprecated:: 21.4\n                {words}\n    '''"
    assert marks(source)["f(a=)"] == {("docstring", "low"), ("is", "parameter")}


def test_a_helper_that_warns_of_some_values_makes_nothing_of_its_callers_by_itself():
    source = "class C:\n    @property\n    def duration(self):\n        return get_value(self._duration)"
    assert detect(source.encode(), Knowledge(sometimes=frozenset(["get_value"]))).marks == []


def test_a_module_getattr_speaks_of_the_names_that_its_warning_is_given_for():
    source = """
        LAZY = {"A": "x", "B": "y"}

        def __getattr__(name):
            if name != "Old":
                value = load(LAZY.get(name))
            else:
                warnings.warn("Old is deprecated", DeprecationWarning)
                value = New
            return value
        """
    assert set(marks(source)) == {"Old"}


def test_a_helper_that_registers_names_says_nothing_of_the_module_that_calls_it():
    source = "add_deprecated_classes({'old': 'new'}, __name__)"
    assert marks(source, emitters=["add_deprecated_classes"]) == {}


def test_a_helper_that_looks_first_whether_to_warn_is_not_sure():
    assert ("warning", "medium") in marks("def f():\n    warn_on_deprecated_uri(URI)")["f"]


def test_a_function_that_says_which_argument_is_deprecated_warns_for_others():
    source = "def getattr_with_notice(name):\n    warnings.warn(f'The {name} class is deprecated', DeprecationWarning)"
    found = detect(source.encode(), Knowledge())
    assert (found.marks, found.emitters) == ([], ["getattr_with_notice"])


def test_the_words_of_a_warning_are_its_sentence_and_not_the_version_before_it():
    (mark,) = detect(b"def f():\n    warn(OurDeprecationWarning('22.8', 'f is deprecated, use g'))", Knowledge()).marks
    assert [item.text for item in mark.evidence] == ["f is deprecated, use g"]


@pytest.mark.parametrize(
    ("source", "qualname", "expected"),
    [
        ("class UserConverter:\n    '''Make one.\n\n    .. deprecated:: 2.3\n        Looking up users by number will be removed.\n    '''", "UserConverter", {("docstring", "medium")}),
        ("class M:\n    @property\n    def text(self):\n        '''The text.\n\n        !!! deprecated\n            Calling `.text()` as a method is deprecated.\n        '''", "M.text", {("docstring", "medium")}),
        ("class C:\n    def max(self):\n        '''Set it.\n\n        .. versionchanged:: 3.8\n            Deprecated cursors that use it without a hint.\n        '''", "C.max", {("docstring", "low")}),
        ("class C:\n    '''One.\n\n    Attributes\n    ----------\n    deprecated : bool\n        Whether this config option is deprecated.\n    '''", "C", {("docstring", "low")}),
        ("def f():\n    '''Do.\n\n    .. ours_deprecated:: 0.14\n    '''", "f", {("docstring", "high")}),
        ("def f():\n    '''A function that runs. Deprecated as of 1.3.3.'''", "f", {("docstring", "high")}),
        ("def install_missing():\n    '''Do. ``installmissing`` is deprecated as of that version.'''", "install_missing", {("docstring", "high")}),
        ("def f():\n    warn_until(3009, 'This module is deprecated, use g')", "f", {("warning", "medium")}),
    ],
)
def test_words_that_other_projects_use_are_weighed(source, qualname, expected):
    found = marks(source).get(qualname, {("docstring", "low")})
    assert {item for item in found if item[0] != "is"} == expected


def test_an_undeprecated_method_is_not_deprecated():
    source = "def f():\n    '''Do.\n\n    .. versionchanged:: 3.8\n        Undeprecated.\n    .. versionchanged:: 3.5\n        Deprecated, use g.\n    '''"
    assert ("docstring", "high") not in marks(source).get("f", set())


def test_a_statement_about_names_that_moved_is_not_about_the_module():
    source = "deprecated('Import from base instead', Old='base.utils:New', older='base.utils.newer')"
    assert marks(source) == {
        "Old": {("decorator", "high"), ("is", "attribute")},
        "older": {("decorator", "high"), ("is", "attribute")},
    }


def test_what_decides_which_warnings_are_shown_warns_of_nothing():
    assert "" not in marks("show_deprecation_warnings()\ndef old(): ...")


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("@deprecated_param(param='kind', breaking_version='2.0', additional_warn_text='Use sort.')\nclass C: ...", ["C(kind=)"]),
        ("@deprecated_renamed_argument('silence', 'allow', '5.1')\ndef f(*, silence=False, allow=False): ...", ["f(silence=)"]),
        ("def f(**extra):\n    '''Do.\n\n    Args:\n        **extra: Deprecated way to pass more.\n    '''", []),
        ("def f(count=None, until=None):\n    if count is not None and until:\n        warnings.warn(\"Using both 'count' and 'until' is deprecated\", DeprecationWarning)", []),
        ("def f(where=None):\n    if old() and where:\n        logger.warning('{key} is deprecated, set in {where}'.format(key=1, where=where))", []),
    ],
)
def test_the_argument_that_is_deprecated_is_named(source, names):
    assert [name for name in marks(source) if "(" in name] == names


def test_a_helper_is_known_by_the_category_that_it_takes_by_default():
    source = "def notify_until(version, message, category=DeprecationWarning):\n    warnings.warn(message, category)"
    found = detect(source.encode(), Knowledge())
    assert (found.marks, found.emitters) == ([], ["notify_until"])


@pytest.mark.parametrize(
    ("source", "qualname", "expected"),
    [
        ("class DeprecatedAttributesMixin:\n    @property\n    @deprecated\n    def name(self): ...", "DeprecatedAttributesMixin.name", ("decorator", "high")),
        ("@deprecated(\"Passing 'kind' as a string is deprecated. Use a Kind.\")\ndef f(kind): ...", "f", ("decorator", "medium")),
        ("def f():\n    '''Soft-deprecated, do not use.'''", "f", ("docstring", "high")),
        ("def f():\n    '''Do.\n\n    .. deprecated:: 0.16\n        Instead of ``weighted=True`` use ``weights``.\n    '''", "f", ("docstring", "medium")),
        ("def f():\n    '''Do.\n\n    .. deprecated:: 0.16\n        *Instant selectors* will be removed.\n    '''", "f", ("docstring", "medium")),
        ("class C:\n    '''Do.\n\n    .. deprecated:: 2.2\n        `pad_x` and `pad_y` have been deprecated.\n    '''", "C", ("docstring", "low")),
        ("class C:\n    '''Do.\n\n    .. versionchanged:: 2.0\n        Deprecated :func:`g` has now been removed.\n    '''", "C", ("docstring", "low")),
        ("class C:\n    '''Do.\n\n    Note that this second method is deprecated.\n    '''", "C", ("docstring", "low")),
    ],
)
def test_words_of_applications_are_weighed(source, qualname, expected):
    assert expected in marks(source).get(qualname, {("docstring", "low")})


def test_what_a_list_of_arguments_says_is_not_about_the_class():
    source = "class C:\n    '''Parameters\n    ----------\n    solver:\n        Where to look. deprecated, use settings instead\n    '''"
    assert set(marks(source)) == {"C(solver=)"}


@pytest.mark.parametrize(
    "source",
    [
        "class C:\n    '''Do.\n\n    Parameters\n    ----------\n    **kwargs\n        .. deprecated:: 0.49\n            These will be removed.\n    '''",
        "def write(format):\n    if format in OLD:\n        warnings.warn(f\"Format '{format}' is deprecated\", DeprecationWarning)",
        "def f(stop=-1):\n    '''Do.\n\n    Args:\n        stop: The end.\n\n            .. deprecated:: 2.4\n                It is inclusive but will be changed.\n    '''",
    ],
)
def test_an_argument_of_which_something_else_is_said_is_not_shown(source):
    found = {name: kinds for name, kinds in marks(source).items() if "(" in name or name == "C"}
    assert all(confidence == "low" for kinds in found.values() for kind, confidence in kinds if kind != "is")


def test_a_helper_whose_name_says_what_it_does_is_known_in_other_files():
    source = "def deprecate_for_users(old):\n    warnings.warn(f'{old} is deprecated', DeprecationWarning, stacklevel=3)"
    assert detect(source.encode(), Knowledge()).emitters == ["deprecate_for_users"]
    assert ("warning", "high") in marks("def old():\n    deprecate_for_users('ui.old')", emitters=["deprecate_for_users"])["old"]


def test_a_comment_on_an_alias_is_not_about_the_next_function():
    found = marks("nullslast = nulls_last  # deprecated\n\ndef collate(): ...")
    assert set(found) == {"nullslast"}


def test_a_doc_comment_in_a_class_is_about_the_attribute_below_it():
    source = 'class App:\n    """The app."""\n    #: This is deprecated, use keys.\n    factory = None\n'
    assert "App" not in marks(source)


def test_a_decorator_of_the_tree_that_warns_is_found_in_two_steps():
    helper = "def moved_to(new):\n    def deco(f):\n        def wrapper(*a):\n            warnings.warn('old', DeprecationWarning)\n            return f(*a)\n        return wrapper\n    return deco\n"
    emitters = detect(helper.encode(), Knowledge()).emitters
    assert emitters == ["moved_to"]
    user = "@moved_to('x.y')\ndef f(): ..."
    assert marks(user) == {}
    assert ("decorator", "medium") in marks(user, emitters=emitters)["f"]


def test_a_decorator_called_deprecated_is_sure_whatever_its_own_conditions():
    helper = "def deprecated(since):\n    def deco(f):\n        def wrapper(*a):\n            if SHOWN:\n                warnings.warn('gone', DeprecationWarning)\n            return f(*a)\n        return wrapper\n    return deco\n"
    assert detect(helper.encode(), Knowledge()).sometimes in ([], ["deprecated"])
    source = b"@deprecated(since='1.0')\ndef f(): ..."
    (mark,) = detect(source, Knowledge(sometimes=frozenset(["deprecated"]))).marks
    assert [(item.kind, item.confidence) for item in mark.evidence] == [("decorator", "high")]


def test_a_warning_class_of_the_tree_counts_as_a_deprecation():
    declared = detect(b"class LegacyAPIWarning(SADeprecationWarning): ...", Knowledge())
    assert declared.categories == ["LegacyAPIWarning"]
    user = "def f():\n    util.warn('x', LegacyAPIWarning)"
    assert ("warning", "high") in marks(user, categories=declared.categories)["f"]


@pytest.mark.parametrize(
    ("text", "replacement", "since", "removal"),
    [
        ("Deprecated since 1.4, use :meth:`Session.get` instead.", "Session.get", "1.4", ""),
        ("f is deprecated and will be removed in version 3.0. Use `~pkg.mod.new()`.", "pkg.mod.new", "", "3.0"),
        ("get_x is deprecated in favor of make_x", "make_x", "", ""),
        ("renamed to pkg.new:make", "pkg.new:make", "", ""),
        ("deprecated; use a better approach", "", "", ""),
        ("Please use the new_client function instead", "new_client", "", ""),
        ("RemovedInDjango50Warning", "", "", "5.0"),
        ("deprecated in 2025-09-01, removed in 2026-12-31", "", "2025-09-01", "2026-12-31"),
    ],
)
def test_words_name_the_replacement_and_the_versions(text, replacement, since, removal):
    assert (replacement_in(text), since_in(text), removal_in(text)) == (replacement, since, removal)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"def f(:\n", "line 1"),
        (b"print 'x'\n", "Python 2"),
        (b"a = '\xe9'\n", "not utf-8"),
        (b"\xff\xfea\x00", "UTF-16"),
        (b"a = 1\x00", "null bytes"),
        (b"# coding: no-such\n", "unknown encoding"),
        (b"# coding: rot13\n", "its coding line names no encoding of text: 'rot13'"),
        (b"x = 1\n\x0b\n", "read as Python"),
        (b"x = 1\n" * 60_000, "generated: 60,000 lines"),
        (b"x = " + b"-" * 100_000 + b"1", "cannot be parsed"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(data, words):
    with pytest.raises(Unreadable) as caught:
        parse(decode(data))
    assert words.lower() in str(caught.value).lower()


def test_other_encodings_are_read_by_their_coding_line():
    source = "# -*- coding: latin-1 -*-\n# Deprecated: caf\xe9\ndef f(): ...\n".encode("latin-1")
    assert [mark.qualname for mark in detect(source, Knowledge()).marks] == ["f"]


def test_a_mark_stands_at_its_definition_and_its_evidence_at_the_words():
    source = b"import warnings\n\n@wraps\ndef f():\n    '''Do.\n\n    .. deprecated:: 1\n    '''\n    warnings.warn('x', DeprecationWarning)\n"
    (mark,) = detect(source, Knowledge()).marks
    assert mark.line == 4
    assert {item.kind: item.line for item in mark.evidence} == {"docstring": 7, "warning": 9}


@pytest.mark.parametrize(
    ("source", "qualname", "expected"),
    [
        ("def p():\n    warnings.warn(messages.P_DEPRECATED.format(), stacklevel=2)", "p", {("warning", "high")}),
        ("class C:\n    def __init__(self):\n        my_warn(_DEPRECATION_MESSAGE, FutureWarning)", "C", {("warning", "medium")}),
        ("class C:\n    def __gt__(self, other):\n        return self._compare_deprecated(other)\n    def _compare_deprecated(self, other):\n        warnings.warn('ordered comparison is deprecated', DeprecationWarning)", "C.__gt__", {("warning", "medium")}),
        ("class QuantoQuantizer:\n    '''A quantizer.\n\n    The Quanto backend is deprecated and will be removed.\n    '''", "QuantoQuantizer", {("docstring", "medium")}),
        ("def setex(self):\n    '''Set it.\n\n    As per Redis 2.6, SETEX is considered deprecated.\n    '''", "setex", {("docstring", "high")}),
        ("class A:\n    def __init__(self):\n        '''\n            graph.A is deprecated.\n        Use one of\n          - b\n        '''", "A", {("docstring", "high")}),
        ("@click.group(deprecated=_DEPRECATION_MESSAGE)\ndef sandbox(): ...", "sandbox", {("decorator", "high")}),
        ("def username():\n    app.termwarn('username is deprecated, use entity')", "username", {("warning", "medium")}),
        ("@method_decorator(name='get', decorator=schema(summary='x', deprecated=True))\nclass ListAPI: ...", "ListAPI", {("decorator", "medium")}),
    ],
)  # fmt: skip
def test_the_later_sets_own_ways_to_say_it_are_found(source, qualname, expected):
    assert marks(source)[qualname] - {("is", "class"), ("is", "method"), ("is", "function")} == expected


@pytest.mark.parametrize(
    "source",
    [
        # a helper that warns of another thing
        "class C:\n    def _note_deprecation(self):\n        note('CALLBACKS is deprecated', DeprecationWarning)",
        # the module is what has moved
        "deprecation_warning(old='pkg.a.B', new='pkg.c.B')",
        # a list of parts
        "class M:\n    '''Configures a query.\n\n    Fields:\n      a: Some words.\n      b: Deprecated. This is deprecated.\n    '''",
        # other methods
        "def attrs():\n    '''Do.\n\n    .. deprecated:: 18.2.0\n       ``__lt__``, ``__le__``, and ``__gt__`` now raise a `DeprecationWarning` if subclasses are compared.\n    '''",
        # the decorator in it
        "'''\nDeprecated decorator from Python 3.14, taken as it is.\n'''\nclass deprecated: ...",
        # another class's
        "class C:\n    # NOTE: These methods are deprecated on the TrainContext, and still available here.\n\n    def name(self): ...",
        "class M(type):\n    # Override it. All use of these mixins is deprecated though.\n    def __instancecheck__(cls, x): ...",
        # arguments that have to be passed each time, and one that is deprecated beside another
        "def _parse(backend, device):\n    if backend is not None:\n        warnings.warn('backend argument on jit is deprecated', DeprecationWarning)",
        "def f(context=None, proxy=False):\n    if proxy and context is not None:\n        warnings.warn('Passing context when proxy=True is deprecated', FutureWarning)",
    ],
)  # fmt: skip
def test_the_sixth_sets_words_about_something_else_make_nothing_sure(source):
    found = detect(textwrap.dedent(source).encode(), Knowledge()).marks
    shown = [mark.qualname for mark in found if any(item.confidence != "low" for item in mark.evidence)]
    assert shown == ([""] if source.startswith("deprecation_warning") else [])


def test_a_decorator_known_by_what_it_does_names_no_arguments_unless_it_speaks_of_old_ones():
    rewrites = "@rewrite_parameters(body_fields=('a', 'b'))\ndef f(a=1, b=2): ..."
    renames = "@rename_parameter('old', 'a')\ndef f(a=1): ..."
    assert "f(a=)" not in marks(rewrites, ["rewrite_parameters"])
    deletes = "@delete_parameters('3.6', 'a')\ndef f(a=1): ..."
    hides = "@hidden_param(param='a', breaking_version='2.0')\ndef f(a=1): ..."
    assert "f(a=)" in marks(deletes, ["delete_parameters"])
    assert "f(a=)" in marks(hides, ["hidden_param"])
    assert marks(renames, ["rename_parameter"])["f(old=)"] == {("decorator", "high"), ("is", "parameter")}


@pytest.mark.parametrize(
    ("source", "qualname", "expected"),
    [
        ("def _psnr():\n    _deprecated_root_import('psnr', 'image')", "_psnr", {("warning", "high")}),
        ("def _psnr():\n    '''Wrapper for deprecated import.'''", "_psnr", {("docstring", "medium")}),
        ("def f(a=1, b=2):\n    '''Do.\n\n    Parameters\n    ----------\n    a : bool\n        Some.\n\n        .. deprecated:: 0.4\n            The b parameter is deprecated.\n    b : bool\n    '''", "f(b=)", {("docstring", "high")}),
        ("class C:\n    def __init__(self, **params):\n        if 'name' in params and 'label' in params:\n            warnings.warn(\"Both 'name' and 'label' given. Widget.name is deprecated.\", DeprecationWarning)", "C.__init__(name=)", {("warning", "medium")}),
    ],
)  # fmt: skip
def test_the_seventh_sets_own_ways_to_say_it_are_found(source, qualname, expected):
    found = marks(source, ["_deprecated_root_import"])
    assert found[qualname] - {("is", "function"), ("is", "parameter")} == expected
    assert not any(name.endswith(("(a=)", "(label=)")) for name in found)


def test_a_helper_that_fills_in_what_is_deprecated_warns_for_others():
    source = "def _deprecated_import(name):\n    warn(f'Importing `{name}` from here was deprecated', FutureWarning)"
    found = detect(source.encode(), Knowledge())
    assert (found.emitters, [mark.qualname for mark in found.marks]) == (["_deprecated_import"], [])


@pytest.mark.parametrize(
    ("source", "qualname", "kind"),
    [
        ("class GlusterfsDriver:\n    def check(self):\n        warn('The Cinder GlusterFS Driver is deprecated', DeprecationWarning)", "GlusterfsDriver.check", "warning"),
        ("class RunDisabled:\n    def __getattr__(self, name):\n        warn('RunDisabled is deprecated and is a no-op.', DeprecationWarning)", "RunDisabled.__getattr__", "warning"),
        ("class C:\n    model: str\n    '''Deprecated values:\n\n    - one\n    '''", "C.model", "docstring"),
        ("class R2Score:\n    '''Computes it. Argument ``num`` in ``R2Score`` has been deprecated.'''", "R2Score", "docstring"),
        ("# @deprecated('May 2014', 'Moved to converter')\ndef f(): ...", "f", "comment"),
    ],
)  # fmt: skip
def test_the_seventh_sets_words_about_something_else_are_not_sure(source, qualname, kind):
    assert (kind, "high") not in marks(source).get(qualname, ())


def test_a_sum_of_thousands_of_terms_is_read_like_any_other():
    words = ast.Constant("f is deprecated")
    for _ in range(5000):
        words = ast.BinOp(words, ast.Add(), ast.Constant("!"))
    assert literal_text(words, {}) == "f is deprecated" + "!" * 5000


def test_a_mark_and_a_coding_line_that_differ_are_both_named():
    with pytest.raises(Unreadable, match="byte order mark says utf-8"):
        decode(b"\xef\xbb\xbf# -*- coding: latin-1 -*-\nx = 1\n")
