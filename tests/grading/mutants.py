"""Small changes of a function, made from its syntax tree: what students mistype."""

import ast
import copy
from collections.abc import Callable, Iterator, Sequence

ENOUGH = 20
OPERATORS = {
    ast.Add: [ast.Sub, ast.Mult],
    ast.Sub: [ast.Add],
    ast.Mult: [ast.Div, ast.Add],
    ast.Div: [ast.Mult],
    ast.Pow: [ast.Mult],
    ast.BitOr: [ast.BitAnd, ast.BitXor],
    ast.BitAnd: [ast.BitOr],
    ast.MatMult: [ast.Mult],
}
COMPARISONS = {
    ast.Lt: [ast.LtE, ast.Gt],
    ast.LtE: [ast.Lt, ast.GtE],
    ast.Gt: [ast.GtE, ast.Lt],
    ast.GtE: [ast.Gt, ast.LtE],
    ast.Eq: [ast.NotEq],
    ast.NotEq: [ast.Eq],
}
METHODS = {
    "mean": ["sum", "max", "std", "min"],
    "std": ["var", "mean", "max", "sum"],
    "var": ["std"],
    "sum": ["mean", "prod"],
    "zeros_like": ["ones_like"],
    "ones_like": ["zeros_like"],
    "exp": ["expm1", "log"],
    "log": ["exp", "log1p"],
    "sqrt": ["square"],
    "square": ["sqrt"],
    "minimum": ["maximum"],
    "maximum": ["minimum"],
    "min": ["max"],
    "max": ["min"],
    "all": ["any"],
    "any": ["all"],
}
CALLS = {"min": "max", "max": "min"}
DROPPED_METHODS = ("detach", "clone", "copy", "square", "sqrt", "exp", "log", "sum", "mean")
DROPPED_CALLS = ("reversed", "len", "abs", "clip", "clamp", "exp", "log", "sqrt", "square")


def mutants(source: str, groups: Sequence[Sequence[str]]) -> list[tuple[str, str]]:
    """Return (description, source) for every mutant of a function's source.

    A function so short that it has fewer than 20 gets signs, factors and offsets too.

    Parameters
    ----------
    source : str
        The function.
    groups : sequence of sequences of str
        Parameters that can be mistaken for each other.
    """
    found = list(changed(source, lambda node: replacements(node, groups)))
    if len(found) < ENOUGH:
        found += changed(source, lambda node: signs_and_factors(node, groups))
    return found


def changed(source: str, replace: Callable) -> Iterator[tuple[str, str]]:
    """Yield (description, source) with every node replaced by everything that `replace` yields."""
    tree = ast.parse(source)
    for position, node in enumerate(ast.walk(tree)):
        for replacement in replace(node):
            mutant = copy.deepcopy(tree)
            target = list(ast.walk(mutant))[position]
            swap = Swap(target, replacement)
            text = ast.unparse(ast.fix_missing_locations(swap.visit(mutant)))
            new = ast.unparse(replacement) if replacement is not None else "nothing"
            yield f"{ast.unparse(node)} -> {new}", text


def replacements(node: ast.AST, groups: Sequence[Sequence[str]]) -> Iterator[ast.AST | None]:
    """Yield what may stand in a node's place; None deletes a statement."""
    if isinstance(node, ast.BinOp):
        yield node.left
        yield node.right
        for operator in OPERATORS.get(type(node.op), []):
            yield ast.BinOp(node.left, operator(), node.right)
        if isinstance(node.op, ast.Sub | ast.Div | ast.Pow):
            yield ast.BinOp(node.right, node.op, node.left)
    elif isinstance(node, ast.Compare):
        for operator in COMPARISONS.get(type(node.ops[0]), []):
            yield ast.Compare(node.left, [operator()], node.comparators)
    elif isinstance(node, ast.BoolOp):
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield ast.BoolOp(other, node.values)
        yield from node.values
    elif isinstance(node, ast.UnaryOp):
        yield node.operand
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
        yield ast.Constant(node.value + 1)
        yield ast.UnaryOp(ast.USub(), ast.Constant(1)) if node.value == 0 else ast.Constant(0)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        for group in groups:
            if node.id in group:
                yield from (ast.Name(other, node.ctx) for other in group if other != node.id)
        if node.id in CALLS:
            yield ast.Name(CALLS[node.id], node.ctx)
    elif isinstance(node, ast.Attribute):
        for name in METHODS.get(node.attr, []):
            yield ast.Attribute(node.value, name, node.ctx)
    elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Name):
        for operator in (ast.Add, ast.Sub):
            index = ast.BinOp(node.slice, operator(), ast.Constant(1))
            yield ast.Subscript(node.value, index, node.ctx)
    elif isinstance(node, ast.Call):
        yield from instead_of_call(node)
    elif isinstance(node, ast.If | ast.IfExp):
        changed = copy.copy(node)
        changed.test = ast.Constant(False)
        yield changed
    elif isinstance(node, ast.Assign | ast.AugAssign | ast.Break | ast.Continue) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    ):
        yield None


def signs_and_factors(node: ast.AST, groups: Sequence[Sequence[str]]) -> Iterator[ast.AST]:
    """Yield minus, twice and one more than a parameter, or than the result."""
    if isinstance(node, ast.Return) and node.value is not None:
        yield from (ast.Return(value) for value in off(node.value))
    if isinstance(node, ast.Name) and any(node.id in group for group in groups):
        yield from off(node)


def off(value: ast.expr) -> list[ast.expr]:
    """Return minus, twice and one more than a value."""
    return [
        ast.UnaryOp(ast.USub(), value),
        ast.BinOp(ast.Constant(2), ast.Mult(), value),
        ast.BinOp(value, ast.Add(), ast.Constant(1)),
    ]


def instead_of_call(node: ast.Call) -> Iterator[ast.AST]:
    """Yield what may stand in the place of a call."""
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    if name == "where" and len(node.args) == 3:
        condition, one, other = node.args
        yield ast.Call(node.func, [condition, other, one], [])
        yield one
        yield other
    elif isinstance(node.func, ast.Attribute) and not node.args and name in DROPPED_METHODS:
        yield node.func.value
    elif node.args and name in DROPPED_CALLS:
        yield node.args[0]


class Swap(ast.NodeTransformer):
    """Put one node in another's place."""

    def __init__(self, target: ast.AST, replacement: ast.AST | None):
        self.target, self.replacement = target, replacement

    def visit(self, node: ast.AST):
        """Return the replacement at the target."""
        if node is self.target:
            return ast.Pass() if self.replacement is None else copy.deepcopy(self.replacement)
        return self.generic_visit(node)
