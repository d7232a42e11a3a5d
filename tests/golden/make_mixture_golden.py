#!/usr/bin/env python3
"""An independent implementation of data/mixture/SEMANTICS.md, sections 2 to 9, and the vectors it gives.

Written from the text alone, in Python's unbounded integers. Writes mixture_permutation.json and
mixture_plan.json beside itself; run it again only when the order version changes.
"""
import json
import pathlib
from fractions import Fraction
from math import ceil, floor, isqrt

M = 2**64 - 1
U = 2**32


def mix(z):
    z = (z + 0x9E3779B97F4A7C15) & M
    z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & M
    z = ((z ^ z >> 27) * 0x94D049BB133111EB) & M
    return z ^ z >> 31


def absorb(h, *values):
    for x in values:
        h = mix(h ^ x)
    return h


def text(h, s):
    data = s.encode()
    h = absorb(h, len(data))
    for i in range(0, len(data), 8):
        h = absorb(h, int.from_bytes(data[i : i + 8], "little"))
    return h


def window_key(seed, name, epoch):
    return absorb(text(absorb(0, 1, 1, seed), name), epoch)


def step_key(seed, row):
    return absorb(0, 2, 1, seed, row)


def shard_key(seed, name, epoch):
    return absorb(text(absorb(0, 5, 1, seed), name), epoch)


def perm(n, key, i):
    if n == 1:
        return 0
    w = max(2, (n - 1).bit_length())
    x = i
    while True:
        a, b = w // 2, w - w // 2
        left, right = x >> b, x % 2**b
        for r in range(8):
            left, right = right, left ^ mix(absorb(key, r) ^ right) % 2**a
            a, b = b, a
        x = left << b | right
        if x < n:
            return x


def row_of(source, stage, seed, epoch, i):
    """Row i of an epoch: over all rows, or over those of a few shards at a time."""
    key, window = window_key(seed, source["name"], epoch), source.get("shuffle_window", 0)
    begins = source["shard_rows"][stage] if window else []
    shards = len(begins) - 1
    if not 0 < window < shards:
        return perm(source["rows"][stage], key, i)
    places = [perm(shards, shard_key(seed, source["name"], epoch), j) for j in range(shards)]
    for g in range(ceil(Fraction(shards, window))):
        rows = [r for m in places[g * window : (g + 1) * window] for r in range(begins[m], begins[m + 1])]
        if i < len(rows):
            return rows[perm(len(rows), absorb(key, g), i)]
        i -= len(rows)


