"""How a run of a submission can end, in the words that worker and judge share."""

FINISHED = "finished"
TIMEOUT = "timeout"
OUTPUT = "output"
CRASHED = "crashed"
FAILED = "failed"  # the sandbox's own trouble, nobody's verdict

MAX_RESULT = 4_000_000  # bytes of JSON; every answer of the book needs a hundredth
MAX_PARTS = 100_000  # lists and dicts in it; each costs the reader time and memory
MAX_FILES, MAX_STORED = 2000, 64_000_000  # files, and their bytes, in a submission's folder
READY = b"ready\n"  # the first line of a child whose fence is up, and of a worker
OUT_OF_TIME = -24  # exit status after SIGXCPU, the limit on processor time
REVIEW_STATUS = 77  # exit status of a child that reached for an answer
REFUSED_STATUS = 78  # exit status of a child that the audit hook ended
