"""What an experiment needs and takes, by formula: no device, no weights, no data."""
