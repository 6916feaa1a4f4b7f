"""Statistics, pictures and tables of what trials and studies came to."""
