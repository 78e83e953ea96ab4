"""Exercise 04: monotonic improvement. Write the functions, then run ``pytest exercises/``."""

# %%
import numpy as np


# %%
def total_variation(old, new):
    """Return the total variation between two policies, in every state.

    The largest difference between the probabilities that the two give to any set of actions. It is
    also half the sum of the sizes of their differences. It lies between 0 and 1.

    Parameters
    ----------
    old, new : ndarray, shape (S, A)
        Two policies: the probability of every action in every state.

    Returns
    -------
    ndarray, shape (S,)
    """
    raise NotImplementedError("Write total_variation here.")


# %%
def categorical_kl(old, new):
    """Return KL(old || new) in every state, in nats.

    An action that the old policy never takes adds nothing, whatever the new one does. Where the
    new policy never takes an action that the old one takes, the answer is infinite (``np.inf``).
    NumPy may warn about zeros on the way; warnings are not judged.

    Parameters
    ----------
    old, new : ndarray, shape (S, A)
        Two policies: the probability of every action in every state. Zeros may occur in both.

    Returns
    -------
    ndarray, shape (S,)
        Expectations under the old policy of the logarithm of old / new.
    """
    raise NotImplementedError("Write categorical_kl here.")


# %%
def improvement_bound(surrogate, eps, divergence, gamma, kind):
    """Return the number that J(new) cannot be below: the surrogate minus a penalty.

    The theorem of the chapter (Achiam et al., 2017) gives kind ``"mean_tv"``, with the penalty
    2 gamma eps_new E[TV] / (1 - gamma)^2. The three other kinds follow from it: replace what they
    are not given by the bound that is stated with them, and simplify.

    Parameters
    ----------
    surrogate : float
        L_old(new), with J(old) and the factor 1 / (1 - gamma) inside.
    eps : float
        eps_new, the largest size over the states of the old advantage of the new policy's actions,
        in the kinds with a mean; eps_A, the largest size of any old advantage, in those with a
        maximum.
    divergence : float
        ``"mean_tv"``: E[TV], the mean total variation over the old policy's states.
        ``"max_tv"``: alpha, the largest total variation of all states.
        Use eps_new <= 2 alpha eps_A and E[TV] <= alpha.
        ``"max_kl"``: the largest KL(old || new) of all states.
        Use "max_tv", and alpha^2 <= max KL / 2 (Pinsker).
        ``"mean_kl"``: E[KL], the mean KL(old || new) over the old policy's states.
        Use E[TV] <= sqrt(E[KL] / 2) (Pinsker and Jensen).
    gamma : float in [0, 1)
        Discount factor.
    kind : str
        One of the four.

    Returns
    -------
    float
    """
    raise NotImplementedError("Write improvement_bound here.")


# %%
def cpi_mixture(old, advantages, omega):
    """Return the policy of a conservative step: a mixture of the old and the greedy policy.

    Parameters
    ----------
    old : ndarray, shape (S, A)
        The old policy: the probability of every action in every state. It must not be changed.
    advantages : ndarray, shape (S, A)
        Its advantages. The greedy policy takes in each state the action with the largest one, and
        of equally good actions the first.
    omega : float in [0, 1]
        Weight of the greedy policy: 0 gives the old policy, 1 the greedy one.

    Returns
    -------
    ndarray, shape (S, A)
        Every row sums to 1.
    """
    raise NotImplementedError("Write cpi_mixture here.")


# %%
def mm_step(old, candidates, advantages, visitation, expected_return, gamma):
    """Return the best candidate by the guarantee, and the minorants by which it was chosen.

    The minorant of a candidate is L_old(new) - C max KL(old || new): kind ``"max_kl"`` of
    `improvement_bound`. J of a candidate is never below its minorant. At the old policy, which is
    one of the candidates, the two agree; so J of the chosen one is at least J(old).

    Parameters
    ----------
    old : ndarray, shape (S, A)
        The old policy. It takes every action with a positive probability.
    candidates : ndarray, shape (K, S, A)
        Policies to choose from.
    advantages : ndarray, shape (S, A)
        Advantages of the old policy. The largest of their sizes is eps_A.
    visitation : ndarray, shape (S,)
        rho of the old policy, unnormalised: it sums to 1 / (1 - gamma).
    expected_return : float
        J(old).
    gamma : float in (0, 1)
        Discount factor.

    Returns
    -------
    policy : ndarray, shape (S, A)
        The candidate with the largest minorant.
    minorants : ndarray, shape (K,)
        One per candidate: minus infinity where its KL is infinite. Return the pair
        ``policy, minorants``.
    """
    raise NotImplementedError("Write mm_step here.")
