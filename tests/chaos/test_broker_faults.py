"""The broker dies, forgets, or loses messages: the database says what is to be done, and messages are sent again."""

import os
import random
import signal

import pytest

from lemfarm import valkey
from lemfarm.broker import NONCE_KEY, generate_queue, open_client
from tests.farm import Farm

pytestmark = pytest.mark.chaos


def test_valkey_is_killed_and_started_again(farm: Farm, dice: random.Random) -> None:
    """Twice; workers go on with what they hold meanwhile, and store it."""
    farm.start_workers()
    for _ in range(2):
        done = farm.balance().done
        farm.wait_done(done + dice.randrange(30, 150))
        os.kill(farm.broker.pid, signal.SIGKILL)
        farm.wait(lambda: not valkey.is_running(farm.home), "Valkey to be gone")
        farm.wait(lambda: farm.balance().leased == 0 or farm.balance().pending == 0, "what is held to be finished")
        farm.broker = valkey.start(farm.home)
    farm.finish()


@pytest.mark.subset
def test_the_broker_forgets_everything(farm: Farm, dice: random.Random) -> None:
    """FLUSHALL, twice: the nonce is gone with the messages, so all of them are sent again."""
    farm.start_workers()
    with open_client(farm.broker.admin_url) as admin:
        for _ in range(2):
            farm.wait_done(farm.balance().done + dice.randrange(30, 200))
            admin.flushall()
            farm.wait(lambda: admin.exists(NONCE_KEY), "a watcher to notice")
    farm.finish()


def test_messages_are_destroyed_in_the_queue(farm: Farm, dice: random.Random) -> None:
    """Some, then all, then those that workers hold: the nonce is still there, only counting finds it out."""
    farm.start_workers()
    queue = generate_queue("simulated")
    with open_client(farm.broker.admin_url) as admin:
        farm.wait_done(dice.randrange(30, 120))
        farm.wait(lambda: admin.llen(queue) >= 4, "messages to wait")
        admin.ltrim(queue, 0, dice.randrange(1, 3))
        farm.wait_done(farm.balance().done + dice.randrange(20, 100))
        admin.delete(queue)
        farm.wait_done(farm.balance().done + dice.randrange(20, 100))
        admin.delete(queue, "unacked", "unacked_index")
    farm.finish()


def test_every_message_comes_twice(farm: Farm) -> None:
    """As after a visibility timeout that was too short, or a partition: the second copies find nothing to do."""
    queue = generate_queue("simulated")
    with open_client(farm.broker.admin_url) as admin:
        farm.start_workers()
        copied = 0
        while farm.run_state() == "active":
            messages = admin.lrange(queue, 0, -1)
            if messages:
                copied += admin.rpush(queue, *messages) - len(messages)
            farm.wait(lambda: admin.llen(queue) < 40 or farm.run_state() != "active", "the queue to be worked off")
    farm.finish()
    assert copied > 100
