"""Checkpoints: a tree of arrays and plain values on disk, written whole or not at all.

Arrays go into a safetensors file, everything else into ``checkpoint.json``, which names that file
and its digest. No pickle: loading a checkpoint runs nobody's code.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from torch import Tensor

FORMAT = 1
INDEX = "checkpoint.json"


def save_checkpoint(directory: str | os.PathLike, tree: dict[str, Any], step: int) -> Path:
    """Write a checkpoint; until the last moment, the one before it stays in force.

    The arrays get a file of their own, named by step and digest. Then the index is replaced in one
    operation of the file system, and only after that is the older file of arrays removed.

    Parameters
    ----------
    directory : path
        Made if it does not exist.
    tree : dict
        Nested dicts with string keys, holding arrays, tensors and what JSON can hold.
    step : int

    Returns
    -------
    Path
        Of the index.

    Raises
    ------
    FloatingPointError
        If a network's weights are not finite: they are not worth the place of the last good ones.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, NDArray] = {}
    values = _split(tree, "", arrays)
    for name, x in arrays.items():
        if name.startswith(("policy/", "value_network/")) and not np.isfinite(x).all():
            raise FloatingPointError(f"{name} is not finite; the last checkpoint is kept")
    data = safetensors.numpy.save(arrays)
    digest = hashlib.sha256(data).hexdigest()
    file = directory / f"step-{step:010d}-{digest[:8]}.safetensors"
    _write_atomically(file, data)
    index = {
        "format": FORMAT,
        "step": step,
        "arrays": file.name,
        "sha256": digest,
        "values": values,
    }
    _write_atomically(directory / INDEX, (json.dumps(index, indent=1) + "\n").encode())
    for old in directory.glob("step-*.safetensors"):
        if old != file:
            old.unlink()
    return directory / INDEX


def load_checkpoint(directory: str | os.PathLike) -> dict[str, Any]:
    """The tree that `save_checkpoint` was given, with every array as NumPy.

    Raises
    ------
    FileNotFoundError
        If the directory holds no checkpoint.
    ValueError
        If the checkpoint is damaged or of another format.
    """
    path = Path(directory) / INDEX
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint in {directory}: it has no {INDEX}")
    try:
        index = json.loads(path.read_text())
        known = index["format"] == FORMAT
        file, digest, values = path.with_name(index["arrays"]), index["sha256"], index["values"]
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is damaged: {error!r}") from error
    if not known:
        raise ValueError(f"{path} has format {index['format']!r}, this library reads {FORMAT}")
    data = file.read_bytes()
    if hashlib.sha256(data).hexdigest() != digest:
        raise ValueError(f"{file} is damaged: its digest is not the one in {INDEX}")
    for name, x in safetensors.numpy.load(data).items():
        *path_to, last = name.split("/")
        node = values
        for key in path_to:
            node = node[key]
        node[last] = x
    return values


def has_checkpoint(directory: str | os.PathLike) -> bool:
    """Whether `load_checkpoint` would find one."""
    return (Path(directory) / INDEX).is_file()


def _split(tree: dict[str, Any], prefix: str, arrays: dict[str, NDArray]) -> dict[str, Any]:
    """The tree without its arrays, which go into ``arrays`` by their path."""
    rest: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            rest[key] = _split(value, f"{prefix}{key}/", arrays)
        elif isinstance(value, Tensor):
            arrays[prefix + key] = np.array(value.detach().numpy(), order="C")
        elif isinstance(value, np.ndarray):
            arrays[prefix + key] = np.array(value, order="C")
        else:
            rest[key] = value
    return rest


def _write_atomically(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
