"""The pages of `docs/reference` that are generated from the code, so that they can't drift from it."""
