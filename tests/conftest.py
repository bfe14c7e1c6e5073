"""What holds for every test."""

import signal

from hypothesis import settings

# A test run that a shell put into the background ignores Ctrl-C, and hands that down to every process it starts: the
# tests that press it would wait in vain.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Speed is measured in bench/: on a busy machine a limit for each example only makes honest tests fail.
settings.register_profile("lemfarm", deadline=None)
settings.load_profile("lemfarm")
