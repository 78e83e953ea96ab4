"""Our speed beside other libraries', measured side by side: ``make benchmarks``.

Finished pieces stay in ``results/benchmarks/pieces``, so that an interrupted run goes on where it
stopped. Delete a piece to measure it again.
"""
