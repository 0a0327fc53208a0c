"""PostgreSQL, Valkey (Redis) and an S3 server, started from Python packages, without Docker and without root.

`python -m embedded run` serves the console, `test` runs the tests, `shell` runs a command beside the servers.
Nothing in here imports Django.
"""
