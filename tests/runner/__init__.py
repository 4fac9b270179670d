"""The test runner: one module per noun, one per suite; `tests/run` is its face."""
