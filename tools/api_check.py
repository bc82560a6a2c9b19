#!/usr/bin/env python3
"""Compare the installed gevent distributions with a recorded API.

    python api_check.py gevent-1.1.json [--dist gevent-core] [--json OUT]

Run it with an interpreter that has the distributions installed.  Standard
library only, Python 3.9 or newer.

For each module of the record: import it, then for each recorded name check
that it exists, that it is of the recorded kind, that it takes the recorded
parameters, and for a class that it has the recorded methods and attributes.
Instance attributes are looked for on an instance made by the record's "probe"
expression.  A callable without an introspectable signature is only checked to
be callable and is counted as unchecked.

Compiled classes are introspectable when built with binding=True and
embedsignature in the python format (Cython).

Exit status: 0 nothing missing, 1 something missing (with --strict also when a
signature, kind or identity differs), 2 the check itself could not be done.
"""

import argparse
import ast
import importlib
import inspect
import json
import os
import subprocess
import sys
import types
import warnings

MISSING = object()
POS_ONLY = inspect.Parameter.POSITIONAL_ONLY
POS = inspect.Parameter.POSITIONAL_OR_KEYWORD
VAR = inspect.Parameter.VAR_POSITIONAL
KW = inspect.Parameter.KEYWORD_ONLY
VARKW = inspect.Parameter.VAR_KEYWORD


def literal(text):
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError):
        return MISSING


def compare(recorded, signature, skip_first):
    """Yield one sentence per way in which a call that the record allows would
    not be accepted by the signature."""
    impl = list(signature.parameters.values())
    if skip_first:
        if impl and impl[0].kind in (POS_ONLY, POS):
            impl = impl[1:]
        elif not impl:
            yield "takes no arguments, not even self"
            return
    by_name = {p.name: p for p in impl}
    positional = [p for p in impl if p.kind in (POS_ONLY, POS)]
    has_var = any(p.kind is VAR for p in impl)
    has_varkw = any(p.kind is VARKW for p in impl)
    # (*args, **kwargs) in the record means "passed through": any signature will do
    if recorded and all(p["kind"] in ("var", "varkw") for p in recorded):
        return
    known = set()
    index = -1
    for p in recorded:
        name, kind = p["name"], p["kind"]
        known.add(name)
        if kind == "var":
            if not has_var:
                yield f"does not take *{name}"
            continue
        if kind == "varkw":
            if not has_varkw:
                yield f"does not take **{name}"
            continue
        if kind == "pos":
            index += 1
        found = by_name.get(name)
        if found is not None and found.kind in (VAR, VARKW):
            found = None
        if p.get("positional_only"):
            if index < len(positional):
                known.add(positional[index].name)
                if "default" in p and positional[index].default is inspect.Parameter.empty:
                    yield f"parameter {index + 1} has become required"
            elif not has_var:
                yield f"no parameter {name}"
            continue
        if found is None:
            if kind == "kw":
                if not has_varkw:
                    yield f"no parameter {name}"
            elif has_varkw and (has_var or index < len(positional)):
                pass
            elif index < len(positional):
                other = positional[index].name
                known.add(other)
                yield f"parameter {name} is named {other}"
            elif has_var:
                yield f"parameter {name} cannot be given by keyword"
            else:
                yield f"no parameter {name}"
            continue
        if found.kind is POS_ONLY:
            yield f"parameter {name} cannot be given by keyword"
        if kind == "pos":
            if found.kind is KW:
                if not has_var:
                    yield f"parameter {name} is keyword-only"
            elif positional.index(found) != index:
                yield f"parameter {name} is at position {positional.index(found) + 1}, not {index + 1}"
        if "default" in p:
            if found.default is inspect.Parameter.empty:
                yield f"parameter {name} has become required"
            else:
                want = literal(p["default"])
                simple = (bool, int, float, str, bytes, tuple, type(None))
                if want is not MISSING and isinstance(found.default, simple) and found.default != want:
                    yield "default of {} is {!r}, not {}".format(name, found.default, p["default"])
    recorded_has_var = any(p["kind"] == "var" for p in recorded)
    for _i, p in enumerate(impl):
        if p.name in known or p.kind in (VAR, VARKW):
            continue
        if p.default is inspect.Parameter.empty and not (recorded_has_var and p.kind is not KW):
            yield f"extra required parameter {p.name}"


