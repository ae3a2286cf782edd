"""Tests of the Python package, on runs that the program in RESLENS (default: .build/release/reslens) makes."""

import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RESLENS = os.environ.get("RESLENS", str(ROOT / ".build/release/reslens"))
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "reference")]

try:
    import pandas as pd
    import torch
    import torch.nn.functional as F
    import yaml

    import data
    import reslens
except ModuleNotFoundError as error:
    raise unittest.SkipTest(f"{error}: make setup") from error

SPLIT, SAMPLES = "validation", 48
SHARING = {"from": 1, "initial-gamma": 0.1}
UNSHARED = {"unshared-statistics": True, "unshared-affine": True}
FAMILIES = {
    "projection": [{"width": 4, "blocks": 2}, {"width": 6, "blocks": 2, "entry": "projection"}],
    "pooling": [{"width": 4, "blocks": 1}, {"width": 4, "blocks": 2, "entry": "average-pooling"},
                {"width": 4, "blocks": 1, "entry": "max-pooling"}],
    "single-representation": [{"width": 4, "blocks": 3}],
    "shared": [{"width": 4, "blocks": 4, "sharing": {"from": 1}}],
    "statistics": [{"width": 4, "blocks": 4, "sharing": {**SHARING, "unshared-statistics": True}}],
    "affine": [{"width": 4, "blocks": 4, "sharing": {**SHARING, "unshared-affine": True}}],
    "ubn": [{"width": 4, "blocks": 4, "sharing": {**SHARING, **UNSHARED}}],
}
MEASURED = "projection", "ubn"


