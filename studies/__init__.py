"""Ready-made training tasks, their parameters, and the study files that tune them."""
