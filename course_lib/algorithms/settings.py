"""The settings that all algorithms share, and the nine code-level optimisations among them."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, TypeVar, get_type_hints

from ..kinds import Count, Positive, Range, Share, checked, read, require_known


@dataclass(frozen=True, repr=False)
class Settings:
    """Settings that all algorithms share.

    Every field declares what it may be (see `kinds`), and is checked when the settings are made.
    NumPy's scalars become Python's, and lists tuples.

    Attributes
    ----------
    n_envs, horizon : int
        Environments N and steps T of one rollout.
    gamma, gae_lambda : float in [0, 1]
        Discount factor, and the weight of longer looks ahead (chapter 2).
    hidden : tuple of int
        Widths of the hidden layers, of the policy and of the critic.
    learning_rate : float
        Adam's step size.
    initial_log_std : float
        log sigma of an untrained Gaussian policy.
    state_dependent_std : bool
        Whether log sigma is an output of the policy's network or free parameters beside it.
    reward_factor : float
        A constant that rewards are multiplied with in training; reported returns are raw.

    The nine code-level optimisations of Engstrom et al. (2020), a switch each (chapter 12); the
    defaults are what the book uses unless it says otherwise:

    anneal_learning_rate : bool
        Let the step size fall linearly to 0 over the whole run.
    max_grad_norm : float or None
        Global gradient norm beyond which a gradient is scaled down. None never does.
    value_clip_range : float or None
        Stop paying the critic for a value that moved towards its target by more than this in one
        update, as PPO's code does.
        Without effect where an update takes a single gradient step.
    scale_rewards : bool
        Divide rewards by the running standard deviation of their discounted sums.
    reward_clip, observation_clip : float or None
        Clip rewards (after scaling) and observations (after normalisation) to this magnitude.
    normalize_observations : bool
        Give observations running mean 0 and variance 1.
    orthogonal : bool
        Initialise layers orthogonally, the policy's last one with gain 0.01; False: torch's
        default.
    activation : {"tanh", "relu"}
        Between the layers.
    """

    n_envs: Count = 8
    horizon: Count = 256
    gamma: Share = 0.99
    gae_lambda: Share = 0.95
    hidden: tuple[Count, ...] = (64, 64)
    learning_rate: Positive = 3e-4
    initial_log_std: Annotated[float, Range(-20, 20)] = -0.5  # float32 holds the variances
    state_dependent_std: bool = False
    reward_factor: Positive = 1.0
    anneal_learning_rate: bool = True
    max_grad_norm: Positive | None = 0.5
    value_clip_range: Positive | None = None
    scale_rewards: bool = False
    reward_clip: Positive | None = None
    observation_clip: Positive | None = None
    normalize_observations: bool = False
    orthogonal: bool = True
    activation: Literal["tanh", "relu"] = "tanh"

    #: Whether Adam changes the policy too, or the critic only.
    adam_for_policy: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name, kind in kinds_of(type(self)).items():  # type: ignore[arg-type]  # classes are hashable
            object.__setattr__(self, name, checked(name, getattr(self, name), kind))

    def at(self: "S", remaining: float) -> "S":
        """These settings when a share ``remaining`` of the run, in (0, 1], is still to come."""
        if not self.anneal_learning_rate:
            return self
        return replace(self, learning_rate=self.learning_rate * remaining)

    def __repr__(self) -> str:
        """The first seven shared settings, the algorithm's own, and of the rest what is not at default."""
        shared = {f.name: f.default for f in fields(Settings)[7:]}
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        shown = (f"{k}={v!r}" for k, v in values.items() if k not in shared or v != shared[k])
        return f"{type(self).__name__}({', '.join(shown)})"


S = TypeVar("S", bound=Settings)


@cache
def kinds_of(settings_type: type[Settings]) -> dict[str, Any]:
    """The kind of every field of a type of settings, by name; see `kinds`."""
    hints = get_type_hints(settings_type, include_extras=True)
    return {f.name: hints[f.name] for f in fields(settings_type)}


def changed(settings: S, changes: Mapping[str, Any]) -> S:
    """Settings with some of them changed; a text is read as the command line reads it.

    Parameters
    ----------
    settings : Settings
    changes : mapping
        New values by name, or their texts: ``{"gamma": ".9", "hidden": "(64, 64)", "epochs": 4}``.

    Returns
    -------
    Settings

    Raises
    ------
    ValueError
        If a name is unknown (the message gives the nearest), a value is of another kind, or it is
        out of range.
    """
    kinds = kinds_of(type(settings))  # type: ignore[arg-type]  # classes are hashable
    require_known(changes, kinds, type(settings).__name__)
    values = {
        name: read(name, value, kinds[name]) if isinstance(value, str) else value
        for name, value in changes.items()
    }
    return replace(settings, **values)