def program(*arguments):
    subprocess.run([RESLENS, *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def setUpModule():
    global scratch, study
    scratch = Path(tempfile.mkdtemp())
    unittest.addModuleCleanup(shutil.rmtree, scratch)
    study = scratch / "study"
    for seed, (name, stages) in enumerate(FAMILIES.items()):
        model = scratch / f"{name}.yaml"
        model.write_text(yaml.safe_dump({"name": name, "stem": {"width": 4}, "stages": stages}))
        program("train", "--model", str(model), "--data", "synthetic", "--train-samples", "256", "--validation-samples",
                "64", "--epochs", "2", "--batch", "32", "--seed", str(seed), "--out", str(study / "runs" / name),
                "--measure", f"every=1,samples={SAMPLES},l2-ratio,intermediate")
    for name in MEASURED:
        program("measure", str(study / "runs" / name), "--samples", str(SAMPLES), "--measures", "intermediate")


class PackageTests(unittest.TestCase):
    def setUp(self):
        """A copy of a run, which a test may damage."""
        self.scratch = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.scratch)
        self.run_folder = self.scratch / "run"
        shutil.copytree(study / "runs" / "projection", self.run_folder)
        self.measures = self.run_folder / "measures.json"

    def change(self, change):
        """Changes the contents of measures.json and returns them."""
        results = json.loads(self.measures.read_text())
        change(results)
        self.measures.write_text(json.dumps(results))
        return results

    def refuses(self, words, call):
        with self.assertRaises(reslens.ResLensError) as caught:
            call()
        for word in words:
            self.assertIn(word, str(caught.exception))

    def assert_equals_json(self, frame, table):
        self.assertEqual(list(frame.columns), [column["name"] for column in table["keys"] + table["values"]])
        self.assertEqual(len(frame), len(table["rows"]))
        for found, row in zip(frame.itertuples(index=False), table["rows"], strict=True):
            for cell, wanted in zip(found, row, strict=True):
                if wanted is None or wanted == "NaN":
                    self.assertTrue(math.isnan(cell))
                elif wanted in ("Infinity", "-Infinity"):
                    self.assertEqual(cell, math.copysign(math.inf, 1 if wanted == "Infinity" else -1))
                else:
                    self.assertEqual(cell, wanted)


class ResultsTests(PackageTests):
    def test_every_table_equals_the_json_and_the_csv(self):
        program("measure", str(self.run_folder), "--samples", "40", "--measures", "all", "--csv", str(self.scratch / "csv"))
        program("measure", str(self.run_folder), "--samples", "40", "--measures", "l2-ratio", "--batch-norm", "batch")
        run = reslens.load(self.run_folder)
        results = json.loads(self.measures.read_text())
        self.assertEqual(list(run.tables), [table["name"] for table in results["tables"]])
        for table in results["tables"]:
            frame = run.tables[table["name"]]
            self.assert_equals_json(frame, table)
            self.assertEqual(frame.attrs["parameters"], table["parameters"])
            text = {name: str for name in frame.columns if not pd.api.types.is_numeric_dtype(frame[name])}
            csv = pd.read_csv(self.scratch / "csv" / f"{table['name']}.csv", dtype=text)
            pd.testing.assert_frame_equal(csv, frame, check_exact=True, check_dtype=False)
        steps = pd.read_csv(self.scratch / "csv" / "steps.csv")
        self.assertEqual(list(steps["path"]), list(run.steps["path"]))
        self.assertEqual(run.steps[results["steps"][0].keys()].to_dict("records"), results["steps"])
        absent = [{name: value for name, value in row.items() if isinstance(value, (str, list))}
                  for row in run.absent.to_dict("records")]
        self.assertEqual(absent, results["absent"])
        batch = json.loads((self.run_folder / "measures-batch.json").read_text())
        self.assert_equals_json(run.batch_tables["l2-ratio"], batch["tables"][0])

    def test_the_history_has_a_key_of_the_epoch(self):
        history = reslens.load(self.run_folder).history
        for epoch in range(3):
            results = json.loads((self.run_folder / f"measures/epoch-{epoch:05}.json").read_text())
            names = {name for name, frame in history.items() if epoch in frame["epoch"].values}
            self.assertEqual(names, {table["name"] for table in results["tables"]})
            for table in results["tables"]:
                frame = history[table["name"]]
                self.assert_equals_json(frame[frame["epoch"] == epoch].drop(columns="epoch"), table)

    def test_epochs_and_configuration(self):
        run = reslens.load(str(self.run_folder))
        lines = [line.split(",") for line in (self.run_folder / "epochs.csv").read_text().splitlines()]
        self.assertEqual(list(run.epochs.columns), lines[0])
        self.assertEqual(run.epochs.to_numpy().tolist(), [[float(cell) for cell in line] for line in lines[1:]])
        self.assertEqual(run.config["architecture"]["name"], "projection")
        shutil.rmtree(self.run_folder / "measures")
        for file in ("epochs.csv", "measures.json"):
            (self.run_folder / file).unlink()
        empty = reslens.load(self.run_folder)
        self.assertTrue(empty.epochs.empty and empty.steps.empty and not empty.tables and not empty.history)

    def test_numbers_that_are_not_finite_and_missing_values(self):
        def change(results):
            row, column = results["tables"][0]["rows"], len(results["tables"][0]["keys"])
            row[0][column], row[1][column], row[2][column], row[3][column] = "NaN", "Infinity", "-Infinity", None
            for cells in row:
                cells[column + 1] = None

        table = self.change(change)["tables"][0]
        frame = reslens.load(self.run_folder).tables[table["name"]]
        self.assert_equals_json(frame, table)
        self.assertEqual([frame[column["name"]].dtype for column in table["values"][:2]], ["float64", "float64"])

    def test_a_study_joins_its_runs(self):
        for folder in (study, study / "runs"):
            joined = reslens.load(folder)
            self.assertEqual(sorted(joined.runs), sorted(FAMILIES))
            self.assertEqual(set(joined.tables["intermediate"]["run"]), set(MEASURED))
            for name in MEASURED:
                run, seed = reslens.load(study / "runs" / name), list(FAMILIES).index(name)
                self.assertEqual(joined.config[name], run.config)
                for whole, part in [
                    (joined.epochs, run.epochs), (joined.steps, run.steps),
                    (joined.tables["intermediate"], run.tables["intermediate"]),
                    (joined.history["l2-ratio"], run.history["l2-ratio"]),
                ]:
                    self.assertEqual(list(whole.columns), ["run", "model", "seed", *part.columns])
                    rows = whole[whole["run"] == name].reset_index(drop=True)
                    self.assertEqual(set(zip(rows["model"], rows["seed"])), {(name, seed)})
                    pd.testing.assert_frame_equal(rows[list(part.columns)], part, check_exact=True)

    def test_bad_folders_and_files_are_named(self):
        load = lambda: reslens.load(self.run_folder)
        self.refuses([str(self.scratch / "no"), "there is no run", "reslens train"], lambda: reslens.load(self.scratch / "no"))
        again = f"measure again: reslens measure {self.run_folder}"
        self.change(lambda results: results["tables"][0]["rows"][1].pop())
        self.refuses([str(self.measures), "table intermediate", "row 2", again], load)
        self.change(lambda results: results.pop("tables"))
        self.refuses([str(self.measures), "the field 'tables' is missing", again], load)
        self.change(lambda results: results.update(format=3))
        self.refuses([str(self.measures), "format: it is 3", "reads 4", again], load)
        self.measures.write_text("{")
        self.refuses([str(self.measures), again], load)
        self.measures.unlink()
        epochs = self.run_folder / "epochs.csv"
        epochs.write_text(epochs.read_text().replace("\n1,", "\none,"))
        self.refuses([str(epochs), "'one'", "reslens train --resume"], load)
        configuration = self.run_folder / "config.yaml"
        configuration.write_text("- 1\n")
        self.refuses([str(configuration), "no mapping"], load)
        epochs.unlink()
        configuration.write_text("seed: 1\n")
        self.refuses([str(configuration), "architecture"], lambda: reslens.load(self.scratch))

    def test_a_missing_package_is_named(self):
        code = "import sys; sys.modules['pandas'] = None; import reslens; reslens.load('.')"
        outcome = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
                                 capture_output=True, text=True)
        self.assertIn("finds no pandas; install", outcome.stderr)


