"""What a network is trained for: each term maps (restored, target) to a scalar.

spec, tables    what a training file says, free of torch
build           the objects of a specification
stack           terms, weights, their sum
balance         factors found while training; `schedule`: weights by the step
pixel, frequency, variation, perceptual, style, adversarial    the terms
features        one pass of VGG19 for the terms that look at features
"""
