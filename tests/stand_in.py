"""A fake worker for the gate: it imports the plugin as the real one does, and reports the values set in it.

`SOURCE` replaces `ganbench/gate/worker/main.py`. A plugin sets RATE, and optionally NOISE, PHASES, PEAK, BATCH, TORCH,
PLATFORM, DEVICE, CRASH, CLOCK and DISCRIMINATOR_STEPS for timing, LOSS, FID, FID_STD (over seeds), DIVERGED and
NOT_FINITE (seeds), METRICS (ids), LABEL (of FID), NUM_SAMPLES, SCORER, EPOCHS, TARGET and REACHED (by seed, the images
between which a target is reached) for training runs, and BUDGET (of the spec), FOREIGN (code of the other side that it
reads) and ONCE (whether a process can train only once) for probes.
"""

from __future__ import annotations

SOURCE = """
import hashlib, importlib, itertools, json, random, sys
from pathlib import Path

request = json.loads(sys.argv[1])
plugin = request["plugins"][0] if request["plugins"] else "json"
if plugin.endswith(".py"):
    namespace = {}
    exec(open(plugin).read(), namespace)
    path = Path(plugin)
else:
    module = importlib.import_module(plugin)
    namespace, path = vars(module), Path(module.__file__)
source = hashlib.sha256(path.read_bytes()).hexdigest()
if namespace.get("CRASH"):
    sys.exit("Traceback: the plugin crashed")

def answer(reply):
    print(json.dumps(reply), flush=True)

given = [int(text.removeprefix("training.seed=")) for text in request["overrides"] if text.startswith("training.seed=")]
seed = request["training"].get("seed", *given or [0])
environment = {"must_match": {"device": namespace.get("DEVICE", "cpu")}, "may_differ": {
    "torch": namespace.get("TORCH", "2.14"), "platform": namespace.get("PLATFORM", "Linux 6.1"),
}}
run_context = {
    "environment": environment, "data": "0", "plugins": [],
    "spec": {"training": {"seed": seed, "discriminator_steps": namespace.get("DISCRIMINATOR_STEPS", 1)}},
    "code": {path.name: {"path": str(path), "source": source}},
}

def take_number():
    for number in itertools.count():
        try:
            Path(sys.argv[0]).with_name(f"session-{number}").touch(exist_ok=False)
            return number
        except FileExistsError:
            pass

def time_windows():
    answer(1.0)
    rates = [1.0]
    if sys.stdin.read(1) == "g":  # windows are requested in turn, so the order of sessions is known here
        draw = random.Random(f"session {take_number()}")
    rate = namespace["RATE"] * draw.lognormvariate(0, namespace.get("NOISE", 0.0001))
    if request["delay"]:
        rate = 1 / (1 / rate + request["delay"] / 64 / namespace.get("DISCRIMINATOR_STEPS", 1))
    rates.append(rate)
    answer(rate)
    while sys.stdin.read(1) == "g":
        rates.append(rate)
        answer(rate)
    clock = namespace.get("CLOCK")
    reading = clock and {"joules": None, "sm_clock_mhz": clock, "throttled_by": []}
    answer({
        "images_per_second": rates, "gpu": [reading for _ in rates],
        "phases": namespace.get("PHASES", {"generator": 1.0}),
        "memory": {"device_peak_bytes": None, "host_peak_rss_bytes": namespace.get("PEAK", 2**30)},
        "conditions": {"device": "cpu", "batch_size": namespace.get("BATCH", 64)},
        "disturbed_by": "a neighbor" if namespace.get("DISTURBED") else None, **run_context,
    })

def evaluation(images):
    return images and {"images": images, "seconds": images / namespace["RATE"], "joules": None, "value": 1.0}

def targets():
    if "REACHED" not in namespace or not request["targets"]:
        return []
    missed, reached = map(evaluation, namespace["REACHED"](seed))
    target = {"metric": "fid", "label": "FID (tiny)", "higher_is_better": False, "stop": False}
    return [{**target, "value": namespace.get("TARGET", 30.0), "missed": missed, "reached": reached}]

metrics, num_samples = namespace.get("METRICS", ["fid"]), namespace.get("NUM_SAMPLES", 100)

def train():
    if "steps" not in request["training"]:  # as long as the benchmark says
        run_context["spec"]["training"]["epochs"] = namespace.get("EPOCHS", 5)
    diverged = seed in namespace.get("DIVERGED", [])
    fid = namespace.get("FID", 20.0) * random.Random(seed).lognormvariate(0, namespace.get("FID_STD", 0.01))
    answer({
        "status": "diverged" if diverged else "completed", "message": "d_loss is nan" if diverged else None,
        "losses": {"d_loss": namespace.get("LOSS", 1.0), "g_loss": 2.0},
        "metrics": [{
            "id": metric, "name": metric, "label": namespace.get("LABEL", "FID (tiny)") if metric == "fid" else metric,
            "value": None if seed in namespace.get("NOT_FINITE", []) else fid,
            "higher_is_better": False,
            "protocol": {"num_samples": num_samples},
            "software": {
                "torch": namespace.get("TORCH", "2.14"), "scorer": namespace.get("SCORER", "1"),
                f"metric {metric}": f"{path.name} sha256:{source[:12]} (source {source[:16]})",
            },
        } for metric in metrics if not diverged],
        "targets": targets(), "disturbed": namespace.get("DISTURBED", False),
        **run_context,
    })

def probe():
    targets = [{"metric": "fid", "value": namespace.get("TARGET", 30.0)}] if "REACHED" in namespace else []
    scored = [{"id": metric, "name": metric, "num_samples": num_samples} for metric in metrics]
    training = {**run_context["spec"]["training"], "budget_seconds": namespace.get("BUDGET")}
    spec = {"training": training, "metrics": scored, "targets": targets}
    answer({
        "code": run_context["code"], "files": {path.name: source}, "spec": spec, "data": run_context["data"],
        "environment": environment, "foreign_code": namespace.get("FOREIGN", []),
    })
    if sys.stdin.read(1) == "g":
        if namespace.get("ONCE"):
            sys.exit("this process has trained before")
        train()

{"probe": probe, "time": time_windows, "train": train}[request["job"]]()
"""
FAST = 'RATE = 1000\nPHASES = {"discriminator": 0.5, "generator": 0.5}\n'
SLOW = 'RATE = 800\nPHASES = {"discriminator": 0.4, "generator": 0.6}\n'  # 1/1000 = 0.5 + 0.5, 1/800 = 0.5 + 0.75 ms
