"""Small decision problems solved exactly in numpy float64: the oracle of the sampled methods.

It imports neither torch nor rldistill.methods, so that the two can be tested against each other.
"""
