"""The settings that all algorithms share, and the nine code-level optimisations among them."""

from dataclasses import dataclass, fields
from typing import ClassVar


@dataclass(frozen=True, repr=False)
class Settings:
    """Settings that all algorithms share.

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
        Punish the critic for moving a value by more than this in one update, as PPO's code does.
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

    n_envs: int = 8
    horizon: int = 256
    gamma: float = 0.99
    gae_lambda: float = 0.95
    hidden: tuple[int, ...] = (64, 64)
    learning_rate: float = 3e-4
    initial_log_std: float = -0.5
    state_dependent_std: bool = False
    reward_factor: float = 1.0
    anneal_learning_rate: bool = True
    max_grad_norm: float | None = 0.5
    value_clip_range: float | None = None
    scale_rewards: bool = False
    reward_clip: float | None = None
    observation_clip: float | None = None
    normalize_observations: bool = False
    orthogonal: bool = True
    activation: str = "tanh"

    #: Whether Adam changes the policy too, or the critic only.
    adam_for_policy: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self.require_positive("n_envs", "horizon", "learning_rate", "reward_factor")
        optional = ("max_grad_norm", "value_clip_range", "reward_clip", "observation_clip")
        self.require_positive(*(name for name in optional if getattr(self, name) is not None))
        for name in ("gamma", "gae_lambda"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} must lie in [0, 1], not {getattr(self, name)!r}")
        if self.activation not in ("tanh", "relu"):
            raise ValueError(f"activation must be 'tanh' or 'relu', not {self.activation!r}")

    def __repr__(self) -> str:
        """The algorithm's own settings, and those of the shared ones that are not at default."""
        shared = {f.name: f.default for f in fields(Settings)[7:]}
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        shown = (f"{k}={v!r}" for k, v in values.items() if k not in shared or v != shared[k])
        return f"{type(self).__name__}({', '.join(shown)})"

    def require_positive(self, *names: str) -> None:
        """Raise a ValueError that names the first of these settings that is not positive."""
        for name in names:
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)!r}")
