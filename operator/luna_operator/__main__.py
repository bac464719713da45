"""`python -m luna_operator`."""

import sys

from luna_operator.main import main

sys.exit(main())
