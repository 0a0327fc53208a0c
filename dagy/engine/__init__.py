"""The engine: runs a flow's graph in threads of this process, and tells a `Backend` what happens. Knows of no files."""
