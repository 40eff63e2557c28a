"""`python -m dyad_server` is the command `dyad`."""

import sys

from dyad_server.cli.main import main

sys.exit(main())
