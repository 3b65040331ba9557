"""The contest of problem set 6: captions for pictures whose truth only the instructor knows.

`world` renders the pictures and keeps the truth, `answers` reads what students send, `score` judges it, `rerun` runs a
submitted checkpoint, `page` shows the leaderboard. `python -m autograder.contest` is the instructor's command.
"""

from autograder.contest.answers import report_of
from autograder.contest.score import judge_handin

__all__ = ["judge_handin", "report_of"]
