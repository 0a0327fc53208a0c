"""`python -m dagy` is the command `dagy`."""

import sys

from dagy.cli import main

sys.exit(main())
