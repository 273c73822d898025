"""python3 run.py [PART OF A NAME]"""

import os
import sys
import time
import traceback

import world
import kubernetes_files  # noqa: F401
import packages  # noqa: F401
import picture  # noqa: F401
import proxies  # noqa: F401
import restarts  # noqa: F401
import static  # noqa: F401

part = sys.argv[1] if len(sys.argv) > 1 else ""
# As many failed tests are run once more; `scripts/cargo-test` says why.
MOST_UNSTEADY = 3
failures = []
skipped = passed = 0


def run(function):
    """Whether it passed; nothing if it cannot be run here."""
    name = function.__name__.replace("_", " ")
    started = time.monotonic()
    try:
        function()
    except world.Skipped as why:
        print(f"!!! SKIPPED {name}: {why}", flush=True)
        return None
    except Exception:
        traceback.print_exc()
        print(f"FAILED  {name}", flush=True)
        return False
    print(f"ok      {name} ({time.monotonic() - started:.1f} s)", flush=True)
    return True


for function in world.TESTS:
    if part not in function.__name__.replace("_", " "):
        continue
    went = run(function)
    passed += went is True
    skipped += went is None
    if went is False:
        failures.append(function)
if len(failures) <= MOST_UNSTEADY:
    for function in failures[:]:
        name = function.__name__.replace("_", " ")
        print(f"\n!!! ONCE MORE: {name}", flush=True)
        if not run(function):
            continue
        failures.remove(function)
        passed += 1
        line = f"!!! UNSTEADY: {name}"
        print(line, flush=True)
        if os.environ.get("UNSTEADY"):
            with open(os.environ["UNSTEADY"], "a", encoding="utf-8") as file:
                print(line, file=file)
print(f"\n{passed} passed, {len(failures)} failed, {skipped} skipped")
sys.exit(1 if failures else 0)
