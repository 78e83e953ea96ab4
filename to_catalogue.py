# One-off, removed with the merge of chapters 8 to 14.
# ruff: noqa
"""One-off: rewrites the Mistake(...) calls of specs as a catalogue text. Usage: convert.py FILE ..."""

import ast, pathlib, re, subprocess, sys, textwrap


def literal(node):
    try:
        ast.literal_eval(node)
        return True
    except Exception:
        return False


def header(call):
    parts, functions = [], set()
    flags = call.args[2] if len(call.args) > 2 else None
    for k in call.keywords:
        if k.arg == "arguments":
            if not (isinstance(k.value, ast.Dict) and literal(k.value)):
                return None
            parts.append(
                "ignores("
                + ", ".join(
                    f"{key.value}={ast.unparse(v)}" for key, v in zip(k.value.keys, k.value.values)
                )
                + ")"
            )
        elif k.arg == "function":
            v = k.value
            if isinstance(v, ast.Name):
                functions.add(v.id)
                parts.append(v.id)
            elif (
                isinstance(v, ast.Call)
                and ast.unparse(v.func) == "functools.partial"
                and all(literal(x.value) for x in v.keywords)
            ):
                functions.add(v.args[0].id)
                parts.append(
                    v.args[0].id
                    + "("
                    + ", ".join(f"{x.arg}={lit(x.value)}" for x in v.keywords)
                    + ")"
                )
            else:
                return None
        elif k.arg == "flags":
            flags = k.value
        else:
            return None
    if flags is not None:
        if not (isinstance(flags, ast.Dict) and literal(flags)):
            return None
        parts += [f"{key.value}={lit(v)}" for key, v in zip(flags.keys, flags.values)]
    return ", ".join(parts), functions


def lit(node):
    text = ast.unparse(node)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        text = '"' + node.value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return text


for name in sys.argv[1:]:
    path = pathlib.Path(name)
    src = path.read_text()
    tree = ast.parse(src)
    lines = src.splitlines()
    node = next(
        (
            n
            for n in tree.body
            if isinstance(n, ast.Assign) and getattr(n.targets[0], "id", "") == "MISTAKES"
        ),
        None,
    )
    if node is None or not isinstance(node.value, ast.Tuple):
        print("skip", name)
        continue
    segs, functions, order = [], [], 0
    cur = None
    prev_end = node.value.lineno
    previous_hint = None
    for el in node.value.elts:
        comments = [l.strip() for l in lines[prev_end : el.lineno - 1] if l.strip().startswith("#")]
        prev_end = el.end_lineno
        ok = (
            isinstance(el, ast.Call)
            and getattr(el.func, "id", "") == "Mistake"
            and len(el.args) >= 2
            and all(isinstance(a, ast.Constant) for a in el.args[:2])
        )
        h = header(el) if ok else None
        if h is None:
            text = "\n".join(lines[el.lineno - 1 : el.end_lineno])
            segs.append(
                ("py", "\n".join("    " + c for c in comments) + ("\n" if comments else "") + text)
            )
            cur = None
            previous_hint = None
            continue
        if cur is None:
            cur = []
            segs.append(("text", cur))
        cur += ["    " + c for c in comments]
        head, hint = f"    {el.args[0].value}: {h[0]}", el.args[1].value
        body = textwrap.wrap(
            hint,
            100,
            initial_indent=" " * 8,
            subsequent_indent=" " * 8,
            break_long_words=False,
            break_on_hyphens=False,
        )
        if hint == previous_hint:
            # headers in a row share the hint that follows
            at = len(cur) - len(body) - len(comments)
            cur.insert(at, head)
        else:
            cur += [head, *body]
        previous_hint = hint
        for f in sorted(h[1]):
            if f not in functions:
                functions.append(f)
    out = []
    only = len(segs) == 1 and segs[0][0] == "text"
    for kind, content in segs:
        if kind == "py":
            out.append(content + ("," if not content.rstrip().endswith(",") else ""))
        else:
            body = "\n".join(content)
            raw = "r" if "\\" in body else ""
            used = [f for f in functions if re.search(rf"^    \w+: .*\b{f}\b", body, re.M)]
            args = "".join(f",\n    {f}" for f in used)
            call = f'catalogue(\n    {raw}"""\n{body}\n    """{args}\n)'
            out.append(call if only else f"    *{call},")
    new = "MISTAKES = " + (out[0] if only else "(\n" + "\n".join(out) + "\n)")
    lines[node.lineno - 1 : node.end_lineno] = new.splitlines()
    src = "\n".join(lines) + "\n"
    rest = src.replace("from ...spec import", "")

    def fix(m):
        names = [n.strip() for n in m.group(2).split(",")]
        if not re.search(r"\bMistake\b", rest):
            names = [n for n in names if n != "Mistake"]
        extra = ["Mistake"] if "Mistake" in names else []
        names = [n for n in names if n != "Mistake"]
        return f"from {m.group(1)}catalogue import {', '.join(extra + ['catalogue'])}\nfrom {m.group(1)}spec import {', '.join(names)}"

    src = re.sub(r"^from (\.+)spec import ([\w, ]+)$", fix, src, flags=re.M)
    if "functools." not in src:
        src = src.replace("import functools\n\n", "").replace("import functools\n", "")
    path.write_text(src)
