"""The one ordered table of failure texts: specific before general, first match wins.

A message is matched with its white space folded to single blanks and U+2019
written as an apostrophe; case never counts. The order carries meaning: "not your
usage limit" stands before the quotas, quotas before 429, 429 before auth words
(a refused call often names its key), TLS trust before the connection errors that
it is dressed as, named states before bare status codes. A new row needs a
transcript that shows it.
"""

from typing import Final

from muster.domain import (
    classification_access,
    classification_means,
    classification_transport,
)
from muster.domain.classification_row import Row

TABLE: Final[tuple[Row, ...]] = (
    classification_means.ROWS
    + classification_access.ROWS
    + classification_transport.ROWS
)
