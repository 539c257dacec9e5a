#!/usr/bin/env python3
"""The eight log queries of docs/benchmarks.md against a running server.

usage: queries.py URL PID META.json   (META is what `loadgen gen-logs` printed)

Prints per query: what came back beside what must, wall and CPU milliseconds (median of 11 runs
after a first), and the blocks scanned.
"""
import json, os, statistics, sys, time, urllib.request

url, pid, meta = sys.argv[1], int(sys.argv[2]), json.load(open(sys.argv[3]))
expect = meta["expect"]
day = {"start": meta["start"] * 10**9, "end": (meta["end"] + 1) * 10**9}
day = {key: str(value) for key, value in day.items()}


def post(path, body):
    request = urllib.request.Request(url + path, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def search(query, limit=100):
    page = post("/api/v1/logs/search", {**day, "query": query, "limit": limit})
    return len(page["records"]), page["stats"]


def sql(query):
    answer = post("/api/v1/sql", {"query": query})
    return answer["rows"], {}


def by_severity():
    page = post("/api/v1/logs/histogram", {**day, "query": "", "step": "5m", "by": ["severity"]})
    counts = {}
    for bucket in page["buckets"]:
        for name, count in bucket["counts"].items():
            counts[name.upper()] = counts.get(name.upper(), 0) + count
    return counts, page["stats"]


def top_users():
    rows, stats = sql("SELECT attributes['user_id'], count(*) AS n FROM logs WHERE attributes['user_id'] IS NOT NULL "
                      "GROUP BY 1 ORDER BY n DESC, 1 LIMIT 10")
    return [f"{user}={count}" for user, count in rows], stats


def count(where):
    rows, stats = sql(f"SELECT count(*) FROM logs WHERE {where}")
    return int(rows[0][0]), stats


RARE = "ledgerdesync"
QUERIES = [
    ("q1 one trace id", lambda: search(f"trace_id:{meta['needle_trace_id']}"), expect["q1_needle"]),
    ("q2 phrase + service, newest 100", lambda: search('"connection pool exhausted" AND service:billing'), min(100, expect["q2_pool_billing"])),
    ("q3 rare word, newest 100", lambda: search(RARE), expect["q3_rare"]),
    ("q4 count by 5 min and severity", by_severity, expect["q4_severity"]),
    ("q5 top 10 users", top_users, expect["q5_top_users"]),
    ("q6 newest 100, no filter", lambda: search(""), 100),
    ("q7 regex over the body, count", lambda: count("body ~ 'timeout after [0-9]{4,}ms'"), expect["q7_regex"]),
    ("q8 numeric range, count", lambda: count("number(attributes['duration_ms']) > 900"), expect["q8_slow"]),
]


def cpu_ms():
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


for name, run, expected in QUERIES:
    got, stats = run()
    walls, cpu = [], cpu_ms()
    for _ in range(11):
        started = time.perf_counter()
        run()
        walls.append((time.perf_counter() - started) * 1000)
    cpu = (cpu_ms() - cpu) / 11
    verdict = "right" if got == expected else f"WRONG: {got} instead of {expected}"
    blocks = f"{stats['blocks_scanned']} of {stats['blocks_total']} blocks" if stats else ""
    print(f"{name:34} {statistics.median(walls):8.1f} ms {cpu:8.1f} CPU ms  {blocks:22} {verdict}")
