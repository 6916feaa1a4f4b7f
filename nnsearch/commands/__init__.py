"""One use case a file. Commands return values; they neither print nor exit."""
