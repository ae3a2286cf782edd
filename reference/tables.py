"""The tables of measures.json (format 4) as the tree of settings and numbers that these scripts compute.

A table has key columns, value columns and rows (docs/files.md). Of results on several numbers of samples the largest
number is taken.
"""


def widest(table):
    """The rows of the largest number of samples of each split, as mappings, without that key."""
    names = [column["name"] for column in table["keys"] + table["values"]]
    rows = [dict(zip(names, row)) for row in table["rows"]]
    most = {}
    for row in rows:
        most[row["split"]] = max(most.get(row["split"], 0), row["samples"])
    return [{key: value for key, value in row.items() if key != "samples" and value is not None}
            for row in rows if row["samples"] == most[row["split"]]]


def samples(results):
    """The largest number of samples of each split."""
    counts = {}
    for sampling in results["samplings"]:
        counts[sampling["split"]] = max(counts.get(sampling["split"], 0), sampling["samples"])
    return counts


def statistic(row):
    return {key: row[key] for key in ("mean", "std", "count")}


def score(row):
    names = {"accuracy": "accuracy", "loss": "loss", "loss_std": "loss-std", "entropy": "entropy",
             "entropy_std": "entropy-std", "count": "count"}
    return {there: row[here] for here, there in names.items()}


def tree(results):
    """{measure: its settings and numbers}, laid out as `measure.measure` returns them."""
    tables = {table["name"]: table for table in results["tables"]}
    names = {step["step"]: {"step": step["step"], "stage": step["stage"], "block": step["block"], "use": step["use"],
                            "projection": not step["identity-skip"]} for step in results["steps"]}
    rows = {name: widest(table) for name, table in tables.items()}

    def by_split(name, describe, chosen=lambda row: True):
        return {split: [dict(names[row["step"]], **describe(row)) for row in rows[name]
                        if row["split"] == split and chosen(row)] for split in ("train", "validation")}

    def first(name, split, describe):
        found = [describe(row) for row in rows.get(name, []) if row["split"] == split]
        return found[0] if found else None

    found = {}
    if "cosine-loss" in rows:
        found["cosine-loss"] = {kind: by_split("cosine-loss", statistic, lambda row, key=key: row["gradient"] == key)
                                for kind, key in (("backpropagated", "backpropagated"), ("plugged", "readout"))}
    if "l2-ratio" in rows:
        found["l2-ratio"] = by_split("l2-ratio", statistic)
    if "first-order" in rows:
        def terms(row):
            term = {"change": {"mean": row["change"], "std": row["change_std"], "count": row["count"]},
                    "term": {"mean": row["term"], "std": row["term_std"], "count": row["count"]}}
            return dict(term, **{key: row[key] for key in ("ratio", "correlation") if key in row})
        found["first-order"] = by_split("first-order", terms)
    if "dropped-step" in rows:
        flips = lambda row: {"became-right": row["became_right"], "became-wrong": row["became_wrong"]}
        found["dropped-step"] = by_split("dropped-step", lambda row: dict(score(row), **flips(row)))
        found["dropped-step"]["baseline"] = {
            split: first("dropped-step-baseline", split, score) for split in ("train", "validation")}
    if "influence" in rows:
        found["influence"] = by_split("influence", statistic)
    if "spectral-radius" in rows:
        found["spectral-radius"] = dict(by_split("spectral-radius", statistic),
                                        samples=tables["spectral-radius"]["parameters"]["first_samples"])
    if "alignment" in rows or "update-cosine" in rows:
        found["alignment"] = {
            part: by_split(name, statistic) if name in rows else {"train": [], "validation": []}
            for part, name in (("state", "alignment"), ("update", "update-cosine"))}
    if "angular-distance" in rows:
        found["angular-distance"] = by_split(
            "angular-distance", lambda row: dict(statistic(row), length=row["length"]))
    if "future-effect-output" in rows:
        found["future-effect"] = {
            "steps": by_split("future-effect", lambda row: dict(statistic(row), later=row["later"]))
            if "future-effect" in rows else {"train": [], "validation": []},
            "output": by_split("future-effect-output", statistic)}
    if "agreement" in rows:
        found["agreement"] = by_split("agreement", lambda row: {
            "kl": {"mean": row["kl"], "std": row["kl_std"], "count": row["count"]},
            **{name: round(row[name] * row["count"]) for name in ("top1", "top5")}})
    if "intermediate" in rows:
        found["intermediate"] = by_split("intermediate", score)
    if "activation-norm" in rows:
        steps = {split: [row for row in rows["activation-norm"] if row["split"] == split]
                 for split in ("train", "validation")}
        found["activation-norm"] = {split: {
            "start": next(statistic(row) for row in part if row["step"] == 0),
            "steps": [dict(names[row["step"]], **statistic(row)) for row in part if row["step"] > 0]}
            for split, part in steps.items()}
    if "gradient-norm" in rows:
        found["gradient-norm"] = {split: {"steps": steps} for split, steps in
                                  by_split("gradient-norm", statistic).items()}
        for split, part in found["gradient-norm"].items():
            ratio = first("gradient-norm-ratio", split, statistic)
            if ratio:
                part["ratio"] = ratio
    if "borderline" in rows:
        parameters = tables["borderline"]["parameters"]

        def states(split):
            steps = {}
            for row in rows["borderline"]:
                if row["split"] == split:
                    steps.setdefault(row["step"], {})[row["group"]] = score(row)
            return [{"step": step, "groups": groups} for step, groups in steps.items()]
        found["borderline"] = {
            "margin": parameters["margin"], "reference": parameters["reference"],
            "states": {split: states(split) for split in ("train", "validation")},
            "turns": by_split("borderline-flips", lambda row: {
                "corrected": row["corrected"], "broken": row["broken"], "count": row["count"]})}
    if "unrolling-steps" in rows:
        found["unrolling"] = unrolling(tables, rows, names)
    if "lesions-whole" in rows:
        found["lesions"] = lesions(rows, names)
    return found


