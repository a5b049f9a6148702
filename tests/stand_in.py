"""A stand-in for the gate's processes: it imports the plugin as a real one does, and reports what its text says.

`SOURCE` takes the place of `ganbench/gate/worker.py`. A plugin's text sets RATE, and if it likes NOISE, PHASES, PEAK,
BATCH, TORCH, CRASH, CLOCK for what is timed, and LOSS, FID, SCATTER (of FID, from seed to seed), DIVERGED (seeds),
SAMPLES for what is trained.
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

def answer(told):
    print(json.dumps(told), flush=True)

seed = request["training"].get("seed", 0)
environment = {"must_match": {}, "may_differ": {"torch": namespace.get("TORCH", "2.14")}}
circumstances = {
    "environment": environment, "data": "0", "plugins": [],
    "spec": {"training": {"seed": seed}}, "code": {path.name: {"path": str(path), "source": source}},
}

def take_number():
    for number in itertools.count():
        try:
            Path(sys.argv[0]).with_name(f"session-{number}").touch(exist_ok=False)
            return number
        except FileExistsError:
            pass

def time_turns():
    answer(1.0)
    rates = [1.0]
    if sys.stdin.read(1) == "g":  # turns are asked for one after another: here it is certain which session comes first
        draw = random.Random(f"session {take_number()}")
    rate = namespace["RATE"] * draw.lognormvariate(0, namespace.get("NOISE", 0.0001))
    if request["delay"]:
        rate = 1 / (1 / rate + request["delay"] / 64)
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
        "conditions": {"device": "cpu", "batch_size": namespace.get("BATCH", 64)}, **circumstances,
    })

def train():
    diverged = seed in namespace.get("DIVERGED", [])
    fid = namespace.get("FID", 20.0) * random.Random(seed).lognormvariate(0, namespace.get("SCATTER", 0.01))
    answer({
        "status": "diverged" if diverged else "completed", "message": "d_loss is nan" if diverged else None,
        "losses": {"d_loss": namespace.get("LOSS", 1.0), "g_loss": 2.0},
        "metrics": [{
            "id": "fid", "name": "fid", "label": "FID (tiny)", "value": None if diverged else fid,
            "higher_is_better": False,
            "protocol": {"num_samples": namespace.get("SAMPLES", 100)},
            "software": {"torch": namespace.get("TORCH", "2.14")},
        }],
        **circumstances,
    })

def probe():
    told = {name: circumstances[name] for name in ("code", "spec", "data")}
    answer({**told, "files": {path.name: source}, "environment": environment})

{"probe": probe, "time": time_turns, "train": train}[request["job"]]()
"""
FAST = 'RATE = 1000\nPHASES = {"discriminator": 0.5, "generator": 0.5}\n'
SLOW = 'RATE = 800\nPHASES = {"discriminator": 0.4, "generator": 0.6}\n'  # 1/1000 = 0.5 + 0.5, 1/800 = 0.5 + 0.75 ms
