"""Many calls of one function: over processes, with a journal from which an interrupted run goes on."""

from picojoule.jobs.journal import Journal
from picojoule.jobs.many import Step, run_all

__all__ = ["Journal", "Step", "run_all"]
