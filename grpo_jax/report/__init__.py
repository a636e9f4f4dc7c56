"""What a sweep or a few runs have found: tables, a page, and compute against performance."""
