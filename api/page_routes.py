"""The pages: frames that their modules fill over ``/v1``."""

from __future__ import annotations

from typing import Annotated, Any

import jinja2
from fastapi import APIRouter, Path, Request
from sqlalchemy import select
from starlette.responses import RedirectResponse, Response
from starlette.templating import Jinja2Templates

from alphagrad import __version__
from alphagrad.api.deps import DatabaseDep
from alphagrad.api.web_files import PREFIX, digest, plotly_version
from alphagrad.tuner import study_store
from alphagrad.tuner.errors import StudyNotFoundError, TrialNotFoundError
from alphagrad.tuner.models import StudyRow

router = APIRouter(include_in_schema=False)

# Nothing inline, nothing evaluated, no other host; Plotly draws pictures into data: URLs.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "Cache-Control": "no-cache",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
_templates = Jinja2Templates(
    env=jinja2.Environment(
        loader=jinja2.PackageLoader("alphagrad.api"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
)


@router.get("/")
def studies_page(request: Request) -> Response:
    """All studies."""
    return _page(request, "studies.html")


@router.get("/studies/{name}")
def study_page(request: Request, name: str, database: DatabaseDep) -> Response:
    """One study."""
    try:
        status = study_store.get_study(database, name)
    except StudyNotFoundError as error:
        return _missing(request, str(error))
    return _page(request, "study.html", name=name, state=status.row.state)


@router.get("/studies/{name}/trials/{number}")
def trial_page(
    request: Request,
    name: str,
    number: Annotated[int, Path(ge=0, lt=2**31)],
    database: DatabaseDep,
) -> Response:
    """One trial: its α and saturation, and the knob."""
    try:
        trial = study_store.get_trial(database, name, number)
    except (StudyNotFoundError, TrialNotFoundError) as error:
        return _missing(request, str(error))
    return _page(request, "trial.html", name=name, number=number, state=trial.state)


@router.get("/compare")
def compare_page(request: Request) -> Response:
    """Trials side by side."""
    return _page(request, "compare.html")


@router.get("/compare/studies")
def compare_studies_page(request: Request) -> Response:
    """Studies side by side."""
    return _page(request, "compare_studies.html")


@router.get("/submit")
def submit_page(request: Request) -> Response:
    """A form for a new study."""
    return _page(request, "submit.html")


@router.get("/studies/{name}/dashboard")
def to_dashboard(name: str, database: DatabaseDep) -> Response:
    """The Optuna dashboard's page of a study."""
    number = study_store.get_study(database, name).row.optuna_study_id
    return RedirectResponse("/dashboard" if number is None else f"/dashboard/studies/{number}", 303)


@router.get("/optuna/{optuna_id}")
def from_dashboard(
    optuna_id: Annotated[int, Path(ge=0, lt=2**31)], database: DatabaseDep
) -> Response:
    """Our page of a study that the Optuna dashboard shows; the list for one that is not ours."""
    with database.read() as session:
        name = session.scalar(select(StudyRow.name).where(StudyRow.optuna_study_id == optuna_id))
    return RedirectResponse("/" if name is None else f"/studies/{name}", 303)


def _missing(request: Request, message: str) -> Response:
    return _page(request, "missing.html", status=404, message=message)


def _page(request: Request, template: str, *, status: int = 200, **values: Any) -> Response:
    shared = {
        "web": f"{PREFIX}/{digest()}",
        "plotly": f"{PREFIX}/plotly.min.js?v={plotly_version()}",
        "version": __version__,
    }
    return _templates.TemplateResponse(
        request, template, {**shared, **values}, status_code=status, headers=_HEADERS
    )
