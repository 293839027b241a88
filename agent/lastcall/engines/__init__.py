"""How a target is armed. `wrapping` replaces the object by a wrapt wrapper, `inplace` changes nothing that
can be seen and watches the code itself, `names` watches a module's names.

Every engine's `arm...` function returns an undo: a function that puts back what was there.
"""
