"""The paper's experiments, repeated with seeds: what to run, and what came out."""
