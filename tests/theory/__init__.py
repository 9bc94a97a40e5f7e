"""One numerical check a statement of `theory/`; each could refute the statement it stands beside."""
