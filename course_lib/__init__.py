"""The library of the book "Trust Regions: TRPO and PPO from first principles".

Each module holds one idea and names the chapter and the equations it belongs to. The rooms, from
the ground up; imports go down only:

================  ===============================================================================
``course_lib``    the mathematics the book teaches, pure functions, and the networks: advantages,
                  distributions, surrogate, Fisher products, conjugate gradients, line search
``exact``         MDPs small enough to solve: values, visitation, bounds, improvement steps
``experience``    environments, rollouts, running normalisation
``algorithms``    REINFORCE, A2C, natural gradient, TRPO, vine, PPO-penalty, PPO-clip: settings and
                  one update each; presets
``language``      a tiny transformer whose answers can all be listed: RLOO, GRPO, PPO, TRPO on it
``training``      runs: the loop, checkpoints, evaluation
``show``          figures, GIFs, playable figures, source code in a notebook
``grading``       the judge of the exercises
``command_line``  train, resume, evaluate, film and plot from a terminal
================  ===============================================================================

Import from a room, ``from course_lib.training import train``, or from a module,
``from course_lib.advantages import gae``.
"""

__version__ = "1.0.0"
