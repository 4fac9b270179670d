#!/usr/bin/python3 -I
"""sqlite3: two processes write one database, rollback journal; WAL in one process, and two."""
import os, sqlite3, subprocess, sys
sys.stdout.reconfigure(line_buffering=True)
WRITER = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=50, isolation_level=None)
db.execute("pragma synchronous=off")
for i in range(200):
    db.execute("begin immediate")
    n, = db.execute("select n from counter").fetchone()
    db.execute("insert into t values (?, ?, ?)", (n, sys.argv[2], "x" * (i % 97)))
    db.execute("update counter set n = n + 1")
    db.execute("rollback" if i % 10 == 9 else "commit")
db.close()
"""
def both(name):
    """Two writers of 200 transactions each, a tenth of them rolled back."""
    children = [subprocess.Popen([sys.executable, "-I", "-c", WRITER, name, who]) for who in "ab"]
    return [child.wait() for child in children]
for mode in ("delete", "persist"):
    name = f"{mode}.db"
    db = sqlite3.connect(name, isolation_level=None)
    print(db.execute(f"pragma journal_mode={mode}").fetchone())
    db.executescript("create table t (n integer, who text, v text); create table counter (n integer); insert into counter values (0);")
    db.close()
    print(both(name))
    db = sqlite3.connect(name)
    print(db.execute("pragma integrity_check").fetchall(), db.execute("select n from counter").fetchone())
    print(db.execute("select count(*), count(distinct n), min(n), max(n) from t").fetchall())
    print(db.execute("select who, count(*) from t group by who order by who").fetchall())
    db.close()
    for left in (name, name + "-journal"):  # their bytes depend on who came first
        if os.path.exists(left):
            os.remove(left)
# WAL needs a map of a file that all writers share: one process has it.
db = sqlite3.connect("wal.db", isolation_level=None)
print(db.execute("pragma journal_mode=wal").fetchone())
db.execute("create table t (n integer)")
for i in range(200):
    db.execute("insert into t values (?)", (i,))
other = sqlite3.connect("wal.db")
print(other.execute("select count(*) from t").fetchone(), db.execute("pragma integrity_check").fetchone())
# A second process works as well, or is refused; nothing is lost or spoiled.
child = subprocess.run([sys.executable, "-I", "-c", """
import sqlite3
db = sqlite3.connect("wal.db", timeout=1)
try:
    with db: db.execute("insert into t values (1000)")
except sqlite3.OperationalError: pass
"""], stderr=subprocess.PIPE)
print(child.returncode, child.stderr)
for i in range(200):
    db.execute("insert into t values (?)", (i,))
print(db.execute("select count(*) from t where n < 1000").fetchone(), db.execute("pragma integrity_check").fetchone())
other.close(); db.close()
db = sqlite3.connect("wal.db")
print(db.execute("select count(*), sum(n) from t where n < 1000").fetchone(), db.execute("pragma integrity_check").fetchone(), db.execute("pragma journal_mode=delete").fetchone())
db.close()
os.remove("wal.db")
print(sorted(os.listdir(".")))