def apportion(total, weights):
    s = sum(weights)
    parts = [total * w // s for w in weights]
    order = sorted(range(len(weights)), key=lambda k: (-(total * weights[k] % s), k))
    for k in order[: total - sum(parts)]:
        parts[k] += 1
    return parts


def fixed(x):
    return floor(Fraction(x) * 2**40)


def resolve_mix(config, mix_entries):
    parts = {name: 0 for name in sorted(s["name"] for s in config["sources"])}

    def add(name, part):
        if name in parts:
            parts[name] = part
        else:
            members = sorted(config["groups"][name].items())
            for (member, _), p in zip(members, apportion(part, [fixed(x) for _, x in members])):
                parts[member] = p

    rest = [e["name"] for e in mix_entries if e["weight"] is None]
    given = [e for e in mix_entries if e["weight"] is not None]
    for e in given:
        add(e["name"], fixed(e["weight"]))
    for name in rest:
        add(name, max(0, 2**40 - sum(fixed(e["weight"]) for e in given)))
    return apportion(U, list(parts.values()))


class Span:
    def __init__(self, row, rows, a, b):
        self.row, self.rows, self.a, self.b = row, rows, a, b

    def integral(self, j):
        if self.a == self.b:
            return [x * j for x in self.a]
        n = self.rows
        p = [(2 * n * x * j + (y - x) * j * j) // (2 * n) for x, y in zip(self.a, self.b)]
        top = max(range(len(p)), key=lambda k: (self.a[k] + self.b[k], -k))
        p[top] = j * U - sum(p[:top]) - sum(p[top + 1 :])
        return p

    def block_rows(self):
        return 65536 if self.a == self.b else min(65536, max(1, isqrt(self.rows)))

    def rest(self, j, used):
        now = [(x * self.rows + (y - x) * j) // self.rows for x, y in zip(self.a, self.b)]
        return Span(self.row + j, self.rows - j, renormalize(now, used), renormalize(self.b, used))


def renormalize(weights, used):
    left = [w if u else 0 for w, u in zip(weights, used)]
    return left if sum(left) in (0, U) else apportion(U, left)


def divide(rows, share, limit, due):
    n = [max(0, d // U) if s else 0 for d, s in zip(due, share)]
    while (left := rows - sum(n)) != 0:
        if left > 0:
            open_ = [k for k in range(len(n)) if share[k] and (limit is None or n[k] < limit[k])]
            for k in sorted(open_, key=lambda k: (-(due[k] - n[k] * U), k))[:left]:
                n[k] += 1
        else:
            open_ = [k for k in range(len(n)) if n[k] > 0]
            for k in sorted(open_, key=lambda k: (due[k] - n[k] * U, -k))[:-left]:
                n[k] -= 1
    return n


class Plan:
    def __init__(self, config):
        self.config = config
        self.sources = sorted(config["sources"], key=lambda s: s["name"])
        self.names = [s["name"] for s in self.sources]
        self.start = config.get("start", {"row": 0, "taken": {}})
        self.used = [True] * len(self.names)
        self.debt = [0] * len(self.names)
        self.drawn = {n: {int(t): c for t, c in self.start["taken"].get(n, {}).items()} for n in self.names}
        self.blocks = []  # first row, rows, counts, stage, draws of each stream before
        self.steps = []  # first row, rows
        self.hash = absorb(0, 4, 1, self.start["row"])
        self.last_mix = None
        row = 0
        for stage_index, stage in enumerate(config["stages"]):
            row = self.stage(stage_index, stage, row)

    def stage(self, index, stage, first):
        t, batch, begin = stage["sequence_length"], stage["global_batch_size"], self.start["row"]
        total = first + ceil(Fraction(sum(p["tokens"] for p in stage["phases"]), t))
        changes = [(first + ceil(Fraction(e["from_tokens"], t)), e["global_batch_size"]) for e in stage.get("batch_ramp", [])]
        row = max(first, begin) if total > begin else first
        while row < total:
            for change, size in changes:
                if row >= change:
                    batch = size
            self.steps.append((row, batch))
            row += batch
        end = row
        if self.config["on_exhausted"] == "renormalize":
            self.left = [self.rows_left(s, index, t) for s in self.sources]
        else:
            self.left = None
        tokens, phase_row = 0, first
        for i, phase in enumerate(stage["phases"]):
            tokens += phase["tokens"]
            phase_end = end if i + 1 == len(stage["phases"]) else first + ceil(Fraction(tokens, t))
            self.phase(index, t, phase, phase_row, phase_end)
            phase_row = phase_end
        return end

    def rows_left(self, source, index, t):
        if source.get("max_epochs") is None:
            return 2**62
        cap = round(source["max_epochs"] * 10**6) * source["rows"][index] // 10**6
        drawn = self.drawn[source["name"]]
        other = sum(c * s for s, c in drawn.items() if s != t)
        return max(0, cap - ceil(Fraction(other, t)) - drawn.get(t, 0))

    def phase(self, stage, t, phase, first, end):
        weights = resolve_mix(self.config, phase["mix"])
        begin = self.start["row"]
        if end > max(first, begin):
            self.phase_hash = absorb(0, 3, t, max(first, begin))
            ramp = 0
            if phase.get("ramp") == "linear":
                ramp = end - first
                if "ramp_tokens" in phase:
                    ramp = min(ramp, ceil(Fraction(phase["ramp_tokens"], t)))
            if ramp:
                self.span(stage, t, Span(first, ramp, self.last_mix, weights))
            if end - first > ramp:
                self.span(stage, t, Span(first + ramp, end - first - ramp, weights, weights))
            self.hash = absorb(self.hash, self.phase_hash)
        self.last_mix = weights

    def exhausted(self, span):
        if self.left is None:
            return []
        return [k for k in range(len(self.names)) if self.used[k] and self.left[k] == 0 and span.a[k] + span.b[k] > 0]

    def span(self, stage, t, span):
        if span.row + span.rows <= self.start["row"]:
            return
        span, j = span.rest(max(0, self.start["row"] - span.row), self.used), 0
        while j < span.rows:
            out = self.exhausted(span)
            if out:
                for k in out:
                    self.used[k] = False
                self.debt = [0] * len(self.names)
                span, j = span.rest(j, self.used), 0
            rows = min(span.block_rows(), span.rows - j)
            rows, share = self.cut(span, j, rows)
            due = [d + s for d, s in zip(self.debt, share)]
            n = divide(rows, share, self.left, due)
            self.debt = [d - c * U for d, c in zip(due, n)]
            before = [self.drawn[name].get(t, 0) for name in self.names]
            self.blocks.append((span.row + j, rows, n, stage, before))
            self.phase_hash = absorb(self.phase_hash, rows)
            for k, name in enumerate(self.names):
                self.drawn[name][t] = self.drawn[name].get(t, 0) + n[k]
                if self.left is not None:
                    self.left[k] -= n[k]
                if n[k]:
                    self.phase_hash = absorb(self.phase_hash, text(0, name), n[k])
            j += rows

    def cut(self, span, j, rows):
        def shares(count):
            return [y - x for x, y in zip(span.integral(j), span.integral(j + count))]

        share = shares(rows)
        if self.left is None or not any(s and d + s > r * U for s, d, r in zip(share, self.debt, self.left)):
            return rows, share
        low, high = 0, rows
        while high - low > 1:
            middle = (low + high) // 2
            reached = any(s and d + s >= r * U for s, d, r in zip(shares(middle), self.debt, self.left))
            low, high = (low, middle) if reached else (middle, high)
        return high, shares(high)

    def draw(self, block):
        first, rows, counts, stage, before = block
        given, order = [0] * len(counts), []
        for p in range(rows):
            released = [k for k, n in enumerate(counts) if given[k] < n and given[k] * rows // n <= p]
            k = min(released, key=lambda k: (-(-(given[k] + 1) * rows // counts[k]), k))
            order.append((k, before[k] + given[k]))
            given[k] += 1
        return order

    def step(self, index):
        first, size = self.steps[index]
        rows = {}
        for block in self.blocks:
            if block[0] < first + size and block[0] + block[1] > first:
                for p, (k, draw) in enumerate(self.draw(block)):
                    if first <= block[0] + p < first + size:
                        n = self.sources[k]["rows"][block[3]]
                        row = row_of(self.sources[k], block[3], self.config["seed"], draw // n, draw % n)
                        rows[block[0] + p] = [self.names[k], draw, row]
        key = step_key(self.config["seed"], first)
        return [rows[first + perm(size, key, q)] for q in range(size)]


def entries(**weights):
    return [{"name": n, "weight": w} for n, w in weights.items()]


def cases():
    flat = {"name": "flat", "tokens": 200 * 8, "mix": entries(web=0.55, code=0.25, books=0.2)}
    ramp = {"name": "ramp", "tokens": 300 * 8, "mix": entries(web=0.1, synthetic=None), "ramp": "linear", "ramp_tokens": 150 * 8}
    three = [{"name": n, "rows": [r]} for n, r in (("web", 400), ("code", 150), ("books", 90))]
    two = [{"name": "rewrites", "rows": [170]}, {"name": "exercises", "rows": [400]}]
    groups = {"synthetic": {"rewrites": 0.27, "exercises": 0.73}}
    base = {"seed": 1234, "groups": groups, "on_exhausted": "error"}
    stage = {"name": "pretrain", "sequence_length": 8, "global_batch_size": 12}
    yield "one_phase", {**base, "sources": three, "groups": {}, "stages": [{**stage, "phases": [flat]}]}
    yield "ramp_and_group", {**base, "sources": three + two, "stages": [{**stage, "phases": [flat, ramp]}]}
    capped = [{**s, "max_epochs": m} for s, m in zip(three + two, (1.0, 1.5, 0.7, 2.3, 0.25))]
    yield "exhaustion", {**base, "on_exhausted": "renormalize", "sources": capped, "stages": [{**stage, "phases": [{**flat, "tokens": 320 * 8}, ramp]}]}
    long = {"name": "midtrain", "sequence_length": 32, "global_batch_size": 5, "allow_repeat": True,
            "phases": [{"name": "long", "tokens": 70 * 32, "mix": entries(books=0.3, synthetic=None), "ramp": "linear"}]}
    sources = [{**s, "rows": [s["rows"][0], -(-s["rows"][0] // 4)], "max_epochs": 13.8} for s in three + two]
    yield "length_change", {**base, "sources": sources, "stages": [
        {**stage, "batch_ramp": [{"from_tokens": 500, "global_batch_size": 24}], "phases": [flat, ramp]}, long]}
    yield "resumed_inside_a_ramp", {**base, "sources": [{**s, "max_epochs": 5} for s in three + two],
        "start": {"row": 252, "taken": {"web": {"8": 120}, "code": {"8": 60}, "books": {"8": 50}, "gone": {"8": 22}}},
        "stages": [{**stage, "phases": [flat, ramp]}]}
    big = [{"name": f"s{k:02d}", "rows": [10**9], "max_epochs": 4} for k in range(50)]
    weights = apportion(1000, [k * k + 1 for k in range(50)])
    mix50 = [{"name": s["name"], "weight": w / 1000} for s, w in zip(big, weights)]
    back = [{"name": s["name"], "weight": w / 1000} for s, w in zip(big, weights[::-1])]
    yield "fifty_sources", {**base, "groups": {}, "sources": big, "stages": [{**stage, "sequence_length": 4096,
        "global_batch_size": 100, "phases": [{"name": "a", "tokens": 200_000 * 4096, "mix": mix50},
                                             {"name": "b", "tokens": 100_000 * 4096, "mix": back, "ramp": "linear"}]}]}
    shards = {"web": ([[0, 0, 31, 90, 91, 200]], 2), "code": ([[0, 50, 120, 150]], 1), "books": ([[0, 40, 90]], 2)}
    yield "shuffle_windows", {**base, "groups": {}, "stages": [{**stage, "phases": [flat, {**flat, "name": "more", "tokens": 400 * 8}]}],
        "sources": [{"name": n, "rows": [b[0][-1]], "max_epochs": 5, "shard_rows": b, "shuffle_window": w} for n, (b, w) in shards.items()]}


def main():
    here = pathlib.Path(__file__).parent
    keys = [(0, "web", 0), (1234, "web", 0), (1234, "web", 1), (1234, "exercises-v2", 7), (M, "", 2**40)]
    vectors = {"keys": [{"seed": s, "source": n, "epoch": e, "key": f"{window_key(s, n, e):016x}"} for s, n, e in keys],
               "step_keys": [{"seed": 1234, "row": r, "key": f"{step_key(1234, r):016x}"} for r in (0, 5760, 2**40)],
               "permutations": []}
    for n in (1, 2, 3, 5, 16, 17, 100, 1000, 65536, 10**6 + 3, 2**32 + 1, 2**40 - 1):
        key = window_key(1234, "web", n)
        at = list(range(n)) if n <= 17 else [0, 1, 2, 3, n // 3, n // 2, n - 2, n - 1]
        vectors["permutations"].append({"size": n, "key": f"{key:016x}", "at": at, "to": [perm(n, key, i) for i in at]})
    (here / "mixture_permutation.json").write_text(json.dumps(vectors, indent=1) + "\n")
    plans = []
    for name, config in cases():
        plan = Plan(config)
        wanted = range(len(plan.steps)) if len(plan.steps) < 60 else [0, 700, len(plan.steps) - 1]
        blocks = plan.blocks if len(plan.blocks) < 60 else plan.blocks[:4] + plan.blocks[100:102] + plan.blocks[-2:]
        plans.append({"name": name, "config": config, "num_blocks": len(plan.blocks), "num_steps": len(plan.steps),
                      "end_row": sum(plan.steps[-1]), "plan_hash": f"{plan.hash:016x}",
                      "blocks": [{"first_row": b[0], "rows": b[1], "counts": b[2]} for b in blocks],
                      "steps": [{"step": i, "rows": plan.step(i)} for i in wanted]})
    body = ",\n".join(json.dumps(p) for p in plans)
    (here / "mixture_plan.json").write_text(f"[\n{body}\n]\n")


if __name__ == "__main__":
    main()
