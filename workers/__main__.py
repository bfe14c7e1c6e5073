"""`python -m workers`: one worker process, normally under the supervisor of `lemfarm worker`."""

import sys

from workers.process import main

if __name__ == "__main__":
    sys.exit(main())
