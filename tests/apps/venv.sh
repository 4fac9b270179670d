#!/bin/bash
# A Python environment made and used here: a wheel with a C extension is built, installed by pip and imported.
set -u
python=/usr/bin/python3; $python -c 'import venv, pip' 2> /dev/null || exit 77
inc=$($python -c 'import sysconfig; print(sysconfig.get_paths()["include"])'); [ -e "$inc/Python.h" ] || inc=
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INDEX=1 PYTHONDONTWRITEBYTECODE=1 CCACHE_DISABLE=1 HOME=$PWD
export TMPDIR=$PWD/tmp; mkdir tmp src
cat > src/ext.c <<'END'
#include <Python.h>
static PyObject *twice(PyObject *self, PyObject *arg) { (void)self; return PyLong_FromLong(2 * PyLong_AsLong(arg)); }
static PyMethodDef methods[] = { { "twice", twice, METH_O, 0 }, { 0 } };
static struct PyModuleDef module = { PyModuleDef_HEAD_INIT, "_ext", 0, -1, methods, 0, 0, 0, 0 };
PyMODINIT_FUNC PyInit__ext(void) { return PyModule_Create(&module); }
END
# The wheel is made by hand: pip needs no network and no setuptools for it.
$python - "$inc" <<'END'
import hashlib, base64, os, subprocess, sys, sysconfig, zipfile
files = {"small/__init__.py": b"def triple(x):\n    return 3 * x\n\ndef main():\n    import sys\n    try:\n        from small import _ext\n        two = _ext.twice(21)\n    except ImportError:\n        two = 42\n    print('small', two, triple(14), sys.argv[1:])\n"}
tag = "py3-none-any"
if sys.argv[1]:
    so = "src/_ext" + sysconfig.get_config_var("EXT_SUFFIX")
    print("extension", subprocess.run(["gcc", "-shared", "-fPIC", "-I" + sys.argv[1], "-o", so, "src/ext.c"]).returncode)
    files["small/" + os.path.basename(so)] = open(so, "rb").read()
    tag = f"cp3{sys.version_info[1]}-cp3{sys.version_info[1]}-linux_x86_64"
info = "small-1.0.dist-info/"
files[info + "METADATA"] = b"Metadata-Version: 2.1\nName: small\nVersion: 1.0\n"
files[info + "WHEEL"] = f"Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: false\nTag: {tag}\n".encode()
files[info + "entry_points.txt"] = b"[console_scripts]\nsmall = small:main\n"
record = "".join(f"{n},sha256={base64.urlsafe_b64encode(hashlib.sha256(d).digest()).rstrip(b'=').decode()},{len(d)}\n" for n, d in files.items())
files[info + "RECORD"] = (record + info + "RECORD,,\n").encode()
with zipfile.ZipFile(f"small-1.0-{tag}.whl", "w") as z:
    for name, data in files.items():
        z.writestr(name, data)
END
$python -m venv --copies --without-pip env > log 2>&1; echo "venv $?"; tail -3 log; pip() { $python -m pip --python env/bin/python "$@"; }
env/bin/python -c 'import sys; print(sys.prefix != sys.base_prefix, sys.executable.endswith("env/bin/python"))'
pip install --no-deps ./small-*.whl > log 2>&1; echo "pip $?"; tail -1 log
env/bin/small a b; env/bin/python -c 'import small, os; print(small.triple(2), os.path.relpath(small.__file__))'; pip list 2> /dev/null | grep small; (. env/bin/activate; small activated; python -c 'import small; print(small.triple(5))'; type -p small | sed "s|$PWD|DIR|"); (cd tmp; ../env/bin/small from elsewhere); env -i env/bin/small stripped
$python -m venv --without-pip --symlinks linked; linked/bin/python -c 'import sys; print(sys.prefix != sys.base_prefix)'; find env -name 'small*' | LC_ALL=C sort | sed 's/python3\.[0-9]*/pythonX/'
pip uninstall -y small > log 2>&1; echo "uninstall $?"; env/bin/small 2> /dev/null; echo $?; ls tmp; cd ..; rm -rf "$OLDPWD"/{env,linked,src,log} "$OLDPWD"/*.whl
