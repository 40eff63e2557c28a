"""The servers that Dyad is measured beside, as their users write them."""
