"""Values as JSON: arguments on their way to the worker, results on their way back.

Never pickle: unpickling a result would run the submission's code in the judge.
"""

import sys

import numpy as np

MAX_NUMBERS = 200_000
MAX_DEPTH = 8
SCALARS = (bool, int, float, str)


class TooLargeError(Exception):
    """A result holds more numbers than any answer of the book could."""


def pack(value, depth: int = 0):
    """Return `value` as an object that JSON can write.

    Parameters
    ----------
    value : object
        A number, string, None, NumPy array, torch tensor, anything with ``__array__``, or a list,
        tuple or dict of these. Everything else is reduced to the name of its type.
    depth : int
        Nesting of this call; beyond `MAX_DEPTH` only the type's name is kept.

    Raises
    ------
    TooLargeError
        If an array or list has more than `MAX_NUMBERS` entries.
    """
    if value is None or type(value) in SCALARS:
        if isinstance(value, int) and abs(value) > 2**63:
            return {"kind": "other", "type": "int too large for 64 bits"}
        if isinstance(value, str):
            return value[:1000]
        return value
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return pack_tensor(value)
    if depth < MAX_DEPTH and isinstance(value, list | tuple):
        if len(value) > MAX_NUMBERS:
            raise TooLargeError
        items = [pack(item, depth + 1) for item in value]
        return {"kind": "list" if isinstance(value, list) else "tuple", "items": items}
    if depth < MAX_DEPTH and isinstance(value, dict):
        items = [[str(key), pack(item, depth + 1)] for key, item in value.items()]
        return {"kind": "dict", "items": items}
    if isinstance(value, np.ndarray | np.generic) or hasattr(value, "__array__"):
        return pack_array(np.asarray(value), "array")
    return {"kind": "other", "type": type(value).__name__}


def pack_array(array: np.ndarray, kind: str) -> dict:
    """Return an array as its dtype, its shape and a flat list of numbers."""
    if array.size > MAX_NUMBERS:
        raise TooLargeError
    if array.dtype.kind not in "biuf":
        return {"kind": "other", "type": f"array of {array.dtype}"}
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:  # JSON has no extended precision
        array = array.astype(np.float64)
    numbers = array.ravel().tolist()
    return {"kind": kind, "dtype": str(array.dtype), "shape": list(array.shape), "data": numbers}


def pack_tensor(tensor) -> dict:
    """Return a torch tensor as `pack_array` does, with a note on its gradient."""
    if tensor.numel() > MAX_NUMBERS:
        raise TooLargeError
    detached = tensor.detach().cpu()
    if str(detached.dtype) == "torch.bfloat16":
        detached = detached.float()
    packed = pack_array(detached.numpy(), "tensor")
    packed["requires_grad"] = bool(tensor.requires_grad)
    return packed


def unpack(packed):
    """Return the argument that `pack` wrote: a fresh object at every call."""
    if not isinstance(packed, dict):
        return packed
    kind = packed["kind"]
    if kind in ("array", "tensor"):
        array = np.array(packed["data"], dtype=packed["dtype"]).reshape(packed["shape"])
        if kind == "array":
            return array
        import torch

        return torch.from_numpy(array).requires_grad_(packed["requires_grad"])
    if kind == "list":
        return [unpack(item) for item in packed["items"]]
    if kind == "tuple":
        return tuple(unpack(item) for item in packed["items"])
    if kind == "dict":
        return {key: unpack(item) for key, item in packed["items"]}
    raise ValueError(f"cannot rebuild an argument of kind {kind!r}")
