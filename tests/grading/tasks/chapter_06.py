"""Chapter 6."""

from course_lib import fisher
from course_lib.parameters import flatten, unflatten


def of_vector(function, params):
    """Return a function of a list of tensors as the function of one vector that the library has."""
    return lambda theta: function(unflatten(theta, params))


def fisher_vector_product(kl_fn, params, v, damping=0.0):
    """The library's product, which has its parameters in one vector."""
    theta = flatten(params).detach()
    return fisher.fisher_vector_product(of_vector(kl_fn, params), theta, v.detach(), damping)


def gauss_newton_product(outputs_fn, M, params, v):
    """The library's product, which has its parameters in one vector."""
    theta = flatten(params).detach()
    return fisher.gauss_newton_vector_product(of_vector(outputs_fn, params), M, theta, v)


LIBRARY = {
    "fisher_vector_product": fisher_vector_product,
    "gauss_newton_product": gauss_newton_product,
}
EQUIVALENT = {
    "gauss_newton_product": [
        ("torch.zeros_like -> torch.ones_like", "D^T u is linear in u, so its slope is the same"),
    ],
}
CORRECT = {
    "fisher_vector_product": [
        """
def fisher_vector_product(kl_fn, params, v, damping=0.0):
    params = [p.detach().clone().requires_grad_(True) for p in params]
    kl_fn(params).backward(create_graph=True)
    total, start = 0.0, 0
    first = [p.grad for p in params]
    for p, g in zip(params, first):
        part = v[start : start + p.numel()].detach().reshape(p.shape)
        total = total + (g * part).sum()
        start += p.numel()
    for p in params:
        p.grad = None
    total.backward()
    out = np.concatenate([p.grad.numpy().ravel() for p in params])
    return out + damping * v.detach().numpy()
""",
        """
def fisher_vector_product(kl_fn, params, v, damping=0.0):
    sizes = [p.numel() for p in params]
    tangents = [x.reshape(p.shape) for x, p in zip(v.detach().split(sizes), params)]
    at = [p.detach() for p in params]
    _, Hv = torch.func.jvp(torch.func.grad(kl_fn), (at,), (tangents,))
    return torch.cat([x.flatten() for x in Hv]) + damping * v
""",
        """
def fisher_vector_product(kl_fn, params, v, damping=0.0):
    g = torch.cat([x.flatten() for x in torch.autograd.grad(kl_fn(params), params, create_graph=True)])
    rows = []
    for i in range(len(g)):
        row = torch.autograd.grad(g[i], params, retain_graph=True)
        rows.append(torch.cat([x.flatten() for x in row]))
    F = torch.stack(rows) + damping * torch.eye(len(g))
    return (F.float() @ v.detach().float()).tolist()
""",
        """
def fisher_vector_product(kl_fn, params, v, damping=0.0):
    shapes = [p.shape for p in params]
    sizes = [p.numel() for p in params]
    def flat(theta):
        return kl_fn([x.view(s) for x, s in zip(theta.split(sizes), shapes)])
    theta = torch.nn.utils.parameters_to_vector(params).detach()
    return torch.autograd.functional.vhp(flat, theta, v.detach())[1].add(v, alpha=damping)
""",
        """
def fisher_vector_product(kl_fn, params, v, damping=0.0):
    vs = [c.view_as(p) for c, p in zip(v.detach().split([p.numel() for p in params]), params)]
    gs = torch.autograd.grad(kl_fn(params), params, create_graph=True)
    dot = sum((g * c).sum() for g, c in zip(gs, vs))
    hs = torch.autograd.grad(dot, params, allow_unused=True)
    return torch.cat([(h + damping * c).reshape(-1) for h, c in zip(hs, vs)])
""",
    ],
    "gauss_newton_product": [
        """
def gauss_newton_product(outputs_fn, M, params, v):
    at = [p.detach() for p in params]
    tangents = [x.reshape(p.shape) for x, p in zip(v.split([p.numel() for p in at]), at)]
    outputs, Dv = torch.func.jvp(outputs_fn, (at,), (tangents,))
    _, pull = torch.func.vjp(outputs_fn, at)
    (back,) = pull(torch.einsum("bij,bj->bi", M, Dv) / outputs.shape[0])
    return torch.cat([x.flatten() for x in back])
""",
        """
def gauss_newton_product(outputs_fn, M, params, v):
    out = outputs_fn(params)
    B, k = out.shape
    total = np.zeros(len(v))
    for b in range(B):
        D = np.zeros((k, len(v)))
        for i in range(k):
            g = torch.autograd.grad(out[b, i], params, retain_graph=True, allow_unused=True)
            g = [torch.zeros_like(p) if x is None else x for x, p in zip(g, params)]
            D[i] = np.concatenate([x.numpy().ravel() for x in g])
        total += D.T @ (M[b].numpy() @ (D @ v.numpy()))
    return total / B
""",
        """
def gauss_newton_product(outputs_fn, M, params, v):
    sizes, shapes = [p.numel() for p in params], [p.shape for p in params]
    f = lambda theta: outputs_fn([x.view(s) for x, s in zip(theta.split(sizes), shapes)])
    theta = torch.cat([p.detach().flatten() for p in params])
    D = torch.autograd.functional.jacobian(f, theta).float()
    return (D.transpose(1, 2) @ M.float() @ D).mean(0) @ v.float()
""",
        """
def gauss_newton_product(outputs_fn, M, params, v):
    import torch.autograd.forward_ad as fwd
    parts = v.split([p.numel() for p in params])
    with fwd.dual_level():
        duals = [fwd.make_dual(p.detach(), x.view(p.shape)) for p, x in zip(params, parts)]
        Dv = fwd.unpack_dual(outputs_fn(duals)).tangent
    out = outputs_fn(params)
    loss = sum(out[b] @ (M[b] @ Dv[b]) for b in range(len(out))) / len(out)
    return torch.cat([g.reshape(-1) for g in torch.autograd.grad(loss, params)])
""",
        """
def gauss_newton_product(outputs_fn, M, params, v):
    out = outputs_fn(params)
    u = torch.ones_like(out).requires_grad_()
    gs = torch.autograd.grad(out, params, grad_outputs=u, create_graph=True)
    vs = [c.view_as(p) for c, p in zip(v.split([p.numel() for p in params]), params)]
    (jv,) = torch.autograd.grad(gs, u, grad_outputs=vs, retain_graph=True)
    s = (out * (M @ jv[..., None]).squeeze(-1).detach()).sum(1).mean()
    return torch.cat([g.reshape(-1) for g in torch.autograd.grad(s, params)])
""",
    ],
}
WRITTEN = {
    "fisher_vector_product": [
        (
            """
def fisher_vector_product(kl_fn, params, v, damping=0.0):
    g = flatten(grad(kl_fn(params), params, create_graph=True))
    (g @ v.detach()).backward()
    return flatten([p.grad for p in params]) + damping * v.detach()
""",
            "gradients_pile_up",
        ),
        (
            """
def fisher_vector_product(kl_fn, params, v, damping=0.0):
    kl_fn(params).backward(create_graph=True)
    g = torch.cat([p.grad.flatten() for p in params])
    (g @ v.detach()).backward()
    return torch.cat([p.grad.flatten() for p in params]).detach() + damping * v
""",
            "gradient_still_in_grad",
        ),
        (
            """
def fisher_vector_product(kl_fn, params, v, damping=0.0):
    v = v.detach()
    g = flatten(grad(kl_fn(params), params, create_graph=True))
    return 0.5 * flatten(grad(g @ v, params)) + damping * v
""",
            "half_the_hessian",
        ),
        (
            """
def fisher_vector_product(kl_fn, params, v, damping=0.0):
    v = v.detach()
    g = flatten(grad(kl_fn(params), params, create_graph=True))
    return flatten(grad(g @ v, params)) + damping * g.detach()
""",
            "damping_times_gradient",
        ),
        (
            """
def fisher_vector_product(kl_fn, params, v, damping=0.0):
    kl_grad = flatten(torch.autograd.grad(kl_fn(params), params))
    return flatten(torch.autograd.grad((kl_grad * v.detach()).sum(), params)) + damping * v
""",
            "create_graph_missing",
        ),
        (
            """
def fisher_vector_product(kl_fn, params, v, damping=0.0):
    kl_fn(params).backward()
    kl_grad = torch.cat([p.grad.view(-1) for p in params])
    (kl_grad @ v.detach()).backward()
    return torch.cat([p.grad.view(-1) for p in params]) + damping * v
""",
            "create_graph_missing",
        ),
        (
            """
def fisher_vector_product(kl_fn, params, v, damping=0.0):
    v.detach()
    kl_grad = flatten(torch.autograd.grad(kl_fn(params), params, create_graph=True))
    kl_v = (kl_grad * v).sum()
    return flatten(torch.autograd.grad(kl_v, params)) + damping * v
""",
            "v_not_detached",
        ),
        (
            """
def fisher_vector_product(kl_fn, params, v, damping=0.0):
    kl_grad = flatten(torch.autograd.grad(kl_fn(params), params, create_graph=True))
    kl_v = (kl_grad * v.detach()).sum()
    return flatten(torch.autograd.grad(kl_v, params)) + 0.1 * v
""",
            "damping_of_the_tutorials",
        ),
        (
            """
def fisher_vector_product(kl_fn, params, v, damping=0.0):
    kl = kl_fn(params)
    out, i = [], 0
    for p in params:
        (g,) = torch.autograd.grad(kl, p, create_graph=True)
        part = v[i : i + p.numel()].detach()
        out.append(torch.autograd.grad(g.flatten() @ part, p, retain_graph=True)[0].flatten())
        i += p.numel()
    return torch.cat(out) + damping * v
""",
            "own_tensor_only",
        ),
        (
            """
def fisher_vector_product(kl_fn, params, v, damping=0.0):
    g = flatten(torch.autograd.grad(kl_fn(params), params))
    return g * (g @ v) + damping * v
""",
            "outer_product_of_the_gradient",
        ),
    ],
    "gauss_newton_product": [
        (
            """
def gauss_newton_product(outputs_fn, M, params, v):
    o = outputs_fn(params)
    u = torch.zeros_like(o, requires_grad=True)
    DTu = flatten(torch.autograd.grad(o, params, u, create_graph=True))
    (Dv,) = torch.autograd.grad(DTu @ v, u, retain_graph=True)
    o.backward(torch.einsum("bij,bj->bi", M, Dv) / len(o))
    return flatten([p.grad for p in params])
""",
            "gradients_pile_up",
        ),
        (
            """
def gauss_newton_product(outputs_fn, M, params, v):
    o = outputs_fn(params)
    loss = torch.einsum("bi,bij,bj->b", o, M, o).mean() / 2
    g = flatten(torch.autograd.grad(loss, params, create_graph=True))
    return flatten(torch.autograd.grad(g @ v, params))
""",
            "second_derivatives_of_the_outputs",
        ),
        (
            """
def gauss_newton_product(outputs_fn, M, params, v):
    o = outputs_fn(params)
    u = torch.ones_like(o, requires_grad=True)
    DTu = flatten(torch.autograd.grad(o, params, grad_outputs=u, create_graph=True))
    (Dv,) = torch.autograd.grad(DTu @ v, u, create_graph=True)
    MDv = (M @ Dv[..., None])[..., 0]
    return flatten(torch.autograd.grad((o * MDv).sum() / len(o), params))
""",
            "second_derivatives_of_the_outputs",
        ),
        (
            """
def gauss_newton_product(outputs_fn, M, params, v):
    o = outputs_fn(params)
    u = torch.zeros_like(o, requires_grad=True)
    DTu = flatten(torch.autograd.grad(o, params, u, create_graph=True))
    (Dv,) = torch.autograd.grad(DTu @ v, u, retain_graph=True)
    return flatten(torch.autograd.grad(o, params, (M @ Dv[..., None]).squeeze(-1)))
""",
            "sum_over_states",
        ),
        (
            """
def gauss_newton_product(outputs_fn, M, params, v):
    o = outputs_fn(params)
    J = flatten(torch.autograd.grad(o.sum(), params))
    return J * (J @ v)
""",
            "outputs_summed",
        ),
    ],
}
