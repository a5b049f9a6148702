"""A stand-in for the gate's sessions: it imports the plugin as a real one does, and reports what its text says.

`SOURCE` takes the place of `ganbench/gate/worker.py`. A plugin's text sets RATE, and if it likes NOISE, PHASES, PEAK,
BATCH, TORCH and CRASH.
"""

from __future__ import annotations

SOURCE = """
import importlib, json, random, sys
from pathlib import Path

request = json.loads(sys.argv[1])
sessions = Path(sys.argv[0]).with_name("sessions")  # one byte each: their noise is drawn from how many there were
sessions.open("a").write(".")
draw = random.Random(sessions.stat().st_size)
plugin = request["plugins"][0]
if plugin.endswith(".py"):
    namespace = {}
    exec(open(plugin).read(), namespace)
else:
    namespace = vars(importlib.import_module(plugin))
if namespace.get("CRASH"):
    sys.exit("Traceback: the plugin crashed")
noise = namespace.get("NOISE", 0.0001)
rate = namespace["RATE"] * draw.lognormvariate(0, noise)
if request["delay"]:
    rate = 1 / (1 / rate + request["delay"] / 64)
memory = {"device_peak_bytes": None, "host_peak_rss_bytes": namespace.get("PEAK", 2**30)}
print("a plugin's chatter")
print(json.dumps({
    "images_per_second": [rate] * 5, "settled_after": 3, "phases": namespace.get("PHASES", {"generator": 1.0}),
    "memory": memory, "stamp": {"device": "cpu", "batch_size": namespace.get("BATCH", 64)},
    "environment": {"hard": {}, "soft": {"torch": namespace.get("TORCH", "2.14")}}, "data": "0", "spec": {},
    "plugins": [], "gpu": [],
}))
"""
FAST = 'RATE = 1000\nPHASES = {"discriminator": 0.5, "generator": 0.5}\n'
SLOW = 'RATE = 800\nPHASES = {"discriminator": 0.4, "generator": 0.6}\n'  # 1/1000 = 0.5 + 0.5, 1/800 = 0.5 + 0.75 ms