class WeightsTests(PackageTests):
    def test_every_family_has_the_scores_that_the_program_measures(self):
        program("data", "export", "synthetic", str(self.scratch / "data"))
        images, labels = (part[:SAMPLES] for part in data.load(str(self.scratch / "data"))[SPLIT])
        for name in FAMILIES:
            with self.subTest(name):
                run = reslens.load(study / "runs" / name)
                network = reslens.weights(run)
                self.assertFalse(network.training)
                statistics = [torch.tensor(run.config["statistics"][part]).view(3, 1, 1) for part in ("means", "deviations")]
                with torch.no_grad():
                    logits = network((images / 255 - statistics[0]) / statistics[1]).double()
                losses = F.cross_entropy(logits, labels, reduction="none")
                logs = F.log_softmax(logits, 1)
                entropies = -(logs.exp() * logs).sum(1)
                last = run.history["intermediate"].query(f"split == '{SPLIT}'").iloc[-1]
                self.assertEqual((last["epoch"], last["step"], last["count"]), (2, run.steps["step"].max(), SAMPLES))
                self.assertEqual(last["accuracy"], (logits.argmax(1) == labels).double().mean().item())
                for column, values in [("loss", losses), ("entropy", entropies)]:
                    self.assertAlmostEqual(last[column], values.mean().item(), delta=1e-6)
                    self.assertAlmostEqual(last[f"{column}_std"], values.std(correction=0).item(), delta=1e-6)

    def test_a_checkpoint_can_be_named(self):
        checkpoints = self.run_folder / "checkpoints"
        newest = next(checkpoints.iterdir())
        older = reslens.weights(study / "runs" / "projection").state_dict()
        name = "epoch-00001-step-0000000"
        shutil.copytree(newest, checkpoints / name)
        self.refuses(["no checkpoint epoch-7", name, newest.name], lambda: reslens.weights(self.run_folder, "epoch-7"))
        (newest / "weights.safetensors").write_bytes(b"damaged")
        self.refuses([str(newest / "weights.safetensors"), "another checkpoint"], lambda: reslens.weights(self.run_folder))
        for path, value in reslens.weights(self.run_folder, name).state_dict().items():
            self.assertTrue(torch.equal(value, older[path]))
        shutil.rmtree(checkpoints)
        self.refuses([str(self.run_folder), "no checkpoint"], lambda: reslens.weights(self.run_folder))

    def test_a_kind_of_block_that_pytorch_lacks_is_refused(self):
        from safetensors import safe_open
        from safetensors.torch import load_file, save_file

        file = next(self.run_folder.glob("checkpoints/*/weights.safetensors"))
        with safe_open(file, framework="pt") as opened:
            architecture = json.loads(opened.metadata()["architecture"])
        architecture["stages"][1]["kind"] = "gated"
        save_file(load_file(file), file, metadata={"architecture": json.dumps(architecture)})
        self.refuses([str(file), "of the kind gated"], lambda: reslens.weights(self.run_folder))


