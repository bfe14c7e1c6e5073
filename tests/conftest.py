"""What holds for every test."""

import signal

# A test run that a shell put into the background ignores Ctrl-C, and hands that down to every process it starts: the
# tests that press it would wait in vain.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
