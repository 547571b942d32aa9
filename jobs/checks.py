"""System checks: what an operator has to put right before the first run."""
