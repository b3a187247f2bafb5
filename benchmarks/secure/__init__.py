"""How much of what is wrong the scanner finds, what it says of code that is right, and what its fixes break."""