def get_signature(obj, from_doc=True):
    try:
        return inspect.signature(obj)
    except (ValueError, TypeError):
        if not from_doc:
            return None
    # A compiled class or function may carry its signature as the first line
    # of its docstring (Cython: embedsignature with the python format).
    doc = (getattr(obj, "__doc__", None) or "").strip().split("\n", 1)[0]
    name = getattr(obj, "__name__", "")
    if not name or not doc.startswith(name + "("):
        return None
    doc = doc.split(" -> ", 1)[0].rstrip()
    try:
        node = ast.parse(f"def {doc}: pass").body[0].args
        params = []
        positional = node.posonlyargs + node.args
        first_default = len(positional) - len(node.defaults)
        for i, a in enumerate(positional):
            if i == 0 and a.arg in ("self", "cls") and isinstance(obj, type):
                continue
            default = doc_default(node.defaults[i - first_default]) if i >= first_default else inspect.Parameter.empty
            params.append(inspect.Parameter(a.arg, POS, default=default))
        if node.vararg:
            params.append(inspect.Parameter(node.vararg.arg, VAR))
        for a, d in zip(node.kwonlyargs, node.kw_defaults):
            default = inspect.Parameter.empty if d is None else doc_default(d)
            params.append(inspect.Parameter(a.arg, KW, default=default))
        if node.kwarg:
            params.append(inspect.Parameter(node.kwarg.arg, VARKW))
        return inspect.Signature(params)
    except (SyntaxError, ValueError, AttributeError, IndexError):
        return None


def doc_default(node):
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError):
        return object()


def static_lookup(cls, name):
    try:
        return inspect.getattr_static(cls, name)
    except AttributeError:
        return MISSING


def is_bound_already(cls, name, static):
    """True when looking the name up on the class gives something without self."""
    if isinstance(static, (staticmethod, classmethod)):
        return True
    if type(static).__name__ in ("classmethod_descriptor", "builtin_function_or_method"):
        return True
    if isinstance(static, type):
        return True
    got = getattr(cls, name, None)
    return isinstance(got, types.MethodType)


def stdlib_params(path):
    """The parameters of a stdlib callable of the running interpreter, in the
    form of the record; None where it has no signature."""
    obj = resolve(path)
    signature = None if obj is MISSING else get_signature(obj, from_doc=False)
    if signature is None:
        return None
    params = list(signature.parameters.values())
    owner, _, name = path.rpartition(".")
    cls = resolve(owner)
    if isinstance(cls, type) and params and not is_bound_already(cls, name, static_lookup(cls, name)):
        params = params[1:]
    result = []
    for p in params:
        kind = {VAR: "var", KW: "kw", VARKW: "varkw"}.get(p.kind, "pos")
        entry = {"name": p.name, "kind": kind}
        if p.kind is POS_ONLY:
            entry["positional_only"] = True
        if p.default is not inspect.Parameter.empty:
            simple = isinstance(p.default, (bool, int, float, str, bytes, type(None)))
            entry["default"] = repr(p.default) if simple else "<default>"
        result.append(entry)
    return result


class Report:
    def __init__(self):
        self.counts = {}
        self.missing = []
        self.mismatch = []
        self.unchecked = []
        self.notes = []

    def dist(self, name):
        return self.counts.setdefault(name, {"expected": 0, "present": 0, "mismatch": 0, "missing": 0, "unchecked": 0})

    def merge(self, data):
        for name, counts in data["distributions"].items():
            mine = self.dist(name)
            for key, value in counts.items():
                mine[key] += value
        for key in ("missing", "mismatch", "unchecked", "notes"):
            getattr(self, key).extend(data[key])

    def as_dict(self):
        return {
            "distributions": self.counts,
            "missing": self.missing,
            "mismatch": self.mismatch,
            "unchecked": self.unchecked,
            "notes": self.notes,
        }


