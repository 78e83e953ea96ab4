"""How a run of a submission can end, in the words that worker and judge share."""

FINISHED = "finished"
TIMEOUT = "timeout"
OUTPUT = "output"
CRASHED = "crashed"

MAX_RESULT = 16_000_000  # bytes of JSON
READY = b"ready\n"  # a worker's first line, when its imports are done
OUT_OF_TIME = -24  # exit status after SIGXCPU, the limit on processor time
REVIEW_STATUS = 77  # exit status of a child that reached for an answer
