"""A source file's bytes as text, and its text as a syntax tree."""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
import warnings

from lastcall.scanning.tree import MAX_LINES, Unreadable


def decode(data: bytes) -> str:
    """The text of a source file, by its coding line or byte order mark. Raises Unreadable."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Unreadable("UTF-16, which Python itself does not read")
    if b"\0" in data:
        raise Unreadable("contains null bytes, so it is not Python source")
    if data.count(b"\n") > MAX_LINES:
        raise Unreadable(f"generated: {data.count(b'%c' % 10):,} lines, {len(data):,} bytes")
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        return data.decode(encoding)
    except LookupError as error:  # `rot13` and its like, which make text of text
        raise Unreadable(f"its coding line names no encoding of text: {error}".partition(";")[0]) from None
    except SyntaxError as error:
        if "unknown encoding" in str(error):
            raise Unreadable(str(error)) from None
        if "encoding problem" in str(error):
            raise Unreadable("its byte order mark says utf-8, and its coding line says otherwise") from None
        raise Unreadable("not utf-8 in its first two lines, and no coding line says otherwise") from None
    except UnicodeDecodeError as error:
        raise Unreadable(
            f"not {error.encoding} at byte {error.start}, and no coding line says otherwise"
        ) from None


def parse(text: str) -> ast.Module:
    """The syntax tree of a source text. Raises Unreadable for what this interpreter cannot parse."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in other people's strings
            return ast.parse(text)
    except SyntaxError as error:
        # It may well be right for another version: the words name the one that read it.
        is_old = re.search(r"\bprint\b", error.msg or "") is not None
        hint = "Python 2" if is_old else f"read as Python {sys.version_info[0]}.{sys.version_info[1]}"
        raise Unreadable(f"line {error.lineno or '?'}: {error.msg} ({hint})") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise Unreadable(f"cannot be parsed: {type(error).__name__}") from None
