"""How applications, rather than libraries, say that something of theirs is deprecated."""

from __future__ import annotations

import time

import pytest

from test_scan_detect import marks

NONE = set()


def found(source, qualname):
    return {item for item in marks(source).get(qualname, NONE) if item[0] != "is"}


def test_one_deprecated_route_of_several_leaves_the_function_as_it_is():
    old = "@old.get('/x', deprecated=True)\n"
    assert found(old + "def f(): ...", "f") == {("decorator", "high")}
    assert found(old + "@wrap\n@log.it('f')\ndef f(): ...", "f") == {("decorator", "high")}
    assert found(old + "@older.get('/y', deprecated=True)\ndef f(): ...", "f") == {("decorator", "high")}
    for routes in (old + "@new.get('/y')\n", "@new.get('/y')\n" + old):
        assert found(routes + "def f(): ...", "f") == {("decorator", "low")}


@pytest.mark.parametrize(
    "statement",
    [
        "_deprecate_mode = field_deprecated('mode')",
        "_mode = field_deprecated('mode', message='mode is deprecated, use kind.')",
        "_validator = deprecate_attributes(('mode', 'kind'))\n    _validator_deprecation = deprecate_attributes(('mode', 'kind'))",
        "_resource_deprecation = tools.deprecate_attributes('other', 'mode')",
    ],
)
def test_a_validator_marks_the_fields_that_it_names_and_not_itself(statement):
    source = f"class C(Base):\n    mode: int = 1\n    kind: int = 1\n    {statement}\n"
    assert found(source, "C.mode") == {("decorator", "medium")}
    assert not found(source, "C.kind")
    assert not found(source, "C." + statement.split()[0]) or statement.startswith("_validator =")
    assert not found(source, "C.other")  # not of this class


def test_a_name_that_a_descriptor_deprecates_stays_marked():
    source = "class C:\n    new = 1\n    _old = deprecated_alias('new')\n    old = deprecated_alias('new')\n"
    assert found(source, "C.old") == found(source, "C._old") == {("decorator", "medium")}
    assert not found(source, "C.new")


@pytest.mark.parametrize(
    "value",
    [
        "Field(None, description='DEPRECATED: the limit. Use limits.')",
        "Field(None, description='[deprecated] Use limits.')",
        "serializers.ListField(help_text=_('Some limits.' 'This is deprecated. Use `limits`.'))",
    ],
)
def test_a_field_is_marked_by_its_description(value):
    assert found(f"class C:\n    limit: int = {value}", "C.limit") == {("docstring", "medium")}


@pytest.mark.parametrize(
    "value",
    [
        "Field(None, description='Status: draft, published, deprecated, or archived')",
        "Field(False, title='Deprecated License', description='Whether the license is deprecated')",
        "Field(None, description='Whether `old` names are deprecated')",
    ],
)
def test_a_description_that_speaks_of_others_marks_nothing(value):
    assert not any(level != "low" for _, level in found(f"class C:\n    limit: int = {value}", "C.limit"))


def test_a_command_and_an_endpoint_are_marked_by_their_description_and_not_by_that_of_an_option():
    for line in ("@cli.command('old', help='Do. DEPRECATED: use new.')", "@schema(description='DEPRECATED! Do.')"):
        assert found(line + "\ndef f(): ...", "f") == {("docstring", "medium")}
    assert not found("@click.option('--old', help='Deprecated, use --new.')\ndef f(old): ...", "f")


@pytest.mark.parametrize(
    "call", ["print('The pruner has been deprecated.', file=sys.stderr)", "click.secho('DEPRECATED: use new', fg='red')"]
)
def test_a_command_that_prints_that_it_is_deprecated_is_marked(call):
    assert found(f"def main():\n    {call}\n    return run()", "main") == {("log", "medium")}


@pytest.mark.parametrize(
    "body",
    ["print('Deprecation report:', names)", "if old:\n        print('--old is deprecated')", "click.echo('all deprecated models')"],
)
def test_printed_words_about_other_things_are_no_evidence(body):
    assert not any(level != "low" for _, level in found(f"def main(old=None):\n    {body}", "main"))


@pytest.mark.parametrize(
    ("words", "marked"),
    [
        ("`mode` is deprecated but still taken", False),
        ("SchemaField.label is deprecated and not shown", False),
        ("No-op: the check is gone as the standalone server is deprecated", False),
        ("( this was done in the old hook, but hooks are deprecated )", False),
        ("All of the below are DEPRECATED, and should be replaced", False),
        ("it is deprecated", True),
        ("translation functions are deprecated, so it does nothing", True),
        ("handy, but it is deprecated", True),
        ("not parsed by the model, because the endpoint is deprecated", True),
        ("This is deprecated, use `other`, which is not", True),
    ],
)
def test_a_comment_about_something_else_does_not_mark_the_function(words, marked):
    for source in (f"# {words}\ndef translate(x): ...", f"def translate(x):\n    # {words}\n    g()"):
        assert any(level != "low" for _, level in found(source, "translate")) is marked, source


