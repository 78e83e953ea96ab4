"""Trust regions in language models (chapter 15): a transformer small enough to know the truth about.

It adds two numbers. Every prompt is known and every answer can be listed, so that the objective,
the KL and the total variation of whole answers are exact. One idea per file:

==================  ============================================================================
``task``            the prompts and their right answers
``transformer``     the decoder
``sampling``        answers drawn, their log-probabilities, exact accuracy
``enumeration``     all answers with their probabilities; the token-level surrogate
``bounds``          how far that surrogate can be from the truth
``groups``          advantages without a critic; what dividing them maximises instead
``ratios``          of tokens, of whole answers, length-normalised
``reference``       k1, k2, k3 as a loss and in the reward
``kl_gradients``    whose gradient each of these follows
``supervised``      the policies that training on rewards starts from
``rloo`` ``grpo``   one update each, with its settings
``ppo`` ``trpo``
``learner``         what the updates share
``training``        a run
``study``           many runs, one file each
==================  ============================================================================
"""

from .grpo import GRPO
from .ppo import PPO
from .rloo import RLOO
from .supervised import pretrained
from .task import addition, split
from .training import improve
from .trpo import TRPO

__all__ = ["GRPO", "PPO", "RLOO", "TRPO", "addition", "improve", "pretrained", "split"]
