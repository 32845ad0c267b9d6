"""The rules for α that a study can name: what each one's scheduler takes and needs."""

Arguments = dict[str, tuple[str, ...]]

# By parameter; a parameter that no rule has here is no argument of a rule.
ARGUMENTS: Arguments = {
    "constant": ("alpha_layers",),
    "sqrt_d": ("alpha_saturation", "alpha_tau", "alpha_d", "alpha_layers"),
    "saturation": (
        *("alpha_band_low", "alpha_band_high"),
        *("alpha_band_end_low", "alpha_band_end_high", "alpha_band_steps"),
        *("alpha_gain", "alpha_max_log_step", "alpha_k_min", "alpha_k_max"),
        *("alpha_min_numel", "alpha_start", "alpha_tau", "alpha_layers"),
    ),
    "linear": ("alpha_start_factor", "alpha_end_factor", "alpha_total_steps", "alpha_layers"),
    "cosine": (
        *("alpha_start_factor", "alpha_end_factor", "alpha_period"),
        *("alpha_restarts", "alpha_period_mult", "alpha_layers"),
    ),
    "exponential": ("alpha_gamma", "alpha_end_factor", "alpha_layers"),
    "lambda": ("alpha_points", "alpha_layers"),
    "plateau": (
        *("alpha_mode", "alpha_factor", "alpha_patience", "alpha_threshold"),
        *("alpha_threshold_mode", "alpha_cooldown", "alpha_min", "alpha_max", "alpha_layers"),
    ),
    "dynag": (
        *("alpha_target", "alpha_power", "alpha_size_power", "alpha_rate", "alpha_every"),
        *("alpha_k_max", "alpha_tau", "alpha_layers"),
    ),
    "sequential": ("alpha_parts", "alpha_milestones"),
    "chained": ("alpha_parts",),
}
# A part's table also has what else is the optimizer's.
PART_ARGUMENTS: Arguments = ARGUMENTS | {
    "constant": ("alpha", *ARGUMENTS["constant"]),
    "sqrt_d": ("k", *ARGUMENTS["sqrt_d"]),
}
NEEDED: Arguments = {
    "exponential": ("alpha_gamma",),
    "lambda": ("alpha_points",),
    "sequential": ("alpha_parts", "alpha_milestones"),
    "chained": ("alpha_parts",),
}
PART_NEEDED: Arguments = NEEDED | {"constant": ("alpha",)}

# The scheduler's own name of an argument, where it is not the parameter's without "alpha_".
RENAMED = {"alpha_min": "min_alpha", "alpha_max": "max_alpha"}

# The first must be below the second; the numbers stand in for what is left out.
ORDERED = (
    ("alpha_band_low", 0.05, "alpha_band_high", 0.25),
    ("alpha_band_end_low", 0.0, "alpha_band_end_high", 1.0),
    ("alpha_k_min", 0.01, "alpha_k_max", 100.0),
    ("alpha_min", 1e-3, "alpha_max", 1e6),
)
# Without effect unless the others are given.
TOGETHER: Arguments = {
    "alpha_band_end_low": ("alpha_band_end_high", "alpha_band_steps"),
    "alpha_band_end_high": ("alpha_band_end_low", "alpha_band_steps"),
    "alpha_band_steps": ("alpha_band_end_low", "alpha_band_end_high"),
    "alpha_period_mult": ("alpha_restarts",),
}
