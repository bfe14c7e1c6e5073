"""Libraries of probes, for the people who write them: read (`reading`), look up (`listing`), count (`coverage`), and
judge (`quality`, with its rules in `rules`, `leftovers` and `overlap`)."""
