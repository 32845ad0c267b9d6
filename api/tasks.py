"""Routes: the tasks that a study can name."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from alphagrad.api.pages import Page
from alphagrad.tuner.registry import Task, get_task, task_names

router = APIRouter(prefix="/v1/tasks", tags=["tasks"])


class TaskOut(BaseModel):
    """A task and its parameters."""

    name: str
    about: str = Field(description="what it trains, in a line")
    params: dict[str, Any] = Field(description="JSON schema of the parameters; empty: it takes any")
    stackable: bool = Field(description="whether trials can train side by side in one process")

    @classmethod
    def of(cls, task: Task) -> TaskOut:
        """From a registered task."""
        return cls(
            name=task.name,
            about=task.about,
            params=task.schema(),
            stackable=task.stack is not None,
        )


@router.get("")
def list_tasks() -> Page[TaskOut]:
    """The tasks that this server knows, by name."""
    items = [TaskOut.of(get_task(name)) for name in task_names()]
    return Page(items=items, next_page_token=None)


@router.get("/{name}")
def read_task(name: str) -> TaskOut:
    """One task."""
    return TaskOut.of(get_task(name))
