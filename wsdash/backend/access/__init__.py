"""The way into a workspace that can only dial out: it dials the relay here, and the user goes back through that."""
