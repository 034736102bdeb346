"""Fast paths of the network, each checked against ``credence.drivefi.model``: least squares, do() queries,
forecasts.
"""
