"""A class: many students' submissions, judged in parallel and reported for their teacher.

``python -m course_lib.grading DIR`` is the command. Nothing here runs a submission; that is the
sandbox's work. Nothing in this process even parses one: that is the work of `judge_process`.
"""