class CommandTests(unittest.TestCase):
    """The start of the program, with a compiler that writes empty files and counts its calls, and a program that prints."""

    def setUp(self):
        self.scratch = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.scratch)
        portable = self.scratch / "reslens" / "portable"
        shutil.copytree(ROOT / "python/reslens", portable.parent)
        shutil.copytree(ROOT / "Sources/CTorch", portable / "Sources/CTorch")
        (portable / "scripts").mkdir()
        shutil.copy(ROOT / "scripts/build-engine", portable / "scripts")
        self.compiler = self.executable("compiler", '''
            echo "$*" >>calls
            while [ "$1" != -o ]; do shift; done
            echo compiled >"$2"''')
        self.executable("reslens/portable/reslens", 'cat "${LD_LIBRARY_PATH%%:*}/libctorch.so" && echo "$@"')

    def executable(self, name, text):
        file = self.scratch / name
        file.write_text("#!/bin/bash\n" + text)
        file.chmod(0o755)
        return str(file)

    def start(self, **environment):
        paths = [str(self.scratch), *(path for path in sys.path if path != str(ROOT / "python"))]
        return subprocess.Popen(
            [sys.executable, "-c", "from reslens.command import main; main()", "train", "--out", "a b"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "XDG_CACHE_HOME": str(self.scratch / "cache"),
                 "CXX": self.compiler, **environment},
            cwd=self.scratch, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def links(self):
        return [line for line in (self.scratch / "calls").read_text().splitlines() if "-shared" in line]

    def test_first_starts_at_once_compile_once(self):
        for process in [self.start() for _ in range(4)]:
            output, errors = process.communicate()
            self.assertEqual((process.returncode, output), (0, "compiled\ntrain --out a b\n"), errors)
        self.assertEqual(len(self.links()), 1)
        source = next((self.scratch / "reslens/portable/Sources").rglob("*.cpp"))
        source.write_text("// another version")
        self.start().communicate()
        self.assertEqual(len(self.links()), 2)

    def test_a_failed_compilation_is_shown(self):
        failing = self.executable("failing", "echo units.cpp: error: no such thing >&2; exit 1")
        process = self.start(CXX=failing)
        output, errors = process.communicate()
        self.assertEqual((process.returncode, output), (1, ""))
        self.assertIn("units.cpp: error: no such thing", errors)
        log = Path(errors.split("all messages are in ")[1].strip())
        self.assertIn("the C++ does not compile against", log.read_text())
        # It is tried again.
        process = self.start()
        self.assertEqual(process.communicate()[0], "compiled\ntrain --out a b\n")

    def test_a_missing_compiler_and_a_missing_torch_have_a_remedy(self):
        errors = self.start(CXX="no-such-compiler").communicate()[1]
        self.assertIn("there is no C++ compiler no-such-compiler. Install one", errors)
        errors = self.start(PYTHONPATH=str(self.scratch)).communicate()[1]
        self.assertIn("finds no torch; install it", errors)


if __name__ == "__main__":
    unittest.main()
