"""Progress bars seen in what a program writes to its terminal (tqdm needs no change for it), or told by a node.

    from kedro_console import progress

    for row in progress.track(rows, "Asking"):
        ...
    progress.tell(done, total, label="Uploading", unit="MB")

Under plain `kedro run` nobody is told.
"""

from kedro_console.words.progress import tell as tell
from kedro_console.words.progress import track as track