QUANTITIES = {"cosine": "cosine-loss", "cosine_readout": "cosine-loss-plugged", "ratio": "l2-ratio",
              "distance": "distance", "update_cosine": "turn"}


def unrolling(tables, rows, names):
    parameters = tables["unrolling-steps"]["parameters"]
    trajectories = {}
    for row in rows["unrolling-steps"]:
        trajectory = trajectories.setdefault(row["way"], {"scale": row["scale"], "steps": {}})
        places = trajectory["steps"].setdefault(row["split"], {})
        step = places.setdefault(row["place"], {
            "place": row["place"], "name": names[row["step"]], "repetition": row["repetition"]})
        step[QUANTITIES[row["quantity"]]] = statistic(row)
    for row in rows.get("unrolling", []):
        step = trajectories[row["way"]]["steps"][row["split"]][row["place"]]
        step.setdefault("groups", {})[row["group"]] = score(row)
    for trajectory in trajectories.values():
        trajectory["steps"] = {split: list(places.values()) for split, places in trajectory["steps"].items()}
    found = {"repeated": names[parameters["step"]], "times": parameters["times"], "margin": parameters["margin"],
             "trajectories": list(trajectories.values())}
    if parameters.get("recalibration_batches"):
        found["recalibration-batches"] = parameters["recalibration_batches"]
    if "unrolling-scales" in rows:
        found["tried"] = [{"scale": row["scale"], "loss": row["loss"]} for row in rows["unrolling-scales"]]
    return found


def lesions(rows, names):
    def random(kind):
        found = []
        for row in rows.get("lesions-random", []):
            if row["kind"] == kind:
                trials = [{"seed": draw["draw"], "order": [int(step) for step in draw["order"].split()],
                           "score": score(draw)}
                          for draw in rows["lesions-draws"] if draw["kind"] == kind and draw["size"] == row["size"]]
                error = {"mean": row["error"], "std": row["error_std"], "count": row["draws"]}
                found.append({"size": row["size"], "error": error, "trials": trials})
        return found

    return {"baseline": score(rows["lesions-whole"][0]), "dropped": random("dropped"), "shuffled": random("shuffled"),
            "swapped": [{"first": names[row["first"]], "second": names[row["second"]], "score": score(row)}
                        for row in rows.get("lesions-swapped", [])],
            "scaled": [{"name": names[row["step"]], "factor": row["factor"], "score": score(row)}
                       for row in rows.get("lesions-scaled", [])]}
