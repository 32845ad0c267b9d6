"""``/v1/studies``: submit, list, read, export, edit, steer and delete studies."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from starlette.responses import StreamingResponse

from alphagrad.api.deps import DatabaseDep, OptunaDep, PrincipalDep, SettingsDep
from alphagrad.api.pages import Page, decode_token, encode_token
from alphagrad.api.study_models import (
    ExploitOut,
    StudyOut,
    StudyPatch,
    StudyState,
    SubmittedStudy,
)
from alphagrad.api.submission import store
from alphagrad.tuner import (
    StudySpec,
    exploits,
    export,
    export_rows,
    lists,
    retention,
    study_changes,
    study_store,
)
from alphagrad.tuner.spec_reading import check_task
from alphagrad.tuner.text import Text

router = APIRouter(prefix="/v1/studies", tags=["studies"])


@router.post("", status_code=202)
def submit(
    spec: StudySpec,
    response: Response,
    database: DatabaseDep,
    optuna_storage: OptunaDep,
    principal: PrincipalDep,
) -> SubmittedStudy:
    """Submit a study. Workers take it up; ``Location`` is where to watch it."""
    check_task(spec)
    return store(
        spec, response, database=database, optuna_storage=optuna_storage, principal=principal
    )


@router.get("")
def list_studies(
    database: DatabaseDep,
    page_token: str | None = None,
    page_size: Annotated[int, Query(ge=1, le=500)] = 100,
    order: lists.Order = "oldest",
    state: Annotated[list[StudyState] | None, Query(description="one of these")] = None,
    task: Annotated[Text | None, Query(max_length=500)] = None,
    name: Annotated[
        Text | None, Query(max_length=100, description="a glob: * is any text, ? a character")
    ] = None,
) -> Page[StudyOut]:
    """Studies in the order of submission, or the newest first; all or those that match."""
    way: Literal["after", "before"] = "after" if order == "oldest" else "before"
    statuses = lists.list_studies(
        database,
        after=decode_token(page_token, default=0 if order == "oldest" else 2**31, order=way),
        limit=page_size + 1,
        order=order,
        states=state,
        task=task,
        name=name,
    )
    more = len(statuses) > page_size
    statuses = statuses[:page_size]
    return Page(
        items=[StudyOut.of(status) for status in statuses],
        next_page_token=encode_token(statuses[-1].row.id, order=way) if more else None,
    )


@router.get("/{name}")
def read_study(name: str, database: DatabaseDep) -> StudyOut:
    """One study: its state, trials by state, the best trial, the time left."""
    return StudyOut.of(study_store.get_study(database, name))


@router.get("/{name}/exploits")
def list_exploits(
    name: str,
    database: DatabaseDep,
    page_token: str | None = None,
    page_size: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Page[ExploitOut]:
    """Who of a population took over from whom, oldest first."""
    after = decode_token(page_token, default=0)
    found = exploits.list_exploits(database, name, after=after, limit=page_size + 1)
    more = len(found) > page_size
    found = found[:page_size]
    return Page(
        items=[ExploitOut.of(one) for one in found],
        next_page_token=encode_token(found[-1].row.id) if more else None,
    )


@router.patch("/{name}")
def edit_study(name: str, patch: StudyPatch, database: DatabaseDep) -> StudyOut:
    """Edit an open study; trials that start from now on follow."""
    changes = patch.model_dump(mode="json", exclude_unset=True)
    return StudyOut.of(study_changes.update_study(database, name, changes))


@router.delete("/{name}", status_code=204)
def delete_study(name: str, database: DatabaseDep, settings: SettingsDep) -> None:
    """Delete a study that has ended, with its checkpoints and logs."""
    retention.delete_study(database, settings, name)


_FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file",
        "content": {
            "text/csv": {"schema": {"type": "string"}},
            "application/json": {"schema": {"type": "array", "items": {"type": "object"}}},
            export.MEDIA_TYPES["parquet"]: {"schema": {"type": "string", "format": "binary"}},
        },
        "headers": {"Content-Disposition": {"schema": {"type": "string"}}},
    }
}


@router.get("/{name}/export", response_class=StreamingResponse, responses=_FILE)
def export_study(
    name: str,
    database: DatabaseDep,
    format: export.Format = "csv",  # noqa: A002
    what: export_rows.Tables = "trials",
) -> StreamingResponse:
    """A study's trials, reports, metrics or α traces as a CSV, JSON or Parquet file."""
    return StreamingResponse(
        export.export_study(database, name, what=what, format=format),
        media_type=export.MEDIA_TYPES[format],
        headers={"Content-Disposition": f'attachment; filename="{name}-{what}.{format}"'},
    )


@router.post("/{name}:pause", status_code=202)
def pause_study(name: str, database: DatabaseDep) -> StudyOut:
    """Start no more trials until the study is resumed; those that run go on to their end."""
    return StudyOut.of(study_changes.pause_study(database, name))


@router.post("/{name}:resume", status_code=202)
def resume_study(name: str, database: DatabaseDep) -> StudyOut:
    """Let a paused study go on."""
    return StudyOut.of(study_changes.resume_study(database, name))


@router.post("/{name}:stop", status_code=202)
def stop_study(name: str, database: DatabaseDep) -> StudyOut:
    """Start no more trials; those that run go on to their end."""
    return StudyOut.of(study_changes.stop_study(database, name))


@router.post("/{name}:cancel", status_code=202)
def cancel_study(name: str, database: DatabaseDep) -> StudyOut:
    """Start no more trials and kill those that run."""
    return StudyOut.of(study_changes.cancel_study(database, name))
