"""Networks made smaller until they meet a budget: fewer bits, more zeros, fewer channels. Needs PyTorch."""
