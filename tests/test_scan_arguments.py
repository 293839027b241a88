"""Which arguments one file's own words call deprecated, and what they say to use instead."""

from __future__ import annotations

import textwrap

import pytest

from lastcall.scanning.detect import detect
from lastcall.scanning.emissions import Knowledge
from lastcall.scanning.replacements import replacement_in
from lastcall.scanning.survey import survey


def marks(source):
    found = detect(textwrap.dedent(source).encode(), Knowledge())
    return {mark.qualname: {(item.kind, item.confidence) for item in mark.evidence} for mark in found.marks}


def shown(source):
    return sorted(name for name, found in marks(source).items() if any(sure != "low" for _, sure in found))


DOC = "def f(mode=None, kind=None):\n    '''Do.\n\n{}\n    '''"
WARN = "def f(mode={}, kind=None):\n    if {}:\n        warnings.warn({!r}, DeprecationWarning)"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f(\n    a,\n    mode=None,  # deprecated since 1.4\n    kind=None,\n): ...", ("comment", "medium")),
        ('def f(a, mode="deprecated", kind=None): ...', ("decorator", "medium")),
        ("def f(a, *, mode=_DEPRECATED, kind=DEPRECATED_KINDS): ...", ("decorator", "medium")),
        (DOC.format("    Args:\n    - mode: (deprecated) how.\n    - kind: how."), ("docstring", "high")),
        (DOC.format("    :param mode: str, optional\n        Deprecated alias for ``kind``."), ("docstring", "high")),
        (DOC.format("    :param mode: *(Optional)* Deprecated."), ("docstring", "high")),
        (DOC.format("    :param mode: A **deprecated** alias for kind."), ("docstring", "high")),
        (DOC.format("    Args:\n        mode: How to do it. Deprecated and ignored."), ("docstring", "high")),
        (DOC.format("    Args:\n        mode: How to do it. Deprecated, kept for old callers."), ("docstring", "high")),
        (DOC.format("    Args:\n        mode: How. (Deprecated) This parameter is deprecated."), ("docstring", "high")),
        (DOC.format("    Args:\n        mode: How. It will be deprecated in future."), ("docstring", "high")),
        (DOC.format("    Args:\n        mode: How to do it (deprecated)."), ("docstring", "high")),
        (DOC.format("    Args:\n        mode: Passing mode is deprecated, as it is like g."), ("docstring", "high")),
        (DOC.format("    :param mode: How.\n\n        .. deprecated:: 1.1\n            The parameter 'mode' will be removed. ``mode=1`` is ``g``."), ("docstring", "high")),
        (DOC.format("    Args:\n        mode: By default it is what g will take. This argument is deprecated."), ("docstring", "high")),
        (WARN.format(None, "mode is not None", "`mode` is deprecated and will be removed. `mode=True` is the same as `kind`"), ("warning", "medium")),
        (WARN.format(False, "mode is True", "mode is deprecated"), ("warning", "medium")),
        (WARN.format(None, "is_defined(mode)", "mode is deprecated"), ("warning", "medium")),
        (WARN.format("'fast'", "mode != 'fast'", "mode is deprecated"), ("warning", "medium")),
        (
            "def f(mode=None):\n    if mode:\n        deprecation_warning('mode=%s is not needed and is ignored' % (mode,))",
            ("warning", "medium"),
        ),
        (
            "def f(mode=None, kind=None):\n    if mode is not None and kind is not None:\n        warnings.warn('mode is deprecated, use kind; kind is taken')",
            ("warning", "medium"),
        ),
    ],
)  # fmt: skip
def test_an_argument_that_is_deprecated_as_a_whole_is_found(source, expected):
    assert expected in marks(source)["f(mode=)"]
    assert shown(source) == ["f(mode=)"]


