"""python3 run.py [PART OF A NAME]"""

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
failed = skipped = passed = 0
for function in world.TESTS:
    name = function.__name__.replace("_", " ")
    if part not in name:
        continue
    started = time.monotonic()
    try:
        function()
        passed += 1
        print(f"ok      {name} ({time.monotonic() - started:.1f} s)", flush=True)
    except world.Skipped as why:
        skipped += 1
        print(f"!!! SKIPPED {name}: {why}", flush=True)
    except Exception:
        failed += 1
        traceback.print_exc()
        print(f"FAILED  {name}", flush=True)
print(f"\n{passed} passed, {failed} failed, {skipped} skipped")
sys.exit(1 if failed else 0)
