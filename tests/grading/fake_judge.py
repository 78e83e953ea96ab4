"""Stands in for a judge process: what it does depends on the name of the file."""

import os
import time
from pathlib import Path

from course_lib.grading.classroom.judge_process import READY


def serve(pipe, settings):
    """Answer with the file's name, or hang, or die."""
    pipe.send(READY)
    while (job := pipe.recv()) is not None:
        if "hang" in job[0]:
            time.sleep(3600)
        if "die" in job[0]:
            os._exit(3)
        if "slow" in job[0]:
            time.sleep(0.5)
        pipe.send((Path(job[0]).name, os.getpid()))


def serve_nothing(pipe, settings):
    """End before being ready, as a judge without torch would."""
