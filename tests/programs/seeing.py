"""What every program imports: prints one labelled block for each thing a host can see."""

import re
import traceback


def clean(text):
    return re.sub(r"0x[0-9a-f]+|id='\d+'", "0x", text)


def show(label, what):
    """Print what `what()` returns, or the whole traceback of what it raises."""
    try:
        result = what()
    except BaseException:
        print("::", label, "raised", clean(traceback.format_exc()))
        return None
    print("::", label, "=", type(result).__module__, type(result).__qualname__, clean(repr(result)))
    return result