def test_what_a_call_says_when_it_runs_may_name_it_as_users_know_it():
    source = "def factory():\n    warnings.warn('root_app_facotry is deprecated.', DeprecationWarning)"
    assert found(source, "factory") == {("warning", "high")}


def test_a_deprecated_thing_in_the_middle_of_a_sentence_is_not_the_subject():
    assert found("# Schema of both the (deprecated) key and the entry.\nSCHEMA = cv.All(a)", "SCHEMA") <= {("comment", "low")}
    assert found("# Schema of the old entry (deprecated)\nSCHEMA = cv.All(a)", "SCHEMA") == {("comment", "medium")}


@pytest.mark.parametrize(
    "comment",
    ["Remove before 2027.8: by then nobody has one.", "Legacy compatibility. Remove in 2.0.", "needed by old workers; remove after v0.14"],
)
def test_a_comment_that_names_the_release_of_the_removal_marks_what_stands_below(comment):
    assert found(f"# {comment}\ndef f(): ...", "f") == {("comment", "medium")}
    assert found(f"# {comment}\nSCHEMA = cv.Schema(x)", "SCHEMA") == {("comment", "medium")}
    assert not found(f"def f():\n    # {comment}\n    g()", "f")


def test_items_that_are_removed_in_a_step_are_no_removal():
    assert not found("# remove in 3 steps\ndef f(): ...", "f")
    assert not found("# We remove from 2 to 5 items.\ndef f(): ...", "f")


def test_a_method_of_the_class_that_warns_under_conditions_says_nothing_of_its_callers():
    source = """
        class C:
            def _warn_deprecated_settings(self):
                if self.old:
                    self.report.warning(message="please set new", title="Config option deprecation")
            def run(self):
                self._warn_deprecated_settings()
        """
    assert found(source, "C.run") <= {("warning", "low")}


def test_a_comment_above_one_deprecated_route_of_several_is_about_that_route():
    old = "# TODO: kept for backwards compatibility; to be removed after the migration\n@old.get('/x', deprecated=True)\n"
    assert found(old + "def f(): ...", "f") == {("decorator", "high"), ("comment", "medium")}
    assert found(old + "@new.get('/y')\ndef f(): ...", "f") == {("decorator", "low")}
    assert found("# Deprecated.\n@a.get('/x')\n@b.get('/y')\ndef f(): ...", "f") == {("comment", "high")}


def test_names_that_another_module_holds_are_not_those_of_this_one():
    source = """
        __all__ = ["Bento", "Model"]
        PLACES = {"Bento": ".bento:Bento"}
        def __getattr__(name):
            if name in PLACES:
                return load(PLACES[name])
            elif name in legacy.__all__:
                warn_deprecated(f"`{name}` is moved and will be removed")
                return getattr(legacy, name)
            raise AttributeError(name)
        """
    assert not marks(source)


def test_a_modules_statement_may_name_what_it_deprecates_by_keyword():
    source = """
        from . import utils
        MESSAGE = "Old ciphers are deprecated and will be removed."
        class Old: ...
        Older = library.Older
        utils.deprecated(Old, __name__, MESSAGE, utils.DeprecatedIn50, name="Old")
        utils.deprecated(Older, __name__, "Older has been moved to new.place:Older.", utils.DeprecatedIn50, name="Older")
        """
    assert found(source, "Old") == found(source, "Older") == {("decorator", "high")}
    assert set(marks(source)) == {"Old", "Older"}


def test_a_name_spelled_alike_in_another_library_is_not_this_one():
    words = "'Return it.\\n\\n    This is a replacement for os.path.commonprefix which is deprecated in Python 3.15.\\n    '"
    assert found(f"def common_prefix(m):\n    {words}", "common_prefix") <= {("docstring", "low")}
    assert found("def common_prefix(m):\n    'commonprefix is deprecated.'", "common_prefix") == {("docstring", "high")}


def test_words_about_a_use_of_a_class_are_not_about_the_class():
    assert found("class C:\n    '''Do.\n\n    The use as a decorator is deprecated.\n    '''", "C") <= {("docstring", "low")}
    assert found("def f():\n    '''Converts legacy (from a URL) places.'''", "f") <= {("docstring", "low")}
    assert found("def f():\n    '''The old legacy (before 2.0) way.'''", "f") == {("docstring", "medium")}


def test_long_words_without_an_end_are_read_in_no_time():
    spent = []
    for often in (6_000, 60_000):
        words = "x is deprecated and " + "so on " * often
        started = time.process_time()
        for source in (f"# {words}\ndef f(): ...", f"class C:\n    a: int = Field(description={words!r})"):
            marks(source)
        spent.append(time.process_time() - started)
    assert spent[1] < 4 * spent[0] * 10, spent  # of the square it would be a hundred times as much
