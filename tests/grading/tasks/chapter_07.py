"""Chapter 7."""

from course_lib import conjugate_gradient as library


def conjugate_gradient(linear_operator, b, iterations, tolerance):
    """The library's x, without its report."""
    return library.conjugate_gradient(linear_operator, b, iterations, tolerance).x


LIBRARY = {"conjugate_gradient": conjugate_gradient}
EQUIVALENT = {}
CORRECT = {
    "conjugate_gradient": [
        """
def conjugate_gradient(linear_operator, b, iterations, tolerance):
    b = b.numpy()
    x, r = np.zeros_like(b), b.copy()
    p, count = r.copy(), 0
    while count < iterations and np.linalg.norm(r) > tolerance * np.linalg.norm(b):
        Ap = linear_operator(p)
        alpha = (r @ p) / (p @ Ap)
        x += alpha * p
        r -= alpha * Ap
        p = r - (r @ Ap) / (p @ Ap) * p
        count += 1
    return x
""",
        """
def conjugate_gradient(linear_operator, b, iterations, tolerance):
    b = b.float()
    x, r, p = torch.zeros_like(b), b.clone(), b.clone()
    rs = torch.dot(r, r).item()
    limit = tolerance**2 * rs
    for i in range(iterations):
        if rs <= limit:
            return x
        z = linear_operator(p)
        alpha = rs / torch.dot(p, z).item()
        x.add_(p, alpha=alpha)
        r.sub_(z, alpha=alpha)
        new = torch.dot(r, r).item()
        p.mul_(new / rs).add_(r)
        rs = new
    return x
""",
        """
def conjugate_gradient(linear_operator, b, iterations, tolerance):
    # Lanczos: an orthonormal basis, then a small tridiagonal system for each size.
    size = b.norm()
    x = torch.zeros_like(b)
    if size <= tolerance * size:
        return x
    Q, AQ = [b / size], []
    for _ in range(iterations):
        AQ.append(linear_operator(Q[-1]))
        basis, products = torch.stack(Q, 1), torch.stack(AQ, 1)
        y = torch.linalg.solve(basis.T @ products, basis.T @ b)
        x, residual = basis @ y, b - products @ y
        if residual.norm() <= tolerance * size:
            break
        w = AQ[-1]
        for q in Q + Q:
            w = w - (q @ w) * q
        Q.append(w / w.norm())
    return x
""",
        """
def conjugate_gradient(linear_operator, b, iterations, tolerance):
    def go(x, r, p, left):
        if left == 0 or r.norm() <= tolerance * b.norm():
            return x
        Ap = linear_operator(p)
        a = r.square().sum() / (p * Ap).sum()
        r2 = r - a * Ap
        return go(x + a * p, r2, r2 + (r2 @ (r2 - r)) / (r @ r) * p, left - 1)
    return go(0 * b, b, b, iterations)
""",
        """
def conjugate_gradient(linear_operator, b, iterations, tolerance):
    x, residual, direction, previous, made = b * 0, b + 0, None, None, 0
    while made < iterations and residual.norm() > tolerance * torch.sqrt((b * b).sum()):
        squared = (residual * residual).sum()
        direction = residual if direction is None else residual + squared / previous * direction
        image = linear_operator(direction)
        alpha = squared / (direction * image).sum()
        x, residual = x + alpha * direction, residual - alpha * image
        previous, made = squared, made + 1
    return x
""",
    ],
}
WRITTEN = {
    "conjugate_gradient": [
        (
            """
def conjugate_gradient(linear_operator, b, iterations, tolerance):
    x = torch.zeros_like(b)
    r = b - linear_operator(x)
    p = r.clone()
    for _ in range(iterations):
        if r.norm() <= tolerance * b.norm():
            break
        rr = r @ r
        a = rr / (p @ linear_operator(p))
        x = x + a * p
        r = b - linear_operator(x)
        p = r + (r @ r) / rr * p
    return x
""",
            "residual_computed_anew",
        ),
        (
            """
def conjugate_gradient(linear_operator, b, iterations, tolerance):
    x = torch.zeros_like(b)
    r = b.clone()
    p = b.clone()
    rr = r @ r
    for _ in range(iterations):
        Ap = linear_operator(p)
        a = rr / (p @ Ap + 1e-8)
        x = x + a * p
        r = r - a * Ap
        new = r @ r
        p = r + new / (rr + 1e-8) * p
        rr = new
    return x
""",
            "epsilon_for_the_tolerance",
        ),
        (
            """
def conjugate_gradient(linear_operator, b, iterations, tolerance):
    x = torch.zeros_like(b)
    r = b.clone()
    p = b.clone()
    rdotr = torch.dot(r, r)
    for i in range(iterations):
        Ap = linear_operator(p)
        alpha = rdotr / torch.dot(p, Ap)
        x += alpha * p
        r -= alpha * Ap
        new_rdotr = torch.dot(r, r)
        if new_rdotr.sqrt() <= tolerance * b.norm():
            break
        p = r + new_rdotr / rdotr * p
        rdotr = new_rdotr
    return x
""",
            "zero_right_side",
        ),
        (
            """
def conjugate_gradient(linear_operator, b, iterations, tolerance):
    x = torch.zeros_like(b)
    r = b.clone()
    p = r
    rs = r @ r
    for i in range(iterations):
        if rs.sqrt() <= tolerance * b.norm():
            break
        Ap = linear_operator(p)
        alpha = rs / (p @ Ap)
        x = x + alpha * p
        r -= alpha * Ap
        rs_new = r @ r
        p = r + rs_new / rs * p
        rs = rs_new
    return x
""",
            "direction_shares_memory",
        ),
        (
            """
def conjugate_gradient(linear_operator, b, iterations, tolerance):
    x = torch.zeros_like(b)
    r = b - linear_operator(x)
    p = r.clone()
    for i in range(iterations):
        if torch.norm(r) <= tolerance * torch.norm(b):
            break
        Ap = linear_operator(p)
        rs = r.dot(r)
        alpha = rs / p.dot(Ap)
        x = x + alpha * p
        r = r - alpha * Ap
        p = r + r.dot(r) / rs * p
    return x
""",
            "product_at_the_start",
        ),
        (
            """
def conjugate_gradient(linear_operator, b, iterations, tolerance):
    x, r, p = torch.zeros_like(b), b.clone(), b.clone()
    rs = r @ r
    for i in range(iterations):
        if rs.sqrt() <= tolerance * b.norm():
            break
        Ap = linear_operator(p)
        alpha = rs / (p @ Ap)
        x, r = x + alpha * p, r - alpha * Ap
        rs = r @ r
        beta = (r @ r) / rs
        p = r + beta * p
    return x
""",
            "beta_is_one",
        ),
        (
            """
def conjugate_gradient(linear_operator, b, iterations, tolerance):
    x, r, p = torch.zeros_like(b), b.clone(), b.clone()
    rdotr = r.dot(r)
    for i in range(iterations):
        if rdotr <= tolerance:
            break
        z = linear_operator(p)
        v = rdotr / p.dot(z)
        x += v * p
        r -= v * z
        newrdotr = r.dot(r)
        p = r + newrdotr / rdotr * p
        rdotr = newrdotr
    return x
""",
            "squared_norm_and_absolute",
        ),
        (
            """
def conjugate_gradient(linear_operator, b, iterations, tolerance):
    x, i = torch.zeros_like(b), 0
    r = b
    while r.norm() > tolerance * b.norm() and i < iterations:
        Ar = linear_operator(r)
        step = (r @ r) / (r @ Ar)
        x = x + step * r
        r = r - step * Ar
        i += 1
    return x
""",
            "steepest_descent",
        ),
    ],
}
