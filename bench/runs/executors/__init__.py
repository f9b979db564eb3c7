"""Where the tasks of a run are worked on: one module each, with `EXECUTOR`.

A job is one encoder x task; its units are written to the run folder by whoever works on it, each unit whole and
atomic, so an executor only has to see to it that every job is done at least once.
"""
