"""A whole module that is legacy."""

from . import kept

VALUE = kept.VALUE + 1


def function():
    return VALUE