class Checker:
    def __init__(self, report, tiers=None, probes=True):
        self.report = report
        self.tiers = tiers
        self.probes = probes

    # -- bookkeeping
    def lost(self, dist, where, why, members=0):
        counts = self.report.dist(dist)
        counts["expected"] += 1 + members
        counts["missing"] += 1 + members
        self.report.missing.append({"distribution": dist, "name": where, "why": why, "members": members})

    def found(self, dist, where, problems, unchecked=None):
        counts = self.report.dist(dist)
        counts["expected"] += 1
        counts["present"] += 1
        if problems:
            counts["mismatch"] += 1
            self.report.mismatch.append({"distribution": dist, "name": where, "problems": problems})
        if unchecked:
            counts["unchecked"] += 1
            self.report.unchecked.append({"distribution": dist, "name": where, "why": unchecked})

    def note(self, dist, where, text):
        self.report.notes.append({"distribution": dist, "name": where, "note": text})

    # -- one module
    def module(self, name, record):
        dist = record["distribution"]
        names = {n: e for n, e in record["names"].items() if self.tiers is None or e.get("tier") in self.tiers}
        try:
            module = importlib.import_module(name)
        except Exception as ex:
            why = f"module cannot be imported: {type(ex).__name__}: {ex}"
            if record.get("optional"):
                self.note(dist, name, "optional " + why)
                return
            self.lost(dist, name, why, expected_in(record, names, self.tiers) - 1)
            return
        counts = self.report.dist(dist)
        counts["expected"] += 1
        counts["present"] += 1
        for n, entry in names.items():
            where = name + "." + n
            try:
                obj = getattr(module, n, MISSING)
            except Exception as ex:
                self.lost(dist, where, f"reading it raised {type(ex).__name__}: {ex}", member_count(entry))
                continue
            if obj is MISSING:
                if entry.get("optional"):
                    self.note(dist, where, "optional, absent")
                else:
                    self.lost(dist, where, "absent", member_count(entry))
                continue
            self.name(dist, where, obj, entry, module)
        if self.tiers is None or "exported" in self.tiers:
            for rule in record.get("reexports", ()):
                self.reexport(dist, name, module, record, rule)
        exported = getattr(module, "__all__", None)
        if exported is not None and record.get("all"):
            lacking = [n for n in record["all"] if n not in exported and hasattr(module, n)]
            if lacking:
                self.note(dist, name, "present but not in __all__: " + ", ".join(lacking))
        for key in ("implements", "extensions", "dns"):
            want = record.get(key)
            if want:
                have = getattr(module, f"__{key}__", ())
                lacking = [n for n in want if n not in have]
                if lacking:
                    self.note(dist, name, "not in __{}__: {}".format(key, ", ".join(lacking)))

    def name(self, dist, where, obj, entry, module):
        kind = entry["kind"]
        problems, unchecked = [], None
        if kind in ("function", "callable"):
            if not callable(obj):
                problems.append("not callable")
            else:
                unchecked = self.signature(obj, entry, problems, False)
        elif kind == "class":
            if not isinstance(obj, type):
                problems.append(f"not a class but {type(obj).__name__}")
            elif entry.get("exception") and not issubclass(obj, BaseException):
                problems.append("not an exception class")
            elif entry.get("params") is not None and not entry.get("lenient_init"):
                unchecked = self.signature(obj, entry, problems, False)
        elif kind == "constant":
            want = {"int": int, "str": str, "bool": (bool, int), "dict": dict}.get(entry.get("type"))
            if want and not isinstance(obj, want):
                problems.append("is {}, not {}".format(type(obj).__name__, entry["type"]))
        elif kind == "alias":
            target = resolve(entry["same_as"])
            if target is MISSING:
                problems.append("{}, which it should be, does not exist".format(entry["same_as"]))
            elif target is not obj and target != obj:
                problems.append("not the same object as {}".format(entry["same_as"]))
        elif kind == "module" and not isinstance(obj, types.ModuleType):
            problems.append("not a module")
        self.found(dist, where, problems, unchecked)
        if kind == "class" and isinstance(obj, type):
            self.members(dist, where, obj, entry, module)
        elif kind == "class":
            try:
                instance = eval(entry["probe"], dict(vars(module))) if self.probes else MISSING
            except Exception:
                instance = MISSING
            for n in list(entry.get("methods", ())) + list(entry.get("attributes", ())):
                if n == "__init__":
                    continue
                if instance is not MISSING and hasattr(instance, n):
                    self.found(dist, where + "." + n, [])
                else:
                    self.lost(dist, where + "." + n, "its owner is not a class")

    def signature(self, obj, entry, problems, skip_first):
        params = entry.get("params")
        if entry.get("stdlib"):
            params = stdlib_params(entry["stdlib"]) or params
        if params is None:
            return None
        signature = get_signature(obj)
        if signature is None:
            return "no signature to introspect"
        problems.extend(compare(params, signature, skip_first))
        return None

    def members(self, dist, where, cls, entry, module):
        instance = MISSING
        probe_error = None

        def get_instance():
            nonlocal instance, probe_error
            if instance is MISSING and probe_error is None and entry.get("probe") and self.probes:
                try:
                    instance = eval(entry["probe"], dict(vars(module)))
                except Exception as ex:
                    probe_error = f"{type(ex).__name__}: {ex}"
            return instance

        for n, m in entry.get("methods", {}).items():
            full = where + "." + n
            if n == "__init__":
                continue  # checked as the signature of the class
            static = static_lookup(cls, n)
            bound = None
            if static is MISSING:
                if get_instance() is not MISSING and hasattr(instance, n):
                    bound = getattr(instance, n)
                elif m.get("optional"):
                    continue
                else:
                    why = "absent"
                    if probe_error:
                        why += f" from the class; no instance ({probe_error})"
                    self.lost(dist, full, why)
                    continue
            problems, unchecked = [], None
            target = bound if bound is not None else getattr(cls, n, None)
            if not callable(target):
                problems.append("not callable")
            elif m.get("params") is not None and not (n.startswith("__") and n.endswith("__")):
                skip = bound is None and not is_bound_already(cls, n, static)
                unchecked = self.signature(target, m, problems, skip)
            self.found(dist, full, problems, unchecked)
        for n, a in entry.get("attributes", {}).items():
            full = where + "." + n
            static = static_lookup(cls, n)
            if static is MISSING:
                if get_instance() is not MISSING:
                    try:
                        ok = hasattr(instance, n)
                    except Exception as ex:
                        self.found(dist, full, [f"reading it raised {type(ex).__name__}"])
                        continue
                    if not ok:
                        if a.get("optional"):
                            continue
                        self.lost(dist, full, "absent from the class and from an instance")
                        continue
                elif a["kind"] in ("instance attribute",) or entry.get("probe"):
                    if not a.get("optional"):
                        self.found(dist, full, [], "instance attribute, no instance" + (f" ({probe_error})" if probe_error else ""))
                    continue
                else:
                    if a.get("optional"):
                        continue
                    self.lost(dist, full, "absent")
                    continue
            problems = []
            if a["kind"] == "property" and a.get("writable") and isinstance(static, property) and static.fset is None:
                problems.append("read-only, was writable")
            self.found(dist, full, problems)
        for n in entry.get("hooks", ()):
            if static_lookup(cls, n) is MISSING:
                self.note(dist, where + "." + n, "subclassing hook absent")

    def reexport(self, dist, name, module, record, rule):
        try:
            source = importlib.import_module(rule["from"])
        except ImportError as ex:
            self.note(dist, name, "cannot import {} to compare: {}".format(rule["from"], ex))
            return
        for n in reexported(source, record, rule):
            value = getattr(source, n)
            mine = getattr(module, n, MISSING)
            where = name + "." + n
            if mine is MISSING:
                self.lost(dist, where, "not re-exported from {}".format(rule["from"]))
            else:
                problems = []
                if rule.get("identity") and mine is not value and mine != value:
                    problems.append("not the object of {}".format(rule["from"]))
                self.found(dist, where, problems)


