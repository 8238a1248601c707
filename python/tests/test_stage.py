import json
import os
import signal
import subprocess
import sys

import attend
from help import Case, dataset

STAGE = """
import sys, time
import attend

def check(stage):
    if stage.config["count"]["rate"] < 0:
        raise attend.Usage("count.rate is negative")
    return {"wants": {"count.name": stage.config["count"]["name"]}}

@attend.stage("count", "1", output="notes", inputs={"dataset": True, "features": False},
              parameters={"count": {"rate": 1.0, "name": "a", "sizes": [1], "seed": None,
                                    "fast": False, "weights": None, "device": "cpu"}},
              files={"count.weights": "weights"}, unrecorded=["count.device"], about="Counts.",
              check=check)
def main(stage):
    mode = stage.config["count"]["name"]
    if "first.txt" not in stage.out:
        with stage.out.file("first.txt") as path:
            path.write_text("done")
        if mode == "slow":
            print("slow", flush=True)
            time.sleep(30)
    if mode == "raise":
        raise attend.BadInput("photo\\x1b[2J.jpg: broken")
    if mode == "bug":
        {}["key"]
    stage.out.json("count.json", stage.input("dataset").counts["captions"])
    if mode == "features":
        stage.input("features")

main()
"""


class Program(Case):
    def setUp(self):
        super().setUp()
        self.program = self.folder / "count.py"
        self.program.write_text(STAGE)
        self.data = self.folder / "dataset"
        dataset(self.data, ["a", "b"])

    def command(self, *words):
        given = ["--input", f"dataset={self.data}", "--output", str(self.path)]
        return [sys.executable, str(self.program), *given, *map(str, words)]

    def run_it(self, *words, **named):
        return subprocess.run(self.command(*words), capture_output=True, text=True, **named)

    def ok(self, *words, **named):
        ended = self.run_it(*words, **named)
        self.assertEqual((ended.returncode, "error" in ended.stderr), (0, False), ended.stderr)
        return ended

    def ends(self, code, words, *given, command=None):
        ended = subprocess.run(command or self.command(*given), capture_output=True, text=True)
        self.assertEqual(ended.returncode, code, ended.stderr)
        lines = [line for line in ended.stderr.splitlines() if line.startswith("error: ")]
        self.assertEqual(len(lines), 1, ended.stderr)
        self.assertIn(words, lines[0])
        self.assertNotIn("Traceback", ended.stderr)

    def test_it_makes_the_artifact_once(self):
        self.ok("--set", "count.rate=2", "--jobs", 3)
        made = attend.open(self.path, verify=True, kind="notes")
        self.assertEqual(made.json("count.json"), 2)
        recorded = {"rate": 2.0, "name": "a", "sizes": [1], "seed": None, "fast": False}
        self.assertEqual(made.config, {"count": recorded})
        self.assertEqual(made.inputs["dataset"].digest, attend.open(self.data).digest)
        again = self.ok("--set", "count.rate=2.0", "--set", "count.device=cuda:0")
        self.assertIn("is up to date", again.stderr)
        self.assertNotIn("up to date", self.ok("--set", "count.rate=2", "--force").stderr)
        digest = attend.open(self.path).digest
        self.assertEqual(digest, made.digest)
        (self.path / "first.txt").unlink()
        self.assertNotIn("up to date", self.ok("--set", "count.rate=2").stderr)

    def test_describe_says_what_the_runner_needs(self):
        command = [sys.executable, str(self.program), "--describe"]
        said = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        inputs = [{"kind": "dataset", "required": True}, {"kind": "features", "required": False}]
        self.assertEqual((said["inputs"], said["output"], said["parts"]), (inputs, "notes", "none"))
        self.assertEqual(said["parameters"]["count"]["sizes"], [1])
        self.assertEqual(said["unrecorded"], ["count.device", "count.weights"])
        self.assertEqual(said["paths"], ["count.weights"])

    def test_check_refuses_before_a_pipeline_runs(self):
        words = ("--check", "--input", "dataset=/none/yet", "--set", "count.name=raise")
        self.assertEqual(json.loads(self.ok(*words).stdout), {"wants": {"count.name": "raise"}})
        self.assertFalse(self.path.exists() or self.path.with_name("artifact.lock").exists())
        bare = [sys.executable, str(self.program), "--check"]
        self.ends(2, "count needs --input dataset=PATH", command=bare)
        self.ends(2, "[count] has no key `x`", *words, "--set", "count.x=1")
        self.ends(2, "count.rate is negative", *words, "--set", "count.rate=-1")
        self.ends(2, "count.rate is negative", "--set", "count.rate=-1")
        self.ends(3, "w.bin: no such file", *words, "--set", "count.weights=w.bin")
        self.assertFalse(self.path.with_name("artifact.staging").exists())

    def test_a_wrong_command_line_or_config_ends_with_2(self):
        config = self.folder / "c.toml"
        config.write_text("# x\n[count]\nrate = 1\n\nrat = 2\n[other]\nx = 1\n")
        self.ends(
            2, f"{config}:5: [count] has no key `rat`; the nearest is `rate`", "--config", config
        )
        config.write_text('[count]\nname = "${ATTEND_NO_SUCH}"\n')
        self.ends(2, f'{config}:2: count.name = "${{ATTEND_NO_SUCH}}" needs', "--config", config)
        config.write_text("[coutn]\nrate = 1\n")
        self.ends(2, f"{config}:1: no section [coutn]; did you mean [count]?", "--config", config)
        config.write_text("[count\n")
        self.ends(2, f"{config}: ", "--config", config)
        config.write_bytes(b"[count]\nname = '\xe9'\n")
        self.ends(2, f"{config}:2: not UTF-8", "--config", config)
        self.ends(2, "none.toml: no such file", "--config", self.folder / "none.toml")
        wrong = {
            "count.rate=x": "count.rate must be a number, not `x`",
            "count.fast=1": "count.fast must be true or false, not `1`",
            "count.sizes=3": "count.sizes must be a list",
            "count.seed=2020-01-01": "count.seed must be no date",
            "count": "expected section.key=value",
        }
        for given, words in wrong.items():
            self.ends(2, f"--set {given}: {words}", "--set", given)
        self.ends(2, "expected KIND=PATH", "--input", "dataset")
        self.ends(2, "count takes dataset, features, not model", "--input", "model=x")
        self.ends(2, "unrecognized arguments: --jbos", "--jbos", "3")
        bare = [sys.executable, str(self.program)]
        self.ends(2, "--output PATH is needed", command=bare)
        self.ends(2, "count needs --input dataset=PATH", command=[*bare, "--output", "x"])
        self.ends(2, "--input features=PATH is needed here", "--set", "count.name=features")

    def test_wrong_files_end_with_3_and_wrong_artifacts_with_4(self):
        self.ends(3, r"photo\u{1b}[2J.jpg: broken", "--set", "count.name=raise")
        self.ends(3, "w.bin: no such file", "--set", "count.weights=w.bin")
        self.ends(4, "of kind 'dataset', not 'features'", "--input", f"features={self.data}")
        self.ends(4, "does not exist", "--input", f"features={self.folder / 'none'}")
        (self.data / "captions.parquet").write_bytes(b"")
        self.ends(4, "captions.parquet has 0 bytes", "--force")
        self.path.mkdir(exist_ok=True)
        (self.path / "photo.jpg").write_text("mine")

    def test_a_fault_of_the_program_ends_with_1_in_one_line(self):
        self.ends(1, "internal error in count: KeyError: 'key' (", "--set", "count.name=bug")
        (self.folder / "file").write_text("")
        wall = [*self.command(), "--output", str(self.folder / "file" / "x")]
        self.ends(1, f"{self.folder / 'file'}: ", command=wall)

    def test_a_signal_ends_with_130_and_the_same_command_makes_the_rest(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            slow = ("--set", "count.name=slow", "--set", f"count.seed={number:d}")
            running = subprocess.Popen(
                self.command(*slow), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            self.assertEqual(running.stdout.readline(), "slow\n")
            running.send_signal(number)
            _, told = running.communicate(timeout=20)
            self.assertEqual(running.returncode, 130, told)
            self.assertIn("error: interrupted; finished parts are kept", told)
            self.assertIn("continuing from", self.ok(*slow).stderr)
            self.assertEqual(attend.open(self.path, verify=True).json("count.json"), 2)

    def test_the_log_is_copied(self):
        log = self.folder / "log"
        self.ok("--log", log)
        self.ends(3, "broken", "--log", log, "--set", "count.name=raise")
        lines = log.read_text().splitlines()
        self.assertIn("INFO", lines[0])
        self.assertTrue(lines[-1].startswith("error: photo"), lines)

    def test_output_to_a_closed_pipe_is_no_error(self):
        command = f"{sys.executable} {self.program} --describe | true; exit ${{PIPESTATUS[0]}}"
        ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
        self.assertEqual((ended.returncode, ended.stderr), (0, ""))

    def test_no_permission_is_named(self):
        if os.geteuid() == 0:
            self.skipTest("root may do everything")
        self.folder.chmod(0o500)
        self.addCleanup(self.folder.chmod, 0o700)
        self.ends(1, "Permission denied")
