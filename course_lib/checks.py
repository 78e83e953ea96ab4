"""What entries check first: shapes that would broadcast to nonsense, deviations that are rounding.

Where only shapes are looked at, arrays may be NumPy's or torch's.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def require_same_shape(**named: Any) -> None:
    """Raise a ValueError unless all have the shape of the first."""
    (first, x), *others = named.items()
    for name, y in others:
        if y.shape != x.shape:
            raise ValueError(
                f"{first} has shape {tuple(x.shape)} but {name} has {tuple(y.shape)}; they need one "
                "shape. A trailing axis of length 1, as a network may return, needs squeeze(-1)"
            )


def require_shape(name: str, x: Any, *shapes: tuple[int, ...], hint: str) -> None:
    """Raise a ValueError unless x has one of the shapes; -1 in a shape stands for any length."""
    for shape in shapes:
        if len(x.shape) == len(shape) and all(
            wanted in (-1, given) for wanted, given in zip(shape, x.shape, strict=True)
        ):
            return
    wanted = " or ".join(str(shape).replace("-1", "any") for shape in shapes)
    raise ValueError(f"{name} has shape {tuple(x.shape)}, but must have {wanted}: {hint}")


def require_samples(observations: Any, width: int | None = None, **per_sample: Any) -> None:
    """Raise a ValueError unless there are B observations (B, O), and B of everything else.

    Parameters
    ----------
    observations : array or Tensor, shape (B, O)
        With B at least 1.
    width : int, optional
        O, where it is known.
    **per_sample : array or Tensor, shape (B,); (B, d) too for ``actions``
    """
    hint = "one row per sample"
    require_shape("observations", observations, (-1, -1 if width is None else width), hint=hint)
    B = len(observations)
    if B == 0:
        raise ValueError("observations are empty; at least one sample is needed")
    for name, x in per_sample.items():
        shapes = ((B,), (B, -1)) if name == "actions" else ((B,),)
        require_shape(name, x, *shapes, hint=f"there are {B} observations")


def exceeds_rounding(deviation: ArrayLike, size: ArrayLike, dtype: Any) -> NDArray:
    """Whether a standard deviation is more than the rounding of numbers of this size and dtype.

    Constants have a computed deviation of about one rounding error. Dividing by it makes noise of
    order 1 out of nothing, so whatever divides by a deviation asks here first.

    Parameters
    ----------
    deviation, size : array_like, of shapes that broadcast
        The deviation, and the largest magnitude among the numbers (or their sums) behind it.
    dtype : numpy dtype
        Of those numbers; whole numbers are rounded like float64.

    Returns
    -------
    ndarray of bool
        False up to four units of rounding. True for NaN, which is not hidden.
    """
    dtype = np.dtype(dtype)
    eps = np.finfo(dtype if dtype.kind == "f" else np.float64).eps
    return ~(np.asarray(deviation) <= 4.0 * eps * np.asarray(size))


def varies(x: NDArray, size: float = 0.0) -> bool:
    """Whether the numbers in x differ by more than rounding; ``size`` as in `exceeds_rounding`.

    The size of x itself is known; give another where x was computed from larger numbers.
    """
    # Measured from the first entry, and in float64: a constant then deviates by exactly 0.
    shifted = np.subtract(x, x.flat[0], dtype=np.result_type(x, np.float64))
    return bool(exceeds_rounding(shifted.std(), max(size, np.abs(x).max()), x.dtype))


def rollout_arrays(numbers: dict[str, ArrayLike], flags: dict[str, ArrayLike]) -> tuple:
    """Arrays of one floating type, and a tuple of boolean ones, all of the first one's shape."""
    arrays = {name: np.asarray(x) for name, x in numbers.items()}
    masks = {name: np.asarray(x, dtype=bool) for name, x in flags.items()}
    first, shape = next((name, x.shape) for name, x in arrays.items())
    if not shape or 0 in shape:
        raise ValueError(
            f"{first} has shape {shape}; a rollout needs at least one step: (T, N) with T, N >= 1"
        )
    for name, x in (arrays | masks).items():
        if x.shape != shape:
            raise ValueError(
                f"{name} has shape {x.shape}, but {first} has {shape}; all arrays share one shape "
                "(T, N). A value network that returns (T, N, 1) needs squeeze(-1)."
            )
    dtype = np.result_type(np.float32, *arrays.values())
    return *(x.astype(dtype, copy=False) for x in arrays.values()), tuple(masks.values())


def require_unit_interval(**named: float) -> None:
    """Raise a ValueError that names the first of these numbers outside [0, 1]."""
    for name, x in named.items():
        if not 0.0 <= x <= 1.0:
            raise ValueError(f"{name} must lie in [0, 1], not {x!r}")
