"""`ganbench report`: one HTML file that shows one or more results, without any network access."""
