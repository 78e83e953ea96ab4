"""What a call does to its arguments, told by means that a submission cannot replace.

Everything that looks is taken before the submission's first line runs, and kept in local names: a
`repr`, `zip` or `torch.Tensor.numpy` of the submission's own is never asked. Bytes are read by
methods of built-in types, which Python code cannot change.
"""

import sys
import types

import numpy as np

GIVEN: list = []  # how to look; then what the harness handed over in this call, and how it looked


def watcher(given: list = GIVEN):
    """Return two functions: one looks at the arguments of a call, the other tells what changed.

    Take them before the submission's code runs.

    Parameters
    ----------
    given : list
        The ledger of `tools.watched`.

    Returns
    -------
    begin : callable
        ``begin(arguments)``, before the call.
    end : callable
        ``end()``, after it: ``{"changed": positions, "gradients": positions}``, those of the
        arguments whose numbers changed and of those whose `.grad` did. Position -1 is something
        that the harness made of no argument alone.
    """
    look, contents, size = looker(), holder(), len
    calls: list[tuple] = []

    def begin(arguments: list) -> None:
        given[:] = [look]
        calls[:] = [(arguments, [(look(a, False), contents(a)) for a in arguments])]

    def end() -> dict:
        ((arguments, before),) = calls
        changed, gradients, position = [], [], 0
        while position < size(arguments):
            if look(arguments[position], False) != before[position][0]:
                changed.append(position)
            position += 1
        for value, origin, numbers, slopes in given[1:]:
            position = size(arguments) - 1
            while position >= 0 and origin not in before[position][1]:
                position -= 1
            if look(value, False) != numbers and position not in changed:
                changed.append(position)
            if look(value, True) != slopes and position not in gradients:
                gradients.append(position)
        return {"changed": changed, "gradients": gradients}

    return begin, end


def looker():
    """Return a function that describes an object by plain values, which can be compared.

    ``look(value, False)`` describes the numbers, ``look(value, True)`` what `.grad` holds.
    """
    kind_of, array, namespace, nothing = type, np.ndarray, types.SimpleNamespace, type(None)
    sequences, plain, mapping, decimal = (list, tuple), (int, bool, str, nothing), dict, float
    array_bytes, exactly = np.ndarray.tobytes, float.hex
    torch = sys.modules.get("torch")
    tensors = ()
    if torch is not None:
        tensors = torch.Tensor, torch.nn.Parameter
        base = torch.Tensor.__mro__[1]  # written in C: its methods cannot be replaced
        detach, numpy = base.detach, base.numpy
        slope, followed = base.grad.__get__, base.requires_grad.__get__

    def look(value, gradients: bool):
        kind = kind_of(value)
        if kind in tensors and gradients:
            held = look(slope(value), False)
            return held if held is None or followed(value) else ("cut off", held)
        if kind in tensors:
            return look(numpy(detach(value)), False)
        if kind in sequences:
            return [look(item, gradients) for item in value]
        if kind is mapping:
            return [(key, look(value[key], gradients)) for key in value]
        if kind is namespace:
            return look(value.__dict__, gradients)
        if gradients:
            return None
        if kind is array:
            return value.dtype.str, value.shape, array_bytes(value)
        if kind is decimal:
            return exactly(value)
        return value if kind in plain else None

    return look


def holder():
    """Return a function that lists the identities of an argument and of all that is inside it."""
    kind_of, sequences, mapping, identity = type, (list, tuple), dict, id

    def contents(value) -> list[int]:
        inside = [identity(value)]
        kind = kind_of(value)
        items = value if kind in sequences else mapping.values(value) if kind is mapping else ()
        for item in items:
            inside += contents(item)
        return inside

    return contents
