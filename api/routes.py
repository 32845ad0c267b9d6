"""All routes, by what they are about."""

from __future__ import annotations

from alphagrad.api import (
    audit_routes,
    comparison,
    events,
    health,
    insights,
    knobs,
    login,
    page_routes,
    prometheus,
    remote,
    spec_check,
    studies,
    tasks,
    trial_data,
    trials,
    web_files,
    webhooks,
)

ROUTERS = (
    tasks.router,
    studies.router,
    spec_check.router,
    trials.router,
    comparison.router,
    knobs.router,
    trial_data.router,
    insights.router,
    remote.router,
    events.router,
    webhooks.router,
    audit_routes.router,
    health.router,
    prometheus.router,
    login.router,
    page_routes.router,
    web_files.router,
)
