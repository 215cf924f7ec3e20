"""Many calls of one function: over processes or a cluster, with a journal from which an interrupted run goes on."""

from picojoule.jobs.journal import Journal
from picojoule.jobs.many import Step, answers, parts, run_all

__all__ = ["Journal", "Step", "answers", "parts", "run_all"]