@pytest.mark.parametrize(
    "source",
    [
        # a part of it
        "def f(mode=None, name=''):\n    if mode and mode['kind'] == 'fast':\n        warnings.warn(f\"Using {name} with 'mode.kind=fast' is deprecated\", DeprecationWarning)",
        # what is done without it
        DOC.format("    :param mode: How.\n\n        .. deprecated:: 1.1\n            If omitted, it is g. That fallback is deprecated."),
        DOC.format("    :param mode: How.\n\n        .. deprecated:: 1.1\n            Not passing it is deprecated."),
        # another argument's line, a value of it, the function
        "def f(\n    a,\n    mode=None,  # a callable is deprecated\n    kind=None,\n): ...",
        "@deprecated_argument_value('mode', 'fast')\ndef f(mode=None): ...",
        "def f(form=None):\n    if form:\n        warnings.warn(\"'csv' form is deprecated\", DeprecationWarning)",
        WARN.format(True, "mode is True", "mode is deprecated, and so is not to be passed"),
        DOC.format("    Args:\n        mode: One of 'fast' and 'slow' (deprecated)."),
        DOC.format("    Args:\n        mode: How. It is deprecated to give a list."),
        DOC.format("    Args:\n        mode: How.\n\n          * 'raw' : As it is. **Deprecated!** Use 1."),
        WARN.format(None, "mode != 'fast'", "mode is deprecated, and so is not to be 'fast'"),
        DOC.format("    :param mode: How.\n\n        .. deprecated:: 1.1\n            Passing ``None`` is deprecated."),
        WARN.format(None, "mode is not None and isinstance(mode, dict)", "mode takes a list and not a dict"),
    ],
)  # fmt: skip
def test_words_about_a_value_of_an_argument_are_not_about_the_argument(source):
    assert shown(source) == []


@pytest.mark.parametrize(
    "source",
    [
        "def __getattr__(name):\n    match name:\n        case 'OLD' | 'OLDER':\n            warnings.warn(f'{name} is deprecated', DeprecationWarning)",
        "def __getattr__(name):\n    if name not in {'OLD', 'OLDER'}:\n        raise AttributeError(name)\n    warnings.warn(f'{name} is deprecated', DeprecationWarning)",
        "TABLE = {'OLD': 1, 'OLDER': 2}\ndef __getattr__(name):\n    try:\n        found = TABLE[name]\n    except KeyError:\n        raise AttributeError(name) from None\n    warnings.warn(f'{name} is deprecated', DeprecationWarning)\n    return found",
    ],
)  # fmt: skip
def test_the_names_that_a_module_getattr_warns_of_are_found_however_it_asks(source):
    assert shown(source) == ["OLD", "OLDER"]


def test_a_module_getattr_that_names_its_module_too_says_so_of_the_name_and_of_the_new_one():
    source = """
        TABLE = {"OLD": "new.place"}

        def __getattr__(name):
            if name in TABLE:
                warnings.warn(f"{__name__}.{name} is deprecated, use {TABLE[name]}.{name}", DeprecationWarning)
        """
    (mark,) = detect(textwrap.dedent(source).encode(), Knowledge()).marks
    assert [item.text for item in mark.evidence] == ["OLD is deprecated, use new.place.OLD"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f():\n    if not STATE.warned:\n        STATE.warned = True\n        warnings.warn('gone', DeprecationWarning)", ("warning", "high")),
        ("def f(full=True):\n    if not full:\n        full = True\n        warnings.warn('full=False is deprecated', DeprecationWarning)", ("warning", "low")),
        ("def f():\n    logging.log_first_n(logging.WARNING, 'f is deprecated', 1)", ("log", "high")),
        ("def f():\n    deprecated_('f is gone')", ("warning", "high")),
        ("def f():\n    warnings.warn('f will soon be removed', FutureWarning)", ("warning", "high")),
        ("def f():\n    warnings.warn('f has been renamed to g', FutureWarning)", ("warning", "high")),
        ("def f():\n    warnings.warn('The default of x will be 3', DeprecationWarning)", ("warning", "medium")),
        ("def f():\n    '''Do.\n\n    .. deprecated:: 1.1\n        It may be called without x but this is not to be relied on.\n    '''", ("docstring", "medium")),
        ("def f(**kw):\n    '''Do.\n\n    Kwargs: mode: This function of it is deprecated.\n    '''", None),
        ("def f(mode=None):\n    if g():\n        warnings.warn('Choosing it by passing a mode to f is deprecated', DeprecationWarning)", ("warning", "low")),
        ("def f():\n    '''Do. This is deprecated behaviour.'''", ("docstring", "medium")),
    ],
)  # fmt: skip
def test_a_function_is_as_deprecated_as_its_words_say(source, expected):
    found = marks(source)
    assert set(found) <= {"f"}
    assert found.get("f") == (expected and {expected})


