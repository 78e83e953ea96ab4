"""Small changes of a function, made from its syntax tree: what students mistype."""

import ast
import copy
from collections.abc import Iterator

OPERATORS = {
    ast.Add: [ast.Sub, ast.Mult],
    ast.Sub: [ast.Add],
    ast.Mult: [ast.Div, ast.Add],
    ast.Div: [ast.Mult],
    ast.Pow: [ast.Mult],
    ast.BitOr: [ast.BitAnd, ast.BitXor],
    ast.BitAnd: [ast.BitOr],
}
COMPARISONS = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
}
# Names that can be mistaken for each other: numbers, flags, factors.
KINDS = [
    ("rewards", "values", "next_values"),
    ("terminated", "truncated"),
    ("gamma", "gae_lambda"),
    ("x", "epsilon"),
]
METHODS = {
    "mean": ["sum", "max", "std", "min"],
    "std": ["var", "mean", "max", "sum"],
    "zeros_like": ["ones_like"],
    "ones_like": ["zeros_like"],
}
CALLS = {"min": "max", "max": "min"}


def mutants(source: str) -> Iterator[tuple[str, str]]:
    """Yield (description, source) for every mutant of a function's source."""
    tree = ast.parse(source)
    function = tree.body[0]
    parameters = {argument.arg for argument in function.args.args}
    nodes = list(ast.walk(tree))
    for position, node in enumerate(nodes):
        for replacement in replacements(node, parameters):
            mutant = copy.deepcopy(tree)
            target = list(ast.walk(mutant))[position]
            swap = Swap(target, replacement)
            text = ast.unparse(ast.fix_missing_locations(swap.visit(mutant)))
            new = ast.unparse(replacement) if replacement is not None else "nothing"
            yield f"{ast.unparse(node)} -> {new}", text


def replacements(node: ast.AST, parameters: set[str]) -> Iterator[ast.AST | None]:
    """Yield what may stand in a node's place; None deletes a statement."""
    if isinstance(node, ast.BinOp):
        yield node.left
        yield node.right
        for operator in OPERATORS.get(type(node.op), []):
            yield ast.BinOp(node.left, operator(), node.right)
        if isinstance(node.op, ast.Sub | ast.Div | ast.Pow):
            yield ast.BinOp(node.right, node.op, node.left)
    elif isinstance(node, ast.Compare) and type(node.ops[0]) in COMPARISONS:
        yield ast.Compare(node.left, [COMPARISONS[type(node.ops[0])]()], node.comparators)
    elif isinstance(node, ast.UnaryOp):
        yield node.operand
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield ast.Constant(node.value + 1)
        yield ast.UnaryOp(ast.USub(), ast.Constant(1)) if node.value == 0 else ast.Constant(0)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        for kind in KINDS:
            if node.id in kind:
                yield from (ast.Name(o, node.ctx) for o in kind if o != node.id and o in parameters)
        if node.id in CALLS:
            yield ast.Name(CALLS[node.id], node.ctx)
    elif isinstance(node, ast.Attribute):
        for name in METHODS.get(node.attr, []):
            yield ast.Attribute(node.value, name, node.ctx)
    elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Name):
        for operator in (ast.Add, ast.Sub):
            index = ast.BinOp(node.slice, operator(), ast.Constant(1))
            yield ast.Subscript(node.value, index, node.ctx)
    elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("reversed", "len"):
        yield node.args[0]
    elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "where":
        condition, one, other = node.args
        yield ast.Call(node.func, [condition, other, one], [])
        yield one
        yield other
    elif isinstance(node, ast.Assign | ast.AugAssign):
        yield None


class Swap(ast.NodeTransformer):
    """Put one node in another's place."""

    def __init__(self, target: ast.AST, replacement: ast.AST | None):
        self.target, self.replacement = target, replacement

    def visit(self, node: ast.AST):
        """Return the replacement at the target."""
        if node is self.target:
            return ast.Pass() if self.replacement is None else copy.deepcopy(self.replacement)
        return self.generic_visit(node)
