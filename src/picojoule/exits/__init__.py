"""Networks with several exits: what a decision costs, which exit to take, and when an answer is good enough.

After Merkel: Exploring Energy-Accuracy Tradeoffs in AI Hardware, arXiv 2011.08779. Only what builds or trains a
network needs PyTorch.
"""

from __future__ import annotations

from picojoule.exits.added import Added, AddedExit, CrossFitted
from picojoule.exits.adding import add, load_added
from picojoule.exits.answers import Answers, accuracy_from, answers
from picojoule.exits.changing import Followed, System, follow, one_network, separate_networks
from picojoule.exits.choice import Choice, choose
from picojoule.exits.confidence import RULES, Scored, Scorer, cross_fitted, fit_scorer
from picojoule.exits.cost import Candidate, alpha_of, decision_cost, expected_energy
from picojoule.exits.curves import Curve, CurvePoint, curve_of
from picojoule.exits.deciding import Decision, Measured, Policy, Setting, decide
from picojoule.exits.deploying import deploy, logits_of_bundle, operation_of
from picojoule.exits.energies import ExitEnergies, energies_of_heads
from picojoule.exits.fits import Fit, Optimum, fit
from picojoule.exits.front import Front, Point, best_thresholds, leaving
from picojoule.exits.guarantee import Guaranteed, guaranteed, lower_bound, p_value, samples_needed
from picojoule.exits.machine import energies_of_exits, estimate_exits
from picojoule.exits.macs import depth_macs, exit_energies
from picojoule.exits.networks import all_exits, freeze_backbone, one_exit
from picojoule.exits.places import Probe
from picojoule.exits.rule import Achieved, Rule, achieved, baseline_energy
from picojoule.exits.table import read_candidates, read_points
from picojoule.exits.slimming import train_widths
from picojoule.exits.training import train_combined, train_individual, train_one
from picojoule.exits.widths import AtWidth, DialPoint, Dials, dials, widen

__all__ = [
    "Achieved",
    "Added",
    "AddedExit",
    "Answers",
    "AtWidth",
    "Candidate",
    "Choice",
    "CrossFitted",
    "Curve",
    "CurvePoint",
    "Decision",
    "DialPoint",
    "Dials",
    "ExitEnergies",
    "Fit",
    "Followed",
    "Front",
    "Guaranteed",
    "Measured",
    "Optimum",
    "Point",
    "Policy",
    "Probe",
    "RULES",
    "Rule",
    "Scored",
    "Scorer",
    "Setting",
    "System",
    "accuracy_from",
    "achieved",
    "add",
    "all_exits",
    "alpha_of",
    "answers",
    "baseline_energy",
    "best_thresholds",
    "choose",
    "cross_fitted",
    "curve_of",
    "decide",
    "decision_cost",
    "deploy",
    "depth_macs",
    "dials",
    "energies_of_exits",
    "energies_of_heads",
    "estimate_exits",
    "exit_energies",
    "expected_energy",
    "fit",
    "fit_scorer",
    "follow",
    "freeze_backbone",
    "guaranteed",
    "leaving",
    "load_added",
    "logits_of_bundle",
    "lower_bound",
    "one_exit",
    "one_network",
    "operation_of",
    "p_value",
    "read_candidates",
    "read_points",
    "samples_needed",
    "separate_networks",
    "train_combined",
    "train_individual",
    "train_one",
    "train_widths",
    "widen",
]
