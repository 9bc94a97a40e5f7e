"""Bad input, said in one sentence: what was wanted, what came, and what to try."""


class InputError(ValueError):
    """The caller's input cannot be used; the message is one sentence that a user can act on."""
