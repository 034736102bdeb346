"""How good an estimate is: metrics, and the studies that compute them."""
