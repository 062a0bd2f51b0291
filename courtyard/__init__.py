"""Settings, command line and the all-in-one runner: the only place where parts are wired together."""
