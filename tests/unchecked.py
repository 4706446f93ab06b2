"""Evaluations without the checks, which have tests of their own and cost seconds."""

from functools import partial

from sleepdefense import evaluation

evaluate = partial(evaluation.evaluate, checks=False)
evaluate_systems = partial(evaluation.evaluate_systems, checks=False)
