"""Chapter 2; its correct but different solutions stand in test_correct_solutions.py."""

from course_lib import advantages

LIBRARY = {
    name: getattr(advantages, name)
    for name in ("td_residuals", "n_step_advantages", "gae", "discounted_returns", "normalize")
}
EQUIVALENT = {
    "n_step_advantages": [
        ("deltas[t] -> deltas[t - 1]", "only the shape of a row is used, in ones_like(deltas[t])"),
    ],
    "gae": [
        ("np.zeros_like -> np.ones_like", "every entry of the buffer is written later"),
        ("0 -> -1", "only the shape of a row is used, in zeros_like(deltas[0])"),
    ],
    "discounted_returns": [
        ("np.zeros_like -> np.ones_like", "every entry of the buffer is written later"),
        ("rewards -> next_values", "only the shape is used, in zeros_like(rewards)"),
        ("rewards -> next_values", "only the length is used, in range(len(rewards))"),
    ],
}
