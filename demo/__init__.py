"""Real input: two elections' cases in the proportions that were published, driven over HTTP as the five agencies."""