@pytest.mark.timeout(20)
def test_a_word_of_tens_of_thousands_of_letters_takes_no_longer_than_any_other_text():
    words = "1.2" * 10_000 + " f is deprecated."
    assert shown(f"def f(a=1):\n    '''{words}\n    '''") == ["f"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # what shall no longer be used, and what shall
        ("Using `pkg.old` is deprecated, use `pkg.new`", "pkg.new"),
        ("You are using `old()`, which is deprecated. Use the `new` argument", "new"),
        ("You are using `old()`, which is deprecated.", ""),
        ("Consider using `new` instead, as `old` has gone", "new"),
        ("use of the `old` name is deprecated", ""),
        ("You no longer need to use `old`. Use `new`", "new"),
        ("Tasks don't use `old`. Use `new`", "new"),
        ("Call `new` instead of using `old`", "new"),
        ("If you want to use `old` as it was, use `new`", "new"),
        ("f moved to the `other` package and can be used as `other.f`", "other.f"),
        ("See :ref:`guide`. Use :func:`new`", "new"),
        ("See pkg.changes for this. It is replaced by `new`", "new"),
        # a part of something that is no name
        ("use `pkg/mod/file.Name` instead", ""),
        ("use https://example.com/some_page instead", ""),
        ("It is defined to use `application/json` bodies", ""),
        ("An adapter that makes it suitable for use with `Jar` operations", ""),
        ("replaced by true_fn/false_fn", "true_fn"),
        ("Use `plot_%s` instead", ""),
        ("use `pkg.place.{...}` instead", ""),
        ("in favour of the 'server migration confirm' command", ""),
        ("use `List[Item]` instead", ""),
        ("use some-command instead", ""),
        ("use `pyproject.toml` instead", ""),
        ("It is deprecated, and one should use `pkg.module.na...", ""),
        ("use 'is None'", ""),
        ("use cryptography's X.509 functions", ""),
        ("use the APIs of another package", ""),
        ("use AI tables", ""),
        ("use: 'email' in app.FIELDS", ""),
        # names that were not seen as such
        ("OLD is deprecated, use: app.NEW", "app.NEW"),
        ("use Django's `render`", "render"),
        ("use app.FIELDS['email']", "app.FIELDS"),
    ],
)
def test_a_replacement_is_a_whole_name_that_shall_be_used(text, expected):
    assert replacement_in(text) == expected


def replacements(tmp_path, files):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(textwrap.dedent(text))
    return {item.ref: item.replacement for item in survey(tmp_path).findings if item.confidence != "low"}


def test_an_argument_is_replaced_by_another_of_its_function_first(tmp_path):
    source = """
        class C:
            kind = None
            shape = None

            def __init__(self, mode=None, kind=None, size=None, form=None, **more):
                '''Make.

                :param mode: Deprecated, use `kind`.
                :param form: Deprecated, use `shape`.
                :param size: Deprecated. Setting `size` is obsolete: use `size` of `far`, or `resize`.
                '''

            def resize(self): ...

            def old(self, far=1):
                '''Do.

                :param far: Deprecated, use `near`.
                '''
        """
    found = replacements(tmp_path, {"m.py": source, "n.py": "def near(): ..."})
    assert found == {
        "m:C.__init__(mode=)": "kind",
        "m:C.__init__(form=)": "shape",
        "m:C.__init__(size=)": "",
        "m:C.old(far=)": "near",
    }


def test_words_that_make_nothing_sure_tell_nothing_of_what_is_to_be_used(tmp_path):
    source = """
        # Deprecated.
        def f(kind=None):
            if kind == "old":
                warnings.warn("'old' is deprecated, use 'new' instead", DeprecationWarning)
        """
    assert replacements(tmp_path, {"m.py": source}) == {"m:f": ""}


def test_what_is_deprecated_replaces_nothing_and_a_word_with_capitals_is_no_name_by_itself(tmp_path):
    source = """
        class C:
            code = property(warn)

            def old(self):
                warnings.warn("old is deprecated: call C.old, or use `new`", DeprecationWarning)

            def new(self): ...

            def auth(self):
                warnings.warn("Use OAuth or Token based ways", DeprecationWarning)

            def client(self):
                warnings.warn("Use NewClient instead", DeprecationWarning)

            def given(self):
                warnings.warn("Use `how='fast'`", DeprecationWarning)

            def other(self):
                warnings.warn("Use `pkg.plugins.other`", DeprecationWarning)

            def here(self):
                warnings.warn("Use `pkg.here.other`", DeprecationWarning)
        """
    found = replacements(tmp_path, {"pkg/__init__.py": "", "pkg/m.py": source, "pkg/here.py": "def other(): ..."})
    assert found == {
        "pkg.m:C.old": "pkg.m:C.new",
        "pkg.m:C.auth": "",
        "pkg.m:C.client": "NewClient",
        "pkg.m:C.given": "",
        "pkg.m:C.other": "pkg.plugins.other",
        "pkg.m:C.here": "pkg.here:other",
    }
