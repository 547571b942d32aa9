"""A small HTTP API over real public data (vega-datasets), standard library only."""
