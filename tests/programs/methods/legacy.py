from looking import act, around


class Base:
    def method(self, action=""):
        return "base", action


class Old(Base):
    """Old, with every kind of method."""

    def __init__(self, name="n"):
        self.name = name
        self._value = 1

    def method(self, action="", *rest, c=3):
        """A method."""
        if action == "around":
            return around()
        if action == "super":
            return super().method("above"), __class__.__name__
        return act(action, (type(self).__name__, action, rest, c))

    @classmethod
    def klass(cls, action=""):
        return act(action, (cls.__name__, action))

    @staticmethod
    def static(action=""):
        return act(action, ("static", action))

    @property
    def value(self):
        """A value."""
        return act(self.name, self._value)

    @value.setter
    def value(self, new):
        self._value = new

    @value.deleter
    def value(self):
        self._value = None

    async def acoro(self, action=""):
        return act(action, (self.name, action))

    def gen(self, times=2):
        yield from range(times)

    def __len__(self):
        return 7

    def _guarded(self):
        return "guarded"

    def __eq__(self, other):
        return isinstance(other, Old)

    def __hash__(self):
        return 5

    class Inner:
        def method(self, action=""):
            return act(action, "inner")


class Sub(Old):
    def method(self, action=""):
        return "sub", super().method(action)  # 2x super().method


class Plain(Old):
    pass
