"""Pure models of what GPU capacity costs: offers, prices, hazard, throughput, checkpoint interval, estimate."""
