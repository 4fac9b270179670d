#!/usr/bin/env bash
# python3: pathlib, json, shutil.copytree and rmtree, tempfile, subprocess
set -eu
cd "$1"
python3 - "$1" <<'PY'
import json, pathlib, shutil, subprocess, sys, tempfile
root = pathlib.Path(sys.argv[1])
tree = root / "tree"
for i in range(50):
    d = tree / f"d{i % 5}"
    d.mkdir(parents=True, exist_ok=True)
    (d / f"f{i}.json").write_text(json.dumps({"i": i, "square": i * i}))
shutil.copytree(tree, root / "copy")
total = sum(json.loads(p.read_text())["square"] for p in (root / "copy").rglob("*.json"))
print("sum of squares", total)
shutil.rmtree(tree)
print("tree exists", tree.exists())
with tempfile.TemporaryDirectory(dir=root) as t:
    (pathlib.Path(t) / "x").write_bytes(b"x" * 100000)
with open(root / "sub.out", "w") as out:
    subprocess.run(["/bin/echo", "from a child"], stdout=out, check=True)
print((root / "sub.out").read_text().strip())
print(sorted(p.name for p in root.iterdir()))
PY
