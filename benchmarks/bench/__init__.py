"""`make bench`: Dyad beside its peers, in one run; docs/performance.md tells what it prints."""