def reexported(source, record, rule):
    """The names that the rule selects from the stdlib module, where it has them."""
    names = rule.get("names")
    if names is None:
        skip = set(record.get("implements") or ()) | {"socket"}
        select = rule.get("select")
        names = []
        pool = getattr(source, "__all__", None)
        if select == "public" or pool is None:
            pool = [n for n in dir(source) if not n.startswith("_")]
        for n in pool:
            value = getattr(source, n, MISSING)
            if value is MISSING or n in skip or isinstance(value, types.ModuleType):
                continue
            if select == "constants" and not isinstance(value, (int, str)):
                continue
            if (
                select == "public"
                and callable(value)
                and getattr(value, "__module__", None) not in (rule["from"], "_" + rule["from"])
            ):
                continue
            names.append(n)
    return [n for n in names if hasattr(source, n)]


def expected_in(record, names, tiers):
    """How many things a module counts for: itself, names, members, re-exports."""
    total = 1 + sum(1 + member_count(e) for e in names.values() if not e.get("optional"))
    if tiers is None or "exported" in tiers:
        for rule in record.get("reexports", ()):
            try:
                total += len(reexported(importlib.import_module(rule["from"]), record, rule))
            except ImportError:
                pass
    return total


def resolve(path):
    parts = path.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        try:
            obj = importlib.import_module(".".join(parts[:cut]))
        except ImportError:
            continue
        for part in parts[cut:]:
            obj = getattr(obj, part, MISSING)
            if obj is MISSING:
                return MISSING
        return obj
    return MISSING


def member_count(entry):
    methods = [n for n, m in entry.get("methods", {}).items() if n != "__init__" and not m.get("optional")]
    attributes = [n for n, a in entry.get("attributes", {}).items() if not a.get("optional")]
    return len(methods) + len(attributes)


