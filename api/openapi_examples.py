"""Examples of every model in the OpenAPI document: written by hand, or made from the schema."""

from __future__ import annotations

from typing import Any

_TRIAL: dict[str, Any] = {
    "number": 3,
    "state": "COMPLETE",
    "value": 0.93,
    "values": None,
    "constraints": None,
    "feasible": True,
    "params": {"alpha": 42.5, "epochs": 5},
    "seed": 2654435769,
    "attempt": 1,
    "error": None,
    "started_at": "2026-11-27T09:00:00Z",
    "finished_at": "2026-11-27T09:00:07Z",
    "layers": ["hidden1.weight", "hidden1.bias"],
    "metrics": ["losses/train"],
}
_SPEC: dict[str, Any] = {
    "name": "bar",
    "task": "digits",
    "n_trials": 20,
    "seed": 1,
    "params": {
        "epochs": 5,
        "alpha": {"type": "float", "low": 1.0, "high": 300.0, "log": True},
    },
}
_STUDY: dict[str, Any] = {
    "name": "bar",
    "state": "RUNNING",
    "spec": _SPEC,
    "versions": {"python": "3.11.9", "torch": "2.13.0"},
    "n_trials": 20,
    "trials": {"COMPLETE": 4, "RUNNING": 1, "QUEUED": 15},
    "eta_seconds": 105.0,
    "created_at": "2026-11-27T08:59:59Z",
    "started_at": "2026-11-27T09:00:00Z",
    "finished_at": None,
}
_TRACE: dict[str, Any] = {
    "layers": ["hidden1.weight", "hidden1.bias"],
    "steps": [1, 2],
    "alpha": [[42.5, 42.5], [42.5, 40.0]],
    "saturation": [[0.12, None], [0.15, 0.02]],
}
_CURVE: dict[str, Any] = {"at": [0, 3, 19], "best": [0.5, 0.93, 0.93]}

EXAMPLES: dict[str, Any] = {
    "AlphaPatch": {"layers": "hidden1.*", "alpha": 50.0, "pin": True},
    "AlphaTraceOut": _TRACE,
    "CurveOut": _CURVE,
    "EnqueuedTrial": {"params": {"alpha": 42.5}},
    "HistogramOut": {
        "step": 120,
        "edges": [0.0001, 0.1, 100.0],
        "counts": {"hidden1.weight": [700, 24]},
        "zeros": {"hidden1.weight": 300},
        "tau": {"hidden1.weight": 2.5},
    },
    "ImportanceOut": {
        "evaluator": "ped-anova",
        "objective": 0,
        "importances": {"alpha": 0.8, "learning_rate": 0.2},
        "left_out": [],
        "n_trials": 20,
        "used_trials": 20,
    },
    "KnobOut": {
        "id": 7,
        "layers": "hidden1.*",
        "alpha": 50.0,
        "pin": True,
        "state": "applied",
        "step": 120,
        "reason": None,
        "requested_at": "2026-11-27T09:00:03Z",
        "answered_at": "2026-11-27T09:00:03.2Z",
    },
    "LogOut": {"text": "epoch 1: accuracy 0.71\n", "next_offset": 120, "size": 120},
    "MetricsOut": {"metrics": {"losses/train": {"steps": [1, 2], "values": [0.9, None]}}},
    "ReportsOut": {"steps": [1, 2], "values": [0.71, 0.84]},
    "SliceOut": {
        "objective": 0,
        "trials": [0, 1],
        "params": {"alpha": [42.5, 7.0]},
        "values": [0.93, 0.71],
        "feasible": [True, True],
        "n_trials": 2,
    },
    "StudyClone": {"name": "bar-2", "n_trials": 50},
    "StudyOut": _STUDY,
    "StudyPatch": {"n_trials": 40, "parallelism": 2},
    "StudySpec": _SPEC,
    "SubmittedStudy": _STUDY,
    "TrialOut": _TRIAL,
}


def add_examples(schemas: dict[str, Any]) -> None:
    """Give each model an example, if it has none.

    Args:
        schemas: the models of an OpenAPI document; changed in place.

    Example:
        >>> schemas = {"Point": {"properties": {"x": {"type": "number", "minimum": 2}}}}
        >>> add_examples(schemas)
        >>> schemas["Point"]["examples"]
        [{'x': 2}]
    """
    for name, schema in schemas.items():
        if "examples" not in schema:
            schema["examples"] = [example(schema, schemas, name=name)]


def example(schema: dict[str, Any], schemas: dict[str, Any], *, name: str = "") -> Any:
    """A value that a schema allows.

    Args:
        schema: the schema.
        schemas: what it may refer to.
        name: of the model, if it has one: what is written by hand is taken.
    """
    if name in EXAMPLES:
        # What is not written by hand, and must be there, is made.
        return _of_type(schema, schemas) | EXAMPLES[name]
    if "$ref" in schema:
        inner = schema["$ref"].rpartition("/")[2]
        return example(schemas[inner], schemas, name=inner)
    for word in ("const", "default"):
        if word in schema:
            return schema[word]
    if schema.get("examples"):
        return schema["examples"][0]
    if "enum" in schema:
        return schema["enum"][0]
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return example(schema[word][0], schemas)
    return _of_type(schema, schemas)


def _of_type(schema: dict[str, Any], schemas: dict[str, Any]) -> Any:
    kind = schema.get("type", "object" if "properties" in schema else None)
    if kind == "object":
        required = schema.get("required", list(schema.get("properties", ())))
        return {
            key: example(value, schemas)
            for key, value in schema.get("properties", {}).items()
            if key in required
        }
    if kind == "array":
        return [example(schema.get("items", {}), schemas)] * max(1, schema.get("minItems", 1))
    if kind in ("integer", "number"):
        low = schema.get("minimum")
        return (schema.get("exclusiveMinimum", 0) + 1) if low is None else low
    if kind == "boolean":
        return True
    if kind == "string":
        return "2026-11-27T09:00:00Z" if schema.get("format") == "date-time" else "text"
    return None
