"""The sandbox: runs submitted code in another process and brings plain numbers back.

This package holds no answers and imports nothing of the rest of the library. The worker process
loads it by path, under the name ``sandbox``, so that the library itself need not be importable
there. The judge's side is `client`.
"""
