"""Where jobs run: each executor is submit(fn, *args) -> Future."""
