"""The side-by-side benchmark of the stream service: `make bench`, or `python -m loadtest.bench --help`.

__main__.py    the command line
plan.py        what is measured, how often and how long
run.py         starts all processes, measures, stops them
peers/         the servers that are compared
client/        the load: a process of its own that reads jobs (jobs.py) and returns measurements
matrix.py      throughput: sizes by connections by peers, in turn
scenarios.py   memory, seeks, a slow disk, paced viewers
promises.py    the promised figures, and whether they were reached
report.py      tables for the terminal and docs/benchmarks.md; plot.py draws its picture
"""
