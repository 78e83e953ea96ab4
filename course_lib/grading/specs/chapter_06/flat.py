"""Parameters as one vector, rightly and in the two wrong orders that students build."""


def flatten(tensors, order="rows"):
    """Return the numbers of all tensors in one row.

    Parameters
    ----------
    tensors : sequence of Tensor
    order : {"rows", "columns", "reversed"}
        ``rows`` is right. ``columns`` goes down the columns of a matrix, ``reversed`` begins with
        the last tensor.
    """
    import torch

    if order == "reversed":
        tensors = tensors[::-1]
    if order == "columns":
        tensors = [x.T if x.dim() == 2 else x for x in tensors]
    return torch.cat([x.reshape(-1) for x in tensors])


def positions(tensors, order="rows"):
    """Return which entry of the right vector stands at each place of the wrong one."""
    import torch

    numbers = torch.arange(sum(x.numel() for x in tensors)).split([x.numel() for x in tensors])
    shaped = [n.reshape(x.shape) for n, x in zip(numbers, tensors, strict=True)]
    return flatten(shaped, order)


def blocks(tensors):
    """Return a matrix of ones where two parameters belong to the same tensor, else zeros."""
    import torch

    owner = torch.cat([torch.full((x.numel(),), i) for i, x in enumerate(tensors)])
    return (owner[:, None] == owner[None, :]).to(tensors[0].dtype)
