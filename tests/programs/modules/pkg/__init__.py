from . import kept
