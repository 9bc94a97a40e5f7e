"""Bad input, said in one sentence: what was expected, what came, and what to do."""


class InputError(ValueError):
    """The caller's input cannot be used; the message is one sentence that a user can act on."""


class InputWarning(UserWarning):
    """The input can be used, but something about it changes what the answer means; the message is one sentence."""
