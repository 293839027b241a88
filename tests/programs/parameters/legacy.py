from looking import act, around


def function(a, mode=None, *, strict=False, **more):
    if a == "around":
        return around()
    return act(a, (a, mode, strict, more))


class Thing:
    def __init__(self, a=1, mode=None):
        self.a, self.mode = a, mode

    def method(self, a, mode=None):
        return act(a, (a, mode))

    @classmethod
    def klass(cls, a, mode=None):
        return cls.__name__, a, mode

    @staticmethod
    def static(a, mode=None):
        return a, mode


async def coroutine(a, mode=None):
    return a, mode
