"""Breaking one line of a real package, so that there is something to mend."""
