"""An app whose migration changes the busiest tables, as a later release may."""
