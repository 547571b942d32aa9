"""The graph of the second half of `reporting`; the files and the deck do not wait for each other."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from demo.pipelines.reporting.deck import make_deck
from demo.pipelines.reporting.delivery import upload_file
from demo.pipelines.reporting.files import write_csv_and_zip

FILES = ["processed_data", "params:api_url", "params:output_path"]
STORE = ["params:s3_bucket", "params:s3_endpoint_url"]


def create_pipeline() -> Pipeline:
    """`processed_data` → `csv_file`, `zip_file` → `upload_status`; beside it → `ppt_file` → `ppt_upload_status`."""
    return Pipeline(
        [
            node(write_csv_and_zip, FILES, ["csv_file", "zip_file"], name="write_csv_and_zip", tags="files"),
            node(
                make_deck, [*FILES, "params:ppt_template", "params:report"], "ppt_file", name="make_deck", tags="deck"
            ),
            node(
                upload_file, ["zip_file", "params:s3_path", *STORE], "upload_status", name="upload_zip", tags="delivery"
            ),
            node(
                upload_file,
                ["ppt_file", "params:ppt_s3_path", *STORE],
                "ppt_upload_status",
                name="upload_deck",
                tags="delivery",
            ),
        ]
    )
