"""The functions of the language over arrays: what they compute, not how their arguments are evaluated.

`ranges` over runs of samples, `rates` and `trends` over windows, `elementwise` and `calendar` over values, `histograms`
over classic buckets, `relabelling` over labels, `numbers` for how Go prints floats.
"""
