"""The two Celery tasks: a few lines each, all work is done by the runners."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lemfarm.broker import GENERATE_TASK, TRAIN_TASK
from workers.sample import HandBack

if TYPE_CHECKING:
    from celery import Celery


def register_tasks(app: "Celery", generate: Callable[[str], str], train: Callable[[str], str]) -> None:
    """Bind the tasks to this process's runners. A message handed back goes to the queue again."""
    from celery.exceptions import Reject

    def handing_back(work: Callable[[str], str]) -> Callable[[Any, str], str]:
        def task(_task: Any, row_id: str) -> str:
            try:
                return work(row_id)
            except HandBack as reason:
                raise Reject(str(reason), requeue=True) from None

        return task

    app.task(name=GENERATE_TASK, bind=True)(handing_back(generate))
    app.task(name=TRAIN_TASK, bind=True)(handing_back(train))
