"""Ways between this kit and what others use."""