def run_isolated(args, name, record, report):
    """Check one module in a process of its own: a crash costs that module only."""
    command = [sys.executable, os.path.abspath(__file__), args.record, "--module", name, "--json", "-", "--quiet"]
    if args.tier:
        command += ["--tier", args.tier]
    if args.no_probe:
        command.append("--no-probe")
    try:
        done = subprocess.run(command, capture_output=True, timeout=args.timeout)
        why = f"checking it ended with status {done.returncode}"
        if done.returncode in (0, 1):
            report.merge(json.loads(done.stdout.decode()))
            return
    except subprocess.TimeoutExpired:
        why = f"checking it did not end within {args.timeout} seconds"
    except ValueError:
        why = "checking it printed no result"
    dist = record["distribution"]
    counts = report.dist(dist)
    total = expected_in(record, record["names"], None)
    counts["expected"] += total
    counts["missing"] += total
    report.missing.append({"distribution": dist, "name": name, "why": why, "members": total - 1})


def print_report(report, order, out):
    columns = ("expected", "present", "mismatch", "missing", "unchecked")
    width = max([len("distribution")] + [len(d) for d in report.counts])
    out(f"{'distribution':{width}}" + "".join(f"{c:>11}" for c in columns))
    total = dict.fromkeys(columns, 0)
    for dist in [d for d in order if d in report.counts] + [d for d in report.counts if d not in order]:
        counts = report.counts[dist]
        out(f"{dist:{width}}" + "".join(f"{counts[c]:11}" for c in columns))
        for c in columns:
            total[c] += counts[c]
    out(f"{'all':{width}}" + "".join(f"{total[c]:11}" for c in columns))
    out("")
    out("(counted: modules, names, class members and re-exports)")
    for title, rows, line in (
        (
            "MISSING",
            report.missing,
            lambda r: f"{r['name']}: {r['why']}" + (f" (with {r['members']} names or members)" if r["members"] else ""),
        ),
        ("MISMATCH", report.mismatch, lambda r: "{}: {}".format(r["name"], "; ".join(r["problems"]))),
        ("UNCHECKED", report.unchecked, lambda r: "{}: {}".format(r["name"], r["why"])),
        ("NOTES", report.notes, lambda r: "{}: {}".format(r["name"], r["note"])),
    ):
        if rows:
            out("")
            out(f"{title} ({len(rows)})")
            for row in rows:
                out("  [{}] {}".format(row["distribution"], line(row)))


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("record", help="the recorded API, such as gevent-1.1.json")
    parser.add_argument("--dist", action="append", help="check this distribution only (repeatable)")
    parser.add_argument("--module", action="append", help="check this module only (repeatable)")
    parser.add_argument("--tier", help="comma separated: documented,exported,downstream,plain (default: all)")
    parser.add_argument("--json", metavar="OUT", help="write the result as JSON to this file, - for standard output")
    parser.add_argument("--strict", action="store_true", help="exit 1 on mismatches too")
    parser.add_argument("--no-probe", action="store_true", help="make no instances")
    parser.add_argument("--isolate", action="store_true", help="one process per module")
    parser.add_argument("--timeout", type=float, default=60, help="seconds per module with --isolate (60)")
    parser.add_argument("--quiet", action="store_true", help="no table")
    args = parser.parse_args(argv)
    warnings.simplefilter("ignore")
    try:
        with open(args.record, encoding="utf-8") as f:
            record = json.load(f)
        modules = record["modules"]
    except (OSError, ValueError, KeyError) as ex:
        print(f"cannot read {args.record}: {ex}", file=sys.stderr)
        return 2
    for option, known in (("dist", record.get("distributions", [])), ("module", modules)):
        for value in getattr(args, option) or ():
            if value not in known:
                print(f"no {option} {value!r} in {args.record}", file=sys.stderr)
                return 2
    tiers = set(args.tier.split(",")) if args.tier else None
    report = Report()
    checker = Checker(report, tiers, not args.no_probe)
    for name, entry in modules.items():
        if args.dist and entry["distribution"] not in args.dist:
            continue
        if args.module and name not in args.module:
            continue
        if args.isolate:
            run_isolated(args, name, entry, report)
        else:
            checker.module(name, entry)
    data = report.as_dict()
    if args.json:
        text = json.dumps(data, indent=1) + "\n"
        if args.json == "-":
            sys.stdout.write(text)
        else:
            with open(args.json, "w", encoding="utf-8") as f:
                f.write(text)
    if not args.quiet:
        print_report(report, record.get("distributions", []), print)
    sys.stdout.flush()
    if report.missing or (args.strict and report.mismatch):
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
