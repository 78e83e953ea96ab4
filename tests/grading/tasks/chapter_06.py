"""Chapter 6."""

from course_lib import fisher

LIBRARY = {
    "fisher_vector_product": fisher.fisher_vector_product,
    "gauss_newton_product": fisher.gauss_newton_vector_product,
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
    theta = params.detach().clone().requires_grad_(True)
    kl_fn(theta).backward(create_graph=True)
    slope = (theta.grad * v.detach()).sum()
    theta.grad = None
    slope.backward()
    return theta.grad.numpy() + damping * v.detach().numpy()
""",
        """
def fisher_vector_product(kl_fn, params, v, damping=0.0):
    _, Hv = torch.func.jvp(torch.func.grad(kl_fn), (params.detach(),), (v.detach(),))
    return Hv + damping * v
""",
        """
def fisher_vector_product(kl_fn, params, v, damping=0.0):
    (g,) = torch.autograd.grad(kl_fn(params), params, create_graph=True)
    rows = [torch.autograd.grad(g[i], params, retain_graph=True)[0] for i in range(len(g))]
    F = torch.stack(rows) + damping * torch.eye(len(g))
    return (F.float() @ v.detach().float()).tolist()
""",
        """
def fisher_vector_product(kl_fn, params, v, damping=0.0):
    theta = params.detach()
    return torch.autograd.functional.vhp(kl_fn, theta, v.detach())[1].add(v, alpha=damping)
""",
        """
def fisher_vector_product(kl_fn, params, v, damping=0.0):
    (g,) = torch.autograd.grad(kl_fn(params), [params], create_graph=True)
    (Hv,) = torch.autograd.grad(g, [params], grad_outputs=[v])
    return (Hv + damping * v).reshape(-1, 1)[:, 0]
""",
        """
def fisher_vector_product(kl_fn, params, v, damping=0.0):
    theta, v = params.detach(), v.detach()
    return torch.autograd.functional.hessian(kl_fn, theta) @ v + damping * v
""",
    ],
    "gauss_newton_product": [
        """
def gauss_newton_product(outputs_fn, M, params, v):
    at = params.detach()
    outputs, Dv = torch.func.jvp(outputs_fn, (at,), (v,))
    _, pull = torch.func.vjp(outputs_fn, at)
    return pull(torch.einsum("bij,bj->bi", M, Dv) / outputs.shape[0])[0]
""",
        """
def gauss_newton_product(outputs_fn, M, params, v):
    out = outputs_fn(params)
    B, k = out.shape
    total = np.zeros(len(v))
    for b in range(B):
        D = np.zeros((k, len(v)))
        for i in range(k):
            D[i] = torch.autograd.grad(out[b, i], params, retain_graph=True)[0].numpy()
        total += D.T @ (M[b].numpy() @ (D @ v.numpy()))
    return total / B
""",
        """
def gauss_newton_product(outputs_fn, M, params, v):
    D = torch.autograd.functional.jacobian(outputs_fn, params.detach()).float()
    return (D.transpose(1, 2) @ M.float() @ D).mean(0) @ v.float()
""",
        """
def gauss_newton_product(outputs_fn, M, params, v):
    import torch.autograd.forward_ad as fwd
    with fwd.dual_level():
        Dv = fwd.unpack_dual(outputs_fn(fwd.make_dual(params.detach(), v))).tangent
    out = outputs_fn(params)
    loss = sum(out[b] @ (M[b] @ Dv[b]) for b in range(len(out))) / len(out)
    return torch.autograd.grad(loss, params)[0]
""",
        """
def gauss_newton_product(outputs_fn, M, params, v):
    out = outputs_fn(params)
    u = torch.ones_like(out).requires_grad_()
    g = torch.autograd.grad(out, params, grad_outputs=u, create_graph=True)
    jv = torch.autograd.grad(g, u, grad_outputs=v, retain_graph=True)[0]
    s = (out * (M @ jv[..., None]).squeeze(-1).detach()).sum(1).mean()
    return torch.autograd.grad(s, params)[0]
""",
    ],
}
WRITTEN = {
    "fisher_vector_product": [
        (
            """
def fisher_vector_product(kl_fn, params, v, damping=0.0):
    (g,) = grad(kl_fn(params), params, create_graph=True)
    (g @ v.detach()).backward()
    return params.grad + damping * v.detach()
""",
            "gradients_pile_up",
        ),
        (
            """
def fisher_vector_product(kl_fn, params, v, damping=0.0):
    kl_fn(params).backward(create_graph=True)
    (params.grad @ v.detach()).backward()
    return params.grad.detach() + damping * v
""",
            "gradient_still_in_grad",
        ),
        (
            """
def fisher_vector_product(kl_fn, params, v, damping=0.0):
    v = v.detach()
    (g,) = grad(kl_fn(params), params, create_graph=True)
    return 0.5 * grad(g @ v, params)[0] + damping * v
""",
            "half_the_hessian",
        ),
        (
            """
def fisher_vector_product(kl_fn, params, v, damping=0.0):
    (g,) = grad(kl_fn(params), params, create_graph=True)
    return grad(g @ v.detach(), params)[0] + damping * g.detach()
""",
            "damping_times_gradient",
        ),
        (
            """
def fisher_vector_product(kl_fn, params, v, damping=0.0):
    (kl_grad,) = torch.autograd.grad(kl_fn(params), params)
    return torch.autograd.grad((kl_grad * v.detach()).sum(), params)[0] + damping * v
""",
            "create_graph_missing",
        ),
        (
            """
def fisher_vector_product(kl_fn, params, v, damping=0.0):
    kl_fn(params).backward()
    (params.grad @ v.detach()).backward()
    return params.grad + damping * v
""",
            "create_graph_missing",
        ),
        (
            """
def fisher_vector_product(kl_fn, params, v, damping=0.0):
    v.detach()
    (kl_grad,) = torch.autograd.grad(kl_fn(params), params, create_graph=True)
    kl_v = (kl_grad * v).sum()
    return torch.autograd.grad(kl_v, params)[0] + damping * v
""",
            "v_not_detached",
        ),
        (
            """
def fisher_vector_product(kl_fn, params, v, damping=0.0):
    (kl_grad,) = torch.autograd.grad(kl_fn(params), params, create_graph=True)
    kl_v = (kl_grad * v.detach()).sum()
    return torch.autograd.grad(kl_v, params)[0] + 0.1 * v
""",
            "damping_of_the_tutorials",
        ),
        (
            """
def fisher_vector_product(kl_fn, params, v, damping=0.0):
    (g,) = torch.autograd.grad(kl_fn(params), params)
    return g * (g @ v) + damping * v
""",
            "outer_product_of_the_gradient",
        ),
        (
            """
def fisher_vector_product(kl_fn, params, v, damping=0.0):
    (g,) = torch.autograd.grad(kl_fn(params), params, create_graph=True)
    return torch.autograd.grad(g.sum(), params)[0] * v.detach() + damping * v
""",
            "v_after_the_sum",
        ),
    ],
    "gauss_newton_product": [
        (
            """
def gauss_newton_product(outputs_fn, M, params, v):
    o = outputs_fn(params)
    u = torch.zeros_like(o, requires_grad=True)
    (DTu,) = torch.autograd.grad(o, params, u, create_graph=True)
    (Dv,) = torch.autograd.grad(DTu @ v, u, retain_graph=True)
    o.backward(torch.einsum("bij,bj->bi", M, Dv) / len(o))
    return params.grad
""",
            "gradients_pile_up",
        ),
        (
            """
def gauss_newton_product(outputs_fn, M, params, v):
    o = outputs_fn(params)
    loss = torch.einsum("bi,bij,bj->b", o, M, o).mean() / 2
    (g,) = torch.autograd.grad(loss, params, create_graph=True)
    return torch.autograd.grad(g @ v, params)[0]
""",
            "second_derivatives_of_the_outputs",
        ),
        (
            """
def gauss_newton_product(outputs_fn, M, params, v):
    o = outputs_fn(params)
    u = torch.ones_like(o, requires_grad=True)
    (DTu,) = torch.autograd.grad(o, params, grad_outputs=u, create_graph=True)
    (Dv,) = torch.autograd.grad(DTu @ v, u, create_graph=True)
    MDv = (M @ Dv[..., None])[..., 0]
    return torch.autograd.grad((o * MDv).sum() / len(o), params)[0]
""",
            "second_derivatives_of_the_outputs",
        ),
        (
            """
def gauss_newton_product(outputs_fn, M, params, v):
    o = outputs_fn(params)
    u = torch.zeros_like(o, requires_grad=True)
    (DTu,) = torch.autograd.grad(o, params, u, create_graph=True)
    (Dv,) = torch.autograd.grad(DTu @ v, u, retain_graph=True)
    return torch.autograd.grad(o, params, (M @ Dv[..., None]).squeeze(-1))[0]
""",
            "sum_over_states",
        ),
        (
            """
def gauss_newton_product(outputs_fn, M, params, v):
    o = outputs_fn(params)
    (J,) = torch.autograd.grad(o.sum(), params)
    return J * (J @ v)
""",
            "outputs_summed",
        ),
    ],
}
