"""The side-by-side benchmark of the stream service: `make bench`, or `python -m loadtest.bench --help`.

__main__.py    the command line
plan.py        what is measured, how often and how long
run.py         starts everything, measures, stops everything
peers/         the servers that are compared
client/        the load: a process of its own that takes jobs (jobs.py) and answers what it measured
matrix.py      throughput: sizes by connections by peers, turn about
scenarios.py   memory, seeks, a slow disk, paced viewers
verdicts.py    the promises, and whether they were kept
report.py      tables for the terminal and docs/benchmarks.md; plot.py draws its picture
"""
