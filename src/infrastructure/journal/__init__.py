"""The journal: one SQLite file per home that knows what became of every task.

It is the truth; the files in a run's folder are written from it.
"""
