"""Checkpoints: a tree of arrays and plain values on disk, written whole or not at all.

Arrays go into a safetensors file, everything else into ``checkpoint.json``, which names that file
and its digest, and begins with a digest of itself. No pickle: loading a checkpoint runs nobody's
code.
"""

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from torch import Tensor

from ..files import write_atomically

FORMAT = 2
INDEX = "checkpoint.json"
_HEAD = re.compile(rb'\{"digest": "([0-9a-f]{64})",\n')
#: A file of arrays, or as much of one as was written.
_ARRAYS = re.compile(r"step-\d{10,}-[0-9a-f]{8}\.safetensors|\.step-.*\.safetensors\.\d+\.part")


def save_checkpoint(directory: str | os.PathLike, tree: dict[str, Any], step: int) -> Path:
    """Write a checkpoint; until the last moment, the one before it stays in force.

    The arrays get a file of their own, named by step and digest. Then the index is replaced in one
    operation of the file system, and only after that the arrays that the older index named are
    removed. No other file is touched.

    Parameters
    ----------
    directory : path
        Made if it does not exist.
    tree : dict
        Nested dicts with string keys, holding arrays, tensors, scalars of Python and NumPy, lists
        and tuples of them, and None.
    step : int

    Returns
    -------
    Path
        Of the index.

    Raises
    ------
    FloatingPointError
        If a network's weights are not finite: they are not worth the place of the last good ones.
    TypeError
        If the tree holds something that cannot be saved; nothing was written.
    """
    directory = Path(directory)
    arrays: dict[str, NDArray] = {}
    values = _split(tree, "", arrays)
    for name, x in arrays.items():
        if name.startswith(("policy/", "value_network/")) and not np.isfinite(x).all():
            raise FloatingPointError(f"{name} is not finite; the last checkpoint is kept")
    try:
        data = safetensors.numpy.save(arrays)
    except safetensors.SafetensorError as error:
        raise TypeError(f"an array is of a type that cannot be saved: {error}") from error
    digest = hashlib.sha256(data).hexdigest()
    file = directory / f"step-{step:010d}-{digest[:8]}.safetensors"
    index = {
        "format": FORMAT,
        "step": step,
        "arrays": file.name,
        "sha256": digest,
        "values": values,
    }
    body = json.dumps(index, indent=1).removeprefix("{\n").encode() + b"\n"
    head = f'{{"digest": "{hashlib.sha256(body).hexdigest()}",\n'.encode()
    directory.mkdir(parents=True, exist_ok=True)
    try:
        older = directory / _read_index(directory / INDEX)["arrays"]
    except (OSError, ValueError):
        older = None
    write_atomically(file, data)
    write_atomically(directory / INDEX, head + body)
    if older is not None and older != file:
        older.unlink(missing_ok=True)
    return directory / INDEX


def load_checkpoint(directory: str | os.PathLike) -> dict[str, Any]:
    """The tree that `save_checkpoint` was given, with every array as NumPy.

    May be called while another process saves there: what is read is one whole checkpoint, the one
    before or the one after.

    Raises
    ------
    FileNotFoundError
        If the directory holds no checkpoint.
    ValueError
        If the checkpoint is damaged or of another format.
    """
    path = Path(directory) / INDEX
    index = _read_index(path)
    while True:
        try:
            data, problem = (path.parent / index["arrays"]).read_bytes(), ""
            if hashlib.sha256(data).hexdigest() != index["sha256"]:
                problem = f"is damaged: its digest is not the one in {INDEX}"
        except FileNotFoundError:
            problem = f"is missing, though {INDEX} names it"
        if not problem:
            break
        # A writer that has finished meanwhile has removed these arrays and left a newer index.
        newer = _read_index(path)
        if newer == index:
            raise ValueError(f"{path.parent / index['arrays']} {problem}")
        index = newer
    values = index["values"]
    for name, x in safetensors.numpy.load(data).items():
        *path_to, last = name.split("/")
        node = values
        for key in path_to:
            node = node[key]
        node[last] = x
    return values


def has_checkpoint(directory: str | os.PathLike) -> bool:
    """Whether there is one, be it damaged."""
    return (Path(directory) / INDEX).is_file()


def step_of_checkpoint(directory: str | os.PathLike) -> int | None:
    """The environment step that the checkpoint in a directory was saved at; None without one.

    Raises
    ------
    ValueError
        As `load_checkpoint`.
    """
    if not has_checkpoint(directory):
        return None
    return _read_index(Path(directory) / INDEX)["step"]


def remove_orphans(directory: Path) -> None:
    """Remove arrays that the index does not name, which writers that were killed have left.

    For whoever holds the folder's lock: what a writer has written of its arrays is there before its
    index is. Errors as `load_checkpoint`.
    """
    named = _read_index(directory / INDEX)["arrays"]
    for file in directory.iterdir():
        if _ARRAYS.fullmatch(file.name) and file.name != named:
            file.unlink(missing_ok=True)


def _read_index(path: Path) -> dict[str, Any]:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f"no checkpoint in {path.parent}: it has no {path.name}") from None
    head = _HEAD.match(data)
    if head is None:
        raise ValueError(f"{path} is damaged, or of an older version: it has no digest of itself")
    body = data[head.end() :]
    if hashlib.sha256(body).hexdigest() != head[1].decode():
        raise ValueError(f"{path} is damaged: its digest is not the one of its contents")
    index = json.loads(b"{" + body)
    if index["format"] != FORMAT:
        raise ValueError(f"{path} has format {index['format']!r}, this library reads {FORMAT}")
    return index


def _split(tree: dict[str, Any], prefix: str, arrays: dict[str, NDArray]) -> dict[str, Any]:
    """The tree without its arrays, which go into ``arrays`` by their path."""
    rest: dict[str, Any] = {}
    for key, value in tree.items():
        if not isinstance(key, str) or "/" in key:
            raise TypeError(f"{prefix}{key!r} cannot be saved: keys must be text without a slash")
        if isinstance(value, dict):
            rest[key] = _split(value, f"{prefix}{key}/", arrays)
        elif isinstance(value, Tensor):
            arrays[prefix + key] = np.array(value.detach().numpy(), order="C")
        elif isinstance(value, np.ndarray) and value.dtype != object:
            arrays[prefix + key] = np.array(value, order="C")
        else:
            rest[key] = _plain(value, prefix + key)
    return rest


def _plain(value: Any, path: str) -> Any:
    """A value that JSON gives back as it was (a tuple as a list)."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, list | tuple):
        return [_plain(x, f"{path}[{i}]") for i, x in enumerate(value)]
    raise TypeError(f"{path} is a {type(value).__name__}, {value!r}, which cannot be saved")
